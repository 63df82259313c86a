import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Watchdog } from "../../src/run/Watchdog.ts"

const make = Effect.gen(function*() {
  let sleeping = 0
  const clock = yield* Clock.Clock
  // Counts the sleeps that are under way.
  const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
      Effect.acquireUseRelease(
        Effect.sync(() => sleeping++),
        () => clock.sleep(duration),
        () => Effect.sync(() => void sleeping--)
      )
  })
  const watchdog = new Watchdog(counting, yield* Effect.context<never>())
  return { watchdog, sleeping: () => sleeping }
})

const slow = (millis: number) => Effect.as(Effect.sleep(millis), "done")
const expired = () => Effect.succeed("expired")

describe("Watchdog", () => {
  it.effect("what need not wait starts no sleep", () =>
    Effect.gen(function*() {
      const { sleeping, watchdog } = yield* make
      assert.strictEqual(yield* watchdog.limit(Effect.succeed("done"), 10, expired), "done")
      assert.strictEqual(sleeping(), 0)
    }))

  it.effect("ends what takes longer, at its deadline, and interrupts it", () =>
    Effect.gen(function*() {
      const { watchdog } = yield* make
      let interrupted = false
      const waits = Effect.onInterrupt(slow(100), () => Effect.sync(() => void (interrupted = true)))
      const fiber = yield* Effect.forkChild(watchdog.limit(waits, 50, expired), { startImmediately: true })
      yield* TestClock.adjust(49)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), "expired")
      assert.isTrue(interrupted)
    }))

  it.effect("one sleep serves wait after wait; an earlier deadline replaces it", () =>
    Effect.gen(function*() {
      const { sleeping, watchdog } = yield* make
      const wait = (takes: number, limit: number) =>
        Effect.forkChild(watchdog.limit(slow(takes), limit, expired), { startImmediately: true })
      for (let i = 0; i < 5; i++) {
        const fiber = yield* wait(10, 1000)
        assert.strictEqual(sleeping(), 1)
        yield* TestClock.adjust(10)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      }
      const early = yield* wait(100, 20)
      assert.strictEqual(sleeping(), 1)
      yield* TestClock.adjust(20)
      assert.strictEqual(yield* Fiber.join(early), "expired")
      // Begun long ago, the sleep of the first wait would end too early for this one.
      const late = yield* wait(5000, 3000)
      yield* TestClock.adjust(2999)
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(late), "expired")
    }))

  it.effect("closed or interrupted it leaves nothing behind", () =>
    Effect.gen(function*() {
      const { sleeping, watchdog } = yield* make
      const fiber = yield* Effect.forkChild(watchdog.limit(Effect.never, 1000, expired), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* watchdog.close
      assert.strictEqual(sleeping(), 0)
      assert.strictEqual(JSON.stringify(watchdog).includes("context"), false)
    }))
})
