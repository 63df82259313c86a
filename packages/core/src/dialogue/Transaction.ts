/**
 * One message (RFC 5321 §3.3): MAIL, every RCPT and what may follow in one go, then the
 * content for those recipients that were accepted; in as many transactions as the
 * server's limits and the policy ask for.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Address from "../wire/Address.ts"
import * as Command from "../wire/Command.ts"
import type * as Envelope from "../wire/Envelope.ts"
import * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import * as Said from "../wire/Said.ts"
import * as Body from "./Body.ts"
import * as Outcome from "./Outcome.ts"
import * as Parameters from "./Parameters.ts"
import * as Program from "./Program.ts"
import type { Session } from "./Session.ts"

/** Content up to this size goes together with the envelope: larger content waits until a recipient is accepted. */
export const ridesAlong = 262_144

/** What is sent. */
export interface Message {
  readonly envelope: Envelope.Envelope
  readonly body: Body.Body
  readonly policy: Outcome.Policy
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

/** Holds a message against what the server offers. Fails with what keeps it from being sent. */
export const prepare = (
  session: Session<"ready">,
  message: Message
): Result.Result<Prepared, Reason.Of<"TooLarge" | "ExtensionMissing" | "InvalidInput">> => {
  const { body, envelope } = message
  const { facts, known } = session
  const parameters = Parameters.of(facts, envelope, body)
  if (Result.isFailure(parameters)) return Result.fail(parameters.failure)
  const way = Body.way(facts, body)
  if (Result.isFailure(way)) return Result.fail(way.failure)
  const groups = grouped(session, message)
  if (groups.length > 1 && message.policy === "all") {
    const problem = "the server takes fewer recipients in one transaction, and all of them or none is asked for"
    return Result.fail(Reason.make("InvalidInput", { what: "the number of recipients", problem }))
  }
  const { mail, rcpt } = parameters.success
  return Result.succeed({
    ...message,
    mail: Command.mail(envelope.reversePath, mail),
    rcpts: envelope.forwardPaths.map((path, i) => Command.rcpt(path, rcpt[i])),
    recipients: envelope.forwardPaths.map(Address.formatForwardPath),
    way: way.success,
    groups,
    explain: (refused, recipients) =>
      Classify.refusal(known, refused, {
        reversePath: Address.formatReversePath(envelope.reversePath),
        recipients,
        size: body.facts.size,
        limit: facts.capabilities?.size
      })
  })
}

// As many recipients in each as the policy, RCPTMAX and RCPTDOMAINMAX allow (RFC 9422 §4).
const grouped = (
  { facts }: Session<"ready">,
  { envelope: { forwardPaths }, policy }: Message
): ReadonlyArray<ReadonlyArray<number>> => {
  const limits = facts.capabilities?.limits
  const most = policy === "each" ? 1 : limits?.rcptMax ?? Number.POSITIVE_INFINITY
  const domains = limits?.rcptDomainMax ?? Number.POSITIVE_INFINITY
  const groups: Array<{ readonly members: Array<number>; readonly domains: Set<string> }> = []
  forwardPaths.forEach((path, i) => {
    const domain = path === "postmaster" ? "" : path.domain.toLowerCase()
    const fits = groups.find((group) =>
      group.members.length < most && (group.domains.has(domain) || group.domains.size < domains)
    )
    const group = fits ?? { members: [], domains: new Set<string>() }
    if (fits === undefined) groups.push(group)
    group.members.push(i)
    group.domains.add(domain)
  })
  return groups.map(({ members }) => members)
}

/**
 * Delivers a message within a session. At least one recipient was accepted when it
 * succeeds (every one, with the policy `all`); look at `outcomes` for the others. When
 * every one is refused the transaction is reset and it fails with their common reason,
 * or `RecipientsRefused`. Fails also with `SenderRefused`, `RelayDenied`,
 * `ContentRefused`, `TooLarge`, `ExtensionMissing`, `TemporaryFailure`,
 * `AuthenticationRequired`, `ServiceClosing`, `ContentUnavailable` or `InDoubt`.
 */
export const deliver = Program.fn(
  function*(
    session: Session<"ready">,
    envelope: Envelope.Envelope,
    content: Uint8Array | Body.Body,
    policy: Outcome.Policy = "any"
  ) {
    const body = content instanceof Uint8Array ? Body.octets(content) : content
    return yield* send(session, { envelope, body, policy })
  }
)

/** {@link deliver} for a message that may be converted. Fails as that does. */
export const send = Program.fn(function*(session: Session<"ready">, message: Message) {
  const prepared = prepare(session, message)
  if (!convertible(message, prepared)) return yield* deliverPrepared(session, yield* Program.fromResult(prepared))
  const converted = yield* Program.perform(message.convert(message.body.octets))
  const body = Body.octets(converted)
  return yield* deliverPrepared(session, yield* Program.fromResult(prepare(session, { ...message, body })))
})

interface Convertible extends Message {
  readonly body: Body.Body & { readonly _tag: "Octets" }
  readonly convert: Convert
}

/** True where an extension is missing that the message does without once it is converted. */
export const convertible = (
  message: Message,
  prepared: Result.Result<Prepared, Reason.Reason>
): message is Convertible =>
  message.convert !== undefined && message.body._tag === "Octets" && Result.isFailure(prepared)
  && prepared.failure._tag === "ExtensionMissing" && byContent.has(prepared.failure.extension)

const byContent: ReadonlySet<string> = new Set(["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"])

const deliverPrepared = Program.fn(function*(session: Session<"ready">, message: Prepared) {
  const groups = [...message.groups]
  const parts: Array<Outcome.Settled> = []
  let lost: Program.Lost | undefined
  let ended: Reason.Reason | undefined
  // Not an iteration: recipients that were too many for one transaction get another.
  for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
    const recipients = group.map((i) => message.recipients[i] ?? "")
    if (ended !== undefined) {
      parts.push(Outcome.lost(message.explain, recipients, [], ended, false))
      continue
    }
    const settled = yield* Program.settled(transact(session, message, group, recipients))
    if (Result.isFailure(settled)) {
      if (!Program.isLost(settled.failure)) return yield* Program.fail(settled.failure)
      lost = settled.failure
      ended = lost.reason
      parts.push(Outcome.lost(message.explain, recipients, [], ended, false))
      continue
    }
    const part = settled.success
    const again = part.reply === undefined ? [] : Outcome.tooMany(part)
    if (part.reason?._tag === "InDoubt") {
      ended = Reason.make("ConnectionLost", { step: "Content", detail: part.reason.detail })
    }
    if (again.length > 0) groups.push(group.filter((i) => again.includes(message.recipients[i] ?? "")))
    const outcomes = again.length === 0
      ? part.outcomes
      : part.outcomes.filter(({ recipient }) => !again.includes(recipient))
    parts.push({ ...part, outcomes })
  }
  const { outcomes, reason, reply } = Outcome.merge(message.recipients, parts)
  if (reply === undefined) {
    const because = reason ?? Outcome.inCommon(outcomes)
    return yield* Program.fail(lost !== undefined && because === lost.reason ? lost : because)
  }
  const delivery: Outcome.Delivery = { reply, outcomes }
  return delivery
})

// A refused RSET changes nothing for the message, and the end of the connection neither: the reason that led here is told.
const reset = Program.settled(Program.exchange(Command.rset))

/** What may be said with the envelope, before its replies: nothing where they decide whether the content is sent. */
export const rider = (
  { facts }: Session<"ready">,
  { body, policy, way }: Prepared,
  recipients: number
): Command.Data | Command.Burl | Said.Chunk | undefined => {
  if (facts.capabilities?.pipelining !== true || (policy === "all" && recipients > 1)) return undefined
  if (way === "DATA") return Command.data
  // In LMTP nobody knows yet how many replies will come.
  if (isLmtp(facts)) return undefined
  if (body._tag === "Url") return body.command
  return body._tag === "Octets" && body.octets.length <= ridesAlong ? Body.chunk(body) : undefined
}

const isLmtp = ({ lmtp }: Session<"ready">["facts"]): boolean => lmtp === true

const transact = Program.fn(
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
      Program.converse(rides === undefined ? commands : [...commands, rides], steps)
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
      const { outcomes } = Outcome.settle(explain, envelope, "Data", [])
      return { outcomes, reply: undefined, reason: Outcome.inCommon(outcomes) }
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
    if (heard.length > 0 && replies > 1) return partly(message, envelope, step, heard, reason)
    if (written === 0) return yield* Program.fail(sent.failure)
    return Outcome.lost(explain, recipients, [envelope.mail, ...envelope.rcpts], reason, true)
  }
)

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
): Program.Program<ReadonlyArray<Reply>, Reason.Reason> => {
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

// LMTP: the first of the accepted have their replies, the others are in doubt.
const partly = (
  { explain }: Prepared,
  envelope: Outcome.Envelope,
  step: "Content" | "Bdat" | "Burl",
  heard: ReadonlyArray<Reply>,
  reason: Reason.Reason
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
    true
  )
  return {
    ...settled,
    outcomes: [...settled.outcomes, ...rest.outcomes],
    reason: settled.reply === undefined ? rest.reason : undefined
  }
}
