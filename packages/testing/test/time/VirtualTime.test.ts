import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { VirtualTime } from "../../src/index.ts"

const virtually = <A, E>(effect: Effect.Effect<A, E>, start?: number): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, VirtualTime.layer({ start })))

describe("VirtualTime", () => {
  it("lets an hour pass at once", async () => {
    const before = performance.now()
    const [from, to] = await virtually(
      Effect.all([Clock.currentTimeMillis, Effect.andThen(Effect.sleep("1 hour"), Clock.currentTimeMillis)]),
      1_000
    )
    assert.deepStrictEqual([from, to], [1_000, 3_601_000])
    assert.isBelow(performance.now() - before, 60_000)
  })

  it("wakes sleepers in the order of their time, then of their coming", async () => {
    const order: Array<string> = []
    const sleeper = (name: string, millis: number) =>
      Effect.andThen(Effect.sleep(millis), Effect.sync(() => void order.push(name)))
    await virtually(
      Effect.all([sleeper("c", 30), sleeper("a", 10), sleeper("b", 20), sleeper("b2", 20)], {
        concurrency: "unbounded"
      })
    )
    assert.deepStrictEqual(order, ["a", "b", "b2", "c"])
  })

  it("does not pass while a fiber can go on", async () => {
    const result = await virtually(Effect.gen(function*() {
      const done = yield* Deferred.make<number>()
      const worker = Effect.gen(function*() {
        for (let i = 0; i < 10_000; i++) yield* Effect.yieldNow
        yield* Effect.promise(() => Promise.resolve().then(() => Promise.resolve()))
        yield* Deferred.succeed(done, yield* Clock.currentTimeMillis)
      })
      yield* Effect.forkChild(worker)
      return yield* Effect.timeoutOption(Deferred.await(done), "1 millis")
    }))
    assert.deepStrictEqual(result._tag === "Some" ? result.value : "timed out", 0)
  })

  it("lets a time limit end what never would", async () => {
    const [result, at] = await virtually(
      Effect.all([Effect.timeoutOption(Effect.never, "5 minutes"), Clock.currentTimeMillis])
    )
    assert.strictEqual(result._tag, "None")
    assert.strictEqual(at, 300_000)
  })

  it("forgets a sleeper that is interrupted", async () => {
    const at = await virtually(Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.sleep("1 day"), { startImmediately: true })
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(fiber)
      yield* Effect.sleep("1 second")
      return yield* Clock.currentTimeMillis
    }))
    assert.strictEqual(at, 2_000)
  })
})
