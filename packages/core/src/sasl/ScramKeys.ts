/**
 * The keys of SCRAM (RFC 5802 §3), and a cache of them. Deriving them is slow on
 * purpose, and the same for each connection of one user to one server.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { sha1 } from "@noble/hashes/legacy.js"
import { sha256, sha512 } from "@noble/hashes/sha2.js"
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Mechanism from "./Mechanism.ts"
import * as SaslCrypto from "./SaslCrypto.ts"

/** The hash functions themselves. */
export const hashes = { "SHA-1": sha1, "SHA-256": sha256, "SHA-512": sha512 } as const

/** What a SaltedPassword is good for. As secret as the password: who has it can log in. */
export interface ScramKeys {
  readonly clientKey: Uint8Array
  readonly serverKey: Uint8Array
}

const utf8 = new TextEncoder()

/** The keys that a SaltedPassword holds. */
export const fromSalted = (hash: SaslCrypto.Hash, salted: Uint8Array): Redacted.Redacted<ScramKeys> =>
  Redacted.make({
    clientKey: hmac(hashes[hash], salted, utf8.encode("Client Key")),
    serverKey: hmac(hashes[hash], salted, utf8.encode("Server Key"))
  })

/** Derives keys from a prepared password. */
export type Derive = (
  hash: SaslCrypto.Hash,
  password: Redacted.Redacted<string>,
  salt: Uint8Array,
  iterations: number
) => Effect.Effect<Redacted.Redacted<ScramKeys>, Mechanism.SaslError>

/** Derives them anew each time. */
export const derive: Derive = (hash, password, salt, iterations) =>
  Effect.map(
    SaslCrypto.pbkdf2(hash, utf8.encode(Redacted.value(password)), salt, iterations),
    (salted) => fromSalted(hash, salted)
  )

/** How SCRAM clients come by their keys: {@link derive}, unless a program provides a {@link cached} one. */
export const Keys: Context.Reference<Derive> = Context.Reference<Derive>("@postern/core/ScramKeys", {
  defaultValue: () => derive
})

/**
 * A {@link Derive} that remembers the keys it was last asked for, so many at most
 * (RFC 5802 §5.1). It remembers no password, only a MAC of it under a key of its own.
 *
 * @example
 * ```ts
 * import { ScramKeys } from "@postern/core"
 * import { Effect, Layer } from "effect"
 *
 * const CachedKeys = Layer.effect(ScramKeys.Keys, ScramKeys.cached(16))
 * ```
 */
export const cached = (capacity: number): Effect.Effect<Derive> =>
  Effect.map(SaslCrypto.randomBytes(32), (macKey): Derive => {
    const known = new Map<string, Redacted.Redacted<ScramKeys>>()
    return (hash, password, salt, iterations) =>
      Effect.suspend(() => {
        // The salt's length keeps salt and password apart.
        const parameters = utf8.encode(`${hash},${iterations},${salt.length},`)
        const octets = concatBytes(parameters, salt, utf8.encode(Redacted.value(password)))
        const name = bytesToHex(hmac(sha256, macKey, octets))
        const remember = (keys: Redacted.Redacted<ScramKeys>) => {
          known.delete(name)
          known.set(name, keys)
          for (const oldest of known.keys()) {
            if (known.size <= capacity) break
            known.delete(oldest)
          }
          return keys
        }
        const keys = known.get(name)
        return keys === undefined
          ? Effect.map(derive(hash, password, salt, iterations), remember)
          : Effect.sync(() => remember(keys))
      })
  })
