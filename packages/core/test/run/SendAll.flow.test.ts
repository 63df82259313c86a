/**
 * How `sendAll` takes messages and gives results: no more than it can use, each as soon as it is
 * known; and what becomes of it when either side ends, fails or is interrupted.
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient, type SmtpError, Transport } from "@postern/core"
import { Faults, InMemory, type ServerMachine, VirtualTime } from "@postern/testing"
import { Cause, Clock, Effect, Exit, Fiber, Queue, Result, Stream } from "effect"
import { arrived, everyWay, exact, letter, letters, reported, site, tag, type Way } from "./sending.ts"

/** In virtual time, in which a deadlock is over at once. */
const live = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Cause.TimeoutError> =>
  Effect.timeout(effect, "2 days").pipe(Effect.provide(VirtualTime.layer()))

/** Until nothing happens any more. */
const settled = Effect.forEach(Array.from({ length: 400 }), () => Effect.yieldNow, { discard: true })

/** Messages without an end, and how many were taken. */
const endless = () => {
  const count = { taken: 0, released: 0, ready: 0 }
  function* make() {
    for (let i = 0;; i++) {
      count.taken++
      const { content, ...rest } = letter(i)
      yield {
        ...rest,
        get content() {
          count.ready++
          return content
        }
      }
    }
  }
  const stream = (chunkSize: number) =>
    Stream.fromIterable(make(), { chunkSize }).pipe(Stream.ensuring(Effect.sync(() => void count.released++)))
  return { count, stream }
}

/** Results in a consumer's hands and behind them, messages on the way, and those that are made ready. */
const bound = 2 * 256 + 100 + 4 * 64

describe.each(everyWay)("sendAll by %s", (way) => {
  it.effect("takes no more messages than it can use while results are not taken", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way)
      const { count, stream } = endless()
      let results = 0
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(client.sendAll(stream(1)), () => results++ < 3 ? Effect.void : Effect.never)
      )
      yield* settled
      yield* settled
      const taken = count.taken
      assert.isAbove(results, 3)
      assert.isAtMost(taken, bound)
      assert.isAtMost((yield* inbox).length, taken)
      yield* settled
      assert.strictEqual(count.taken, taken, "it has come to a stop")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(count.released, 1)
    }))

  it.effect("makes no more ready of what comes in large pieces", () =>
    Effect.gen(function*() {
      const { client } = yield* site(way)
      const { count, stream } = endless()
      const fiber = yield* Effect.forkChild(Stream.runForEach(client.sendAll(stream(5000)), () => Effect.never))
      yield* settled
      yield* settled
      assert.isAtMost(count.taken, 10_000)
      assert.isAtMost(count.ready, bound)
      yield* Fiber.interrupt(fiber)
    }))

  it("gives each result before the next message is there", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way)
      const known = yield* Queue.unbounded<SmtpClient.Sent>()
      // The next message is made of the result of the one before.
      const messages = Stream.unfold(0, (i) =>
        Effect.gen(function*() {
          if (i === 12) return undefined
          if (i > 0) assert.strictEqual(tag(yield* Queue.take(known)), "sent")
          return [letter(i), i + 1] as const
        }))
      const results = yield* Stream.runCollect(
        Stream.tap(client.sendAll(messages), (sent) => Queue.offer(known, sent))
      )
      exact(results, yield* inbox)
      assert.lengthOf(results, 12)
    }).pipe(live, Effect.runPromise))

  it("gives results when they are known, though a later one takes long", () =>
    Effect.gen(function*() {
      let contents = 0
      const { client } = yield* site(way, {
        delay: (_, turn) => (turn?._tag === "Content" || turn?._tag === "Bdat") && ++contents === 3 ? "5 minutes" : 0
      })
      const times: Array<number> = []
      yield* Stream.runForEach(client.sendAll(Stream.fromIterable(letters(3))), () =>
        Effect.map(Clock.currentTimeMillis, (now) => void times.push(now)))
      assert.deepStrictEqual(times, [0, 0, 300_000])
    }).pipe(live, Effect.runPromise))

  it("gives results of many when they are known, but for a few", () =>
    Effect.gen(function*() {
      let contents = 0
      const { client } = yield* site(way, {
        delay: (_, turn) => (turn?._tag === "Content" || turn?._tag === "Bdat") && ++contents === 250 ? "5 minutes" : 0
      })
      let early = 0
      yield* Stream.runForEach(client.sendAll(Stream.fromIterable(letters(400))), () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          if (now === 0) {
            early++
          }
        }))
      assert.isAtLeast(early, 249 - 16)
    }).pipe(live, Effect.runPromise))

  it("gives results before content that takes long to be made", () =>
    Effect.gen(function*() {
      const { client } = yield* site(way)
      const slow = Stream.encodeText(Stream.make("Subject: slow\n\n", "x\n")).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sleep("1 minute"))
      )
      const times: Array<number> = []
      const messages = [letter(0), letter(1), letter(2, { content: slow }), letter(3)]
      yield* Stream.runForEach(client.sendAll(Stream.fromIterable(messages)), (sent) =>
        Effect.map(Clock.currentTimeMillis, (now) => void times.push(tag(sent) === "sent" ? now : -1)))
      assert.deepStrictEqual(times, [0, 0, 120_000, 120_000])
    }).pipe(live, Effect.runPromise))

  it.effect("fails as the stream of messages does, behind the results of those that came", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way)
      for (const count of [0, 1, 5, 300]) {
        const results: Array<SmtpClient.Sent> = []
        const messages = Stream.concat(Stream.fromIterable(letters(count)), Stream.fail("upstream" as const))
        const before = (yield* inbox).length
        const error = yield* Effect.flip(
          Stream.runForEach(client.sendAll(messages), (sent) => Effect.sync(() => void results.push(sent)))
        )
        assert.strictEqual(error, "upstream")
        assert.lengthOf(results, count)
        exact(results, (yield* inbox).slice(before))
        assert.strictEqual(yield* open, 0)
      }
    }))

  it.effect("dies as the stream of messages does", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way)
      const results: Array<SmtpClient.Sent> = []
      const messages = Stream.concat(Stream.fromIterable(letters(3)), Stream.die(new Error("a mistake")))
      const exit = yield* Effect.exit(
        Stream.runForEach(client.sendAll(messages), (sent) => Effect.sync(() => void results.push(sent)))
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      exact(results, yield* inbox)
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("a consumer that has enough ends it, and the connection", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way)
      for (const enough of [1, 2, 64, 200]) {
        const { count, stream } = endless()
        const before = (yield* inbox).length
        const results = yield* Stream.runCollect(Stream.take(client.sendAll(stream(1)), enough))
        assert.lengthOf(results, enough)
        assert.strictEqual(yield* open, 0)
        assert.strictEqual(count.released, 1)
        // More may have been sent than was asked for, and nothing else.
        const got = arrived((yield* inbox).slice(before))
        assert.isAtMost(got.length, count.taken)
        assert.deepStrictEqual(
          got.slice(0, enough),
          got.slice(0, enough).map((_, i) => `${i}: <ann@a.example> to <ben@b.example>`)
        )
      }
    }))

  it.effect("may be interrupted at any time: nothing stays open, nothing is half delivered", () =>
    Effect.gen(function*() {
      for (const pause of [0, 1, 2, 3, 5, 8, 13, 21]) {
        const { client, inbox, open } = yield* site(way)
        const { count, stream } = endless()
        const fiber = yield* Effect.forkChild(Stream.runDrain(client.sendAll(stream(1))))
        for (let i = 0; i < pause; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* open, 0)
        assert.strictEqual(count.released, count.taken > 0 ? 1 : count.released)
        const lines = arrived(yield* inbox)
        assert.deepStrictEqual(lines, lines.map((_, i) => `${i}: <ann@a.example> to <ben@b.example>`))
      }
    }))

  it.effect("a stream may be run again, at the same time, too", () =>
    Effect.gen(function*() {
      const { client, inbox, sessions } = yield* site(way)
      const stream = client.sendAll(Stream.fromIterable(letters(20)))
      const [one, other] = yield* Effect.all([Stream.runCollect(stream), Stream.runCollect(stream)], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([...one, ...other].map(tag), Array<string>(40).fill("sent"))
      assert.lengthOf(yield* inbox, 40)
      assert.lengthOf(yield* sessions, 2)
    }))
})

describe("where no connection can be had", () => {
  const through = Effect.fnUntraced(function*(
    plan: Faults.Plan,
    way: Way = "CHUNKING",
    config: ServerMachine.Config = { maxMessages: 3 }
  ) {
    const server = yield* InMemory.make(config)
    const client = yield* SmtpClient.make({
      endpoint: "mx.example:25",
      security: "plain",
      ...way === "DATA" ? { without: ["CHUNKING"] } : {}
    }).pipe(Effect.provideService(Transport.Transport, Faults.wrap(server.transport, plan)))
    return { ...server, client }
  })

  const collect = Effect.fnUntraced(function*<E>(stream: Stream.Stream<SmtpClient.Sent, E>) {
    const results: Array<SmtpClient.Sent> = []
    const end = yield* Effect.result(
      Stream.runForEach(stream, (sent) => Effect.sync(() => void results.push(sent)))
    )
    return { results, end }
  })

  const reason = (end: Result.Result<void, SmtpError.SmtpError>) =>
    Result.isFailure(end) ? end.failure.reason._tag : "ended"

  it.effect.each(["CHUNKING", "DATA"] as const)(
    "at first: it fails, and nothing was sent (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* through([Faults.refuse()], way)
        const { count, stream } = endless()
        const { end, results } = yield* collect(client.sendAll(stream(1)))
        assert.deepStrictEqual([reason(end), results.length, (yield* inbox).length], ["ConnectionFailed", 0, 0])
        assert.strictEqual(count.released, 1)
      })
  )

  it.effect.each(["CHUNKING", "DATA"] as const)(
    "later on: it fails behind the results, and nothing else was sent (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox, open } = yield* through([Faults.refuse("ECONNREFUSED", { connection: 1 })], way)
        const { end, results } = yield* collect(client.sendAll(Stream.fromIterable(letters(10))))
        assert.strictEqual(reason(end), "ConnectionFailed")
        assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent"])
        assert.deepStrictEqual(arrived(yield* inbox), reported(results))
        assert.strictEqual(yield* open, 0)
      })
  )

  it.effect.each(["CHUNKING", "DATA"] as const)(
    "for the rest of a message: what was done for the others is told (%s)",
    (way) =>
      Effect.gen(function*() {
        const plan = [Faults.refuse("ECONNREFUSED", { connection: 1 })]
        const { client, inbox } = yield* through(plan, way, { limits: { rcptDomainMax: 1 } })
        const to = ["ben@b.example", "cat@c.example"]
        const { end, results } = yield* collect(client.sendAll(Stream.make(letter(0, { to }), letter(1))))
        assert.strictEqual(reason(end), "ConnectionFailed")
        const [first] = results
        assert.lengthOf(results, 1)
        assert.deepStrictEqual(
          first !== undefined && Result.isSuccess(first.result)
            ? first.result.success.outcomes.map(({ _tag }) => _tag)
            : [],
          ["Accepted", "Deferred"]
        )
        exact(results, yield* inbox)
      })
  )
})
