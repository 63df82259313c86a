import { assert, describe, it } from "@effect/vitest"
import { Deterministic } from "@postern/testing"
import { Clock, Effect, Exit, type Layer, Random } from "effect"
import { Digest, Kdf, SecureRandom } from "effect/crypto"

const drawn = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  const first = yield* random.randomBytes(70)
  yield* Effect.sleep("1 day")
  return {
    first,
    second: yield* random.randomBytes(8),
    number: yield* Random.next,
    now: yield* Clock.currentTimeMillis
  }
})

const run = (options?: Deterministic.Options) => Effect.runPromise(Effect.provide(drawn, Deterministic.layer(options)))

describe("Deterministic.layer", () => {
  it("gives the same each time, and other octets and numbers for another seed", async () => {
    const [one, two, other] = [await run({ seed: 7 }), await run({ seed: 7 }), await run({ seed: 8 })]
    assert.deepStrictEqual(one, two)
    assert.notDeepEqual(one.first, other.first)
    assert.notStrictEqual(one.number, other.number)
    assert.notDeepEqual(one.first.subarray(0, 8), one.second)
    assert.isAbove(new Set(one.first).size, 45, "all of a long array is drawn")
  })

  it("starts when it is told to", async () => {
    assert.strictEqual((await run()).now, 86_400_000)
    assert.strictEqual((await run({ start: 1_000 })).now, 86_401_000)
  })
})

describe("Deterministic.kdf", () => {
  const algorithms = [Digest.sha1, Digest.sha256, Digest.sha512].flatMap((hash) => [
    Kdf.pbkdf2({ hash, iterations: 100 }),
    Kdf.hkdf(hash)
  ])
  const secret = new TextEncoder().encode("secret")
  const salt = new TextEncoder().encode("salt of 16 bytes")

  const derive = (algorithm: Kdf.Algorithm, layer: Layer.Layer<Kdf.Kdf>) =>
    Effect.provide(Kdf.Kdf.use((kdf) => kdf.derive(algorithm, secret, { salt, length: 40 })), layer)

  it("derives what Web Crypto does, without waiting", async () => {
    for (const algorithm of algorithms) {
      const there = await Effect.runPromise(derive(algorithm, Kdf.layerWebCrypto))
      assert.deepStrictEqual(Effect.runSync(derive(algorithm, Deterministic.kdf)), there)
    }
  })

  it("fails where it cannot", () => {
    const argon = Kdf.argon2id()
    assert.isTrue(Exit.isFailure(Effect.runSyncExit(derive(argon, Deterministic.kdf))))
  })
})
