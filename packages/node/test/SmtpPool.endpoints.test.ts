import { assert, describe } from "@effect/vitest"
import { CramMd5, Mechanism } from "@postern/core"
import { InMemory, type ServerMachine } from "@postern/testing"
import { Duration, Effect, Fiber, Metric, Redacted, Schedule, Stream } from "effect"
import { SmtpPool } from "../src/index.ts"
import { message, names, network, timed } from "./pool.ts"

const never = Schedule.recurs(0)

const two = Effect.fnUntraced(
  function*(
    options: Partial<SmtpPool.Options> = {},
    one: ServerMachine.Config = {},
    fallback: Partial<SmtpPool.Options> = {}
  ) {
    const first = yield* InMemory.make(one)
    const second = yield* InMemory.make({})
    const net = network({ "one.example": first, "two.example": second })
    const pool = yield* SmtpPool.make({
      endpoint: "one.example:25",
      security: "plain",
      fallbacks: [{ endpoint: "two.example:25", security: "plain", ...fallback }],
      ...options
    }).pipe(Effect.provide(net.layer))
    const states = Effect.map(pool.stats, ({ endpoints }) => endpoints.map(({ state }) => state))
    return { ...net, first, second, pool, states }
  }
)

/** Fibers that live, and the most there were at a time. */
const counting = () => {
  const fibers = { now: 0, most: 0 }
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      fibers.now++
      fibers.most = Math.max(fibers.most, fibers.now)
    },
    recordFiberEnd: () => {
      fibers.now--
    }
  }
  return { fibers, counted: Effect.provideService(Metric.FiberRuntimeMetrics, service) }
}

describe("while no server can be reached", () => {
  timed("attempts of those who wait do not heap up, however often they try", () =>
    Effect.gen(function*() {
      const { fibers, counted } = counting()
      const waiting = 100
      yield* Effect.gen(function*() {
        const retry = Schedule.spaced("10 millis").pipe(Schedule.upTo({ times: 100 }), Schedule.setInputType<unknown>())
        const { down, pool, second } = yield* two({ retry, backOff: Schedule.spaced("100 millis") })
        down.add("one.example").add("two.example")
        const sending = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: waiting }, (_, i) => message(`to${i}`)), pool.send, {
            concurrency: "unbounded"
          })
        )
        yield* Effect.sleep("900 millis")
        // Those who send, and a few for each connection.
        assert.isBelow(fibers.most, 2 * waiting)
        down.delete("two.example")
        yield* Fiber.join(sending)
        assert.lengthOf(yield* names(second), waiting)
      }).pipe(counted)
    }))
})

describe("fail-over", () => {
  timed("the preferred server is used while it can be reached", () =>
    Effect.gen(function*() {
      const { first, pool, states, tried } = yield* two()
      yield* Effect.forEach(["ben", "cat", "dan"], (name) => pool.send(message(name)), { concurrency: 3 })
      assert.lengthOf(yield* names(first), 3)
      assert.notInclude(tried, "two.example")
      assert.deepStrictEqual(yield* states, ["up", "up"])
    }))

  timed("otherwise the next, at once; and the preferred one again when it is back", () =>
    Effect.gen(function*() {
      const { down, first, pool, second, states, tried } = yield* two({ retry: never, idleTimeout: "1 hour" })
      down.add("one.example")
      yield* pool.send(message("ben"))
      assert.deepStrictEqual(tried, ["one.example", "two.example"])
      assert.deepStrictEqual(yield* states, ["down", "up"])
      // It is left in peace for a second.
      yield* pool.send(message("cat"))
      assert.lengthOf(tried, 2)
      // Then it is asked again, and left in peace for two.
      yield* Effect.sleep("1 second")
      yield* pool.send(message("dan"))
      assert.deepStrictEqual(tried.slice(2), ["one.example", "two.example"])
      yield* Effect.sleep("1 second")
      yield* pool.send(message("eve"))
      assert.lengthOf(tried, 4)
      down.delete("one.example")
      yield* Effect.sleep("1 second")
      yield* pool.send(message("fay"))
      assert.deepStrictEqual(yield* names(second), ["ben", "cat", "dan", "eve"])
      assert.deepStrictEqual(yield* names(first), ["fay"])
      assert.deepStrictEqual(yield* states, ["up", "up"])
    }))

  timed(
    "also from a server that refuses the client, with nothing handed on but what was given for the other",
    () =>
      Effect.gen(function*() {
        const credentials = Mechanism.password("ann", Redacted.make("wrong"))
        const accounts = { ann: Redacted.make("secret") }
        const { first, pool, second, tried } = yield* two({ credentials }, {
          accounts,
          mechanisms: [CramMd5.cramMd5],
          authBeforeTls: true
        })
        for (const name of ["ben", "cat"]) yield* pool.send(message(name))
        assert.lengthOf(yield* first.sessions, 1)
        const commands = (yield* second.sessions).flatMap(({ commands }) => commands)
        assert.notInclude(commands.map(({ _tag }) => _tag), "Auth")
        assert.deepStrictEqual(tried, ["one.example", "two.example"])
      })
  )

  timed(
    "no server can be reached: the messages wait for one as long as their retries last",
    () =>
      Effect.gen(function*() {
        const { down, first, pool, second } = yield* two()
        down.add("one.example").add("two.example")
        const sending = yield* Effect.forkChild(
          Effect.forEach(["ben", "cat", "dan", "eve", "fay"], (name) => pool.send(message(name)), { concurrency: 5 })
        )
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual((yield* pool.stats).underWay, 5)
        down.delete("two.example")
        yield* Fiber.join(sending)
        assert.lengthOf([...yield* names(first), ...yield* names(second)], 5)
      })
  )

  timed(
    "and fail with the reason in the end, and with it at once while all are left in peace",
    () =>
      Effect.gen(function*() {
        const { down, pool, tried } = yield* two({ retry: never })
        down.add("one.example").add("two.example")
        for (const name of ["ben", "cat"]) {
          const { reason } = yield* Effect.flip(pool.send(message(name)))
          assert.deepInclude(reason, { _tag: "ConnectionFailed", host: "one.example" })
        }
        assert.lengthOf(tried, 2)
        assert.deepStrictEqual((yield* pool.stats).failed, 2)
      })
  )

  for (const way of ["send", "sendAll"] as const) {
    timed(`each converts content in its own way (${way})`, () =>
      Effect.gen(function*() {
        const converted: Array<string> = []
        const convert = (by: string) => () =>
          Effect.sync(() => {
            converted.push(by)
            return new TextEncoder().encode("Subject: x\r\n\r\nx\r\n")
          })
        const { down, pool } = yield* two({ convert: convert("one") }, { extensions: [] }, {
          convert: convert("two"),
          without: ["8BITMIME", "CHUNKING"]
        })
        const eight = { ...message("ben"), content: "Subject: x\n\nä\n" }
        const sending = way === "send"
          ? Effect.asVoid(pool.send(eight))
          : Stream.runForEach(
            pool.sendAll(Stream.make(eight)),
            ({ result }) => Effect.asVoid(Effect.fromResult(result))
          )
        yield* sending
        yield* Effect.sleep("10 minutes")
        down.add("one.example")
        yield* sending
        assert.deepStrictEqual(converted, ["one", "two"])
      }))
  }

  timed("one message at a time asks whether a server is back, the others go on", () =>
    Effect.gen(function*() {
      const { down, first, pool, second, tried } = yield* two({ max: 4, retry: never, idleTimeout: "1 hour" }, {
        delay: "5 seconds"
      })
      down.add("one.example")
      const four = ["ben", "cat", "dan", "eve"]
      const sendFour = Effect.forEach(four, (name) => pool.send(message(name)), { concurrency: 4 })
      yield* sendFour
      assert.lengthOf(tried.filter((host) => host === "one.example"), 1)
      down.delete("one.example")
      yield* Effect.sleep("1 minute")
      const sending = yield* Effect.forkChild(sendFour)
      yield* Effect.sleep("1 second")
      assert.lengthOf(tried.filter((host) => host === "one.example"), 2)
      assert.deepStrictEqual((yield* pool.stats).endpoints[0]?.state, "probing")
      yield* Fiber.join(sending)
      assert.lengthOf([...yield* names(first), ...yield* names(second)], 8)
      assert.deepStrictEqual((yield* pool.stats).endpoints[0]?.state, "up")
    }))
})

describe("asking whether a server is back", () => {
  timed("goes on when the message that asked is cancelled: it is for the next one, too", () =>
    Effect.gen(function*() {
      const { down, first, pool, states, tried } = yield* two({ retry: never, idleTimeout: "1 hour" }, {
        delay: "5 seconds"
      })
      down.add("one.example")
      yield* pool.send(message("ben"))
      down.delete("one.example")
      yield* Effect.sleep("1 minute")
      const asking = yield* Effect.forkChild(pool.send(message("cat")))
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(asking)
      assert.deepStrictEqual(yield* states, ["probing", "up"])
      yield* pool.send(message("dan"))
      assert.deepStrictEqual(yield* names(first), ["dan"])
      assert.lengthOf(tried, 3)
    }))
})

describe("a server that refuses the password", () => {
  const refusing = { accounts: { ann: Redacted.make("secret") }, mechanisms: [CramMd5.cramMd5], authBeforeTls: true }
  const credentials = Mechanism.password("ann", Redacted.make("wrong"))

  timed("is not asked again and again, by however many messages", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make(refusing)
      const pool = yield* SmtpPool.make({ endpoint: "one.example:25", security: "plain", credentials, max: 10, min: 2 })
        .pipe(Effect.provide(server.layer))
      const failing = Effect.forEach(
        Array.from({ length: 50 }, (_, i) => message(`m${i}`)),
        (message) => Effect.flip(pool.send(message)),
        { concurrency: "unbounded" }
      )
      for (const { reason, retry } of yield* failing) {
        assert.deepStrictEqual([reason._tag, retry], ["AuthenticationFailed", "never"])
      }
      assert.lengthOf(yield* server.sessions, 1)
      const [endpoint] = (yield* pool.stats).endpoints
      assert.deepStrictEqual([endpoint?.state, endpoint?.error?.reason._tag], ["down", "AuthenticationFailed"])
      assert.deepStrictEqual(endpoint?.retryIn, Duration.minutes(15))
      yield* Effect.sleep("14 minutes")
      yield* failing
      assert.lengthOf(yield* server.sessions, 1)
      yield* Effect.sleep("1 minute")
      yield* failing
      assert.lengthOf(yield* server.sessions, 2)
    }))
})

describe("back-off", () => {
  timed("follows the schedule", () =>
    Effect.gen(function*() {
      const { down, pool, tried } = yield* two({ backOff: Schedule.spaced("1 minute"), retry: never })
      down.add("one.example").add("two.example")
      for (const expected of [2, 2, 4, 4, 6]) {
        yield* Effect.flip(pool.send(message("ben")))
        assert.lengthOf(tried, expected)
        yield* Effect.sleep("30 seconds")
      }
    }))
})
