import { assert, describe, it } from "@effect/vitest"
import { Key } from "@postern/testing"
import { Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import { key } from "./support.ts"

const made = Result.getOrThrow(Key.Key.make(key))
const other = Result.getOrThrow(Key.Key.make(Redacted.make("another key of at least thirty-two characters")))
const secret = new TextEncoder().encode("a secret")

describe("Key", () => {
  it("has at least 32 characters", () => {
    const short = Key.Key.make(Redacted.make("k".repeat(31)))
    assert.strictEqual(Result.isFailure(short) ? short.failure.problem : undefined, "too short")
    assert.isTrue(Result.isSuccess(Key.Key.make(Redacted.make("k".repeat(32)))))
  })

  it("unseals what it sealed, and nothing else", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
      const sealed = made.seal(octets)
      assert.deepStrictEqual(made.unseal(sealed), Result.succeed(new Uint8Array(octets)))
      assert.notStrictEqual(made.seal(octets), sealed)
      const opened = other.unseal(sealed)
      assert.strictEqual(Result.isFailure(opened) ? opened.failure.problem : undefined, "damaged")
    }))
  })

  it("notices any change of what is sealed", () => {
    const sealed = Buffer.from(made.seal(secret), "base64")
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      assert.isTrue(Result.isFailure(made.unseal(damaged.toString("base64"))), `octet ${at}`)
      assert.isTrue(Result.isFailure(made.unseal(sealed.subarray(0, at).toString("base64"))), `cut at ${at}`)
    }
    fc.assert(fc.property(fc.string(), (text) => assert.isTrue(Result.isFailure(made.unseal(text)))))
  })

  it("tells keys apart, and shows nothing of itself", () => {
    assert.strictEqual(made.hash(secret), Result.getOrThrow(Key.Key.make(key)).hash(secret))
    assert.notStrictEqual(made.hash(secret), other.hash(secret))
    assert.notStrictEqual(made.check, other.check)
    assert.match(made.check, /^[0-9a-f]{16}$/)
    assert.notInclude(inspect(made, { depth: 9, showHidden: true }) + JSON.stringify(made) + String(made), "thirty-two")
  })
})
