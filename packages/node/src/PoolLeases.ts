/**
 * The connections of a pool, on Effect's `Pool`: lent to one dialogue at a time, never
 * more than `max`, and lent again only while they are good.
 */
import { Command, Program, type SmtpClient, type SmtpError } from "@postern/core"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Opened } from "./PoolConnection.ts"
import type { Endpoints } from "./PoolEndpoints.ts"

/** How many there are, and for how long. */
export interface Options {
  readonly min: number
  readonly max: number
  readonly idleTimeout: Duration.Input
  readonly messagesPerConnection: number
}

/** A connection that is lent. */
export interface Lease {
  readonly opened: Opened
  /** Whether it has carried a message before this one. */
  readonly isReused: boolean
  /** Sends a message, and counts it. */
  readonly send: (message: SmtpClient.Message) => Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>
  /** A dialogue that is none of ours is to run on it: who knows where in a transaction it ends. */
  readonly lend: () => void
}

/** How many there are now, and how many there were. */
export interface Counts {
  readonly open: number
  readonly busy: number
  readonly opened: number
}

/** The connections of a pool. */
export interface Leases {
  /** A connection until the scope closes. Fails when no server can be reached, or the pool was closed. */
  readonly borrow: Effect.Effect<Lease, SmtpError.SmtpError, Scope.Scope>
  readonly counts: () => Counts
  /** Closes connections under those who use them. */
  readonly abort: Effect.Effect<void>
  /** Ends every session, once it is given back, and waits for that. */
  readonly close: Effect.Effect<void>
}

class Connection implements Lease {
  readonly opened: Opened
  readonly rank: number
  /** Ends the session and closes the connection. */
  readonly scope: Scope.Closeable
  /** Messages it may carry. */
  readonly limit: number
  sent = 0
  isBusy = false
  /** Not to be used any more. */
  isSpent = false
  isTidy = true

  constructor(opened: Opened, rank: number, scope: Scope.Closeable, limit: number) {
    this.opened = opened
    this.rank = rank
    this.scope = scope
    this.limit = limit
  }

  get isReused(): boolean {
    return this.sent > 0
  }

  send(message: SmtpClient.Message): Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError> {
    this.sent++
    return this.opened.send(message)
  }

  lend(): void {
    this.isTidy = false
  }

  /** Whether another dialogue may begin on it. */
  readonly isGood: Effect.Effect<boolean> = Effect.suspend(() => {
    if (this.isSpent) return Effect.succeed(false)
    if (this.isTidy) return this.opened.usable
    return Effect.map(Effect.exit(this.opened.connection.run(Program.send(Command.rset))), (exit) => {
      this.isTidy = Exit.isSuccess(exit)
      return this.isTidy
    })
  })
}

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
  let isClosed = false
  // A place is taken before a connection is opened, and free when it is closed: `Pool`
  // itself opens the next one while the one before says goodbye.
  const places = Semaphore.makeUnsafe(options.max)

  const connect = Effect.fnUntraced(function*(scope: Scope.Closeable) {
    yield* places.takeScoped(1)
    const { opened: session, rank } = yield* endpoints.open
    const mailMax = session.session.facts.capabilities?.limits?.mailMax ?? Number.POSITIVE_INFINITY
    const connection = new Connection(session, rank, scope, Math.min(options.messagesPerConnection, mailMax))
    opened++
    connections.add(connection)
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.delete(connection)))
    return connection
  })

  const acquire = Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), end)
    // `Pool` does not clean up behind an attempt that fails while it is shut down.
    return yield* Effect.onError(Scope.provide(connect(scope), scope), () => end(scope))
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
  const get = Effect.catchCause(
    Pool.get(pool),
    (cause) => isClosed && Cause.hasInterruptsOnly(cause) ? drained : Effect.failCause(cause)
  )

  const giveBack = (connection: Connection, exit: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => {
      connection.isBusy = false
      connection.isSpent = connection.sent >= connection.limit
      // After a success, or a dialogue of somebody's own, it is looked at before it is lent again.
      if (connection.isSpent || Exit.isSuccess(exit) || !connection.isTidy) return Effect.void
      return Effect.map(connection.opened.usable, (isUsable) => {
        connection.isSpent = !isUsable
      })
    })

  const lend = Effect.gen(function*() {
    const lent: { connection?: Connection } = {}
    // Runs once it is back: a connection that `Pool` drops while it is lent is replaced, needed or not.
    yield* Effect.addFinalizer(() =>
      lent.connection?.isSpent === true ? Pool.invalidate(pool, lent.connection) : Effect.void
    )
    return yield* Effect.acquireRelease(
      Effect.tap(get, (connection) =>
        Effect.sync(() => {
          connection.isBusy = true
          lent.connection = connection
        })),
      giveBack,
      { interruptible: true }
    )
  })

  const isFit = (connection: Connection): Effect.Effect<boolean> =>
    connection.rank === 0 ? connection.isGood : Effect.flatMap(
      endpoints.betterThan(connection.rank),
      (isBetter) => isBetter ? Effect.succeed(false) : connection.isGood
    )

  const borrow = Effect.fnUntraced(function*(): Effect.fn.Return<Lease, SmtpError.SmtpError, Scope.Scope> {
    const outer = yield* Effect.scope
    for (let unfit = 0;; unfit++) {
      const inner = yield* Scope.fork(outer)
      const connection = yield* Scope.provide(lend, inner)
      // A server that closes every connection at once has its message fail, and not tried for ever.
      if (unfit >= options.max || (yield* isFit(connection))) return connection
      yield* Pool.invalidate(pool, connection)
      yield* Scope.close(inner, Exit.void)
    }
  })

  return {
    borrow: Effect.suspend(borrow),
    counts: () => ({
      open: connections.size,
      busy: [...connections].filter(({ isBusy }) => isBusy).length,
      opened
    }),
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
