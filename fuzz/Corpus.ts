/**
 * The inputs that are worth mutating: for everything that was ever reached, the smallest input
 * that reaches it. What others reach as well with fewer octets drops out.
 */

/** An input with what it reaches: numbers of edges, each with how often, in eight classes. */
export interface Entry {
  readonly input: Uint8Array
  readonly reached: ReadonlyArray<number>
}

// Once more round a loop is nothing new, twice as often is.
const classOf = Uint8Array.from(
  { length: 256 },
  (_, count) =>
    count < 4 ? Math.max(0, count - 1) : count < 8 ? 3 : count < 16 ? 4 : count < 32 ? 5 : count < 128 ? 6 : 7
)

export class Corpus {
  /** The counters; a run starts with all of them at zero. They stop at 255. */
  readonly counters: Uint8ClampedArray<ArrayBuffer>
  readonly #words: Uint32Array
  readonly #best: Array<Entry | undefined> = []
  readonly #uses = new Map<Entry, number>()
  #entries: Array<Entry> = []
  #covered = 0

  constructor(edges: number) {
    this.counters = new Uint8ClampedArray(Math.ceil(edges / 4) * 4)
    this.#words = new Uint32Array(this.counters.buffer)
  }

  /** The oldest first. */
  get entries(): ReadonlyArray<Entry> {
    return this.#entries
  }

  /** How many edges were ever reached. */
  get covered(): number {
    return this.#covered
  }

  /** Takes the input that the counters stand for, when it reaches something new, or something known with fewer octets. */
  offer(input: Uint8Array): boolean {
    const reached: Array<number> = []
    let better = false
    for (let word = 0; word < this.#words.length; word++) {
      if (this.#words[word] === 0) continue
      for (let edge = word * 4; edge < word * 4 + 4; edge++) {
        const count = this.counters[edge] ?? 0
        if (count === 0) continue
        const place = edge * 8 + (classOf[count] ?? 0)
        const best = this.#best[place]
        better ||= best === undefined || input.length < best.input.length
        reached.push(place)
      }
    }
    if (better) this.#add({ input, reached })
    return better
  }

  #add(entry: Entry): void {
    let uses = 0
    for (const place of entry.reached) {
      const best = this.#best[place]
      if (best !== undefined && best.input.length <= entry.input.length) continue
      if (best === undefined) {
        const edge = place - place % 8
        let known = false
        for (let other = edge; other < edge + 8; other++) known ||= this.#best[other] !== undefined
        if (!known) this.#covered++
      } else this.#release(best)
      this.#best[place] = entry
      uses++
    }
    this.#uses.set(entry, uses)
    this.#entries.push(entry)
  }

  #release(entry: Entry): void {
    const uses = (this.#uses.get(entry) ?? 0) - 1
    if (uses > 0) this.#uses.set(entry, uses)
    else {
      this.#uses.delete(entry)
      this.#entries = this.#entries.filter((other) => other !== entry)
    }
  }

  /** At most so many inputs that together reach as many edges as so many can: greedily, the one that adds most first. */
  cover(most: number): ReadonlyArray<Uint8Array> {
    const chosen: Array<Uint8Array> = []
    const done = new Set<number>()
    const adds = ({ reached }: Entry) => {
      const fresh = new Set<number>()
      for (const place of reached) if (!done.has(place >> 3)) fresh.add(place >> 3)
      return fresh
    }
    while (chosen.length < most) {
      let best: { readonly entry: Entry; readonly fresh: ReadonlySet<number> } | undefined
      for (const entry of this.#entries) {
        const fresh = adds(entry)
        if (fresh.size > (best?.fresh.size ?? 0)) best = { entry, fresh }
      }
      if (best === undefined) break
      chosen.push(best.entry.input)
      for (const edge of best.fresh) done.add(edge)
    }
    return chosen
  }
}
