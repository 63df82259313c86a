/**
 * Everything that makes two runs of a program differ, made the same: time, random numbers,
 * random octets. Keys are derived on the spot, since virtual time does not see what waits
 * for Web Crypto.
 */
import * as CryptoError from "effect/crypto/CryptoError"
import * as Kdf from "effect/crypto/Kdf"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Crypto from "node:crypto"
import * as VirtualTime from "./VirtualTime.ts"

/** What it depends on. */
export interface Options extends VirtualTime.Options {
  /** Another seed, other random octets; `"postern"` unless given. */
  readonly seed?: string | number | undefined
}

/**
 * Virtual time, seeded random numbers and octets, and key derivation that does not wait.
 *
 * @example
 * ```ts
 * import { Deterministic } from "@postern/testing"
 * import { Clock, Effect, Random } from "effect"
 *
 * const program = Effect.all([Random.next, Effect.andThen(Effect.sleep("1 day"), Clock.currentTimeMillis)])
 * Effect.runPromise(Effect.provide(program, Deterministic.layer({ seed: 7 }))).then(console.log) // the same each time
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<SecureRandom.SecureRandom | Kdf.Kdf> =>
  Layer.mergeAll(VirtualTime.layer(options), random(options.seed), kdf)

/** Seeded random numbers and octets alone. */
export const random = (seed: string | number = "postern"): Layer.Layer<SecureRandom.SecureRandom> =>
  Layer.merge(
    Layer.effect(SecureRandom.SecureRandom, Effect.sync(() => SecureRandom.make(octets(seed)))),
    Layer.effect(Random.Random, Random.withSeed(Random.Random, seed))
  )

// Counter mode over SHA-256 of the seed: good enough to look random, and the same everywhere.
const octets = (seed: string | number) => {
  let counter = 0
  return (size: number): Uint8Array => {
    const out = new Uint8Array(size)
    for (let at = 0; at < size; at += 32) {
      const block = Crypto.createHash("sha256").update(`${seed} ${counter++}`).digest()
      out.set(block.subarray(0, size - at), at)
    }
    return out
  }
}

/** PBKDF2 and HKDF by `node:crypto`, on the spot. Argon2id fails. */
export const kdf: Layer.Layer<Kdf.Kdf> = Layer.succeed(Kdf.Kdf, {
  derive: (algorithm, secret, { info = new Uint8Array(0), length, salt }) =>
    Effect.try({
      try: () => {
        if (algorithm._tag === "Argon2id") throw new Error("Argon2id is not derived on the spot")
        const hash = algorithm.hash.name.replace("-", "").toLowerCase()
        return algorithm._tag === "Hkdf"
          ? new Uint8Array(Crypto.hkdfSync(hash, secret, salt, info, length))
          : new Uint8Array(Crypto.pbkdf2Sync(secret, salt, algorithm.iterations, length, hash))
      },
      catch: (cause) =>
        new CryptoError.CryptoError({
          module: "Kdf",
          method: "derive",
          reason: new CryptoError.InvalidArgument({ description: (cause as Error).message, cause })
        })
    })
})
