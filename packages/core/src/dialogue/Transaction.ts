/**
 * One mail transaction (RFC 5321 §3.3): MAIL and every RCPT in one exchange, then DATA
 * for those recipients that were accepted.
 */
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Address from "../wire/Address.ts"
import * as Command from "../wire/Command.ts"
import * as Content from "../wire/Content.ts"
import type * as Envelope from "../wire/Envelope.ts"
import type * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import * as Parameters from "./Parameters.ts"
import * as Program from "./Program.ts"
import { content, Session } from "./Session.ts"

/**
 * What became of one recipient: `Accepted` when the server took the message for it,
 * `Deferred` when it was refused for now, `Refused` when for good. (A delivery in doubt
 * is the error `InDoubt`, which names its recipients.)
 */
export type Outcome =
  | { readonly _tag: "Accepted"; readonly recipient: string; readonly reply: Reply }
  | {
    readonly _tag: "Deferred" | "Refused"
    readonly recipient: string
    readonly reply: Reply
    readonly reason: Reason.Reason
  }

/** What the server said to the content, and what became of each recipient, in the envelope's order. */
export interface Delivery {
  readonly reply: Reply
  readonly outcomes: ReadonlyArray<Outcome>
}

/**
 * Delivers a message within a session. At least one recipient was accepted when it
 * succeeds; look at `outcomes` for the others. When every one is refused the
 * transaction is reset and it fails with their common reason, or `RecipientsRefused`.
 * Fails also with `SenderRefused`, `RelayDenied`, `ContentRefused`, `TooLarge`,
 * `ExtensionMissing`, `TemporaryFailure`, `AuthenticationRequired` or `ServiceClosing`.
 */
export const deliver = Program.fn(
  function*(session: Session<"ready">, envelope: Envelope.Envelope, message: Uint8Array) {
    const facts = Content.measure(message)
    const { capabilities } = session.facts
    const limit = capabilities?.size
    if (limit !== undefined && limit > 0 && facts.size > limit) {
      return yield* Program.fail(Reason.make("TooLarge", { size: facts.size, limit, reply: undefined }))
    }
    const parameters = yield* Program.fromResult(Parameters.of(session.facts, envelope, facts))
    const explain = (refused: Expect.Refused, recipients: ReadonlyArray<string> = []) =>
      Classify.refusal(session.known, refused, {
        reversePath: Address.formatReversePath(envelope.reversePath),
        recipients,
        size: facts.size,
        limit
      })

    const [mail, ...rcpts] = yield* Program.exchange(
      Command.mail(envelope.reversePath, parameters.mail),
      ...envelope.forwardPaths.map((path, i) => Command.rcpt(path, parameters.rcpt[i]))
    )
    const outcomes = rcpts.map((rcpt, i) => {
      const recipient = Address.formatForwardPath(envelope.forwardPaths[i] ?? "postmaster")
      return outcome(recipient, rcpt, (refused) => explain(refused, [recipient]))
    })
    if (Result.isFailure(mail)) {
      yield* reset
      return yield* Program.fail(explain(mail.failure, outcomes.map(({ recipient }) => recipient)))
    }
    const accepted = outcomes.filter(({ _tag }) => _tag === "Accepted").map(({ recipient }) => recipient)
    if (accepted.length === 0) {
      yield* reset
      return yield* Program.fail(inCommon(outcomes))
    }
    const data = yield* Program.result(new Session("envelope", session.facts).enter(Command.data))
    if (Result.isFailure(data)) {
      yield* reset
      return yield* Program.fail(data.failure._tag === "Refused" ? explain(data.failure, accepted) : data.failure)
    }
    const taken = yield* Program.result(content(data.success, message, accepted))
    if (Result.isFailure(taken)) return yield* Program.fail(explain(taken.failure, accepted))
    const delivery: Delivery = { reply: taken.success, outcomes }
    return delivery
  }
)

// A refused RSET changes nothing for the message: the reason that led here is told.
const reset = Program.exchange(Command.rset)

const outcome = (
  recipient: string,
  rcpt: Result.Result<Reply, Expect.Refused>,
  explain: (refused: Expect.Refused) => Reason.Reason
): Outcome =>
  Result.isSuccess(rcpt)
    ? { _tag: "Accepted", recipient, reply: rcpt.success }
    : {
      _tag: rcpt.failure.reply.code < 500 ? "Deferred" : "Refused",
      recipient,
      reply: rcpt.failure.reply,
      reason: explain(rcpt.failure)
    }

// All refused: one reason for all of them where they have one, so that it can be caught by its name.
const inCommon = (outcomes: ReadonlyArray<Outcome>): Reason.Reason => {
  const recipients = outcomes.map(({ recipient }) => recipient)
  const reasons = outcomes.flatMap((outcome) => outcome._tag === "Accepted" ? [] : [outcome.reason])
  // Where one may pass later, the whole may.
  const first = reasons.find(({ _tag }) => _tag === "TemporaryFailure") ?? reasons[0]
  const shared = first !== undefined && reasons.every(({ _tag }) => _tag === first._tag)
  if (first !== undefined && (shared || first._tag === "TemporaryFailure") && first._tag !== "RecipientsRefused") {
    return "recipients" in first ? { ...first, recipients } : first
  }
  return Reason.make("RecipientsRefused", { recipients, replies: outcomes.map(({ reply }) => reply) })
}
