/**
 * Runs Programs over one wire, one at a time: answers what they ask for, and turns
 * whatever goes wrong into an `SmtpError`.
 *
 * After a failure of the connection, a 421, or an interruption in the middle of a
 * dialogue, nothing more is read or written.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Program from "../dialogue/Program.ts"
import * as Classify from "../outcome/Classify.ts"
import { type Phase, phaseOf, phaseOfReason } from "../outcome/Phase.ts"
import * as Reason from "../outcome/Reason.ts"
import type { SmtpError } from "../outcome/SmtpError.ts"
import type * as Transcript from "../outcome/Transcript.ts"
import * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import type * as Said from "../wire/Said.ts"
import { fromTransport } from "./Failure.ts"
import { Line, type Options as LineOptions } from "./Line.ts"
import { type Observer, SessionLog, type Watch } from "./SessionLog.ts"
import { timeLimit, type TimeLimits, within } from "./TimeLimits.ts"
import { type Peer, Transport } from "./Transport.ts"
import { Watchdog } from "./Watchdog.ts"

/** What a connection is opened with. */
export interface Options extends LineOptions {
  readonly peer: Peer
  /** Told every event as it happens. */
  readonly observe?: Observer | undefined
  /** Told every event, too, and octets of content before they are written. */
  readonly watch?: Watch | undefined
}

/** A {@link Program.Connection} that also shows what was said. */
export interface Live {
  readonly run: <A, E, R>(program: Program.Program<A, E, R>) => Effect.Effect<A, Program.Failure<E>, R>
  /** The events until now. */
  readonly transcript: Effect.Effect<Transcript.Transcript>
  /** The events until now. */
  readonly said: () => Transcript.Transcript
  /**
   * True while another dialogue may be had: not after the connection was lost, ended by
   * 421 or QUIT, left in the middle of a dialogue, or made another's by EHLO, AUTH,
   * STARTTLS or XCLIENT after the first dialogue, and not when the server closed it or
   * said something unasked in the meantime.
   */
  readonly usable: Effect.Effect<boolean>
  /** Milliseconds since the server last said something. */
  readonly quietFor: Effect.Effect<number>
  /** Has events and octets of content told to this watch, too, while the effect runs. */
  readonly watched: <A, E, R>(watch: Watch | undefined, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The error that a reason is on this connection. */
  readonly error: (reason: Reason.Reason) => SmtpError
}

/**
 * Connects. When the scope closes, a session in good order ends with QUIT, waiting for
 * its reply no longer than the limit of `Quit` (5 seconds); then the wire closes.
 *
 * Fails with `ConnectionFailed` or `TimedOut`.
 */
export const open = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Live, SmtpError, Scope.Scope | Transport> {
  const transport = yield* Transport
  const clock = yield* Clock.Clock
  const log = new SessionLog(options.observe, clock, options.meter?.content)
  log.watch = options.watch
  options.meter?.attend(log)
  const dialling = Effect.mapError(transport.open(options.peer), (error) => fromTransport(error, "Connect", false))
  const wire = yield* Effect.mapError(
    within(options.timeLimits ?? {}, "Connect", dialling),
    (reason) => log.error(reason, "connect")
  )
  const watchdog = new Watchdog(clock, yield* Effect.context<never>())
  yield* Effect.addFinalizer(() => watchdog.close)
  const driver = new Driver(log, new Line(log, wire, watchdog, options), options.timeLimits ?? {})
  log.tick()
  log.record({ _tag: "Connected", at: log.at(), host: options.peer.host, port: options.peer.port })
  yield* log.tell
  yield* Effect.addFinalizer(() => driver.quit)
  return driver
})

class Driver implements Live {
  readonly log: SessionLog
  readonly line: Line
  readonly limits: TimeLimits
  readonly turn = Semaphore.makeUnsafe(1)
  phase: Phase = "greeting"
  /** `line.changes` after the first dialogue, which opens the session. */
  first: number | undefined = undefined

  constructor(log: SessionLog, line: Line, limits: TimeLimits) {
    this.log = log
    this.line = line
    this.limits = limits
  }

  said = (): Transcript.Transcript => this.log.transcript

  readonly transcript: Effect.Effect<Transcript.Transcript> = Effect.sync(this.said)

  run = <A, E, R>(program: Program.Program<A, E, R>): Effect.Effect<A, Program.Failure<E>, R> =>
    this.turn.withPermit(
      Effect.andThen(
        this.log.look,
        Effect.suspend(() => {
          // What was said by a dialogue that did not end is not this one's.
          if (this.line.ended !== undefined) this.line.outbox.abandon()
          const run = Program.begin(program)
          return this.proceed<A, E, R>(run, run.standing)
        })
      ).pipe(Effect.onError((cause) =>
        Effect.sync(() => {
          // Interrupted, or died of a mistake in a Program: nobody knows what the server waits for.
          if (!Cause.hasInterrupts(cause) && !Cause.hasDies(cause)) return
          this.line.ended ??= Reason.make("ConnectionLost", {
            step: this.phase,
            detail: "a dialogue that did not end left it in an unknown state"
          })
        })
      ))
    )

  // Answers what the Program asks for until it ends: without a suspension while it need not wait.
  proceed<A, E, R>(
    run: Program.Run<A, E>,
    from: Program.Standing<A, E>
  ): Effect.Effect<A, Program.Failure<E>, R> {
    let standing = from
    while (standing._tag === "Asks") {
      const answer = this.answer<R>(standing.instruction)
      if (Effect.isEffect(answer)) {
        return Effect.flatMap(answer, (answer) => this.proceed<A, E, R>(run, run.resume(answer)))
      }
      standing = run.resume(answer)
    }
    const { result } = standing
    this.first ??= this.line.changes
    return Effect.flatMap(
      this.leave,
      () => Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(this.dress(result.failure))
    )
  }

  // What a Program left unheard is heard, so that the next begins in a known state.
  readonly leave: Effect.Effect<void> = Effect.suspend(() => {
    const { log, line } = this
    const rest = line.outbox.expected.slice(line.outbox.heard).map(({ step }) => step)
    const heard = rest.length === 0 ? undefined : line.hear(rest)
    const leaving = Effect.isEffect(heard) ? Effect.asVoid(heard) : Effect.void
    return log.untold.length === 0 ? leaving : Effect.andThen(leaving, log.tell)
  })

  // Data that explains becomes the error; everything else passes as it is.
  dress<E>(error: E | Program.Lost): Program.Failure<E> {
    if (Program.isLost(error)) return this.error(error.reason)
    if (isRefused(error)) return this.error(Classify.refusal(this.known(), error))
    if (Reason.isReason(error)) return this.error(error)
    return error as Exclude<E, Expect.Refused | Reason.Reason | Program.Lost>
  }

  error = (reason: Reason.Reason): SmtpError => this.log.error(reason, phaseOfReason(reason, this.phase))

  known(): Classify.Known {
    const { authenticated, capabilities, tls } = this.line
    return {
      encrypted: tls !== undefined,
      authOffered: capabilities?.auth ?? [],
      startTlsOffered: capabilities?.startTls ?? false,
      authenticated,
      identity: undefined
    }
  }

  answer<R>(instruction: Program.Instruction): Program.Answer | Effect.Effect<Program.Answer, never, R> {
    switch (instruction._tag) {
      case "Exchange":
        return this.exchange(instruction.say, instruction.hear)
      case "UpgradeTls":
        this.phase = "tls"
        this.line.meter?.enter("tls")
        return Effect.match(this.line.upgradeTls(instruction.options), {
          onFailure: (reason) => Program.lost(this.line.end(reason)),
          onSuccess: Program.tls
        })
      case "Perform":
        return Effect.map(instruction.effect as Effect.Effect<unknown, never, R>, (value) => ({ _tag: "Value", value }))
    }
  }

  exchange(
    say: ReadonlyArray<Said.Said>,
    hear: ReadonlyArray<Expect.Step>
  ): Program.Answer | Effect.Effect<Program.Answer> {
    const { line } = this
    const [step] = hear
    line.say(say)
    if (step !== undefined) {
      this.phase = phaseOf(step, this.phase)
      return line.hear(hear)
    }
    if (line.ended !== undefined) return Program.lost(line.ended)
    // More than can wait for a reply to be waited for.
    if (!say.some((said) => (said._tag === "Content" && !said.end) || (said._tag === "Chunk" && !said.last))) {
      return Program.replies()
    }
    this.phase = "content"
    line.meter?.enter("content")
    return Effect.match(line.flush("Content"), {
      onFailure: (reason) => Program.lost(line.end(reason)),
      onSuccess: () => Program.replies()
    })
  }

  readonly quietFor: Effect.Effect<number> = Effect.sync(() => {
    this.log.tick()
    return this.log.at() - this.line.heardAt
  })

  watched = <A, E, R>(watch: Watch | undefined, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    watch === undefined ? effect : Effect.suspend(() => {
      this.log.watch = watch
      return Effect.onExit(effect, () =>
        Effect.sync(() => {
          this.log.watch = undefined
        }))
    })

  readonly usable: Effect.Effect<boolean> = Effect.suspend(() => {
    const { line } = this
    if (!line.idle || line.changes !== this.first) return Effect.succeed(false)
    // What is there without waiting; a read that is interrupted has taken nothing.
    const arrived = Effect.raceFirst(Effect.option(line.wire.read), Effect.succeed(undefined))
    return Effect.map(arrived, (octets) => {
      if (octets === undefined) return true
      if (Option.isSome(octets)) line.received(octets.value)
      else line.end(Reason.make("ConnectionLost", { step: "idle", detail: "the server closed the connection" }))
      return false
    })
  })

  /** Ends a session in good order; says nothing where nothing may be said any more. */
  readonly quit: Effect.Effect<void> = this.turn.withPermitsIfAvailable(1)(Effect.suspend(() => {
    const { line } = this
    if (!line.idle) return Effect.void
    this.phase = "quit"
    line.say([Command.quit])
    const heard = line.hear(["Quit"])
    const quitting = Effect.isEffect(heard) ? Effect.asVoid(heard) : Effect.void
    return Effect.andThen(
      Effect.timeoutOption(quitting, timeLimit(this.limits, "Quit")),
      Effect.suspend(() => this.log.tell)
    )
  }))
}

const isRefused = (error: unknown): error is Expect.Refused =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Refused" && "reply" in error
  && "step" in error
