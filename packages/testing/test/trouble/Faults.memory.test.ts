import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@postern/core"
import { Effect, Fiber } from "effect"
import { Faults, InMemory, type ServerMachine } from "../../src/index.ts"
import { bytes, text } from "../server/support.ts"

const peer = { host: "mx.example", port: 25 }
const greeting = "220 mx.example ESMTP\r\n"
const message = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"

const dial = Effect.fnUntraced(function*(config: ServerMachine.Config, ...plan: Faults.Plan) {
  const server = yield* InMemory.make(config)
  return { server, wire: yield* Faults.wrap(server.transport, plan).open(peer) }
})

/** All that comes until the end, one string a read, and why it ended. */
const readToEnd = Effect.fnUntraced(function*(wire: Transport.Wire) {
  const reads: Array<string> = []
  for (;;) {
    const read = yield* Effect.result(wire.read)
    if (read._tag === "Failure") return { reads, reason: read.failure.reason }
    reads.push(text(read.success))
  }
})

const reasonOf = <A>(effect: Effect.Effect<A, Transport.TransportError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("faults over the server in memory", () => {
  it.effect("cut after each octet that the server sends", () =>
    Effect.gen(function*() {
      const whole = yield* dial({})
      yield* whole.wire.write(bytes(message))
      const total = (yield* readToEnd(whole.wire)).reads.join("")
      for (let sent = 0; sent <= total.length; sent++) {
        const { server, wire } = yield* dial({}, Faults.cut("received", sent))
        yield* Effect.ignore(wire.write(bytes(message)))
        const { reads, reason } = yield* readToEnd(wire)
        assert.deepStrictEqual([reads.join(""), reason._tag], [total.slice(0, sent), "Broken"])
        assert.strictEqual(yield* server.open, 0)
      }
    }))

  it.effect("cut after each octet that the server receives", () =>
    Effect.gen(function*() {
      for (let received = 0; received <= message.length; received++) {
        const { server, wire } = yield* dial({}, Faults.cut("sent", received, "close"))
        yield* Effect.ignore(wire.write(bytes(message)))
        const { reason } = yield* readToEnd(wire)
        assert.strictEqual(reason._tag, "Closed")
        assert.lengthOf(yield* server.inbox, received >= message.indexOf("\r\n.\r\n") + 5 ? 1 : 0)
      }
    }))

  it.effect("silence", () =>
    Effect.gen(function*() {
      const { server, wire } = yield* dial({}, Faults.stall("received", greeting.length + 3))
      assert.strictEqual(text(yield* wire.read), greeting)
      yield* wire.write(bytes("NOOP\r\n"))
      assert.strictEqual(text(yield* wire.read), "250")
      yield* wire.write(bytes("QUIT\r\n"))
      const waiting = yield* Effect.forkChild(wire.read, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
      // The server knows nothing of it: it has heard QUIT, and has ended the session.
      assert.deepStrictEqual((yield* server.sessions)[0]?.commands.map(({ _tag }) => _tag), ["Noop", "Quit"])
    }))

  it.effect("a handshake that fails as told, and closes", () =>
    Effect.gen(function*() {
      const { server, wire } = yield* dial({ implicitTls: true }, Faults.tlsFailure("expired"))
      const reason = yield* reasonOf(wire.upgradeTls({ serverName: "mx.example" }))
      assert.strictEqual(reason._tag === "CertificateRefused" ? reason.problem : reason._tag, "expired")
      assert.strictEqual((yield* reasonOf(wire.write(bytes("x"))))._tag, "Broken")
      assert.strictEqual(yield* server.open, 0)
    }))
})
