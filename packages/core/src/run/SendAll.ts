/**
 * Many messages, in windows over one connection at a time: pulls them from a stream,
 * hands them to {@link deliverAll}, and gives their results in order.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Transaction from "../dialogue/Transaction.ts"
import { abandoned, deliverAll, type Done, type Ended, type Feed, type Pending } from "../dialogue/Window.ts"
import type { Reason } from "../outcome/Reason.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import type { Live } from "./Connection.ts"
import type { Dialled } from "./Dial.ts"
import type { Meter, Tally } from "./Meter.ts"
import type { Message, Sent } from "./SmtpClient.ts"
import type { Telemetry } from "./Telemetry.ts"

/** Messages that are made ready ahead of the window, at a time. */
const ahead = 64

/** Results that wait for the consumer: with more, nothing further is sent. */
const buffered = 256

type Ready = (message: Message) => Effect.Effect<Transaction.Message, SmtpError, Scope.Scope>

/** The stream of results. Dials again where a connection takes no more, or fails with why. */
export const sendAll = <E, R>(
  telemetry: Telemetry,
  dial: Effect.Effect<Dialled, SmtpError, Scope.Scope>,
  ready: Ready,
  messages: Stream.Stream<Message, E, R>,
  again = true
): Stream.Stream<Sent, E | SmtpError, R> =>
  Stream.callback<Sent, E | SmtpError, R>(
    Effect.fnUntraced(function*(results) {
      const input = yield* Queue.bounded<ReadonlyArray<Pending<Message>>, E | Cause.Done>(1)
      yield* Effect.forkScoped(Queue.into(fill(messages, ready, input), input))
      yield* telemetry.sendAll((tally) => drain(dial, input, results, tally, again))
      yield* Queue.end(results)
    }),
    { bufferSize: buffered }
  )

const fill = <E, R>(
  messages: Stream.Stream<Message, E, R>,
  ready: Ready,
  input: Queue.Enqueue<ReadonlyArray<Pending<Message>>, E | Cause.Done>
) =>
  Stream.runForEachArray(
    messages,
    Effect.fnUntraced(function*(some) {
      for (let at = 0; at < some.length; at += ahead) {
        yield* Queue.offer(
          input,
          yield* Effect.forEach(some.slice(at, at + ahead), (given) =>
            Effect.match(ready(given), {
              onFailure: (error): Pending<Message> => ({ given, message: Result.fail(error.reason), attempts: 0 }),
              onSuccess: (message): Pending<Message> => ({ given, message: Result.succeed(message), attempts: 0 })
            }))
        )
      }
    })
  )

const drain = Effect.fnUntraced(function*<E>(
  dial: Effect.Effect<Dialled, SmtpError, Scope.Scope>,
  input: Queue.Dequeue<ReadonlyArray<Pending<Message>>, E | Cause.Done>,
  results: Queue.Enqueue<Sent, E | SmtpError | Cause.Done>,
  tally: Tally,
  again: boolean
) {
  const feed = new Source(input, results, tally)
  let left = (yield* feed.more(true)) ?? []
  // One connection after the other, until there is nothing left.
  while (left.length > 0) {
    const ended: Ended<Message> = yield* Effect.scoped(
      Effect.flatMap(
        Effect.tapError(dial, ({ reason }) => feed.giveUp(left, reason)),
        ({ budget, connection, meter, session }) => {
          feed.connection = connection
          feed.meter = meter
          return meter.measure("sendAll", connection.run(deliverAll(session, feed, left, false, budget)))
        }
      )
    )
    if (!again && ended.left.length > 0) {
      const { session } = yield* dial
      const reason = ended.lost ?? Transaction.limitReached(session)
      yield* feed.giveUp(ended.left, reason)
      return yield* Effect.fail(feed.error(reason))
    }
    left = ended.left.length > 0 || ended.exhausted ? ended.left : (yield* feed.more(true)) ?? []
  }
  if (feed.failure !== undefined) return yield* Effect.failCause(feed.failure)
})

class Source<E> implements Feed<Message> {
  readonly input: Queue.Dequeue<ReadonlyArray<Pending<Message>>, E | Cause.Done>
  readonly results: Queue.Enqueue<Sent, E | SmtpError | Cause.Done>
  readonly tally: Tally
  connection: Live | undefined = undefined
  meter: Meter | undefined = undefined
  /** Why there are no more messages, where the stream of them failed. */
  failure: Cause.Cause<E> | undefined = undefined

  constructor(
    input: Queue.Dequeue<ReadonlyArray<Pending<Message>>, E | Cause.Done>,
    results: Queue.Enqueue<Sent, E | SmtpError | Cause.Done>,
    tally: Tally
  ) {
    this.input = input
    this.results = results
    this.tally = tally
  }

  more = (wait: boolean): Effect.Effect<ReadonlyArray<Pending<Message>> | undefined> => {
    if (!wait) return Effect.map(Queue.poll(this.input), (some) => Option.getOrElse(some, () => []))
    this.meter?.rest()
    this.tally.flush()
    return Effect.matchCauseEffect(Queue.take(this.input), {
      onSuccess: (some) => Effect.succeed(some),
      onFailure: (cause) => {
        if (Cause.hasInterrupts(cause)) return Effect.interrupt
        if (!Pull.isDoneCause(cause)) this.failure = cause as Cause.Cause<E>
        return Effect.succeed(undefined)
      }
    })
  }

  done = (all: ReadonlyArray<Done<Message>>): Effect.Effect<void> => {
    for (const { given, result } of all) this.tally.add(given, result)
    const held = all.flatMap(({ message }) =>
      Result.isSuccess(message) && message.success.body._tag === "Blocks" ? [message.success.body.release] : []
    )
    const told = Queue.offerAll(
      this.results,
      all.map(({ given, result }): Sent => ({
        message: given,
        result: Result.mapError(result, (reason) => this.error(reason))
      }))
    )
    return held.length === 0 ? Effect.asVoid(told) : Effect.asVoid(Effect.andThen(Effect.all(held), told))
  }

  /** What other sessions did for the first message is told where no more can be done. */
  giveUp([first]: ReadonlyArray<Pending<Message>>, reason: Reason): Effect.Effect<void> {
    if (first?.begun === undefined || first.begun.parts.length === 0) return Effect.void
    const { given, message } = first
    return this.done([{ _tag: "Done", given, message, result: abandoned(first, reason) }])
  }

  error(reason: Reason): SmtpError {
    return this.connection?.error(reason) ?? new SmtpError({ reason, phase: "input", transcript: [] })
  }
}
