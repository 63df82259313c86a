/**
 * The search itself: mutates what reached something new, and keeps what reaches more. With the
 * same seed it makes the same inputs in the same order.
 */
import type { Corpus } from "./Corpus.ts"
import { mutate, random } from "./mutate.ts"

/** A target: throws when a law does not hold. */
export type Target = (input: Uint8Array) => unknown

/** An input that did harm. */
export interface Harm {
  readonly input: Uint8Array
  readonly problem: string
}

export interface Options {
  readonly corpus: Corpus
  readonly words: ReadonlyArray<string>
  readonly seed: number
  /** Told each input before it runs. */
  readonly before?: ((input: Uint8Array) => void) | undefined
}

/** Runs that a find may cost to be made small. */
const shrinkingRuns = 2000

const problemOf = (error: unknown): string =>
  error instanceof Error ? error.stack ?? `${error.name}: ${error.message}` : String(error)

/** Where harm was done, without what it was done with: what tells one find from another. */
export const placeOf = (problem: string): string => {
  const [what = ""] = problem.split("\n")
  const frame = problem.split("\n").find((line) => /^ +at /.test(line) && !line.includes("node:"))
  return frame === undefined ? what : `${/^\w*/.exec(what)?.[0] ?? ""}${frame}`
}

export class Search {
  runs = 0
  readonly #target: Target
  readonly #options: Options
  readonly #next: (below: number) => number
  readonly #words: ReadonlyArray<Uint8Array>
  readonly #places = new Set<string>()

  constructor(target: Target, options: Options) {
    this.#target = target
    this.#options = options
    this.#next = random(options.seed)
    this.#words = options.words.map((word) => new TextEncoder().encode(word))
  }

  /** Runs inputs as they are: the corpus of earlier searches. */
  async begin(inputs: ReadonlyArray<Uint8Array>): Promise<ReadonlyArray<Harm>> {
    const harm: Array<Harm> = []
    for (const input of [new Uint8Array(0), ...inputs]) {
      const problem = await this.#run(input)
      if (problem === undefined) this.#options.corpus.offer(input)
      else if (this.#isNew(problem)) harm.push({ input, problem })
    }
    return harm
  }

  /** Makes one input and runs it. Harm of a new kind is told, made as small as it can be. */
  async turn(): Promise<Harm | undefined> {
    const input = mutate(this.#pick(), this.#pick(), this.#words, this.#next)
    const problem = await this.#run(input)
    if (problem === undefined) {
      this.#options.corpus.offer(input)
      return undefined
    }
    return this.#isNew(problem) ? await this.#shrink({ input, problem }) : undefined
  }

  async #run(input: Uint8Array): Promise<string | undefined> {
    this.runs++
    this.#options.before?.(input)
    this.#options.corpus.counters.fill(0)
    try {
      const outcome = this.#target(input)
      // Not awaited when there is nothing to wait for: that would cost more than many a run.
      if (outcome instanceof Promise) await outcome
      return undefined
    } catch (error) {
      return problemOf(error)
    }
  }

  #isNew(problem: string): boolean {
    const place = placeOf(problem)
    if (this.#places.has(place)) return false
    this.#places.add(place)
    return true
  }

  // The newest have had least time.
  #pick(): Uint8Array {
    const { entries } = this.#options.corpus
    const at = this.#next(2) === 0
      ? this.#next(entries.length)
      : entries.length - 1 - this.#next(Math.min(8, entries.length))
    return entries[at]?.input ?? new Uint8Array(0)
  }

  // Leaves out ever smaller parts while the harm remains the same.
  async #shrink(harm: Harm): Promise<Harm> {
    const place = placeOf(harm.problem)
    const last = this.runs + shrinkingRuns
    let smallest = harm
    for (let size = harm.input.length >> 1; size > 0 && this.runs < last; size >>= 1) {
      for (let at = 0; at < smallest.input.length && this.runs < last;) {
        const input = Uint8Array.from([...smallest.input.subarray(0, at), ...smallest.input.subarray(at + size)])
        const problem = await this.#run(input)
        if (problem !== undefined && placeOf(problem) === place) smallest = { input, problem }
        else at += size
      }
    }
    return smallest
  }
}
