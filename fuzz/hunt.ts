/**
 * Fuzzes one target: bundles it, starts a worker on it, and watches over that. What hangs, or
 * takes more memory than it may, did harm as what throws did.
 */
import * as Path from "node:path"
import { Worker } from "node:worker_threads"
import { bundle } from "./instrument.ts"
import type { Harm } from "./Search.ts"
import { type News, shared, type Stand, type Task } from "./task.ts"

/** An input that takes longer than this hangs; in seconds. */
const patience = 10

/** The most that a target may have of the heap; in MB. */
const memory = 512

export interface Options {
  /** The file of the target, which exports `fuzz`. */
  readonly file: string
  readonly seed: number
  readonly milliseconds: number
  readonly corpus: ReadonlyArray<Uint8Array>
  readonly onHarm: (harm: Harm) => void
  /** Told each second. */
  readonly onProgress: (stand: Stand, edges: number, seconds: number) => void
  readonly patience?: number | undefined
  readonly memory?: number | undefined
}

/** How it ended; `cover` is missing where the worker did not live to tell. */
export interface Result extends Stand {
  readonly edges: number
  /** Since the search began. */
  readonly seconds: number
  readonly cover: ReadonlyArray<Uint8Array> | undefined
}

const output = Path.resolve(import.meta.dirname, "../.tmp/fuzz")

export const hunt = async (options: Options): Promise<Result> => {
  const module = Path.join(output, `${Path.basename(options.file, ".ts")}.mjs`)
  const { edges, words } = await bundle(options.file, module)
  const current = shared()
  const { corpus, milliseconds, seed } = options
  const limit = { seconds: options.patience ?? patience, megabytes: options.memory ?? memory }
  const task: Task = { module, edges, words, seed, corpus, milliseconds, shared: current.memory }
  const worker = new Worker(Path.join(import.meta.dirname, "worker.ts"), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: limit.megabytes }
  })
  const begun = Date.now()
  const seconds = () => (Date.now() - begun) / 1000
  let stand: Stand = { runs: 0, covered: 0, corpus: 0 }
  let beat = { count: -1, at: begun }

  return await new Promise<Result>((resolve, reject) => {
    let finished = false
    const finish = (cover?: ReadonlyArray<Uint8Array>): void => {
      finished = true
      clearInterval(watch)
      const result = { ...stand, edges, seconds: seconds(), cover }
      void worker.terminate().then(() => resolve(result))
    }
    const harmful = (problem: string): void => {
      options.onHarm({ input: current.input(), problem })
      finish()
    }
    const watch = setInterval(() => {
      const count = current.count()
      // Before the first input the target is being loaded.
      if (count !== beat.count || count === 0) beat = { count, at: Date.now() }
      else if (Date.now() - beat.at > limit.seconds * 1000) return harmful(`no end within ${limit.seconds} seconds`)
      options.onProgress(stand, edges, seconds())
    }, 1000)
    worker.on("message", (news: News) => {
      if (news._tag === "Harm") return options.onHarm(news.harm)
      stand = news.stand
      if (news._tag === "Done") finish(news.cover)
    })
    worker.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ERR_WORKER_OUT_OF_MEMORY") return harmful(`more than ${limit.megabytes} MB of memory`)
      finished = true
      clearInterval(watch)
      reject(error)
    })
    // Nothing is left that could go on, and the last input did not end: the promise it gave is forgotten.
    worker.on("exit", () => {
      if (!finished) harmful("never ends, and waits for nothing")
    })
  })
}
