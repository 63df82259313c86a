/**
 * The service most programs use: sends messages, and opens sessions for dialogues of
 * one's own.
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { open as openSession, type Security } from "../dialogue/Open.ts"
import { Connection } from "../dialogue/Program.ts"
import type { Session } from "../dialogue/Session.ts"
import type { Outcome } from "../dialogue/Outcome.ts"
import { deliver } from "../dialogue/Transaction.ts"
import * as Reason from "../outcome/Reason.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import type * as Transcript from "../outcome/Transcript.ts"
import * as Choose from "../sasl/Choose.ts"
import * as Mechanism from "../sasl/Mechanism.ts"
import * as Address from "../wire/Address.ts"
import * as Envelope from "../wire/Envelope.ts"
import type { Reply } from "../wire/Reply.ts"
import * as Connections from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import type { Observer } from "./SessionLog.ts"
import * as SmtpConfig from "./SmtpConfig.ts"
import type { TimeLimits } from "./TimeLimits.ts"
import { type TlsOptions, Transport } from "./Transport.ts"

/** How a client reaches and convinces its server. */
export interface Options {
  /** A URL, `host:port` or `host port`, as `Endpoint.parse` reads it, or an endpoint. */
  readonly endpoint: string | Endpoint.Endpoint
  /** How the connection is protected; overrides what the endpoint says. `auto` by default. */
  readonly security?: Endpoint.Mode | undefined
  /** Who to authenticate as; overrides user and password of a URL. */
  readonly credentials?: Mechanism.Credentials | undefined
  /** Which mechanisms, in which order; `Choose.standard` by default. */
  readonly authenticator?: Choose.Authenticator | undefined
  /** Trust, client certificate, lowest version; `serverName` is the host by default. */
  readonly tls?: Partial<TlsOptions> | undefined
  /** What this client calls itself in EHLO: its domain name or an address literal. */
  readonly domain?: string | undefined
  readonly timeLimits?: TimeLimits | undefined
  /** Told every event of every session as it happens, without secrets. */
  readonly observe?: Observer | undefined
}

/** A message to send: its envelope, and its content as it stands (headers, empty line, body; strings as UTF-8). */
export interface Message extends Envelope.Input {
  readonly content: Uint8Array | string
}

/** What the server took. At least one outcome is `Accepted`. */
export interface Receipt {
  /** The reply to the content: many servers name their queue id in it. */
  readonly reply: Reply
  /** What became of each recipient, in the order of the envelope. */
  readonly outcomes: ReadonlyArray<Outcome>
  readonly transcript: Transcript.Transcript
}

/** A connection with a session that is ready for mail. */
export interface Opened {
  readonly session: Session<"ready">
  readonly connection: Connections.Live
}

/**
 * Sends mail through one server.
 *
 * @example
 * ```ts
 * import { Mechanism, SmtpClient } from "@postern/core"
 * import { Effect, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* SmtpClient.SmtpClient
 *   return yield* client.send({
 *     from: "ann@example.org",
 *     to: "ben@example.net",
 *     content: "Subject: hello\n\nHello, Ben.\n"
 *   })
 * })
 *
 * const layer = SmtpClient.layer({
 *   endpoint: "mail.example.org:587",
 *   credentials: Mechanism.password("ann", Redacted.make("secret"))
 * })
 * const runnable = program.pipe(Effect.provide(layer)) // still needs a Transport
 * ```
 */
export class SmtpClient extends Context.Service<SmtpClient, {
  /**
   * Sends one message on a connection of its own. Succeeds when the server took it for
   * at least one recipient; fails with the reason otherwise. Bad input fails before
   * anything is opened. May be interrupted at any time: the connection is closed.
   */
  readonly send: (message: Message) => Effect.Effect<Receipt, SmtpError>
  /** Opens a session; it ends with the scope. */
  readonly open: Effect.Effect<Opened, SmtpError, Scope.Scope>
  /** Provides a `Connection` with a ready session to a dialogue of one's own. */
  readonly use: <A, E, R>(
    dialogue: (session: Session<"ready">) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SmtpError, Exclude<R, Connection>>
}>()("@postern/core/SmtpClient") {}

const invalid = (reason: Reason.Reason): SmtpError => new SmtpError({ reason, phase: "input", transcript: [] })

const defaultDomain = "[127.0.0.1]"

interface Settings {
  readonly options: Options
  readonly endpoint: Endpoint.Endpoint
  readonly domain: Address.Domain
  readonly tls: TlsOptions
  readonly credentials: Mechanism.Credentials | undefined
}

const settle = (options: Options): Result.Result<Settings, Reason.Of<"InvalidInput">> =>
  Result.gen(function*() {
    const given = typeof options.endpoint === "string"
      ? yield* Endpoint.parse(options.endpoint, options.security)
      : options.endpoint
    const endpoint = { ...given, mode: options.security ?? given.mode }
    const domain = yield* Result.mapError(
      Address.parseDomain(options.domain ?? defaultDomain),
      ({ problem }) => Reason.make("InvalidInput", { what: "the domain for EHLO", problem })
    )
    const fromUrl = endpoint.user === undefined || endpoint.password === undefined
      ? undefined
      : Mechanism.password(endpoint.user, endpoint.password)
    const half = fromUrl === undefined && (endpoint.user !== undefined || endpoint.password !== undefined)
    if (half && options.credentials === undefined) {
      return yield* Result.fail(
        Reason.make("InvalidInput", { what: "the endpoint", problem: "it names a user or a password, and not both" })
      )
    }
    const tls = { ...options.tls, serverName: options.tls?.serverName ?? endpoint.host }
    return { options, endpoint, domain, tls, credentials: options.credentials ?? fromUrl }
  })

/** A server that is silent, in `auto`, may wait for TLS: after this it is asked that way. */
const silence = "15 seconds" as const

// One attempt to hold a session; when it does not come about its connection closes at once.
const openWith = Effect.fnUntraced(function*(
  settings: Settings,
  security: Security,
  timeLimits: TimeLimits | undefined
): Effect.fn.Return<Opened, SmtpError, Scope.Scope | Transport> {
  const { credentials, domain, endpoint, options, tls } = settings
  const { host, port } = endpoint
  const authenticator = options.authenticator ?? Choose.standard
  const scope = yield* Scope.fork(yield* Effect.scope)
  const opening = Effect.gen(function*() {
    const connection = yield* Connections.open({ peer: { host, port }, security, timeLimits, observe: options.observe })
    const session = yield* connection.run(
      openSession({ host, port, domain, security, tls, credentials, authenticator })
    )
    return { session, connection }
  })
  return yield* Scope.provide(opening, scope).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
})

// `auto`: the other TLS mode where the server shows, or seems, to speak that one.
const openAny = (settings: Settings): Effect.Effect<Opened, SmtpError, Scope.Scope | Transport> => {
  const { timeLimits } = settings.options
  const [first, second] = Endpoint.securities(settings.endpoint)
  if (second === undefined) return openWith(settings, first, timeLimits)
  const probing = first === "tls" || timeLimits?.Greeting !== undefined
    ? timeLimits
    : { ...timeLimits, Greeting: silence }
  return Effect.catch(openWith(settings, first, probing), (error) => {
    const silent = error.reason._tag === "TimedOut" && error.reason.step === "Greeting" && first !== "tls"
    if (error.reason._tag === "TlsModeMismatch") return openWith(settings, second, timeLimits)
    return silent
      // If that is no TLS port either, the silence is the better explanation.
      ? Effect.catch(openWith(settings, second, timeLimits), (other) => Effect.fail(showsTls(other) ? other : error))
      : Effect.fail(error)
  })
}

// A certificate came, or more than the handshake.
const showsTls = ({ phase, reason }: SmtpError): boolean =>
  reason._tag === "CertificateRefused" || (phase !== "connect" && phase !== "tls")

/**
 * Makes a client. Fails with `InvalidInput` when an option is unusable: nothing is
 * opened to find that out.
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const settings = yield* Effect.mapError(Effect.fromResult(settle(options)), invalid)
  const transport = yield* Transport
  const { host, port } = settings.endpoint
  const attributes = { "server.address": host, "server.port": port, "network.protocol.name": "smtp" }

  const annotations = { "smtp.host": host, "smtp.port": port }

  const open = Effect.provideService(openAny(settings), Transport, transport).pipe(
    Effect.withSpan("SmtpClient.open", { attributes }),
    Effect.annotateLogs(annotations)
  )

  const send = Effect.fn("SmtpClient.send", { attributes })(
    function*(message: Message) {
      const envelope = yield* Effect.mapError(
        Effect.fromResult(Envelope.make(message)),
        ({ field, problem }) => invalid(Reason.make("InvalidInput", { what: `"${field}" of the envelope`, problem }))
      )
      const content = typeof message.content === "string" ? new TextEncoder().encode(message.content) : message.content
      yield* Effect.annotateCurrentSpan({
        "smtp.recipients": envelope.forwardPaths.length,
        "smtp.octets": content.length
      })
      const { connection, session } = yield* open
      const { outcomes, reply } = yield* connection.run(deliver(session, envelope, content))
      const receipt: Receipt = { reply, outcomes, transcript: yield* connection.transcript }
      return receipt
    },
    Effect.scoped,
    Effect.annotateLogs(annotations)
  )

  return SmtpClient.of({
    send,
    open,
    use: (dialogue) =>
      Effect.scoped(
        Effect.flatMap(open, ({ connection, session }) =>
          Effect.provideService(dialogue(session), Connection, connection))
      )
  })
})

/** The client as a layer over a `Transport`. Fails with `InvalidInput`. */
export const layer = (options: Options): Layer.Layer<SmtpClient, SmtpError, Transport> =>
  Layer.effect(SmtpClient, make(options))

/**
 * The client as `SmtpConfig.config` says, over a `Transport`. Options given here override.
 * Fails with a `ConfigError` when a variable cannot be read, `InvalidInput` when the
 * whole makes no sense.
 */
export const layerConfig = (
  overrides: Partial<Options> = {}
): Layer.Layer<SmtpClient, SmtpError | Config.ConfigError, Transport> =>
  Layer.effect(
    SmtpClient,
    Effect.gen(function*() {
      const settings = yield* SmtpConfig.config
      const options = yield* Effect.mapError(Effect.fromResult(SmtpConfig.toOptions(settings)), invalid)
      return yield* make({ ...options, ...overrides })
    })
  )
