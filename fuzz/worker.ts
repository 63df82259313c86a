/**
 * Searches in a thread of its own, so that the main one sees when an input hangs.
 */
import * as Process from "node:process"
import { parentPort, workerData } from "node:worker_threads"
import { Corpus } from "./Corpus.ts"
import { Search, type Target } from "./Search.ts"
import { mostKept, type News, shared, type Stand, type Task } from "./task.ts"

const task = workerData as Task
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
const tell = (news: News): void => parentPort?.postMessage(news)

const corpus = new Corpus(task.edges)
Object.assign(globalThis, { __edges: corpus.counters })
Process.setSourceMapsEnabled(true)
const { fuzz } = await import(task.module) as { readonly fuzz: Target }

const search = new Search(fuzz, {
  corpus,
  words: task.words,
  seed: task.seed,
  before: shared(task.shared).announce
})
const stand = (): Stand => ({ runs: search.runs, covered: corpus.covered, corpus: corpus.entries.length })

const work = async (): Promise<void> => {
  for (const harm of await search.begin(task.corpus)) tell({ _tag: "Harm", harm })
  const end = performance.now() + task.milliseconds
  let told = performance.now()
  for (let turn = 0;; turn++) {
    if (turn % 16 === 0) {
      const now = performance.now()
      if (now >= end) break
      if (now - told >= 500) {
        told = now
        tell({ _tag: "Progress", stand: stand() })
        // Messages go out, and what was scheduled runs, between turns.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const harm = await search.turn()
    if (harm !== undefined) tell({ _tag: "Harm", harm })
  }
  tell({ _tag: "Done", stand: stand(), cover: corpus.cover(mostKept) })
}

// Not awaited here: a target that never ends is for the main thread to tell, not for Node.
void work()
