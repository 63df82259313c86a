import { assert, describe, it } from "@effect/vitest"
import { Transport } from "@postern/core"
import { Effect, Exit, Fiber, Redacted, References, Scope } from "effect"
import { Certificates } from "@postern/testing"
import * as fc from "fast-check"
import { createHash } from "node:crypto"
import Dns from "node:dns"
import { mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { afterEach, vi } from "vitest"
import { NodeTransport } from "../src/index.ts"
import {
  bytes,
  closed,
  dial,
  eventually,
  handles,
  readAll,
  reasonOf,
  received,
  secure,
  serve,
  text,
  turns
} from "./support.ts"

afterEach(() => Effect.runPromise(eventually(() => handles() === 0)))

/** The length of the pattern is prime, so pieces that are swapped or lost show. */
const noise = (length: number): Uint8Array =>
  Buffer.alloc(length, Uint8Array.from({ length: 4093 }, (_, index) => (index * 2654435761) >>> 24))
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
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

describe("dialling", () => {
  const unusedPort = Effect.scoped(Effect.map(serve(), (server) => server.port))

  it.live("a refused connection", () =>
    Effect.gen(function*() {
      const port = yield* unusedPort
      const reason = yield* reasonOf(dial(port))
      assert.deepStrictEqual(reason, {
        _tag: "ConnectFailed",
        host: "127.0.0.1",
        port,
        code: "ECONNREFUSED",
        detail: `connect ECONNREFUSED 127.0.0.1:${port}`
      })
    }))

  // A server that is told to listen by name or address asks, too: it comes first.
  const resolving = (addresses: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        vi.spyOn(Dns, "lookup").mockImplementation((...args: ReadonlyArray<unknown>) => {
          const callback = args.at(-1) as (error: null, addresses: ReadonlyArray<Dns.LookupAddress>) => void
          callback(null, addresses.map((address) => ({ address, family: Net.isIP(address) })))
        })
      ),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
  const twoAddresses = resolving(["127.0.0.3", "127.0.0.1"])

  it.live("of a name's addresses the next is tried when one fails", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 hi\r\n"))
      yield* twoAddresses
      const wire = yield* dial(server.port, "mx.test")
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
    }))

  it.live("when all of a name's addresses fail it tells of each", () =>
    Effect.gen(function*() {
      const port = yield* unusedPort
      yield* twoAddresses
      const reason = yield* reasonOf(dial(port, "mx.test"))
      assert.deepStrictEqual(reason, {
        _tag: "ConnectFailed",
        host: "mx.test",
        port,
        code: "ECONNREFUSED",
        detail: `connect ECONNREFUSED 127.0.0.3:${port}; connect ECONNREFUSED 127.0.0.1:${port}`
      })
    }))

  it.live("of a name's IPv6 and IPv4 addresses the one that answers wins", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 hi\r\n"))
      yield* resolving(["::1", "127.0.0.1"])
      const wire = yield* dial(server.port, "mx.test")
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
      yield* server.accept
    }))

  /** A port of the address that answers nothing: its one place in the queue is taken and nobody accepts. */
  const silence = (host: string, port: number) =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.callback<Worker>((resume) => {
          const worker = new Worker(
            `const { parentPort, workerData } = require("node:worker_threads")
            require("node:net").createServer().listen({ ...workerData, backlog: 1 }, () => {
              parentPort.postMessage("listening")
              Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
            })`,
            { eval: true, workerData: { host, port } }
          )
          worker.once("message", () => resume(Effect.succeed(worker)))
        }),
        (worker) => Effect.promise(() => worker.terminate())
      )
      yield* Effect.acquireRelease(
        Effect.callback<ReadonlyArray<Net.Socket>>((resume) => {
          const sockets = [1, 2].map(() => Net.connect(port, host).on("error", () => {}))
          let connected = 0
          sockets.forEach((socket) =>
            socket.once("connect", () => ++connected === sockets.length && resume(Effect.succeed(sockets)))
          )
        }),
        (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
      )
    })

  it.live("an address that does not answer costs a moment, not the connection", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 hi\r\n"))
      yield* silence("127.0.0.2", server.port)
      yield* resolving(["127.0.0.2", "127.0.0.1"])
      const wire = yield* dial(server.port, "mx.test")
      assert.strictEqual(text(yield* wire.read), "220 hi\r\n")
    }))

  it.live("an address that does not answer is waited for as long as the caller likes", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* silence("127.0.0.2", server.port)
      const before = handles()
      const fiber = yield* Effect.forkChild(dial(server.port, "127.0.0.2"), { startImmediately: true })
      yield* turns(20)
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(handles(), before + 1)
      yield* Fiber.interrupt(fiber)
      yield* eventually(() => handles() === before)
    }))

  it.live.each([-1, 65_536, 0.5])("port %d is none", (port) =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(dial(port))
      assert.strictEqual(reason._tag === "ConnectFailed" && reason.code, "ERR_SOCKET_BAD_PORT")
    }))

  it.live("interrupted, it leaves no socket behind", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.resume())
      const fiber = yield* Effect.forkChild(dial(server.port), { startImmediately: true })
      assert.strictEqual(handles(), 1)
      yield* Fiber.interrupt(fiber)
      yield* turns(5)
      yield* eventually(() => handles() === 0)
    }))

  it.live("failed, it leaves no socket behind", () =>
    Effect.gen(function*() {
      yield* reasonOf(dial(yield* unusedPort))
      yield* eventually(() => handles() === 0)
    }))

  it.live("goes out by the address and family asked for", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const open = (options: NodeTransport.Options, host: string) =>
        Effect.flatMap(Transport.Transport, (transport) => transport.open({ host, port: server.port })).pipe(
          Effect.provide(NodeTransport.layerOptions(options))
        )
      yield* open({ localAddress: "127.0.0.2", family: 4 }, "localhost")
      assert.strictEqual((yield* server.accept).remoteAddress, "127.0.0.2")
      const refused = yield* reasonOf(open({ family: 6 }, "localhost"))
      assert.strictEqual(refused._tag, "ConnectFailed")
      const invalid = yield* reasonOf(open({ localAddress: "nowhere" }, "localhost"))
      assert.strictEqual(invalid._tag, "ConnectFailed")
    }))
})

describe("a Unix socket", () => {
  const folder = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "postern-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const listen = (path: string, onSocket: (socket: Net.Socket) => void) => {
    const sockets: Array<Net.Socket> = []
    return Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => onSocket(socket.on("error", () => {})))
        server.on("connection", (socket) => sockets.push(socket)).listen(path, () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          sockets.forEach((socket) => socket.destroy())
          server.close(() => resume(Effect.void))
        })
    )
  }
  const openUnix = (unix: string) =>
    Effect.flatMap(Transport.Transport, (transport) => transport.open({ host: "lmtp.test", port: 24 })).pipe(
      Effect.provide(NodeTransport.layerOptions({ unix }))
    )

  it.live("is spoken over as TCP is, TLS included", () =>
    Effect.gen(function*() {
      const authority = yield* Certificates.authority("Test CA")
      const issued = yield* authority.issue({ name: "lmtp.test", dns: ["lmtp.test"] })
      const path = join(yield* folder, "lmtp")
      const options = { cert: issued.certificate, key: Redacted.value(issued.key) }
      yield* listen(path, (socket) => {
        socket.write("220 lmtp\r\n")
        socket.once("data", () => {
          socket.pause()
          socket.write("220 go ahead\r\n")
          secure(options, (secured) => secured.pipe(secured))(socket)
        })
      })
      const wire = yield* openUnix(path)
      assert.strictEqual(text(yield* wire.read), "220 lmtp\r\n")
      yield* wire.write(bytes("STARTTLS\r\n"))
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      yield* wire.upgradeTls({ serverName: "lmtp.test", ca: [authority.certificate] })
      yield* wire.write(bytes("LHLO\r\n"))
      assert.strictEqual(text(yield* wire.read), "LHLO\r\n")
    }))

  it.live("that is not there is named, for the server asked for", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "nothing")
      assert.deepStrictEqual(yield* reasonOf(openUnix(path)), {
        _tag: "ConnectFailed",
        host: "lmtp.test",
        port: 24,
        code: "ENOENT",
        detail: `connect ENOENT ${path}`
      })
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
