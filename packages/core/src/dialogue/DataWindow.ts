/**
 * Messages by DATA without a wait between them (RFC 2920 §3.1): the next envelope goes
 * out with the end of the content before it.
 */
import * as Result from "effect/Result"
import * as Command from "../wire/Command.ts"
import * as Expect from "../wire/Expect.ts"
import type * as Said from "../wire/Said.ts"
import * as Body from "./Body.ts"
import * as Outcome from "./Outcome.ts"
import * as Program from "./Program.ts"
import { alone, feed, fillGaps, type Flight, prepare, tell } from "./Flights.ts"
import * as Transaction from "./OneTransaction.ts"
import type { Pending, WindowState } from "./WindowState.ts"

/** Delivers one message after the other, or one by one where the server has no PIPELINING. */
export const inTurn = Program.fn(function*<M>(state: WindowState<M>) {
  // The message whose envelope is said and not yet heard.
  let current: Flight<M> | undefined
  for (;;) {
    if (state.lost !== undefined) {
      if (current !== undefined) yield* envelopeLost(state, current)
      yield* fillGaps(state)
      yield* tell(state)
      return state.ended()
    }
    if (current === undefined) {
      if (state.behind.length > 0) {
        yield* fillGaps(state)
        continue
      }
      if (state.hungry) {
        yield* tell(state)
        yield* feed(state, true)
        continue
      }
      const pending = state.next
      if (pending === undefined) {
        yield* tell(state)
        return state.ended()
      }
      state.take()
      const flight = envelopeOf(state, pending)
      if (flight === undefined) {
        yield* alone(state, pending)
        yield* tell(state)
        continue
      }
      if (Result.isFailure(flight.prepared)) {
        state.settle(pending, Result.fail(flight.prepared.failure))
        continue
      }
      state.budget.mails--
      const lost = yield* Program.settled(Program.converse(envelopeSaid(flight), []))
      if (Result.isFailure(lost)) state.lost = lost.failure.reason
      current = flight
      continue
    }
    current = yield* turn(state, current)
    yield* tell(state)
  }
})

// Undefined where DATA must wait for the replies to the envelope, or nothing may be said before its time.
const envelopeOf = <M>(state: WindowState<M>, pending: Pending<M>): Flight<M> | undefined => {
  const prepared = state.cautious ? undefined : prepare(state, pending)
  if (prepared === undefined) return undefined
  if (Result.isFailure(prepared)) return { pending, prepared, steps: [] }
  const { session } = state
  const { body, groups, rcpts } = prepared.success
  const rides = Transaction.rider(session, prepared.success, rcpts.length)
  if (groups.length !== 1 || body._tag !== "Octets" || rides?._tag !== "Data" || session.facts.lmtp === true) {
    return undefined
  }
  return { pending, prepared, steps: Transaction.envelopeSteps(rcpts.length, rides) }
}

const envelopeSaid = <M>({ prepared }: Flight<M>): ReadonlyArray<Said.Said> =>
  Result.isSuccess(prepared) ? [prepared.success.mail, ...prepared.success.rcpts, Command.data] : []

const envelopeLost = Program.fn(function*<M>(state: WindowState<M>, flight: Flight<M>) {
  const heard = yield* Program.settled(Program.converse([], flight.steps))
  if (Result.isFailure(flight.prepared)) return
  const reason = Result.isFailure(heard) ? heard.failure.reason : state.lost
  if (reason === undefined) return
  state.conclude(
    flight.pending,
    Outcome.lost(flight.prepared.success.explain, flight.prepared.success.recipients, [], reason, false),
    reason
  )
})

// Hears an envelope, sends its content and with that the next envelope, which is given back.
const turn = Program.fn(function*<M>(state: WindowState<M>, flight: Flight<M>) {
  const { pending, prepared, steps } = flight
  if (Result.isFailure(prepared) || prepared.success.body._tag !== "Octets") return undefined
  const { body, explain, recipients } = prepared.success
  const heard = yield* Program.settled(Program.converse([], steps))
  if (Result.isFailure(heard)) {
    const { reason } = heard.failure
    state.conclude(pending, Outcome.lost(explain, recipients, [], reason, false), reason)
    return undefined
  }
  const envelope = Transaction.heardEnvelope(recipients, heard.success)
  const data = heard.success[heard.success.length - 1]
  const accepted = Outcome.accepted(envelope)
  if (accepted === 0 || data === undefined || !Expect.isYes("Data", data)) {
    yield* Transaction.giveUp(data, envelope)
    const refusal = accepted === 0 || data === undefined ? [] : [data]
    state.conclude(pending, Outcome.settle(explain, envelope, "Data", refusal), undefined)
    return undefined
  }
  if (state.hungry) yield* feed(state, false)
  const next = following(state)
  const content = Body.data(body)
  const say = next === undefined ? [content] : [content, ...envelopeSaid(next)]
  const sent = yield* Program.settled(Program.converse(say, ["Content"]))
  if (Result.isFailure(sent)) {
    const { reason, written } = sent.failure
    state.conclude(pending, Outcome.lost(explain, recipients, heard.success, reason, written > 0), reason)
    return next
  }
  state.landed(pending, Outcome.settle(explain, envelope, "Content", sent.success))
  return next
})

// The next message where its envelope may ride along.
const following = <M>(state: WindowState<M>): Flight<M> | undefined => {
  const pending = state.next
  const flight = pending === undefined ? undefined : envelopeOf(state, pending)
  if (flight === undefined || Result.isFailure(flight.prepared)) return undefined
  state.take()
  state.budget.mails--
  return flight
}
