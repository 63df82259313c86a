/**
 * What the two kinds of windows share: messages taken from a feed, results told in
 * order, and what is left when the connection ends.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Reason from "../outcome/Reason.ts"
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
  /** What other sessions did for it, and the recipients that are left. */
  readonly begun?: { readonly parts: ReadonlyArray<Outcome.Settled>; readonly rest: ReadonlyArray<number> } | undefined
}

/** A message, and what became of it. */
export interface Done<M> {
  readonly given: M
  readonly message: Pending<M>["message"]
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
  readonly budget: Transaction.Budget
  batch: ReadonlyArray<Pending<M>> = []
  at = 0
  exhausted = false
  results: Array<Done<M>> = []
  left: Array<Pending<M>> = []
  lost: Reason.Reason | undefined = undefined
  /** Nobody knows whether a transaction is open: RSET goes before the next. */
  unsure = false
  /** The connection may have ended unnoticed: the first message finds out before its content goes out. */
  cautious: boolean
  /** The session takes nothing more by the server's limits. */
  full = false
  /** A message some of whose recipients need another transaction: it comes when nothing else is on its way. */
  gap: Gap<M> | undefined = undefined
  /** Results of the messages behind it. */
  behind: Array<Done<M>> = []

  constructor(
    session: Session<"ready">,
    feed: Feed<M>,
    begun: ReadonlyArray<Pending<M>>,
    cautious: boolean,
    budget: Transaction.Budget
  ) {
    this.session = session
    this.feed = feed
    this.batch = begun
    this.budget = budget
    this.cautious = cautious
  }

  get next(): Pending<M> | undefined {
    return this.open ? this.batch[this.at] : undefined
  }

  get open(): boolean {
    return !this.full && this.gap === undefined && this.budget.mails >= 1
  }

  /** True when more may be asked for. */
  get hungry(): boolean {
    return !this.exhausted && this.open && this.at === this.batch.length
  }

  take(): void {
    this.at++
  }

  settle(pending: Pending<M>, result: Done<M>["result"]): void {
    const results = this.gap === undefined ? this.results : this.behind
    results.push({ given: pending.given, message: pending.message, result })
  }

  /** From the outcome of a message that went as a whole to its result, or to another transaction for some. */
  landed(pending: Pending<M>, prepared: Transaction.Prepared, settled: Outcome.Settled): void {
    const again = settled.reply === undefined || this.gap !== undefined ? [] : Outcome.tooMany(settled)
    if (again.length === 0) return this.conclude(pending, settled, undefined)
    const rest = prepared.recipients.flatMap((recipient, i) => again.includes(recipient) ? [i] : [])
    this.gap = { pending, settled, rest }
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

interface Gap<M> {
  readonly pending: Pending<M>
  /** With those who were too many among the deferred. */
  readonly settled: Outcome.Settled
  readonly rest: ReadonlyArray<number>
}

/** The message some of whose recipients need another transaction gets one, now that nothing is on its way. */
export const fillGap = Program.fn(function*(progress: Progress<unknown>) {
  const { behind, budget, gap, session } = progress
  if (gap === undefined) return
  progress.gap = undefined
  progress.behind = []
  const { pending, rest, settled } = gap
  const outcomes = [...settled.outcomes]
  if (progress.lost === undefined && Result.isSuccess(pending.message)) {
    const attempted = yield* Program.settled(Transaction.attempt(session, pending.message.success, budget, rest))
    if (Result.isSuccess(attempted)) {
      const found = attempted.success.parts.flatMap((part) => part.outcomes)
      for (const i of rest) {
        const recipient = outcomes[i]?.recipient
        const outcome = found.find((each) => each.recipient === recipient)
        if (outcome !== undefined) outcomes.splice(i, 1, outcome)
      }
    }
    progress.lost = Result.isFailure(attempted)
      ? Program.isLost(attempted.failure) ? attempted.failure.reason : undefined
      : attempted.success.lost?.reason
  }
  progress.conclude(pending, { ...settled, outcomes }, undefined)
  progress.results.push(...behind)
})

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
  { begun, message }: Pending<unknown>
): Flight["prepared"] | undefined => {
  if (Result.isFailure(message)) return Result.fail(message.failure)
  // What other sessions began, and what has to be counted by domains, goes alone.
  if (begun !== undefined || session.facts.capabilities?.limits?.rcptDomainMax !== undefined) return undefined
  const prepared = Transaction.prepare(session, message.success)
  return Transaction.convertible(message.success, prepared) ? undefined : prepared
}

/** Sends a message that has to wait for replies on its way, with nothing else on the way. */
export const alone = Program.fn(function*(progress: Progress<unknown>, pending: Pending<unknown>) {
  if (progress.unsure) yield* Transaction.reset
  progress.unsure = false
  const { begun, message } = pending
  if (Result.isFailure(message)) return progress.settle(pending, Result.fail(message.failure))
  const source = onceOnly(message.success)
  const sending = progress.cautious ? { ...source.message, cautious: true } : source.message
  progress.cautious = false
  const attempted = yield* Program.settled(
    Transaction.attempt(progress.session, sending, progress.budget, begun?.rest)
  )
  if (Result.isFailure(attempted)) {
    const reason = Program.isLost(attempted.failure) ? attempted.failure.reason : attempted.failure
    if (Program.isLost(attempted.failure)) progress.lost = reason
    const { parts, rest } = begun ?? { parts: [], rest: [] }
    const result = parts.length === 0
      ? Result.fail(reason)
      : Transaction.unfinished(message.success, parts, rest, reason)
    return progress.settle(pending, result)
  }
  const { lost, recipients, rest } = attempted.success
  const parts = [...begun?.parts ?? [], ...attempted.success.parts]
  if (lost !== undefined) progress.lost = lost.reason
  if (rest.length > 0 && lost === undefined) {
    progress.full = true
    progress.left.push({ ...pending, begun: { parts, rest } })
    return
  }
  const { outcomes, reason, reply } = Outcome.merge(recipients, parts)
  // What is made on the way can be had once.
  const again = lost !== undefined && !source.begun() && begun === undefined
  progress.conclude(pending, { outcomes, reply, reason }, again ? lost.reason : undefined)
})

// Content that is made on the way, and whether that has begun.
const onceOnly = (
  message: Transaction.Message
): { readonly message: Transaction.Message; readonly begun: () => boolean } => {
  const { body } = message
  if (body._tag !== "Blocks") return { message, begun: () => false }
  let begun = false
  const next = Effect.suspend(() => {
    begun = true
    return body.next
  })
  return { message: { ...message, body: { ...body, next } }, begun: () => begun }
}
