import { assert, describe, it } from "@effect/vitest"
import { Command, Connection, Program, type SmtpError } from "@postern/core"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  type Answered,
  hears,
  hearsBytes,
  interrupted,
  make,
  peer,
  quits,
  says,
  stalls,
  type Step,
  submission,
  until,
  waits
} from "./scripted.ts"

const answers: ReadonlyArray<Answered> = [
  "Greeting",
  "Ehlo",
  "StartTls",
  "Handshake",
  "EhloAgain",
  "Auth",
  "Mail",
  "Rcpt",
  "Data",
  "Content"
]

/** Opens a connection that this test closes by hand. */
const opened = Effect.fnUntraced(function*(script: ReadonlyArray<Step>) {
  const { check, layer, seen } = make([script])
  const scope = yield* Scope.make()
  const connection = yield* Connection.open({ peer, security: "startTls" }).pipe(
    Effect.provide(layer),
    Scope.provide(scope)
  )
  return { check, connection, seen, close: Scope.close(scope, Exit.void) }
})

describe("a dialogue that is interrupted", () => {
  for (const answered of answers) {
    it.effect(`while it waits for ${answered}: no QUIT, and the connection is of no use any more`, () =>
      Effect.gen(function*() {
        const { check, close, connection, seen } = yield* opened([...until(answered), stalls])
        const fiber = yield* Effect.forkChild(connection.run(submission()), { startImmediately: true })
        yield* Effect.yieldNow
        const written = seen.writes.length
        yield* Fiber.interrupt(fiber)
        assert.isTrue(interrupted(yield* Fiber.await(fiber)))
        const error: SmtpError.SmtpError = yield* Effect.flip(connection.run(Program.send(Command.noop)))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        yield* close
        assert.strictEqual(seen.closed, 1)
        assert.strictEqual(seen.writes.length, written, "something was written after the interruption")
        yield* Effect.orDie(check)
      }))
  }

  it.effect("while it writes", () =>
    Effect.gen(function*() {
      const large = "0123456789abcde\n".repeat(2 * 65_536 / 16)
      const encoded = `${large.replaceAll("\n", "\r\n")}.\r\n`
      for (
        const script of [until("Content").slice(0, -1), [
          ...until("Content").slice(0, -1),
          hearsBytes(encoded.slice(0, 65_536))
        ], until("Mail").slice(0, -1)]
      ) {
        const { close, connection, seen } = yield* opened([...script, stalls])
        const fiber = yield* Effect.forkChild(connection.run(submission(large)), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        yield* close
        assert.notInclude(seen.writes, "QUIT\r\n")
        assert.strictEqual(seen.closed, 1)
      }
    }))

  it.effect("with its scope, while it performs an Effect: the Effect ends too", () =>
    Effect.gen(function*() {
      const { layer, seen } = make([[says("220 hi")]])
      const ended = yield* Deferred.make<void>()
      const fiber = yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "plain" })
        yield* connection.run(Program.gen(function*() {
          yield* Program.greeting
          yield* Program.perform(Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined)))
        }))
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.forkChild({ startImmediately: true }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Deferred.isDoneUnsafe(ended))
      assert.deepStrictEqual([seen.opened, seen.closed, seen.writes.length], [1, 1, 0])
    }))

  it.effect("leaves no fibre of its own: none wakes up when the time limits pass", () =>
    Effect.gen(function*() {
      const { layer, seen } = make([[...until("Data"), stalls]])
      const fiber = yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "startTls" })
        yield* connection.run(submission())
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.forkChild({ startImmediately: true }))
      yield* Effect.yieldNow
      const written = seen.writes.length
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([seen.closed, seen.writes.length], [1, written])
    }))
})

describe("between dialogues", () => {
  it.effect("an interruption still ends the session in good order", () =>
    Effect.gen(function*() {
      const { check, layer, seen } = make([[...until("Content"), says("250 queued"), ...quits]])
      const fiber = yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "startTls" })
        yield* connection.run(submission())
        return yield* Effect.never
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.forkChild({ startImmediately: true }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted(yield* Fiber.await(fiber)))
      assert.deepStrictEqual([seen.writes.at(-1), seen.closed], ["QUIT\r\n", 1])
      yield* Effect.orDie(check)
    }))

  it.effect("an interrupted scope waits no longer than five seconds for the answer to QUIT", () =>
    Effect.gen(function*() {
      const { layer, seen } = make([[...until("Content"), says("250 queued"), hears("QUIT"), stalls]])
      const fiber = yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "startTls" })
        yield* connection.run(submission())
        return yield* Effect.never
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.forkChild({ startImmediately: true }))
      yield* Effect.yieldNow
      const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(seen.closed, 0)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interruption)
      assert.strictEqual(seen.closed, 1)
    }))
})

describe("two fibres on one connection", () => {
  const noops = Program.gen(function*() {
    yield* Program.send({ _tag: "Noop", argument: "a" })
    yield* Program.send({ _tag: "Noop", argument: "b" })
  })

  it.effect("take turns: a dialogue is not interleaved with another", () =>
    Effect.gen(function*() {
      const dialogue: ReadonlyArray<Step> = ["a", "b"].flatMap((
        what
      ) => [hears(`NOOP ${what}`), waits("1 second"), says("250 ok")])
      const { check, close, connection } = yield* opened([says("220 hi"), ...dialogue, ...dialogue, ...quits])
      yield* connection.run(Program.greeting)
      const both = yield* Effect.forkChild(
        Effect.all([connection.run(noops), connection.run(noops)], { concurrency: 2 })
      )
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(both)
      yield* close
      yield* Effect.orDie(check)
    }))

  it.effect("one that is interrupted while it waits for its turn does no harm", () =>
    Effect.gen(function*() {
      const dialogue: ReadonlyArray<Step> = ["a", "b"].flatMap((
        what
      ) => [hears(`NOOP ${what}`), waits("1 second"), says("250 ok")])
      const { check, close, connection } = yield* opened([says("220 hi"), ...dialogue, ...dialogue, ...quits])
      yield* connection.run(Program.greeting)
      const first = yield* Effect.forkChild(connection.run(noops), { startImmediately: true })
      const second = yield* Effect.forkChild(connection.run(noops), { startImmediately: true })
      const third = yield* Effect.forkChild(connection.run(noops), { startImmediately: true })
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      yield* close
      yield* Effect.orDie(check)
    }))

  it.effect("when one is interrupted in the middle, the other finds a connection of no use", () =>
    Effect.gen(function*() {
      const { close, connection, seen } = yield* opened([says("220 hi"), hears("NOOP a"), stalls])
      yield* connection.run(Program.greeting)
      const first = yield* Effect.forkChild(connection.run(noops), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.flip(connection.run(noops)), { startImmediately: true })
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* Fiber.join(second)).reason._tag, "ConnectionLost")
      yield* close
      assert.deepStrictEqual(seen.writes, ["NOOP a\r\n"])
    }))

  it.effect("a scope that closes while the other is talking says no QUIT into its dialogue", () =>
    Effect.gen(function*() {
      const { close, connection, seen } = yield* opened([
        says("220 hi"),
        hears("NOOP a"),
        waits("1 second"),
        says("250 ok")
      ])
      yield* connection.run(Program.greeting)
      const fiber = yield* Effect.forkChild(Effect.flip(connection.run(noops)), { startImmediately: true })
      yield* close
      assert.strictEqual(seen.closed, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "ConnectionLost")
      assert.notInclude(seen.writes, "QUIT\r\n")
    }))
})
