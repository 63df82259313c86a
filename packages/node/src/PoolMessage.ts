/**
 * A message on its way through a pool: how it is made ready, and when it may be sent again.
 */
import { Envelope, Reason, type SmtpClient, type SmtpError, Source, type Transaction } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
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

/** From what a caller gives to what a transaction takes. Fails with `InvalidInput`. */
export const ready = (
  message: SmtpClient.Message,
  convert: SmtpClient.Options["convert"]
): Effect.Effect<Transaction.Message, SmtpError.SmtpError, Scope.Scope> =>
  Effect.flatMap(
    Effect.fromResult(envelope(message)),
    (envelope) =>
      Effect.mapBoth(Source.body(message.content, message.binary === true), {
        onSuccess: (body) => ({
          envelope,
          body,
          policy: message.policy ?? "any",
          convert: convert && converting(convert)
        }),
        onFailure: ({ problem, what }) => invalid(what, problem)
      })
  )

const converting = (convert: NonNullable<SmtpClient.Options["convert"]>): Transaction.Convert => (content) =>
  Effect.mapError(convert(content), (error) =>
    Reason.make("ContentUnavailable", {
      detail: `it could not be converted: ${error instanceof Error ? error.message : String(error)}`
    }))
