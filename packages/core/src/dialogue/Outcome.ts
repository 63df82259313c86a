/**
 * What became of a message: from the replies of its transaction to an outcome for each
 * recipient. Pure.
 */
import * as Reason from "../outcome/Reason.ts"
import * as EnhancedStatus from "../wire/EnhancedStatus.ts"
import * as Expect from "../wire/Expect.ts"
import { render, type Reply } from "../wire/Reply.ts"

/**
 * What became of one recipient: `Accepted` when the server took the message for it,
 * `Deferred` when that may come about later, `Refused` when it is for good, `InDoubt`
 * when the connection ended between the content and its reply.
 */
export type Outcome =
  /** `reply` took the responsibility (that to the content), `forward` is that to RCPT. */
  | { readonly _tag: "Accepted"; readonly recipient: string; readonly reply: Reply; readonly forward: Reply }
  /** `reply` is undefined where the connection ended before there was one. */
  | {
    readonly _tag: "Deferred" | "Refused"
    readonly recipient: string
    readonly reply: Reply | undefined
    readonly reason: Reason.Reason
  }
  | {
    readonly _tag: "InDoubt"
    readonly recipient: string
    readonly reply: undefined
    readonly reason: Reason.Of<"InDoubt">
  }

/**
 * When a message counts as sent:
 * - `any`: when one recipient is accepted. The others are told by their outcomes.
 * - `all`: only when every recipient is; otherwise it is sent to none (SMTP; LMTP judges
 *   each recipient after the content).
 * - `each`: as `any`, a transaction for each recipient, so that none sees another's.
 */
export type Policy = "any" | "all" | "each"

/** What the server said to the content, and what became of each recipient, in the envelope's order. */
export interface Delivery {
  /** The first reply that accepted the message: many servers name their queue id in it. */
  readonly reply: Reply
  readonly outcomes: ReadonlyArray<Outcome>
}

/** Tells why something was refused, and for which recipients. */
export type Explain = (refused: Expect.Refused, recipients: ReadonlyArray<string>) => Reason.Reason

/** What came of one transaction: `reason` where nobody was accepted. */
export interface Settled {
  readonly outcomes: ReadonlyArray<Outcome>
  readonly reply: Reply | undefined
  readonly reason: Reason.Reason | undefined
}

/** The recipients whom the server took until now. */
export interface Envelope {
  readonly recipients: ReadonlyArray<string>
  readonly mail: Reply
  /** In the order of `recipients`. */
  readonly rcpts: ReadonlyArray<Reply>
}

/** How many recipients are accepted: none where MAIL was refused. */
export const accepted = ({ mail, rcpts }: Envelope): number =>
  Expect.isYes("Mail", mail) ? rcpts.reduce((count, rcpt) => Expect.isYes("Rcpt", rcpt) ? count + 1 : count, 0) : 0

/** The names of those accepted. */
export const acceptedOf = (envelope: Envelope): ReadonlyArray<string> =>
  Expect.isYes("Mail", envelope.mail)
    ? envelope.recipients.filter((_, i) => isAccepted(envelope.rcpts[i]))
    : []

const isAccepted = (rcpt: Reply | undefined): boolean => rcpt !== undefined && Expect.isYes("Rcpt", rcpt)

/**
 * From the replies to an outcome for each recipient: `content` holds the reply to DATA
 * or the content that ended the transaction, one for all or, in LMTP, one for each
 * accepted recipient.
 */
export const settle = (
  explain: Explain,
  envelope: Envelope,
  step: "Data" | "Content" | "Bdat" | "Burl",
  content: ReadonlyArray<Reply>
): Settled => {
  const { mail, rcpts, recipients } = envelope
  const [only] = content
  if (step !== "Data" && only !== undefined && Expect.isYes(step, only) && accepted(envelope) === 0) {
    // Content that nobody was to get is taken: which reply is the answer to what?
    const received = render(only)
    const reason = Reason.make("ProtocolViolation", { step, expected: "a refusal, as nobody was accepted", received })
    return lost(explain, recipients, [], reason, true)
  }
  if (!Expect.isYes("Mail", mail)) {
    return refusedAll(recipients, mail, explain(Expect.refused("Mail", mail), recipients))
  }
  // One reason for all, made once. Where nobody was accepted the content was refused for that.
  const common = content.length === 1 && only !== undefined && !Expect.isYes(step, only) && accepted(envelope) > 0
    ? explain(Expect.refused(step, only), acceptedOf(envelope))
    : undefined
  let next = 0
  const outcomes = recipients.map((recipient, i): Outcome => {
    const forward = rcpts[i] ?? mail
    if (!Expect.isYes("Rcpt", forward)) {
      return refused(recipient, forward, explain(Expect.refused("Rcpt", forward), [recipient]))
    }
    const reply = (content.length === 1 ? only : content[next++]) ?? forward
    if (common !== undefined) return refused(recipient, reply, common)
    return Expect.isYes(step, reply)
      ? { _tag: "Accepted", recipient, reply, forward }
      : refused(recipient, reply, explain(Expect.refused(step, reply), [recipient]))
  })
  const taken = outcomes.find(({ _tag }) => _tag === "Accepted")
  return taken?._tag === "Accepted"
    ? { outcomes, reply: taken.reply, reason: undefined }
    : { outcomes, reply: undefined, reason: common ?? inCommon(outcomes) }
}

const refused = (recipient: string, reply: Reply, reason: Reason.Reason): Outcome => ({
  _tag: reply.code < 500 ? "Deferred" : "Refused",
  recipient,
  reply,
  reason
})

/** Nobody gets it since some were refused, which were to be accepted all. */
export const refusedSome = (explain: Explain, { rcpts, recipients }: Envelope): Settled => {
  const outcomes = recipients.flatMap((recipient, i): ReadonlyArray<Outcome> => {
    const rcpt = rcpts[i]
    if (rcpt === undefined || isAccepted(rcpt)) return []
    return [refused(recipient, rcpt, explain(Expect.refused("Rcpt", rcpt), [recipient]))]
  })
  return { outcomes, reply: undefined, reason: inCommon(outcomes) }
}

/** Nobody is accepted, for one reason. */
export const refusedAll = (recipients: ReadonlyArray<string>, reply: Reply, reason: Reason.Reason): Settled => ({
  outcomes: recipients.map((recipient) => refused(recipient, reply, reason)),
  reply: undefined,
  reason
})

/**
 * The connection ended after these replies to MAIL and RCPT, and what followed: before
 * the content was written as a whole, or between that and the reply to it. Who was
 * refused until then stays refused.
 */
export const lost = (
  explain: Explain,
  recipients: ReadonlyArray<string>,
  [mail, ...rcpts]: ReadonlyArray<Reply>,
  reason: Reason.Reason,
  written: boolean
): Settled => {
  if (mail !== undefined && mail.code >= 400) {
    return refusedAll(recipients, mail, explain(Expect.refused("Mail", mail), recipients))
  }
  const open = recipients.filter((_, i) => !isRefused(rcpts[i]))
  const inDoubt = doubt(open, reason)
  const outcomes = recipients.map((recipient, i): Outcome => {
    const rcpt = rcpts[i]
    if (rcpt !== undefined && isRefused(rcpt)) {
      return refused(recipient, rcpt, explain(Expect.refused("Rcpt", rcpt), [recipient]))
    }
    return written
      ? { _tag: "InDoubt", recipient, reply: undefined, reason: inDoubt }
      : { _tag: "Deferred", recipient, reply: undefined, reason }
  })
  return { outcomes, reply: undefined, reason: open.length === 0 ? inCommon(outcomes) : written ? inDoubt : reason }
}

const isRefused = (rcpt: Reply | undefined): boolean => rcpt !== undefined && rcpt.code >= 400

/** The delivery to these recipients is in doubt, since the connection ended for this reason. */
export const doubt = (recipients: ReadonlyArray<string>, reason: Reason.Reason): Reason.Of<"InDoubt"> =>
  Reason.make("InDoubt", { recipients, detail: describe(reason) })

// What is said of a delivery that this left in doubt.
const describe = (reason: Reason.Reason): string => {
  switch (reason._tag) {
    case "ConnectionLost":
      return reason.detail
    case "TimedOut":
      return `no reply within ${reason.limit / 1000} seconds`
    case "ProtocolViolation":
      return `the reply was not understood: "${reason.received}"`
    default:
      return reason._tag
  }
}

/** One reason for all that were refused where they have one, so that it can be caught by its name. */
export const inCommon = (outcomes: ReadonlyArray<Outcome>): Reason.Reason => {
  const failed = outcomes.flatMap((outcome) => outcome._tag === "Accepted" ? [] : [outcome])
  const recipients = failed.map(({ recipient }) => recipient)
  const reasons = failed.map(({ reason }) => reason)
  // Where one may pass later, the whole may.
  const first = reasons.find(({ _tag }) => _tag === "TemporaryFailure") ?? reasons[0]
  const shared = first !== undefined && reasons.every(({ _tag }) => _tag === first._tag)
  if (first !== undefined && (shared || first._tag === "TemporaryFailure") && first._tag !== "RecipientsRefused") {
    return "recipients" in first ? { ...first, recipients } : first
  }
  const replies = failed.flatMap(({ reply }) => reply ?? [])
  return Reason.make("RecipientsRefused", { recipients, replies })
}

/**
 * Recipients that the server would take in another transaction (RFC 5321 §4.5.3.1.10: 452,
 * "too many recipients"), by their place among the outcomes: one may be there twice.
 */
export const tooMany = ({ outcomes }: Settled): ReadonlyArray<number> =>
  outcomes.flatMap((outcome, i) =>
    outcome._tag === "Deferred" && outcome.reply?.code === 452 && EnhancedStatus.is(outcome.reply.status, 5, 3)
      ? [i]
      : []
  )

/** The outcome of a message that took several transactions, of which `parts` tell, in the envelope's order. */
export const merge = (
  recipients: ReadonlyArray<string>,
  parts: ReadonlyArray<Settled>
): Settled => {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  // A recipient that is there twice has as many outcomes.
  const found = new Map<string, Array<Outcome>>()
  for (const outcome of parts.flatMap(({ outcomes }) => outcomes)) {
    found.set(outcome.recipient, [...found.get(outcome.recipient) ?? [], outcome])
  }
  const outcomes = recipients.flatMap((recipient) => found.get(recipient)?.splice(0, 1) ?? [])
  const reply = parts.find((part) => part.reply !== undefined)?.reply
  return {
    outcomes,
    reply,
    reason: reply === undefined
      ? parts.find((part) => part.reason?._tag === "InDoubt")?.reason ?? inCommon(outcomes)
      : undefined
  }
}
