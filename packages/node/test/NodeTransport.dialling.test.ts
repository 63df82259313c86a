import { assert, describe, it } from "@effect/vitest"
import { Transport } from "@postern/core"
import { Certificates } from "@postern/testing"
import { Effect, Fiber, Redacted } from "effect"
import Dns from "node:dns"
import { mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { afterEach, vi } from "vitest"
import { NodeTransport } from "../src/index.ts"
import { bytes, dial, eventually, handles, reasonOf, secure, serve, text, turns } from "./support.ts"

afterEach(() => Effect.runPromise(eventually(() => handles() === 0)))

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
