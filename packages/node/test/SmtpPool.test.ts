import { assert, describe, it } from "@effect/vitest"
import { Command, Program, Reply, SmtpClient } from "@postern/core"
import { SimulatedServer } from "@postern/testing"
import { Effect, Exit, Fiber, Layer, Result, Schedule, Scope, Stream } from "effect"
import { RateLimiter } from "effect/persistence"
import { SmtpPool } from "../src/index.ts"
import { message, pooled, timed } from "./pool.ts"

const someNames = (count: number) => Array.from({ length: count }, (_, i) => `m${i}`)
const sorted = (names: ReadonlyArray<string>) => names.toSorted()

describe("connections", () => {
  timed("one is opened, and used again", () =>
    Effect.gen(function*() {
      const { names, open, pool, sessions } = yield* pooled({})
      for (const name of ["ben", "cat", "dan"]) {
        const { outcomes, reply } = yield* pool.send(message(name))
        assert.deepStrictEqual([reply.code, outcomes[0]?._tag], [250, "Accepted"])
      }
      assert.deepStrictEqual(yield* names, ["ben", "cat", "dan"])
      assert.lengthOf(yield* sessions, 1)
      assert.strictEqual(yield* open, 1)
      yield* pool.drain
      assert.strictEqual(yield* open, 0)
      assert.deepStrictEqual((yield* sessions)[0]?.commands.at(-1)?._tag, "Quit")
    }))

  timed("min are opened at once, and stay", () =>
    Effect.gen(function*() {
      const { open } = yield* pooled({}, { min: 2, max: 3, idleTimeout: "1 minute" })
      yield* Effect.sleep("10 minutes")
      assert.strictEqual(yield* open, 2)
    }))

  timed("no more than max", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({ delay: 10 }, { max: 3 })
      const wanted = someNames(20)
      const sending = yield* Effect.forkChild(
        Effect.forEach(wanted, (name) => pool.send(message(name)), { concurrency: "unbounded" })
      )
      yield* Effect.sleep(65)
      const { busy, idle, open, waiting } = yield* pool.stats
      assert.deepStrictEqual([open, busy + idle, waiting > 10], [3, 3, true])
      yield* Effect.sleep("1 minute")
      yield* Fiber.join(sending)
      assert.deepStrictEqual(sorted(yield* names), sorted(wanted))
      assert.lengthOf(yield* sessions, 3)
    }))

  timed("idle ones are closed", () =>
    Effect.gen(function*() {
      const { open, pool, sessions } = yield* pooled({}, { idleTimeout: "1 minute" })
      yield* pool.send(message("ben"))
      yield* Effect.sleep("59 seconds")
      assert.strictEqual(yield* open, 1)
      yield* Effect.sleep("61 seconds")
      assert.strictEqual(yield* open, 0)
      assert.strictEqual((yield* sessions)[0]?.commands.at(-1)?._tag, "Quit")
      yield* pool.send(message("cat"))
      assert.lengthOf(yield* sessions, 2)
    }))

  timed("carry so many messages, and no more", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({}, { messagesPerConnection: 2, max: 1 })
      for (const name of someNames(5)) yield* pool.send(message(name))
      assert.deepStrictEqual(yield* names, someNames(5))
      const mails = (yield* sessions).map(({ commands }) => commands.filter(({ _tag }) => _tag === "Mail").length)
      assert.deepStrictEqual(mails, [2, 2, 1])
    }))

  timed("carry what the server's LIMITS allow (RFC 9422)", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({ limits: { mailMax: 3 } }, { max: 1 })
      for (const name of someNames(7)) yield* pool.send(message(name))
      assert.deepStrictEqual(yield* names, someNames(7))
      assert.lengthOf(yield* sessions, 3)
    }))

  timed("that the server closed while they were idle cost no message", () =>
    Effect.gen(function*() {
      const { names, open, pool, sessions } = yield* pooled({ idleTimeout: "30 seconds" }, {
        idleTimeout: "1 hour",
        retry: Schedule.recurs(0)
      })
      yield* pool.send(message("ben"))
      yield* Effect.sleep("31 seconds")
      assert.strictEqual(yield* open, 0)
      yield* pool.send(message("cat"))
      assert.deepStrictEqual(yield* names, ["ben", "cat"])
      assert.lengthOf(yield* sessions, 2)
      const { failed, retried, sent } = yield* pool.stats
      assert.deepStrictEqual([sent, failed, retried], [2, 0, 0])
    }))

  timed("that die at MAIL cost no message either: it goes out on another one", () =>
    Effect.gen(function*() {
      // What the server says without LIMITS: enough for one connection.
      const { names, pool, sessions } = yield* pooled({ maxMessages: 2 }, { max: 1, retry: Schedule.recurs(0) })
      for (const name of someNames(5)) yield* pool.send(message(name))
      assert.deepStrictEqual(yield* names, someNames(5))
      assert.lengthOf(yield* sessions, 3)
      const { failed, retried, sent } = yield* pool.stats
      assert.deepStrictEqual([sent, failed, retried], [5, 0, 2])
    }))

  timed("that die with the content are another matter: the server has seen the message", () =>
    Effect.gen(function*() {
      let contents = 0
      const { pool } = yield* pooled({
        reply: (turn) => turn._tag === "Bdat" && ++contents === 2 ? Reply.make(421, "bye") : undefined
      }, { retry: Schedule.recurs(0) })
      yield* pool.send(message("ben"))
      const { phase, reason } = yield* Effect.flip(pool.send(message("cat")))
      assert.deepStrictEqual([reason._tag, phase], ["ServiceClosing", "content"])
    }))

  timed("a refused message leaves its connection as good as it was", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({ unknownUsers: ["ben@b.example"] })
      const error = yield* Effect.flip(pool.send(message("ben")))
      assert.strictEqual(error.reason._tag, "RecipientsRefused")
      yield* pool.send(message("cat"))
      assert.deepStrictEqual(yield* names, ["cat"])
      assert.lengthOf(yield* sessions, 1)
    }))
})

describe("retry", () => {
  const refusing = (code: number, times: number) => {
    let left = times
    return {
      reply: (turn: { readonly _tag: string }) =>
        turn._tag === "Mail" && left-- > 0 ? Reply.make(code, "not now") : undefined
    }
  }

  timed("what is refused for now, when a schedule says so", () =>
    Effect.gen(function*() {
      const { names, pool } = yield* pooled(refusing(451, 2), { retry: Schedule.spaced("5 minutes") })
      yield* pool.send(message("ben"))
      assert.deepStrictEqual(yield* names, ["ben"])
      assert.strictEqual((yield* pool.stats).retried, 2)
    }))

  timed("not by itself", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled(refusing(451, 1))
      assert.strictEqual((yield* Effect.flip(pool.send(message("ben")))).reason._tag, "TemporaryFailure")
    }))

  timed("never what is refused for good, whatever the schedule", () =>
    Effect.gen(function*() {
      const { pool, sessions } = yield* pooled(refusing(550, 9), { retry: Schedule.forever })
      assert.strictEqual((yield* Effect.flip(pool.send(message("ben")))).retry, "never")
      const commands = (yield* sessions).flatMap(({ commands }) => commands)
      assert.lengthOf(commands.filter(({ _tag }) => _tag === "Mail"), 1)
    }))

  const droppingContent = (times: number) => {
    let left = times
    return {
      reply: (turn: { readonly _tag: string }) => turn._tag === "Bdat" && left-- > 0 ? "drop" as const : undefined
    }
  }

  timed("never in doubt", () =>
    Effect.gen(function*() {
      const { pool, sessions } = yield* pooled(droppingContent(1), { retry: Schedule.forever })
      assert.strictEqual((yield* Effect.flip(pool.send(message("ben")))).reason._tag, "InDoubt")
      assert.lengthOf(yield* sessions, 1)
    }))

  timed("but when that is asked for", () =>
    Effect.gen(function*() {
      const { names, pool } = yield* pooled(droppingContent(1), { retry: Schedule.forever, retryInDoubt: true })
      yield* pool.send(message("ben"))
      assert.include(yield* names, "ben")
    }))

  timed("a server that closes each connection at once has the message fail in the end", () =>
    Effect.gen(function*() {
      // With CHUNKING the content would have gone with MAIL, and be in doubt.
      const { pool, sessions } = yield* pooled({
        extensions: ["PIPELINING"],
        reply: (turn) => turn._tag === "Mail" ? "drop" : undefined
      })
      const error = yield* Effect.flip(pool.send(message("ben")))
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.lengthOf(yield* sessions, 4)
      const { failed, retried, sent } = yield* pool.stats
      assert.deepStrictEqual([sent, failed, retried], [0, 1, 3])
    }))

  timed("bad input fails before anything is opened", () =>
    Effect.gen(function*() {
      const { pool, sessions } = yield* pooled({})
      const error = yield* Effect.flip(pool.send({ ...message("ben"), to: "nobody" }))
      assert.deepStrictEqual([error.reason._tag, error.phase], ["InvalidInput", "input"])
      assert.lengthOf(yield* sessions, 0)
    }))
})

describe("cancelling", () => {
  timed("while it waits: nothing happens", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({ delay: 10 }, { max: 1 })
      const first = yield* Effect.forkChild(pool.send(message("ben")))
      const second = yield* Effect.forkChild(pool.send(message("cat")))
      yield* Effect.sleep(25)
      yield* Fiber.interrupt(second)
      yield* Effect.sleep("1 second")
      yield* Fiber.join(first)
      assert.deepStrictEqual(yield* names, ["ben"])
      assert.lengthOf(yield* sessions, 1)
      const { busy, cancelled, sent, waiting } = yield* pool.stats
      assert.deepStrictEqual({ busy, cancelled, sent, waiting }, { busy: 0, cancelled: 1, sent: 1, waiting: 0 })
    }))

  timed("while it is sent: its connection is closed, and no other", () =>
    Effect.gen(function*() {
      const { names, open, pool, sessions } = yield* pooled({ delay: 10 }, { max: 2 })
      const first = yield* Effect.forkChild(pool.send(message("ben")))
      const second = yield* Effect.forkChild(pool.send(message("cat")))
      yield* Effect.sleep(65)
      assert.strictEqual(yield* open, 2)
      yield* Fiber.interrupt(second)
      yield* Effect.sleep("1 second")
      yield* Fiber.join(first)
      assert.strictEqual(yield* open, 1)
      const third = yield* Effect.forkChild(pool.send(message("dan")))
      yield* Effect.sleep("1 second")
      yield* Fiber.join(third)
      assert.deepStrictEqual(yield* names, ["ben", "dan"])
      assert.lengthOf(yield* sessions, 2)
    }))
})

describe("rate", () => {
  timed("so many messages in a time", () =>
    Effect.gen(function*() {
      const { names, pool } = yield* pooled({}, { rate: { messages: 2, per: "1 second" } })
      const sending = yield* Effect.forkChild(
        Effect.forEach(someNames(5), (name) => pool.send(message(name)), { concurrency: "unbounded" })
      )
      for (const there of [2, 2, 4, 4, 5]) {
        yield* Effect.sleep(10)
        assert.lengthOf(yield* names, there)
        yield* Effect.sleep(490)
      }
      yield* Fiber.join(sending)
    }))

  timed("is shared through a RateLimiter of the program's own", () =>
    Effect.gen(function*() {
      const rate = { messages: 1, per: "1 minute", key: "provider" } as const
      const [one, two] = [yield* pooled({}, { rate }), yield* pooled({}, { rate })]
      yield* one.pool.send(message("ben"))
      const second = yield* Effect.forkChild(two.pool.send(message("cat")))
      yield* Effect.sleep("59 seconds")
      assert.lengthOf(yield* two.names, 0)
      yield* Effect.sleep("1 second")
      yield* Fiber.join(second)
    }).pipe(Effect.provide(Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory))))

  timed("those that wait for it hold no connection", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({}, { rate: { messages: 1, per: "1 minute" } })
      yield* pool.send(message("ben"))
      const second = yield* Effect.forkChild(pool.send(message("cat")))
      yield* Effect.sleep("1 second")
      const { busy, waiting } = yield* pool.stats
      assert.deepStrictEqual([busy, waiting], [0, 1])
      yield* Effect.sleep("1 minute")
      yield* Fiber.join(second)
    }))
})

describe("drain", () => {
  timed("waits for those under way, also for those that wait, and refuses others", () =>
    Effect.gen(function*() {
      const { names, open, pool, sessions } = yield* pooled({ delay: 10 }, { max: 1 })
      const sending = yield* Effect.forkChild(
        Effect.forEach(someNames(3), (name) => pool.send(message(name)), { concurrency: "unbounded" })
      )
      yield* Effect.sleep(25)
      const draining = yield* Effect.forkChild(pool.drain)
      yield* Effect.sleep(1)
      const { reason, retry } = yield* Effect.flip(pool.send(message("late")))
      assert.deepInclude(reason, { _tag: "ConnectionFailed", code: "ERR_POOL_DRAINED", host: "mx.example" })
      assert.strictEqual(retry, "later")
      assert.isTrue((yield* pool.stats).isDraining)
      assert.isUndefined(draining.pollUnsafe())
      yield* Effect.sleep("1 second")
      yield* Fiber.join(draining)
      yield* Fiber.join(sending)
      assert.strictEqual(yield* open, 0)
      assert.deepStrictEqual(sorted(yield* names), someNames(3))
      for (const { commands } of yield* sessions) assert.strictEqual(commands.at(-1)?._tag, "Quit")
      yield* pool.drain
    }))

  timed("is not undone when it is interrupted", () =>
    Effect.gen(function*() {
      const { names, open, pool } = yield* pooled({ delay: 10 })
      const sending = yield* Effect.forkChild(pool.send(message("ben")))
      yield* Effect.sleep(5)
      yield* Effect.timeoutOption(pool.drain, 5)
      assert.isTrue((yield* pool.stats).isDraining)
      assert.strictEqual((yield* Effect.flip(pool.send(message("cat")))).phase, "connect")
      yield* Fiber.join(sending)
      yield* pool.drain
      assert.deepStrictEqual([yield* open, yield* names], [0, ["ben"]])
    }))

  timed("with the scope, and not for ever: what is cut off is told so", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { open, pool } = yield* Scope.provide(
        pooled(
          { extensions: ["PIPELINING"], delay: (_, turn) => turn?._tag === "Mail" ? "4 minutes" : 0 },
          { max: 1, drainWithin: "10 seconds" }
        ),
        scope
      )
      const sending = yield* Effect.forkChild(Effect.flip(pool.send(message("ben"))))
      const waiting = yield* Effect.forkChild(Effect.flip(pool.send(message("cat"))))
      yield* Effect.sleep("1 minute")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.sleep("9 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* Effect.sleep("2 seconds")
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual(yield* open, 0)
      const errors = [yield* Fiber.join(sending), yield* Fiber.join(waiting)]
      assert.deepStrictEqual(errors.map(({ reason }) => reason._tag), ["ConnectionLost", "ConnectionFailed"])
    }))
})

describe("sendAll", () => {
  timed("gives what became of each, in order", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({ unknownUsers: ["m3@b.example"] }, { max: 3 })
      const messages = someNames(10).map(message)
      const results = yield* Stream.runCollect(pool.sendAll(Stream.fromIterable(messages)))
      assert.deepStrictEqual(results.map(({ message }) => message), messages)
      assert.deepStrictEqual(results.map(({ result }) => Result.isSuccess(result)), messages.map((_, i) => i !== 3))
      assert.lengthOf(yield* names, 9)
      assert.lengthOf(yield* sessions, 3)
    }))

  timed("takes no more of the stream than it can send", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({ delay: 10 }, { max: 2 })
      let taken = 0
      const messages = Stream.fromIterable(someNames(100), { chunkSize: 1 }).pipe(
        Stream.map((name) => {
          taken++
          return message(name)
        })
      )
      const sending = yield* Effect.forkChild(Stream.runDrain(pool.sendAll(messages)))
      yield* Effect.sleep(35)
      assert.isAtMost(taken, 6)
      yield* Fiber.interrupt(sending)
    }))
})

describe("dialogues of one's own", () => {
  timed("run on a lent connection, which is tidied before the next", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({}, { max: 1 })
      yield* pool.send(message("ben"))
      yield* pool.use((session) => session.enter(Command.mail(null)))
      yield* pool.send(message("cat"))
      assert.deepStrictEqual(yield* names, ["ben", "cat"])
      assert.lengthOf(yield* sessions, 1)
    }))

  timed("may end the session", () =>
    Effect.gen(function*() {
      const { names, pool, sessions } = yield* pooled({}, { max: 1 })
      yield* pool.use(() => Program.send(Command.quit))
      yield* pool.send(message("cat"))
      assert.deepStrictEqual(yield* names, ["cat"])
      assert.lengthOf(yield* sessions, 2)
    }))

  timed("hold their connection as long as their scope, and drain waits for them", () =>
    Effect.gen(function*() {
      const { names, open, pool } = yield* pooled({}, { max: 1 })
      const scope = yield* Scope.make()
      const opened = yield* Scope.provide(pool.open, scope)
      yield* opened.send(message("ben"))
      const draining = yield* Effect.forkChild(pool.drain)
      yield* Effect.sleep("1 hour")
      assert.deepStrictEqual([yield* open, draining.pollUnsafe()], [1, undefined])
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(draining)
      assert.deepStrictEqual([yield* open, yield* names], [0, ["ben"]])
    }))
})

describe("layer", () => {
  timed("serves as the SmtpClient, too", () =>
    Effect.gen(function*() {
      const client = yield* SmtpClient.SmtpClient
      for (const name of ["ben", "cat"]) yield* client.send(message(name))
      assert.isTrue(yield* client.use(({ phase }) => Effect.succeed(phase === "ready")))
      const { sessions } = yield* SimulatedServer.SimulatedServer
      assert.lengthOf(yield* sessions, 1)
      assert.strictEqual((yield* (yield* SmtpPool.SmtpPool).stats).sent, 3)
    }).pipe(
      Effect.provide(Layer.provideMerge(SmtpPool.layer({ endpoint: "mx.example:587" }), SimulatedServer.layer()))
    ))

  it.live("over TCP", () =>
    Effect.gen(function*() {
      const { ca, host, inbox, port, sessions } = yield* SimulatedServer.SimulatedServer
      yield* Effect.gen(function*() {
        const pool = yield* SmtpPool.SmtpPool
        yield* Effect.forEach(someNames(20), (name) => pool.send(message(name)), { concurrency: "unbounded" })
      }).pipe(
        Effect.provide(SmtpPool.layerTcp({ endpoint: `${host}:${port}`, security: "startTls", tls: { ca }, max: 2 }))
      )
      assert.lengthOf(yield* inbox.received, 20)
      assert.lengthOf(yield* sessions, 2)
    }).pipe(Effect.provide(SimulatedServer.layerTcp())))

  const bad: ReadonlyArray<readonly [Partial<SmtpPool.Options>, string]> = [
    [{ max: 0 }, "max"],
    [{ max: 1.5 }, "max"],
    [{ min: -1 }, "min"],
    [{ min: 5, max: 4 }, "min"],
    [{ messagesPerConnection: 0 }, "messagesPerConnection"],
    [{ idleTimeout: "soon" as "1 second" }, "idleTimeout"],
    [{ drainWithin: "soon" as "1 second" }, "drainWithin"],
    [{ rate: { messages: 0, per: "1 second" } }, "rate.messages"],
    [{ rate: { messages: 1, per: "soon" as "1 second" } }, "rate.per"],
    [{ endpoint: "a b c" }, "the endpoint"],
    [{ fallbacks: [{ endpoint: "a b c" }] }, "the endpoint"]
  ]
  for (const [options, what] of bad) {
    timed(`refuses ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(pooled({}, options))
        assert.deepInclude(error.reason, { _tag: "InvalidInput", what })
      }))
  }
})
