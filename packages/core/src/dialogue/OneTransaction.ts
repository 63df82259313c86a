/**
 * One transaction (RFC 5321 §3.3): MAIL, every RCPT and what may follow in one go, then
 * the content for those recipients that were accepted.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Reason from "../outcome/Reason.ts"
import * as Command from "../wire/Command.ts"
import type * as Envelope from "../wire/Envelope.ts"
import * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import * as Said from "../wire/Said.ts"
import * as Body from "./Body.ts"
import * as Outcome from "./Outcome.ts"
import * as Program from "./Program.ts"
import type { Session } from "./Session.ts"

/** Content up to this size goes together with the envelope: larger content waits until a recipient is accepted. */
export const ridesAlong = 262_144

/** What is sent. */
export interface Message {
  readonly envelope: Envelope.Envelope
  readonly body: Body.Body
  readonly policy: Outcome.Policy
  /** The connection may have ended unnoticed: the content waits until the server has answered the envelope. */
  readonly cautious?: boolean | undefined
  /** Makes of content one that needs no extension, where the server lacks one that it needs. */
  readonly convert?: Convert | undefined
}

/** Gives content that means the same and needs neither 8BITMIME, BINARYMIME nor SMTPUTF8 in its header fields. */
export type Convert = (content: Uint8Array) => Effect.Effect<Uint8Array, Reason.Of<"ContentUnavailable">>

/** A message on one session: its commands, and how it is sent. */
export interface Prepared extends Message {
  readonly mail: Command.Mail
  readonly rcpts: ReadonlyArray<Command.Rcpt>
  /** As outcomes name them. */
  readonly recipients: ReadonlyArray<string>
  readonly way: Body.Way
  /** The recipients of each transaction, by their place in the envelope. */
  readonly groups: ReadonlyArray<ReadonlyArray<number>>
  readonly explain: Outcome.Explain
}

/**
 * Forgets a transaction. Where RSET is refused nobody knows who would get the next content: the session ends. Neither
 * that nor the end of the connection changes anything for the message that led here.
 */
export const reset = Program.gen(function*() {
  const done = yield* Program.settled(Program.exchange(Command.rset))
  if (Result.isSuccess(done) && Result.isFailure(done.success[0])) {
    yield* Program.settled(Program.exchange(Command.quit))
  }
})

/**
 * Whether a BDAT and its octets may go out before the envelope is answered. Not while TLS is offered and not on: a
 * server that demands it refuses all commands alike, and then reads the octets of the BDAT as commands (Postfix 3.7).
 * In LMTP nobody knows yet how many replies will come.
 */
export const chunksRide = ({ capabilities, lmtp, tls }: Session<"ready">["facts"]): boolean =>
  capabilities?.pipelining === true && lmtp !== true && (tls !== undefined || !capabilities.startTls)

/** What may be said with the envelope, before its replies: nothing where they decide whether the content is sent. */
export const rider = (
  { facts }: Session<"ready">,
  { body, cautious, policy, way }: Prepared,
  recipients: number
): Command.Data | Command.Burl | Said.Chunk | undefined => {
  if (facts.capabilities?.pipelining !== true || (policy === "all" && recipients > 1)) return undefined
  if (way === "DATA") return Command.data
  if (!chunksRide(facts) || cautious === true) return undefined
  if (body._tag === "Url") return body.command
  return body._tag === "Octets" && body.octets.length <= ridesAlong ? Body.chunk(body) : undefined
}

const isLmtp = ({ lmtp }: Session<"ready">["facts"]): boolean => lmtp === true

/** Sends a message to some of its recipients. */
export const transact = Program.fn(
  function*(
    session: Session<"ready">,
    message: Prepared,
    group: ReadonlyArray<number>,
    recipients: ReadonlyArray<string>
  ) {
    const { explain, policy, rcpts, way } = message
    const rides = rider(session, message, group.length)
    const step = Body.stepOf(way)
    const commands = [message.mail, ...group.flatMap((i) => rcpts[i] ?? [])]
    const steps = envelopeSteps(group.length, rides)
    const first = yield* Program.settled(
      session.facts.capabilities?.pipelining === true
        ? Program.converse(rides === undefined ? commands : [...commands, rides], steps)
        : stepByStep(commands, steps)
    )
    if (Result.isFailure(first)) {
      const { heard, reason, written } = first.failure
      const sent = carries(rides) && heard.length + written === steps.length
      const settled = Outcome.lost(explain, recipients, heard, reason, sent)
      return settled.reason === reason ? yield* Program.fail(first.failure) : settled
    }
    const envelope = heardEnvelope(recipients, first.success)
    const accepted = Outcome.accepted(envelope)
    const answer = first.success[group.length + 1]
    if (carries(rides) && answer !== undefined) {
      const settled = Outcome.settle(explain, envelope, step, [answer])
      // What a failed BDAT leaves behind is for RSET to clear (RFC 3030 §2).
      if (settled.reply === undefined) yield* reset
      return settled
    }
    if (accepted === 0) {
      yield* giveUp(answer, envelope)
      return Outcome.settle(explain, envelope, "Data", [])
    }
    if (policy === "all" && accepted < group.length) {
      yield* reset
      return Outcome.refusedSome(explain, envelope)
    }
    if (way === "DATA") {
      const data = answer ?? (yield* Program.converse([Command.data], ["Data"]))[0]
      if (data === undefined || !Expect.isYes("Data", data)) {
        yield* reset
        return Outcome.settle(explain, envelope, "Data", data === undefined ? [] : [data])
      }
    }
    const replies = isLmtp(session.facts) ? accepted : 1
    const sent = yield* Program.settled(handOver(session, message, replies))
    if (Result.isSuccess(sent)) {
      const settled = Outcome.settle(explain, envelope, step, sent.success)
      if (way !== "DATA" && settled.reply === undefined) yield* reset
      return settled
    }
    if (!Program.isLost(sent.failure)) {
      if (way !== "DATA") yield* reset
      return yield* Program.fail(sent.failure)
    }
    const { heard, reason, written } = sent.failure
    // In LMTP some recipients may have their reply already.
    if (heard.length > 0 && replies > 1) return partly(message, envelope, step, sent.failure)
    if (written === 0) return yield* Program.fail(sent.failure)
    return Outcome.lost(explain, recipients, [envelope.mail, ...envelope.rcpts], reason, true)
  }
)

// Without PIPELINING there is no need to say RCPT behind a refused MAIL.
const stepByStep = Program.fn(function*(commands: ReadonlyArray<Said.Said>, steps: ReadonlyArray<Expect.Step>) {
  const [mail] = yield* Program.converse(commands.slice(0, 1), ["Mail"])
  if (mail === undefined || !Expect.isYes("Mail", mail)) return mail === undefined ? [] : [mail]
  const rcpts = yield* Program.settled(Program.converse(commands.slice(1), steps.slice(1)))
  if (Result.isSuccess(rcpts)) return [mail, ...rcpts.success]
  return yield* Program.fail({ ...rcpts.failure, heard: [mail, ...rcpts.failure.heard] })
})

/** The steps that an envelope is answered by, and what rides with it. */
export const envelopeSteps = (recipients: number, rides: Said.Said | undefined): ReadonlyArray<Expect.Step> => {
  const steps: Array<Expect.Step> = ["Mail"]
  for (let i = 0; i < recipients; i++) steps.push("Rcpt")
  if (rides !== undefined) steps.push(...Said.steps(rides))
  return steps
}

/** The replies to an envelope, by what they answer. */
export const heardEnvelope = (
  recipients: ReadonlyArray<string>,
  heard: ReadonlyArray<Reply>
): Outcome.Envelope => {
  const [mail, ...rest] = heard
  if (mail === undefined) throw new Error("an envelope was answered by no reply")
  return { recipients, mail, rcpts: rest.slice(0, recipients.length) }
}

/** Leaves a transaction that has no recipient. */
export const giveUp = (data: Reply | undefined, { mail, rcpts }: Outcome.Envelope) => {
  if (data === undefined || !Expect.isYes("Data", data)) return reset
  // A server that waits for content without a recipient gets none (RFC 2920 §3.1). One that took a recipient and not the
  // sender might deliver it: nothing more is said to it.
  const nobody = Expect.isYes("Mail", mail) || rcpts.every((rcpt) => !Expect.isYes("Rcpt", rcpt))
  return nobody ? Program.settled(Program.converse([Body.nothing], ["Content"])) : Program.succeed(undefined)
}

const carries = (rides: Said.Said | undefined): boolean => rides !== undefined && rides._tag !== "Data"

const handOver = (
  { facts }: Session<"ready">,
  { body, way }: Prepared,
  replies: number
): Program.Program<ReadonlyArray<Reply>, Reason.Reason | Program.Lost> => {
  const steps = Array<Expect.Step>(replies).fill(Body.stepOf(way))
  switch (body._tag) {
    case "Url":
      return Program.converse([body.command], steps)
    case "Blocks": {
      const sevenBit = !body.binary && facts.capabilities?.eightBitMime !== true
      return Body.stream(body, way === "DATA" ? "DATA" : "BDAT", sevenBit, replies)
    }
    case "Octets":
      return Program.converse([way === "DATA" ? Body.data(body, replies) : Body.chunk(body, replies)], steps)
  }
}

// LMTP: the first of the accepted have their replies. The others are in doubt, but for a 421 that answers them.
const partly = (
  { explain }: Prepared,
  envelope: Outcome.Envelope,
  step: "Content" | "Bdat" | "Burl",
  { heard, reason, written }: Program.Lost
): Outcome.Settled => {
  const isAccepted = (i: number) => {
    const rcpt = envelope.rcpts[i]
    return rcpt !== undefined && Expect.isYes("Rcpt", rcpt)
  }
  let left = heard.length
  const known = envelope.recipients.findIndex((_, i) => isAccepted(i) && left-- === 0)
  const head = { ...envelope, recipients: envelope.recipients.slice(0, known), rcpts: envelope.rcpts.slice(0, known) }
  const settled = Outcome.settle(explain, head, step, heard)
  const rest = Outcome.lost(
    explain,
    envelope.recipients.slice(known),
    [envelope.mail, ...envelope.rcpts.slice(known)],
    reason,
    written > 0
  )
  return {
    ...settled,
    outcomes: [...settled.outcomes, ...rest.outcomes],
    reason: settled.reply === undefined ? rest.reason : undefined
  }
}
