import { assert, describe, it } from "@effect/vitest"
import { SmtpClient } from "@postern/core"
import { FaultPlans, Faults, InMemory, VirtualTime } from "@postern/testing"
import { Effect, Exit, Fiber, Layer, Option, Result } from "effect"
import * as fc from "fast-check"

const message = { from: "ann@a.example", to: "ben@b.example", content: "Subject: x\n\nx\n" }

/** Sends a message, again where that fails; fails when it arrived twice, or was only said to. */
const attempt = (plan: Faults.Plan, careless: boolean) =>
  Effect.gen(function*() {
    const server = yield* InMemory.make({ startTls: false })
    const smtp = SmtpClient.layer({ endpoint: "mx.example:25", security: "plain" }).pipe(
      Layer.provide(Faults.layer(plan)),
      Layer.provide(server.layer)
    )
    const sent = yield* Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send(message)).pipe(
      Effect.retry({ times: 2, while: (error) => careless || error.retry === "now" || error.retry === "later" }),
      Effect.provide(smtp),
      Effect.result
    )
    const arrived = yield* server.inbox
    if (arrived.length > 1) return yield* Effect.fail(`it arrived ${arrived.length} times`)
    if (Result.isSuccess(sent) && arrived.length === 0) return yield* Effect.fail("it did not arrive")
  })

const careless = (plan: Faults.Plan) => attempt(plan, true)

const found = <E>(property: (plan: Faults.Plan) => Effect.Effect<unknown, E>, options: FaultPlans.Options) =>
  Effect.runPromise(Effect.flip(FaultPlans.check(property, options)))

describe("FaultPlans", () => {
  it("of one seed are the same", () => {
    assert.deepStrictEqual(FaultPlans.fromSeed(7), FaultPlans.fromSeed(7))
    assert.notDeepEqual(FaultPlans.fromSeed(7), FaultPlans.fromSeed(8))
  })

  it("have every kind of fault", () => {
    const kinds = new Set(fc.sample(FaultPlans.fault, { seed: 1, numRuns: 1000 }).map(({ _tag }) => _tag))
    assert.strictEqual(kinds.size, 13)
  })

  it("shrink, in a property of fast-check, to one fault in the first place that matters", () => {
    const late = (fault: Faults.Fault) => fault._tag === "Cut" && fault.side === "received" && fault.at >= 17
    for (let seed = 0; seed < 20; seed++) {
      const property = fc.property(FaultPlans.plan, (plan) => !plan.some(late))
      const [smallest = []] = fc.check(property, { seed, numRuns: 2000 }).counterexample ?? []
      assert.strictEqual(smallest.length, 1)
      assert.deepInclude(smallest[0], { _tag: "Cut", side: "received", at: 17 })
      assert.isUndefined(smallest[0]?.connection)
    }
  })
})

describe("Faults.code", () => {
  /** What the code of a plan makes. */
  const made = (code: string): unknown =>
    new Function("Faults", `return ${code}`)({ ...Faults, layer: (plan: Faults.Plan) => plan })

  it("print as the code that makes them", () => {
    const one: Faults.Plan = [
      Faults.cut("sent", 1, "close", { connection: 2 }),
      Faults.stall("received", 2),
      Faults.delay("sent", 3, 4),
      Faults.corrupt("sent", 5, 6),
      Faults.insert("received", 7, "\"\\\u2028\0"),
      Faults.insert("sent", 8, [255, 0], { connection: 0 }),
      Faults.halfClose(9),
      Faults.split("sent", 10),
      Faults.merge(11),
      Faults.lag("received", 12),
      Faults.slowReader(13, 14),
      Faults.refuse(),
      Faults.slowConnect(15),
      Faults.tlsFailure("silence", { connection: 1 })
    ]
    assert.strictEqual(new Set(one.map(({ _tag }) => _tag)).size, 13)
    assert.deepStrictEqual(made(Faults.code(one)), one)
    assert.strictEqual(
      Faults.code([Faults.cut("sent", 100, "reset", { connection: 0 }), Faults.merge(5)]),
      `Faults.layer([Faults.cut("sent", 100, "reset", { connection: 0 }), Faults.merge(5)])`
    )
    fc.assert(fc.property(FaultPlans.plan, (plan) => {
      assert.deepStrictEqual(made(Faults.code(plan)), plan)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(plan)), plan)
    }))
  })
})

describe("FaultPlans.check", () => {
  it("finds nothing where only what is safe is tried again", async () => {
    const exit = await Effect.runPromiseExit(FaultPlans.check((plan) => attempt(plan, false), { runs: 300, seed: 1 }))
    assert.deepStrictEqual(exit, Exit.succeed(300))
  }, 60_000)

  it("finds the smallest fault for a program that tries again what is in doubt", async () => {
    for (const seed of [1, 2, 3, 4]) {
      const error = await found(careless, { runs: 2000, seed })
      const [fault, ...others] = error.plan
      assert.deepStrictEqual(others, [], error.message)
      assert.include(error.problem, "it arrived")
      assert.include(error.message, error.code)
      assert.include(error.message, `seed ${seed}`)
      const harms = async (plan: Faults.Plan) =>
        Exit.isFailure(await Effect.runPromiseExit(Effect.provide(careless(plan), VirtualTime.layer())))
      // What it prints is enough to see it again; an octet earlier it does no harm.
      const plan = new Function("Faults", `return ${error.code}`)({
        ...Faults,
        layer: (plan: Faults.Plan) => plan
      }) as Faults.Plan
      assert.deepStrictEqual(plan, error.plan)
      assert.isTrue(await harms(plan), error.message)
      if (fault !== undefined && "at" in fault && fault.at > 0) {
        assert.isFalse(await harms([{ ...fault, at: fault.at - 1 }]), error.message)
      }
    }
  }, 60_000)

  it("finds the same of a seed", async () => {
    const [one, two] = [await found(careless, { seed: 1, runs: 1000 }), await found(careless, { seed: 1, runs: 1000 })]
    assert.deepStrictEqual(one.message, two.message)
  }, 60_000)

  it("shrinks several faults that do harm only together", async () => {
    const together = (plan: Faults.Plan) => {
      const cut = plan.some((fault) => fault._tag === "Cut" && fault.at >= 40)
      const split = plan.some((fault) => fault._tag === "Split" && fault.size >= 3)
      return cut && split ? Effect.fail("both") : Effect.void
    }
    const error = await found(together, { seed: 1, runs: 5000 })
    assert.strictEqual(error.plan.length, 2)
    for (const fault of error.plan) {
      if (fault._tag === "Cut") assert.strictEqual(fault.at, 40)
      if (fault._tag === "Split") assert.strictEqual(fault.size, 3)
      assert.isUndefined(fault.connection)
    }
  })

  it("takes a program that never ends for one that went wrong, at once", async () => {
    const patient = (plan: Faults.Plan) =>
      Effect.gen(function*() {
        const server = yield* InMemory.make({})
        const wire = yield* Faults.wrap(server.transport, plan).open({ host: "mx.example", port: 25 })
        let greeting = ""
        while (!greeting.includes("\n")) greeting += new TextDecoder().decode(yield* wire.read)
      }).pipe(Effect.scoped, Effect.ignore)
    const error = await found(patient, { seed: 1, runs: 1000, limit: "2 hours" })
    assert.include(error.problem, "it did not end within 2h")
    assert.deepStrictEqual(error.plan, [Faults.stall("received", 0)])
  })

  it("tells a defect, and one that interrupts itself", async () => {
    assert.include((await found(() => Effect.die(new Error("boom")), {})).problem, "boom")
    assert.strictEqual((await found(() => Effect.interrupt, { seed: 1 })).runs, 0)
  })

  it("stops when it is interrupted", async () => {
    let runs = 0
    const endless = FaultPlans.check(() => Effect.sync(() => void runs++), { runs: 10_000 })
    await Effect.runPromise(Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(endless, { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }))
    assert.isBelow(runs, 10_000)
  })

  it("takes another seed each time, unless one is given", async () => {
    const fails = () => Effect.fail("no")
    const seeds = [await found(fails, {}), await found(fails, {})].map(({ seed }) => seed)
    assert.notStrictEqual(seeds[0], seeds[1])
    assert.isTrue(Option.isSome(Option.fromNullishOr(seeds[0])))
  })
})
