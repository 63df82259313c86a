/**
 * The one error of this library. Handle a kind with
 * `Effect.catchReason("SmtpError", "RelayDenied", …)`.
 */
import * as Schema from "effect/Schema"
import * as Advice from "./Advice.ts"
import { Phase } from "./Phase.ts"
import { Reason } from "./Reason.ts"
import { Event } from "./Transcript.ts"

/**
 * What went wrong (`reason`), where in the session, and what was said until then,
 * without secrets. `message` is the problem and the advice in two sentences.
 *
 * @example
 * ```ts
 * import { SmtpError } from "@postern/core"
 * import { Effect } from "effect"
 *
 * declare const send: Effect.Effect<void, SmtpError.SmtpError>
 *
 * const handled = send.pipe(
 *   Effect.catchReason("SmtpError", "RelayDenied", (denied) => Effect.logWarning(denied.why)),
 *   Effect.catchTag("SmtpError", (error) => Effect.logError(`${error.problem}; retry: ${error.retry}. ${error.advice}`))
 * )
 * ```
 */
export class SmtpError extends Schema.TaggedError<SmtpError>("@postern/core/SmtpError")("SmtpError", {
  reason: Reason,
  phase: Phase,
  transcript: Schema.Array(Event)
}) {
  /** What happened, in one sentence without a full stop. */
  get problem(): string {
    return Advice.problem(this.reason)
  }
  /** What to do, in one sentence. */
  get advice(): string {
    return Advice.advice(this.reason)
  }
  /** When sending again makes sense. */
  get retry(): Advice.Retry {
    return Advice.retry(this.reason)
  }
  /** Who has to act. */
  get fault(): Advice.Fault {
    return Advice.fault(this.reason)
  }
  override readonly message: string = `${Advice.problem(this.reason)}. ${Advice.advice(this.reason)}`
}
