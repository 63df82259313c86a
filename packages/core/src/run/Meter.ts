/**
 * What one connection is used for, as it is measured: the time by phases, octets of
 * content, and what became of messages. Metrics are told of it now and then: an update
 * takes longer than all that is done here for a message.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Tracer from "effect/Tracer"
import type { Delivery, Outcome as Settled } from "../dialogue/Outcome.ts"
import * as Advice from "../outcome/Advice.ts"
import { type Phase, phaseOf } from "../outcome/Phase.ts"
import type { Reason } from "../outcome/Reason.ts"
import type * as Envelope from "../wire/Envelope.ts"
import type * as Expect from "../wire/Expect.ts"
import type { SessionLog } from "./SessionLog.ts"
import type { Operation, Outcome, Telemetry } from "./Telemetry.ts"

/** Messages that metrics are told of together. */
const together = 64

/** How many recipients a message has. */
export const recipients = ({ to }: Envelope.Input): number => Array.isArray(to) ? to.length : 1

type Numbers = Record<Outcome, number>

const none = (): Numbers => ({ accepted: 0, deferred: 0, refused: 0, in_doubt: 0, abandoned: 0 })

const outcomes = Object.keys(none()) as ReadonlyArray<Outcome>

const outcomeOf: { readonly [T in Settled["_tag"]]: Outcome } = {
  Accepted: "accepted",
  Deferred: "deferred",
  Refused: "refused",
  InDoubt: "in_doubt"
}

interface Failures {
  readonly outcome: Outcome
  readonly errorType: string | undefined
  count: number
}

/** Counts messages and recipients by what became of them. */
export class Tally {
  readonly telemetry: Telemetry
  readonly context: Context.Context<never>
  readonly messages = none()
  readonly recipients = none()
  /** What metrics know of that. */
  accepted = 0
  told = none()
  untold = 0
  readonly failures = new Map<string, Failures>()

  constructor(telemetry: Telemetry, context: Context.Context<never>) {
    this.telemetry = telemetry
    this.context = context
  }

  /** Counts a message. Recipients of one that failed share its outcome. */
  add(message: Envelope.Input, result: Result.Result<Delivery, Reason>): void {
    if (Result.isSuccess(result)) this.accept(result.success)
    else this.fail(message, result.failure)
    if (this.untold >= together) this.flush()
  }

  accept({ outcomes }: Delivery): void {
    this.untold++
    this.messages.accepted++
    for (const { _tag } of outcomes) this.recipients[outcomeOf[_tag]]++
  }

  fail(message: Envelope.Input, reason: Reason): void {
    const retry = Advice.retry(reason)
    const outcome = retry === "in doubt" ? "in_doubt" : retry === "never" ? "refused" : "deferred"
    this.count(message, outcome, reason._tag)
  }

  count(message: Envelope.Input, outcome: Outcome, errorType: string | undefined): void {
    this.untold++
    this.messages[outcome]++
    this.recipients[outcome] += recipients(message)
    const key = `${outcome} ${errorType}`
    const failures = this.failures.get(key)
    if (failures === undefined) this.failures.set(key, { outcome, errorType, count: 1 })
    else failures.count++
  }

  /** Tells the metrics what they do not know. */
  flush(): void {
    if (this.untold === 0) return
    const { context, messages, telemetry, told } = this
    if (messages.accepted > this.accepted) {
      telemetry.of("messages", "accepted").updateUnsafe(messages.accepted - this.accepted, context)
    }
    for (const { count, errorType, outcome } of this.failures.values()) {
      telemetry.of("messages", outcome, errorType).updateUnsafe(count, context)
    }
    for (const outcome of outcomes) {
      const more = this.recipients[outcome] - told[outcome]
      if (more > 0) telemetry.of("recipients", outcome).updateUnsafe(more, context)
    }
    this.failures.clear()
    this.accepted = messages.accepted
    this.told = { ...this.recipients }
    this.untold = 0
  }
}

/** Names a count in a span: those of 0 are left out. */
export const describe = (span: Tracer.Span, what: "smtp.messages" | "smtp.recipients", numbers: Numbers): void => {
  for (const outcome of outcomes) if (numbers[outcome] > 0) span.attribute(`${what}.${outcome}`, numbers[outcome])
}

/** Measures one connection, or the attempts to get one. */
export class Meter {
  readonly telemetry: Telemetry
  readonly context: Context.Context<never>
  readonly tally: Tally
  /** Knows the time of what happens on the connection. */
  log: SessionLog | undefined = undefined
  phase: Phase | undefined = undefined
  since = 0
  /** Milliseconds. */
  readonly times = new Map<Phase, number>()
  /** When phases began, in milliseconds of a log. */
  readonly marks: Array<readonly [Phase, number, SessionLog]> = []
  octets = 0

  constructor(telemetry: Telemetry, context: Context.Context<never>) {
    this.telemetry = telemetry
    this.context = context
    this.tally = new Tally(telemetry, context)
  }

  /** A connection is asked for, of which this is the log. */
  attend(log: SessionLog): void {
    this.rest()
    this.log = log
    this.enter("connect")
  }

  /** The reply to this step is waited for: its phase is that of the time until the next call. */
  awaits(step: Expect.Step): void {
    this.enter(phaseOf(step, this.phase ?? "idle"))
  }

  enter(phase: Phase): void {
    const { log } = this
    if (phase === this.phase || log === undefined) return
    const now = log.at()
    this.spend(now)
    this.phase = phase
    this.since = now
    if (this.marks.length < most) this.marks.push([phase, now, log])
  }

  /** Nothing is waited for until the next call of `enter`. */
  rest(): void {
    if (this.phase === undefined || this.log === undefined) return
    this.log.tick()
    this.spend(this.log.at())
    this.log.tick()
    this.phase = undefined
  }

  spend(now: number): void {
    const { phase } = this
    if (phase !== undefined) this.times.set(phase, (this.times.get(phase) ?? 0) + now - this.since)
  }

  /** Counts octets of content. */
  readonly content = (octets: number): void => {
    this.octets += octets
  }

  /** Runs an operation on the connection, and tells of it. */
  measure<A, E, R>(operation: Operation, effect: Effect.Effect<A, E, R>, span?: Tracer.Span): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      // What others did on it meanwhile.
      this.tell("dialogue")
      return Effect.onExit(effect, () => {
        this.tell(operation, span)
        return Effect.void
      })
    })
  }

  /** Tells the metrics, and the operation's span, what happened since. */
  tell(operation: Operation, span?: Tracer.Span): void {
    const { context, telemetry } = this
    this.rest()
    for (const [phase, milliseconds] of this.times) {
      telemetry.of("phases", operation, phase).updateUnsafe(milliseconds / 1000, context)
    }
    this.times.clear()
    if (span?.sampled === true) {
      for (const [phase, at, { start }] of this.marks) {
        span.event("smtp.phase", start + BigInt(Math.round(at * 1_000_000)), { "smtp.phase": phase })
      }
    }
    this.marks.length = 0
    if (this.octets > 0) telemetry.of("bytes").updateUnsafe(this.octets, context)
    if (this.octets > 0) span?.attribute("smtp.content.written", this.octets)
    this.octets = 0
    this.tally.flush()
  }
}

/** Marks that are kept for a span. */
const most = 32
