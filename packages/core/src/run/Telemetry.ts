/**
 * What is told of a client's work: spans and metrics under the names of OpenTelemetry's
 * semantic conventions, and under `smtp.…` where those have none. Effect's tracer and
 * metrics carry them; nothing is exported unless the program does.
 *
 * No address, no text of a reply and no secret is in a name or an attribute.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { Delivery } from "../dialogue/Outcome.ts"
import type { Session } from "../dialogue/Session.ts"
import { SmtpError } from "../outcome/SmtpError.ts"
import type * as Envelope from "../wire/Envelope.ts"
import type * as Endpoint from "./Endpoint.ts"
import { describe, Meter, recipients, Tally } from "./Meter.ts"

/** A metric: its kind, its UCUM unit, and its attributes besides `server.address` and `server.port`. */
export interface Measured {
  readonly name: string
  readonly instrument: "counter" | "up-down counter" | "histogram"
  readonly unit: string
  readonly attributes: ReadonlyArray<string>
  readonly description: string
}

/** Every metric. */
export const metrics = {
  sessions: {
    name: "smtp.client.sessions",
    instrument: "counter",
    unit: "{session}",
    attributes: ["smtp.outcome", "error.type"],
    description: "Sessions that were asked for: opened, failed or abandoned."
  },
  active: {
    name: "smtp.client.active_sessions",
    instrument: "up-down counter",
    unit: "{session}",
    attributes: [],
    description: "Sessions that are open."
  },
  messages: {
    name: "smtp.client.messages",
    instrument: "counter",
    unit: "{message}",
    attributes: ["smtp.outcome", "error.type"],
    description: "Messages by what became of them."
  },
  recipients: {
    name: "smtp.client.recipients",
    instrument: "counter",
    unit: "{recipient}",
    attributes: ["smtp.outcome"],
    description: "Recipients by what became of the message for them."
  },
  bytes: {
    name: "smtp.client.bytes",
    instrument: "counter",
    unit: "By",
    attributes: [],
    description: "Octets of content written, dots and its end included."
  },
  phases: {
    name: "smtp.client.phase.duration",
    instrument: "histogram",
    unit: "s",
    attributes: ["smtp.operation", "smtp.phase"],
    description: "Time that one operation on one connection took in a phase of the session."
  },
  operations: {
    name: "smtp.client.operation.duration",
    instrument: "histogram",
    unit: "s",
    attributes: ["smtp.operation", "error.type"],
    description: "Time that an operation took, with all that it waited for."
  }
} as const satisfies Readonly<Record<string, Measured>>

/** The names of {@link metrics} here. */
export type Name = keyof typeof metrics

/** What a client does: `dialogue` is whatever else a session is used for. */
export type Operation = "open" | "send" | "sendAll" | "dialogue"

/** What becomes of a message. `abandoned`: its effect was interrupted, or died, before that was known. */
export type Outcome = "accepted" | "deferred" | "refused" | "in_doubt" | "abandoned"

// In seconds: from a loopback server to the time limits of RFC 5321 §4.5.3.2.
const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600]

/** A metric with its attributes. */
export type Series = Metric.Metric<number, unknown>

/** What an operation that ended is told with. */
interface Ended<A> {
  readonly exit: Exit.Exit<A, unknown>
  readonly span: Tracer.Span
  readonly context: Context.Context<never>
  readonly errorType: string | undefined
}

interface Held {
  readonly session: Session<"ready">
}

/** The telemetry of one client. */
export class Telemetry {
  readonly server: Readonly<Record<string, string>>
  readonly span: Tracer.SpanOptionsNoTrace
  readonly series = new Map<string, Series>()

  constructor({ host, port, protocol }: Endpoint.Endpoint) {
    this.server = { "server.address": host, "server.port": String(port) }
    this.span = {
      kind: "client",
      attributes: { "server.address": host, "server.port": port, "network.protocol.name": protocol ?? "smtp" }
    }
  }

  /** The series of a metric with these values of its attributes, made once. */
  of(name: Name, first?: string, second?: string): Series {
    const key = `${name} ${first} ${second}`
    const known = this.series.get(key)
    if (known !== undefined) return known
    const values = [first, second]
    const { attributes: names, description, instrument, name: id, unit }: Measured = metrics[name]
    const given = names.flatMap((name, i) => values[i] === undefined ? [] : [[name, values[i]] as const])
    // Effect's exporters read the unit from an attribute.
    const attributes = { unit, ...this.server, ...Object.fromEntries(given) }
    const made: Series = instrument === "histogram"
      ? Metric.histogram(id, { description, attributes, boundaries })
      : Metric.counter(id, { description, attributes, incremental: instrument === "counter" })
    this.series.set(key, made)
    return made
  }

  /** Opens a session on a connection that this meter measures. It counts as active until its scope closes. */
  open<A extends Held, R>(
    opening: (meter: Meter) => Effect.Effect<A, SmtpError, R>
  ): Effect.Effect<A, SmtpError, R | Scope.Scope> {
    return Effect.suspend(() => {
      let meter: Meter | undefined
      return this.operation(
        "open",
        (_, context) => {
          const made = meter = new Meter(this, context)
          return Effect.tap(opening(made), () => this.hold(made, context))
        },
        ({ context, errorType, exit, span }) => {
          meter?.tell("open", span)
          const outcome = Exit.isSuccess(exit) ? "opened" : errorType === undefined ? "abandoned" : "failed"
          this.of("sessions", outcome, errorType).updateUnsafe(1, context)
          const tls = Exit.isSuccess(exit) ? exit.value.session.facts.tls : undefined
          if (tls === undefined) return
          span.attribute("tls.protocol.name", "tls")
          span.attribute("tls.protocol.version", tls.version === "TLSv1" ? "1.0" : tls.version.slice("TLSv".length))
          span.attribute("tls.cipher", tls.cipher)
        }
      )
    })
  }

  hold(meter: Meter, context: Context.Context<never>): Effect.Effect<void, never, Scope.Scope> {
    const active = this.of("active")
    return Effect.acquireRelease(
      Effect.sync(() => active.updateUnsafe(1, context)),
      () =>
        Effect.sync(() => {
          active.updateUnsafe(-1, context)
          meter.tell("dialogue")
        })
    )
  }

  /** Sends one message. */
  send<A extends Delivery, R>(
    message: Envelope.Input,
    sending: (span: Tracer.Span) => Effect.Effect<A, SmtpError, R>
  ): Effect.Effect<A, SmtpError, R> {
    return this.operation("send", (span) => {
      span.attribute("smtp.recipients", recipients(message))
      return sending(span)
    }, ({ context, errorType, exit, span }) => {
      const tally = new Tally(this, context)
      const error = errorOf(exit)
      if (Exit.isSuccess(exit)) tally.accept(exit.value)
      else if (error === undefined) tally.count(message, "abandoned", errorType)
      else tally.fail(message, error.reason)
      tally.flush()
      describe(span, "smtp.recipients", tally.recipients)
    })
  }

  /** Sends many messages, which are counted by the tally. */
  sendAll<A, E, R>(sending: (tally: Tally) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      let tally: Tally | undefined
      return this.operation("sendAll", (_, context) => sending(tally = new Tally(this, context)), ({ span }) => {
        if (tally === undefined) return
        tally.flush()
        describe(span, "smtp.messages", tally.messages)
        describe(span, "smtp.recipients", tally.recipients)
      })
    })
  }

  // A span, and the time it took.
  operation<A, E, R>(
    operation: Operation,
    effect: (span: Tracer.Span, context: Context.Context<never>) => Effect.Effect<A, E, R>,
    ended: (ended: Ended<A>) => void
  ): Effect.Effect<A, E, R> {
    return Effect.useSpan(`SmtpClient.${operation}`, this.span, (span) =>
      Effect.withFiber((fiber) => {
        const { context } = fiber
        const clock = fiber.getRef(Clock.Clock)
        const start = clock.currentTimeNanosUnsafe()
        const within = Effect.withParentSpan(effect(span, context), span, { captureStackTrace: false })
        return Effect.onExit(within, (exit) => {
          const seconds = Number(clock.currentTimeNanosUnsafe() - start) / 1e9
          const errorType = typeOf(exit)
          ended({ exit, span, context, errorType })
          this.of("operations", operation, errorType).updateUnsafe(seconds, context)
          if (errorType !== undefined) explain(span, errorType, errorOf(exit))
          return Effect.void
        })
      }))
  }
}

const explain = (span: Tracer.Span, errorType: string, error: SmtpError | undefined): void => {
  span.attribute("error.type", errorType)
  if (error === undefined) return
  span.attribute("smtp.phase", error.phase)
  const { reason } = error
  if ("reply" in reason && reason.reply !== undefined) span.attribute("smtp.reply.code", reason.reply.code)
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): SmtpError | undefined => {
  const error = Exit.isSuccess(exit) ? undefined : exit.cause.reasons.find(Cause.isFailReason)?.error
  return error instanceof SmtpError ? error : undefined
}

// `_OTHER` is what the conventions call errors that are not the library's; interruption is none.
const typeOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? undefined : errorOf(exit)?.reason._tag ?? "_OTHER"
