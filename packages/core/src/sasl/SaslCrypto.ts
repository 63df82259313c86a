/**
 * What mechanisms need of the platform: random octets, and keys derived off the event
 * loop. Effect's own services are used where the program provides them, as tests do to
 * have every exchange reproduced; Web Crypto serves everywhere else.
 */
import * as Digest from "effect/crypto/Digest"
import * as Kdf from "effect/crypto/Kdf"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Mechanism from "./Mechanism.ts"

/** So many random octets. */
export const randomBytes = (size: number): Effect.Effect<Uint8Array> =>
  Effect.flatMap(
    Effect.serviceOption(SecureRandom.SecureRandom),
    Option.match({
      onNone: () => Effect.sync(() => crypto.getRandomValues(new Uint8Array(size))),
      onSome: (random) => random.randomBytes(size)
    })
  )

/** The hashes of SCRAM. */
export type Hash = "SHA-1" | "SHA-256" | "SHA-512"

const digests: Readonly<Record<Hash, Digest.Algorithm>> = {
  "SHA-1": Digest.sha1,
  "SHA-256": Digest.sha256,
  "SHA-512": Digest.sha512
}

/** PBKDF2 (RFC 8018 §5.2) with HMAC of the hash, as long as the hash is. Fails where the platform cannot. */
export const pbkdf2 = (
  hash: Hash,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number
): Effect.Effect<Uint8Array, Mechanism.SaslError> => {
  const algorithm = digests[hash]
  const derive = (kdf: Kdf.Kdf["Service"]) =>
    kdf.derive(Kdf.pbkdf2({ hash: algorithm, iterations }), password, { salt, length: algorithm.outputLength })
  return Effect.serviceOption(Kdf.Kdf).pipe(
    Effect.flatMap(Option.match({
      onNone: () => Effect.provide(Kdf.Kdf.use(derive), Kdf.layerWebCrypto),
      onSome: derive
    })),
    Effect.mapError(({ message }) => Mechanism.saslError("mechanism", `the key cannot be derived: ${message}`))
  )
}
