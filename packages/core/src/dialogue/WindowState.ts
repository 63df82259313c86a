/**
 * How far a window of messages is: what was taken from its feed, what is known, in
 * order, and what is left when the connection ends.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Reason from "../outcome/Reason.ts"
import * as Outcome from "./Outcome.ts"
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
  readonly _tag: "Done"
  readonly given: M
  readonly message: Pending<M>["message"]
  readonly result: Result.Result<Outcome.Delivery, Reason.Reason>
}

/** The result of a message that does not get any further: some may have it from sessions before. */
export const abandoned = (
  { begun, message }: Pending<unknown>,
  reason: Reason.Reason
): Done<unknown>["result"] =>
  begun === undefined || begun.parts.length === 0 || Result.isFailure(message)
    ? Result.fail(reason)
    : Transaction.conclude(message.success, begun.parts, begun.rest, reason)

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

/** A message some of whose recipients need another transaction: it comes when nothing else is on its way. */
export interface Gap<M> {
  readonly _tag: "Gap"
  readonly pending: Pending<M>
  /** With those who were too many among the deferred. */
  readonly settled: Outcome.Settled
  /** Those, by their place in the envelope. */
  readonly rest: ReadonlyArray<number>
}

/** How far a window is: what was taken, what is known, and what goes out on another connection. */
export class WindowState<M> {
  readonly feed: Feed<M>
  readonly session: Session<"ready">
  readonly budget: Transaction.Budget
  batch: ReadonlyArray<Pending<M>> = []
  at = 0
  exhausted = false
  /** What may be told. */
  results: Array<Done<M>> = []
  /** From the first message on that needs another transaction: what comes behind it waits for its result. */
  behind: Array<Done<M> | Gap<M>> = []
  left: Array<Pending<M>> = []
  lost: Reason.Reason | undefined = undefined
  /** Nobody knows whether a transaction is open: RSET goes before the next. */
  unsure = false
  /** The connection may have ended unnoticed: the first message finds out before its content goes out. */
  cautious: boolean
  /** The session takes nothing more by the server's limits. */
  full = false

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
    return !this.full && this.behind.length === 0 && this.budget.mails >= 1
  }

  /** True when more may be asked for. */
  get hungry(): boolean {
    return !this.exhausted && this.open && this.at === this.batch.length
  }

  take(): void {
    this.at++
  }

  add(each: Done<M> | Gap<M>): void {
    if (each._tag === "Done" && this.behind.length === 0) this.results.push(each)
    else this.behind.push(each)
  }

  settle({ given, message }: Pending<M>, result: Done<M>["result"]): void {
    this.add({ _tag: "Done", given, message, result })
  }

  /** From the outcome of a message that went as a whole to its result, or to another transaction for some. */
  landed(pending: Pending<M>, settled: Outcome.Settled): void {
    const again = settled.reply === undefined ? [] : Outcome.tooMany(settled)
    if (again.length === 0) return this.conclude(pending, settled, undefined)
    this.add({ _tag: "Gap", pending, settled, rest: again })
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
