/**
 * A stream of messages over a pool: cut into batches that are handed out to as many
 * connections as there may be, each of which sends windows of messages without waiting
 * for one before the next is said. What became of them comes in their order.
 */
import { type Reason, type SmtpClient, type SmtpError, Window } from "@postern/core"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Ready } from "./PoolEndpoints.ts"
import type { Lease, Leases } from "./PoolLeases.ts"

/** What the pool is to windows. */
export interface Host {
  readonly leases: Leases
  /** Connections, at most. */
  readonly max: number
  /** Makes a message ready for the preferred server. */
  readonly ready: Ready
  /** Accepts a message, which then has to leave; otherwise says why not. */
  readonly enter: () => SmtpError.SmtpError | undefined
  /** Waits for the rate. */
  readonly pace: Effect.Effect<void>
  readonly leave: (exit: Exit.Exit<unknown, unknown>) => void
  /** What comes of a message that failed: of more attempts, where they are safe. */
  readonly again: (
    message: SmtpClient.Message,
    error: SmtpError.SmtpError
  ) => Effect.Effect<SmtpClient.Sent["result"]>
}

/** Messages that are handed out at a time: a connection that has more to do comes back for the next. */
const together = 16

/** Batches on the way to each connection: enough for a window of a hundred messages. */
const ahead = 8

class Batch {
  readonly messages: ReadonlyArray<SmtpClient.Message>
  readonly results: Array<SmtpClient.Sent> = []
  readonly done = Deferred.makeUnsafe<ReadonlyArray<SmtpClient.Sent>>()
  settled = 0

  constructor(messages: ReadonlyArray<SmtpClient.Message>) {
    this.messages = messages
  }

  settle(index: number, sent: SmtpClient.Sent): void {
    this.results[index] = sent
    if (++this.settled === this.messages.length) Deferred.doneUnsafe(this.done, Exit.succeed(this.results))
  }
}

interface Ticket {
  readonly batch: Batch
  readonly index: number
  readonly message: SmtpClient.Message
  /** For whose server it was made ready. */
  readonly ready: Ready
}

type Pending = Window.Pending<Ticket>

/** The results of a stream of messages. It fails only where the stream does. */
export const sendAll = <E, R>(
  host: Host,
  messages: Stream.Stream<SmtpClient.Message, E, R>
): Stream.Stream<SmtpClient.Sent, E, R> =>
  Stream.unwrap(Effect.map(begin(host), ({ finish, handOut }) =>
    messages.pipe(
      Stream.chunks,
      Stream.flatMap((some) => Stream.fromArray(cut(some, host.max))),
      Stream.mapEffect((some) => handOut(new Batch(some))),
      Stream.buffer({ capacity: host.max * ahead }),
      Stream.mapEffect(({ done }) => Deferred.await(done)),
      Stream.flatMap((results) => Stream.fromArray(results)),
      Stream.concat(Stream.drain(Stream.fromEffect(finish)))
    )))

// Evenly, where there are few.
const cut = <A>(all: ReadonlyArray<A>, parts: number): ReadonlyArray<ReadonlyArray<A>> => {
  const size = Math.min(together, Math.ceil(all.length / parts))
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size))
}

// As many workers as there may be connections, and who gives them their work.
const begin = Effect.fnUntraced(function*(host: Host) {
  const { leases, max } = host
  const scope = yield* Effect.scope
  const work = yield* Queue.bounded<ReadonlyArray<Pending>, Cause.Done>(max)
  let unsettled = 0
  // Runs when nobody settles anything any more.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (; unsettled > 0; unsettled--) host.leave(Exit.interrupt())
    })
  )

  const settle = ({ batch, index, message }: Ticket, result: SmtpClient.Sent["result"]): void => {
    unsettled--
    host.leave(Result.isSuccess(result) ? Exit.void : Exit.fail(result.failure))
    batch.settle(index, { message, result })
  }
  // Those that failed are tried again one by one, if at all.
  const conclude = (ticket: Ticket, result: SmtpClient.Sent["result"]): Effect.Effect<unknown> =>
    Result.isSuccess(result)
      ? Effect.sync(() => settle(ticket, result))
      : Effect.forkIn(
        Effect.map(host.again(ticket.message, result.failure), (result) => settle(ticket, result)),
        scope
      )
  // Nothing more can be done for these on a connection; what other sessions did for them holds.
  const giveUp = (
    all: ReadonlyArray<Pending>,
    dress: (reason: Reason.Reason) => SmtpError.SmtpError,
    why: Reason.Reason
  ) =>
    Effect.forEach(
      all,
      (pending) => conclude(pending.given, Result.mapError(Window.abandoned(pending, why), dress)),
      { discard: true }
    )

  // Servers differ in what content is converted by. What is made on the way is not converted, and can be had once.
  const fit = (pending: Pending, ready: Ready): Effect.Effect<Pending> => {
    const { given, message } = pending
    if (given.ready === ready || Result.isFailure(message) || message.success.body._tag === "Blocks") {
      return Effect.succeed(pending)
    }
    return Effect.map(Effect.result(Scope.provide(ready(given.message), scope)), (made) => ({
      ...pending,
      given: { ...given, ready },
      message: Result.mapError(made, ({ reason }) => reason)
    }))
  }

  // What one connection takes; gives what it left, and why.
  const window = Effect.fnUntraced(function*(lease: Lease, begun: ReadonlyArray<Pending>) {
    const { budget, connection, count, session } = lease.opened
    let held = begun
    const onTheWay = new Map<Ticket, Pending>()
    const take = Effect.suspend(() => {
      const taken = held.slice(0, Math.max(1, lease.left))
      held = held.slice(taken.length)
      lease.spend(taken.length)
      return Effect.forEach(taken, (pending) =>
        Effect.map(fit(pending, lease.ready), (fitted) => {
          onTheWay.set(fitted.given, fitted)
          return fitted
        }))
    })
    const feed: Window.Feed<Ticket> = {
      // Nobody waits for work on a connection: others may have use for it.
      more: (wait) =>
        Effect.suspend(() => {
          if (lease.left === 0) return Effect.undefined
          if (held.length > 0) return take
          return Effect.flatMap(Queue.poll(work), (some) => {
            if (Option.isNone(some)) return Effect.succeed(wait ? undefined : [])
            held = some.value
            return take
          })
        }),
      done: (all) =>
        Effect.forEach(all, ({ given, result }) => {
          onTheWay.delete(given)
          count(given.message, result)
          return conclude(given, Result.mapError(result, connection.error))
        }, { discard: true })
    }
    const delivering = connection.run(Window.deliverAll(session, feed, yield* take, lease.isKept, budget))
    const ended = yield* Effect.catch(delivering, (error) =>
      Effect.as(
        giveUp([...onTheWay.values(), ...held], () => error, error.reason),
        undefined
      ))
    if (ended === undefined) return { left: [], lost: undefined, opened: lease.opened }
    const { left, lost } = ended
    // By the server's limits it takes no more, whatever the pool's own say.
    if (left.some(({ begun }) => begun !== undefined)) lease.drop()
    return { left: [...left, ...held], lost, opened: lease.opened }
  })

  const deliver = (begun: ReadonlyArray<Pending>, died = 0): Effect.Effect<void> =>
    Effect.matchEffect(leases.use((lease) => window(lease, begun)), {
      onFailure: (error) => giveUp(begun, () => error, error.reason),
      onSuccess: ({ left, lost, opened }) => {
        if (left.length === 0) return Effect.void
        if (lost === undefined || died < max) return deliver(left, lost === undefined ? died : died + 1)
        for (const pending of left) opened.count(pending.given.message, Window.abandoned(pending, lost))
        return giveUp(left, opened.connection.error, lost)
      }
    })

  const workers = yield* Effect.forEach(
    Array.from({ length: max }),
    () => Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(work), (some) => deliver(some))))
  )
  // The last result is told while its window is still open: interrupted, it would take the connection with it.
  const finish = Effect.andThen(Queue.end(work), Fiber.awaitAll(workers))

  const handOut = Effect.fnUntraced(function*(batch: Batch) {
    const pending: Array<Pending> = []
    for (const [index, message] of batch.messages.entries()) {
      const refused = host.enter()
      if (refused !== undefined) {
        batch.settle(index, { message, result: Result.fail(refused) })
        continue
      }
      unsettled++
      yield* host.pace
      const ticket = { batch, index, message, ready: host.ready }
      const ready = yield* Effect.result(Scope.provide(host.ready(message), scope))
      if (Result.isFailure(ready)) settle(ticket, Result.fail(ready.failure))
      else pending.push({ given: ticket, message: Result.succeed(ready.success), attempts: 0 })
    }
    if (pending.length > 0) yield* Queue.offer(work, pending)
    return batch
  })
  return { finish, handOut }
})
