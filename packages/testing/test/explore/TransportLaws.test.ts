import { assert, describe, it } from "@effect/vitest"
import { Command, CommandLine, Reply, Transport } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Arbitraries, Faults, InMemory, Laws, Recorder } from "@postern/testing"
import { Bytes, Effect, Layer, Result } from "effect"
import * as fc from "fast-check"
import * as Net from "node:net"
import { failing } from "./failing.ts"

// ---------------------------------------------------------------------------
// Over sockets
// ---------------------------------------------------------------------------

/** A TCP server's side of one connection. */
const otherSide = (socket: Net.Socket): Laws.OtherSide => {
  const heard: Array<Uint8Array> = []
  let wake = () => {}
  socket.on("error", () => {})
  socket.on("data", (bytes: Uint8Array) => {
    heard.push(bytes)
    wake()
  })
  return {
    say: (bytes) => Effect.callback((resume) => void socket.write(bytes, () => resume(Effect.void))),
    heard: (octets) =>
      Effect.callback((resume) => {
        wake = () => {
          const all = Bytes.concat(heard)
          if (all.length >= octets) resume(Effect.succeed(all))
        }
        wake()
      }),
    close: Effect.sync(() => void socket.end()),
    reset: Effect.sync(() => void socket.resetAndDestroy())
  }
}

const over = <E>(transport: Layer.Layer<Transport.Transport, E>): Laws.Pair =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer()
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => void server.close())
    )
    const connected = new Promise<Net.Socket>((resolve) => server.once("connection", resolve))
    const { open } = yield* Effect.provide(Transport.Transport, transport)
    const wire = yield* open({ host: "127.0.0.1", port: (server.address() as Net.AddressInfo).port })
    const socket = yield* Effect.promise(() => connected)
    yield* Effect.addFinalizer(() => Effect.sync(() => void socket.destroy()))
    return [wire, otherSide(socket)] as const
  })

const tcp = over(NodeTransport.layer)

describe("over sockets", () => {
  const transports = {
    "NodeTransport": tcp,
    "Recorder": over(Layer.provide(Recorder.layer(), NodeTransport.layer)),
    "Faults without a fault": over(Layer.provide(Faults.layer([]), NodeTransport.layer)),
    "Faults that only cut": over(Layer.provide(Faults.layer([Faults.split("received", 3)]), NodeTransport.layer))
  }
  for (const [name, pair] of Object.entries(transports)) {
    for (const law of Laws.transport(name, pair)) it(law.name, law.run)
  }
})

// ---------------------------------------------------------------------------
// In memory
// ---------------------------------------------------------------------------

// A simulated server says replies, when it is asked; it can hear commands.
const inMemory: Laws.Pair = Effect.gen(function*() {
  let next: Reply.Reply | "drop" = Reply.make(250, "ok")
  const heard: Array<Uint8Array> = []
  const server = yield* InMemory.make({
    reply: (turn) => {
      if (turn._tag === "Greeting" || turn._tag === "Content") return undefined
      heard.push(CommandLine.encode(turn))
      return next
    }
  })
  const wire = yield* server.transport.open({ host: "mx.example", port: 25 })
  yield* wire.read
  const ask = Effect.ignore(wire.write(CommandLine.encode(Command.rset)))
  const other: Laws.OtherSide = {
    say: (bytes) => {
      const decoder = Reply.decoder()
      decoder.push(bytes)
      const reply = decoder.next()
      next = reply !== undefined && Result.isSuccess(reply) ? reply.success : "drop"
      return ask
    },
    heard: () => Effect.sync(() => Bytes.concat(heard)),
    close: Effect.suspend(() => {
      next = "drop"
      return ask
    })
  }
  return [wire, other] as const
})

const lines = fc.array(fc.string({ unit: fc.constantFrom(..."abc"), minLength: 1, maxLength: 9 }), { minLength: 1 })

describe("InMemory", () => {
  const laws = Laws.transport("InMemory", inMemory, {
    says: fc.array(Arbitraries.strictReply.filter(({ code }) => code >= 500), { minLength: 1, maxLength: 5 })
      .map((all) => all.map(Reply.encode)),
    hears: fc.tuple(lines, Arbitraries.chunking).map(([words, cut]) =>
      cut(new TextEncoder().encode(words.map((word) => `NOOP ${word}\r\n`).join("")))
    )
  })
  for (const law of laws) it(law.name, law.run)
})

// ---------------------------------------------------------------------------
// Broken ones
// ---------------------------------------------------------------------------

describe("broken transports", { timeout: 30_000 }, () => {
  const altered = (change: (wire: Transport.Wire) => Partial<Transport.Wire>): Laws.Pair =>
    Effect.map(tcp, ([wire, other]) => [{ ...wire, ...change(wire) }, other] as const)
  const broken = (pair: Laws.Pair) => failing(Laws.transport("it", pair, { runs: 8, patience: "300 millis" }))
  const error = new Transport.TransportError({ reason: { _tag: "Broken", code: "X", detail: "x" } })
  const closed = new Transport.TransportError({ reason: { _tag: "Closed" } })

  it("octets the wrong way round", async () => {
    const found = await broken(altered((wire) => ({ read: Effect.map(wire.read, (bytes) => bytes.toReversed()) })))
    assert.include(found, "what is said can be read, all of it, in order")
  })

  it("empty reads", async () => {
    const found = await broken(altered((wire) => {
      let turn = 0
      const nothing = Effect.succeed(new Uint8Array(0))
      return { read: Effect.suspend(() => turn++ % 2 === 0 ? nothing : wire.read) }
    }))
    assert.include(found, "what is said can be read, all of it, in order")
  })

  it("writes that lose octets", async () => {
    const found = await broken(
      altered((wire) => ({ write: (bytes) => wire.write(new Uint8Array(bytes.length).fill(bytes[0] ?? 0)) }))
    )
    assert.deepStrictEqual(found, ["what is written arrives, all of it, in order"])
  })

  it("an interrupted read that takes an octet with it", async () => {
    const found = await broken(altered((wire) => {
      let lost = 0
      return {
        read: Effect.suspend(() => {
          const losing = lost
          lost = 0
          return Effect.map(
            Effect.onInterrupt(wire.read, () => Effect.sync(() => lost++)),
            (bytes) => bytes.length > losing ? bytes.subarray(losing) : bytes
          )
        })
      }
    }))
    assert.deepStrictEqual(found, ["an interrupted read loses nothing"])
  })

  it("an end of another name", async () => {
    const found = await broken(altered((wire) => ({ read: Effect.mapError(wire.read, () => error) })))
    assert.deepStrictEqual(found, [
      "the end in good order comes behind all that was said, is Closed, and stays",
      "a read that waits ends when the other side does"
    ])
  })

  it("a reset that looks like an end in good order", async () => {
    const found = await broken(altered((wire) => ({ read: Effect.mapError(wire.read, () => closed) })))
    assert.deepStrictEqual(found, ["a connection that breaks is Broken, and stays"])
  })

  it("TLS over plaintext that was not read", async () => {
    const facts: Transport.TlsFacts = {
      version: "TLSv1.3",
      cipher: "x",
      serverName: "x",
      verifiedBy: "chain",
      certificate: undefined
    }
    assert.deepStrictEqual(await broken(altered(() => ({ upgradeTls: () => Effect.succeed(facts) }))), [
      "TLS is not begun over plaintext that was not read, and closes the wire",
      "everything fails once the scope has closed"
    ])
    const deaf = (wire: Transport.Wire): Partial<Transport.Wire> => {
      let begun = false
      return {
        read: Effect.suspend(() => begun ? Effect.fail(closed) : wire.read),
        upgradeTls: () =>
          Effect.sync(() => {
            begun = true
            return facts
          })
      }
    }
    assert.include(
      await broken(altered(deaf)),
      "TLS is not begun over plaintext that was not read, and closes the wire"
    )
  })

  it("a wire that works behind its scope", async () => {
    assert.deepStrictEqual(await broken(altered(() => ({ write: () => Effect.void }))), [
      "what is written arrives, all of it, in order",
      "everything fails once the scope has closed"
    ])
  })
})
