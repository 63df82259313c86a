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
import { alone, feed, fillGap, type Flight, type Pending, prepare, type Progress, tell } from "./Flights.ts"
import * as Transaction from "./OneTransaction.ts"

/** Delivers one message after the other, or one by one where the server has no PIPELINING. */
export const inTurn = Program.fn(function*(progress: Progress<unknown>) {
  // The message whose envelope is said and not yet heard.
  let current: Flight | undefined
  for (;;) {
    if (progress.lost !== undefined) {
      if (current !== undefined) yield* envelopeLost(progress, current)
      yield* fillGap(progress)
      yield* tell(progress)
      return progress.ended()
    }
    if (current === undefined) {
      if (progress.gap !== undefined) {
        yield* fillGap(progress)
        continue
      }
      if (progress.hungry) {
        yield* tell(progress)
        yield* feed(progress, true)
        if (progress.hungry && !progress.exhausted) continue
      }
      const pending = progress.next
      if (pending === undefined) {
        yield* tell(progress)
        return progress.ended()
      }
      progress.take()
      const flight = envelopeOf(progress, pending)
      if (flight === undefined) {
        yield* alone(progress, pending)
        yield* tell(progress)
        continue
      }
      if (Result.isFailure(flight.prepared)) {
        progress.settle(pending, Result.fail(flight.prepared.failure))
        continue
      }
      progress.budget.mails--
      const lost = yield* Program.settled(Program.converse(envelopeSaid(flight), []))
      if (Result.isFailure(lost)) progress.lost = lost.failure.reason
      current = flight
      continue
    }
    current = yield* turn(progress, current)
    yield* tell(progress)
  }
})

// Undefined where DATA must wait for the replies to the envelope, or nothing may be said before its time.
const envelopeOf = (progress: Progress<unknown>, pending: Pending<unknown>): Flight | undefined => {
  const prepared = progress.cautious ? undefined : prepare(progress, pending)
  if (prepared === undefined) return undefined
  if (Result.isFailure(prepared)) return { pending, prepared, steps: [] }
  const { session } = progress
  const { body, groups, rcpts } = prepared.success
  const rides = Transaction.rider(session, prepared.success, rcpts.length)
  if (groups.length !== 1 || body._tag !== "Octets" || rides?._tag !== "Data" || session.facts.lmtp === true) {
    return undefined
  }
  return { pending, prepared, steps: Transaction.envelopeSteps(rcpts.length, rides) }
}

const envelopeSaid = ({ prepared }: Flight): ReadonlyArray<Said.Said> =>
  Result.isSuccess(prepared) ? [prepared.success.mail, ...prepared.success.rcpts, Command.data] : []

const envelopeLost = Program.fn(function*(progress: Progress<unknown>, flight: Flight) {
  const heard = yield* Program.settled(Program.converse([], flight.steps))
  if (Result.isFailure(flight.prepared)) return
  const reason = Result.isFailure(heard) ? heard.failure.reason : progress.lost
  if (reason === undefined) return
  progress.conclude(
    flight.pending,
    Outcome.lost(flight.prepared.success.explain, flight.prepared.success.recipients, [], reason, false),
    reason
  )
})

// Hears an envelope, sends its content and with that the next envelope, which is given back.
const turn = Program.fn(function*(progress: Progress<unknown>, flight: Flight) {
  const { pending, prepared, steps } = flight
  if (Result.isFailure(prepared) || prepared.success.body._tag !== "Octets") return undefined
  const { body, explain, recipients } = prepared.success
  const heard = yield* Program.settled(Program.converse([], steps))
  if (Result.isFailure(heard)) {
    const { reason } = heard.failure
    progress.conclude(pending, Outcome.lost(explain, recipients, [], reason, false), reason)
    return undefined
  }
  const envelope = Transaction.heardEnvelope(recipients, heard.success)
  const data = heard.success[heard.success.length - 1]
  const accepted = Outcome.accepted(envelope)
  if (accepted === 0 || data === undefined || !Expect.isYes("Data", data)) {
    yield* Transaction.giveUp(data, envelope)
    const refusal = accepted === 0 || data === undefined ? [] : [data]
    progress.conclude(pending, Outcome.settle(explain, envelope, "Data", refusal), undefined)
    return undefined
  }
  if (progress.hungry) yield* feed(progress, false)
  const next = following(progress)
  const content = Body.data(body)
  const say = next === undefined ? [content] : [content, ...envelopeSaid(next)]
  const sent = yield* Program.settled(Program.converse(say, ["Content"]))
  if (Result.isFailure(sent)) {
    const { reason, written } = sent.failure
    progress.conclude(pending, Outcome.lost(explain, recipients, heard.success, reason, written > 0), reason)
    return next
  }
  progress.landed(pending, prepared.success, Outcome.settle(explain, envelope, "Content", sent.success))
  return next
})

// The next message where its envelope may ride along.
const following = (progress: Progress<unknown>): Flight | undefined => {
  const pending = progress.next
  const flight = pending === undefined ? undefined : envelopeOf(progress, pending)
  if (flight === undefined || Result.isFailure(flight.prepared)) return undefined
  progress.take()
  progress.budget.mails--
  return flight
}
