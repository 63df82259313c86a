/**
 * One wire in use: what is said goes out as far as it may, replies come in within their
 * time limits, and whatever goes wrong ends it with a reason. Nothing is read or written
 * after that.
 */
import { concatBytes } from "@noble/hashes/utils.js"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Security } from "../dialogue/Open.ts"
import type { Answer } from "../dialogue/Program.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Transcript from "../outcome/Transcript.ts"
import * as Capabilities from "../wire/Capabilities.ts"
import * as Expect from "../wire/Expect.ts"
import * as Reply from "../wire/Reply.ts"
import type * as Said from "../wire/Said.ts"
import { fromTransport } from "./Failure.ts"
import type { Meter } from "./Meter.ts"
import { Outbox } from "./Outbox.ts"
import { Secrets } from "./Secrets.ts"
import type { SessionLog } from "./SessionLog.ts"
import { type Limited, timeLimit, type TimeLimits, within } from "./TimeLimits.ts"
import type { TlsFacts, TlsOptions, Wire } from "./Transport.ts"
import type { Watchdog } from "./Watchdog.ts"

/** What was heard: a reply for each step, or fewer and why the others do not come. */
export type Heard = Extract<Answer, { readonly _tag: "Replies" }>

/** How long a reply is looked for on a connection that takes no more. */
const partingTime = Duration.seconds(2)

/** What a line is used with. */
export interface Options {
  /** Named in the error when the server speaks the other kind of TLS. */
  readonly security: Security
  readonly timeLimits?: TimeLimits | undefined
  readonly replyLimits?: Reply.Limits | undefined
  /** Extensions, by their EHLO keywords, that are taken for not offered. */
  readonly without?: ReadonlyArray<string> | undefined
  /** Told which reply is waited for. */
  readonly meter?: Meter | undefined
}

export class Line {
  readonly log: SessionLog
  readonly wire: Wire
  readonly watchdog: Watchdog
  readonly security: Security
  readonly limits: TimeLimits
  readonly meter: Meter | undefined
  readonly secrets = new Secrets()
  readonly outbox: Outbox
  readonly decoder: Reply.Decoder
  /** The next of what was received, when it is complete. */
  next: Result.Result<Reply.Reply, Reply.ReplyError> | undefined = undefined
  readonly without: ReadonlyArray<string>
  greeted = false
  /** What the server began with, until there is enough of it to tell TLS from text. */
  opening: Uint8Array = new Uint8Array(0)
  tls: TlsFacts | undefined = undefined
  capabilities: Capabilities.Capabilities | undefined = undefined
  authenticated = false
  /** How often the session became another: by EHLO, TLS, AUTH or XCLIENT. */
  changes = 0
  /** When the server last said something. */
  heardAt = 0
  /** Writing failed with this: replies to what went before may still come. */
  failed: Reason.Reason | undefined = undefined
  /** There was a reply more than was asked for: nobody knows which of them answers what. */
  outOfStep = false
  /** Set once nothing more may be said. */
  ended: Reason.Reason | undefined = undefined

  constructor(log: SessionLog, wire: Wire, watchdog: Watchdog, options: Options) {
    this.watchdog = watchdog
    this.log = log
    this.wire = wire
    this.security = options.security
    this.limits = options.timeLimits ?? {}
    this.meter = options.meter
    this.outbox = new Outbox(log, this.secrets)
    this.decoder = Reply.decoder(options.replyLimits)
    this.without = options.without ?? []
  }

  /** Says it: it is written when a reply is waited for. */
  say(all: ReadonlyArray<Said.Said>): void {
    for (const said of all) {
      const reason = this.outbox.push(said)
      if (reason !== undefined) this.end(reason)
    }
  }

  /** True when nothing is on its way in either direction, and the server waits for a command. */
  get idle(): boolean {
    const { outbox } = this
    return this.ended === undefined && this.failed === undefined && this.greeted && outbox.owed === undefined
      && outbox.next === undefined && outbox.given === outbox.said && this.silent
  }

  /** True when nothing was received that is not read. */
  get silent(): boolean {
    return this.next === undefined && this.decoder.isEmpty()
  }

  end(reason: Reason.Reason): Reason.Reason {
    if (this.ended !== undefined) return this.ended
    this.log.tick()
    this.log.record({ _tag: "Closed", at: this.log.at(), detail: reason._tag })
    return this.ended = reason
  }

  /** The replies to these steps, which are those of what was said, in order. Without a suspension when they are there. */
  hear(steps: ReadonlyArray<Expect.Step>): Heard | Effect.Effect<Heard> {
    const replies: Array<Reply.Reply> = []
    return this.hearReady(steps, replies) ?? this.hearRest(steps, replies)
  }

  // Undefined when it has to be waited for.
  hearReady(steps: ReadonlyArray<Expect.Step>, replies: Array<Reply.Reply>): Heard | undefined {
    for (let step = steps[replies.length]; step !== undefined; step = steps[replies.length]) {
      if (this.ended !== undefined) return this.lost(steps, replies)
      if (step !== "Greeting" && step !== this.outbox.next?.step) {
        throw new Error(`a reply to ${step} was waited for, and the next is to ${this.outbox.next?.step ?? "nothing"}`)
      }
      const mayCome = step === "Greeting" || this.outbox.asked || this.failed !== undefined
      const reply = mayCome ? this.decoded(step) : undefined
      if (reply === undefined) return undefined
      if ("_tag" in reply) {
        this.end(reply)
        return this.lost(steps, replies)
      }
      replies.push(reply)
    }
    return { _tag: "Replies", replies, lost: undefined }
  }

  hearRest(steps: ReadonlyArray<Expect.Step>, replies: Array<Reply.Reply>): Effect.Effect<Heard> {
    return Effect.suspend(() => {
      const ready = this.hearReady(steps, replies)
      if (ready !== undefined) return Effect.succeed(ready)
      const step = steps[replies.length] ?? "Noop"
      return Effect.matchEffect(this.await(step), {
        onSuccess: () => this.hearRest(steps, replies),
        onFailure: (reason) => {
          this.end(reason)
          return Effect.succeed(this.lost(steps, replies))
        }
      })
    })
  }

  // What was written of that whose replies do not come may have been obeyed: not so after a 421.
  lost(steps: ReadonlyArray<Expect.Step>, heard: ReadonlyArray<Reply.Reply>): Heard {
    const reason = this.ended ?? Reason.make("ConnectionLost", { step: "Noop", detail: "nothing more may be said" })
    let written = 0
    for (let i = heard.length; i < steps.length && steps[i] !== "Greeting"; i++) {
      if (this.outbox.asked && reason._tag !== "ServiceClosing") written++
      this.outbox.hear()
    }
    if (this.outOfStep) {
      return { _tag: "Replies", replies: [], lost: { _tag: "Lost", reason, heard: [], written: steps.length } }
    }
    return { _tag: "Replies", replies: heard, lost: { _tag: "Lost", reason, heard, written } }
  }

  // The next reply, when it is there.
  decoded(step: Expect.Step): Reply.Reply | Reason.Reason | undefined {
    const next = this.next ?? this.decoder.next()
    if (next === undefined) return undefined
    this.next = undefined
    if (Result.isFailure(next)) {
      const { offending, problem } = next.failure
      const received = this.secrets.hideAll(step, offending)
      return Reason.make("ProtocolViolation", { step, expected: `a reply (${problem})`, received })
    }
    const expected = step === "Greeting" ? undefined : this.outbox.next
    const shown = this.record(step, next.success)
    const reply = step === "Ehlo" || step === "Lhlo" ? Capabilities.without(shown, this.without) : shown
    const judged = this.judge(step, reply, expected?.item)
    if (judged !== undefined) return judged
    if (expected !== undefined) this.outbox.hear()
    this.learn(step, reply, expected?.said)
    return reply
  }

  record(step: Expect.Step, received: Reply.Reply): Reply.Reply {
    const reply = this.secrets.hide(step, received)
    // A challenge is answered as it came.
    const challenge = reply.code === 334 && Expect.isYes(step, reply)
    const kept = challenge ? Transcript.challenge(reply) : Transcript.shorten(reply)
    this.log.record({ _tag: "Received", at: this.log.at(), reply: kept })
    return challenge ? received : reply
  }

  // Replies that end the line; a 421 does at any step (RFC 5321 §3.8).
  judge(step: Expect.Step, reply: Reply.Reply, item: number | undefined): Reason.Reason | undefined {
    if (reply.code === 421) return Reason.make("ServiceClosing", { step, reply })
    const content = step === "Content" || step === "Bdat" || step === "Burl"
    // A server may judge content before its end and close: its reply explains more than the broken pipe.
    const early = content && reply.code >= 400
    if (this.failed !== undefined && (item ?? 0) >= this.outbox.given && !early) return this.failed
    if (!content) return undefined
    // A 3yz says neither yes nor no.
    if (Reply.isIntermediate(reply)) {
      return Reason.make("ProtocolViolation", { step, expected: "yes or no", received: Reply.render(reply) })
    }
    const more = this.outbox.awaited > 1 ? undefined : this.next ??= this.decoder.next()
    if (more === undefined || (Result.isSuccess(more) && more.success.code === 421)) return undefined
    this.outOfStep = true
    return Reason.make("ProtocolViolation", {
      step,
      expected: "one reply for each command",
      // It may be another answer to AUTH.
      received: Result.isSuccess(more)
        ? Reply.render(this.secrets.hide("Auth", more.success))
        : this.secrets.hideAll("Auth", more.failure.offending)
    })
  }

  // What replies tell about the connection, whichever Program asked.
  learn(step: Expect.Step, reply: Reply.Reply, said: Said.Said | undefined): void {
    if (step === "Greeting") this.greeted = true
    // Anywhere else a 334 asks for nothing: it is a reply that does not fit.
    const inAuth = step === "Auth" || step === "AuthResponse" || step === "AuthCancel"
    if (inAuth && reply.code === 334) this.outbox.owed = "response"
    if (!Expect.isYes(step, reply)) return
    if (said?._tag === "Ehlo" || said?._tag === "Lhlo" || said?._tag === "Helo") {
      const answer = Expect.read(said, reply)
      this.know(Result.isSuccess(answer) ? answer.success : undefined)
    }
    if (changing.has(step)) this.changes++
    if (reply.code === 235) this.authenticated = true
    if (step === "Data") this.outbox.owed = "content"
    if (step === "StartTls") this.outbox.owed = "handshake"
    // The session starts anew, as somebody else's.
    if (step === "Xclient") {
      this.know(undefined)
      this.authenticated = false
    }
    if (step === "Quit") {
      this.ended = Reason.make("ConnectionLost", { step: "Quit", detail: "the session was ended by QUIT" })
    }
  }

  know(capabilities: Capabilities.Capabilities | undefined): void {
    this.capabilities = capabilities
    this.outbox.pipelining = capabilities?.pipelining === true
  }

  // Until there is something to read: everything that may be written is.
  await(step: Expect.Step): Effect.Effect<void, Reason.Reason> {
    return Effect.suspend(() => {
      const unasked = this.unasked(step)
      if (unasked !== undefined) return Effect.fail(unasked)
      this.meter?.awaits(step)
      return this.writeThen(step, () => this.read(step))
    })
  }

  /** Writes what may be written now. */
  flush(step: Expect.Step): Effect.Effect<void, Reason.Reason> {
    return this.writeThen(
      step,
      () => this.failed === undefined ? Effect.void : this.lastWords(step, this.failed)
    )
  }

  writeThen(step: Expect.Step, next: () => Effect.Effect<void, Reason.Reason>): Effect.Effect<void, Reason.Reason> {
    return Effect.suspend(() => {
      this.log.tick()
      const octets = this.failed === undefined ? this.outbox.take() : undefined
      if (octets === undefined) return next()
      if ("_tag" in octets) return Effect.fail(octets)
      return Effect.flatMap(this.write(step, octets), () => this.writeThen(step, next))
    })
  }

  // The server may have said why before it went (RFC 5321 §3.8).
  lastWords(step: Expect.Step, otherwise: Reason.Reason): Effect.Effect<never, Reason.Reason> {
    return Effect.flatMap(this.read(step), () => {
      const reply = this.next !== undefined && Result.isSuccess(this.next) ? this.next.success : undefined
      if (reply === undefined || reply.code < 400) return Effect.fail(otherwise)
      const said = this.record(step, reply)
      return Effect.fail(
        said.code === 421
          ? Reason.make("ServiceClosing", { step, reply: said })
          : Reason.make("ContentRefused", { reply: said })
      )
    })
  }

  // A reply that nothing was asked for would be taken for the answer to what comes next.
  unasked(step: Expect.Step): Reason.Reason | undefined {
    if (step === "Greeting" || this.outbox.awaited > 0 || this.outbox.upcoming !== undefined || this.silent) {
      return undefined
    }
    const next = this.next ?? this.decoder.next()
    // It may be a second answer to AUTH.
    const reply = next !== undefined && Result.isSuccess(next) ? this.secrets.hide("Auth", next.success) : undefined
    if (reply?.code === 421) return Reason.make("ServiceClosing", { step: "idle", reply })
    return Reason.make("ProtocolViolation", {
      step,
      expected: "silence until the next command",
      received: reply === undefined ? this.unfinished("Auth") : Reply.render(reply)
    })
  }

  write(step: Expect.Step, octets: Uint8Array): Effect.Effect<void> {
    const writing = Effect.mapError(this.wire.write(octets), (error) => fromTransport(error, step, this.greeted))
    const limit = step === "Content" || step === "Bdat" ? "ContentBlock" : step
    return Effect.andThen(
      this.log.tell,
      Effect.catch(this.within(limit, writing), (reason) =>
        Effect.sync(() => {
          this.failed = reason
        }))
    )
  }

  within<A>(step: Limited, effect: Effect.Effect<A, Reason.Reason>): Effect.Effect<A, Reason.Reason> {
    const millis = Duration.toMillis(timeLimit(this.limits, step))
    return this.watchdog.limit(effect, millis, () => Effect.fail(Reason.make("TimedOut", { step, limit: millis })))
  }

  read(step: Expect.Step): Effect.Effect<void, Reason.Reason> {
    const reading = Effect.mapError(
      this.wire.read,
      (error) => fromTransport(error, step, this.greeted, this.unfinished(step))
    )
    const filling: Effect.Effect<void, Reason.Reason> = Effect.flatMap(reading, (octets) => {
      const problem = this.received(octets)
      if (problem !== undefined) return Effect.fail(problem)
      return this.next === undefined ? filling : Effect.void
    })
    const { failed } = this
    const limited = failed === undefined
      ? this.within(step, filling)
      : Effect.mapError(Effect.timeout(filling, partingTime), () => failed)
    return Effect.andThen(this.log.tell, limited)
  }

  // What there is of a reply that is not whole.
  unfinished(step: Expect.Step): string {
    return this.decoder.isEmpty() ? "" : this.secrets.hideAll(step, Reply.escape(this.decoder.held()))
  }

  received(octets: Uint8Array): Reason.Reason | undefined {
    this.log.tick()
    this.heardAt = this.log.at()
    if (this.opening.length < tellsTls) {
      this.opening = concatBytes(this.opening, octets)
      if (looksLikeTls(this.opening)) {
        const firstBytes = Reply.escape(this.opening.subarray(0, 8))
        return Reason.make("TlsModeMismatch", { mode: this.security, use: "tls", firstBytes })
      }
    }
    this.decoder.push(octets)
    this.next = this.decoder.next()
    return undefined
  }

  /** Speaks TLS from here on. Whatever came before in plaintext ends the line (RFC 3207 §6). */
  upgradeTls(options: TlsOptions): Effect.Effect<TlsFacts, Reason.Reason> {
    return Effect.suspend(() => {
      if (!this.silent) {
        const unread = this.next !== undefined && Result.isSuccess(this.next)
          ? concatBytes(Reply.encode(this.next.success), this.decoder.held())
          : this.decoder.held()
        const bytes = this.secrets.hideAll("Auth", Reply.escape(unread))
        return Effect.fail(Reason.make("PlaintextInjected", { bytes }))
      }
      const handshake = Effect.mapError(
        this.wire.upgradeTls(options),
        (error) => fromTransport(error, "Handshake", this.greeted)
      )
      return Effect.map(within(this.limits, "Handshake", handshake), (facts) => {
        const { cipher, verifiedBy, version } = facts
        this.tls = facts
        this.outbox.owed = undefined
        this.know(undefined)
        this.log.tick()
        this.log.record({ _tag: "TlsEstablished", at: this.log.at(), version, cipher, verifiedBy })
        return facts
      })
    })
  }
}

const changing: ReadonlySet<Expect.Step> = new Set<Expect.Step>([
  "Ehlo",
  "Helo",
  "Lhlo",
  "StartTls",
  "Auth",
  "AuthResponse",
  "Xclient"
])

/** Octets that tell whether a server speaks TLS. */
const tellsTls = 2

// The first two octets of a TLS record: content type 20 to 23, major version 3 (RFC 8446 §5.1).
const looksLikeTls = (bytes: Uint8Array): boolean => {
  const [type = 0, major = 0] = bytes
  return type >= 20 && type <= 23 && major === 3
}
