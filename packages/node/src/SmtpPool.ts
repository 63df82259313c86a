/**
 * Many messages over a few connections that are kept: opened when they are needed, used
 * again while they are good, closed when nobody needs them any more.
 */
import {
  Program,
  Progress,
  Reason,
  type Session,
  SmtpClient,
  SmtpConfig,
  SmtpError,
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
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as NodeTransport from "./NodeTransport.ts"
import { ownDomain } from "./OwnDomain.ts"
import * as PoolEndpoints from "./PoolEndpoints.ts"
import * as PoolLeases from "./PoolLeases.ts"
import { defaultRetry, diedBefore, envelope, isLimited, isSafe, throughSessions } from "./PoolMessage.ts"
import { type Options, settle } from "./PoolOptions.ts"
import * as PoolRate from "./PoolRate.ts"
import * as PoolWindows from "./PoolWindows.ts"

export type { Options } from "./PoolOptions.ts"

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
   * As `send`; tells how far it is, for long content. What was said on the connection
   * before is not told, and what is said in an attempt that is repeated is.
   */
  readonly sendWithProgress: (message: SmtpClient.Message) => Stream.Stream<Progress.Progress, SmtpError.SmtpError>
  /**
   * Sends a stream of messages, up to `max` at a time. What became of each comes in their
   * order; a message that fails does not end the stream.
   */
  readonly sendAll: <E, R>(messages: Stream.Stream<SmtpClient.Message, E, R>) => Stream.Stream<SmtpClient.Sent, E, R>
  /**
   * Lends a connection until the scope closes. A transaction that was left open is reset
   * before it is lent again; after what changes a session for good (EHLO, AUTH, STARTTLS,
   * XCLIENT) it is not.
   */
  readonly open: Effect.Effect<SmtpClient.Opened, SmtpError.SmtpError, Scope.Scope>
  /** Provides a `Connection` with a ready session, lent as by `open`, to a dialogue of one's own. */
  readonly use: <A, E, R>(
    dialogue: (session: Session.Session<"ready">) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SmtpError.SmtpError, Exclude<R, Program.Connection>>
  readonly stats: Effect.Effect<Stats>
  /**
   * Takes no more messages (they fail with `Draining`), waits for those under way, and ends every session. It happens, too, when the pool's
   * scope closes, and then takes no longer than `drainWithin`.
   */
  readonly drain: Effect.Effect<void>
}>()("@postern/node/SmtpPool") {}

const isDrained = () => failure(Reason.make("Draining", { detail: "the pool is drained" }))

const failure = (reason: Reason.Reason): SmtpError.SmtpError =>
  new SmtpError.SmtpError({ reason, phase: "input", transcript: [] })

type Sending = Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>

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
  const drained = Effect.suspend(() => Effect.fail(isDrained()))
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

  const leave = (exit: Exit.Exit<unknown, unknown>): void => {
    if (Exit.isSuccess(exit)) sent++
    else if (Exit.hasInterrupts(exit)) cancelled++
    else failed++
    if (--underWay === 0) idle.openUnsafe()
  }
  // The pool is drained when nobody is under way.
  const enter = (): SmtpError.SmtpError | undefined => {
    if (isDraining) return isDrained()
    if (underWay++ === 0) idle.closeUnsafe()
    return undefined
  }
  const entered = Effect.acquireRelease(
    Effect.suspend(() => {
      const refused = enter()
      return refused === undefined ? Effect.void : Effect.fail(refused)
    }),
    (_, exit) => Effect.sync(() => leave(exit))
  )

  const attempt = (message: SmtpClient.Message, watch: Progress.Watch | undefined, died = 0): Sending =>
    Effect.suspend(() => {
      if (isOver) return drained
      let isKept = false
      const once = leases.use((lease) => {
        isKept = lease.isKept
        return Effect.tap(lease.send(message, watch), (receipt) => {
          if (isLimited(receipt)) lease.drop()
          return Effect.void
        })
      })
      return Effect.catch(once, (error) => {
        // At most once for each connection that there may have been.
        if (!isKept || died >= max || !diedBefore(error)) return Effect.fail(error)
        retried++
        return attempt(message, watch, died + 1)
      })
    })

  // There is no use in trying before a server may be tried.
  const schedule = Schedule.modifyDelay(
    options.retry ?? defaultRetry,
    ({ duration }) => Effect.map(endpoints.pause, (pause) => Duration.max(duration, pause))
  )

  // Attempts, as far as they are safe; `failed` is what came of a first one.
  const retrying = (message: SmtpClient.Message, watch: Progress.Watch | undefined, failed?: SmtpError.SmtpError) => {
    let attempts = 0
    const next: Sending = Effect.suspend(() => {
      if (attempts++ > 0) retried++
      else if (failed !== undefined) return Effect.fail(failed)
      return Effect.andThen(ready, attempt(message, watch))
    })
    return Effect.retry(next, {
      schedule,
      while: (error) => !isOver && isSafe(message, error, options.retryInDoubt === true)
    })
  }

  const deliver = (message: SmtpClient.Message, watch?: Progress.Watch, failed?: SmtpError.SmtpError) =>
    throughSessions(message, retrying(message, watch, failed), (rest) => retrying(rest, watch))

  const send = Effect.fnUntraced(
    function*(message: SmtpClient.Message, watch?: Progress.Watch) {
      yield* Effect.fromResult(envelope(message))
      yield* entered
      return yield* deliver(message, watch)
    },
    Effect.scoped
  )

  const windows: PoolWindows.Host = {
    leases,
    max,
    ready: endpoints.ready,
    enter,
    pace: ready,
    leave,
    again: (message, error) => Effect.result(deliver(message, undefined, error))
  }

  const open = Effect.gen(function*() {
    yield* entered
    const lease = yield* leases.borrow
    lease.lend()
    const opened: SmtpClient.Opened = { ...lease.opened, send: (message, watch) => lease.send(message, watch) }
    return opened
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
    send: (message) => send(message),
    sendWithProgress: (message) => Progress.progress(send, message),
    sendAll: (messages) => PoolWindows.sendAll(windows, messages),
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

const named = <A extends SmtpClient.Options>(server: A) => ({ ...server, domain: server.domain ?? ownDomain() })

/**
 * The pool over TCP, by the given way out. In EHLO it calls itself by this machine's name
 * where that is a full one. Fails with `InvalidInput`.
 */
export const layerTcp = (
  options: Options,
  wayOut: NodeTransport.Options = {}
): Layer.Layer<SmtpPool | SmtpClient.SmtpClient, SmtpError.SmtpError> =>
  Layer.provide(
    layer({ ...named(options), fallbacks: options.fallbacks?.map((server) => named(server)) }),
    NodeTransport.layerOptions(wayOut)
  )

/**
 * The pool over TCP as the environment says (`SMTP_URL`, `SMTP_USER`, …: see
 * `SmtpConfig.config`). Options given here override. Fails with a `ConfigError`, or
 * `InvalidInput`.
 */
export const layerConfig = (
  overrides: Partial<Options> = {},
  wayOut: NodeTransport.Options = {}
): Layer.Layer<SmtpPool | SmtpClient.SmtpClient, SmtpError.SmtpError | Config.ConfigError> =>
  Layer.unwrap(Effect.gen(function*() {
    const settings = yield* SmtpConfig.config
    const options = yield* Effect.mapError(Effect.fromResult(SmtpConfig.toOptions(settings)), failure)
    return layerTcp({ ...options, ...overrides }, wayOut)
  }))
