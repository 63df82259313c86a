import { assert, describe, it } from "@effect/vitest"
import { Command, CommandLine, Reply, Transcript } from "@postern/core"
import { Redacted, Result } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"

describe("Transcript", () => {
  it("is read like a conversation", () => {
    const transcript: Transcript.Transcript = [
      { _tag: "Connected", at: 0, host: "mx.example", port: 587 },
      { _tag: "Received", at: 1.26, reply: Reply.make(220, "mx.example ESMTP") },
      { _tag: "Sent", at: 1.5, line: "EHLO client.example" },
      { _tag: "Received", at: 12.34, reply: Reply.make(250, ["mx.example", "STARTTLS", ""]) },
      {
        _tag: "TlsEstablished",
        at: 100,
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        verifiedBy: "the certificate"
      },
      { _tag: "ContentSent", at: 1234.5, octets: 1024 },
      { _tag: "Closed", at: 99_999.99, detail: "by the client" }
    ]
    assert.strictEqual(
      Transcript.render(transcript),
      [
        "     0.0 ms  -- connected to mx.example:587",
        "     1.3 ms  S: 220 mx.example ESMTP",
        "     1.5 ms  C: EHLO client.example",
        "    12.3 ms  S: 250-mx.example",
        "    12.3 ms  S: 250-STARTTLS",
        "    12.3 ms  S: 250",
        "   100.0 ms  -- TLSv1.3, TLS_AES_128_GCM_SHA256, server verified by the certificate",
        "  1234.5 ms  C: (1024 octets of content)",
        "100000.0 ms  -- closed: by the client"
      ].join("\n")
    )
  })

  it("nothing is nothing", () => assert.strictEqual(Transcript.render([]), ""))

  it("shows control characters as escapes", () => {
    const shown = Transcript.render([
      { _tag: "Sent", at: 0, line: "NOOP a\tb" },
      { _tag: "Received", at: 0, reply: { code: 250, status: undefined, lines: ["\u001b[2J\u009b\r\n250 x"] } },
      { _tag: "Closed", at: 0, detail: "\u001b[31m" }
    ])
    assert.strictEqual(
      shown,
      "     0.0 ms  C: NOOP a\\x09b\n     0.0 ms  S: 250 \\x1b[2J\\x9b\\x0d\\x0a250 x\n     0.0 ms  -- closed: \\x1b[31m"
    )
  })

  it("law: one printable line a line, without what was said in AUTH", () => {
    fc.assert(fc.property(Arbitraries.command, Arbitraries.reply, (command, reply) => {
      const shown = Transcript.render([{ _tag: "Sent", at: 0, line: CommandLine.render(command) }, {
        _tag: "Received",
        at: 1,
        reply
      }])
      assert.lengthOf(shown.split("\n"), 1 + reply.lines.length)
      assert.notMatch(shown.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f]/)
    }))
    const secret = Redacted.make(new TextEncoder().encode("\0ann\0secret-horse"))
    const auth = Result.getOrThrow(Command.auth("PLAIN", secret))
    const shown = Transcript.render([{ _tag: "Sent", at: 0, line: CommandLine.render(auth) }])
    assert.strictEqual(shown, "     0.0 ms  C: AUTH PLAIN <redacted, 17 bytes>")
  })
})
