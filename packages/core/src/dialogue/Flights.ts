/**
 * What the two kinds of windows share: messages taken from a feed, results told in
 * order, and what is left when the connection ends.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Reason from "../outcome/Reason.ts"
import * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import * as Outcome from "./Outcome.ts"
import * as Program from "./Program.ts"
import type { Session } from "./Session.ts"
import * as Transaction from "./Transaction.ts"

/** A message, and how often it was begun on connections that ended before its content was sent. */
export interface Pending<M> {
  readonly given: M
  /** The message, or why it is none. */
  readonly message: Result.Result<Transaction.Message, Reason.Reason>
  readonly attempts: number
}

/** A message, and what became of it. */
export interface Done<M> {
  readonly given: M
  readonly result: Result.Result<Outcome.Delivery, Reason.Reason>
}

/** Where messages come from and results go to. */
export interface Feed<M> {
  /** More messages: some, or none as yet where it need not wait; undefined when there are no more. */
  readonly more: (wait: boolean) => Effect.Effect<ReadonlyArray<Pending<M>> | undefined>
  /** Told the results in the order of the messages. */
  readonly done: (results: ReadonlyArray<Done<M>>) => Effect.Effect<void>
}

/** How a window ended. */
export interface Ended<M> {
  /** Messages that were taken and for which nothing was decided: they go out on another connection. */
  readonly left: ReadonlyArray<Pending<M>>
  /** There are no more. */
  readonly exhausted: boolean
  /** Why the connection takes no more; undefined where it came to its end in good order. */
  readonly lost: Reason.Reason | undefined
}

/** How far a window is: what was taken, what is known, and what goes out on another connection. */
export class Progress<M> {
  readonly feed: Feed<M>
  readonly session: Session<"ready">
  readonly limit: number
  batch: ReadonlyArray<Pending<M>> = []
  at = 0
  taken = 0
  exhausted = false
  results: Array<Done<M>> = []
  left: Array<Pending<M>> = []
  lost: Reason.Reason | undefined = undefined
  /** Nobody knows whether a transaction is open: RSET goes before the next. */
  unsure = false

  constructor(session: Session<"ready">, feed: Feed<M>, begun: ReadonlyArray<Pending<M>>) {
    this.session = session
    this.feed = feed
    this.batch = begun
    this.limit = session.facts.capabilities?.limits?.mailMax ?? Number.POSITIVE_INFINITY
  }

  get next(): Pending<M> | undefined {
    return this.taken < this.limit ? this.batch[this.at] : undefined
  }

  /** True when more may be asked for. */
  get hungry(): boolean {
    return !this.exhausted && this.taken < this.limit && this.at === this.batch.length
  }

  take(): void {
    this.at++
    this.taken++
  }

  settle(pending: Pending<M>, result: Done<M>["result"]): void {
    this.results.push({ given: pending.given, result })
  }

  // From a transaction's outcome to the message's result: what was not begun in earnest is begun again, once.
  conclude(pending: Pending<M>, settled: Outcome.Settled, lost: Reason.Reason | undefined): void {
    if (lost !== undefined) this.lost = lost
    if (settled.reply !== undefined) {
      this.settle(pending, Result.succeed({ reply: settled.reply, outcomes: settled.outcomes }))
      return
    }
    const reason = settled.reason ?? Outcome.inCommon(settled.outcomes)
    // What is in doubt is not sent again, and what was refused before the end stays refused.
    const again = lost !== undefined && reason === lost
    if (!again) return this.settle(pending, Result.fail(reason))
    // Results come in order: behind a message that is sent again all others are, too. The first of them was begun.
    if (this.left.length > 0) this.left.push(pending)
    else if (pending.attempts === 0) this.left.push({ ...pending, attempts: 1 })
    else this.settle(pending, Result.fail(reason))
  }

  ended(): Ended<M> {
    return { left: [...this.left, ...this.batch.slice(this.at)], exhausted: this.exhausted, lost: this.lost }
  }
}

/** Takes more from the feed; without waiting there may be none as yet. */
export const feed = Program.fn(function*(progress: Progress<unknown>, wait: boolean) {
  const more = yield* Program.perform(progress.feed.more(wait))
  if (more === undefined) progress.exhausted = true
  progress.batch = more ?? []
  progress.at = 0
})

/** Tells the results that are known. */
export const tell = Program.fn(function*(progress: Progress<unknown>) {
  const { results } = progress
  if (results.length === 0) return
  progress.results = []
  yield* Program.perform(progress.feed.done(results))
})

/** A message whose replies are still to come, or that needs none. */
export interface Flight {
  readonly pending: Pending<unknown>
  /** The message, or why it cannot be sent. */
  readonly prepared: Result.Result<Transaction.Prepared, Reason.Reason>
  /** The steps to hear: RSET first where one was said. */
  readonly steps: ReadonlyArray<Expect.Step>
}

/** The next message as it stands on this session; undefined where it has to be converted first. */
export const prepare = (
  { session }: Progress<unknown>,
  { message }: Pending<unknown>
): Flight["prepared"] | undefined => {
  if (Result.isFailure(message)) return Result.fail(message.failure)
  const prepared = Transaction.prepare(session, message.success)
  return Transaction.convertible(message.success, prepared) ? undefined : prepared
}

/** Sends a message that has to wait for replies on its way, with nothing else on the way. */
export const alone = Program.fn(function*(progress: Progress<unknown>, pending: Pending<unknown>) {
  if (progress.unsure) yield* Program.settled(Program.exchange(Command.rset))
  progress.unsure = false
  const { message } = pending
  if (Result.isFailure(message)) return progress.settle(pending, Result.fail(message.failure))
  const { body } = message.success
  // What is made on the way can be had once.
  let begun = false
  const next = body._tag === "Blocks"
    ? Effect.suspend(() => {
      begun = true
      return body.next
    })
    : undefined
  const watched = body._tag === "Blocks" && next !== undefined ? { ...message.success, body: { ...body, next } } : message.success
  const sent = yield* Program.settled(Transaction.send(progress.session, watched))
  if (Result.isSuccess(sent)) return progress.settle(pending, Result.succeed(sent.success))
  if (!Program.isLost(sent.failure)) return progress.settle(pending, Result.fail(sent.failure))
  const { reason } = sent.failure
  if (!begun) {
    const settled: Outcome.Settled = { outcomes: [], reply: undefined, reason }
    return progress.conclude(pending, settled, reason)
  }
  progress.lost = reason
  progress.settle(pending, Result.fail(reason))
})
