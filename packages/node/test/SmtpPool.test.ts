import { assert, describe, it } from "@effect/vitest"
import { Address, Command, Program, Reply, SmtpClient } from "@postern/core"
import { SimulatedServer } from "@postern/testing"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Metric, Result, Schedule, Scope, Stream } from "effect"
import { RateLimiter } from "effect/persistence"
import { SmtpPool } from "../src/index.ts"
import { message, pooled, timed } from "./pool.ts"

/** Content waits for a 354, so that a connection that ends before it leaves no doubt. */
const extensions = ["PIPELINING"]

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
      const { busy, idle, open, underWay, waiting } = yield* pool.stats
      assert.deepStrictEqual([open, busy, idle, waiting + busy], [3, 3, 0, underWay])
      assert.isAbove(waiting, 10)
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

  for (const way of ["send", "sendAll"] as const) {
    timed(
      `that are closed just as the next message comes leave it in no doubt, with CHUNKING (${way})`,
      () =>
        Effect.gen(function*() {
          let mails = 0
          const { names, pool, sessions } = yield* pooled({
            extensions: ["PIPELINING", "CHUNKING"],
            reply: (turn) => turn._tag === "Mail" && ++mails === 2 ? "drop" : undefined
          }, { max: 1, retry: Schedule.recurs(0), idleTimeout: "1 hour" })
          const sending = (name: string) =>
            way === "send"
              ? Effect.asVoid(pool.send(message(name)))
              : Stream.runForEach(
                pool.sendAll(Stream.make(message(name))),
                ({ result }) => Effect.asVoid(Effect.fromResult(result))
              )
          yield* sending("ben")
          yield* Effect.sleep("31 seconds")
          yield* sending("cat")
          assert.deepStrictEqual(yield* names, ["ben", "cat"])
          assert.lengthOf(yield* sessions, 2)
          const { failed, sent } = yield* pool.stats
          assert.deepStrictEqual([sent, failed], [2, 0])
        })
    )
  }

  timed(
    "that were opened ahead, and closed before their first message, leave it in no doubt either",
    () =>
      Effect.gen(function*() {
        let mails = 0
        const { names, pool } = yield* pooled({
          extensions: ["PIPELINING", "CHUNKING"],
          reply: (turn) => turn._tag === "Mail" && ++mails === 1 ? "drop" : undefined
        }, { min: 1, max: 1, retry: Schedule.recurs(0) })
        yield* Effect.sleep("31 seconds")
        yield* Stream.runForEach(
          pool.sendAll(Stream.make(message("ben"))),
          ({ result }) => Effect.asVoid(Effect.fromResult(result))
        )
        assert.deepStrictEqual(yield* names, ["ben"])
      })
  )

  timed("that die with the content are another matter: the server has seen the message", () =>
    Effect.gen(function*() {
      let contents = 0
      const { pool } = yield* pooled({
        extensions,
        reply: (turn) => turn._tag === "Content" && ++contents === 2 ? Reply.make(421, "bye") : undefined
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

describe("what a session does not take (RFC 9422)", () => {
  const to = ["ben@b.example", "cat@c.example", "dan@d.example", "eve@b.example"]

  for (const limits of [{ rcptDomainMax: 1 }, { rcptMax: 1, mailMax: 2 }]) {
    for (const way of ["send", "sendAll"] as const) {
      timed(`goes through another: ${JSON.stringify(limits)} (${way})`, () =>
        Effect.gen(function*() {
          const { names, pool, sessions } = yield* pooled({ limits }, { max: 1 })
          const several = { ...message("x"), to }
          const results = way === "send"
            ? [yield* Effect.result(pool.send(several))]
            : (yield* Stream.runCollect(pool.sendAll(Stream.make(several)))).map(({ result }) => result)
          const outcomes = results.flatMap((result) => Result.isSuccess(result) ? result.success.outcomes : [])
          assert.deepStrictEqual(
            outcomes.map(({ _tag, recipient }) => [_tag, recipient]),
            to.map((each) => ["Accepted", `<${each}>`])
          )
          assert.deepStrictEqual(sorted(yield* names), ["ben", "cat", "dan", "eve"])
          assert.lengthOf(yield* sessions, "mailMax" in limits ? 2 : 3)
          assert.strictEqual((yield* pool.stats).sent, 1)
        }))
    }
  }

  timed("and a session that had its domains is not used again", () =>
    Effect.gen(function*() {
      const { names, pool } = yield* pooled({ limits: { rcptDomainMax: 1 } }, { max: 1, retry: Schedule.recurs(0) })
      for (const each of to) yield* pool.send({ ...message("x"), to: each })
      assert.deepStrictEqual(yield* names, ["ben", "cat", "dan", "eve"])
    }))

  for (const way of ["send", "sendAll"] as const) {
    timed(
      `where there is none, who has the message has it, and is not sent it again (${way})`,
      () =>
        Effect.gen(function*() {
          let greetings = 0
          const { names, pool } = yield* pooled({
            limits: { rcptDomainMax: 1 },
            reply: (turn) => turn._tag === "Greeting" && ++greetings > 1 ? Reply.make(554, "no more") : undefined
          }, { max: 1 })
          const several = { ...message("x"), to }
          const [result] = way === "send"
            ? [yield* Effect.result(pool.send(several))]
            : (yield* Stream.runCollect(pool.sendAll(Stream.make(several)))).map(({ result }) => result)
          const outcomes = result !== undefined && Result.isSuccess(result) ? result.success.outcomes : []
          assert.deepStrictEqual(
            outcomes.map((outcome) => outcome._tag === "Accepted" ? outcome._tag : outcome.reason._tag),
            ["Accepted", "GreetingRefused", "GreetingRefused", "Accepted"]
          )
          assert.deepStrictEqual(yield* names, ["ben", "eve"])
        })
    )
  }
})

describe("progress", () => {
  timed("is told as the content goes out, on a kept connection, too", () =>
    Effect.gen(function*() {
      const { pool, sessions } = yield* pooled({}, { max: 1 })
      for (const name of ["ben", "cat"]) {
        const steps = yield* Stream.runCollect(pool.sendWithProgress(message(name)))
        const tags = steps.map(({ _tag }) => _tag)
        assert.includeMembers(tags, ["Event", "Content"])
        assert.deepStrictEqual([tags.filter((tag) => tag === "Done").length, tags.at(-1)], [1, "Done"])
      }
      assert.lengthOf(yield* sessions, 1)
      assert.strictEqual((yield* pool.stats).sent, 2)
    }))
})

describe("telemetry", () => {
  timed("counts each message of a window, and each recipient", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({ unknownUsers: ["m3@b.example"] }, { max: 2 })
      yield* Stream.runDrain(pool.sendAll(Stream.fromIterable(someNames(10).map(message))))
      yield* pool.drain
      const counted = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
        id === "smtp.client.messages" && "count" in state ? [`${attributes?.["smtp.outcome"]} ${state.count}`] : []
      )
      assert.deepStrictEqual(counted.toSorted(), ["accepted 9", "refused 1"])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
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
      extensions,
      reply: (turn: { readonly _tag: string }) => turn._tag === "Content" && left-- > 0 ? "drop" as const : undefined
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
      const { pool, sessions } = yield* pooled({
        extensions,
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
      const { busy, cancelled, sent, underWay, waiting } = yield* pool.stats
      assert.deepStrictEqual([busy, waiting, underWay, cancelled, sent], [0, 0, 0, 1, 1])
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
      const { busy, underWay, waiting } = yield* pool.stats
      assert.deepStrictEqual([busy, waiting, underWay], [0, 0, 1])
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
      assert.strictEqual(reason._tag, "Draining")
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
      assert.strictEqual((yield* Effect.flip(pool.send(message("cat")))).phase, "input")
      yield* Fiber.join(sending)
      yield* pool.drain
      assert.deepStrictEqual([yield* open, yield* names], [0, ["ben"]])
    }))

  timed("with the scope, and not for ever: what is cut off is told so", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { open, pool } = yield* Scope.provide(
        pooled({ extensions, delay: (_, turn) => turn?._tag === "Mail" ? "4 minutes" : 0 }, {
          max: 1,
          drainWithin: "10 seconds"
        }),
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
      assert.deepStrictEqual(errors.map(({ reason }) => reason._tag), ["ConnectionLost", "Draining"])
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

  for (const offered of [["PIPELINING", "CHUNKING"], ["PIPELINING"], []]) {
    timed(
      `keeps to messagesPerConnection, with ${offered.join(" and ") || "no extension"}`,
      () =>
        Effect.gen(function*() {
          const { names, pool, sessions } = yield* pooled({ extensions: offered, delay: 1 }, {
            max: 2,
            messagesPerConnection: 7
          })
          const messages = someNames(100).map(message)
          const results = yield* Stream.runCollect(pool.sendAll(Stream.fromIterable(messages)))
          assert.deepStrictEqual(results.map(({ message }) => message), messages)
          assert.isTrue(results.every(({ result }) => Result.isSuccess(result)))
          assert.lengthOf(yield* names, 100)
          for (const { commands } of yield* sessions) {
            assert.isAtMost(commands.filter(({ _tag }) => _tag === "Mail").length, 7)
          }
          const { failed, sent, underWay } = yield* pool.stats
          assert.deepStrictEqual([sent, failed, underWay], [100, 0, 0])
        })
    )
  }

  timed("leaves its connections to those who come next", () =>
    Effect.gen(function*() {
      const { pool, sessions } = yield* pooled({}, { max: 1 })
      for (const name of someNames(3)) yield* Stream.runDrain(pool.sendAll(Stream.make(message(name))))
      assert.lengthOf(yield* sessions, 1)
    }))

  for (const offered of [["PIPELINING", "CHUNKING"], ["PIPELINING"], []]) {
    timed(
      `leaves no transaction open behind a refused message, with ${offered.join(" and ") || "no extension"}`,
      () =>
        Effect.gen(function*() {
          const { names, pool, sessions } = yield* pooled({ extensions: offered, unknownUsers: ["m1@b.example"] }, {
            max: 1
          })
          yield* Stream.runDrain(pool.sendAll(Stream.fromIterable(someNames(2).map(message))))
          yield* pool.send(message("ben"))
          assert.deepStrictEqual(yield* names, ["m0", "ben"])
          assert.lengthOf(yield* sessions, 1)
        })
    )
  }

  timed("sends again what is safe to send again", () =>
    Effect.gen(function*() {
      let left = 5
      const { names, pool } = yield* pooled({
        reply: (turn) => turn._tag === "Rcpt" && left-- > 0 ? Reply.make(451, "not now") : undefined
      }, { max: 2, retry: Schedule.spaced("5 minutes") })
      const results = yield* Stream.runCollect(pool.sendAll(Stream.fromIterable(someNames(20).map(message))))
      assert.isTrue(results.every(({ result }) => Result.isSuccess(result)))
      assert.deepStrictEqual(sorted(yield* names), sorted(someNames(20)))
      assert.strictEqual((yield* pool.stats).retried, 5)
    }))

  timed("a message that is none fails alone", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({})
      const messages = [message("ben"), { ...message("cat"), to: "nobody" }, message("dan")]
      const results = yield* Stream.runCollect(pool.sendAll(Stream.fromIterable(messages)))
      assert.deepStrictEqual(
        results.map(({ result }) => Result.isSuccess(result) ? "sent" : result.failure.reason._tag),
        ["sent", "InvalidInput", "sent"]
      )
    }))

  timed("fails with the stream, when what came before is settled", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({})
      const messages = Stream.concat(Stream.fromIterable(someNames(3).map(message)), Stream.fail("no more"))
      const seen: Array<boolean> = []
      const error = yield* Effect.flip(
        Stream.runForEach(
          pool.sendAll(messages),
          ({ result }) => Effect.sync(() => seen.push(Result.isSuccess(result)))
        )
      )
      assert.deepStrictEqual([error, seen], ["no more", [true, true, true]])
    }))

  for (const ends of ["Greeting", "Ehlo", "Mail", "Rcpt"]) {
    timed(`ends, too, where the server drops every connection at ${ends}`, () =>
      Effect.gen(function*() {
        const { pool, sessions } = yield* pooled({
          extensions,
          reply: (turn) => turn._tag === ends ? "drop" : undefined
        })
        const results = yield* Stream.runCollect(pool.sendAll(Stream.fromIterable(someNames(20).map(message))))
        assert.deepStrictEqual(results.map(({ result }) => Result.isSuccess(result)), results.map(() => false))
        const { failed, underWay } = yield* pool.stats
        assert.deepStrictEqual([failed, underWay], [20, 0])
        assert.isAtMost((yield* sessions).length, 120)
      }))
  }

  timed("that is cancelled leaves nothing behind", () =>
    Effect.gen(function*() {
      const { pool } = yield* pooled({ delay: 10 }, { max: 2 })
      const sending = yield* Effect.forkChild(
        Stream.runDrain(pool.sendAll(Stream.fromIterable(someNames(100).map(message))))
      )
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(sending)
      const { busy, cancelled, failed, sent, underWay } = yield* pool.stats
      assert.deepStrictEqual([busy, underWay, failed], [0, 0, 0])
      assert.isAbove(cancelled, 0)
      yield* pool.send(message("ben"))
      assert.strictEqual((yield* pool.stats).sent, sent + 1)
    }))

  timed(
    "when the pool is drained meanwhile: what was accepted is sent, the rest is told so",
    () =>
      Effect.gen(function*() {
        const { names, pool } = yield* pooled({ delay: 10 }, { max: 2 })
        const sending = yield* Effect.forkChild(
          Stream.runCollect(pool.sendAll(Stream.fromIterable(someNames(1000).map(message))))
        )
        yield* Effect.sleep(200)
        yield* pool.drain
        const results = yield* Fiber.join(sending)
        const sent = results.filter(({ result }) => Result.isSuccess(result)).length
        assert.lengthOf(yield* names, sent)
        assert.isTrue(sent > 0 && sent < 1000)
        for (const { result } of results.slice(sent)) {
          assert.deepInclude(Result.isFailure(result) && result.failure.reason, { _tag: "Draining" })
        }
      })
  )

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
      assert.isAtMost(taken, 30)
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

  for (
    const [what, command] of [
      ["EHLO", Command.ehlo(Result.getOrThrow(Address.parseDomain("x.example")))],
      ["XCLIENT", Result.getOrThrow(Command.xclient({ NAME: "x.example" }))]
    ] as const
  ) {
    timed(`that make the session another's are the last on it (${what})`, () =>
      Effect.gen(function*() {
        const { names, pool, sessions } = yield* pooled({ extensions: ["PIPELINING", "XCLIENT NAME"] }, { max: 1 })
        yield* pool.use(() => Program.send(command))
        yield* pool.send(message("ben"))
        assert.deepStrictEqual(yield* names, ["ben"])
        assert.lengthOf(yield* sessions, 2)
      }))
  }

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

  it.live("as the environment says", () =>
    Effect.gen(function*() {
      const { host, inbox, port } = yield* SimulatedServer.SimulatedServer
      const environment = ConfigProvider.fromEnvRecord({ SMTP_URL: `smtp://${host}:${port}`, SMTP_SECURITY: "plain" })
      yield* Effect.flatMap(SmtpPool.SmtpPool, (pool) => pool.send(message("ben"))).pipe(
        Effect.provide(Layer.provide(SmtpPool.layerConfig({ max: 1 }), ConfigProvider.layer(environment)))
      )
      assert.lengthOf(yield* inbox.received, 1)
    }).pipe(Effect.provide(SimulatedServer.layerTcp({}, { tls: false }))))

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
