import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { LineCutter, type Piece } from "../../src/record/LineCutter.ts"

const pieces = (chunks: ReadonlyArray<Uint8Array>, longest: number): ReadonlyArray<Piece> => {
  const cutter = new LineCutter(longest)
  const found: Array<Piece> = []
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const { next, piece } = cutter.take(chunk, at)
      assert.isAbove(next, at)
      assert.isBelow(cutter.length, longest)
      at = next
      if (piece !== undefined) found.push(piece)
    }
  }
  const rest = cutter.flush()
  return rest === undefined ? found : [...found, rest]
}

describe("LineCutter", () => {
  it("gives lines and pieces of long ones, the same however they come, and loses nothing", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n"), maxLength: 60 })
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), fc.integer({ min: 1, max: 12 }), (texts, longest) => {
        const chunks = texts.map((text) => new Uint8Array(Buffer.from(text)))
        const found = pieces(chunks, longest)
        assert.deepStrictEqual(found, pieces([new Uint8Array(Buffer.from(texts.join("")))], longest))
        const shown = found.map(({ octets }) => Buffer.from(octets).toString())
        assert.strictEqual(shown.join(""), texts.join(""))
        for (const [i, { first, last }] of found.entries()) {
          assert.isAtMost(shown[i]?.length ?? 0, longest)
          assert.strictEqual(last, shown[i]?.endsWith("\n"))
          assert.strictEqual(first, i === 0 || shown[i - 1]?.endsWith("\n"))
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("keeps nothing that the transport may write over", () => {
    const chunk = new Uint8Array(Buffer.from("ab\nc"))
    const cutter = new LineCutter(9)
    const { piece } = cutter.take(chunk, 0)
    cutter.take(chunk, 3)
    chunk.fill(0)
    assert.deepStrictEqual([piece, cutter.flush()].map((piece) => Buffer.from(piece?.octets ?? []).toString()), [
      "ab\n",
      "c"
    ])
  })
})
