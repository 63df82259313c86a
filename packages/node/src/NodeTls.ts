/**
 * The TLS client handshake on a connected socket. Verification cannot be switched off:
 * the server is known by the chain and its name, or by one exact certificate.
 */
import { ChannelBinding, Transport } from "@postern/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { X509Certificate } from "node:crypto"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as TlsProblem from "./TlsProblem.ts"

/** A finished handshake: the socket that now takes and gives plaintext, and what was agreed on. */
export interface Secured {
  readonly socket: Tls.TLSSocket
  readonly facts: Transport.TlsFacts
}

/**
 * Speaks TLS over `socket`, which has no unread bytes. When it succeeds no application
 * data has been written. When it fails or is interrupted the caller destroys `socket`.
 */
export const handshake = Effect.fnUntraced(function*(
  socket: Net.Socket,
  options: Transport.TlsOptions
): Effect.fn.Return<Secured, Transport.TransportError> {
  const pin = options.fingerprint === undefined ? undefined : normalise(options.fingerprint)
  if (pin !== undefined && !/^[0-9a-f]{64}$/.test(pin)) {
    return yield* wrongFingerprint("the fingerprint asked for is not a SHA-256 in hex (64 digits, colons allowed)")
  }
  const context = contexts.get(options) ?? (yield* makeContext(options))
  contexts.set(options, context)
  const { secureContext } = context
  // A ticket serves once: whoever sees it twice could tell that both connections are one client's (RFC 8446 §C.4).
  const kept = context.sessions.pop()
  // What has expired since is not to be trusted again.
  const now = yield* Clock.currentTimeMillis
  const session = kept !== undefined && kept.certificate.validToDate.getTime() > now ? kept : undefined
  const secure = yield* connect(socket, {
    secureContext,
    ...(session === undefined ? {} : { session: session.ticket }),
    rejectUnauthorized: pin === undefined,
    // RFC 6066 §3 keeps addresses out of SNI. The certificate is checked against them all the same.
    ...(Net.isIP(options.serverName) === 0 ? { servername: options.serverName } : {}),
    checkServerIdentity: (_, certificate) => Tls.checkServerIdentity(options.serverName, certificate)
  })
  // A resumed session brings no certificate: it was verified by the one that it began with.
  const x509 = secure.isSessionReused() ? session?.certificate : secure.getPeerX509Certificate()
  const certificate = describe(x509)
  if (pin !== undefined && certificate?.fingerprint !== pin) {
    secure.destroy()
    return yield* wrongFingerprint(`the server's certificate has ${certificate?.fingerprint}, asked for was ${pin}`)
  }
  const keep = (ticket: Buffer): void => {
    if (x509 === undefined) return
    if (context.sessions.push({ ticket, certificate: x509 }) > mostSessions) context.sessions.shift()
  }
  // Under 1.3 tickets come with what the server says first (RFC 8446 §4.6.1); before, with the handshake.
  const known = secure.getProtocol() === "TLSv1.3" ? undefined : secure.getSession()
  if (known === undefined) secure.on("session", keep)
  else keep(known)
  return {
    socket: secure,
    facts: {
      version: secure.getProtocol() as Transport.TlsVersion,
      cipher: secure.getCipher().standardName,
      serverName: options.serverName,
      verifiedBy: pin === undefined ? "chain" : "fingerprint",
      certificate,
      channelBindings: channelBindings(secure, x509)
    }
  }
})

/** What connections with the same options share: they trust the same, and resume each other's sessions. */
interface Context {
  readonly secureContext: Tls.SecureContext
  readonly sessions: Array<{ readonly ticket: Buffer; readonly certificate: X509Certificate }>
}

// By identity: what a session was verified by is what it is resumed under.
const contexts = new WeakMap<Transport.TlsOptions, Context>()

/** Sessions that are kept for connections to come. */
const mostSessions = 16

// RFC 9266 makes the exporter the first choice under TLS 1.3. Under 1.2 it, and tls-unique,
// are safe only with the extended master secret, of which Node does not tell.
const channelBindings = (
  secure: Tls.TLSSocket,
  certificate: X509Certificate | undefined
): ReadonlyArray<ChannelBinding.ChannelBinding> => {
  const endPoint = certificate && ChannelBinding.serverEndPoint(new Uint8Array(certificate.raw))
  return [
    ...secure.getProtocol() === "TLSv1.3" ? [exporter(secure)] : [],
    ...endPoint === undefined ? [] : [endPoint]
  ]
}

const exporter = (secure: Tls.TLSSocket): ChannelBinding.ChannelBinding => ({
  type: "tls-exporter",
  data: new Uint8Array(secure.exportKeyingMaterial(32, ChannelBinding.exporterLabel, Buffer.alloc(0)))
})

const connect = (
  socket: Net.Socket,
  options: Tls.ConnectionOptions
): Effect.Effect<Tls.TLSSocket, Transport.TransportError> =>
  Effect.callback((resume) => {
    const fail = (reason: Transport.TransportProblem) => resume(Effect.fail(new Transport.TransportError({ reason })))
    const closed = () => fail({ _tag: "HandshakeFailed", code: "ECONNRESET", detail: "the connection was closed" })
    if (socket.destroyed) {
      // Over such a socket TLS reports nothing at all.
      return closed()
    }
    const secure = Tls.connect({ ...options, socket })
    // Stays on for good: what a socket reports with nobody listening ends the process.
    secure.on("error", (error) => fail(TlsProblem.ofHandshake(error, secure)))
    secure.once("close", closed)
    secure.once("secureConnect", () => resume(Effect.succeed(secure)))
    return Effect.sync(() => secure.destroy())
  })

const makeContext = Effect.fnUntraced(function*(options: Transport.TlsOptions) {
  const { ca, client, minVersion = "TLSv1.2" } = options
  for (const [index, pem] of (ca ?? []).entries()) {
    yield* usable(`ca[${index}] is not a certificate in PEM`, () => parseCertificates(pem))
  }
  const secureContext = yield* usable(
    "the client certificate or its key cannot be used",
    () =>
      Tls.createSecureContext({
        minVersion,
        // Below TLS 1.2 a lower bound alone has no effect: OpenSSL 3 speaks the old versions at security level 0 only.
        ...(minVersion === "TLSv1" || minVersion === "TLSv1.1"
          ? { ciphers: `${Tls.DEFAULT_CIPHERS}:@SECLEVEL=0` }
          : {}),
        ...(ca === undefined ? {} : { ca: [...ca] }),
        ...(client === undefined ? {} : {
          cert: client.certificate,
          key: Redacted.value(client.key),
          ...(client.passphrase === undefined ? {} : { passphrase: Redacted.value(client.passphrase) })
        })
      })
  )
  const context: Context = { secureContext, sessions: [] }
  return context
})

/** Node passes over what it cannot parse in `ca`; the mistake would show as an untrusted server. */
const parseCertificates = (pem: string) =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [pem])
    .map((certificate) => new X509Certificate(certificate))

const usable = <A>(otherwise: string, parse: () => A): Effect.Effect<A, Transport.TransportError> =>
  Effect.try({
    try: parse,
    catch: (cause) => {
      const error = cause as TlsProblem.NodeError
      const detail = `${otherwise}: ${TlsProblem.detail(error)}`
      return new Transport.TransportError({ reason: { _tag: "HandshakeFailed", code: TlsProblem.code(error), detail } })
    }
  })

const wrongFingerprint = (detail: string) =>
  Effect.fail(
    new Transport.TransportError({ reason: { _tag: "CertificateRefused", problem: "wrong-fingerprint", detail } })
  )

const describe = (certificate: X509Certificate | undefined): Transport.PeerCertificate | undefined =>
  certificate && {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    fingerprint: normalise(certificate.fingerprint256)
  }

/** Node writes a distinguished name with an attribute a line. */
const oneLine = (name: string): string => name.replaceAll("\n", ", ")

const normalise = (fingerprint: string): string => fingerprint.replaceAll(":", "").toLowerCase()
