import { assert, describe, it } from "@effect/vitest"
import { EnhancedStatus } from "@postern/core"
import { Schema } from "effect"

describe("EnhancedStatus", () => {
  const read: ReadonlyArray<readonly [number, string, string | undefined]> = [
    [550, "5.7.1 Relay access denied", "5.7.1"],
    [550, "5.7.1", "5.7.1"],
    [550, "5.7.1\ttab", "5.7.1"],
    [250, "2.0.0 ok", "2.0.0"],
    [450, "4.999.999 x", "4.999.999"],
    [550, "5.07.001 x", "5.7.1"],
    // The class has to be the first digit of the code (RFC 2034 §4).
    [450, "5.7.1 x", undefined],
    [550, "4.7.1 x", undefined],
    [250, "5.7.1 x", undefined],
    [354, "3.0.0 x", undefined],
    // It stands alone, and first.
    [550, " 5.7.1 x", undefined],
    [550, "5.7.1, x", undefined],
    [550, "5.7.1x", undefined],
    [550, "5.7.1.2 x", undefined],
    [550, "5.7 x", undefined],
    [550, "5.7.1000 x", undefined],
    [550, "sorry (#5.7.1)", undefined],
    [550, "", undefined]
  ]
  for (const [code, text, expected] of read) {
    it(`${code} ${JSON.stringify(text)} has ${expected ?? "none"}`, () => {
      const status = EnhancedStatus.fromText(code, text)
      assert.strictEqual(status && EnhancedStatus.format(status), expected)
    })
  }

  it("reads back what it formats", () => {
    for (const cls of [2, 4, 5] as const) {
      for (const [subject, detail] of [[0, 0], [7, 1], [999, 999], [1, 10]] as const) {
        const status = { class: cls, subject, detail }
        assert.deepStrictEqual(EnhancedStatus.fromText(cls * 100, EnhancedStatus.format(status)), status)
        assert.isTrue(Schema.is(EnhancedStatus.EnhancedStatus)(status))
      }
    }
  })

  it("is compares subject and detail", () => {
    const status = EnhancedStatus.fromText(550, "5.7.1")
    assert.isTrue(EnhancedStatus.is(status, 7, 1))
    assert.isFalse(EnhancedStatus.is(status, 7, 10))
    assert.isFalse(EnhancedStatus.is(status, 1, 1))
    assert.isFalse(EnhancedStatus.is(undefined, 7, 1))
  })

  it("strip takes away a code and the blanks behind it, nothing else", () => {
    const stripped = ["5.1.1 \t a", "5.1.1", "4.10.100 a", "5.1.1x", " a", "3.1.1 a"].map(EnhancedStatus.strip)
    assert.deepStrictEqual(stripped, ["a", "", "a", "5.1.1x", " a", "3.1.1 a"])
  })
})
