/**
 * A message on its way through a pool: when it may be sent again, and how to those whom
 * one session does not take.
 */
import { Envelope, type Outcome, type SmtpClient, type SmtpError, type Source, type Transcript } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { invalid } from "./PoolOptions.ts"

/** Three times, what failed on the way to the server. What it says of the message itself takes longer to pass. */
export const defaultRetry: Schedule.Schedule<unknown, SmtpError.SmtpError> = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 3 }),
  Schedule.setInputType<SmtpError.SmtpError>(),
  Schedule.while(({ input: { fault, phase } }) => fault !== "refusal" || (phase !== "envelope" && phase !== "content"))
)

/** Dead before the content was begun: nothing of the message can have been taken. */
export const diedBefore = ({ phase, reason }: SmtpError.SmtpError): boolean =>
  (reason._tag === "ConnectionLost" || reason._tag === "ServiceClosing") && phase !== "content"

/** Content that can be read again: what came from a `Readable` or an iterator is gone once it was begun. */
const isRepeatable = (content: Source.Source): boolean =>
  typeof content === "string" || content instanceof Uint8Array || "burl" in content
  || Stream.isStream("stream" in content ? content.stream : content)

/** Whether a message that failed so may be sent again; where it may have been delivered, only when that is asked for. */
export const isSafe = (
  { content }: SmtpClient.Message,
  { phase, retry }: SmtpError.SmtpError,
  inDoubt: boolean
): boolean => retry !== "never" && (retry !== "in doubt" || inDoubt) && (phase !== "content" || isRepeatable(content))

/** Fails with `InvalidInput`. */
export const envelope = (message: SmtpClient.Message): Result.Result<Envelope.Envelope, SmtpError.SmtpError> =>
  Result.mapError(Envelope.make(message), ({ field, problem }) => invalid(`"${field}" of the envelope`, problem))

/** Whether a session took no more of a message than its server's limits allow (RFC 9422): another takes the rest. */
export const isLimited = ({ outcomes }: Outcome.Delivery): boolean => outcomes.some(isLeft)

const isLeft = (outcome: Outcome.Outcome): boolean =>
  outcome._tag === "Deferred" && outcome.reason._tag === "LimitReached"

/**
 * Sends a message to those whom the session before did not take, as long as each takes
 * some. A failure on the way is theirs alone: others have the message by then.
 */
export const throughSessions = (
  message: SmtpClient.Message,
  first: Sending,
  further: (message: SmtpClient.Message) => Sending,
  most = Number.POSITIVE_INFINITY
): Sending =>
  Effect.flatMap(first, (receipt) => {
    const left = receipt.outcomes.flatMap((outcome, i) => isLeft(outcome) ? [i] : [])
    if (left.length === 0 || left.length >= most || !isRepeatable(message.content)) return Effect.succeed(receipt)
    const rest = { ...message, to: left.flatMap((i) => recipientsOf(message)[i] ?? []) }
    const told = Effect.match(further(rest), {
      onSuccess: ({ outcomes, transcript }) => merged(receipt, left, outcomes, transcript),
      onFailure: (error) =>
        merged(
          receipt,
          left,
          left.map((i, at) => failed(error, receipt.outcomes[i]?.recipient ?? "", at)),
          error.transcript
        )
    })
    return throughSessions(message, told, further, left.length)
  })

type Sending = Effect.Effect<SmtpClient.Receipt, SmtpError.SmtpError>

const merged = (
  receipt: SmtpClient.Receipt,
  left: ReadonlyArray<number>,
  found: ReadonlyArray<Outcome.Outcome>,
  transcript: Transcript.Transcript
): SmtpClient.Receipt => {
  const outcomes = [...receipt.outcomes]
  left.forEach((i, at) => outcomes.splice(i, 1, ...found.slice(at, at + 1)))
  return { ...receipt, outcomes, transcript }
}

const recipientsOf = ({ to }: SmtpClient.Message): ReadonlyArray<Envelope.To> =>
  Array.isArray(to) ? to as ReadonlyArray<Envelope.To> : [to as Envelope.To]

const failed = ({ reason, retry }: SmtpError.SmtpError, recipient: string, i: number): Outcome.Outcome => {
  if (reason._tag === "InDoubt") return { _tag: "InDoubt", recipient, reply: undefined, reason }
  const reply = reason._tag === "RecipientsRefused" ? reason.replies[i] : "reply" in reason ? reason.reply : undefined
  return { _tag: retry === "never" ? "Refused" : "Deferred", recipient, reply, reason }
}
