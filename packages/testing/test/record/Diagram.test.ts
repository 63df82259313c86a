import { assert, describe, it } from "@effect/vitest"
import { Diagram, Recording } from "@postern/testing"
import { Schema } from "effect"
import * as fc from "fast-check"
import { octets, recordings } from "./generated.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const header = {
  format: "postern-recording" as const,
  version: 1,
  by: "swaks",
  endpoint: { host: "mx.example.net", port: 587 },
  policy: { addresses: "kept" as const, content: "hashed" as const }
}
const at = (millis: number, connection = 0) => ({ at: millis, connection })

const recording: Recording.Recording = {
  header,
  events: [
    { _tag: "Connecting", ...at(0), host: "mx.example.net", port: 587 },
    { _tag: "Connected", ...at(1) },
    { _tag: "Received", ...at(2), data: bytes("250-one; <two> #3 \"four\": five\r\n250 %%{x}\r\n") },
    { _tag: "Sent", ...at(3), data: bytes("EHLO a.example\r\n") },
    { _tag: "HandshakeStarted", ...at(4), serverName: "mx.example.net" },
    {
      _tag: "TlsEstablished",
      ...at(5),
      version: "TLSv1.3",
      cipher: "TLS_AES_256_GCM_SHA384",
      serverName: "mx.example.net",
      verifiedBy: "chain",
      channelBindings: []
    },
    { _tag: "SentHidden", ...at(6), line: "AUTH PLAIN ", hidden: { octets: 40 } },
    { _tag: "ReceivedHidden", ...at(7), line: "334 ", hidden: {} },
    { _tag: "ContentSent", ...at(8), octets: 12, sha256: "0123456789abcdef0123" },
    { _tag: "ContentSent", ...at(9) },
    { _tag: "Failed", ...at(10), operation: "read", problem: { _tag: "Closed" } },
    { _tag: "Closed", ...at(1234) }
  ]
}

describe("Diagram", () => {
  it("as text", () => {
    assert.strictEqual(
      Diagram.text(recording),
      `swaks, mx.example.net:587
     0.000  -- connects to mx.example.net:587
     0.001  -- connected
     0.002  S: 250-one; <two> #3 "four": five | 250 %%{x}
     0.003  C: EHLO a.example
     0.004  -- TLS handshake with mx.example.net
     0.005  -- TLSv1.3 TLS_AES_256_GCM_SHA384, mx.example.net verified by chain
     0.006  C: AUTH PLAIN (40 octets hidden)
     0.007  S: 334 (hidden)
     0.008  C: (content, 12 octets, SHA-256 0123456789abcdef)
     0.009  C: (content, not in the log)
     0.010  -- read failed: Closed
     1.234  -- closed by the client
`
    )
  })

  it("as Mermaid", () => {
    assert.strictEqual(
      Diagram.mermaid(recording),
      `sequenceDiagram
  participant C as client
  participant S0 as mx.example.net#58;587
  C->>S0: connects to mx.example.net#58;587
  S0-->>C: connected
  S0-->>C: 250-one#59; #60;two#62; #35;3 #34;four#34;#58; five<br/>250 #37;#37;#123;x#125;
  C->>S0: EHLO a.example
  Note over C,S0: TLS handshake with mx.example.net
  Note over C,S0: TLSv1.3 TLS_AES_256_GCM_SHA384, mx.example.net verified by chain
  Note over C,S0: C#58; AUTH PLAIN (40 octets hidden)
  Note over C,S0: S#58; 334 (hidden)
  Note over C,S0: C#58; (content, 12 octets, SHA-256 0123456789abcdef)
  Note over C,S0: C#58; (content, not in the log)
  S0-xC: read failed#58; Closed
  C-xS0: closed by the client
`
    )
  })

  it("tells connections apart", () => {
    const two: Recording.Recording = {
      header,
      events: [{ _tag: "Connecting", ...at(0), host: "a", port: 1 }, {
        _tag: "Connecting",
        ...at(0, 1),
        host: "b",
        port: 2
      }]
    }
    assert.match(Diagram.text(two), /\[0\] -- connects to a:1\n.*\[1\] -- connects to b:2/)
    assert.match(Diagram.mermaid(two), /participant S0 as a#58;1\n {2}participant S1 as b#58;2/)
  })

  it("shortens, and breaks no character", () => {
    const long: Recording.Recording = { header, events: [{ _tag: "Sent", ...at(0), data: bytes("😀".repeat(1000)) }] }
    assert.isTrue(Diagram.text(long).isWellFormed())
    assert.isBelow(Diagram.text(long).length, 900)
    assert.isBelow([...Diagram.mermaid(long)].length, 900)
  })

  it("one line for each event, and no control characters, whatever is recorded", () => {
    fc.assert(fc.property(recordings, (recording) => {
      const events = recording.events.length
      const names = new Set(recording.events.map(({ connection }) => connection)).size
      for (
        const [diagram, before] of [[Diagram.text(recording), 1], [Diagram.mermaid(recording), 2 + names]] as const
      ) {
        assert.strictEqual(diagram.split("\n").length, before + events + 1)
        assert.notMatch(diagram.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      }
    }))
  })

  it("nothing in what was said is a statement of Mermaid", () => {
    fc.assert(fc.property(octets, (data) => {
      const [, , , line = ""] = Diagram.mermaid({ header, events: [{ _tag: "Sent", ...at(0), data }] }).split("\n")
      assert.match(line, /^ {2}C->>S0: /)
      assert.notMatch(line.slice(10).replaceAll("<br/>", "").replace(/#\d+;/g, ""), /[;#<>"%:{}]/)
    }))
  })

  it("what is generated here are recordings", () => {
    fc.assert(fc.property(recordings, (recording) => {
      for (const event of recording.events) assert.isTrue(Schema.is(Recording.Event)(event))
    }))
  })
})
