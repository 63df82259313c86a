/**
 * `npm run fuzz [target] [file…] -- [--time 60s] [--seed N] [--keep]`: coverage-guided fuzzing of
 * whatever reads octets that somebody else wrote. Without a target all have their turn, and share
 * the time; with files it runs these and nothing else. Exits with 1 when harm was done.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { hunt, type Result } from "./hunt.ts"
import { type Harm, placeOf, type Target } from "./Search.ts"
import * as Store from "./store.ts"
import type { Stand } from "./task.ts"

const usage = `usage: npm run fuzz [target] [file…] -- [--time 60s] [--seed N] [--keep]
targets: ${Store.targets.join(", ")}`

const refuse = (problem: string): never => {
  console.error(`${problem}\n${usage}`)
  process.exit(2)
}

const argumentsOf = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        time: { type: "string", default: "60s" },
        seed: { type: "string", default: String(Date.now() % 1_000_000) },
        /** Replaces the repository's corpus by the smallest one that reaches as much. */
        keep: { type: "boolean", default: false }
      }
    })
  } catch (error) {
    return refuse((error as Error).message)
  }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }
const { positionals: [chosen, ...files], values } = argumentsOf()
const [, amount, unit = "s"] = /^(\d+)(ms|s|m)?$/.exec(values.time) ?? refuse(`no time: ${values.time}`)
const seed = /^\d+$/.test(values.seed) ? Number(values.seed) : refuse(`no seed: ${values.seed}`)
if (chosen !== undefined && !Store.targets.includes(chosen)) refuse(`no target: ${chosen}`)
const targets = chosen === undefined ? Store.targets : [chosen]
const milliseconds = Number(amount) * (units[unit] ?? 1000) / targets.length

const live = process.stderr.isTTY === true
let shown = Date.now()
const show = (line: string): void => {
  // One line that changes in a terminal, one each five seconds in a log.
  if (live) process.stderr.write(`\r\u001b[K${line}`)
  else if (Date.now() - shown >= 5000) {
    process.stderr.write(`${line}\n`)
    shown = Date.now()
  }
}

const fuzz = async (target: string): Promise<Result & { readonly finds: number }> => {
  const finds = new Set<string>()
  const onHarm = ({ input, problem }: Harm): void => {
    const place = placeOf(problem)
    if (finds.has(place)) return
    finds.add(place)
    const file = Path.relative(process.cwd(), Store.write("crashes", target, input))
    process.stderr.write(
      `${live ? "\r\u001b[K" : ""}${target}: ${problem}\n`
        + `  again: npm run fuzz ${target} ${file}\n`
        + `  found: npm run fuzz ${target} -- --seed ${seed}\n`
    )
  }
  const onProgress = ({ corpus, covered, runs }: Stand, edges: number, seconds: number): void =>
    show(
      `${target}: ${runs} runs, ${Math.round(runs / seconds)}/s, ${covered} of ${edges} edges, corpus ${corpus}, `
        + `${finds.size} finds, ${Math.max(0, milliseconds / 1000 - seconds).toFixed(0)} s left`
    )
  const result = await hunt({
    file: Store.fileOf(target),
    seed,
    milliseconds,
    corpus: [...Store.read("corpus", target).values(), ...Store.read("crashes", target).values()],
    onHarm,
    onProgress
  })
  if (live) process.stderr.write("\r\u001b[K")
  if (values.keep && result.cover !== undefined) Store.replace("corpus", target, result.cover)
  return { ...result, finds: finds.size }
}

const row = (target: string, ...cells: ReadonlyArray<string | number>): string =>
  target.padEnd(12) + cells.map((cell) => String(cell).padStart(12)).join("")

if (chosen !== undefined && files.length > 0) {
  const target = (await import(Store.fileOf(chosen)) as { readonly fuzz: Target }).fuzz
  for (const file of files) {
    await target(new Uint8Array(Fs.readFileSync(file)))
    console.log(`${file}: no harm`)
  }
} else {
  console.log(`seed ${seed}, ${(milliseconds / 1000).toFixed(1)} s for each target`)
  console.log(row("target", "runs", "runs/s", "edges", "of", "corpus", "finds"))
  let finds = 0
  for (const target of targets) {
    const result = await fuzz(target)
    finds += result.finds
    const { corpus, covered, edges, runs, seconds } = result
    console.log(row(target, runs, Math.round(runs / seconds), covered, edges, corpus, result.finds))
  }
  process.exitCode = finds > 0 ? 1 : 0
}
