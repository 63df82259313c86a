import { assert, describe, it } from "@effect/vitest"
import { SmtpClient, Transport } from "@postern/core"
import { FaultPlans, Faults, InMemory, VirtualTime } from "@postern/testing"
import { Clock, Effect, Exit, Fiber, Layer, Option, Result } from "effect"
import * as fc from "fast-check"

const utf8 = new TextEncoder()
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

/** A wire that gives back what is written, and what has arrived at its other side. */
const echo = () => {
  const arrived: Array<string> = []
  let closed = false
  const inbox: Array<Uint8Array> = []
  let wake: (() => void) | undefined
  const wire: Transport.Wire = {
    read: Effect.suspend(() => {
      const bytes = inbox.shift()
      return bytes === undefined
        ? Effect.flatMap(
          Effect.callback<void>((resume) => {
            wake = () => resume(Effect.void)
          }),
          () => wire.read
        )
        : Effect.succeed(bytes)
    }),
    write: (bytes) =>
      Effect.sync(() => {
        arrived.push(text(bytes))
        inbox.push(bytes)
        wake?.()
      }),
    upgradeTls: () => Effect.die("no TLS here")
  }
  const transport: Transport.Transport["Service"] = {
    open: () =>
      Effect.acquireRelease(Effect.succeed(wire), () =>
        Effect.sync(() => {
          closed = true
        }))
  }
  return { transport, arrived, isClosed: () => closed }
}

/** What a talk over an echo with faults comes to. */
const over = <A>(plan: Faults.Plan, talk: (wire: Transport.Wire) => Effect.Effect<A, unknown>) => {
  const { arrived, isClosed, transport } = echo()
  return Effect.runPromise(
    Effect.gen(function*() {
      const wire = yield* Faults.wrap(transport, plan).open({ host: "mx.example", port: 25 })
      const result = yield* Effect.result(talk(wire))
      const closedWithin = isClosed()
      return { result, arrived, closedWithin, at: yield* Clock.currentTimeMillis }
    }).pipe(Effect.scoped, Effect.provide(VirtualTime.layer()))
  )
}

const write = (words: string) => (wire: Transport.Wire) => wire.write(utf8.encode(words))
const read = (wire: Transport.Wire) => Effect.map(wire.read, text)
const problem = (result: Result.Result<unknown, unknown>): string | undefined =>
  Result.isFailure(result) && result.failure instanceof Transport.TransportError
    ? result.failure.reason._tag
    : undefined

describe("Faults", () => {
  it("cut what is sent: all before it arrives, and the other side sees the end", async () => {
    for (const how of ["reset", "close"] as const) {
      const { arrived, closedWithin, result } = await over([Faults.cut("sent", 3, how)], write("abcdef"))
      assert.deepStrictEqual([arrived, closedWithin], [["abc"], true])
      assert.strictEqual(problem(result), "Broken")
    }
  })

  it("cut exactly behind a write: that one succeeds, and the next thing fails", async () => {
    const { arrived, result } = await over(
      [Faults.cut("sent", 3, "close")],
      (wire) => Effect.andThen(write("abc")(wire), wire.read)
    )
    assert.deepStrictEqual([arrived, problem(result)], [["abc"], "Closed"])
  })

  it("cut what is received: all before it can be read", async () => {
    const { result } = await over([Faults.cut("received", 3, "close")], (wire) =>
      Effect.gen(function*() {
        yield* write("abcdef")(wire)
        assert.strictEqual(yield* read(wire), "abc")
        return yield* wire.read
      }))
    assert.strictEqual(problem(result), "Closed")
  })

  it("stall either side for ever", async () => {
    const limited = (talk: (wire: Transport.Wire) => Effect.Effect<unknown, unknown>) => (wire: Transport.Wire) =>
      Effect.timeoutOption(talk(wire), "1 hour")
    const sent = await over([Faults.stall("sent", 2)], limited(write("abc")))
    assert.deepStrictEqual([sent.arrived, sent.result, sent.at], [["ab"], Result.succeed(Option.none()), 3_600_000])
    const received = await over(
      [Faults.stall("received", 0)],
      (wire) => Effect.andThen(write("abc")(wire), limited((wire) => wire.read)(wire))
    )
    assert.deepStrictEqual([received.result, received.at], [Result.succeed(Option.none()), 3_600_000])
  })

  it("delay what follows, in either direction", async () => {
    const { at, result } = await over(
      [Faults.delay("sent", 1, 1000), Faults.delay("received", 2, 500)],
      (wire) =>
        Effect.gen(function*() {
          yield* write("abcd")(wire)
          return [yield* read(wire), yield* read(wire), yield* read(wire), yield* Clock.currentTimeMillis]
        })
    )
    assert.deepStrictEqual(result, Result.succeed(["a", "b", "cd", 1500]))
    assert.strictEqual(at, 1500)
  })

  it("change an octet, and put others in between", async () => {
    const { arrived } = await over([Faults.corrupt("sent", 1, 0x20), Faults.insert("sent", 2, "!")], write("abc"))
    assert.deepStrictEqual(arrived, ["aB", "!", "c"])
  })

  it("close half: nothing more is sent, and what comes is read", async () => {
    const { result } = await over([Faults.halfClose(2)], (wire) =>
      Effect.gen(function*() {
        assert.strictEqual(problem(yield* Effect.result(write("abc")(wire))), "Broken")
        return yield* read(wire)
      }))
    assert.deepStrictEqual(result, Result.succeed("ab"))
  })

  it("split, merge, and take little at a time", async () => {
    const { arrived } = await over([Faults.split("sent", 2)], write("abcde"))
    assert.deepStrictEqual(arrived, ["ab", "cd", "e"])
    const merged = await over(
      [Faults.split("sent", 1), Faults.merge(10)],
      (wire) => Effect.andThen(write("abcde")(wire), read(wire))
    )
    assert.deepStrictEqual(merged.result, Result.succeed("abcde"))
    const slow = await over([Faults.slowReader(2, 100)], write("abcde"))
    assert.deepStrictEqual([slow.arrived, slow.at], [["ab", "cd", "e"], 300])
  })

  it("refuse, connect slowly, and fail the handshake", async () => {
    const { arrived, closedWithin, result } = await over(
      [Faults.tlsFailure("expired")],
      (wire) => wire.upgradeTls({ serverName: "mx.example" })
    )
    assert.deepStrictEqual([problem(result), arrived, closedWithin], ["CertificateRefused", [], true])
    const dialled = await Effect.runPromise(
      Effect.gen(function*() {
        const transport = Faults.wrap(echo().transport, [
          Faults.refuse("EHOSTUNREACH", { connection: 0 }),
          Faults.slowConnect(250, { connection: 1 })
        ])
        const dial = Effect.scoped(transport.open({ host: "mx.example", port: 25 }))
        const first = yield* Effect.result(dial)
        yield* dial
        return [problem(first), yield* Clock.currentTimeMillis]
      }).pipe(Effect.provide(VirtualTime.layer()))
    )
    assert.deepStrictEqual(dialled, ["ConnectFailed", 250])
  })

  it("lose nothing of a read that is interrupted", async () => {
    const { result } = await over([Faults.delay("received", 1, 1000)], (wire) =>
      Effect.gen(function*() {
        yield* write("abc")(wire)
        const reading = yield* Effect.forkChild(Effect.forever(wire.read), { startImmediately: true })
        yield* Effect.sleep(10)
        yield* Fiber.interrupt(reading)
        return yield* read(wire)
      }))
    assert.deepStrictEqual(result, Result.succeed("bc"))
  })

  it("keep order and octets when they only cut and delay", async () => {
    const harmless = fc.oneof(
      fc.tuple(fc.constantFrom("sent" as const, "received" as const), fc.integer({ min: 1, max: 9 }))
        .map(([side, size]) => Faults.split(side, size)),
      fc.tuple(fc.constantFrom("sent" as const, "received" as const), fc.nat(40), fc.nat(99))
        .map(([side, at, millis]) => Faults.delay(side, at, millis)),
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9)).map(([size, millis]) => Faults.slowReader(size, millis)),
      fc.nat(99).map((millis) => Faults.merge(millis))
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(harmless, { maxLength: 5 }),
        fc.string({ minLength: 1, maxLength: 40 }),
        async (plan, said) => {
          const { arrived, result } = await over(plan, (wire) =>
            Effect.gen(function*() {
              yield* write(said)(wire)
              let heard = ""
              while (heard.length < text(utf8.encode(said)).length) heard += yield* read(wire)
              return heard
            }))
          assert.deepStrictEqual(result, Result.succeed(text(utf8.encode(said))))
          assert.strictEqual(arrived.join(""), text(utf8.encode(said)))
        }
      ),
      { numRuns: 200 }
    )
  })

  it("print as the code that makes them", () => {
    fc.assert(fc.property(FaultPlans.plan, (plan) => {
      const code = Faults.code(plan)
      const made = new Function("Faults", `return ${code}`)({
        ...Faults,
        layer: (plan: Faults.Plan) => plan
      }) as unknown
      assert.deepStrictEqual(made, plan)
    }))
  })

  it("of one seed are the same", () => {
    assert.deepStrictEqual(FaultPlans.fromSeed(7), FaultPlans.fromSeed(7))
    assert.notDeepEqual(FaultPlans.fromSeed(7), FaultPlans.fromSeed(8))
  })
})

describe("FaultPlans.check", () => {
  const message = { from: "ann@a.example", to: "ben@b.example", content: "Subject: x\n\nx\n" }
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

  it("finds nothing where only what is safe is tried again", async () => {
    const exit = await Effect.runPromiseExit(FaultPlans.check((plan) => attempt(plan, false), { runs: 300, seed: 1 }))
    assert.deepStrictEqual(exit, Exit.succeed(300))
  })

  it("finds the smallest fault for a program that tries again what is in doubt", async () => {
    const error = await Effect.runPromise(
      Effect.flip(FaultPlans.check((plan) => attempt(plan, true), { runs: 2000, seed: 1 }))
    )
    assert.strictEqual(error.plan.length, 1, error.message)
    assert.include(error.problem, "it arrived")
    assert.include(error.message, error.code)
    assert.include(error.message, "seed 1")
    // What it prints is enough to see it again.
    assert.isTrue(Exit.isFailure(
      await Effect.runPromiseExit(
        Effect.provide(attempt(error.plan, true), VirtualTime.layer())
      )
    ))
  })
})
