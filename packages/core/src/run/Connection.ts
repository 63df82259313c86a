/**
 * Runs Programs over one wire: writes commands, reads replies within their time limits,
 * keeps the transcript, and turns whatever goes wrong into an `SmtpError`.
 *
 * One fibre drives the wire at a time. After a failure of the connection, a 421, or an
 * interruption in the middle of a dialogue, nothing more is read or written.
 */
import { concatBytes } from "@noble/hashes/utils.js"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Security } from "../dialogue/Open.ts"
import * as Program from "../dialogue/Program.ts"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import { type Phase, phaseOf } from "../outcome/Phase.ts"
import type { SmtpError } from "../outcome/SmtpError.ts"
import * as Transcript from "../outcome/Transcript.ts"
import type { Capabilities } from "../wire/Capabilities.ts"
import * as Command from "../wire/Command.ts"
import * as CommandLine from "../wire/CommandLine.ts"
import * as Expect from "../wire/Expect.ts"
import * as Reply from "../wire/Reply.ts"
import { describe, fromTransport } from "./Failure.ts"
import { Secrets } from "./Secrets.ts"
import { type Observer, SessionLog } from "./SessionLog.ts"
import { timeLimit, type TimeLimits, within } from "./TimeLimits.ts"
import { type Peer, type TlsFacts, type TlsOptions, Transport, type Wire } from "./Transport.ts"

/** What a connection is opened with. */
export interface Options {
  readonly peer: Peer
  /** Named in the error when the server speaks the other kind of TLS. */
  readonly security: Security
  readonly timeLimits?: TimeLimits | undefined
  readonly replyLimits?: Reply.Limits | undefined
  /** Told every event as it happens. */
  readonly observe?: Observer | undefined
}

/** A {@link Program.Connection} that also shows what was said. */
export interface Live {
  readonly run: <A, E, R>(program: Program.Program<A, E, R>) => Effect.Effect<A, Program.Failure<E>, R>
  /** The events until now. */
  readonly transcript: Effect.Effect<Transcript.Transcript>
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
  const log = new SessionLog(options.observe, clock)
  const dialling = Effect.mapError(transport.open(options.peer), (error) => fromTransport(error, "Connect", false))
  const wire = yield* Effect.mapError(
    within(options.timeLimits ?? {}, "Connect", dialling),
    (reason) => log.error(reason, "connect")
  )
  const driver = new Driver(log, wire, options)
  yield* log.record({ _tag: "Connected", at: log.at(), host: options.peer.host, port: options.peer.port })
  yield* Effect.addFinalizer(() => driver.quit)
  return driver
})

/** Commands written before their replies are read, at most: more could fill both sides' buffers, each waiting for the other (RFC 2920 §3.1). */
const groupSize = 100

const blockSize = 65_536

/** How long a reply is looked for on a connection that takes no more. */
const partingTime = Duration.seconds(2)

class Driver implements Live {
  readonly log: SessionLog
  readonly wire: Wire
  readonly security: Security
  readonly limits: TimeLimits
  readonly turn = Semaphore.makeUnsafe(1)
  readonly secrets = new Secrets()
  decoder: Reply.Decoder
  phase: Phase = "greeting"
  greeted = false
  /** What the server began with, until there is enough of it to tell TLS from text. */
  opening: Uint8Array = new Uint8Array(0)
  tls: TlsFacts | undefined = undefined
  capabilities: Capabilities | undefined = undefined
  authenticated = false
  /** What the server waits for in place of a command: it would take one for that. */
  owed: "response" | "content" | "handshake" | undefined = undefined
  /** Set once nothing more may be said. */
  ended: Reason.Reason | undefined = undefined

  constructor(log: SessionLog, wire: Wire, options: Options) {
    this.log = log
    this.wire = wire
    this.security = options.security
    this.limits = options.timeLimits ?? {}
    this.decoder = Reply.decoder(options.replyLimits)
  }

  readonly transcript: Effect.Effect<Transcript.Transcript> = Effect.sync(() => [...this.log.events])

  run = <A, E, R>(program: Program.Program<A, E, R>): Effect.Effect<A, Program.Failure<E>, R> =>
    this.turn.withPermit(
      Effect.suspend(() => {
        const run = Program.begin(program)
        const proceed = (standing: Program.Standing<A, E>): Effect.Effect<A, Program.Failure<E>, R> => {
          if (standing._tag === "Asks") {
            return Effect.flatMap(this.perform<R>(standing.instruction), (answer) => proceed(run.resume(answer)))
          }
          return Result.isSuccess(standing.result)
            ? Effect.succeed(standing.result.success)
            : Effect.fail(this.dress(standing.result.failure))
        }
        return proceed(run.standing)
      }).pipe(Effect.onError((cause) =>
        Effect.sync(() => {
          // Interrupted, or died of a mistake in a Program: nobody knows what the server waits for.
          if (!Cause.hasInterrupts(cause) && !Cause.hasDies(cause)) return
          this.ended ??= Reason.make("ConnectionLost", {
            step: this.phase,
            detail: "a dialogue that did not end left it in an unknown state"
          })
        })
      ))
    )

  // Data that explains becomes the error; everything else passes as it is.
  dress<E>(error: E): Program.Failure<E> {
    if (isRefused(error)) return this.log.error(Classify.refusal(this.known(), error), this.phase)
    if (Reason.isReason(error)) return this.log.error(error, this.phase)
    return error as Exclude<E, Expect.Refused | Reason.Reason>
  }

  known(): Classify.Known {
    return {
      encrypted: this.tls !== undefined,
      authOffered: this.capabilities?.auth ?? [],
      startTlsOffered: this.capabilities?.startTls ?? false,
      authenticated: this.authenticated,
      identity: undefined
    }
  }

  end(reason: Reason.Reason): Effect.Effect<never, SmtpError> {
    // In doubt is what was said; nothing that is said from now on.
    this.ended ??= reason._tag === "InDoubt"
      ? Reason.make("ConnectionLost", { step: "Content", detail: reason.detail })
      : reason
    const closed = { _tag: "Closed", at: this.log.at(), detail: reason._tag } as const
    return Effect.andThen(this.log.record(closed), Effect.fail(this.log.error(reason, this.phase)))
  }

  perform<R>(instruction: Program.Instruction): Effect.Effect<Program.Answer, SmtpError, R> {
    if (this.ended !== undefined) return Effect.fail(this.log.error(this.ended, this.phase))
    switch (instruction._tag) {
      case "Greeting":
        this.phase = "greeting"
        return Effect.map(this.reply("Greeting"), (reply) => {
          this.greeted = true
          return Program.replies(reply)
        })
      case "Exchange":
        this.phase = phaseOf(instruction.commands[0], this.phase)
        return Effect.map(this.exchange(instruction.commands), (replies) => Program.replies(...replies))
      case "Payload":
        this.phase = "content"
        return Effect.map(this.payload(instruction.content, instruction.recipients), (reply) => Program.replies(reply))
      case "UpgradeTls":
        this.phase = "tls"
        return Effect.map(this.upgradeTls(instruction.options), Program.tls)
      case "Perform":
        return Effect.map(instruction.effect as Effect.Effect<unknown, never, R>, (value) => ({ _tag: "Value", value }))
    }
  }

  // A reply that nothing was asked for would be taken for the answer to what comes next.
  readonly settled: Effect.Effect<void, SmtpError> = Effect.suspend(() => {
    if (this.decoder.isEmpty()) return Effect.void
    const next = this.decoder.next()
    // It may be a second answer to AUTH.
    const unasked = next !== undefined && Result.isSuccess(next) ? this.secrets.hide("Auth", next.success) : undefined
    if (unasked?.code === 421) return this.end(Reason.make("ServiceClosing", { step: "idle", reply: unasked }))
    return this.end(Reason.make("ProtocolViolation", {
      step: this.phase,
      expected: "silence until the next command",
      received: unasked === undefined
        ? this.secrets.hideAll("Auth", Reply.escape(this.decoder.held()))
        : Reply.render(unasked)
    }))
  })

  exchange(commands: Program.Commands): Effect.Effect<ReadonlyArray<Reply.Reply>, SmtpError> {
    const size = this.capabilities?.pipelining === true ? groupSize : 1
    const replies: Array<Reply.Reply> = []
    const group = (from: number): Effect.Effect<ReadonlyArray<Reply.Reply>, SmtpError> => {
      if (from >= commands.length) return Effect.succeed(replies)
      const some = commands.slice(from, from + size)
      const read = (i: number): Effect.Effect<ReadonlyArray<Reply.Reply>, SmtpError> => {
        const command = some[i]
        if (command === undefined) return group(from + size)
        return Effect.flatMap(this.reply(command._tag), (reply) => {
          replies.push(reply)
          this.learn(command, reply)
          return read(i + 1)
        })
      }
      return Effect.flatMap(this.say(some), () => read(0))
    }
    const [{ _tag }] = commands
    const responds = this.owed === "response" && (_tag === "AuthResponse" || _tag === "AuthCancel")
    if (this.owed !== undefined && !responds) return this.outOfSequence(_tag)
    return Effect.flatMap(this.settled, () => group(0))
  }

  outOfSequence(step: Expect.Step): Effect.Effect<never, SmtpError> {
    return this.end(Reason.make("OutOfSequence", { step, phase: this.owed ?? "ready" }))
  }

  say(commands: ReadonlyArray<Command.Command>): Effect.Effect<void, SmtpError> {
    const lines = commands.map(CommandLine.encode)
    if (!lines.every(isOneLine)) {
      // Types forbid it; a value made by force must not reach the wire all the same.
      return this.end(Reason.make("InvalidInput", { what: "a command", problem: "it holds CR, LF or NUL" }))
    }
    for (const command of commands) this.secrets.learn(command)
    const record = (command: Command.Command) =>
      this.log.record({ _tag: "Sent", at: this.log.at(), line: CommandLine.render(command) })
    const step = commands[0]?._tag ?? "Noop"
    const write = Effect.mapError(
      this.wire.write(concatBytes(...lines)),
      (error) => fromTransport(error, step, this.greeted)
    )
    return Effect.andThen(
      Effect.forEach(commands, record, { discard: true }),
      Effect.catch(within(this.limits, step, write), (reason) => this.lastWords(step, reason))
    )
  }

  // Writing failed: the server may have said why before it went (RFC 5321 §3.8).
  lastWords(step: Expect.Step, otherwise: Reason.Reason): Effect.Effect<never, SmtpError> {
    return Effect.matchEffect(this.parting(step), {
      onSuccess: (reply) => this.end(reply.code === 421 ? Reason.make("ServiceClosing", { step, reply }) : otherwise),
      onFailure: () => this.end(otherwise)
    })
  }

  // A reply that is there already, or as good as there.
  parting(step: Expect.Step): Effect.Effect<Reply.Reply, unknown> {
    return Effect.timeout(this.read(step), partingTime)
  }

  // What replies tell about the connection, whichever Program asked.
  learn(command: Command.Command, reply: Reply.Reply): void {
    // Anywhere else a 334 asks for nothing: it is a reply that does not fit.
    const inAuth = command._tag === "Auth" || command._tag === "AuthResponse" || command._tag === "AuthCancel"
    this.owed = inAuth && reply.code === 334 ? "response" : undefined
    if (!Expect.isYes(command._tag, reply)) return
    if (command._tag === "Ehlo" || command._tag === "Lhlo" || command._tag === "Helo") {
      const answer = Expect.read(command, reply)
      this.capabilities = Result.isSuccess(answer) ? answer.success : undefined
    }
    if (reply.code === 235) this.authenticated = true
    if (command._tag === "Data") this.owed = "content"
    if (command._tag === "StartTls") this.owed = "handshake"
    // The session starts anew, as somebody else's.
    if (command._tag === "Xclient") {
      this.capabilities = undefined
      this.authenticated = false
    }
    if (command._tag === "Quit") {
      this.ended = Reason.make("ConnectionLost", { step: "Quit", detail: "the session was ended by QUIT" })
    }
  }

  /** The next reply; a 421 ends the session at any step (RFC 5321 §3.8). */
  reply(step: Expect.Step): Effect.Effect<Reply.Reply, SmtpError> {
    return Effect.matchEffect(this.read(step), {
      onSuccess: (reply) => this.unless421(step, reply),
      onFailure: (reason) => this.end(reason)
    })
  }

  unless421(step: Expect.Step, reply: Reply.Reply): Effect.Effect<Reply.Reply, SmtpError> {
    return reply.code === 421 ? this.end(Reason.make("ServiceClosing", { step, reply })) : Effect.succeed(reply)
  }

  // Without a suspension when the reply is already there.
  read(step: Expect.Step): Effect.Effect<Reply.Reply, Reason.Reason> {
    return Effect.suspend(() => {
      const ready = this.decoder.next()
      if (ready !== undefined) return this.accept(step, ready)
      return within(this.limits, step, this.fill(step))
    })
  }

  fill(step: Expect.Step): Effect.Effect<Reply.Reply, Reason.Reason> {
    return Effect.flatMap(
      Effect.mapError(this.wire.read, (error) => fromTransport(error, step, this.greeted)),
      (bytes) => {
        if (this.opening.length < tellsTls) {
          this.opening = concatBytes(this.opening, bytes)
          if (looksLikeTls(this.opening)) {
            const firstBytes = Reply.escape(this.opening.subarray(0, 8))
            return Effect.fail(Reason.make("TlsModeMismatch", { mode: this.security, use: "tls", firstBytes }))
          }
        }
        this.decoder.push(bytes)
        const next = this.decoder.next()
        return next === undefined ? this.fill(step) : this.accept(step, next)
      }
    )
  }

  accept(
    step: Expect.Step,
    read: Result.Result<Reply.Reply, Reply.ReplyError>
  ): Effect.Effect<Reply.Reply, Reason.Reason> {
    if (Result.isFailure(read)) {
      const { offending, problem } = read.failure
      const received = this.secrets.hideAll(step, offending)
      return Effect.fail(Reason.make("ProtocolViolation", { step, expected: `a reply (${problem})`, received }))
    }
    const reply = this.secrets.hide(step, read.success)
    // A challenge is answered as it came, and told only by its length: with a SCRAM server's
    // signature in a log, passwords could be guessed against it.
    const challenge = reply.code === 334 && Expect.isYes(step, reply)
    const shown = challenge
      ? Reply.make(334, `<challenge, ${reply.lines[0].length} characters>`)
      : Transcript.shorten(reply)
    const received = { _tag: "Received", at: this.log.at(), reply: shown } as const
    return Effect.as(this.log.record(received), challenge ? read.success : reply)
  }

  // Until its last block is written content cannot have been accepted; from then on it can.
  payload(content: Uint8Array, recipients: ReadonlyArray<string>): Effect.Effect<Reply.Reply, SmtpError> {
    // Its lines would be taken for commands.
    if (this.owed !== "content") return this.outOfSequence("Content")
    this.owed = undefined
    const inDoubt = (reason: Reason.Reason) =>
      this.end(Reason.make("InDoubt", { recipients, detail: describe(reason) }))
    const block = (at: number): Effect.Effect<Reply.Reply, SmtpError> => {
      const last = at + blockSize >= content.length
      const write = Effect.mapError(
        this.wire.write(content.subarray(at, at + blockSize)),
        (error) => fromTransport(error, "Content", true)
      )
      return Effect.matchEffect(within(this.limits, "ContentBlock", write), {
        onFailure: (reason) => this.judged(last, last ? inDoubt(reason) : this.end(reason)),
        onSuccess: () => last ? reply : block(at + blockSize)
      })
    }
    const reply = Effect.suspend(() =>
      Effect.andThen(
        this.log.record({ _tag: "ContentSent", at: this.log.at(), octets: content.length }),
        Effect.matchEffect(this.read("Content"), {
          onFailure: inDoubt,
          // A 3yz says neither yes nor no.
          onSuccess: (reply) =>
            Reply.isIntermediate(reply)
              ? inDoubt(
                Reason.make("ProtocolViolation", {
                  step: "Content",
                  expected: "yes or no",
                  received: Reply.render(reply)
                })
              )
              : this.unless421("Content", reply)
        })
      )
    )
    return Effect.flatMap(this.settled, () => block(0))
  }

  // A server may judge content before its end and close: its reply explains more than the broken pipe.
  judged(complete: boolean, otherwise: Effect.Effect<never, SmtpError>): Effect.Effect<Reply.Reply, SmtpError> {
    return Effect.matchEffect(this.parting("Content"), {
      onFailure: () => otherwise,
      onSuccess: (reply) => {
        if (reply.code < 400 && !complete) return otherwise
        this.ended = Reason.make("ConnectionLost", {
          step: "Content",
          detail: "the server closed the connection with its reply"
        })
        return this.unless421("Content", reply)
      }
    })
  }

  upgradeTls(options: TlsOptions): Effect.Effect<TlsFacts, SmtpError> {
    return Effect.suspend(() => {
      if (!this.decoder.isEmpty()) {
        const bytes = this.secrets.hideAll("Auth", Reply.escape(this.decoder.held()))
        return this.end(Reason.make("PlaintextInjected", { bytes }))
      }
      const handshake = Effect.mapError(
        this.wire.upgradeTls(options),
        (error) => fromTransport(error, "Handshake", this.greeted)
      )
      return within(this.limits, "Handshake", handshake).pipe(
        Effect.matchEffect({
          onFailure: (reason) => this.end(reason),
          onSuccess: (facts) => {
            this.tls = facts
            this.owed = undefined
            this.capabilities = undefined
            const { cipher, verifiedBy, version } = facts
            return Effect.as(
              this.log.record({ _tag: "TlsEstablished", at: this.log.at(), version, cipher, verifiedBy }),
              facts
            )
          }
        })
      )
    })
  }

  /** Ends a session in good order; says nothing where nothing may be said any more. */
  readonly quit: Effect.Effect<void> = this.turn.withPermitsIfAvailable(1)(Effect.suspend(() => {
    if (this.ended !== undefined || this.owed !== undefined || !this.greeted) return Effect.void
    this.phase = "quit"
    return this.exchange([Command.quit]).pipe(Effect.timeoutOption(timeLimit(this.limits, "Quit")), Effect.ignore)
  }))
}

const isRefused = (error: unknown): error is Expect.Refused =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Refused" && "reply" in error
  && "step" in error

/** Octets that tell whether a server speaks TLS. */
const tellsTls = 2

// The first two octets of a TLS record: content type 20 to 23, major version 3 (RFC 8446 §5.1).
const looksLikeTls = (bytes: Uint8Array): boolean => {
  const [type = 0, major = 0] = bytes
  return type >= 20 && type <= 23 && major === 3
}

const isOneLine = (line: Uint8Array): boolean =>
  line.indexOf(13) === line.length - 2 && line.indexOf(10) === line.length - 1 && !line.includes(0)
