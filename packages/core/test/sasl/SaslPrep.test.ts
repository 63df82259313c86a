import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import * as SaslPrep from "../../src/sasl/SaslPrep.ts"
import file from "../vectors/SASLPREP.json" with { type: "json" }

const shown = (result: Result.Result<string, SaslPrep.Problem>): object =>
  Result.match(result, { onFailure: (problem) => ({ problem }), onSuccess: (text) => ({ text }) })

const expected = (text: string | null, error: string | null): object =>
  text === null ? { problem: /^(?:prohibited|unassigned)/.exec(error ?? "")?.[0] ?? "bidirectional" } : { text }

describe("SASLprep vectors", () => {
  it("are all here", () => assert.lengthOf(file.vectors, file.count))
  for (const { id, inputs, outcome } of file.vectors) {
    it(`${id}: query`, () => {
      assert.deepStrictEqual(shown(SaslPrep.query(inputs.input)), expected(outcome.query, outcome.queryError))
    })
    it(`${id}: stored`, () => {
      assert.deepStrictEqual(shown(SaslPrep.stored(inputs.input)), expected(outcome.stored, outcome.storedError))
    })
  }
})

describe("SASLprep", () => {
  const cases: ReadonlyArray<readonly [string, string, object]> = [
    ["a space between words", "pass\u00a0word", { text: "pass word" }],
    ["a newer character passes as a query", "🔑", { text: "🔑" }],
    ["half a character", "a\ud800", { problem: "prohibited" }],
    ["a private character", "\ue000", { problem: "prohibited" }],
    ["a private character of another plane", "\u{10fffd}", { problem: "prohibited" }],
    ["the replacement character", "\ufffd", { problem: "prohibited" }],
    ["DEL", "\u007f", { problem: "prohibited" }],
    ["a mark that was mapped away", "\u200e", { problem: "prohibited" }],
    ["Hebrew", "שלום", { text: "שלום" }],
    ["Hebrew with a digit inside", "ש1ם", { text: "ש1ם" }],
    ["Hebrew that begins with a digit", "1ש", { problem: "bidirectional" }],
    ["Hebrew with Latin inside", "שaש", { problem: "bidirectional" }]
  ]
  for (const [name, text, outcome] of cases) {
    it(name, () => assert.deepStrictEqual(shown(SaslPrep.query(text)), outcome))
  }

  it("does not store what Unicode 3.2 does not know", () => {
    for (const text of ["🔑", "\u0221", "\u{1f130}"]) {
      assert.deepStrictEqual(shown(SaslPrep.stored(text)), { problem: "unassigned" })
    }
  })

  it("leaves what it has prepared, and printable ASCII, as it is", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string())
    fc.assert(
      fc.property(text, (text) => {
        for (const prepare of [SaslPrep.query, SaslPrep.stored]) {
          const once = prepare(text)
          if (Result.isSuccess(once)) assert.deepStrictEqual(prepare(once.success), once)
        }
      }),
      { numRuns: 2000 }
    )
    fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (text) => {
      assert.deepStrictEqual(SaslPrep.stored(text), Result.succeed(text))
    }))
  })
})
