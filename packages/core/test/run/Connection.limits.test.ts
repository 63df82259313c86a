import { assert, describe, it } from "@effect/vitest"
import { type Connection, Expect, type Program, type Reason, type SmtpError, type TimeLimits } from "@postern/core"
import { Duration, Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  accepted,
  type Answered,
  failure,
  hears,
  hearsBytes,
  interjects,
  make,
  peer,
  quits,
  says,
  saysBytes,
  stalls,
  type Step,
  submission,
  success,
  talk,
  type TalkOptions,
  until,
  waits
} from "./scripted.ts"

/** Talks until `limit` has passed on the clock: not before, and not later, is it over. */
const within = Effect.fnUntraced(function*<A>(
  limit: Duration.Input,
  script: ReadonlyArray<Step>,
  use: (connection: Connection.Live) => Effect.Effect<A, SmtpError.SmtpError, Program.Connection | Scope.Scope>,
  options?: TalkOptions
) {
  const fiber = yield* Effect.forkChild(talk(script, use, options))
  yield* TestClock.adjust(Duration.subtract(Duration.fromInputUnsafe(limit), Duration.millis(1)))
  assert.isUndefined(fiber.pollUnsafe(), "it ended before its time limit")
  yield* TestClock.adjust(1)
  assert.isDefined(fiber.pollUnsafe(), "it did not end at its time limit")
  return yield* Fiber.join(fiber)
})

const submit = (connection: Connection.Live) => connection.run(submission())

/** The limits of RFC 5321 §4.5.3.2, in minutes. */
const limits: ReadonlyArray<readonly [Answered, step: TimeLimits.Limited, minutes: number]> = [
  ["Greeting", "Greeting", 5],
  ["Ehlo", "Ehlo", 5],
  ["StartTls", "StartTls", 5],
  ["Handshake", "Handshake", 0.5],
  ["EhloAgain", "Ehlo", 5],
  ["Auth", "Auth", 5],
  ["Mail", "Mail", 5],
  ["Rcpt", "Rcpt", 5],
  ["Data", "Data", 2],
  ["Content", "Content", 10]
]

const outcome = (answered: Answered, step: TimeLimits.Limited, limit: number): Reason.Reason =>
  answered === "Content"
    ? { _tag: "InDoubt", recipients: accepted, detail: `no reply within ${limit / 1000} seconds` }
    : { _tag: "TimedOut", step, limit }

describe("a server that does not answer", () => {
  for (const [answered, step, minutes] of limits) {
    it.effect(`${answered}: ${minutes} minutes, as the RFC has it`, () =>
      Effect.gen(function*() {
        const talked = yield* within(Duration.minutes(minutes), [...until(answered), stalls], submit)
        assert.deepStrictEqual(failure(talked).reason, outcome(answered, step, minutes * 60_000))
        assert.notInclude(talked.seen.writes, "QUIT\r\n")
      }))

    it.effect(`${answered}: what is configured instead`, () =>
      Effect.gen(function*() {
        const options = { timeLimits: { [step]: "7 seconds" } }
        const talked = yield* within("7 seconds", [...until(answered), stalls], submit, options)
        assert.deepStrictEqual(failure(talked).reason, outcome(answered, step, 7000))
      }))
  }

  it.effect("one that answers octet by octet has no more time in all", () =>
    Effect.gen(function*() {
      // The tenth octet would come in time for nothing.
      const slow = [...new TextEncoder().encode("220 mx.ex")].flatMap((octet) => [
        waits("30 seconds"),
        saysBytes(Uint8Array.of(octet))
      ])
      const { reason } = failure(yield* within("5 minutes", [...slow, stalls], submit))
      assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "TimedOut", step: "Greeting", limit: 300_000 })
    }))

  it.effect("one that takes its time, but not too much, is waited for", () =>
    Effect.gen(function*() {
      const script = [...until("Content"), waits("9 minutes"), says("250 queued"), ...quits]
      success(yield* within("9 minutes", script, submit))
    }))

  it.effect("every step has a limit, and the greeting's is not endless", () =>
    Effect.sync(() => {
      for (const row of Object.values(Expect.table)) {
        assert.isAbove(Duration.toMillis(row.timeLimit), 0)
        assert.isAtMost(Duration.toMinutes(row.timeLimit), 10)
      }
    }))
})

describe("a connection that does not come about", () => {
  it.effect("dialling ends after 30 seconds, or what is configured", () =>
    Effect.gen(function*() {
      for (const [limit, timeLimits] of [[30_000, undefined], [4000, { Connect: "4 seconds" }]] as const) {
        const { reason, phase, transcript } = failure(
          yield* within(limit, [], () => Effect.void, { dial: "never", timeLimits })
        )
        assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "TimedOut", step: "Connect", limit })
        assert.strictEqual(phase, "connect")
        assert.lengthOf(transcript, 0)
      }
    }))

  it.effect("a refused one is told with its code", () =>
    Effect.gen(function*() {
      const { code, host, port } = { ...peer, code: "ECONNREFUSED" }
      const talked = yield* talk([], () => Effect.void, {
        dial: { _tag: "ConnectFailed", host, port, code, detail: "refused" }
      })
      const { reason, retry } = failure(talked)
      assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "ConnectionFailed", host, port, code, detail: "refused" })
      assert.strictEqual(retry, "later")
    }))

  it.effect("dialling may be interrupted", () =>
    Effect.gen(function*() {
      const { layer, seen } = make([], { dial: "never" })
      const fiber = yield* Effect.forkChild(Effect.provide(talk([], () => Effect.void, { dial: "never" }), layer), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(seen.opened, 0)
    }))
})

describe("a server that reads no more", () => {
  it.effect("a command is written within the limit of its step", () =>
    Effect.gen(function*() {
      for (const [answered, step, minutes] of [["Mail", "Mail", 5], ["Ehlo", "Ehlo", 5]] as const) {
        const script = [...until(answered).slice(0, -1), stalls]
        const fiber = yield* Effect.forkChild(talk(script, submit))
        yield* TestClock.adjust(Duration.minutes(minutes))
        // A last word is looked for.
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual<Reason.Reason>(failure(yield* Fiber.join(fiber)).reason, {
          _tag: "TimedOut",
          step,
          limit: minutes * 60_000
        })
      }
    }))

  const large = "0123456789abcde\n".repeat(2 * 65_536 / 16)
  // A CR more for each line.
  const block = 65_536 / 16 * 17
  const encoded = `${large.replaceAll("\n", "\r\n")}.\r\n`
  const begun = (
    octets: number
  ) => [...until("Content").slice(0, -1), ...octets === 0 ? [] : [hearsBytes(encoded.slice(0, octets))]]

  for (const [which, octets] of [["first", 0], ["second", block], ["last", 2 * block]] as const) {
    it.effect(`the ${which} block of content is written within three minutes`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          talk([...begun(octets), stalls], (connection) => connection.run(submission(large)))
        )
        yield* TestClock.adjust("179 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("2 seconds")
        const { reason } = failure(yield* Fiber.join(fiber))
        if (which === "last") {
          assert.strictEqual(reason._tag, "InDoubt")
          assert.deepStrictEqual(reason._tag === "InDoubt" ? reason.recipients : [], accepted)
        } else {
          assert.deepInclude(reason, { _tag: "TimedOut", limit: 180_000 })
        }
      }))
  }

  it.effect("what it said before counts", () =>
    Effect.gen(function*() {
      const script = [...begun(block), interjects("552 5.3.4 message too big\r\n"), stalls]
      const fiber = yield* Effect.forkChild(talk(script, (connection) => connection.run(submission(large))))
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(failure(yield* Fiber.join(fiber)).reason._tag, "TooLarge")
    }))
})

describe("QUIT", () => {
  it.effect("waits five seconds for its answer, whatever the scope is in the middle of", () =>
    Effect.gen(function*() {
      const script = [...until("Content"), says("250 queued"), hears("QUIT"), stalls]
      const talked = yield* within("5 seconds", script, submit)
      success(talked)
      assert.strictEqual(talked.seen.closed, 1)
    }))

  it.effect("waits as long as is configured", () =>
    Effect.gen(function*() {
      const script = [...until("Content"), says("250 queued"), hears("QUIT"), stalls]
      success(yield* within("1 second", script, submit, { timeLimits: { Quit: "1 second" } }))
    }))

  it.effect("is given up when it cannot even be written", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(talk([...until("Content"), says("250 queued"), stalls], submit))
      yield* TestClock.adjust("10 seconds")
      success(yield* Fiber.join(fiber))
    }))
})
