/**
 * Where the bytes go. A `Transport` opens a `Wire`; a `Wire` reads, writes and
 * upgrades to TLS in place. Everything above speaks SMTP over these three, so the
 * same program runs over TCP, an in-memory server or a recording.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ChannelBinding } from "../sasl/ChannelBinding.ts"

/** The host (name or address literal without brackets) and TCP port to dial. */
export interface Peer {
  readonly host: string
  readonly port: number
}

/** TLS versions by the names OpenSSL and Node use. */
export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"

/** A client certificate with its key, both PEM. */
export interface ClientCertificate {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
  readonly passphrase?: Redacted.Redacted<string> | undefined
}

/**
 * How TLS is to be spoken. There is no way to switch verification off: a server
 * outside the platform's trust is named by `ca` or by `fingerprint`.
 */
export interface TlsOptions {
  /** The name the certificate must carry (RFC 6125) and that goes into SNI. */
  readonly serverName: string
  /** The lowest version accepted; `TLSv1.2` unless named otherwise. */
  readonly minVersion?: TlsVersion | undefined
  /** PEM certificates to trust instead of the platform's. */
  readonly ca?: ReadonlyArray<string> | undefined
  /**
   * SHA-256 of the server's certificate (DER), in hex with or without colons. It
   * replaces chain and name verification: exactly this certificate is accepted.
   */
  readonly fingerprint?: string | undefined
  readonly client?: ClientCertificate | undefined
}

/** What is known about the server's certificate after the handshake. */
export interface PeerCertificate {
  readonly subject: string
  readonly issuer: string
  readonly validFrom: string
  readonly validTo: string
  /** SHA-256 of the DER, lowercase hex without colons. */
  readonly fingerprint: string
}

/** What the handshake agreed on. */
export interface TlsFacts {
  readonly version: TlsVersion
  /** The IANA name of the cipher suite, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  readonly serverName: string
  /** What the server's identity rests on. */
  readonly verifiedBy: "chain" | "fingerprint"
  readonly certificate: PeerCertificate | undefined
  /** What this channel can be bound by, the type to prefer first. */
  readonly channelBindings?: ReadonlyArray<ChannelBinding> | undefined
}

/** Why a certificate was not accepted. */
export type CertificateProblem =
  | "expired"
  | "not-yet-valid"
  | "wrong-name"
  | "unknown-ca"
  | "self-signed"
  | "wrong-fingerprint"
  | "revoked"
  | "other"

/** What can go wrong below SMTP. `code` is the platform's (`ECONNREFUSED`, …) where it gives one. */
export type TransportProblem =
  | {
    readonly _tag: "ConnectFailed"
    readonly host: string
    readonly port: number
    readonly code: string
    readonly detail: string
  }
  /** The other side ended the connection in good order (end of file). */
  | { readonly _tag: "Closed" }
  /** The connection broke: reset, unreachable, or written to after its end. */
  | { readonly _tag: "Broken"; readonly code: string; readonly detail: string }
  /** A TLS handshake was begun and the other side does not speak TLS. `firstBytes` holds what it said, where known. */
  | { readonly _tag: "NotTls"; readonly firstBytes: Uint8Array | undefined }
  | { readonly _tag: "CertificateRefused"; readonly problem: CertificateProblem; readonly detail: string }
  /** The handshake failed otherwise: no common version or cipher, client certificate refused, … */
  | { readonly _tag: "HandshakeFailed"; readonly code: string; readonly detail: string }
  /** Plaintext had arrived before the handshake (RFC 3207 §4.2 forbids using it): an injection attempt or a broken server. */
  | { readonly _tag: "PlaintextBuffered"; readonly bytes: Uint8Array }

/** The one error of a {@link Transport}; `reason` says what happened. */
export class TransportError extends Data.TaggedError("TransportError")<{
  readonly reason: TransportProblem
}> {
  override get message() {
    return describe(this.reason)
  }
}

const describe = (problem: TransportProblem): string => {
  switch (problem._tag) {
    case "ConnectFailed":
      return `cannot connect to ${problem.host}:${problem.port}: ${problem.detail}`
    case "Closed":
      return "the other side closed the connection"
    case "Broken":
      return `the connection broke: ${problem.detail}`
    case "NotTls":
      return "the other side does not speak TLS"
    case "CertificateRefused":
      return `the server's certificate is not acceptable (${problem.problem}): ${problem.detail}`
    case "HandshakeFailed":
      return `the TLS handshake failed: ${problem.detail}`
    case "PlaintextBuffered":
      return `${problem.bytes.length} bytes of plaintext arrived before the TLS handshake`
  }
}

/**
 * An open connection. One fibre uses it at a time; every effect may be interrupted,
 * and an interrupted `read` loses no bytes. After the scope that opened it closes,
 * every effect fails with `Closed` or `Broken`.
 */
export interface Wire {
  /**
   * The next bytes, never empty. Fails with `Closed` at the end, `Broken` when the
   * connection died, `HandshakeFailed` when the server refuses the client's certificate
   * after the handshake, as TLS 1.3 has it.
   */
  readonly read: Effect.Effect<Uint8Array, TransportError>
  /** Writes all of it; suspends while the other side takes no more. The bytes are not to be changed afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, TransportError>
  /**
   * Speaks TLS from here on, as the client. Fails with `PlaintextBuffered` when bytes
   * have been received and not read, with `NotTls`, `CertificateRefused` or
   * `HandshakeFailed`. After a failure the wire is closed.
   */
  readonly upgradeTls: (options: TlsOptions) => Effect.Effect<TlsFacts, TransportError>
}

/** Opens wires. `packages/node` gives it over TCP, `packages/testing` in memory. */
export class Transport extends Context.Service<Transport, {
  /** Connects; the wire closes with the scope. Fails with `ConnectFailed`. May be interrupted while dialling. */
  readonly open: (peer: Peer) => Effect.Effect<Wire, TransportError, Scope.Scope>
}>()("@postern/core/Transport") {}
