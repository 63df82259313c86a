/**
 * How long each step of a session may take.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Reason from "../outcome/Reason.ts"
import * as Expect from "../wire/Expect.ts"

/** What time limits can be set for: every step of `Expect.table`, connecting, the TLS handshake, and each block of content. */
export type Limited = Expect.Step | "Connect" | "Handshake" | "ContentBlock"

/** Time limits that differ from the defaults, by step. */
export type TimeLimits = { readonly [L in Limited]?: Duration.Input | undefined }

/** How long to wait where RFC 5321 §4.5.3.2 speaks of no reply. */
const ownLimits = {
  Connect: Duration.seconds(30),
  Handshake: Duration.seconds(30),
  ContentBlock: Duration.minutes(3)
}

/** The time limit of a step. */
export const timeLimit = (limits: TimeLimits, step: Limited): Duration.Duration => {
  const given = limits[step]
  if (given !== undefined) return Duration.fromInputUnsafe(given)
  return step === "Connect" || step === "Handshake" || step === "ContentBlock"
    ? ownLimits[step]
    : Expect.table[step].timeLimit
}

/** The effect, failing with `TimedOut` when it takes longer than the limit of its step. */
export const within = <A, R>(
  limits: TimeLimits,
  step: Limited,
  effect: Effect.Effect<A, Reason.Reason, R>
): Effect.Effect<A, Reason.Reason, R> => {
  const duration = timeLimit(limits, step)
  return Effect.timeoutOrElse(effect, {
    duration,
    orElse: () => Effect.fail(Reason.make("TimedOut", { step, limit: Duration.toMillis(duration) }))
  })
}
