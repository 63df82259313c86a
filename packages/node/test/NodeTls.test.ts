import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@postern/core"
import { Clock, Effect, Exit, Fiber, Redacted, References, type Scope } from "effect"
import * as Net from "node:net"
import type * as Tls from "node:tls"
import { afterEach } from "vitest"
import { Certificates } from "@postern/testing"
import { handshake } from "../src/NodeTls.ts"
import { ofConnection } from "../src/TlsProblem.ts"
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

const serverName = "mx.test"
const day = 24 * 60 * 60 * 1000

const pair = (issued: Certificates.Issued) => ({ cert: issued.certificate, key: Redacted.value(issued.key) })

/** What the server does once it is secure, unless a test says otherwise. */
const greet = (socket: Net.Socket) => void socket.write("250 secure\r\n")

/** A server that speaks TLS from the first byte, and a wire to it. */
const implicit = Effect.fnUntraced(
  function*(options: Tls.TlsOptions, onSecure: (socket: Tls.TLSSocket) => void = greet) {
    const server = yield* serve(secure(options, onSecure))
    return yield* dial(server.port)
  }
)

/** Passes everything on to the port, both ways, and shows what the client sends. */
const relay = (port: number, onSent: (data: Buffer) => void = () => {}) =>
  serve((socket) => {
    const onward = Net.connect(port, "127.0.0.1").on("error", () => {})
    socket.on("close", () => onward.destroy()).on("data", onSent).pipe(onward).pipe(socket)
  })

const problemOf = (effect: Effect.Effect<unknown, Transport.TransportError, Scope.Scope>) =>
  Effect.map(reasonOf(effect), (reason) => (reason._tag === "CertificateRefused" ? reason.problem : reason._tag))

const authority = Certificates.authority("Test CA")

const setting = Effect.gen(function*() {
  const ca = yield* authority
  const issued = yield* ca.issue({ name: serverName, dns: [serverName], ip: ["127.0.0.1", "::1"] })
  return { ca, issued, trust: { serverName, ca: [ca.certificate] } satisfies Transport.TlsOptions }
})

describe("upgradeTls", () => {
  it.live("in place, after plaintext both ways", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const server = yield* serve((socket) => {
        socket.write("220 mx\r\n")
        socket.once("data", () => {
          socket.pause()
          socket.write("220 go ahead\r\n")
          secure(pair(issued), (secured) => secured.pipe(secured))(socket)
        })
      })
      const wire = yield* dial(server.port)
      assert.strictEqual(text(yield* wire.read), "220 mx\r\n")
      yield* wire.write(bytes("STARTTLS\r\n"))
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      const facts = yield* wire.upgradeTls(trust)
      assert.deepStrictEqual(
        facts.channelBindings?.map(({ data, type }) => [type, data.length]),
        [["tls-exporter", 32], ["tls-server-end-point", 32]]
      )
      assert.deepStrictEqual({ ...facts, certificate: undefined, channelBindings: undefined }, {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        serverName,
        verifiedBy: "chain",
        certificate: undefined,
        channelBindings: undefined
      })
      assert.isDefined(facts.certificate)
      assert.strictEqual(facts.certificate.subject, `CN=${serverName}`)
      assert.strictEqual(facts.certificate.issuer, "CN=Test CA")
      assert.strictEqual(facts.certificate.fingerprint, issued.fingerprint)
      const now = yield* Clock.currentTimeMillis
      assert.isBelow(Date.parse(facts.certificate.validFrom), now)
      assert.isAbove(Date.parse(facts.certificate.validTo), now)

      const sent = new Uint8Array(3 * 1024 * 1024).fill(7)
      const writer = yield* Effect.forkChild(wire.write(sent))
      assert.deepStrictEqual((yield* readAll(wire, sent.length)).length, sent.length)
      yield* Fiber.join(writer)
    }))

  it.live("what the server says with the end of the handshake is read", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit(pair(issued))
      yield* wire.upgradeTls(trust)
      yield* turns(5)
      assert.strictEqual(text(yield* wire.read), "250 secure\r\n")
    }))

  it.live("the end in good order", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit(pair(issued), (socket) => socket.end("221 bye\r\n"))
      yield* wire.upgradeTls(trust)
      assert.strictEqual(text(yield* wire.read), "221 bye\r\n")
      assert.deepStrictEqual(yield* reasonOf(wire.read), { _tag: "Closed" })
    }))

  it.live.each([3, 4, 5, 7])("a writer that yields every %i steps misses no drain", (steps) =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      let length = 0
      const wire = yield* implicit(pair(issued), (socket) => {
        socket.on("data", (data: Uint8Array) => length += data.length)
      })
      yield* wire.upgradeTls(trust)
      const chunk = new Uint8Array(100_000)
      yield* Effect.forEach(Array.from({ length: 30 }), () => wire.write(chunk), { discard: true })
      yield* eventually(() => length === 30 * chunk.length)
    }).pipe(Effect.provideService(References.MaxOpsBeforeYield, steps)))

  it.live.each([3, 4, 5, 7])("ended at once, while the fibre yields every %i steps", (steps) =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit(pair(issued), (socket) => socket.end("221 bye\r\n"))
      yield* wire.upgradeTls(trust)
      assert.strictEqual(text(yield* wire.read), "221 bye\r\n")
      assert.deepStrictEqual(yield* reasonOf(wire.read), { _tag: "Closed" })
      const silent = yield* implicit(pair(issued), (socket) => socket.end())
      yield* silent.upgradeTls(trust)
      assert.include(["Closed", "Broken"], (yield* reasonOf(silent.read))._tag)
    }).pipe(Effect.provideService(References.MaxOpsBeforeYield, steps)))

  it.live("a reset", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const server = yield* serve(secure(pair(issued), greet))
      const between = yield* relay(server.port)
      const wire = yield* dial(between.port)
      yield* wire.upgradeTls(trust)
      yield* wire.read
      const socket = yield* between.accept
      const reader = yield* Effect.forkChild(reasonOf(wire.read), { startImmediately: true })
      socket.resetAndDestroy()
      const reason = yield* Fiber.join(reader)
      assert.strictEqual(reason._tag === "Broken" && reason.code, "ECONNRESET")
    }))

  it.live("a writer over TLS waits for a slow reader and loses nothing", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      let peer: Tls.TLSSocket | undefined
      const wire = yield* implicit(pair(issued), (socket) => peer = socket.pause())
      yield* wire.upgradeTls(trust)
      const sent = new Uint8Array(24 * 1024 * 1024)
      const writer = yield* Effect.forkChild(wire.write(sent), { startImmediately: true })
      yield* turns(100)
      assert.isUndefined(writer.pollUnsafe())
      let length = 0
      peer?.on("data", (data: Uint8Array) => length += data.length).resume()
      yield* Fiber.join(writer)
      yield* eventually(() => length === sent.length)
    }))

  it.live("the scope's end sends close_notify", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const server = yield* serve(secure({ ...pair(issued), maxVersion: "TLSv1.2" }, (socket) => socket.resume()))
      const seen: Array<Buffer> = []
      const between = yield* relay(server.port, (data) => seen.push(data))
      yield* Effect.scoped(Effect.flatMap(dial(between.port), (wire) => wire.upgradeTls(trust)))
      yield* closed(yield* between.accept)
      const types: Array<number> = []
      const all = Buffer.concat(seen)
      for (let at = 0; at < all.length; at += 5 + all.readUInt16BE(at + 3)) {
        types.push(all[at] ?? -1)
      }
      // RFC 5246 §6.2.1: 22 is handshake, 20 change_cipher_spec, 21 alert.
      assert.strictEqual(types.at(-1), 21)
    }))
})

describe("plaintext before the handshake", () => {
  it.live("received and unread", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 go ahead\r\n250 injected\r\n"))
      const wire = yield* dial(server.port)
      yield* turns(5)
      const reason = yield* reasonOf(wire.upgradeTls({ serverName }))
      assert.strictEqual(reason._tag === "PlaintextBuffered" && text(reason.bytes), "220 go ahead\r\n250 injected\r\n")
      assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
      yield* closed(yield* server.accept)
    }))

  it.live("received after the last read", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.write("220 go ahead\r\n"))
      const wire = yield* dial(server.port)
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      const socket = yield* server.accept
      socket.write("250 injected\r\n")
      yield* turns(5)
      const reason = yield* reasonOf(wire.upgradeTls({ serverName }))
      assert.strictEqual(reason._tag === "PlaintextBuffered" && text(reason.bytes), "250 injected\r\n")
    }))

  it.live("still in the kernel it is no TLS record, and never read as an answer", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const server = yield* serve((socket) => {
        socket.write("250 injected\r\n")
        secure(pair(issued), greet)(socket)
      })
      const wire = yield* dial(server.port)
      assert.strictEqual((yield* reasonOf(wire.upgradeTls(trust)))._tag, "NotTls")
      assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
    }))
})

describe("the server's identity", () => {
  it.live("is refused without an authority that is trusted", () =>
    Effect.gen(function*() {
      const { issued } = yield* setting
      const other = yield* Certificates.authority("Other CA")
      const wire = yield* implicit(pair(issued))
      assert.strictEqual(yield* problemOf(wire.upgradeTls({ serverName })), "unknown-ca")
      const again = yield* implicit(pair(issued))
      assert.strictEqual(yield* problemOf(again.upgradeTls({ serverName, ca: [other.certificate] })), "unknown-ca")
    }))

  it.live("no environment variable switches it off", () =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"),
        () => Effect.sync(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"])
      )
      const { issued } = yield* setting
      const wire = yield* implicit(pair(issued))
      assert.strictEqual(yield* problemOf(wire.upgradeTls({ serverName })), "unknown-ca")
    }))

  it.live("self-signed", () =>
    Effect.gen(function*() {
      const issued = yield* Certificates.selfSigned({ name: serverName, dns: [serverName] })
      const wire = yield* implicit(pair(issued))
      assert.strictEqual(yield* problemOf(wire.upgradeTls({ serverName })), "self-signed")
      const trusting = yield* implicit(pair(issued))
      const facts = yield* trusting.upgradeTls({ serverName, ca: [issued.certificate] })
      assert.strictEqual(facts.verifiedBy, "chain")
    }))

  it.live("expired, and not yet valid", () =>
    Effect.gen(function*() {
      const { ca, trust } = yield* setting
      const now = yield* Clock.currentTimeMillis
      const names = { name: serverName, dns: [serverName] }
      const old = yield* ca.issue({ ...names, notBefore: now - 3 * day, notAfter: now - day })
      const young = yield* ca.issue({ ...names, notBefore: now + day, notAfter: now + 3 * day })
      assert.strictEqual(yield* problemOf((yield* implicit(pair(old))).upgradeTls(trust)), "expired")
      assert.strictEqual(yield* problemOf((yield* implicit(pair(young))).upgradeTls(trust)), "not-yet-valid")
    }))

  it.live("a client's certificate is not a server's", () =>
    Effect.gen(function*() {
      const { ca, trust } = yield* setting
      const issued = yield* ca.issue({ name: serverName, dns: [serverName], use: "client" })
      assert.strictEqual(yield* problemOf((yield* implicit(pair(issued))).upgradeTls(trust)), "other")
    }))

  it.live("the wrong name is refused, and nothing more is said to the server", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const server = yield* serve(secure(pair(issued)))
      const wire = yield* dial(server.port)
      const reason = yield* reasonOf(wire.upgradeTls({ ...trust, serverName: "evil.test" }))
      assert.strictEqual(reason._tag === "CertificateRefused" && reason.problem, "wrong-name")
      assert.include(reason._tag === "CertificateRefused" ? reason.detail : "", serverName)
      assert.strictEqual((yield* reasonOf(wire.write(bytes("EHLO\r\n"))))._tag, "Broken")
      yield* closed(yield* server.accept)
    }))

  it.live.each(["127.0.0.1", "::1"])("%s as the name: matched, and kept out of SNI", (ip) =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      let sni: unknown
      const wire = yield* implicit(pair(issued), (socket) => {
        sni = (socket as Tls.TLSSocket & { servername: unknown }).servername
        greet(socket)
      })
      yield* wire.upgradeTls({ ...trust, serverName: ip })
      yield* wire.read
      assert.strictEqual(sni, false)
    }))

  it.live("an address that the certificate lacks", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit(pair(issued))
      assert.strictEqual(yield* problemOf(wire.upgradeTls({ ...trust, serverName: "127.0.0.2" })), "wrong-name")
    }))

  it.live("a name goes into SNI", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      let sni: unknown
      const wire = yield* implicit(pair(issued), (socket) => {
        sni = (socket as Tls.TLSSocket & { servername: unknown }).servername
        greet(socket)
      })
      yield* wire.upgradeTls(trust)
      yield* wire.read
      assert.strictEqual(sni, serverName)
    }))
})

describe("a session", () => {
  const resuming = Effect.fnUntraced(function*(options: Tls.TlsOptions = {}) {
    const { issued, trust } = yield* setting
    const reused: Array<boolean> = []
    // Each connection has a server of its own here: they must be able to read each other's tickets.
    const ticketKeys = Buffer.alloc(48, 7)
    const server = yield* serve(secure({ ...pair(issued), ticketKeys, ...options }, (socket) => {
      reused.push(socket.isSessionReused())
      greet(socket)
    }))
    const connect = (trusting: Transport.TlsOptions) =>
      Effect.scoped(Effect.gen(function*() {
        const wire = yield* dial(server.port)
        const facts = yield* wire.upgradeTls(trusting)
        yield* wire.read
        return facts
      }))
    return { connect, issued, reused, trust }
  })

  for (const version of ["TLSv1.3", "TLSv1.2"] as const) {
    it.live(`is resumed by the next connection with the same options, and tells the same (${version})`, () =>
      Effect.gen(function*() {
        const { connect, reused, trust } = yield* resuming({ maxVersion: version })
        const first = yield* connect(trust)
        const second = yield* connect(trust)
        assert.deepStrictEqual(reused, [false, true])
        const told = (facts: Transport.TlsFacts) => ({ ...facts, channelBindings: undefined })
        assert.deepStrictEqual(told(second), told(first))
        const exporter = ({ channelBindings = [] }: Transport.TlsFacts) =>
          channelBindings.find(({ type }) => type === "tls-exporter")?.data
        if (version === "TLSv1.3") assert.notDeepEqual(exporter(second), exporter(first))
      }))
  }

  it.live("is not resumed under other options: these trust something else", () =>
    Effect.gen(function*() {
      const { connect, issued, reused, trust } = yield* resuming()
      yield* connect(trust)
      yield* connect({ ...trust })
      const wrong = yield* problemOf(connect({ serverName, fingerprint: "00".repeat(32) }))
      assert.strictEqual(wrong, "wrong-fingerprint")
      assert.strictEqual(yield* problemOf(connect({ serverName })), "unknown-ca")
      assert.isFalse(reused.includes(true))
      const pinned: Transport.TlsOptions = { serverName: "any.test", fingerprint: issued.fingerprint }
      yield* connect(pinned)
      assert.strictEqual((yield* connect(pinned)).verifiedBy, "fingerprint")
      assert.isTrue(reused.at(-1))
    }))

  it.live("that failed verification is never kept", () =>
    Effect.gen(function*() {
      const { connect, reused } = yield* resuming()
      const untrusting: Transport.TlsOptions = { serverName }
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* problemOf(connect(untrusting)), "unknown-ca")
      assert.isFalse(reused.includes(true))
    }))
})

describe("a pinned certificate", () => {
  const pinned = (fingerprint: string): Transport.TlsOptions => ({ serverName: "any.test", fingerprint })

  it.live("takes the place of chain, dates and name, in any spelling", () =>
    Effect.gen(function*() {
      const issued = yield* Certificates.selfSigned({ name: serverName, notBefore: 0, notAfter: day })
      const colons = issued.fingerprint.toUpperCase().match(/../g)?.join(":") ?? ""
      for (const fingerprint of [issued.fingerprint, colons]) {
        const wire = yield* implicit(pair(issued))
        const facts = yield* wire.upgradeTls(pinned(fingerprint))
        assert.strictEqual(facts.verifiedBy, "fingerprint")
        assert.strictEqual(facts.certificate?.fingerprint, issued.fingerprint)
        assert.strictEqual(text(yield* wire.read), "250 secure\r\n")
      }
    }))

  it.live("another certificate is refused before anything is said, trusted or not", () =>
    Effect.gen(function*() {
      const { ca, issued, trust } = yield* setting
      const other = yield* ca.issue({ name: serverName, dns: [serverName] })
      let said = ""
      const server = yield* serve(secure(pair(issued), (socket) => socket.on("data", (data) => said += text(data))))
      const wire = yield* dial(server.port)
      const reason = yield* reasonOf(wire.upgradeTls({ ...trust, fingerprint: other.fingerprint }))
      assert.strictEqual(reason._tag === "CertificateRefused" && reason.problem, "wrong-fingerprint")
      const detail = reason._tag === "CertificateRefused" ? reason.detail : ""
      assert.include(detail, issued.fingerprint)
      assert.include(detail, other.fingerprint)
      yield* closed(yield* server.accept)
      assert.strictEqual(said, "")
    }))

  it.live.each(["", "abc", "z".repeat(64), "ab".repeat(20), "0".repeat(65)])(
    "%o is no fingerprint",
    (fingerprint) =>
      Effect.gen(function*() {
        const { issued } = yield* setting
        const reason = yield* reasonOf((yield* implicit(pair(issued))).upgradeTls(pinned(fingerprint)))
        assert.strictEqual(reason._tag === "CertificateRefused" && reason.problem, "wrong-fingerprint")
        assert.include(reason._tag === "CertificateRefused" ? reason.detail : "", "64 digits")
      })
  )
})

describe("versions", () => {
  const only = (version: Tls.SecureVersion) => ({ minVersion: version, maxVersion: version })
  const legacy = { ...only("TLSv1.1"), ciphers: "DEFAULT@SECLEVEL=0" }

  it.live.each(["TLSv1.2", "TLSv1.3"] as const)("%s is spoken", (version) =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit({ ...pair(issued), ...only(version) })
      const facts = yield* wire.upgradeTls(trust)
      assert.strictEqual(facts.version, version)
      assert.match(facts.cipher, /^TLS_/)
      assert.strictEqual(text(yield* wire.read), "250 secure\r\n")
    }))

  it.live("TLS 1.1 only when asked for", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const options = { ...pair(issued), ...legacy }
      const reason = yield* reasonOf((yield* implicit(options)).upgradeTls(trust))
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.include(reason._tag === "HandshakeFailed" ? reason.detail : "", "version")
      const facts = yield* (yield* implicit(options)).upgradeTls({ ...trust, minVersion: "TLSv1.1" })
      assert.strictEqual(facts.version, "TLSv1.1")
    }))

  it.live("a lower bound holds", () =>
    Effect.gen(function*() {
      const { issued, trust } = yield* setting
      const wire = yield* implicit({ ...pair(issued), ...only("TLSv1.2") })
      const reason = yield* reasonOf(wire.upgradeTls({ ...trust, minVersion: "TLSv1.3" }))
      assert.strictEqual(reason._tag, "HandshakeFailed")
    }))
})

describe("servers that do not speak TLS", () => {
  it.live.each(["220 mx ESMTP\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\0\0\0\0"])(
    "%o",
    (answer) =>
      Effect.gen(function*() {
        const server = yield* serve((socket) => socket.once("data", () => socket.write(answer)))
        const wire = yield* dial(server.port)
        assert.strictEqual((yield* reasonOf(wire.upgradeTls({ serverName })))._tag, "NotTls")
        yield* closed(yield* server.accept)
      })
  )

  it.live("those that hang up, reset or are gone already", () =>
    Effect.gen(function*() {
      for (
        const farewell of [
          (socket: Net.Socket) => socket.once("data", () => socket.end()),
          (socket: Net.Socket) => socket.once("data", () => socket.resetAndDestroy()),
          (socket: Net.Socket) => socket.end()
        ]
      ) {
        const server = yield* serve(farewell)
        const wire = yield* dial(server.port)
        const reason = yield* reasonOf(wire.upgradeTls({ serverName }))
        assert.strictEqual(reason._tag === "HandshakeFailed" && reason.code, "ECONNRESET")
      }
    }))

  it.live("one that ended after its last reply", () =>
    Effect.gen(function*() {
      const server = yield* serve((socket) => socket.end("220 go ahead\r\n"))
      const wire = yield* dial(server.port)
      assert.strictEqual(text(yield* wire.read), "220 go ahead\r\n")
      const reason = yield* reasonOf(wire.upgradeTls({ serverName }))
      assert.include(["Closed", "HandshakeFailed"], reason._tag)
      const other = yield* dial(server.port)
      yield* other.read
      yield* turns(5)
      assert.deepStrictEqual(yield* reasonOf(other.upgradeTls({ serverName })), { _tag: "Closed" })
    }))

  it.live("one whose connection is gone is not waited for", () =>
    Effect.gen(function*() {
      const socket = new Net.Socket().destroy()
      yield* turns(1)
      const reason = yield* reasonOf(handshake(socket, { serverName }))
      assert.strictEqual(reason._tag, "HandshakeFailed")
    }))

  it.live("one that never answers can be interrupted", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const wire = yield* dial(server.port)
      const socket = yield* server.accept
      const fiber = yield* Effect.forkChild(wire.upgradeTls({ serverName }), { startImmediately: true })
      // A ClientHello is a handshake record.
      assert.strictEqual((yield* received(socket))[0], 22)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* closed(socket)
      yield* eventually(() => handles() === 0)
      assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
      assert.strictEqual((yield* reasonOf(wire.write(bytes("x"))))._tag, "Broken")
    }))
})

describe("client certificates", () => {
  const strict = Effect.gen(function*() {
    const { ca, issued, trust } = yield* setting
    const client = yield* ca.issue({ name: "client", use: "client" })
    return {
      client,
      trust,
      server: { ...pair(issued), ca: ca.certificate, requestCert: true, rejectUnauthorized: true }
    }
  })

  it.live("is shown to a server that asks", () =>
    Effect.gen(function*() {
      const { client, server, trust } = yield* strict
      const wire = yield* implicit(server, (socket) => {
        socket.write(`250 ${socket.getPeerX509Certificate()?.subject}\r\n`)
      })
      yield* wire.upgradeTls({ ...trust, client })
      assert.strictEqual(text(yield* wire.read), "250 CN=client\r\n")
    }))

  it.live("a missing one, TLS 1.3: the first read tells", () =>
    Effect.gen(function*() {
      const { server, trust } = yield* strict
      const wire = yield* implicit(server)
      yield* wire.upgradeTls(trust)
      const reason = yield* reasonOf(wire.read)
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.include(reason._tag === "HandshakeFailed" ? reason.detail : "", "requires a client certificate")
    }))

  it.live("a missing one, TLS 1.2: the handshake tells", () =>
    Effect.gen(function*() {
      const { server, trust } = yield* strict
      const wire = yield* implicit({ ...server, maxVersion: "TLSv1.2" })
      const reason = yield* reasonOf(wire.upgradeTls(trust))
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.include(reason._tag === "HandshakeFailed" ? reason.detail : "", "client certificate")
    }))

  it.live("one of another authority is not accepted", () =>
    Effect.gen(function*() {
      const { server, trust } = yield* strict
      const stranger = yield* (yield* Certificates.authority("Other CA")).issue({ name: "client", use: "client" })
      const wire = yield* implicit(server)
      const reason = yield* reasonOf(Effect.andThen(wire.upgradeTls({ ...trust, client: stranger }), wire.read))
      assert.include(["HandshakeFailed", "Broken", "Closed"], reason._tag)
    }))

  it("after the handshake only alerts about certificates speak of them", () => {
    const alert = (number: number) =>
      Object.assign(new Error(`error:0A000418:SSL routines:ssl3_read_bytes:x:SSL alert number ${number}\n`), {
        code: "ERR_SSL_X",
        reason: "tlsv1 alert x"
      })
    assert.deepStrictEqual(ofConnection(alert(48)), {
      _tag: "HandshakeFailed",
      code: "ERR_SSL_X",
      detail: "the server refused the client certificate (alert 48: tlsv1 alert x)"
    })
    assert.deepStrictEqual(ofConnection(alert(80)), { _tag: "Broken", code: "ERR_SSL_X", detail: "tlsv1 alert x" })
  })

  it.live("what cannot be parsed fails in the error channel and closes the wire", () =>
    Effect.gen(function*() {
      const { client, server, trust } = yield* strict
      const { client: other } = yield* strict
      const broken: ReadonlyArray<[Transport.TlsOptions, string]> = [
        [{ ...trust, ca: [...trust.ca, "garbage"] }, "ca[1]"],
        [{ ...trust, ca: [`${trust.ca[0]}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`] }, "ca[0]"],
        [{ ...trust, client: { ...client, certificate: "garbage" } }, "client certificate"],
        [{ ...trust, client: { ...client, key: Redacted.make("garbage") } }, "client certificate"],
        [{ ...trust, client: { ...client, key: other.key } }, "client certificate"]
      ]
      for (const [options, named] of broken) {
        const wire = yield* implicit(server)
        const reason = yield* reasonOf(wire.upgradeTls(options))
        assert.strictEqual(reason._tag, "HandshakeFailed")
        assert.include(reason._tag === "HandshakeFailed" ? reason.detail : "", named)
        assert.strictEqual((yield* reasonOf(wire.read))._tag, "Broken")
      }
    }))
})
