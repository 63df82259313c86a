/**
 * `npm run fuzz [target] [-- --time 60s] [--seed N]`: coverage-guided fuzzing of whatever reads
 * octets that somebody else wrote. Without a target all have their turn. Inputs that went
 * somewhere new are kept in `fuzz/corpus`, those that did harm in `fuzz/crashes`; `npm test`
 * runs both. Exits with 1 when something was found.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { bundle } from "./instrument.ts"
import { type News, sharedSize, type Task } from "./task.ts"

const here = import.meta.dirname
const targets = Fs.readdirSync(Path.join(here, "targets")).map((file) => Path.basename(file, ".ts")).toSorted()

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    time: { type: "string", default: "60s" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    /** Keep what is new in the corpus of the repository. */
    keep: { type: "boolean", default: false }
  }
})
const unit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }
const [, amount, name = "s"] = /^(\d+)(ms|s|m)?$/.exec(values.time) ?? []
const chosen = positionals.length === 0 ? targets : positionals
const unknown = chosen.filter((target) => !targets.includes(target))
if (amount === undefined || unknown.length > 0 || !/^\d+$/.test(values.seed)) {
  console.error(`usage: npm run fuzz [${targets.join("|")}] -- [--time 60s] [--seed N] [--keep]`)
  process.exit(2)
}
const milliseconds = Number(amount) * (unit[name] ?? 1000) / (positionals.length === 0 ? targets.length : 1)
const seed = Number(values.seed)

const read = (folder: string, target: string): ReadonlyArray<Uint8Array> => {
  const path = Path.join(here, folder, target)
  return Fs.existsSync(path)
    ? Fs.readdirSync(path).toSorted().map((file) => new Uint8Array(Fs.readFileSync(Path.join(path, file))))
    : []
}

const write = (folder: string, target: string, input: Uint8Array): string => {
  const path = Path.join(here, folder, target)
  Fs.mkdirSync(path, { recursive: true })
  const file = Path.join(path, createHash("sha256").update(input).digest("hex").slice(0, 16))
  Fs.writeFileSync(file, input)
  return Path.relative(process.cwd(), file)
}

const live = process.stderr.isTTY === true
let written = 0
const show = (line: string): void => {
  // A line each second in a terminal, one each ten seconds in a log.
  if (live) process.stderr.write(`\r\u001b[K${line}`)
  else if (Date.now() - written > 10_000) process.stderr.write(`${line}\n`)
  else return
  written = Date.now()
}

interface Result {
  readonly target: string
  readonly runs: number
  readonly perSecond: number
  readonly covered: number
  readonly edges: number
  readonly corpus: number
  readonly crashes: number
}

/** An input that takes longer than this hangs. */
const patience = 20_000

const fuzz = async (target: string): Promise<Result> => {
  const module = Path.resolve(here, "../.tmp/fuzz", `${target}.mjs`)
  const edges = await bundle(Path.join(here, "targets", `${target}.ts`), module)
  const shared = new SharedArrayBuffer(8 + sharedSize)
  const corpus = [...read("corpus", target), ...read("crashes", target)]
  const task: Task = { module, edges, seed, corpus, milliseconds, shared }
  const start = Date.now()
  const fresh: Array<Uint8Array> = []
  const problems = new Set<string>()
  let last = { runs: 0, covered: 0, corpus: 0 }
  const found = (input: Uint8Array, problem: string): void => {
    const [where = problem] = problem.split("\n    at ").slice(0, 2).join(" at ").split("\n")
    if (problems.has(where)) return
    problems.add(where)
    const file = write("crashes", target, input)
    process.stderr.write(
      `\n${target}: ${problem}\n  input: ${file}\n  again: npm run fuzz ${target} -- --seed ${seed}\n`
    )
  }
  await new Promise<void>((resolve, reject) => {
    const worker = new Worker(Path.join(here, "worker.ts"), {
      workerData: task,
      resourceLimits: { maxOldGenerationSizeMb: 1024 }
    })
    const header = new Int32Array(shared, 0, 2)
    let beat = { runs: -1, at: Date.now() }
    const watch = setInterval(() => {
      const runs = Atomics.load(header, 0)
      if (runs !== beat.runs) beat = { runs, at: Date.now() }
      else if (Date.now() - beat.at > patience) {
        clearInterval(watch)
        found(
          new Uint8Array(shared, 8, Math.min(sharedSize, Atomics.load(header, 1))).slice(),
          `no end within ${patience / 1000} seconds`
        )
        void worker.terminate().then(() => resolve())
      }
    }, 1000)
    worker.on("message", (news: News) => {
      if (news._tag === "New") fresh.push(news.input)
      if (news._tag === "Crash") found(news.input, news.problem)
      if (news._tag === "Progress" || news._tag === "Done") {
        last = news
        const seconds = (Date.now() - start) / 1000
        const left = Math.max(0, milliseconds / 1000 - seconds)
        show(
          `${target}: ${news.runs} runs, ${Math.round(news.runs / seconds)}/s, ${news.covered} of ${edges} edges, `
            + `corpus ${news.corpus}, ${problems.size} finds, ${left.toFixed(0)} s left`
        )
      }
      if (news._tag === "Done") {
        clearInterval(watch)
        void worker.terminate().then(() => resolve())
      }
    })
    worker.on("error", (error) => {
      clearInterval(watch)
      reject(error)
    })
  })
  if (live) process.stderr.write("\r\u001b[K")
  if (values.keep) {
    for (const input of fresh.filter(({ length }) => length <= 512).slice(0, 60)) write("corpus", target, input)
  }
  const perSecond = Math.round(last.runs / (milliseconds / 1000))
  return { target, ...last, perSecond, edges, crashes: problems.size }
}

console.log(`seed ${seed}, ${(milliseconds / 1000).toFixed(1)} s for each target`)
const results: Array<Result> = []
for (const target of chosen) {
  const result = await fuzz(target)
  results.push(result)
  console.log(
    `${result.target.padEnd(12)}${String(result.runs).padStart(10)} runs${String(result.perSecond).padStart(8)}/s`
      + `${`${result.covered}/${result.edges}`.padStart(12)} edges${String(result.corpus).padStart(6)} inputs`
      + `${String(result.crashes).padStart(4)} finds`
  )
}
process.exit(results.some(({ crashes }) => crashes > 0) ? 1 : 0)
