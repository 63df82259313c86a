/**
 * What happens on a connection, as it happens: the transcript, and the errors that
 * carry it.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Reason from "../outcome/Reason.ts"
import type { Phase } from "../outcome/Phase.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import * as Transcript from "../outcome/Transcript.ts"

/** Told every event as it happens. */
export type Observer = (event: Transcript.Event) => Effect.Effect<void>

/** The log of one connection. */
export class SessionLog {
  readonly observe: Observer | undefined
  readonly clock: Clock.Clock
  readonly start: bigint
  events: Array<Transcript.Event> = []

  constructor(observe: Observer | undefined, clock: Clock.Clock) {
    this.observe = observe
    this.clock = clock
    this.start = clock.currentTimeNanosUnsafe()
  }

  /** Milliseconds since the connection was asked for. */
  at(): number {
    return Number(this.clock.currentTimeNanosUnsafe() - this.start) / 1_000_000
  }

  /** Keeps an event, logs it at level Debug, and tells the observer. */
  record(event: Transcript.Event): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.events.length === Transcript.kept) this.events.shift()
      this.events.push(event)
      const logged = Effect.logDebug("smtp", event)
      return this.observe === undefined ? logged : Effect.andThen(logged, this.observe(event))
    })
  }

  /** The error of this connection for a reason, with what was said until now. */
  error(reason: Reason.Reason, phase: Phase): SmtpError {
    return new SmtpError({ reason, phase, transcript: [...this.events] })
  }
}
