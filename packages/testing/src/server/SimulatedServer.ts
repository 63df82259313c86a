/**
 * A mail server to test against: it behaves as its config says, and keeps what it was sent.
 *
 * {@link layer} is one in memory, {@link layerTcp} one on a socket, and {@link start} one on a
 * socket for programs and tests that know nothing of Effect.
 */
import { Transport } from "@postern/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Certificates from "./Certificates.ts"
import * as Inbox from "./Inbox.ts"
import * as InMemory from "./InMemory.ts"
import * as SimulatedConfig from "./SimulatedConfig.ts"
import type { Config, ConfigError } from "./SimulatedConfig.ts"
import type { Observed, Session } from "./Site.ts"
import * as TcpServer from "./TcpServer.ts"

export { type Config, ConfigError } from "./SimulatedConfig.ts"
export type { Session } from "./Site.ts"

/** A server that runs. */
export interface Running extends Pick<Observed, "idle" | "open" | "reset" | "resume" | "sessions" | "shutDown"> {
  /** Where it listens. In memory it is reached under any name. */
  readonly host: string
  readonly port: number
  /** PEM of the authority for clients to trust; undefined with a certificate of your own, or none. */
  readonly ca: ReadonlyArray<string> | undefined
  readonly inbox: Inbox.Inbox
}

/** The server that a test talks to. */
export class SimulatedServer extends Context.Service<SimulatedServer, Running>()("@postern/testing/SimulatedServer") {}

const running = (observed: Observed, host: string, port: number, ca: Running["ca"]): Running => {
  const { idle, open, reset, resume, sessions, shutDown } = observed
  return { host, port, ca, inbox: Inbox.make(observed), idle, open, reset, resume, sessions, shutDown }
}

/**
 * A server in memory, and the `Transport` that leads to it whatever the client's endpoint:
 * no socket, and the time of the fibers that use it, so that a test is the same each time.
 * Fails with `ConfigError`.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { SimulatedServer } from "@postern/testing"
 * import { Effect, Layer } from "effect"
 *
 * const server = SimulatedServer.layer({ replies: { "ben@example.org": "550 5.1.1 No such user" } })
 * const smtp = Layer.provideMerge(SmtpClient.layer({ endpoint: "mx.example:587" }), server)
 *
 * export const test = Effect.gen(function*() {
 *   const client = yield* SmtpClient.SmtpClient
 *   const { inbox } = yield* SimulatedServer.SimulatedServer
 *   const to = ["ben@example.org", "cat@example.org"]
 *   const receipt = yield* client.send({ from: "ann@example.org", to, content: "Subject: hello\n\nHello.\n" })
 *   const mail = yield* inbox.only()
 *   return [receipt.outcomes[0]?._tag, mail.subject, mail.envelope.to] // "Refused", "hello", ["cat@example.org"]
 * }).pipe(Effect.provide(smtp))
 * ```
 */
export const layer = (
  config: Config = {},
  options: InMemory.Options = {}
): Layer.Layer<SimulatedServer | Transport.Transport, ConfigError> =>
  Layer.effectContext(Effect.gen(function*() {
    const read = yield* SimulatedConfig.read(config)
    const server = yield* InMemory.make(read, options)
    return Context.make(Transport.Transport, server.transport).pipe(
      Context.add(SimulatedServer, running(server, read.hostname ?? "mx.example", 587, undefined))
    )
  }))

/** Where a server on a socket listens, and with which certificate. */
export interface TcpOptions extends Omit<TcpServer.Options, "tls"> {
  /**
   * The certificate. Unless given, one is made for `localhost`, the loopback addresses and the
   * `hostname`. `false`: there is no TLS, and AUTH is offered without it.
   */
  readonly tls?: TcpServer.TlsOptions | false | undefined
}

/** What a server on a socket fails to start with. */
export type StartError = Certificates.CertificateError | ConfigError | TcpServer.TcpServerError

/**
 * A server on a socket, on loopback and any free port unless told otherwise, until the layer's
 * scope closes; its time is the layer's `Clock`. It offers STARTTLS; a client is to trust its
 * `ca`. Fails with `ConfigError`, `CertificateError` and `TcpServerError`.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { NodeTransport } from "@postern/node"
 * import { SimulatedServer } from "@postern/testing"
 * import { Effect } from "effect"
 *
 * export const test = Effect.gen(function*() {
 *   const { ca, host, inbox, port } = yield* SimulatedServer.SimulatedServer
 *   const client = yield* SmtpClient.make({ endpoint: `${host}:${port}`, security: "startTls", tls: { ca } })
 *   yield* client.send({ from: "ann@example.org", to: "ben@example.org", content: "Subject: hello\n\nHello.\n" })
 *   return (yield* inbox.only()).received.tls // true
 * }).pipe(Effect.scoped, Effect.provide([NodeTransport.layer, SimulatedServer.layerTcp()]))
 * ```
 */
export const layerTcp = (config: Config = {}, options: TcpOptions = {}): Layer.Layer<SimulatedServer, StartError> =>
  Layer.effect(SimulatedServer, listen(config, options))

const listen = Effect.fnUntraced(function*(
  config: Config,
  { tls, ...options }: TcpOptions
): Effect.fn.Return<Running, StartError, Scope.Scope> {
  const read = yield* SimulatedConfig.read(config)
  if (tls === false) {
    const server = yield* TcpServer.make({ ...read, authBeforeTls: read.authBeforeTls ?? true }, options)
    return running(server, server.host, server.port, undefined)
  }
  const { ca, ...certificate } = tls === undefined ? yield* certify(read.hostname) : { ...tls, ca: undefined }
  const server = yield* TcpServer.make(read, { ...options, tls: certificate })
  return running(server, server.host, server.port, ca)
})

/** A certificate of an authority of its own. Clients look at it in real time, whatever the server's is. */
const certify = Effect.fnUntraced(function*(hostname: string | undefined) {
  const authority = yield* Certificates.authority("postern test authority")
  const names = { dns: ["localhost", ...hostname === undefined ? [] : [hostname]], ip: ["127.0.0.1", "::1"] }
  const { certificate, key } = yield* authority.issue({ name: "localhost", ...names })
  return { certificate, key, ca: [authority.certificate] }
}, Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))

/** A server for tests that know nothing of Effect. */
export interface Started {
  readonly host: string
  readonly port: number
  /** `smtp://127.0.0.1:2525`, or `smtps:` with `implicitTls`. */
  readonly url: string
  /** PEM of the authority for clients to trust; undefined with a certificate of your own, or none. */
  readonly ca: ReadonlyArray<string> | undefined
  /** The messages taken so far. Rejects with `MimeError` when one cannot be parsed. */
  messages(): Promise<ReadonlyArray<Inbox.Mail>>
  /** The first message that meets the criterion. Rejects with `InboxError`, which lists what did arrive. */
  waitForMessage(criterion?: Inbox.Criterion, options?: Inbox.WaitOptions): Promise<Inbox.Mail>
  /** The connections so far, with their commands. */
  sessions(): Promise<ReadonlyArray<Session>>
  /** Ends every connection with 421 4.3.2, and greets new ones so, until `resume`. */
  shutDown(): Promise<void>
  resume(): Promise<void>
  /** Forgets messages, sessions and clients: between two tests. */
  reset(): Promise<void>
  /** Stops it. Called twice it is the same. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a server on a socket, as {@link layerTcp}, for plain vitest, jest or node:test.
 * Rejects with `ConfigError`, `CertificateError` or `TcpServerError`.
 *
 * @example
 * ```ts
 * import { SimulatedServer } from "@postern/testing"
 *
 * const server = await SimulatedServer.start({ accounts: { ann: "secret" } })
 * // Point your program at server.host and server.port, have it trust server.ca, and let it send.
 * const mail = await server.waitForMessage({ to: "ben@example.org" })
 * console.log(mail.subject, mail.text)
 * await server.close()
 * ```
 */
export const start = (config: Config = {}, options: TcpOptions = {}): Promise<Started> => {
  const scope = Scope.makeUnsafe()
  const stop = Scope.close(scope, Exit.void)
  const close = () => Effect.runPromise(stop)
  return Effect.runPromise(
    listen(config, options).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.onError(() => stop),
      Effect.map((server): Started => ({
        host: server.host,
        port: server.port,
        url: `${config.implicitTls === true ? "smtps" : "smtp"}://${server.host}:${server.port}`,
        ca: server.ca,
        messages: () => Effect.runPromise(server.inbox.messages),
        waitForMessage: (criterion, options) => Effect.runPromise(server.inbox.waitFor(criterion, options)),
        sessions: () => Effect.runPromise(server.sessions),
        shutDown: () => Effect.runPromise(server.shutDown),
        resume: () => Effect.runPromise(server.resume),
        reset: () => Effect.runPromise(server.reset),
        close,
        [Symbol.asyncDispose]: close
      }))
    )
  )
}
