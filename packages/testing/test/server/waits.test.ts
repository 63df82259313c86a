import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@postern/core"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { connect } from "node:net"
import { Certificates, InMemory, type ServerMachine, TcpServer, VirtualTime } from "../../src/index.ts"
import { bytes, cut, text } from "./support.ts"

const peer = { host: "mx.example", port: 25 }
const session = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"

const virtually = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, VirtualTime.layer()))

/** All that comes until the end: when, and the first words. */
const timeline = Effect.fnUntraced(function*(wire: Transport.Wire) {
  const heard: Array<string> = []
  for (;;) {
    const read = yield* Effect.result(wire.read)
    const at = yield* Clock.currentTimeMillis
    if (read._tag === "Failure") return [...heard, `${at} ${read.failure.reason._tag}`]
    for (const line of text(read.success).trimEnd().split("\r\n")) {
      if (line[3] === " ") heard.push(`${at} ${line.slice(0, 9)}`)
    }
  }
})

const dial = Effect.fnUntraced(function*(config: ServerMachine.Config) {
  const server = yield* InMemory.make(config)
  return { server, wire: yield* server.transport.open(peer) }
})

describe("in memory, by the clock of the fiber", () => {
  it("a slow server takes its time, and no other", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ delay: "10 seconds" })
      yield* wire.write(bytes(session))
      assert.deepStrictEqual(yield* timeline(wire), [
        "10000 220 mx.ex",
        "20000 250 START",
        "30000 250 2.1.0",
        "40000 250 2.1.5",
        "50000 354 End d",
        "60000 250 2.0.0",
        "70000 221 2.0.0",
        "70000 Closed"
      ])
      assert.strictEqual((yield* server.inbox)[0]?.at, 60_000)
    }))))

  it("delivers no earlier than it says so", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ delay: (_, turn) => turn?._tag === "Content" ? "1 minute" : 0 })
      yield* wire.write(bytes(session))
      yield* Effect.sleep("59 seconds")
      assert.lengthOf(yield* server.inbox, 0)
      yield* Effect.sleep("1 second")
      assert.lengthOf(yield* server.inbox, 1)
    }))))

  it("hears what comes meanwhile in its order, however it is cut", { timeout: 30_000 }, () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 200 }), { maxLength: 6 }), fc.nat({ max: 15_000 }), (places, pause) =>
        virtually(Effect.scoped(Effect.gen(function*() {
          const { server, wire } = yield* dial({ delay: "10 seconds" })
          for (const piece of cut(bytes(session), places)) {
            yield* wire.write(piece)
            yield* Effect.sleep(pause)
          }
          const heard = yield* timeline(wire)
          assert.deepStrictEqual(
            heard.map((line) =>
              line.split(" ")[1]
            ),
            ["220", "250", "250", "250", "354", "250", "221", "Closed"]
          )
          assert.deepStrictEqual((yield* server.inbox).map(({ content }) => text(content)), ["hello\r\n"])
        })))),
      { numRuns: 30 }
    ))

  it("takes no more than it can hold while it waits", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ delay: (_, turn) => turn?._tag === "Ehlo" ? "1 hour" : 0 })
      yield* wire.write(bytes("EHLO c.example\r\n"))
      const piece = bytes("NOOP\r\n".repeat(1000))
      let written = 0
      const writer = yield* Effect.forkChild(Effect.repeat(
        Effect.tap(wire.write(piece), () =>
          Effect.sync(() => {
            written += piece.length
          })),
        { times: 99 }
      ))
      yield* Effect.sleep("59 minutes")
      assert.isBelow(written, 300_000)
      const before = written
      yield* Effect.sleep("59 seconds")
      assert.strictEqual(written, before)
      // It answers more than half a megabyte: somebody has to read that.
      yield* Effect.forkChild(Effect.ignore(Effect.forever(wire.read)))
      yield* Effect.sleep("1 minute")
      yield* Fiber.join(writer)
      assert.strictEqual((yield* server.sessions)[0]?.commands.length, 100_001)
    }))))

  it("a greeting comes late, and early talkers are turned away", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ greetingDelay: "5 seconds" })
      assert.match(text(yield* wire.read), /^220 /)
      assert.strictEqual(yield* Clock.currentTimeMillis, 5000)
      const early = yield* server.transport.open(peer)
      yield* Effect.sleep("4999 millis")
      yield* early.write(bytes("EHLO c.example\r\n"))
      assert.deepStrictEqual(yield* timeline(early), ["9999 554 5.5.1", "9999 Closed"])
      yield* wire.write(bytes("QUIT\r\n"))
      assert.deepStrictEqual(yield* timeline(wire), ["9999 221 2.0.0", "9999 Closed"])
    }))))

  it("who says nothing is left, and who says something is not", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ idleTimeout: "5 minutes", delay: "1 minute" })
      yield* wire.read
      yield* Effect.sleep("4 minutes")
      yield* wire.write(bytes("NOOP\r\n"))
      assert.deepStrictEqual(yield* timeline(wire), ["360000 250 2.0.0", "660000 421 4.4.2", "660000 Closed"])
      assert.strictEqual(yield* server.open, 0)
    }))))

  it("shuts down, whatever it was about to say, and comes back", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ delay: (_, turn) => turn?._tag === "Noop" ? "1 minute" : 0 })
      yield* wire.read
      yield* wire.write(bytes("NOOP\r\n"))
      yield* Effect.sleep("1 second")
      yield* server.shutDown
      assert.deepStrictEqual(yield* timeline(wire), ["1000 421 4.3.2", "1000 Closed"])
      assert.deepStrictEqual(yield* timeline(yield* server.transport.open(peer)), ["1000 421 4.3.2", "1000 Closed"])
      assert.strictEqual(yield* server.open, 0)
      yield* server.resume
      assert.match(text(yield* (yield* server.transport.open(peer)).read), /^220 /)
    }))))

  it("shuts down also where it was about to say its last word", () =>
    virtually(Effect.scoped(Effect.gen(function*() {
      const { server, wire } = yield* dial({ delay: (_, turn) => turn?._tag === "Quit" ? "1 minute" : 0 })
      yield* wire.read
      yield* wire.write(bytes("QUIT\r\n"))
      yield* server.shutDown
      assert.deepStrictEqual(yield* timeline(wire), ["0 Closed"])
    }))))

  it.effect("a wire that is let go of leaves no timer: what was to be done is not", () =>
    Effect.gen(function*() {
      const { server } = yield* Effect.scoped(Effect.gen(function*() {
        const dialled = yield* dial({
          delay: (_, turn) => turn?._tag === "Content" ? "1 minute" : 0,
          idleTimeout: "1 hour"
        })
        yield* dialled.wire.write(bytes(session))
        return dialled
      }))
      yield* TestClock.adjust("2 hours")
      assert.lengthOf(yield* server.inbox, 0)
      assert.deepStrictEqual((yield* server.sessions).map(({ commands }) => commands.at(-1)?._tag), ["Data"])
    }))
})

describe("on sockets, by the clock of who made the server", () => {
  const hear = (port: number, words?: string) => {
    const socket = connect({ host: "127.0.0.1", port })
    let heard = ""
    socket.on("data", (chunk) => {
      heard += chunk.toString()
    })
    if (words !== undefined) socket.write(words)
    const until = (pattern: RegExp) =>
      Effect.callback<string>((resume) => {
        const look = () => {
          if (pattern.test(heard)) resume(Effect.sync(() => heard))
        }
        socket.on("data", look)
        socket.once("close", () => resume(Effect.sync(() => heard)))
        look()
      })
    return { socket, until }
  }
  const turn = Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  })
  /** Nothing else happens: the server has what was written, or never will. */
  const settle = Effect.repeat(turn, { times: 200 })

  it.effect("waits before each reply, and hears in order what came meanwhile", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({ delay: "1 minute" })
      const { until } = hear(server.port, session)
      while ((yield* server.open) === 0) yield* turn
      for (const code of ["220", "250", "250", "250", "354", "250", "221"]) {
        yield* settle
        yield* TestClock.adjust("1 minute")
        yield* until(new RegExp(`${code} .*\r\n$`))
      }
      const heard = yield* until(/nothing more/)
      assert.deepStrictEqual(heard.match(/^\d{3} /gm), ["220 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "])
      yield* server.idle
      assert.deepStrictEqual((yield* server.inbox).map(({ at }) => at), [360_000])
    }).pipe(Effect.scoped))

  it.effect("takes no more than it can hold while it waits", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({ delay: (_, turn) => turn?._tag === "Ehlo" ? "1 hour" : 0 })
      const { socket, until } = hear(server.port, "EHLO c.example\r\n")
      const commands = 12_000
      socket.write(`NOOP ${"x".repeat(1000)}\r\n`.repeat(commands))
      // Until it stands still, which it would with all of it heard if nothing stopped it.
      let left = -1
      while (left !== socket.writableLength) {
        left = socket.writableLength
        yield* settle
      }
      assert.isAbove(left, 0)
      while ((yield* server.open) === 0) yield* turn
      yield* TestClock.adjust("1 hour")
      socket.end("QUIT\r\n")
      assert.match(yield* until(/nothing more/), /221 .*\r\n$/)
      assert.strictEqual((yield* server.sessions)[0]?.commands.length, commands + 2)
    }).pipe(Effect.scoped))

  it.effect("early talkers, silence and shutting down", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({ greetingDelay: "5 seconds", idleTimeout: "5 minutes" })
      const early = hear(server.port, "EHLO c.example\r\n")
      assert.match(yield* early.until(/nothing more/), /^554 5\.5\.1 .*\r\n$/)
      yield* server.idle
      const silent = hear(server.port)
      while ((yield* server.open) === 0) yield* turn
      yield* TestClock.adjust("5 seconds")
      assert.match(yield* silent.until(/^220 .*\r\n/), /^220 .*\r\n$/)
      yield* TestClock.adjust("5 minutes")
      assert.match(yield* silent.until(/nothing more/), /^220 .*\r\n421 4\.4\.2 .*\r\n$/)
      yield* server.idle
      const third = hear(server.port)
      while ((yield* server.open) === 0) yield* turn
      yield* server.shutDown
      assert.match(yield* third.until(/nothing more/), /^421 4\.3\.2 .*\r\n$/)
      assert.match(yield* hear(server.port).until(/nothing more/), /^421 4\.3\.2 .*\r\n$/)
      yield* server.idle
    }).pipe(Effect.scoped))

  it.effect("who does not begin the handshake is left, and so is who is in it when the server shuts down", () =>
    Effect.gen(function*() {
      const authority = yield* Certificates.authority("Test CA")
      const tls = yield* authority.issue({ name: "localhost" })
      const server = yield* TcpServer.make({ implicitTls: true, idleTimeout: "5 minutes" }, { tls })
      for (const end of [TestClock.adjust("5 minutes"), server.shutDown]) {
        const { until } = hear(server.port)
        while ((yield* server.open) === 0) yield* turn
        yield* end
        assert.strictEqual(yield* until(/nothing more/), "")
        yield* server.idle
      }
    }).pipe(Effect.scoped))

  it.effect("relays by the address of the client", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({ localDomains: [], relayNetworks: ["127.0.0.0/8"] })
      const { socket, until } = hear(server.port, session)
      yield* until(/queued as 1/)
      socket.destroy()
      assert.strictEqual((yield* server.sessions)[0]?.client, "127.0.0.1")
      yield* server.idle
    }).pipe(Effect.scoped))
})
