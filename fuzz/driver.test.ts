import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Corpus } from "./Corpus.ts"
import { hunt, type Options } from "./hunt.ts"
import { instrument } from "./instrument.ts"
import { longest, mutate, random } from "./mutate.ts"
import { type Harm, placeOf, Search, type Target } from "./Search.ts"

const utf8 = new TextEncoder()
const text = new TextDecoder()

/** The program's function `run`, counting; with which counters it moved. */
const counted = (source: string) => {
  const { edges, out, words } = instrument(source)
  const counters = new Uint8ClampedArray(edges)
  const run = new Function("__edges", `${out.toString()}\nreturn run`)(counters) as (
    ...given: Array<unknown>
  ) => unknown
  return {
    edges,
    words,
    run,
    reached: (...given: ReadonlyArray<unknown>): string => {
      counters.fill(0)
      run(...given)
      return counters.join()
    }
  }
}

describe("instrument", () => {
  it("counts where control branches, and changes nothing else", () => {
    const { reached, run } = counted(`
      function run(n, unit = "s") {
        let out = n > 2 ? "many" : "few"
        if (n === 1) if (unit === "s") out = "one"; else out = "one " + unit
        if (n === 7) return out + (n && unit)
        for (const part of [..."x".repeat(n)]) out += part
        switch (n) { case 3: out += "three"; break; default: out += "?" }
        out ||= "never"
        return out
      }`)
    assert.strictEqual(run(1), "onex?")
    assert.strictEqual(run(1, "m"), "one mx?")
    assert.strictEqual(run(3), "manyxxxthree")
    assert.strictEqual(run(7), "manys")
    const all = [[1], [1, "m"], [2], [3], [7]].map((given) => reached(...given))
    assert.strictEqual(new Set(all).size, all.length)
  })

  const differing: ReadonlyArray<readonly [string, string, unknown, unknown]> = [
    ["an else", "if (n) ; else void n", 1, 0],
    ["both sides of a choice", "n === 0 || (n > 1 ? 1 : 2)", 1, 2],
    ["a default value", "(([x = 1]) => x)(n)", [2], []],
    ["an assignment that may not be", "n ||= 1", 1, 0],
    ["a case", "switch (n) { case 1: void n }", 1, 2],
    ["a right side", "n && 1", 1, 0],
    ["a function that is not called", "[1].slice(n).map((x) => x)", 0, 1],
    ["a round more of a loop", "while (n > 0) n--", 1, 2],
    ["what is caught", "try { n.x } catch { void n }", {}, undefined]
  ]
  for (const [what, body, one, other] of differing) {
    it(`tells apart: ${what}`, () => {
      const { reached } = counted(`function run(n) { ${body} }`)
      assert.notStrictEqual(reached(structuredClone(one)), reached(structuredClone(other)))
    })
  }

  it("counts both ways, the one that is not written too", () => {
    for (const source of ["if (a) b", "if (a) { b } else c", "a ? b : c"]) {
      assert.strictEqual(instrument(source).edges, 2, source)
    }
  })

  it("gathers the words that sources hold, and no sentences", () => {
    const { words } = instrument(
      "const f = (x) => x === 'STARTTLS' ? `AUTH ${x}` : 'a sentence that is meant for people'"
    )
    assert.sameMembers([...words], ["STARTTLS", "AUTH "])
  })
})

describe("mutate", () => {
  const series = (seed: number): ReadonlyArray<string> => {
    const next = random(seed)
    let input = utf8.encode("250 ok\r\n")
    return Array.from({ length: 500 }, () => {
      input = Uint8Array.from(mutate(input, utf8.encode("354 go"), [utf8.encode("EHLO")], next))
      return input.join()
    })
  }

  it("makes the same of the same seed, and other things of another", () => {
    assert.deepStrictEqual(series(7), series(7))
    assert.notDeepEqual(series(7), series(8))
  })

  it("makes nothing longer than it may", () => {
    const next = random(1)
    const full = new Uint8Array(longest)
    for (let i = 0; i < 100; i++) assert.isAtMost(mutate(full, full, [full], next).length, longest)
  })
})

describe("Corpus", () => {
  const offer = (corpus: Corpus, input: string, ...counts: ReadonlyArray<number>) => {
    corpus.counters.fill(0)
    corpus.counters.set(counts)
    return corpus.offer(utf8.encode(input))
  }
  const inputs = (all: ReadonlyArray<Uint8Array>) => all.map((input) => text.decode(input))

  it("keeps what reaches something new, or the known more often by a class", () => {
    const corpus = new Corpus(3)
    assert.isTrue(offer(corpus, "a", 1, 0, 0))
    assert.isFalse(offer(corpus, "b", 1, 0, 0))
    assert.isTrue(offer(corpus, "c", 1, 0, 1))
    assert.isTrue(offer(corpus, "d", 20, 0, 0))
    assert.isFalse(offer(corpus, "e", 21, 0, 0))
    assert.strictEqual(corpus.covered, 2)
  })

  it("counts no further than it can", () => {
    const corpus = new Corpus(1)
    for (let n = 0; n < 256; n++) corpus.counters[0]!++
    assert.isTrue(corpus.offer(utf8.encode("often")))
  })

  it("drops what a shorter input reaches as well", () => {
    const corpus = new Corpus(3)
    offer(corpus, "long", 1, 1, 0)
    offer(corpus, "s", 1, 0, 0)
    assert.deepStrictEqual(inputs(corpus.entries.map(({ input }) => input)), ["long", "s"])
    offer(corpus, "t", 0, 1, 0)
    assert.deepStrictEqual(inputs(corpus.entries.map(({ input }) => input)), ["s", "t"])
    assert.strictEqual(corpus.covered, 2)
  })

  it("covers with few: first the one that adds most", () => {
    const corpus = new Corpus(4)
    offer(corpus, "a", 1, 0, 0, 0)
    offer(corpus, "bcd", 1, 1, 1, 0)
    offer(corpus, "e", 0, 0, 0, 1)
    assert.deepStrictEqual(inputs(corpus.cover(60)), ["bcd", "e"])
    assert.deepStrictEqual(inputs(corpus.cover(1)), ["bcd"])
  })
})

/** Fails only on what begins with "421-", then a tab, behind a line: four branches deep. */
const planted = `
function run(input) {
  const at = input.indexOf(10) + 1
  if (at > 0) if (input[at] === 52) if (input[at + 1] === 50) if (input[at + 2] === 49) if (input[at + 3] === 9) throw new RangeError("planted")
}`

const search = (seed: number, blind = false) => {
  const { edges, out, words } = instrument(planted)
  const corpus = new Corpus(edges)
  if (blind) corpus.offer = () => false
  const target = new Function("__edges", `${out.toString()}\nreturn run`)(corpus.counters) as Target
  return new Search(target, { corpus, words, seed })
}

const firstHarm = async (all: Search, turns: number): Promise<Harm | undefined> => {
  await all.begin([utf8.encode("220 mx\r\n")])
  for (let turn = 0; turn < turns; turn++) {
    const harm = await all.turn()
    if (harm !== undefined) return harm
  }
  return undefined
}

describe("Search", () => {
  it("finds what lies behind branches, makes it small, and finds it again", async () => {
    const harm = await firstHarm(search(1), 200_000)
    assert.strictEqual(text.decode(harm?.input), "\n421\t")
    assert.match(harm?.problem ?? "", /RangeError: planted/)
    assert.deepStrictEqual((await firstHarm(search(1), 200_000))?.input, harm?.input)
  })

  it("is guided by what is reached: blind it finds nothing in as many turns", async () => {
    const guided = search(2)
    assert.isDefined(await firstHarm(guided, 200_000))
    assert.isUndefined(await firstHarm(search(2, true), guided.runs))
  })

  it("tells each kind of harm once", async () => {
    const corpus = new Corpus(4)
    const all = new Search(() => {
      throw new Error(`${Math.random()}`)
    }, { corpus, words: [], seed: 1 })
    assert.lengthOf(await all.begin([]), 1)
    assert.isUndefined(await firstHarm(all, 100))
  })

  it("tells harm apart by where it was done", () => {
    const frames = "\n    at node:internal:1\n    at f (a.ts:1:2)\n    at g (b.ts:3:4)"
    assert.strictEqual(
      placeOf(`TypeError: x${frames}`),
      placeOf(`TypeError: x${frames.replace("internal:1", "other:2")}`)
    )
    assert.notStrictEqual(
      placeOf(`TypeError: x${frames}`),
      placeOf(`TypeError: x${frames.replace("a.ts:1", "a.ts:9")}`)
    )
    assert.strictEqual(placeOf(`TypeError: x${frames}`), placeOf(`TypeError: another x${frames}`))
    assert.notStrictEqual(placeOf(`TypeError: x${frames}`), placeOf(`RangeError: x${frames}`))
  })
})

describe("hunt", () => {
  const hunted = async (body: string, options: Partial<Options> = {}) => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "postern-fuzz-"))
    const harm: Array<Harm> = []
    try {
      const file = Path.join(folder, `hunted-${Path.basename(folder)}.ts`)
      Fs.writeFileSync(file, `export const fuzz = (input: Uint8Array) => { ${body} }`)
      const result = await hunt({
        file,
        seed: 1,
        milliseconds: 500,
        corpus: [],
        onHarm: (found) => harm.push(found),
        onProgress: () => undefined,
        ...options
      })
      return { result, harm }
    } finally {
      Fs.rmSync(folder, { recursive: true })
    }
  }

  it("runs a target in a thread and gives what covers it", async () => {
    const { harm, result } = await hunted("return input[0] === 7 ? 1 : 2")
    assert.isEmpty(harm)
    assert.strictEqual(result.covered, result.edges)
    assert.isAbove(result.runs, 100)
    assert.isNotEmpty(result.cover)
  })

  it("tells what throws, by its place in the source", async () => {
    const { harm, result } = await hunted("if (input[0] === 7) throw new RangeError('planted')", {
      corpus: [Uint8Array.of(7)]
    })
    assert.lengthOf(harm, 1)
    assert.match(harm[0]?.problem ?? "", /RangeError: planted\n.*hunted-.*\.ts:1:/)
    assert.isDefined(result.cover)
  })

  it("ends an input that does not end", async () => {
    const { harm, result } = await hunted("while (input[0] === 7);", { corpus: [Uint8Array.of(7, 8)], patience: 1 })
    assert.deepStrictEqual(harm.map(({ input }) => [...input]), [[7, 8]])
    assert.match(harm[0]?.problem ?? "", /no end/)
    assert.isUndefined(result.cover)
  })

  it("ends an input that waits for nothing", async () => {
    const { harm } = await hunted("if (input[0] === 7) return new Promise(() => {})", { corpus: [Uint8Array.of(7)] })
    assert.deepStrictEqual(harm.map(({ input }) => [...input]), [[7]])
    assert.match(harm[0]?.problem ?? "", /never ends/)
  })

  it("ends an input that takes all memory", async () => {
    const { harm } = await hunted("const all: Array<unknown> = []; while (input[0] === 7) all.push([all.length])", {
      corpus: [Uint8Array.of(7)],
      memory: 32
    })
    assert.deepStrictEqual(harm.map(({ input }) => [...input]), [[7]])
    assert.match(harm[0]?.problem ?? "", /MB of memory/)
  })

  it("fails where the target cannot be loaded", async () => {
    const problem = await hunted("}; throw new Error('not this one'); {").then(
      () => undefined,
      (error: unknown) => error
    )
    assert.match(String(problem), /not this one/)
  })
})
