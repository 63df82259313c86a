import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, References, Scope } from "effect"
import { createHash } from "node:crypto"
import { afterEach } from "vitest"
import {
  bytes,
  closed,
  dial,
  eventually,
  handles,
  noise,
  readAll,
  reasonOf,
  received,
  serve,
  sha256,
  text,
  turns
} from "./support.ts"

afterEach(() => Effect.runPromise(eventually(() => handles() === 0)))

const mebibyte = 1024 * 1024

describe("reading and writing", () => {
  it.live.each([1, 7, 1000, 65_536, 65_537, 300_000])("echoes in pieces of %i", (size) =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pipe(socket))
      const wire = yield* dial(server.port)
      const sent = noise(Math.min(size * 20, mebibyte))
      const writer = yield* Effect.forkChild(Effect.gen(function*() {
        for (let at = 0; at < sent.length; at += size) {
          yield* wire.write(sent.subarray(at, at + size))
        }
      }))
      assert.deepStrictEqual(sha256(yield* readAll(wire, sent.length)), sha256(sent))
      yield* Fiber.join(writer)
    }))

  it.live("gives what is buffered at once, and nothing empty", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 "))
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      yield* turns(5)
      socket.write("mx\r\n")
      yield* turns(5)
      assert.strictEqual(text(yield* wire.read), "220 mx\r\n")
      const reader = yield* Effect.forkChild(wire.read, { startImmediately: true })
      yield* turns(5)
      assert.isUndefined(reader.pollUnsafe())
      socket.write("250 ok\r\n")
      assert.strictEqual(text(yield* Fiber.join(reader)), "250 ok\r\n")
    }))

  it.live("a writer waits for a slow reader and loses nothing", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pause())
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      const chunk = noise(mebibyte)
      let written = 0
      const writer = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 48 }),
          () => Effect.andThen(wire.write(chunk), Effect.sync(() => written++))
        )
      )
      yield* turns(200)
      const before = written
      yield* turns(200)
      assert.strictEqual(written, before)
      assert.isBelow(written, 48)

      const hash = createHash("sha256")
      let length = 0
      socket.on("data", (data: Uint8Array) => {
        hash.update(data)
        length += data.length
      }).resume()
      yield* Fiber.join(writer)
      yield* eventually(() => length === 48 * mebibyte)
      const expected = createHash("sha256")
      for (let index = 0; index < 48; index++) {
        expected.update(chunk)
      }
      assert.strictEqual(hash.digest("hex"), expected.digest("hex"))
    }))

  it.live("a peer that floods an idle reader is held back", () =>
    Effect.gen(function*() {
      const flood = noise(32 * mebibyte)
      const server = yield* serve((socket) => socket.write(flood))
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      yield* turns(300)
      const first = yield* wire.read
      assert.isAtMost(first.length, 256 * 1024)
      assert.isAbove(socket.writableLength, 0)
      const rest = yield* readAll(wire, flood.length - first.length)
      assert.strictEqual(sha256(Buffer.concat([first, rest])), sha256(flood))
    }))
})

describe("endings", () => {
  it.live("the end in good order is Closed, again and again, after all bytes", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.end("221 bye\r\n"))
      const wire = yield* dial(server.port)
      yield* turns(5)
      assert.strictEqual(text(yield* wire.read), "221 bye\r\n")
      assert.deepStrictEqual(yield* reasonOf(wire.read), { _tag: "Closed" })
      assert.deepStrictEqual(yield* reasonOf(wire.read), { _tag: "Closed" })
      const reason = yield* reasonOf(wire.write(bytes("NOOP\r\n")))
      assert.strictEqual(reason._tag === "Broken" && reason.code, "EPIPE")
    }))

  it.live("a waiting reader learns of the end", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const wire = yield* dial(server.port)
      const reader = yield* Effect.forkChild(reasonOf(wire.read), { startImmediately: true })
      const socket = yield* server.accept
      socket.end()
      assert.deepStrictEqual(yield* Fiber.join(reader), { _tag: "Closed" })
    }))

  it.live("a reset is Broken with its code", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const wire = yield* dial(server.port)
      const reader = yield* Effect.forkChild(reasonOf(wire.read), { startImmediately: true })
      const socket = yield* server.accept
      socket.resetAndDestroy()
      const reason = yield* Fiber.join(reader)
      assert.strictEqual(reason._tag === "Broken" && reason.code, "ECONNRESET")
      assert.deepStrictEqual(yield* reasonOf(wire.write(bytes("NOOP\r\n"))), reason)
    }))

  it.live("what came before a reset is read first", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("421 4.3.2 going down\r\n"))
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      yield* turns(5)
      socket.resetAndDestroy()
      yield* turns(5)
      assert.strictEqual(text(yield* wire.read), "421 4.3.2 going down\r\n")
      assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
    }))

  it.live("a writer that waits for the peer learns of a reset", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pause())
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      const writer = yield* Effect.forkChild(reasonOf(wire.write(noise(32 * mebibyte))), { startImmediately: true })
      yield* turns(20)
      assert.isUndefined(writer.pollUnsafe())
      socket.resetAndDestroy()
      assert.strictEqual((yield* Fiber.join(writer))._tag, "Broken")
    }))

  it.live("the scope's end closes the socket, wakes the reader and fails everything after it", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serve((socket) => socket.resume())
        const scope = yield* Scope.make()
        const wire = yield* Scope.provide(dial(server.port), scope)
        const reader = yield* Effect.forkChild(reasonOf(wire.read), { startImmediately: true })
        const socket = yield* server.accept
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(reader))._tag, "Broken")
        assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
        assert.strictEqual((yield* reasonOf(wire.write(bytes("x"))))._tag, "Broken")
        assert.strictEqual((yield* reasonOf(wire.upgradeTls({ serverName: "mx.test" })))._tag, "Broken")
        yield* closed(socket)
        yield* eventually(() => handles() === 0)
      }))
    }))

  it.live("bytes left unread are not given after the scope's end", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 hi\r\n"))
      const scope = yield* Scope.make()
      const wire = yield* Scope.provide(dial(server.port), scope)
      yield* turns(5)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
    }))

  it.live("what was written just before the scope's end arrives", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* Effect.scoped(Effect.flatMap(dial(server.port), (wire) => wire.write(bytes("QUIT\r\n"))))
      assert.strictEqual(text(yield* received(yield* server.accept)), "QUIT\r\n")
    }))
})

describe("a fibre that yields the event loop", () => {
  it.live.each([3, 4, 5, 7])("every %i steps misses nothing", (steps) =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pipe(socket))
      const wire = yield* dial(server.port)
      for (let length = 1; length < 60; length++) {
        const sent = noise(length)
        yield* wire.write(sent)
        assert.deepStrictEqual(Buffer.from(yield* readAll(wire, length)), Buffer.from(sent))
      }
      const sent = noise(16 * mebibyte)
      const writer = yield* Effect.forkChild(wire.write(sent))
      assert.strictEqual(sha256(yield* readAll(wire, sent.length)), sha256(sent))
      yield* Fiber.join(writer)
      const socket = yield* server.accept
      socket.end()
      assert.deepStrictEqual(yield* reasonOf(wire.read), { _tag: "Closed" })
      const other = yield* dial((yield* serve((socket) => socket.end())).port)
      assert.deepStrictEqual(yield* reasonOf(other.read), { _tag: "Closed" })
      const reset = yield* dial((yield* serve((socket) => setImmediate(() => socket.resetAndDestroy()))).port)
      const reason = yield* reasonOf(reset.read)
      assert.strictEqual(reason._tag === "Broken" && reason.code, "ECONNRESET")
    }).pipe(Effect.provideService(References.MaxOpsBeforeYield, steps)))
})

describe("interruption", () => {
  it.live("an interrupted read loses nothing", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      const sent = Array.from({ length: 200 }, (_, index) => `line ${index}\r\n`)
      let got = ""
      for (const line of sent) {
        const reader = yield* Effect.forkChild(wire.read, { startImmediately: true })
        socket.write(line)
        // Bytes and interruption race: at every other line the loop turns in between.
        yield* turns(got.length % 3)
        yield* Fiber.interrupt(reader)
        const exit = yield* Fiber.await(reader)
        got += Exit.isSuccess(exit) ? text(exit.value) : ""
      }
      socket.end()
      const rest = yield* Effect.forever(Effect.tap(wire.read, (chunk) => Effect.sync(() => got += text(chunk)))).pipe(
        reasonOf
      )
      assert.deepStrictEqual(rest, { _tag: "Closed" })
      assert.strictEqual(got, sent.join(""))
    }))

  it.live("an interrupted write leaves the wire and its scope in order", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.pause())
      yield* Effect.scoped(Effect.gen(function*() {
        const wire = yield* dial(server.port)
        const writer = yield* Effect.forkChild(wire.write(noise(32 * mebibyte)), { startImmediately: true })
        yield* turns(20)
        yield* Fiber.interrupt(writer)
        const socket = yield* server.accept
        socket.write("451 slow\r\n")
        assert.strictEqual(text(yield* wire.read), "451 slow\r\n")
      }))
      // The server's side does not read, so it never learns; it goes with the server.
      yield* eventually(() => handles() === server.open())
    }))
})
