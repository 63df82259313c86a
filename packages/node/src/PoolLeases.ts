/**
 * The connections of a pool, on Effect's `Pool`: lent to one dialogue at a time, never
 * more than `max`, and lent again only while they are good.
 */
import { Command, Program, type Progress, type SmtpClient, type SmtpError } from "@postern/core"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Connected, Endpoints, Ready } from "./PoolEndpoints.ts"

/** How many there are, and for how long. */
export interface Options {
  readonly min: number
  readonly max: number
  readonly idleTimeout: Duration.Input
  readonly messagesPerConnection: number
}

/** A connection that is lent. */
export interface Lease {
  readonly opened: SmtpClient.Opened
  /** Makes a message ready for its server. */
  readonly ready: Ready
  /** It was there before it was lent: the server may have ended it, or be about to. */
  readonly isKept: boolean
  /** Messages that it may still carry. */
  readonly left: number
  /** Takes messages that are sent on it otherwise than by `send` off those that are left. */
  readonly spend: (messages: number) => void
  /** Sends a message, which it takes off those that are left. */
  readonly send: (
    message: SmtpClient.Message,
    watch?: Progress.Watch
  ) => Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>
  /** It is not lent again. */
  readonly drop: () => void
  /** A dialogue that is none of ours is to run on it: who knows where in a transaction it ends. */
  readonly lend: () => void
}

/** How many there are now, and how many there were. */
export interface Counts {
  readonly open: number
  readonly busy: number
  /** Those who wait for one. */
  readonly waiting: number
  readonly opened: number
}

/** The connections of a pool. */
export interface Leases {
  /** Runs with a connection. Fails as `borrow` does. */
  readonly use: <A extends object, E>(
    f: (lease: Lease) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SmtpError.SmtpError>
  /** A connection until the scope closes. Fails when no server can be reached, or the pool was closed. */
  readonly borrow: Effect.Effect<Lease, SmtpError.SmtpError, Scope.Scope>
  readonly counts: () => Counts
  /** Closes connections under those who use them. */
  readonly abort: Effect.Effect<void>
  /** Ends every session, once it is given back, and waits for that. */
  readonly close: Effect.Effect<void>
}

class Connection implements Lease {
  readonly opened: SmtpClient.Opened
  readonly rank: number
  readonly ready: Ready
  /** Ends the session and closes the connection. */
  readonly scope: Scope.Closeable
  /** Messages it may carry. */
  limit: number
  sent = 0
  isKept = false
  isTidy = true

  constructor({ opened, rank, ready }: Connected, scope: Scope.Closeable, most: number) {
    const { mailMax = most } = opened.session.facts.capabilities?.limits ?? {}
    this.opened = opened
    this.rank = rank
    this.ready = ready
    this.scope = scope
    this.limit = Math.min(most, mailMax)
  }

  /** Not to be used any more. Which domains a session has had (RCPTDOMAINMAX) is known within one dialogue only. */
  get isSpent(): boolean {
    return this.sent >= this.limit
      || (this.sent > 0 && this.opened.session.facts.capabilities?.limits?.rcptDomainMax !== undefined)
  }

  get left(): number {
    return Math.max(0, this.limit - this.sent)
  }

  spend(messages: number): void {
    this.sent += messages
  }

  drop(): void {
    this.limit = 0
  }

  send(
    message: SmtpClient.Message,
    watch?: Progress.Watch
  ): Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError> {
    this.sent++
    return this.opened.send(message, watch)
  }

  lend(): void {
    this.isTidy = false
  }

  /** Whether another dialogue may begin on it. */
  readonly isGood: Effect.Effect<boolean> = Effect.suspend(() => {
    if (this.isSpent) return Effect.succeed(false)
    return Effect.flatMap(this.opened.usable, (isUsable) => {
      if (!isUsable || this.isTidy) return Effect.succeed(isUsable)
      return Effect.map(Effect.exit(this.opened.connection.run(Program.send(Command.rset))), (exit) => {
        this.isTidy = Exit.isSuccess(exit)
        return this.isTidy
      })
    })
  })
}

/** Milliseconds after which a server may have ended what it had only just opened. */
const fresh = 1000

// Nobody waits for a server's answer to QUIT but `close`.
const end = (scope: Scope.Closeable) => Effect.forkDetach(Scope.close(scope, Exit.void))

/** `drained` is how borrowing fails once they are closed. */
export const make = Effect.fnUntraced(function*(
  endpoints: Endpoints,
  options: Options,
  drained: Effect.Effect<never, SmtpError.SmtpError>
): Effect.fn.Return<Leases, never, Scope.Scope> {
  const connections = new Set<Connection>()
  let opened = 0
  let busy = 0
  let waiting = 0
  let isClosed = false
  // A place is taken before a connection is opened, and free when it is closed: `Pool`
  // itself opens the next one while the one before says goodbye.
  const places = Semaphore.makeUnsafe(options.max)

  // As many ask `Pool` at a time as can be served, and one while no server can be reached: it begins an attempt at
  // every place for each who asks, and those attempts would heap up behind each other.
  const turns = Semaphore.makeUnsafe(options.max)

  const connect = Effect.fnUntraced(function*(scope: Scope.Closeable) {
    yield* places.takeScoped(1)
    const connection = new Connection(yield* endpoints.open, scope, options.messagesPerConnection)
    opened++
    connections.add(connection)
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.delete(connection)))
    return connection
  })

  const acquire = Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), end)
    // `Pool` does not clean up behind an attempt that fails while it is shut down.
    return yield* Effect.onExit(
      Scope.provide(connect(scope), scope),
      (exit) => Exit.isSuccess(exit) ? turns.resize(options.max) : Effect.andThen(turns.resize(1), end(scope))
    )
  })

  const scope = yield* Scope.fork(yield* Effect.scope)
  const pool = yield* Scope.provide(
    Pool.makeWithTTL({
      acquire,
      min: options.min,
      max: options.max,
      timeToLive: options.idleTimeout,
      timeToLiveStrategy: "usage"
    }),
    scope
  )

  // A pool that is closed interrupts those who still wait.
  const get = Effect.suspend(() => {
    waiting++
    return Effect.ensuring(
      Effect.catchCause(
        turns.withPermits(1)(Pool.get(pool)),
        (cause) => isClosed && Cause.hasInterruptsOnly(cause) ? drained : Effect.failCause(cause)
      ),
      Effect.sync(() => waiting--)
    )
  })

  const isFit = (connection: Connection): Effect.Effect<boolean> =>
    connection.rank === 0 ? connection.isGood : Effect.flatMap(
      endpoints.betterThan(connection.rank),
      (isBetter) => isBetter ? Effect.succeed(false) : connection.isGood
    )

  const settle = (connection: Connection, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    busy--
    // After a success it is looked at before it is lent again.
    if (!connection.isSpent && connection.isTidy && Exit.isSuccess(exit)) return Effect.void
    return Effect.flatMap(connection.isSpent ? Effect.succeed(false) : connection.opened.usable, (isUsable) => {
      if (isUsable) return Effect.void
      connection.drop()
      return Pool.invalidate(pool, connection)
    })
  }

  /** Undefined when the one that was free is not to be used any more; the last one is lent in any case. */
  const lend = (isLast: boolean): Effect.Effect<Connection | undefined, SmtpError.SmtpError, Scope.Scope> =>
    Effect.flatMap(Effect.scope, (scope) => {
      let lent: Connection | undefined
      return Effect.andThen(
        // Runs once it is back: a connection that `Pool` drops while it is lent is replaced, needed or not.
        Scope.addFinalizerExit(scope, (exit) => lent === undefined ? Effect.void : settle(lent, exit)),
        Effect.flatMap(get, (connection) => {
          lent = connection
          busy++
          const looked = Effect.tap(connection.opened.connection.quietFor, (quiet) => {
            connection.isKept = connection.sent > 0 || quiet > fresh
            return Effect.void
          })
          return Effect.map(Effect.andThen(looked, isFit(connection)), (isFit) => {
            if (isFit || isLast) return connection
            connection.drop()
            return undefined
          })
        })
      )
    })

  // A server that closes every connection at once has its message fail, and is not asked for ever.
  const isLast = (unfit: number) => unfit >= options.max

  const use = <A extends object, E>(
    f: (lease: Lease) => Effect.Effect<A, E>,
    unfit = 0
  ): Effect.Effect<A, E | SmtpError.SmtpError> =>
    Effect.flatMap(
      Effect.scoped(Effect.flatMap(lend(isLast(unfit)), (lent) => lent === undefined ? Effect.undefined : f(lent))),
      (result) => result === undefined ? use(f, unfit + 1) : Effect.succeed(result)
    )

  const borrow = (outer: Scope.Scope, unfit = 0): Effect.Effect<Lease, SmtpError.SmtpError> =>
    Effect.suspend(() => {
      const inner = Scope.forkUnsafe(outer)
      return Effect.flatMap(Scope.provide(lend(isLast(unfit)), inner), (lent) =>
        lent === undefined
          ? Effect.andThen(Scope.close(inner, Exit.void), borrow(outer, unfit + 1))
          : Effect.succeed(lent))
    })

  return {
    use,
    borrow: Effect.flatMap(Effect.scope, (scope) => borrow(scope)),
    counts: () => ({ open: connections.size, busy, waiting, opened }),
    abort: Effect.suspend(() =>
      Effect.forEach([...connections], ({ scope }) => Scope.close(scope, Exit.void), {
        concurrency: "unbounded",
        discard: true
      })
    ),
    close: Effect.uninterruptible(Effect.suspend(() => {
      isClosed = true
      return Effect.andThen(
        Scope.close(scope, Exit.void),
        // When every place is free, every connection is closed.
        Effect.ensuring(places.take(options.max), places.release(options.max))
      )
    }))
  }
})
