/**
 * Many messages over a few connections that are kept: opened when they are needed, used
 * again while they are good, closed when nobody needs them any more.
 */
import {
  Envelope,
  Program,
  Reason,
  type Session,
  SmtpClient,
  SmtpConfig,
  SmtpError,
  type Outcome,
  type Transport
} from "@postern/core"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as NodeTransport from "./NodeTransport.ts"
import { ownDomain } from "./OwnDomain.ts"
import type { Opened } from "./PoolConnection.ts"
import * as PoolEndpoints from "./PoolEndpoints.ts"
import * as PoolLeases from "./PoolLeases.ts"
import * as PoolRate from "./PoolRate.ts"

/** The preferred server, and how the pool is to behave. */
export interface Options extends SmtpClient.Options {
  /**
   * Servers to use, in this order, while those before them cannot be reached. Each has
   * options of its own: credentials are not handed on.
   */
  readonly fallbacks?: ReadonlyArray<SmtpClient.Options> | undefined
  /** How long a server that could not be reached is left in peace, each time anew: 1, 2, 4 … 32 seconds. */
  readonly backOff?: Schedule.Schedule<unknown, number> | undefined
  /** Connections that stay open when there is nothing to do; 0 unless given. */
  readonly min?: number | undefined
  /** The most connections at a time, to all servers together; 4 unless given. */
  readonly max?: number | undefined
  /** Connections beyond `min` are closed when they were idle for so long (at the latest, twice as long); 1 minute unless given. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Messages on one connection, 100 unless given. A server's MAILMAX (RFC 9422) is kept in any case. */
  readonly messagesPerConnection?: number | undefined
  /** How fast to send; as fast as it goes, unless given. */
  readonly rate?: Rate | undefined
  /**
   * When to send a message again that failed, of those where that is safe: not refused for
   * good, and not in doubt. Unless given, three times, after about 1, 2 and 4 seconds, what
   * failed on the way; what the server refused for now is left to the caller, as minutes
   * have to pass. `Schedule.recurs(0)` never does.
   */
  readonly retry?: Schedule.Schedule<unknown, SmtpError.SmtpError> | undefined
  /** Sends again also what may have been delivered: it may arrive twice. */
  readonly retryInDoubt?: boolean | undefined
  /** How long messages under way may take when the layer's scope closes, before they are cut off; 30 seconds unless given. */
  readonly drainWithin?: Duration.Input | undefined
}

/** So many messages in a time. */
export type Rate = PoolRate.Rate

/** What became of one message of a stream. */
export interface Sent {
  readonly message: SmtpClient.Message
  readonly result: Result.Result<Outcome.Delivery, SmtpError.SmtpError>
}

/** How a pool does. Messages accepted = sent + failed + cancelled + under way, where dialogues count as messages. */
export interface Stats {
  /** Connections that are open: idle ones and busy ones. */
  readonly open: number
  readonly idle: number
  readonly busy: number
  /** Messages, or dialogues, that wait for one of them. */
  readonly waiting: number
  /** Messages that are accepted and not settled: on a connection, waiting for one or for the rate, or between two attempts. */
  readonly underWay: number
  /** Messages taken by a server, since the beginning. */
  readonly sent: number
  readonly failed: number
  /** Messages whose fibre was interrupted. */
  readonly cancelled: number
  /** Attempts beyond the first. */
  readonly retried: number
  /** Connections opened since the beginning. */
  readonly opened: number
  readonly isDraining: boolean
  /** In the order of preference. */
  readonly endpoints: ReadonlyArray<PoolEndpoints.EndpointStats>
}

/** How a server of the pool does. */
export type EndpointStats = PoolEndpoints.EndpointStats

/**
 * Sends mail over connections that it keeps.
 *
 * @example
 * ```ts
 * import { SmtpPool } from "@postern/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* SmtpPool.SmtpPool
 *   const messages = ["ben", "cat", "dan"].map((name) => ({
 *     from: "ann@example.org",
 *     to: `${name}@example.net`,
 *     content: `Subject: hello\n\nHello, ${name}.\n`
 *   }))
 *   return yield* Effect.forEach(messages, pool.send, { concurrency: "unbounded" })
 * })
 *
 * export const main = program.pipe(Effect.provide(SmtpPool.layerTcp({ endpoint: "mail.example.org:587", max: 2 })))
 * ```
 */
export class SmtpPool extends Context.Service<SmtpPool, {
  /**
   * Sends one message, as `SmtpClient.send` does. A connection that turns out to be dead
   * before the content was begun costs the message nothing: it goes out on another one.
   * When interrupted, closes the connection that it used, and no other.
   */
  readonly send: (message: SmtpClient.Message) => Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>
  /**
   * Sends a stream of messages, up to `max` at a time. What became of each comes in their
   * order; a message that fails does not end the stream.
   */
  readonly sendAll: <E, R>(messages: Stream.Stream<SmtpClient.Message, E, R>) => Stream.Stream<Sent, E, R>
  /**
   * Lends a connection until the scope closes. A transaction that was left open is reset
   * before it is used again; what changes a session for good (AUTH, XCLIENT) must not be
   * said on it.
   */
  readonly open: Effect.Effect<Opened, SmtpError.SmtpError, Scope.Scope>
  /** Provides a `Connection` with a ready session, lent as by `open`, to a dialogue of one's own. */
  readonly use: <A, E, R>(
    dialogue: (session: Session.Session<"ready">) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SmtpError.SmtpError, Exclude<R, Program.Connection>>
  readonly stats: Effect.Effect<Stats>
  /**
   * Takes no more messages (they fail with `ConnectionFailed`, code `ERR_POOL_DRAINED`),
   * waits for those under way, and ends every session. It happens, too, when the pool's
   * scope closes, and then takes no longer than `drainWithin`.
   */
  readonly drain: Effect.Effect<void>
}>()("@postern/node/SmtpPool") {}

const failure = (reason: Reason.Reason, phase: "input" | "connect"): SmtpError.SmtpError =>
  new SmtpError.SmtpError({ reason, phase, transcript: [] })

const invalid = (what: string, problem: string): SmtpError.SmtpError =>
  failure(Reason.make("InvalidInput", { what, problem }), "input")

/** Three times, what failed on the way to the server. What it says of the message itself takes longer to pass. */
const defaultRetry: Schedule.Schedule<unknown, SmtpError.SmtpError> = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 3 }),
  Schedule.setInputType<SmtpError.SmtpError>(),
  Schedule.while(({ input: { fault, phase } }) => fault !== "refusal" || (phase !== "envelope" && phase !== "content"))
)

/** Dead before the content was begun: nothing of the message can have been taken. */
const diedBefore = ({ phase, reason }: SmtpError.SmtpError): boolean =>
  (reason._tag === "ConnectionLost" || reason._tag === "ServiceClosing") && phase !== "content"

interface Settings extends PoolLeases.Options {
  readonly drainWithin: Duration.Duration
}

const settle = (options: Options): Result.Result<Settings, SmtpError.SmtpError> =>
  Result.gen(function*() {
    const { max = 4, messagesPerConnection = 100, min = 0, rate } = options
    const whole = (what: string, value: number, from: number) =>
      Number.isInteger(value) && value >= from
        ? Result.succeed(value)
        : Result.fail(invalid(what, `it is a whole number from ${from}, not ${value}`))
    const duration = (what: string, given: Duration.Input) =>
      Result.fromOption(Duration.fromInput(given), () => invalid(what, "it is no duration, such as \"1 minute\""))
    if (rate !== undefined) {
      yield* whole("rate.messages", rate.messages, 1)
      yield* duration("rate.per", rate.per)
    }
    return {
      max: yield* whole("max", max, 1),
      min: min > max ? yield* Result.fail(invalid("min", "it is more than max")) : yield* whole("min", min, 0),
      messagesPerConnection: yield* whole("messagesPerConnection", messagesPerConnection, 1),
      idleTimeout: yield* duration("idleTimeout", options.idleTimeout ?? "1 minute"),
      drainWithin: yield* duration("drainWithin", options.drainWithin ?? "30 seconds")
    }
  })

/**
 * Makes a pool, which is drained when the scope closes. Fails with `InvalidInput` when an
 * option is unusable; it does not wait for a connection.
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SmtpPool["Service"], SmtpError.SmtpError, Transport.Transport | Scope.Scope> {
  const settings = yield* Effect.fromResult(settle(options))
  const endpoints = yield* PoolEndpoints.make([options, ...options.fallbacks ?? []], options.backOff)
  const { host, port } = endpoints.preferred
  const detail = "the pool was drained, and takes no more messages"
  const drained = Effect.suspend(() =>
    Effect.fail(failure(Reason.make("ConnectionFailed", { host, port, code: "ERR_POOL_DRAINED", detail }), "connect"))
  )
  const leases = yield* PoolLeases.make(endpoints, settings, drained)
  const ready = options.rate === undefined ? Effect.void : yield* PoolRate.make(options.rate, `${host}:${port}`)
  const { max } = settings

  let isDraining = false
  /** No more attempts: the connections are being closed. */
  let isOver = false
  let underWay = 0
  let sent = 0
  let failed = 0
  let cancelled = 0
  let retried = 0
  const idle = Latch.makeUnsafe(true)

  const leave = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) sent++
      else if (Exit.hasInterrupts(exit)) cancelled++
      else failed++
      if (--underWay === 0) idle.openUnsafe()
    })
  // The pool is drained when nobody is under way.
  const enter = Effect.acquireRelease(
    Effect.suspend(() => {
      if (isDraining) return drained
      if (underWay++ === 0) idle.closeUnsafe()
      return Effect.void
    }),
    (_, exit) => leave(exit)
  )

  const attempt = (message: SmtpClient.Message, died = 0): Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError> =>
    Effect.suspend(() => {
      if (isOver) return drained
      let isReused = false
      const once = leases.use((lease) => {
        isReused = lease.isReused
        return lease.send(message)
      })
      return Effect.catch(once, (error) => {
        // At most once for each connection that there may have been.
        if (!isReused || died >= max || !diedBefore(error)) return Effect.fail(error)
        retried++
        return attempt(message, died + 1)
      })
    })

  const isSafe = ({ retry }: SmtpError.SmtpError): boolean =>
    !isOver && retry !== "never" && (retry !== "in doubt" || options.retryInDoubt === true)
  // There is no use in trying before a server may be tried.
  const schedule = Schedule.modifyDelay(
    options.retry ?? defaultRetry,
    ({ duration }) => Effect.map(endpoints.pause, (pause) => Duration.max(duration, pause))
  )

  const send = Effect.fnUntraced(
    function*(message: SmtpClient.Message) {
      const envelope = Envelope.make(message)
      if (Result.isFailure(envelope)) {
        const { field, problem } = envelope.failure
        return yield* Effect.fail(invalid(`"${field}" of the envelope`, problem))
      }
      yield* enter
      let attempts = 0
      const next = Effect.suspend(() => {
        if (attempts++ > 0) retried++
        return Effect.andThen(ready, attempt(message))
      })
      return yield* Effect.retry(next, { schedule, while: isSafe })
    },
    Effect.scoped
  )

  const open = Effect.gen(function*() {
    yield* enter
    const lease = yield* leases.borrow
    lease.lend()
    return { ...lease.opened, send: (message: SmtpClient.Message) => lease.send(message) }
  })

  const drain = Effect.suspend(() => {
    isDraining = true
    return Effect.andThen(idle.await, leases.close)
  })

  // Under way when the time is over: their connections are closed, so that they fail, each in its own way.
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      const done = yield* Effect.timeoutOption(Effect.interruptible(drain), settings.drainWithin)
      if (Option.isSome(done)) return
      isOver = true
      yield* leases.abort
      yield* leases.close
    })
  )

  return SmtpPool.of({
    send,
    sendAll: (messages) =>
      Stream.mapEffect(
        messages,
        (message) => Effect.map(Effect.result(send(message)), (result): Sent => ({ message, result })),
        { concurrency: max }
      ),
    open,
    use: (dialogue) =>
      Effect.scoped(
        Effect.flatMap(open, ({ connection, session }) =>
          Effect.provideService(dialogue(session), Program.Connection, connection))
      ),
    stats: Effect.map(endpoints.stats, (endpoints) => {
      const { busy, open, opened, waiting } = leases.counts()
      return {
        open,
        idle: open - busy,
        busy,
        waiting,
        underWay,
        sent,
        failed,
        cancelled,
        retried,
        opened,
        isDraining,
        endpoints
      }
    }),
    drain
  })
})

/**
 * The pool as a layer over a `Transport`, which serves as the `SmtpClient`, too: code
 * written for that runs over it as it is. Fails with `InvalidInput`.
 */
export const layer = (
  options: Options
): Layer.Layer<SmtpPool | SmtpClient.SmtpClient, SmtpError.SmtpError, Transport.Transport> =>
  Layer.effectContext(
    Effect.map(make(options), (pool) => Context.make(SmtpPool, pool).pipe(Context.add(SmtpClient.SmtpClient, pool)))
  )

/**
 * The pool over TCP. In EHLO it calls itself by this machine's name where that is a full
 * one. Fails with `InvalidInput`.
 */
export const layerTcp = (
  options: Options
): Layer.Layer<SmtpPool | SmtpClient.SmtpClient, SmtpError.SmtpError> =>
  Layer.provide(layer({ ...options, domain: options.domain ?? ownDomain() }), NodeTransport.layer)

/**
 * The pool over TCP as the environment says (`SMTP_URL`, `SMTP_USER`, …: see
 * `SmtpConfig.config`). Options given here override. Fails with a `ConfigError`, or
 * `InvalidInput`.
 */
export const layerConfig = (
  overrides: Partial<Options> = {}
): Layer.Layer<SmtpPool | SmtpClient.SmtpClient, SmtpError.SmtpError | Config.ConfigError> =>
  Layer.unwrap(Effect.gen(function*() {
    const settings = yield* SmtpConfig.config
    const options = yield* Effect.mapError(
      Effect.fromResult(SmtpConfig.toOptions(settings)),
      (reason) => failure(reason, "input")
    )
    return layerTcp({ ...options, ...overrides })
  }))
