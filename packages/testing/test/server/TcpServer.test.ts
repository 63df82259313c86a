import { assert, describe, it } from "@effect/vitest"
import { Plain, Reply } from "@postern/core"
import { Effect, Redacted } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Certificates, type ServerMachine, TcpServer } from "../../src/index.ts"
import { text } from "./support.ts"

/** A client that remembers all it was sent. */
interface Client {
  readonly socket: Net.Socket
  readonly heard: () => string
  /** Waits until the pattern fits what was heard, or the end of the connection. */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  readonly closed: Effect.Effect<string>
}

const listen = (socket: Net.Socket): Client => {
  let heard = ""
  const wakers = new Set<() => void>()
  const wake = () => wakers.forEach((check) => check())
  socket.on("data", (chunk: Uint8Array) => {
    heard += text(chunk)
    wake()
  })
  socket.on("error", () => {}).on("close", wake)
  const when = (holds: () => boolean) =>
    Effect.callback<string>((resume) => {
      const check = () => {
        if (!holds()) return
        wakers.delete(check)
        resume(Effect.succeed(heard))
      }
      wakers.add(check)
      check()
    })
  return {
    socket,
    heard: () => heard,
    until: (pattern) => when(() => pattern.test(heard) || socket.destroyed),
    closed: when(() => socket.destroyed)
  }
}

const dial = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Net.connect({ host: "127.0.0.1", port })),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    listen
  )

const certificates = Effect.gen(function*() {
  const authority = yield* Certificates.authority("Test CA")
  const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"], ip: ["127.0.0.1"] })
  return { authority, tls }
})

/** The socket with its TLS; listeners for plaintext are gone. */
const secure = (client: Client, options: Tls.ConnectionOptions): Client =>
  listen(Tls.connect({ ...options, socket: client.socket.removeAllListeners("data"), servername: "localhost" }))

const message = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\n"

const sockets = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name)).length

describe("TcpServer", () => {
  it.live("takes a message, pipelined or line by line", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({})
      const pipelining = yield* dial(server.port)
      pipelining.socket.write(`${message}QUIT\r\n`)
      const heard = yield* pipelining.closed
      assert.match(heard, /^220 [^]*\r\n354 [^]*\r\n250 2\.0\.0 Ok: queued as 1\r\n221 2\.0\.0 Bye\r\n$/)
      assert.notInclude(heard, "STARTTLS")
      const patient = yield* dial(server.port)
      yield* patient.until(/\n/)
      for (const line of message.split(/(?<=\n)/)) patient.socket.write(line)
      yield* patient.until(/queued as 2/)
      assert.strictEqual(yield* server.open, 1)
      patient.socket.end("QUIT\r\n")
      yield* server.idle
      assert.deepStrictEqual((yield* server.inbox).map(({ content }) => text(content)), ["hello\r\n", "hello\r\n"])
      assert.deepStrictEqual((yield* server.sessions).map(({ open }) => open), [false, false])
    }))

  it.live("STARTTLS, with what was pipelined behind it discarded", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const config: ServerMachine.Config = { mechanisms: [Plain.plain], accounts: { ann: Redacted.make("secret") } }
      const server = yield* TcpServer.make(config, { tls })
      const plain = yield* dial(server.port)
      plain.socket.write("EHLO c.example\r\n")
      assert.notInclude(yield* plain.until(/^250 /m), "AUTH")
      plain.socket.write("STARTTLS\r\nMAIL FROM:<evil@b.example>\r\n")
      yield* plain.until(/^220 2\.0\.0 /m)
      const client = secure(plain, { ca: authority.certificate })
      client.socket.write("EHLO c.example\r\nRCPT TO:<c@d.example>\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n")
      assert.match(yield* client.until(/^235 /m), /^250-[^]*250 AUTH PLAIN\r\n503 5\.5\.1 [^]*235 2\.7\.0/)
      client.socket.write(message)
      yield* client.until(/queued as 1/)
      client.socket.end("QUIT\r\n")
      yield* server.idle
      const [delivered] = yield* server.inbox
      assert.deepStrictEqual([delivered?.tls, delivered?.identity], [true, "ann"])
      assert.notInclude((yield* server.sessions)[0]?.commands.map(({ _tag }) => _tag).slice(0, 4).join(), "Mail")
    }))

  it.live("injects what it is told to, in front of the handshake", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const server = yield* TcpServer.make({ injectAfterStartTls: "250 evil\r\n" }, { tls })
      const plain = yield* dial(server.port)
      plain.socket.write("EHLO c.example\r\nSTARTTLS\r\n")
      assert.match(yield* plain.until(/evil\r\n/), /220 2\.0\.0 Ready to start TLS\r\n250 evil\r\n$/)
      const client = secure(plain, { ca: authority.certificate })
      client.socket.write("NOOP\r\n")
      assert.strictEqual(yield* client.until(/\n/), "250 2.0.0 Ok\r\n")
    }))

  it.live("implicit TLS", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const server = yield* TcpServer.make({ implicitTls: true }, { tls })
      const client = secure(yield* dial(server.port), { ca: authority.certificate })
      assert.strictEqual(yield* client.until(/\n/), "220 mx.example ESMTP\r\n")
      // TLS is there, so it is not offered.
      client.socket.write("EHLO c.example\r\n")
      assert.notInclude(yield* client.until(/^250 /m), "STARTTLS")
    }))

  it.live("a handshake that comes to nothing ends the connection", () =>
    Effect.gen(function*() {
      const { tls } = yield* certificates
      const server = yield* TcpServer.make({ implicitTls: true }, { tls })
      const plain = yield* dial(server.port)
      plain.socket.write("EHLO c.example\r\n")
      assert.strictEqual(yield* plain.closed, "")
      yield* server.idle
      const starting = yield* TcpServer.make({}, { tls })
      for (
        const leave of [
          (socket: Net.Socket) => socket.resetAndDestroy(),
          (socket: Net.Socket) => socket.end(),
          (socket: Net.Socket) => socket.write("QUIT\r\n")
        ]
      ) {
        const client = yield* dial(starting.port)
        client.socket.write("EHLO c.example\r\nSTARTTLS\r\n")
        yield* client.until(/^220 2\.0\.0 /m)
        leave(client.socket)
        yield* starting.idle
      }
      assert.lengthOf(yield* starting.sessions, 3)
    }))

  it.live("asks for client certificates and means it", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const server = yield* TcpServer.make({}, { tls: { ...tls, clientAuthority: authority.certificate } })
      const known = yield* authority.issue({ name: "client", use: "client" })
      const unknown = yield* Certificates.selfSigned({ name: "client", use: "client" })
      const noop = Effect.fnUntraced(function*(certificate: Certificates.Issued | undefined) {
        const plain = yield* dial(server.port)
        plain.socket.write("EHLO c.example\r\nSTARTTLS\r\n")
        yield* plain.until(/^220 2\.0\.0 /m)
        const own = certificate && { cert: certificate.certificate, key: Redacted.value(certificate.key) }
        const client = secure(plain, { ca: authority.certificate, ...own })
        client.socket.write("NOOP\r\n")
        const heard = yield* client.until(/\n/)
        client.socket.destroy()
        return heard
      })
      assert.strictEqual(yield* noop(known), "250 2.0.0 Ok\r\n")
      assert.strictEqual(yield* noop(unknown), "")
      assert.strictEqual(yield* noop(undefined), "")
      yield* server.idle
    }))

  it.live("abrupt ends at any point leave nothing", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({})
      const silent = yield* dial(server.port)
      yield* silent.until(/^220 /)
      silent.socket.resetAndDestroy()
      yield* server.idle
      const half = yield* dial(server.port)
      half.socket.write(message.slice(0, -5))
      yield* half.until(/^354 /m)
      half.socket.resetAndDestroy()
      yield* server.idle
      assert.lengthOf(yield* server.inbox, 0)
      const early = yield* dial(server.port)
      early.socket.end(message)
      yield* early.closed
      yield* server.idle
      assert.lengthOf(yield* server.inbox, 1)
    }))

  it.live("abrupt ends under TLS: a reset, and octets that are no TLS", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const server = yield* TcpServer.make({ implicitTls: true }, { tls })
      for (const leave of [(raw: Net.Socket) => raw.resetAndDestroy(), (raw: Net.Socket) => raw.write("QUIT\r\n")]) {
        const plain = yield* dial(server.port)
        const client = secure(plain, { ca: authority.certificate })
        client.socket.write("NOOP\r\n")
        yield* client.until(/^250 /m)
        leave(plain.socket)
        yield* server.idle
      }
    }))

  it.live("stops reading from a client that does not read", () =>
    Effect.gen(function*() {
      // 20 MB of replies: more than the buffers on the way take.
      const commands = 40_000
      const server = yield* TcpServer.make({ reply: () => Reply.make(214, "x".repeat(500)) })
      const client = yield* dial(server.port)
      yield* client.until(/^214 x/)
      client.socket.pause()
      client.socket.write("HELP\r\n".repeat(commands))
      const answered = Effect.map(server.sessions, ([session]) => session?.commands.length ?? 0)
      // Until it stands still, which it would with all of them answered if nothing stopped it.
      let before = -1
      for (let now = 0; now > before || now === 0; now = yield* answered) {
        before = now
        for (let turn = 0; turn < 100; turn++) yield* turnOfLoop
      }
      assert.isBelow(before, commands)
      client.socket.resume()
      client.socket.end()
      yield* client.closed
      assert.strictEqual(yield* answered, commands)
    }))

  it.live("takes no more connections than it may", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({ maxConnections: 1 })
      const first = yield* dial(server.port)
      yield* first.until(/^220 /)
      const second = yield* dial(server.port)
      assert.strictEqual(yield* second.closed, "421 4.7.0 mx.example Too many connections, try again later\r\n")
      first.socket.end("QUIT\r\n")
      yield* server.idle
      const third = yield* dial(server.port)
      assert.match(yield* third.until(/^220 /), /^220 /)
    }))

  it.live("closes what is open with its scope", () =>
    Effect.gen(function*() {
      const { authority, tls } = yield* certificates
      const clients = yield* Effect.scoped(
        Effect.gen(function*() {
          const server = yield* TcpServer.make({}, { tls })
          const plain = listen(Net.connect({ host: "127.0.0.1", port: server.port }))
          yield* plain.until(/^220 /)
          const starting = listen(Net.connect({ host: "127.0.0.1", port: server.port }))
          starting.socket.write("EHLO c.example\r\nSTARTTLS\r\n")
          yield* starting.until(/^220 2\.0\.0 /m)
          const secured = listen(Net.connect({ host: "127.0.0.1", port: server.port }))
          secured.socket.write("EHLO c.example\r\nSTARTTLS\r\n")
          yield* secured.until(/^220 2\.0\.0 /m)
          const client = secure(secured, { ca: authority.certificate })
          client.socket.write("NOOP\r\n")
          yield* client.until(/^250/)
          assert.strictEqual(yield* server.open, 3)
          return [plain, starting, client]
        })
      )
      for (const client of clients) yield* client.closed
      for (let turn = 0; turn < 20 && sockets() > 0; turn++) yield* turnOfLoop
      assert.strictEqual(sockets(), 0)
    }))

  it.live("tells why it cannot start", () =>
    Effect.gen(function*() {
      const server = yield* TcpServer.make({})
      const reasonOf = (config: ServerMachine.Config, options: TcpServer.Options) =>
        Effect.map(Effect.flip(TcpServer.make(config, options)), ({ reason }) => reason)
      assert.strictEqual(yield* reasonOf({}, { port: server.port }), "cannot listen")
      assert.strictEqual(yield* reasonOf({}, { port: 70_000 }), "cannot listen")
      assert.strictEqual(yield* reasonOf({ startTls: true }, {}), "no certificate")
      assert.strictEqual(yield* reasonOf({ implicitTls: true }, {}), "no certificate")
      assert.strictEqual(yield* reasonOf({}, { tls: { certificate: "x", key: Redacted.make("y") } }), "bad certificate")
    }))
})

const turnOfLoop = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
