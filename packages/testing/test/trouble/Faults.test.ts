import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@postern/core"
import { Faults, InMemory, VirtualTime } from "@postern/testing"
import { Clock, Effect, Fiber, Option, Result } from "effect"
import * as fc from "fast-check"
import { echo, facts, over, problem, read, text, upgrade, utf8, write } from "./echo.ts"

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

  it("cut with the last octet that is read: what is written behind it arrives nowhere", async () => {
    const { arrived, closedWithin, result } = await over([Faults.cut("received", 3)], (wire) =>
      Effect.gen(function*() {
        yield* write("abcdef")(wire)
        assert.strictEqual(yield* read(wire), "abc")
        yield* write("more")(wire)
      }))
    assert.deepStrictEqual([arrived, closedWithin, problem(result)], [["abcdef"], true, "Broken"])
  })

  it("cut before the first octet", async () => {
    for (const side of ["sent", "received"] as const) {
      const { arrived, closedWithin, result } = await over([Faults.cut(side, 0)], write("a"))
      assert.deepStrictEqual([arrived, closedWithin, problem(result)], [[], true, "Broken"], side)
    }
  })

  it("close in good order: nothing more is read, and what is written is lost", async () => {
    const { result } = await over([Faults.cut("sent", 0, "close")], (wire) =>
      Effect.gen(function*() {
        const ends = [wire.read, wire.read, wire.write(utf8.encode("x")), upgrade(wire)]
        return yield* Effect.forEach(ends, (end) => Effect.map(Effect.result(end), problem))
      }))
    assert.deepStrictEqual(result, Result.succeed(["Closed", "Closed", "Broken", "Closed"]))
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

  it("stall behind what is written, and not within", async () => {
    const { arrived, at, result } = await over([Faults.stall("sent", 3)], (wire) =>
      Effect.gen(function*() {
        yield* write("abc")(wire)
        assert.strictEqual(yield* read(wire), "abc")
        for (const _ of [1, 2]) assert.isTrue(Option.isNone(yield* Effect.timeoutOption(write("d")(wire), 1000)))
      }))
    assert.isTrue(Result.isSuccess(result))
    assert.deepStrictEqual([arrived, at], [["abc"], 2000])
  })

  it("stall: the end of the connection is not seen either, nor does a handshake pass", async () => {
    const server = await Effect.runPromise(InMemory.make({ reply: () => "drop" }))
    const [end, handshake] = await Effect.runPromise(
      Effect.gen(function*() {
        const transport = Faults.wrap(server.transport, [Faults.stall("received", 0)])
        const wire = yield* transport.open({ host: "mx.example", port: 25 })
        const limited = <A, E>(effect: Effect.Effect<A, E>) => Effect.timeoutOption(effect, 60_000)
        return [yield* limited(wire.read), yield* limited(upgrade(wire))]
      }).pipe(Effect.scoped, Effect.provide(VirtualTime.layer()))
    )
    assert.deepStrictEqual([end, handshake], [Option.none(), Option.none()])
  })

  it("cut what is sent: no stall of what was received keeps the end from being seen", async () => {
    const { result } = await over(
      [Faults.stall("received", 1), Faults.cut("sent", 4)],
      (wire) =>
        Effect.gen(function*() {
          yield* write("abc")(wire)
          assert.strictEqual(yield* read(wire), "a")
          yield* write("d")(wire)
          return yield* wire.read
        })
    )
    assert.strictEqual(problem(result), "Broken")
  })

  it("delay only what does follow", async () => {
    const times = await over([Faults.delay("sent", 3, 1000)], (wire) =>
      Effect.gen(function*() {
        yield* write("abc")(wire)
        const before = yield* Clock.currentTimeMillis
        yield* write("d")(wire)
        return [before, yield* Clock.currentTimeMillis]
      }))
    assert.deepStrictEqual(times.result, Result.succeed([0, 1000]))
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
    const plan = [Faults.insert("sent", 2, "!"), Faults.insert("sent", 1, "?"), Faults.corrupt("sent", 0, 0x20)]
    assert.strictEqual((await over(plan, write("abc"))).arrived.join(""), "A?b!c")
  })

  it("put octets that are no text, and what comes without being asked", async () => {
    const { arrived, result } = await over(
      [Faults.insert("sent", 0, [0xff, 0]), Faults.insert("received", 0, "421 bye\r\n")],
      read
    )
    assert.deepStrictEqual([arrived, result], [["\u00ff\u0000"], Result.succeed("421 bye\r\n")])
  })

  it("happen in the order of the plan at one place", async () => {
    const insertThenCut = await over(
      [Faults.insert("received", 2, "!"), Faults.cut("received", 2)],
      (wire) =>
        Effect.gen(function*() {
          yield* write("abcd")(wire)
          assert.deepStrictEqual([yield* read(wire), yield* read(wire)], ["ab", "!"])
          return yield* wire.read
        })
    )
    assert.deepStrictEqual([problem(insertThenCut.result), insertThenCut.closedWithin], ["Broken", true])
    const cutThenInsert = await over(
      [Faults.cut("received", 2), Faults.insert("received", 2, "!")],
      (wire) =>
        Effect.gen(function*() {
          yield* write("abcd")(wire)
          assert.strictEqual(yield* read(wire), "ab")
          return yield* wire.read
        })
    )
    assert.strictEqual(problem(cutThenInsert.result), "Broken")
    // A change of the octet behind it is in nobody's way.
    const changed = await over([Faults.corrupt("sent", 3, 1), Faults.cut("sent", 3)], write("abc"))
    assert.deepStrictEqual([changed.arrived, changed.closedWithin], [["abc"], true])
    const delayed = await over([Faults.delay("sent", 1, 100), Faults.delay("sent", 1, 200)], write("ab"))
    assert.deepStrictEqual([delayed.arrived, delayed.at], [["a", "b"], 300])
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

  it("take their time for each read, and each write; several add up", async () => {
    const plan = [
      Faults.lag("sent", 10),
      Faults.lag("received", 200),
      Faults.lag("received", 300),
      Faults.split("sent", 1),
      Faults.slowReader(2, 1000)
    ]
    const { arrived, at, result } = await over(plan, (wire) => Effect.andThen(write("ab")(wire), read(wire)))
    assert.deepStrictEqual([arrived, result, at], [["a", "b"], Result.succeed("a"), 2510])
  })

  it("fail the handshake in each way, and close the wire", async () => {
    const ways: ReadonlyArray<readonly [Faults.TlsProblem, string]> = [
      ["expired", "CertificateRefused"],
      ["wrong-fingerprint", "CertificateRefused"],
      ["handshake", "HandshakeFailed"],
      ["not-tls", "NotTls"],
      ["reset", "Broken"],
      ["close", "Closed"]
    ]
    for (const [way, expected] of ways) {
      const { closedWithin, result } = await over([Faults.tlsFailure(way)], upgrade)
      assert.deepStrictEqual([problem(result), closedWithin], [expected, true], way)
    }
    const ends = await over(
      [Faults.tlsFailure("close")],
      (wire) => Effect.andThen(Effect.result(upgrade(wire)), wire.read)
    )
    assert.strictEqual(problem(ends.result), "Closed")
    const silent = await over([Faults.tlsFailure("silence")], (wire) => Effect.timeoutOption(upgrade(wire), 5000))
    assert.deepStrictEqual([silent.result, silent.at], [Result.succeed(Option.none()), 5000])
  })

  it("leave plaintext before the handshake, which closes the wire", async () => {
    const inserted = await over([Faults.insert("received", 0, "250 ok\r\n")], upgrade)
    assert.deepStrictEqual([problem(inserted.result), inserted.closedWithin], ["PlaintextBuffered", true])
    const held = await over(
      [Faults.split("received", 1)],
      (wire) => Effect.andThen(Effect.andThen(write("ab")(wire), read(wire)), upgrade(wire))
    )
    assert.deepStrictEqual([problem(held.result), held.closedWithin], ["PlaintextBuffered", true])
    const whole = await over([Faults.halfClose(5), Faults.split("sent", 1)], upgrade)
    assert.deepStrictEqual(whole.result, Result.succeed(facts))
    const half = await over([Faults.halfClose(0)], upgrade)
    assert.strictEqual(problem(half.result), "Broken")
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

  it("lose nothing of a read that is interrupted while more is collected", async () => {
    for (const plan of [[Faults.merge(1000)], [Faults.lag("received", 1000)]]) {
      const { result } = await over(plan, (wire) =>
        Effect.gen(function*() {
          yield* write("abc")(wire)
          assert.isTrue(Option.isNone(yield* Effect.timeoutOption(wire.read, 10)))
          return yield* read(wire)
        }))
      assert.deepStrictEqual(result, Result.succeed("abc"))
    }
  })

  it("collect only what comes within the time", async () => {
    const { result } = await over([Faults.merge(100)], (wire) =>
      Effect.gen(function*() {
        yield* write("a")(wire)
        const later = Effect.andThen(Effect.sleep(70), write("b")(wire))
        yield* Effect.forkChild(Effect.andThen(later, later), { startImmediately: true })
        return [yield* read(wire), yield* read(wire)]
      }))
    assert.deepStrictEqual(result, Result.succeed(["ab", "b"]))
  })

  it("are those of one connection where they name it", async () => {
    const server = await Effect.runPromise(InMemory.make({}))
    const greetings = await Effect.runPromise(
      Effect.gen(function*() {
        const transport = Faults.wrap(server.transport, [Faults.cut("received", 0, "reset", { connection: 1 })])
        const greeting = Effect.scoped(
          Effect.flatMap(transport.open({ host: "mx.example", port: 25 }), (wire) => Effect.result(wire.read))
        )
        return [yield* greeting, yield* greeting, yield* greeting].map(Result.isSuccess)
      })
    )
    assert.deepStrictEqual(greetings, [true, false, true])
  })

  it("are over with the scope", async () => {
    const plans: ReadonlyArray<readonly [Faults.Plan, string]> = [
      [[], "Broken"],
      [[Faults.split("received", 1)], "Broken"],
      [[Faults.stall("received", 1)], "Broken"],
      // The first end is that which is told.
      [[Faults.cut("received", 2, "close")], "Closed"]
    ]
    for (const [plan, end] of plans) {
      const ends = await Effect.runPromise(
        Effect.gen(function*() {
          const { isClosed, transport } = echo()
          const wire = yield* Effect.scoped(
            Effect.tap(
              Faults.wrap(transport, plan).open({ host: "mx.example", port: 25 }),
              (wire) => Effect.andThen(write("ab")(wire), wire.read)
            )
          )
          assert.isTrue(isClosed())
          return yield* Effect.forEach(
            [wire.read, wire.write(utf8.encode("x")), upgrade(wire)],
            (end) => Effect.map(Effect.result(end), problem)
          )
        })
      )
      assert.deepStrictEqual(ends, [end, "Broken", end])
    }
  })

  it("keep order and octets when they only cut and delay", async () => {
    const harmless = fc.oneof(
      fc.tuple(fc.constantFrom("sent" as const, "received" as const), fc.integer({ min: 1, max: 9 }))
        .map(([side, size]) => Faults.split(side, size)),
      fc.tuple(fc.constantFrom("sent" as const, "received" as const), fc.nat(40), fc.nat(99))
        .map(([side, at, millis]) => Faults.delay(side, at, millis)),
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9)).map(([size, millis]) => Faults.slowReader(size, millis)),
      fc.nat(99).map((millis) => Faults.merge(millis)),
      fc.tuple(fc.constantFrom("sent" as const, "received" as const), fc.nat(99))
        .map(([side, millis]) => Faults.lag(side, millis))
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
})
