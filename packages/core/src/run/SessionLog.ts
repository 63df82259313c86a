/**
 * What happens on a connection, as it happens: the transcript, and the errors that
 * carry it.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Reason from "../outcome/Reason.ts"
import type { Phase } from "../outcome/Phase.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import * as Transcript from "../outcome/Transcript.ts"

/** Told every event as it happens. */
export type Observer = (event: Transcript.Event) => Effect.Effect<void>

/** Told of events and of content that is written. */
export interface Watch {
  readonly observe: Observer
  readonly content: (octets: number) => void
}

/** The log of one connection. */
export class SessionLog {
  readonly observe: Observer | undefined
  /** Told how many octets of content are about to be written, block by block. */
  readonly counted: ((octets: number) => void) | undefined
  /** For one operation on the connection. */
  watch: Watch | undefined = undefined
  readonly clock: Clock.Clock
  readonly start: bigint
  now: number | undefined = undefined
  events: Array<Transcript.Event> = []
  /** Those that observer and logger have not been told of. */
  untold: Array<Transcript.Event> = []
  logged = true

  constructor(observe: Observer | undefined, clock: Clock.Clock, counted: ((octets: number) => void) | undefined) {
    this.observe = observe
    this.counted = counted
    this.clock = clock
    this.start = clock.currentTimeNanosUnsafe()
  }

  /** Milliseconds between when the connection was asked for and the last {@link tick}. */
  at(): number {
    return this.now ??= Number(this.clock.currentTimeNanosUnsafe() - this.start) / 1_000_000
  }

  /** Something happens on the wire: what is recorded from here on has a time of its own. */
  tick(): void {
    this.now = undefined
  }

  /** Keeps an event. {@link tell} passes it on. */
  record(event: Transcript.Event): void {
    if (this.events.length === 2 * Transcript.kept) this.events = this.events.slice(-Transcript.kept)
    this.events.push(event)
    if (this.logged || this.observe !== undefined || this.watch !== undefined) this.untold.push(event)
  }

  /** So many octets of content are about to be written. */
  content(octets: number): void {
    this.counted?.(octets)
    this.watch?.content(octets)
  }

  /** Looks whether anyone reads what is logged at level Debug: otherwise nothing is prepared for it. */
  readonly look: Effect.Effect<void> = Effect.map(LogLevel.isEnabled("Debug"), (logged) => {
    this.logged = logged
  })

  /** Logs at level Debug what happened since, and tells the observer. */
  readonly tell: Effect.Effect<void> = Effect.suspend(() => {
    const { observe, untold, watch } = this
    if (untold.length === 0) return Effect.void
    this.untold = []
    return Effect.forEach(untold, (event) => {
      const told = Effect.andThen(Effect.logDebug("smtp", event), observe?.(event) ?? Effect.void)
      return watch === undefined ? told : Effect.andThen(told, watch.observe(event))
    }, { discard: true })
  })

  /** What happened until now; of long sessions the newest events. */
  get transcript(): Transcript.Transcript {
    return this.events.slice(-Transcript.kept)
  }

  /** The error of this connection for a reason, with what was said until now. */
  error(reason: Reason.Reason, phase: Phase): SmtpError {
    return new SmtpError({ reason, phase, transcript: this.transcript })
  }
}
