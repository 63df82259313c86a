import { assert, describe, it } from "@effect/vitest"
import { CramMd5, Plain, Transport } from "@postern/core"
import { Effect, Fiber, Redacted } from "effect"
import { InMemory, type ServerMachine } from "../../src/index.ts"
import { bytes, text } from "./support.ts"

const peer = { host: "mx.example", port: 25 }
const tls: Transport.TlsOptions = { serverName: "mx.example" }
const greeting = "220 mx.example ESMTP\r\n"
const message = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"

const dial = Effect.fnUntraced(function*(config: ServerMachine.Config, options?: InMemory.Options) {
  const server = yield* InMemory.make(config, options)
  return { server, wire: yield* server.transport.open(peer) }
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

/** Turns in which other fibers go on as far as they can. */
const turns = Effect.repeat(Effect.yieldNow, { times: 100 })

const say = (wire: Transport.Wire, line: string) => Effect.andThen(wire.write(bytes(line)), Effect.map(wire.read, text))

const reasonOf = <A>(effect: Effect.Effect<A, Transport.TransportError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("a session in memory", () => {
  it.effect("delivers, ends with Closed, and is remembered", () =>
    Effect.gen(function*() {
      const { server, wire } = yield* dial({})
      assert.strictEqual(text(yield* wire.read), greeting)
      yield* wire.write(bytes(message))
      const { reads, reason } = yield* readToEnd(wire)
      assert.match(reads.join(""), /^250-[^]*354 [^]*250 2\.0\.0 Ok: queued as 1\r\n221 2\.0\.0 Bye\r\n$/)
      assert.deepStrictEqual(reason, { _tag: "Closed" })
      assert.deepStrictEqual((yield* reasonOf(wire.write(bytes("NOOP\r\n"))))._tag, "Broken")
      const [delivered] = yield* server.inbox
      assert.strictEqual(text(delivered?.content ?? bytes("")), "hello\r\n")
      const [session] = yield* server.sessions
      assert.deepStrictEqual(session?.commands.map(({ _tag }) => _tag), ["Ehlo", "Mail", "Rcpt", "Data", "Quit"])
      assert.deepStrictEqual([session?.open, session?.tls], [false, false])
    }))

  it.effect("as a layer", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({})
      const sent = Effect.gen(function*() {
        const wire = yield* (yield* Transport.Transport).open(peer)
        yield* wire.write(bytes(message))
      })
      yield* Effect.provide(sent, server.layer)
      assert.lengthOf(yield* server.inbox, 1)
    }))

  it.effect("a client that waits for what does not come can be interrupted, and loses nothing", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({})
      yield* wire.read
      const waiting = yield* Effect.forkChild(wire.read, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      yield* wire.write(bytes("NOOP\r\n"))
      assert.strictEqual(text(yield* wire.read), "250 2.0.0 Ok\r\n")
    }))

  it.effect("a reader is woken by a write", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({})
      yield* wire.read
      const waiting = yield* Effect.forkChild(wire.read, { startImmediately: true })
      yield* wire.write(bytes("NOOP\r\n"))
      assert.strictEqual(text(yield* Fiber.join(waiting)), "250 2.0.0 Ok\r\n")
    }))

  it.effect("takes no more from a client that does not read", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({})
      const noops = bytes("NOOP\r\n".repeat(1000))
      let writes = 0
      const writer = yield* Effect.forkChild(
        Effect.forever(Effect.tap(wire.write(noops), () => Effect.sync(() => writes++))),
        { startImmediately: true }
      )
      yield* turns
      const before = writes
      yield* turns
      assert.strictEqual(writes, before)
      let drained = 0
      while (drained < 300_000) drained += (yield* wire.read).length
      yield* turns
      assert.isAbove(writes, before)
      yield* Fiber.interrupt(writer)
    }))

  it.effect("closes with its scope, and counts", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({})
      const wires = yield* Effect.scoped(
        Effect.gen(function*() {
          const wires = [yield* server.transport.open(peer), yield* server.transport.open(peer)]
          assert.strictEqual(yield* server.open, 2)
          return wires
        })
      )
      assert.strictEqual(yield* server.open, 0)
      yield* server.idle
      for (const wire of wires) {
        assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
        assert.strictEqual((yield* reasonOf(wire.write(bytes("NOOP\r\n"))))._tag, "Broken")
        assert.strictEqual((yield* reasonOf(wire.upgradeTls(tls)))._tag, "Broken")
      }
    }))

  it.effect("cuts what is read", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({}, { chunk: (whole) => Array.from(whole, (octet) => new Uint8Array([octet])) })
      yield* wire.write(bytes("QUIT\r\n"))
      const { reads } = yield* readToEnd(wire)
      assert.isTrue(reads.every((read) => read.length === 1))
      assert.strictEqual(reads.join(""), `${greeting}221 2.0.0 Bye\r\n`)
    }))

  it.effect("connections at the same time share what the server knows", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({ authBeforeTls: true, mechanisms: [CramMd5.cramMd5] })
      const wires = [yield* server.transport.open(peer), yield* server.transport.open(peer)]
      const replies: Array<string> = []
      for (const wire of wires) {
        yield* wire.read
        yield* wire.write(bytes(message.replace("QUIT", "AUTH CRAM-MD5")))
        replies.push(text(yield* wire.read))
      }
      assert.deepStrictEqual(replies.map((reply) => /queued as \d/.exec(reply)?.[0]), ["queued as 1", "queued as 2"])
      assert.strictEqual(new Set(replies.map((reply) => /^334 .*/m.exec(reply)?.[0])).size, 2)
      assert.strictEqual(yield* server.open, 2)
    }))

  it.effect("greylisting outlives a connection", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({ greylist: true })
      const attempt = Effect.gen(function*() {
        const wire = yield* server.transport.open(peer)
        yield* wire.write(bytes(message))
      }).pipe(Effect.scoped)
      yield* attempt
      assert.lengthOf(yield* server.inbox, 0)
      yield* attempt
      assert.lengthOf(yield* server.inbox, 1)
    }))
})

describe("TLS in memory", () => {
  const config: ServerMachine.Config = { mechanisms: [Plain.plain], accounts: { ann: Redacted.make("pw") } }

  const startTls = Effect.fnUntraced(function*(config: ServerMachine.Config, options?: InMemory.Options) {
    const dialled = yield* dial(config, options)
    yield* dialled.wire.read
    yield* say(dialled.wire, "EHLO c.example\r\n")
    yield* dialled.wire.write(bytes("STARTTLS\r\n"))
    return dialled
  })

  it.effect("STARTTLS", () =>
    Effect.gen(function*() {
      const { server, wire } = yield* startTls(config)
      assert.strictEqual(text(yield* wire.read), "220 2.0.0 Ready to start TLS\r\n")
      const facts = yield* wire.upgradeTls(tls)
      assert.deepStrictEqual([facts.version, facts.serverName, facts.verifiedBy], ["TLSv1.3", "mx.example", "chain"])
      assert.include(yield* say(wire, "EHLO c.example\r\n"), "250 AUTH PLAIN")
      assert.strictEqual((yield* server.sessions)[0]?.tls, true)
    }))

  it.effect("implicit TLS: nothing is said before the handshake", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({ ...config, implicitTls: true })
      const facts = yield* wire.upgradeTls({ ...tls, fingerprint: "00".repeat(32) })
      assert.strictEqual(facts.verifiedBy, "fingerprint")
      assert.strictEqual(text(yield* wire.read), greeting)
    }))

  it.effect("plaintext where TLS is expected is answered with an alert", () =>
    Effect.gen(function*() {
      const implicit = yield* dial({ implicitTls: true })
      yield* implicit.wire.write(bytes("EHLO c.example\r\n"))
      const { reads, reason } = yield* readToEnd(implicit.wire)
      assert.deepStrictEqual([reads, reason], [["\u0015\u0003\u0003\u0000\u0002\u0002\u0028"], { _tag: "Closed" }])
      const { wire } = yield* startTls(config)
      yield* wire.read
      yield* wire.write(bytes("EHLO c.example\r\n"))
      assert.deepStrictEqual((yield* readToEnd(wire)).reads, ["\u0015\u0003\u0003\u0000\u0002\u0002\u0028"])
    }))

  it.effect("buffered plaintext is refused, however it was cut", () =>
    Effect.gen(function*() {
      const inject = { ...config, injectAfterStartTls: "250 evil\r\n" }
      const { server, wire } = yield* startTls(inject)
      const unread = yield* reasonOf(wire.upgradeTls(tls))
      assert.deepStrictEqual(unread, {
        _tag: "PlaintextBuffered",
        bytes: bytes("220 2.0.0 Ready to start TLS\r\n250 evil\r\n")
      })
      assert.strictEqual(yield* server.open, 0)
      const lines = (whole: Uint8Array) => text(whole).split(/(?<=\n)/).map(bytes)
      const second = yield* dial(inject, { chunk: lines })
      yield* second.wire.write(bytes("EHLO c.example\r\nSTARTTLS\r\n"))
      let last = ""
      while (!last.startsWith("220 2.0.0")) last = text(yield* second.wire.read)
      assert.deepStrictEqual(yield* reasonOf(second.wire.upgradeTls(tls)), {
        _tag: "PlaintextBuffered",
        bytes: bytes("250 evil\r\n")
      })
      assert.strictEqual((yield* reasonOf(second.wire.read))._tag, "Broken")
    }))

  it.effect("a server that expects no TLS", () =>
    Effect.gen(function*() {
      const { wire } = yield* dial({})
      assert.deepStrictEqual(yield* reasonOf(wire.upgradeTls(tls)), { _tag: "NotTls", firstBytes: bytes(greeting) })
      const later = yield* dial({})
      yield* later.wire.read
      assert.deepStrictEqual(yield* reasonOf(later.wire.upgradeTls(tls)), { _tag: "NotTls", firstBytes: undefined })
    }))
})
