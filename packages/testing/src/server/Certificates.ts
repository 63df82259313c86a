/**
 * X.509 certificates made on the spot, so that tests of TLS need no files that expire.
 * ECDSA on P-256: a key takes less than a millisecond.
 */
import "reflect-metadata"
import * as X509 from "@peculiar/x509"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"
import type { webcrypto } from "node:crypto"

/** Making a certificate failed: a name or an address that X.509 cannot hold. */
export class CertificateError extends Data.TaggedError("CertificateError")<{
  readonly subject: string
  readonly cause: unknown
}> {
  override get message() {
    return `cannot make a certificate for ${this.subject}: ${String(this.cause)}`
  }
}

/** What a certificate says. */
export interface Options {
  /** The common name. */
  readonly name: string
  /** DNS names it is good for; a leading `*.` label is allowed. */
  readonly dns?: ReadonlyArray<string> | undefined
  /** IP addresses it is good for. */
  readonly ip?: ReadonlyArray<string> | undefined
  /** Milliseconds since the epoch; a day before now unless given. */
  readonly notBefore?: number | undefined
  /** Milliseconds since the epoch; a day after now unless given. */
  readonly notAfter?: number | undefined
  /** `server` unless given. A verifier refuses one in place of the other. */
  readonly use?: "server" | "client" | undefined
}

/** A certificate and its private key, both PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
  /** SHA-256 of the DER, lowercase hex without colons. */
  readonly fingerprint: string
}

/** A certificate authority in memory. */
export interface Authority {
  /** Its own certificate, PEM: what a client is to trust. */
  readonly certificate: string
  readonly issue: (options: Options) => Effect.Effect<Issued, CertificateError>
}

/**
 * An authority of the given common name. Times come from the `Clock`: under a `TestClock`
 * name them, or what it issues has expired long ago.
 *
 * @example
 * ```ts
 * import { Certificates } from "@postern/testing"
 * import { Effect } from "effect"
 *
 * export const expired = Effect.gen(function*() {
 *   const authority = yield* Certificates.authority("Test CA")
 *   return yield* authority.issue({ name: "mx", dns: ["mx.example.org"], notBefore: 0, notAfter: 1 })
 * })
 * ```
 */
export const authority = Effect.fnUntraced(function*(name: string): Effect.fn.Return<Authority, CertificateError> {
  const keys = yield* makeKeys(name)
  const identifier = yield* attempt(name, () => X509.SubjectKeyIdentifierExtension.create(keys.publicKey))
  const extensions = () => [
    new X509.BasicConstraintsExtension(true, undefined, true),
    new X509.KeyUsagesExtension(X509.KeyUsageFlags.keyCertSign | X509.KeyUsageFlags.cRLSign, true),
    identifier
  ]
  const certificate = yield* sign({ name }, keys, extensions, { name, key: keys.privateKey })
  return {
    certificate: certificate.toString("pem"),
    issue: (options) => issue(options, { name, key: keys.privateKey })
  }
})

/** A certificate that nobody vouches for but its own key. */
export const selfSigned = (options: Options): Effect.Effect<Issued, CertificateError> => issue(options, undefined)

interface Issuer {
  readonly name: string
  readonly key: webcrypto.CryptoKey
}

const issue = Effect.fnUntraced(function*(
  options: Options,
  issuer: Issuer | undefined
): Effect.fn.Return<Issued, CertificateError> {
  const { dns = [], ip = [], name, use = "server" } = options
  const names = [
    ...dns.map((value) => ({ type: "dns", value }) as const),
    ...ip.map((value) => ({ type: "ip", value }) as const)
  ]
  const keys = yield* makeKeys(name)
  const extensions = () => [
    new X509.BasicConstraintsExtension(false, undefined, true),
    new X509.KeyUsagesExtension(X509.KeyUsageFlags.digitalSignature, true),
    new X509.ExtendedKeyUsageExtension([X509.ExtendedKeyUsage[`${use}Auth`]]),
    // RFC 5280 §4.2.1.6: when present it holds at least one name.
    ...(names.length === 0 ? [] : [new X509.SubjectAlternativeNameExtension(names)])
  ]
  const certificate = yield* sign(options, keys, extensions, issuer ?? { name, key: keys.privateKey })
  const key = yield* attempt(name, () => crypto.subtle.exportKey("pkcs8", keys.privateKey))
  const digest = yield* attempt(name, () => certificate.getThumbprint("SHA-256"))
  return {
    certificate: certificate.toString("pem"),
    key: Redacted.make(X509.PemConverter.encode(key, X509.PemConverter.PrivateKeyTag)),
    fingerprint: Hex.encode(new Uint8Array(digest))
  }
})

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const makeKeys = (name: string): Effect.Effect<webcrypto.CryptoKeyPair, CertificateError> =>
  attempt(name, () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]))

const day = 24 * 60 * 60 * 1000

const sign = Effect.fnUntraced(function*(
  { name, notAfter, notBefore }: Options,
  keys: webcrypto.CryptoKeyPair,
  extensions: () => Array<X509.Extension>,
  issuer: Issuer
) {
  const now = yield* Clock.currentTimeMillis
  return yield* attempt(name, () =>
    X509.X509CertificateGenerator.create({
      subject: [{ CN: [name] }],
      issuer: [{ CN: [issuer.name] }],
      notBefore: new Date(notBefore ?? now - day),
      notAfter: new Date(notAfter ?? now + day),
      publicKey: keys.publicKey,
      signingKey: issuer.key,
      signingAlgorithm: algorithm,
      extensions: extensions()
    }))
})

const attempt = <A>(subject: string, make: () => Promise<A>): Effect.Effect<A, CertificateError> =>
  Effect.tryPromise({ try: make, catch: (cause) => new CertificateError({ subject, cause }) })
