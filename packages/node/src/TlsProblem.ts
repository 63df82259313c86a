/**
 * What the errors of Node and OpenSSL mean. Alerts are told apart by their number
 * (RFC 8446 §6), since OpenSSL renames them between releases.
 */
import type { Transport } from "@postern/core"
import type * as Tls from "node:tls"

/** An error of Node; OpenSSL's carry their text without its trimmings as `reason`. */
export interface NodeError extends Error {
  readonly code?: string | undefined
  readonly reason?: string | undefined
}

/** The code of an error; `UNKNOWN` where the platform gives none. */
export const code = (error: NodeError): string => error.code ?? "UNKNOWN"

/** An error in words. */
export const detail = (error: NodeError): string => error.reason ?? error.message

/** What an error during the handshake means. */
export const ofHandshake = (error: NodeError, socket: Tls.TLSSocket): Transport.TransportProblem => {
  // Node sets it to the code of the error when it refused the certificate, though its type says Error.
  if (socket.authorizationError) {
    return {
      _tag: "CertificateRefused",
      problem: certificateProblems.get(code(error)) ?? "other",
      detail: detail(error)
    }
  }
  if (plaintext.has(code(error))) {
    return { _tag: "NotTls", firstBytes: undefined }
  }
  return ofAlert(error) ?? { _tag: "HandshakeFailed", code: code(error), detail: detail(error) }
}

/**
 * What an error after the handshake means. In TLS 1.3 the client is done before the server
 * has seen its certificate, so the refusal of one comes with the first read.
 */
export const ofConnection = (error: NodeError): Transport.TransportProblem =>
  (aboutClientCertificate.has(alertNumber(error) ?? 0) ? ofAlert(error) : undefined)
    ?? { _tag: "Broken", code: code(error), detail: detail(error) }

const certificateProblems: ReadonlyMap<string, Transport.CertificateProblem> = new Map([
  ["CERT_HAS_EXPIRED", "expired"],
  ["CERT_NOT_YET_VALID", "not-yet-valid"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "wrong-name"],
  ["UNABLE_TO_GET_ISSUER_CERT", "unknown-ca"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unknown-ca"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unknown-ca"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "unknown-ca"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed"],
  ["CERT_REVOKED", "revoked"]
])

/** How OpenSSL answers bytes that are not a TLS record. */
const plaintext: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_UNKNOWN_PROTOCOL",
  "ERR_SSL_HTTP_REQUEST"
])

/** From `bad_certificate` to `certificate_unknown`, `unknown_ca`, `access_denied`, `decrypt_error`, `certificate_required`. */
const aboutClientCertificate: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48, 49, 51, 116])

const alertNumber = (error: NodeError): number | undefined => {
  const number = /SSL alert number (\d+)/.exec(error.message)?.[1]
  return number === undefined ? undefined : Number(number)
}

const ofAlert = (error: NodeError): Transport.TransportProblem | undefined => {
  const number = alertNumber(error)
  return number === undefined
    ? undefined
    : { _tag: "HandshakeFailed", code: code(error), detail: `${advice(number)} (alert ${number}: ${detail(error)})` }
}

const advice = (alert: number): string => {
  if (alert === 116) {
    return "the server requires a client certificate"
  }
  if (aboutClientCertificate.has(alert)) {
    return "the server refused the client certificate"
  }
  if (alert === 70) {
    return "the server speaks no TLS version accepted here"
  }
  return alert === 40
    ? "no common parameters, or the server requires a client certificate"
    : "the server gave up the handshake"
}
