import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Kdf } from "effect/crypto"
import * as ScramKeys from "../../src/sasl/ScramKeys.ts"

const raw = Redacted.make
const utf8 = new TextEncoder()

describe("ScramKeys.cached", () => {
  it.effect("derives keys once while it remembers them", () =>
    Effect.gen(function*() {
      let derived = 0
      const kdf = yield* Effect.provide(Kdf.Kdf, Kdf.layerWebCrypto)
      const counting = Kdf.Kdf.of({
        derive: (...args) => {
          derived++
          return kdf.derive(...args)
        }
      })
      const derive = yield* ScramKeys.cached(2)
      const keys = (password: string, salt = "salt", hash: "SHA-1" | "SHA-256" = "SHA-1", iterations = 1) =>
        derive(hash, raw(password), utf8.encode(salt), iterations).pipe(
          Effect.provideService(Kdf.Kdf, counting),
          Effect.map(Redacted.value)
        )
      const a = yield* keys("a")
      assert.deepStrictEqual(yield* keys("a"), a)
      assert.strictEqual(derived, 1)
      yield* keys("b")
      yield* keys("a")
      assert.strictEqual(derived, 2)
      yield* keys("c") // forgets b, which was used the longest time ago
      yield* keys("a")
      assert.strictEqual(derived, 3)
      yield* keys("b")
      assert.strictEqual(derived, 4)
      for (
        const other of [
          keys("b", "salz"),
          keys("b", "salt", "SHA-256"),
          keys("b", "salt", "SHA-1", 2),
          keys("tb", "sal")
        ]
      ) {
        assert.notDeepEqual(yield* other, yield* keys("b"))
      }
    }))
})
