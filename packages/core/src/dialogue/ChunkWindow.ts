/**
 * Windows of whole messages, where the server has CHUNKING and PIPELINING (RFC 3030,
 * RFC 2920): MAIL, RCPT and BDAT with all of the content, message after message, each
 * behind a RSET, since nobody knows what became of the one before.
 */
import * as Result from "effect/Result"
import * as Reason from "../outcome/Reason.ts"
import * as Command from "../wire/Command.ts"
import * as Expect from "../wire/Expect.ts"
import { render } from "../wire/Reply.ts"
import type * as Said from "../wire/Said.ts"
import * as Body from "./Body.ts"
import * as Outcome from "./Outcome.ts"
import * as Program from "./Program.ts"
import { alone, feed, fillGaps, type Flight, prepare, tell } from "./Flights.ts"
import * as Transaction from "./OneTransaction.ts"
import type { Pending, WindowState } from "./WindowState.ts"

/** Messages that are on their way at a time, at most. */
const most = 100

/** Octets that are on their way at a time: the next message waits when there are more. */
const mostOctets = 4_194_304

/** Results that are told together. */
const together = 16

/** Delivers in windows of whole messages. */
export const inChunks = Program.fn(function*<M>(state: WindowState<M>) {
  const flights: Array<Flight<M>> = []
  let first = 0
  let octets = 0
  for (;;) {
    while (state.lost === undefined && flights.length - first < most && octets < mostOctets) {
      if (state.hungry) {
        yield* tell(state)
        yield* feed(state, first === flights.length)
      }
      const pending = state.next
      if (pending === undefined) break
      const flight = take(state, pending, flights.length > first)
      if (flight === undefined) {
        // It needs the replies to its envelope before its content.
        if (flights.length > first) break
        state.take()
        yield* tell(state)
        yield* alone(state, pending)
        continue
      }
      state.take()
      flights.push(flight)
      if (Result.isFailure(flight.prepared)) continue
      state.budget.mails--
      const lost = yield* Program.settled(Program.converse(said(flight.prepared.success, flight.steps), []))
      if (Result.isFailure(lost)) state.lost = lost.failure.reason
      octets += size(flight)
      state.unsure = true
    }
    const flight = flights[first]
    if (flight === undefined) {
      if (state.behind.length > 0) {
        yield* fillGaps(state)
        continue
      }
      yield* tell(state)
      if (state.unsure && state.lost === undefined) yield* Transaction.reset
      return state.ended()
    }
    first++
    if (first === most) {
      flights.splice(0, first)
      first = 0
    }
    octets -= size(flight)
    yield* conclude(state, flight, first === flights.length)
    if (state.results.length >= together) yield* tell(state)
  }
})

const size = <M>({ prepared }: Flight<M>): number =>
  Result.isSuccess(prepared) && prepared.success.body._tag === "Octets" ? prepared.success.body.octets.length : 0

// Undefined where the message cannot be said as a whole before its replies.
const take = <M>(state: WindowState<M>, pending: Pending<M>, outstanding: boolean): Flight<M> | undefined => {
  const prepared = state.cautious ? undefined : prepare(state, pending)
  if (prepared === undefined) return undefined
  if (Result.isFailure(prepared)) return { pending, prepared, steps: [] }
  const { body, groups, policy, rcpts } = prepared.success
  if (groups.length !== 1 || body._tag !== "Octets" || (policy === "all" && rcpts.length > 1)) return undefined
  const steps: Array<Expect.Step> = outstanding || state.unsure ? ["Rset", "Mail"] : ["Mail"]
  for (let i = 0; i < rcpts.length; i++) steps.push("Rcpt")
  steps.push("Bdat")
  return { pending, prepared, steps }
}

const said = (
  { body, mail, rcpts }: Transaction.Prepared,
  [first]: ReadonlyArray<Expect.Step>
): ReadonlyArray<Said.Said> => {
  const all: Array<Said.Said> = first === "Rset" ? [Command.rset, mail, ...rcpts] : [mail, ...rcpts]
  if (body._tag === "Octets") all.push(Body.chunk(body))
  return all
}

// Hears the replies of the oldest flight. `last`: nothing else is on its way.
const conclude = Program.fn(function*<M>(state: WindowState<M>, flight: Flight<M>, last: boolean) {
  const { pending, prepared, steps } = flight
  if (Result.isFailure(prepared)) {
    // Behind one that is sent again its turn comes with that.
    if (state.left.length > 0) return void state.left.push(pending)
    return state.settle(pending, Result.fail(prepared.failure))
  }
  const { explain, recipients } = prepared.success
  const heard = yield* Program.settled(Program.converse([], steps))
  const reset = steps[0] === "Rset" ? 1 : 0
  if (Result.isSuccess(heard)) {
    const replies = reset === 0 ? heard.success : heard.success.slice(reset)
    const [first] = heard.success
    if (reset > 0 && first !== undefined && !Expect.isYes("Rset", first)) {
      // What came before may have got the content, too.
      const received = render(first)
      const reason = Reason.make("ProtocolViolation", { step: "Rset", expected: "250", received })
      state.full = true
      return state.conclude(pending, Outcome.lost(explain, recipients, [], reason, true), undefined)
    }
    const settled = Outcome.settle(explain, Transaction.heardEnvelope(recipients, replies), "Bdat", replies.slice(-1))
    if (last) state.unsure = settled.reply === undefined
    return state.landed(pending, settled)
  }
  const { heard: before, reason, written } = heard.failure
  const replies = before.slice(reset)
  const all = before.length + written === steps.length
  state.conclude(pending, Outcome.lost(explain, recipients, replies, reason, all), reason)
})
