/**
 * Runs one target over and over, in a thread of its own: the main one sees when it hangs, and
 * on which input.
 */
import { parentPort, workerData } from "node:worker_threads"
import { mutate, random } from "./mutate.ts"
import type { News, Task } from "./task.ts"

const task = workerData as Task
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
const tell = (news: News): void => parentPort?.postMessage(news)

const edges = new Uint8Array(task.edges)
Object.assign(globalThis, { __edges: edges })
const { fuzz } = await import(task.module) as { fuzz: (input: Uint8Array) => unknown }

// How often, in eight classes: going round a loop once more is nothing new, twice as often is.
const classes = Uint8Array.from(
  { length: 256 },
  (_, n) => n === 0 ? 0 : n < 4 ? 1 << (n - 1) : n < 8 ? 8 : n < 16 ? 16 : n < 32 ? 32 : n < 128 ? 64 : 128
)
const seen = new Uint8Array(task.edges)
let covered = 0

/** True when this run went where none did before. */
const isNew = (): boolean => {
  let found = false
  for (let i = 0; i < edges.length; i++) {
    const bit = classes[edges[i] ?? 0] ?? 0
    const before = seen[i] ?? 0
    if ((bit & ~before) === 0) continue
    if (before === 0) covered++
    seen[i] = before | bit
    found = true
  }
  return found
}

const header = new Int32Array(task.shared, 0, 2)
const current = new Uint8Array(task.shared, 8)
let runs = 0

const run = async (input: Uint8Array): Promise<boolean> => {
  current.set(input.subarray(0, current.length))
  Atomics.store(header, 1, input.length)
  Atomics.store(header, 0, ++runs)
  edges.fill(0)
  try {
    const outcome = fuzz(input)
    if (outcome instanceof Promise) await outcome
  } catch (error) {
    tell({ _tag: "Crash", input, problem: error instanceof Error ? error.stack ?? error.message : String(error) })
    return false
  }
  return isNew()
}

const corpus: Array<Uint8Array> = []
for (const input of [new Uint8Array(0), ...task.corpus]) if (await run(input)) corpus.push(input)

const next = random(task.seed)
const pick = () =>
  corpus[next(2) === 0 ? next(corpus.length) : corpus.length - 1 - next(Math.min(8, corpus.length))]
    ?? new Uint8Array(0)
const end = performance.now() + task.milliseconds
let told = performance.now()
for (let turn = 0;; turn++) {
  if (turn % 64 === 0) {
    const now = performance.now()
    if (now >= end) break
    if (now - told >= 500) {
      told = now
      tell({ _tag: "Progress", runs, covered, corpus: corpus.length })
      // Messages go out, and what was scheduled runs, between turns.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const input = mutate(pick(), pick(), next)
  if (await run(input)) {
    corpus.push(input)
    tell({ _tag: "New", input })
  }
}
tell({ _tag: "Done", runs, covered, corpus: corpus.length })
