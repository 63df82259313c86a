/**
 * The servers of a pool: connects to the first that can be reached, and leaves those
 * that cannot in peace for a while. The one file that uses Effect's `CircuitBreaker`,
 * which is not one of its stable modules.
 */
import { Endpoint, Reason, SmtpClient, SmtpError, type Transaction, type Transport } from "@postern/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

/** How a server of the pool does. */
export interface EndpointStats {
  readonly host: string
  readonly port: number
  /** `down`: no connection came about, and none is tried for a while; `probing`: one is being tried again. */
  readonly state: "up" | "down" | "probing"
  /** Until a server that is down may be tried again. */
  readonly retryIn: Duration.Duration | undefined
  /** Why the last connection did not come about; undefined once one did. */
  readonly error: SmtpError.SmtpError | undefined
}

/** From what a caller gives to what a transaction with one server takes. Fails with `InvalidInput`. */
export type Ready = (
  message: SmtpClient.Message
) => Effect.Effect<Transaction.Message, SmtpError.SmtpError, Scope.Scope>

/** A connection, and the place of its server in the order of preference, from 0. */
export interface Connected {
  readonly opened: SmtpClient.Opened
  readonly rank: number
  /** Makes a message ready for its server. */
  readonly ready: Ready
}

/** The servers of a pool. */
export interface Endpoints {
  /** Where the preferred one is. */
  readonly preferred: Endpoint.Endpoint
  /** Makes a message ready for the preferred one. */
  readonly ready: Ready
  /**
   * Connects to the first that can be reached. Fails with the reason of one that could
   * not: of one that may be reached later, where there is one.
   */
  readonly open: Effect.Effect<Connected, SmtpError.SmtpError, Scope.Scope>
  /** Whether one before this place may be reached again. */
  readonly betterThan: (rank: number) => Effect.Effect<boolean>
  /** How long none will be tried. */
  readonly pause: Effect.Effect<Duration.Duration>
  /** In the order of preference. */
  readonly stats: Effect.Effect<ReadonlyArray<EndpointStats>>
}

/**
 * A server that refuses this client for good, or cannot be trusted, is not asked again
 * for so long: the same wrong password again and again would lock the account.
 */
const refusedFor = Duration.minutes(15)

/** One second after the first failure, then twice as long each time, up to half a minute. */
const defaultBackOff: Schedule.Schedule<unknown, number> = Schedule.exponential("1 second").pipe(
  Schedule.upTo({ duration: "1 minute" })
)

/** Fails with `InvalidInput` when an option of a server is unusable. */
export const make = Effect.fnUntraced(function*(
  servers: readonly [SmtpClient.Options, ...ReadonlyArray<SmtpClient.Options>],
  backOff: Schedule.Schedule<unknown, number> = defaultBackOff
): Effect.fn.Return<Endpoints, SmtpError.SmtpError, Transport.Transport | Scope.Scope> {
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: backOff
  }).pipe(Effect.provide(CircuitBreaker.layerStoreMemory()))
  const all = yield* Effect.forEach(servers, (options, rank) => makeServer(options, rank, breaker))
  const stats = Effect.forEach(all, ({ stats }) => stats)
  return {
    preferred: all[0].endpoint,
    ready: all[0].ready,
    open: Effect.suspend(() => connect(all)),
    betterThan: (rank) =>
      Effect.map(
        stats,
        (stats) =>
          stats.slice(0, rank).some(({ retryIn, state }) =>
            state === "up" || (retryIn !== undefined && Duration.isZero(retryIn))
          )
      ),
    pause: Effect.map(stats, (stats) => stats.map(({ retryIn }) => retryIn ?? Duration.zero).reduce(Duration.min)),
    stats
  }
})

const place = ({ endpoint, security }: SmtpClient.Options) =>
  typeof endpoint === "string" ? Endpoint.parse(endpoint, security) : Result.succeed(endpoint)

const invalid = (reason: Reason.Reason): SmtpError.SmtpError =>
  new SmtpError.SmtpError({ reason, phase: "input", transcript: [] })

type Connect = Effect.Effect<Connected, SmtpError.SmtpError, Scope.Scope>

const connect = (all: Servers): Connect =>
  Effect.catch(inOrder(all), (error) => {
    // None is left, but one may be being asked at this moment whether it is back.
    const asked = all.find(({ isAsked }) => isAsked())
    return asked === undefined ? Effect.fail(error) : asked.connectNext
  })

const inOrder = ([first, second, ...rest]: Servers): Connect =>
  second === undefined
    ? first.connect
    : Effect.catch(first.connect, (error) =>
      // Where one of them may be reached later, that is what counts.
      Effect.mapError(inOrder([second, ...rest]), (other) => error.retry === "never" ? other : error))

type Servers = readonly [Server, ...ReadonlyArray<Server>]

interface Server {
  readonly endpoint: Endpoint.Endpoint
  readonly ready: Ready
  /** Connects, unless it is down, or being asked whether it still is: then it fails as the last attempt did. */
  readonly connect: Connect
  /** Connects once whoever is asking has an answer. */
  readonly connectNext: Connect
  readonly isAsked: () => boolean
  readonly stats: Effect.Effect<EndpointStats>
}

const makeServer = Effect.fnUntraced(function*(
  options: SmtpClient.Options,
  rank: number,
  breaker: CircuitBreaker.CircuitBreaker
): Effect.fn.Return<Server, SmtpError.SmtpError, Transport.Transport> {
  const client = yield* SmtpClient.make(options)
  const endpoint = yield* Effect.mapError(Effect.fromResult(place(options)), invalid)
  const { host, port } = endpoint
  const key = `${rank} ${host}:${port}`
  const ready = SmtpClient.ready(options)
  const turn = Semaphore.makeUnsafe(1)
  let error: SmtpError.SmtpError | undefined
  // Until an attempt has succeeded, and after one that failed, there is one at a time.
  let isProved = false
  let isAsked = false

  const learn = (exit: Exit.Exit<unknown, SmtpError.SmtpError>): CircuitBreaker.Outcome => {
    error = Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    isProved = Exit.isSuccess(exit)
    if (isProved) return CircuitBreaker.success
    return CircuitBreaker.failure({ retryAfter: error?.retry === "never" ? refusedFor : undefined })
  }

  const opening = Effect.map(client.open, (opened): Connected => ({ opened, rank, ready }))
  const guarded = breaker.execute(opening, { key, classify: learn })
  const attempt = Effect.catchTag(
    guarded,
    "CircuitBreakerError",
    () => Effect.fail(error ?? unreached(host, port))
  )
  const ask: Effect.Effect<Connected | undefined, SmtpError.SmtpError, Scope.Scope> = Effect.suspend(() => {
    // Somebody else has the answer by now.
    if (isProved) return Effect.undefined
    isAsked = true
    return Effect.ensuring(attempt, Effect.sync(() => void (isAsked = false)))
  })
  const connectNext: Connect = Effect.suspend(() =>
    isProved
      ? attempt
      : Effect.flatMap(
        turn.withPermit(ask),
        (connected) => connected === undefined ? attempt : Effect.succeed(connected)
      )
  )

  return {
    endpoint,
    ready,
    connect: Effect.suspend(() => isAsked && error !== undefined ? Effect.fail(error) : connectNext),
    connectNext,
    isAsked: () => isAsked,
    stats: breaker.state(key).pipe(
      Effect.orDie, // The store is in memory.
      Effect.map((circuit): EndpointStats => {
        const isDown = circuit._tag !== "Closed"
        const retryIn = circuit._tag === "Open" ? circuit.retryAfter : Duration.zero
        return {
          host,
          port,
          state: isDown && isAsked ? "probing" : isDown ? "down" : "up",
          retryIn: isDown ? retryIn : undefined,
          error
        }
      })
    )
  }
})

const unreached = (host: string, port: number): SmtpError.SmtpError =>
  new SmtpError.SmtpError({
    reason: Reason.make("ConnectionFailed", { host, port, code: "", detail: "it could not be reached a moment ago" }),
    phase: "connect",
    transcript: []
  })
