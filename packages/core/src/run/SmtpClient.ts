/**
 * The service most programs use: sends messages, and opens sessions for dialogues of
 * one's own.
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type * as Body from "../dialogue/Body.ts"
import { Connection } from "../dialogue/Program.ts"
import type { Session } from "../dialogue/Session.ts"
import type { Delivery, Policy } from "../dialogue/Outcome.ts"
import * as Transaction from "../dialogue/Transaction.ts"
import * as Reason from "../outcome/Reason.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import type * as Transcript from "../outcome/Transcript.ts"
import type * as Choose from "../sasl/Choose.ts"
import type * as Mechanism from "../sasl/Mechanism.ts"
import * as Envelope from "../wire/Envelope.ts"
import type * as Connections from "./Connection.ts"
import type * as Endpoint from "./Endpoint.ts"
import { dial, type Dialled, settle } from "./Dial.ts"
import { sendAll } from "./SendAll.ts"
import { type Progress, progress } from "./Progress.ts"
import type { Observer, Watch } from "./SessionLog.ts"
import * as SmtpConfig from "./SmtpConfig.ts"
import * as Source from "./Source.ts"
import { Telemetry } from "./Telemetry.ts"
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
  /** Extensions, by their EHLO keywords, that are not used though the server offers them: `["CHUNKING"]`. */
  readonly without?: ReadonlyArray<string> | undefined
  /**
   * Makes of content one that needs no extension, where the server lacks 8BITMIME,
   * BINARYMIME or SMTPUTF8 and the content needs it (`NodeMime.toSevenBit` does). Without
   * it such a message fails with `ExtensionMissing`.
   */
  readonly convert?: ((content: Uint8Array) => Effect.Effect<Uint8Array, unknown>) | undefined
  /** Told every event of every session as it happens, without secrets. */
  readonly observe?: Observer | undefined
}

/** A message to send: its envelope, and its content as it stands (header fields, empty line, body). */
export interface Message extends Envelope.Input {
  readonly content: Source.Source
  /** When it counts as sent: when `any` recipient is accepted (the default), `all` are, or `each` by a transaction of its own. */
  readonly policy?: Policy | undefined
  /** The content is not text: its line ends stay as they are. Needs CHUNKING and BINARYMIME (RFC 3030). */
  readonly binary?: boolean | undefined
}

/** What the server took. At least one outcome is `Accepted`. */
export interface Receipt extends Delivery {
  readonly transcript: Transcript.Transcript
}

/** A message of many, and what became of it. */
export interface Sent {
  readonly message: Message
  readonly result: Result.Result<Delivery, SmtpError>
}

/** A connection with a session that is ready for mail. */
export interface Opened {
  readonly session: Session<"ready">
  readonly connection: Connections.Live
  /** Sends one message on this connection; as `send` of the client otherwise. */
  readonly send: (message: Message, watch?: Watch) => Effect.Effect<Receipt, SmtpError>
  /** Sends messages on this connection alone; as `sendAll` of the client otherwise. Fails when the connection ends before them. */
  readonly sendAll: <E, R>(messages: Stream.Stream<Message, E, R>) => Stream.Stream<Sent, E | SmtpError, R>
  /** What the session still takes by the limits that the server names (RFC 9422). */
  readonly budget: Transaction.Budget
  /** True while another message may be sent on it: see {@link Connections.Live}. */
  readonly usable: Effect.Effect<boolean>
  /** Counts in the metrics a message that was sent on it otherwise than by `send`. */
  readonly count: (message: Envelope.Input, result: Result.Result<Delivery, Reason.Reason>) => void
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
  /** As `send`; tells how far it is, for long content. */
  readonly sendWithProgress: (message: Message) => Stream.Stream<Progress, SmtpError>
  /**
   * Sends messages one behind the other on one connection, as many on the way as the
   * server's extensions allow (PIPELINING, CHUNKING). Results come in the order of the
   * messages, each its own. When the connection breaks, those without a reply to their
   * content are in doubt; those that were not begun go out on a new one. Fails when no
   * connection can be opened, or when the given stream does: what was settled before has
   * come by then, and what has not come was not sent.
   */
  readonly sendAll: <E, R>(messages: Stream.Stream<Message, E, R>) => Stream.Stream<Sent, E | SmtpError, R>
  /** Opens a session; it ends with the scope. */
  readonly open: Effect.Effect<Opened, SmtpError, Scope.Scope>
  /** Provides a `Connection` with a ready session to a dialogue of one's own. */
  readonly use: <A, E, R>(
    dialogue: (session: Session<"ready">) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SmtpError, Exclude<R, Connection>>
}>()("@postern/core/SmtpClient") {}

const invalid = (reason: Reason.Reason): SmtpError => new SmtpError({ reason, phase: "input", transcript: [] })

/** Milliseconds for which a connection need not be asked whether it is still there before content goes out. */
const fresh = 1000

const readEnvelope = (message: Message): Result.Result<Envelope.Envelope, Reason.Of<"InvalidInput">> =>
  Result.mapError(
    Envelope.make(message),
    ({ field, problem }) => Reason.make("InvalidInput", { what: `"${field}" of the envelope`, problem })
  )

/** From what a caller gives to what a transaction takes. */
export const ready = ({ convert }: Pick<Options, "convert">) => {
  const converting: Transaction.Convert | undefined = convert
    && ((content) =>
      Effect.mapError(
        convert(content),
        (error) =>
          Reason.make("ContentUnavailable", {
            detail: `it could not be converted: ${error instanceof Error ? error.message : String(error)}`
          })
      ))
  const made = (message: Message, envelope: Envelope.Envelope, body: Body.Body): Transaction.Message => ({
    envelope,
    body,
    policy: message.policy ?? "any",
    convert: converting
  })
  return (message: Message): Effect.Effect<Transaction.Message, SmtpError, Scope.Scope> => {
    const envelope = readEnvelope(message)
    if (Result.isFailure(envelope)) return Effect.fail(invalid(envelope.failure))
    const binary = message.binary === true
    const body = Source.inMemory(message.content, binary)
    return body !== undefined
      ? Effect.succeed(made(message, envelope.success, body))
      : Effect.mapBoth(Source.body(message.content, binary), {
        onSuccess: (body) => made(message, envelope.success, body),
        onFailure: invalid
      })
  }
}

const attemptOn = (
  { budget, connection, meter, session }: Dialled,
  made: Transaction.Message,
  only: ReadonlyArray<number> | undefined,
  span: Tracer.Span
) =>
  Effect.flatMap(connection.quietFor, (quiet) => {
    // The server may have ended what was idle.
    const message = quiet > fresh ? { ...made, cautious: true } : made
    return meter.measure("send", connection.run(Transaction.attempt(session, message, budget, only)), span)
  })

const concluded = (
  error: Connections.Live["error"],
  transcript: Transcript.Transcript,
  result: Result.Result<Delivery, Reason.Reason>
): Effect.Effect<Receipt, SmtpError> =>
  Result.isSuccess(result)
    ? Effect.succeed({ ...result.success, transcript })
    : Effect.fail(error(result.failure))

/**
 * Makes a client. Fails with `InvalidInput` when an option is unusable: nothing is
 * opened to find that out.
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const settings = yield* Effect.mapError(Effect.fromResult(settle(options)), invalid)
  const transport = yield* Transport
  const { host, port } = settings.endpoint
  const telemetry = new Telemetry(settings.endpoint)
  const annotations = { "smtp.host": host, "smtp.port": port }

  const dialling = (watch?: Watch) =>
    telemetry.open((meter) => dial(settings, meter, watch)).pipe(
      Effect.provideService(Transport, transport),
      Effect.annotateLogs(annotations)
    )

  const readied = ready(options)

  const sendOn = (dialled: Dialled, message: Message, span: Tracer.Span) =>
    Effect.scoped(Effect.flatMap(readied(message), (made) => {
      if (made.body.facts.size !== undefined) span.attribute("smtp.content.size", made.body.facts.size)
      return Effect.flatMap(attemptOn(dialled, made, undefined, span), ({ lost, parts, rest }) => {
        const left = lost?.reason ?? Transaction.limitReached(dialled.session)
        const result = Transaction.conclude(made, parts, rest, left)
        return concluded(dialled.connection.error, dialled.connection.said(), result)
      })
    }))

  const open = Effect.map(dialling(), (dialled): Opened => {
    const { budget, connection, meter, session } = dialled
    return {
      session,
      connection,
      budget,
      send: (message, watch) =>
        connection.watched(watch, telemetry.send(message, (span) => sendOn(dialled, message, span))),
      sendAll: (messages) => sendAll(telemetry, Effect.succeed(dialled), readied, messages, false),
      usable: Effect.map(connection.usable, (usable) => usable && budget.mails > 0),
      count: (message, result) => meter.tally.add(message, result)
    }
  })

  // What is more than a session takes goes through another, as long as each takes some (RFC 9422).
  const sendAlone = Effect.fnUntraced(
    function*(message: Message, span: Tracer.Span, watch: Watch | undefined) {
      // Bad input is told before anything is opened.
      const made = yield* readied(message)
      if (made.body.facts.size !== undefined) span.attribute("smtp.content.size", made.body.facts.size)
      const through = (only: ReadonlyArray<number> | undefined) =>
        Effect.scoped(
          Effect.flatMap(dialling(watch), (dialled) =>
            Effect.map(attemptOn(dialled, made, only, span), (attempted) => ({
              attempted,
              error: dialled.connection.error,
              transcript: dialled.connection.said(),
              limit: Transaction.limitReached(dialled.session)
            })))
        )
      let { attempted, error, limit, transcript } = yield* through(undefined)
      const parts = [...attempted.parts]
      while (attempted.rest.length > 0 && attempted.lost === undefined && attempted.parts.length > 0) {
        const { rest } = attempted
        const further = yield* Effect.result(through(rest))
        if (Result.isFailure(further)) {
          // Who has the message by now is told so, whatever became of the others.
          const { reason } = further.failure
          return yield* concluded(error, transcript, Transaction.conclude(made, parts, rest, reason))
        }
        ;({ attempted, error, limit, transcript } = further.success)
        parts.push(...attempted.parts)
      }
      const left = attempted.lost?.reason ?? limit
      return yield* concluded(error, transcript, Transaction.conclude(made, parts, attempted.rest, left))
    },
    Effect.scoped,
    Effect.annotateLogs(annotations)
  )
  const send = (message: Message, watch?: Watch) => telemetry.send(message, (span) => sendAlone(message, span, watch))

  return SmtpClient.of({
    send: (message) => send(message),
    sendWithProgress: (message) => progress(send, message),
    sendAll: (messages) => sendAll(telemetry, dialling(), readied, messages),
    open,
    use: (dialogue) =>
      Effect.scoped(
        Effect.flatMap(dialling(), ({ connection, session }) =>
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
