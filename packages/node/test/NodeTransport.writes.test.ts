import { assert, describe, it } from "@effect/vitest"
import { Certificates } from "@postern/testing"
import { Effect, Fiber, Redacted } from "effect"
import * as fc from "fast-check"
import * as Net from "node:net"
import { afterEach, vi } from "vitest"
import { bytes, closed, dial, eventually, handles, noise, secure, serve, sha256, turns } from "./support.ts"

afterEach(() => Effect.runPromise(eventually(() => handles() === 0)))

describe("writes of one turn", () => {
  /** The writes of clients that reach the kernel, each as the lengths of what it joins. */
  const kernelWrites = Effect.gen(function*() {
    const writes: Array<ReadonlyArray<number>> = []
    yield* spyOnSockets("_write", (chunk: Uint8Array) => writes.push([chunk.length]))
    yield* spyOnSockets(
      "_writev",
      (chunks: ReadonlyArray<{ readonly chunk: Uint8Array }>) => writes.push(chunks.map(({ chunk }) => chunk.length))
    )
    return writes
  })
  const spyOnSockets = <A>(method: string, see: (what: A) => void) => {
    const prototype = Net.Socket.prototype as unknown as Record<string, (what: A, ...rest: Array<unknown>) => unknown>
    const original = prototype[method]!
    return Effect.acquireRelease(
      Effect.sync(() =>
        vi.spyOn(prototype, method).mockImplementation(function(this: unknown, what, ...rest) {
          see(what)
          return original.call(this, what, ...rest)
        })
      ),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
  }

  const gather = (socket: Net.Socket) => {
    const chunks: Array<Buffer> = []
    socket.on("data", (chunk) => chunks.push(chunk))
    return chunks
  }

  const securely = Effect.gen(function*() {
    const authority = yield* Certificates.authority("Test CA")
    const issued = yield* authority.issue({ name: "mx.test", dns: ["mx.test"] })
    return {
      server: { cert: issued.certificate, key: Redacted.value(issued.key) },
      client: { serverName: "mx.test", ca: [authority.certificate] }
    }
  })

  it.live("are one for the kernel", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const wire = yield* dial(server.port)
      const chunks = gather(yield* server.accept)
      const writes = yield* kernelWrites
      const say = (lines: ReadonlyArray<string>) => Effect.forEach(lines, (line) => wire.write(bytes(line)))
      yield* say(["MAIL\r\n", "RCPT\r\n", "DATA\r\n"])
      yield* eventually(() => chunks.length === 1)
      yield* say(["content", "\r\n.\r\n"])
      yield* eventually(() => chunks.length === 2)
      assert.deepStrictEqual(chunks.map(String), ["MAIL\r\nRCPT\r\nDATA\r\n", "content\r\n.\r\n"])
      assert.deepStrictEqual(writes, [[6, 6, 6], [7, 5]])
    }))

  it.live("are one record of TLS", () =>
    Effect.gen(function*() {
      const tls = yield* securely
      const chunks: Array<Buffer> = []
      const server = yield* serve(secure(tls.server, (socket) => socket.on("data", (chunk) => chunks.push(chunk))))
      const wire = yield* dial(server.port)
      yield* wire.upgradeTls(tls.client)
      yield* Effect.forEach(["MAIL\r\n", "RCPT\r\n", "DATA\r\n"], (line) => wire.write(bytes(line)))
      yield* eventually(() => chunks.length > 0)
      yield* turns(5)
      assert.deepStrictEqual(chunks.map(String), ["MAIL\r\nRCPT\r\nDATA\r\n"])
    }))

  it.live("do not suspend the writer while the kernel takes them", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.resume())
      const wire = yield* dial(server.port)
      const writes = yield* kernelWrites
      yield* Effect.sync(() => Effect.runSync(Effect.forEach(Array.from({ length: 1024 }), () => wire.write(kibibyte))))
      assert.strictEqual(writes.length, 4)
      assert.deepStrictEqual(new Set(writes.map((lengths) => lengths.length)), new Set([256]))
    }))

  const kibibyte = noise(1024)

  it("arrive in order, of any lengths, over TCP and TLS", () =>
    fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(
          fc.record({ length: fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(400_000)), pause: fc.nat(2) }),
          { maxLength: 20 }
        ),
        (overTls, pieces) =>
          Effect.gen(function*() {
            const tls = yield* securely
            const read: Array<Buffer> = []
            const collect = (socket: Net.Socket) => void socket.on("data", (chunk) => read.push(chunk))
            const server = yield* serve(overTls ? secure(tls.server, collect) : collect)
            const wire = yield* dial(server.port)
            yield* overTls ? wire.upgradeTls(tls.client) : Effect.void
            const sent = noise(pieces.reduce((sum, { length }) => sum + length, 0))
            let at = 0
            for (const { length, pause } of pieces) {
              yield* wire.write(sent.subarray(at, at += length))
              yield* turns(pause)
            }
            yield* eventually(() => read.reduce((sum, chunk) => sum + chunk.length, 0) === sent.length)
            assert.strictEqual(sha256(Buffer.concat(read)), sha256(sent))
          }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 25 }
    ))

  it.live("that nobody reads wait here up to the mark", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pause())
      const corked = vi.spyOn(Net.Socket.prototype, "cork")
      yield* Effect.addFinalizer(() => Effect.sync(() => corked.mockRestore()))
      const wire = yield* dial(server.port)
      let written = 0
      const writer = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 48 * 1024 }),
          () => Effect.andThen(wire.write(kibibyte), Effect.sync(() => written++))
        )
      )
      yield* turns(200)
      const before = written
      yield* turns(200)
      assert.strictEqual(written, before)
      assert.strictEqual((corked.mock.contexts[0] as Net.Socket).writableLength, 256 * 1024)
      yield* Fiber.interrupt(writer)
      const socket = yield* server.accept
      let length = 0
      socket.on("data", (chunk) => length += chunk.length).resume()
      yield* eventually(() => length === (before + 1) * 1024)
    }))

  it.live("just before the scope's end arrive, each of them", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* Effect.scoped(Effect.flatMap(dial(server.port), (wire) =>
        Effect.forEach(Array.from({ length: 100 }), () =>
          wire.write(kibibyte))))
      const socket = yield* server.accept
      const chunks = gather(socket)
      yield* closed(socket)
      assert.strictEqual(Buffer.concat(chunks).length, 100 * 1024)
    }))

  it.live("just before the scope's end arrive over TLS, and its end is one in good order", () =>
    Effect.gen(function*() {
      const tls = yield* securely
      const events: Array<string> = []
      const server = yield* serve(secure(tls.server, (socket) => {
        socket.on("data", (chunk) => events.push(String(chunk))).on("end", () => events.push("end"))
        socket.on("error", (error) => events.push(String(error)))
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const wire = yield* dial(server.port)
        yield* wire.upgradeTls(tls.client)
        yield* wire.write(bytes("RSET\r\n"))
        // The first write is under way, which for TLS takes until the next turn of the loop.
        yield* Effect.promise(() => Promise.resolve())
        yield* Effect.promise(() => Promise.resolve())
        yield* wire.write(bytes("QUIT"))
        yield* wire.write(bytes("\r\n"))
      }))
      yield* eventually(() => events.includes("end"))
      assert.deepStrictEqual(events, ["RSET\r\n", "QUIT\r\n", "end"])
    }))

  it.live("go out before a handshake in the same turn", () =>
    Effect.gen(function*() {
      const tls = yield* securely
      const said: Array<string> = []
      const server = yield* serve((socket) => {
        socket.once("readable", () => {
          said.push(String(socket.read(10)))
          secure(tls.server)(socket)
        })
      })
      const wire = yield* dial(server.port)
      yield* Effect.forEach(["START", "TLS\r\n"], (text) => wire.write(bytes(text)))
      const facts = yield* wire.upgradeTls(tls.client)
      assert.strictEqual(facts.version, "TLSv1.3")
      assert.deepStrictEqual(said, ["STARTTLS\r\n"])
    }))
})
