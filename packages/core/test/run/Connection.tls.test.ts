import { assert, describe, it } from "@effect/vitest"
import { Choose, Command, type Connection, Open, Program, type Reason, Reply } from "@postern/core"
import { Effect } from "effect"
import {
  domain,
  ends,
  failure,
  handshake,
  hears,
  interjects,
  peer,
  quits,
  says,
  saysBytes,
  single,
  type Step,
  submission,
  success,
  talk,
  type TalkOptions,
  until
} from "./scripted.ts"

const opening = (security: Open.Security) =>
  Open.open({
    host: peer.host,
    domain,
    security,
    tls: { serverName: peer.host },
    authenticator: Choose.standard
  })

const open = (security: Open.Security, script: ReadonlyArray<Step>, options?: TalkOptions) =>
  talk(script, (connection) => connection.run(opening(security)), { security, ...options })

const submit = (connection: Connection.Live) => connection.run(submission())

describe("the other kind of TLS", () => {
  // handshake_failure and a ServerHello's beginning (RFC 8446 §5.1, §6).
  const records = [[0x15, 3, 1, 0, 2, 2, 40], [0x16, 3, 3, 0, 122, 2, 0, 0, 118]]
  for (const chunk of [undefined, single]) {
    it.effect(`a TLS record in place of the greeting${chunk === undefined ? "" : ", octet by octet"}`, () =>
      Effect.gen(function*() {
        for (const record of records) {
          // The other octets lie unread: one is enough to know.
          const talked = yield* open("startTls", [interjects(Uint8Array.from(record)), ends], { chunk })
          const { advice, phase, reason } = failure(talked)
          const firstBytes = Reply.escape(Uint8Array.from(chunk === undefined ? record : record.slice(0, 1)), 8)
          assert.strictEqual(phase, "greeting")
          assert.strictEqual(reason._tag, "TlsModeMismatch")
          assert.deepInclude(reason, { mode: "startTls", use: "tls" })
          assert.strictEqual(
            reason._tag === "TlsModeMismatch" ? reason.firstBytes?.slice(0, 4) : "",
            firstBytes.slice(0, 4)
          )
          assert.include(advice, "\"tls\"")
          assert.lengthOf(talked.seen.writes, 0)
        }
      }))
  }

  it.effect("a greeting in plain text where TLS comes first", () =>
    Effect.gen(function*() {
      // The wire sees octets before the handshake; that is no injection, for nothing was asked yet.
      const early = failure(yield* open("tls", [interjects("220 mx.example ESMTP\r\n")])).reason
      assert.deepInclude(early, { _tag: "TlsModeMismatch", mode: "tls", use: "startTls" })
      const spoken = yield* open("tls", [
        handshake({ _tag: "NotTls", firstBytes: new TextEncoder().encode("220 mx\r\n") })
      ])
      const { reason } = failure(spoken)
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "TlsModeMismatch",
        mode: "tls",
        use: "startTls",
        firstBytes: "220 mx\\r\\n"
      })
      assert.lengthOf(spoken.seen.writes, 0)
    }))

  it.effect("a greeting that is only strange is no TLS", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* open("plain", [saysBytes(Uint8Array.of(0x15, 0x20, 0x20, 13, 10))]))
      assert.strictEqual(reason._tag, "ProtocolViolation")
      const late = failure(
        yield* open("plain", [
          says("220 hi"),
          hears("EHLO client.example"),
          saysBytes(Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40, 13, 10))
        ])
      )
      assert.strictEqual(late.reason._tag, "ProtocolViolation")
    }))
})

describe("plain text behind the consent to STARTTLS", () => {
  const consented = until("StartTls")
  const evil = "250-mx.example\r\n250 AUTH PLAIN\r\n"
  const injections: ReadonlyArray<readonly [string, ReadonlyArray<Step>, TalkOptions]> = [
    ["in the same segment", [saysBytes(`220 go\r\n`), interjects(evil)], { chunk: undefined }],
    ["in one segment with it", [interjects(`220 go\r\n${evil}`)], {}],
    ["in a segment of its own", [says("220 go"), interjects(evil)], {}],
    ["octet by octet", [says("220 go"), interjects(evil)], { chunk: single }],
    ["in part", [interjects("220 go\r\n2")], {}],
    ["a line end alone", [interjects("220 go\r\n\r\n")], {}]
  ]
  for (const [name, injected, options] of injections) {
    it.effect(`${name}: is not used, and nothing more is written`, () =>
      Effect.gen(function*() {
        const talked = yield* talk([...consented, ...injected], submit, options)
        const { fault, phase, reason, retry } = failure(talked)
        assert.strictEqual(reason._tag, "PlaintextInjected")
        assert.deepStrictEqual([fault, phase, retry], ["tls", "tls", "never"])
        assert.deepStrictEqual(talked.seen.writes, ["EHLO client.example\r\n", "STARTTLS\r\n"])
        assert.notInclude(JSON.stringify(talked.events), "AUTH")
      }))
  }

  it.effect("in place of the handshake", () =>
    Effect.gen(function*() {
      const { reason } = failure(
        yield* talk([
          ...consented,
          says("220 go"),
          handshake({ _tag: "NotTls", firstBytes: new TextEncoder().encode("250 ok") })
        ], submit)
      )
      assert.deepStrictEqual<Reason.Reason>(reason, { _tag: "PlaintextInjected", bytes: "250 ok" })
    }))
})

describe("the handshake", () => {
  it.effect("fails with what the certificate lacks, and ends the connection", () =>
    Effect.gen(function*() {
      const problem = { _tag: "CertificateRefused", problem: "wrong-name", detail: "it is for other.example" } as const
      for (const script of [until("EhloAgain").slice(0, -2), []]) {
        const talked = yield* open(script.length === 0 ? "tls" : "startTls", [...script, handshake(problem)])
        assert.deepStrictEqual<Reason.Reason>(failure(talked).reason, problem)
      }
    }))

  it.effect("that fails is not made up for by plain text, though STARTTLS was only wished for", () =>
    Effect.gen(function*() {
      const script = [
        ...until("EhloAgain").slice(0, -2),
        handshake({ _tag: "HandshakeFailed", code: "EPROTO", detail: "no cipher" })
      ]
      const talked = yield* open("startTlsIfOffered", script)
      assert.deepStrictEqual<Reason.Reason>(failure(talked).reason, {
        _tag: "HandshakeFailed",
        code: "EPROTO",
        detail: "no cipher"
      })
    }))

  it.effect("is cut: the connection is lost during it", () =>
    Effect.gen(function*() {
      const { reason } = failure(yield* talk([...until("Handshake"), ends], submit))
      assert.deepStrictEqual<Reason.Reason>(reason, {
        _tag: "ConnectionLost",
        step: "Handshake",
        detail: "the server closed the connection"
      })
    }))

  it.effect("makes the connection forget the capabilities: what was pipelined is not any more", () =>
    Effect.gen(function*() {
      const twice = Program.exchange(Command.rset, Command.rset)
      const talked = yield* talk([
        says("220 hi"),
        hears("EHLO client.example"),
        says("250-mx.example", "250-PIPELINING", "250 STARTTLS"),
        hears("RSET", "RSET"),
        says("250 ok", "250 ok"),
        hears("STARTTLS"),
        says("220 go"),
        handshake(),
        hears("RSET"),
        says("250 ok"),
        hears("RSET"),
        says("250 ok"),
        ...quits
      ], (connection) =>
        Effect.gen(function*() {
          yield* connection.run(Program.greeting)
          yield* connection.run(Program.send(Command.ehlo(domain)))
          yield* connection.run(twice)
          yield* connection.run(Program.send(Command.startTls))
          yield* connection.run(Program.upgradeTls({ serverName: peer.host }))
          yield* connection.run(twice)
        }))
      success(talked)
      assert.deepInclude(talked.events.find(({ _tag }) => _tag === "TlsEstablished") ?? {}, {
        version: "TLSv1.3",
        verifiedBy: "chain"
      })
    }))
})
