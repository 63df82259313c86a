import { assert, describe, it } from "@effect/vitest"
import { Advice, Reason, Transport } from "@postern/core"
import { fromTransport } from "../../src/run/Failure.ts"

const bytes = new TextEncoder().encode("220 \u001b[2J\r\n")
const from = (reason: Transport.TransportProblem, greeted = true): Reason.Reason =>
  fromTransport(new Transport.TransportError({ reason }), "Mail", greeted)

describe("a failure below SMTP", () => {
  it("comes to a reason of its own kind", () => {
    assert.deepStrictEqual(
      from({ _tag: "ConnectFailed", host: "h", port: 25, code: "ENOTFOUND", detail: "no such name" }),
      Reason.make("ConnectionFailed", { host: "h", port: 25, code: "ENOTFOUND", detail: "no such name" })
    )
    assert.deepStrictEqual(
      from({ _tag: "Closed" }),
      Reason.make("ConnectionLost", { step: "Mail", detail: "the server closed the connection" })
    )
    assert.deepStrictEqual(
      from({ _tag: "Broken", code: "ECONNRESET", detail: "reset" }),
      Reason.make("ConnectionLost", { step: "Mail", detail: "reset" })
    )
    assert.deepStrictEqual(
      from({ _tag: "CertificateRefused", problem: "expired", detail: "yesterday" }),
      Reason.make("CertificateRefused", { problem: "expired", detail: "yesterday" })
    )
    assert.deepStrictEqual(
      from({ _tag: "HandshakeFailed", code: "EPROTO", detail: "no cipher" }),
      Reason.make("HandshakeFailed", { code: "EPROTO", detail: "no cipher" })
    )
  })

  it("plain text in place of TLS: the wrong port before the greeting, an injection after it; escaped in both", () => {
    const shown = "220 \\x1b[2J\\r\\n"
    for (const problem of [{ _tag: "NotTls", firstBytes: bytes }, { _tag: "PlaintextBuffered", bytes }] as const) {
      assert.deepStrictEqual(from(problem), Reason.make("PlaintextInjected", { bytes: shown }))
      assert.deepStrictEqual(
        from(problem, false),
        Reason.make("TlsModeMismatch", { mode: "tls", use: "startTls", firstBytes: shown })
      )
    }
    assert.deepStrictEqual(
      from({ _tag: "NotTls", firstBytes: undefined }, false),
      Reason.make("TlsModeMismatch", { mode: "tls", use: "startTls", firstBytes: undefined })
    )
  })

  it("is a message for people, with what to do", () => {
    const { message } = new Transport.TransportError({
      reason: { _tag: "ConnectFailed", host: "h", port: 25, code: "X", detail: "refused" }
    })
    assert.strictEqual(message, "cannot connect to h:25: refused")
    assert.include(
      Advice.advice(from({ _tag: "ConnectFailed", host: "h", port: 25, code: "ENOTFOUND", detail: "" })),
      "name does not resolve"
    )
  })
})
