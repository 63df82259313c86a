import { assert, describe, it } from "@effect/vitest"
import { Command, Reply, type SmtpError, Transport } from "@postern/core"
import { FaultPlans, Faults, InMemory, VirtualTime } from "@postern/testing"
import { Cause, Effect, Exit, Fiber, Layer, Result, Scope, Stream } from "effect"
import * as fc from "fast-check"
import { SmtpPool } from "../src/index.ts"
import { message, names } from "./pool.ts"

/** The transport, and the most connections that it has had at a time. */
const counting = (inner: Transport.Transport["Service"]) => {
  const count = { open: 0, most: 0 }
  const open: typeof inner.open = (peer) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        count.most = Math.max(count.most, ++count.open)
      }),
      () => Effect.sync(() => count.open--)
    ).pipe(Effect.andThen(inner.open(peer)))
  return { count, layer: Layer.succeed(Transport.Transport, { open }) }
}

const times = (all: ReadonlyArray<string>, name: string) => all.filter((other) => other === name).length

describe("whatever the network does", () => {
  const wanted = ["ann", "ben", "cat", "dan", "eve", "fay"]

  // Where nothing is falsified, client and server agree on what was taken.
  const isFaithful = (plan: Faults.Plan) => !plan.some(({ _tag }) => _tag === "Corrupt" || _tag === "Insert")

  type Outcomes = ReadonlyArray<Result.Result<unknown, SmtpError.SmtpError>>
  type SendEach = (pool: SmtpPool.SmtpPool["Service"]) => Effect.Effect<Outcomes>

  const oneByOne: SendEach = (pool) =>
    Effect.forEach(wanted, (name) => Effect.result(pool.send(message(name))), { concurrency: 3 })
  const inWindows: SendEach = (pool) =>
    Effect.map(
      Stream.runCollect(pool.sendAll(Stream.fromIterable(wanted.map(message)))),
      (all) => all.map(({ result }) => result)
    )

  const settled = (sendEach: SendEach, fallbacks: SmtpPool.Options["fallbacks"] = []) =>
    Effect.fnUntraced(function*(plan: Faults.Plan) {
      const server = yield* InMemory.make({ maxMessages: 4 })
      const { count, layer } = counting(server.transport)
      const outcomes = yield* Effect.scoped(Effect.gen(function*() {
        const pool = yield* SmtpPool.make({
          endpoint: "mx.example:25",
          security: "plain",
          max: 2,
          messagesPerConnection: 3,
          fallbacks
        }).pipe(Effect.provide(Layer.provide(Faults.layer(plan), layer)))
        const outcomes = yield* sendEach(pool)
        const { busy, failed, sent, underWay, waiting } = yield* pool.stats
        assert.deepStrictEqual([busy, waiting, underWay, sent + failed], [0, 0, 0, wanted.length])
        assert.strictEqual(sent, outcomes.filter(Result.isSuccess).length)
        return outcomes
      }))
      assert.deepStrictEqual(count.open, 0)
      assert.isAtMost(count.most, 2)
      if (!isFaithful(plan)) return
      const taken = yield* names(server)
      for (const [i, outcome] of outcomes.entries()) {
        const name = wanted[i] ?? ""
        if (Result.isSuccess(outcome)) assert.strictEqual(times(taken, name), 1, `${name} was said to be taken`)
        else if (outcome.failure.reason._tag === "InDoubt") {
          assert.isAtMost(times(taken, name), 1, `${name} is in doubt`)
        } else assert.strictEqual(times(taken, name), 0, `${name} failed: ${outcome.failure.problem}`)
      }
    })

  it("every message is settled once, and none that was taken is sent again", () =>
    Effect.runPromise(FaultPlans.check(settled(oneByOne), { runs: 200 })))

  it("nor in windows", () => Effect.runPromise(FaultPlans.check(settled(inWindows), { runs: 200 })))

  it("nor through another server", () =>
    Effect.runPromise(
      FaultPlans.check(settled(oneByOne, [{ endpoint: "two.example:25", security: "plain" }]), { runs: 200 })
    ))
})

describe("whatever the program does", () => {
  const program = fc.record({
    max: fc.integer({ min: 1, max: 4 }),
    min: fc.nat(2),
    messagesPerConnection: fc.integer({ min: 1, max: 5 }),
    idleTimeout: fc.constantFrom(5, 50, 500),
    messages: fc.array(
      fc.record({
        at: fc.nat(200),
        cancelAfter: fc.option(fc.nat(100), { nil: undefined }),
        /** A dialogue of its own that leaves a transaction open, instead of a message. */
        isOwn: fc.boolean()
      }),
      { maxLength: 20 }
    ),
    /** What the server does at each turn, over and over. */
    server: fc.array(
      fc.record({
        delay: fc.nat(10),
        does: fc.oneof(
          { weight: 8, arbitrary: fc.constant(undefined) },
          {
            weight: 1,
            arbitrary: fc.constantFrom(
              "drop" as const,
              Reply.make(421, "bye"),
              Reply.make(451, "not now"),
              Reply.make(550, "no")
            )
          }
        )
      }),
      { minLength: 1, maxLength: 30 }
    ),
    drainAt: fc.option(fc.nat(300), { nil: undefined })
  })

  it("no more than max connections, every message settled, nothing left behind", () =>
    fc.assert(
      fc.asyncProperty(program, ({ drainAt, messages, min, server, ...options }) =>
        Effect.gen(function*() {
          let turn = 0
          const next = () => server[turn++ % server.length]
          const memory = yield* InMemory.make({ delay: () => next()?.delay ?? 0, reply: () => next()?.does })
          const { count, layer } = counting(memory.transport)
          const scope = yield* Scope.make()
          const pool = yield* SmtpPool.make({
            endpoint: "mx.example:25",
            security: "plain",
            min: Math.min(min, options.max),
            ...options
          }).pipe(Effect.provide(layer), Scope.provide(scope))
          const fibers = yield* Effect.forEach(messages, ({ at, cancelAfter, isOwn }, i) =>
            Effect.forkChild(Effect.gen(function*() {
              yield* Effect.sleep(at)
              const sending = yield* Effect.forkChild(
                isOwn
                  ? pool.use((session) => session.enter(Command.mail(null)))
                  : pool.send(message(`m${i}`))
              )
              if (cancelAfter !== undefined) {
                yield* Effect.sleep(cancelAfter)
                yield* Fiber.interrupt(sending)
              }
              return yield* Fiber.await(sending)
            })))
          if (drainAt !== undefined) {
            yield* Effect.andThen(Effect.sleep(drainAt), pool.drain)
          }
          const exits = yield* Effect.forEach(fibers, Fiber.join)
          const { busy, cancelled, failed, idle, open, sent, underWay, waiting } = yield* pool.stats
          assert.deepStrictEqual([busy, waiting, underWay, open - idle], [0, 0, 0, 0])
          const isCancelled = (exit: Exit.Exit<unknown, unknown>) =>
            Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)
          const isRefusedBefore = (exit: Exit.Exit<unknown, unknown>) =>
            Exit.isFailure(exit) && JSON.stringify(exit.cause).includes("Draining")
          const accepted = exits.filter((exit) =>
            !isRefusedBefore(exit)
          )
          assert.strictEqual(sent, exits.filter(Exit.isSuccess).length)
          // One that was cancelled before it was begun was never accepted.
          assert.isAtMost(sent + failed + cancelled, accepted.length)
          assert.isAtMost(cancelled, exits.filter(isCancelled).length)
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual([count.open, yield* memory.open], [0, 0])
          assert.isAtMost(count.most, options.max)
          const taken = yield* names(memory)
          for (const [i, exit] of exits.entries()) {
            const count = times(taken, `m${i}`)
            if (Exit.isSuccess(exit)) assert.strictEqual(count, messages[i]?.isOwn === true ? 0 : 1)
            else assert.isAtMost(count, 1)
          }
        }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise)),
      { numRuns: 200 }
    ))
})
