/**
 * What the two kinds of windows do alike: they take messages from the feed, tell their
 * results, and send those that have to go alone.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Reason from "../outcome/Reason.ts"
import type * as Expect from "../wire/Expect.ts"
import * as Outcome from "./Outcome.ts"
import { chunksRide } from "./OneTransaction.ts"
import * as Program from "./Program.ts"
import * as Transaction from "./Transaction.ts"
import { abandoned, type Gap, type Pending, type WindowState } from "./WindowState.ts"

/** Messages some of whose recipients need another transaction get one, now that nothing is on its way. */
export const fillGaps = Program.fn(function*<M>(state: WindowState<M>) {
  const { behind } = state
  state.behind = []
  for (const each of behind) {
    if (each._tag === "Done") state.add(each)
    else state.conclude(each.pending, { ...each.settled, outcomes: yield* filled(state, each) }, undefined)
  }
})

const filled = Program.fn(function*<M>(state: WindowState<M>, { pending, rest, settled }: Gap<M>) {
  const found: Array<Outcome.Outcome> = []
  if (state.lost === undefined && Result.isSuccess(pending.message)) {
    yield* clear(state)
    const attempted = yield* Program.settled(
      Transaction.attempt(state.session, pending.message.success, state.budget, rest)
    )
    if (Result.isSuccess(attempted)) {
      state.lost = attempted.success.lost?.reason
      found.push(...attempted.success.parts.flatMap(({ outcomes }) => outcomes))
    } else if (Program.isLost(attempted.failure)) {
      state.lost = attempted.failure.reason
    }
  }
  const outcomes = [...settled.outcomes]
  for (const i of rest) {
    const at = found.findIndex(({ recipient }) => recipient === outcomes[i]?.recipient)
    if (at >= 0) outcomes.splice(i, 1, ...found.splice(at, 1))
  }
  return outcomes
})

// RSET, where nobody knows whether a transaction is open.
const clear = Program.fn(function*<M>(state: WindowState<M>) {
  if (state.unsure) yield* Transaction.reset
  state.unsure = false
})

/** Takes more from the feed; without waiting there may be none as yet. */
export const feed = Program.fn(function*<M>(state: WindowState<M>, wait: boolean) {
  const more = yield* Program.perform(state.feed.more(wait))
  if (more === undefined) state.exhausted = true
  state.batch = more ?? []
  state.at = 0
})

/** Tells the results that are known. */
export const tell = Program.fn(function*<M>(state: WindowState<M>) {
  const { results } = state
  if (results.length === 0) return
  state.results = []
  yield* Program.perform(state.feed.done(results))
})

/** A message whose replies are still to come, or that needs none. */
export interface Flight<M> {
  readonly pending: Pending<M>
  /** The message, or why it cannot be sent. */
  readonly prepared: Result.Result<Transaction.Prepared, Reason.Reason>
  /** The steps to hear: RSET first where one was said. */
  readonly steps: ReadonlyArray<Expect.Step>
}

/** The next message as it stands on this session; undefined where it has to be converted first. */
export const prepare = <M>(
  { session }: WindowState<M>,
  { begun, message }: Pending<M>
): Flight<M>["prepared"] | undefined => {
  if (Result.isFailure(message)) return Result.fail(message.failure)
  // What other sessions began, and what has to be counted by domains, goes alone.
  if (begun !== undefined || session.facts.capabilities?.limits?.rcptDomainMax !== undefined) return undefined
  const prepared = Transaction.prepare(session, message.success)
  return Transaction.convertible(message.success, prepared) ? undefined : prepared
}

/** Sends a message that has to wait for replies on its way, with nothing else on the way. */
export const alone = Program.fn(function*<M>(state: WindowState<M>, pending: Pending<M>) {
  yield* clear(state)
  const { begun, message } = pending
  if (Result.isFailure(message)) return state.settle(pending, Result.fail(message.failure))
  const source = onceOnly(message.success)
  const sending = state.cautious ? { ...source.message, cautious: true } : source.message
  state.cautious = false
  const attempted = yield* Program.settled(
    Transaction.attempt(state.session, sending, state.budget, begun?.rest)
  )
  if (Result.isFailure(attempted)) {
    const reason = Program.isLost(attempted.failure) ? attempted.failure.reason : attempted.failure
    if (Program.isLost(attempted.failure)) state.lost = reason
    return state.settle(pending, abandoned(pending, reason))
  }
  const { lost, recipients, rest } = attempted.success
  const parts = [...begun?.parts ?? [], ...attempted.success.parts]
  if (lost !== undefined) state.lost = lost.reason
  if (rest.length > 0 && lost === undefined) {
    state.full = true
    state.left.push({ ...pending, begun: { parts, rest } })
    return
  }
  const { outcomes, reason, reply } = Outcome.merge(recipients, parts)
  // Until it has taken a message, who knows what it does to the content of the next.
  state.cautious = reply === undefined && !chunksRide(state.session.facts)
  // What is made on the way can be had once.
  const again = lost !== undefined && !source.begun() && begun === undefined
  state.conclude(pending, { outcomes, reply, reason }, again ? lost.reason : undefined)
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
