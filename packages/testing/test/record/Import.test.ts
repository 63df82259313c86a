/**
 * The logs in `fixtures` were made by swaks 20201014, curl 7.88 and nodemailer 10.6 against the
 * simulated server; those of MailKit were written by hand after the format of its ProtocolLogger.
 */
import { assert, describe, it } from "@effect/vitest"
import { Import, Key, Recording } from "@postern/testing"
import { Redacted, Result } from "effect"
import * as fc from "fast-check"
import { createHash } from "node:crypto"
import { assertHidden, imported, log, names, these } from "./logs.ts"

const decoder = new TextDecoder()

/** An event in a few words; lines of EHLO are counted only. */
const brief = (event: Recording.Event): string => {
  switch (event._tag) {
    case "Sent":
      return `C ${decoder.decode(event.data).trimEnd().replaceAll("\r\n", " | ")}`
    case "Received":
      return `S ${decoder.decode(event.data).trimEnd().split("\r\n").map((line) => line.slice(0, 3)).join(" ")}`
    case "SentHidden":
      return `C ${event.line}<${event.hidden.octets ?? "?"}>`
    case "ReceivedHidden":
      return `S ${event.line}<${event.hidden.octets ?? "?"}>`
    case "ContentSent":
      return `content ${event.octets ?? "?"}${event.sha256 === undefined ? " unknown" : ""}`
    case "Connecting":
      return `to ${event.host}:${event.port}`
    case "TlsEstablished":
      return `${event.version} ${event.cipher} ${event.serverName}`
    case "Failed":
      return `${event.operation} failed ${event.problem._tag}`
    default:
      return event._tag
  }
}

const briefs = (name: string) => imported(log(name)).events.map(brief)

const ehlo = "C EHLO client.example.org"
const nine = `S ${"250 ".repeat(9).trim()}`
const from = "C MAIL FROM:<ann@example.org>"
const to = "C RCPT TO:<ben@example.net>"
const quit = ["C QUIT", "S 221", "Closed"]

const opened = (endpoint: string) => [`to ${endpoint}`, "Connected", "S 220", ehlo, nine]
const secured = (cipher: string) => [
  ...opened("localhost:2525"),
  "C STARTTLS",
  "S 220",
  "HandshakeStarted",
  `TLSv1.3 ${cipher} localhost`,
  ehlo,
  nine
]
const implicit = (cipher: string) => [
  "to localhost:4465",
  "Connected",
  "HandshakeStarted",
  `TLSv1.3 ${cipher} localhost`,
  "S 220",
  ehlo,
  nine
]
const aes = "TLS_AES_256_GCM_SHA384"
const swaksSends = (content: string) => [from, "S 250", to, "S 250", "C DATA", "S 354", content, "S 250"]
const curlFrom = `${from} SIZE=108`
const curlSends = (content: string) => [curlFrom, "S 250", to, "S 250", "C DATA", "S 354", content, "S 250"]
const nodemailerSends = [
  `${from} | RCPT TO:<ben@example.net> | DATA`,
  "S 250 250 354",
  "content 291",
  "S 250",
  "Closed"
]

const expected: Readonly<Record<string, ReadonlyArray<string>>> = {
  "swaks-plain": [
    ...opened("127.0.0.1:2526"),
    ...these(from, "S 250", to, "S 250", "C RCPT TO:<nobody@example.net>", "S 550", "C DATA", "S 354"),
    ...these("content 114", "S 250", ...quit)
  ],
  "swaks-starttls-auth": [...secured(aes), "C AUTH PLAIN <44>", "S 235", ...swaksSends("content 277"), ...quit],
  "swaks-login": [
    ...opened("127.0.0.1:2526"),
    ...these("C AUTH LOGIN", "S 334", "C <20>", "S 334", "C <20>", "S 235"),
    ...these(`${from} | RCPT TO:<ben@example.net> | DATA`, "S 250 250 354", "content 114", "S 250", ...quit)
  ],
  "swaks-rejected": [...opened("localhost:2526"), "C AUTH PLAIN <40>", "S 535", ...quit],
  "swaks-hidden-plain": [
    ...opened("localhost:2526"),
    "C AUTH PLAIN <?>",
    "S 235",
    ...swaksSends("content ? unknown"),
    ...quit
  ],
  "swaks-plaintext-login": [
    ...opened("localhost:2526"),
    ...these("C AUTH LOGIN", "S 334", "C <20>", "S 334", "C <20>", "S 235"),
    ...these(...swaksSends("content ? unknown"), ...quit)
  ],
  "swaks-tls": [...implicit(aes), "C AUTH PLAIN <44>", "S 235", ...swaksSends("content 114"), ...quit],
  "swaks-no-server": ["to localhost:2599", "connect failed ConnectFailed"],
  "curl-plain": [...opened("127.0.0.1:2526"), ...curlSends("content 109 unknown")],
  "curl-starttls-auth": [
    ...secured(aes),
    ...these("C AUTH PLAIN", "S 334", "C <44>", "S 235"),
    ...curlSends("content ? unknown")
  ],
  "curl-rejected": [...secured(aes), "C AUTH PLAIN", "S 334", "C <40>", "S 535", "Closed"],
  "curl-refused-recipient": [
    ...opened("localhost:2527"),
    ...these(curlFrom, "S 250", "C RCPT TO:<nobody@example.net>", "S 550", ...quit)
  ],
  "curl-two-recipients": [
    ...opened("localhost:2526"),
    ...these(curlFrom, "S 250", to, "S 250", "C RCPT TO:<nobody@example.net>", "S 550", "C DATA", "S 354"),
    ...these("content 109 unknown", "S 250")
  ],
  "curl-no-server": ["to localhost:2599", "connect failed ConnectFailed"],
  "curl-no-ca": [...secured(aes).slice(0, 8), "handshake failed CertificateRefused", "Closed"],
  "curl-tls": [
    ...implicit(aes),
    ...these("C AUTH DIGEST-MD5", "S 334 <112>", "C <276>", "S 334 <56>", "C <0>", "S 235"),
    ...curlSends("content ? unknown")
  ],
  "nodemailer-plain": [...opened("127.0.0.1:2526"), ...nodemailerSends],
  "nodemailer-starttls-auth": [...secured("unknown"), "C AUTH PLAIN <?>", "S 235", ...nodemailerSends],
  "nodemailer-login": [
    ...opened("127.0.0.1:2526"),
    ...these("C AUTH LOGIN", "S 334", "C <20>", "S 334", "C <?>", "S 235"),
    ...nodemailerSends
  ],
  "nodemailer-cram": [
    ...opened("127.0.0.1:2526"),
    ...these("C AUTH CRAM-MD5", "S 334", "C <?>", "S 235"),
    ...nodemailerSends
  ],
  "nodemailer-rejected": [...secured("unknown"), "C AUTH PLAIN <?>", "S 535", "Closed"],
  "nodemailer-refused-recipient": [
    ...opened("127.0.0.1:2527"),
    `${from} | RCPT TO:<ben@example.net> | RCPT TO:<nobody@example.net> | DATA`,
    ...these("S 250 250 550 354", "content 311", "S 250", "Closed")
  ],
  "nodemailer-tls": [...implicit("unknown"), "C AUTH PLAIN <?>", "S 235", ...nodemailerSends],
  "nodemailer-no-server": ["to 127.0.0.1:2599", "connect failed ConnectFailed"],
  "nodemailer-no-ca": [...secured("x").slice(0, 8), "handshake failed CertificateRefused", "Closed"],
  "mailkit-starttls-auth": [
    ...these("to mx.example.net:587", "Connected", "S 220", ehlo, "S 250 250 250", "C STARTTLS", "S 220"),
    ...these("HandshakeStarted", "TLSv1.3 unknown mx.example.net", ehlo, "S 250 250 250", "C AUTH PLAIN <?>", "S 235"),
    ...these(from, "S 250", to, "S 250", "C BDAT 73 LAST", "content 73", "S 250", "C QUIT", "S 221")
  ],
  "mailkit-tls": [
    ...these("to mx.example.net:465", "Connected", "HandshakeStarted", "TLSv1.3 unknown mx.example.net"),
    ...these("S 220", ehlo, "S 250 250", "C AUTH LOGIN", "S 334", "C <?>", "S 334", "C <?>", "S 235"),
    ...these(`${from} | RCPT TO:<ben@example.net> | RCPT TO:<nobody@example.net>`, "S 250 250 550", "C DATA", "S 354"),
    ...these("content 42", "S 250", "C QUIT", "S 221")
  ],
  "mailkit-rejected": [
    ...these(
      "to mx.example.net:25",
      "Connected",
      "S 220",
      ehlo,
      "S 250 250",
      "C AUTH PLAIN <?>",
      "S 535",
      "C QUIT",
      "S 221"
    )
  ]
}

describe("Import", () => {
  it("every fixture is expected to be something", () => {
    assert.deepStrictEqual(names.toSorted(), Object.keys(expected).toSorted())
  })

  it.each(names)("%s", (name) => {
    assert.strictEqual(Import.detect(log(name)), name.split("-")[0])
    assert.deepStrictEqual(briefs(name), expected[name])
  })

  it.each(names)("%s is read as it was written", (name) => {
    const recording = imported(log(name), { content: "whole" })
    assert.deepStrictEqual(Result.getOrThrow(Recording.decode(Recording.encode(recording))), recording)
  })

  it.each(names)("%s shows no secret", (name) => {
    for (const content of ["whole", "hashed"] as const) assertHidden(Recording.encode(imported(log(name), { content })))
  })

  it("times", () => {
    const { events, header } = imported(log("mailkit-starttls-auth"))
    assert.strictEqual(header.startedAt, "2026-11-07T10:00:00.000Z")
    assert.deepStrictEqual([events[0]?.at, events.at(-1)?.at], [0, 5000])
    assert.deepStrictEqual(imported(log("swaks-hidden-plain")).events.at(-1)?.at, 1)
  })

  it("content whole", () => {
    const content = imported(log("nodemailer-plain"), { content: "whole" }).events.find((event) =>
      event._tag === "ContentSent"
    )
    assert.strictEqual(content?.sha256, createHash("sha256").update(content?.whole ?? "").digest("hex"))
    assert.match(
      decoder.decode(content?.whole),
      /^From: ann@example.org\r\n.*\r\n\.\.a line with a dot\r\n.*\r\n\.\r\n$/s
    )
  })

  it("a key hashes what is hidden, and seals what the server said", () => {
    const key = Redacted.make("a key of thirty-two characters..")
    const { events, header } = imported(log("curl-tls"), { key })
    assert.strictEqual(header.policy.key, Result.getOrThrow(Key.Key.make(key)).check)
    const hidden = events.flatMap((event) => "hidden" in event ? [Object.keys(event.hidden).join(" ")] : [])
    assert.deepStrictEqual(hidden, ["octets hash sealed", "octets hash", "octets hash sealed", "octets hash"])
  })

  it("a log that begins within a session", () => {
    const answer = `535 5.7.8 no such password: correct horse 7`
    const auth = `AUTH PLAIN ${btoa("\0ann@example.org\0correct horse 7")}`
    const { events, header } = imported(` -> ${auth}\n<** ${answer}\n`)
    assert.deepStrictEqual(header.endpoint, { host: "unknown.invalid", port: 25 })
    assert.deepStrictEqual(events.map(brief), ["to unknown.invalid:25", "Connected", "C AUTH PLAIN <44>", "S 535"])
    assertHidden(Recording.encode({ events, header }))
  })

  it("a chunk that ends within a line", () => {
    const { events } = imported("S: 220 x\r\nC: BDAT 3 LAST\r\nC: abc\r\nS: 250 x\r\n", { content: "whole" })
    const content = events.find((event) => event._tag === "ContentSent")
    assert.strictEqual(decoder.decode(content?.whole), "abc")
  })

  it("challenges that swaks shows decoded are encoded again", () => {
    const said = imported(log("swaks-plaintext-login")).events.flatMap((event) =>
      event._tag === "Received" ? [decoder.decode(event.data)] : []
    )
    assert.includeMembers(said, ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"])
  })

  it("how it was protected", () => {
    const modes = ["swaks-plain", "swaks-tls", "swaks-starttls-auth"].map((name) => imported(log(name)).header.mode)
    assert.deepStrictEqual(modes, ["plain", "tls", "startTls"])
  })

  it("options", () => {
    const endpoint = { host: "mail.example.org", port: 25 }
    const { events, header } = imported(log("swaks-plain"), { addresses: "numbered", endpoint, note: "ticket 12" })
    assert.deepStrictEqual([header.note, header.endpoint], ["ticket 12", endpoint])
    assert.include(events.map(brief), "C RCPT TO:<address-3>")
    assert.include(events.map(brief), "to mail.example.org:25")
  })

  it("errors tell what to do", () => {
    const failure = (text: string) =>
      Result.match(Import.fromText(text), { onFailure: (e) => e, onSuccess: () => undefined })
    assert.match(failure("")?.message ?? "", /line 1 of the log: it is of no known shape; give what swaks/)
    assert.match(failure("=== Trying mx:25...\n=== Connected to mx.\n")?.message ?? "", /nothing was said/)
    assert.match(
      failure("* Connected to example.org (127.0.0.1) port 80\n> GET / HTTP/1.1\n> \n< HTTP/1.1 200 OK\n")?.message
        ?? "",
      /line 4 of the log: the server does not begin with an SMTP reply/
    )
    assert.match(
      failure("Connected to imap://a:143/\nS: * OK hi\n")?.message ?? "",
      /line 2 of the log: the server does not/
    )
    assert.strictEqual(failure(log("curl-plain")), undefined)
    const short = Import.fromText(log("curl-plain"), { key: Redacted.make("short") })
    assert.instanceOf(Result.isFailure(short) ? short.failure : undefined, Key.KeyError)
  })
})

describe("Import, whatever it is given", () => {
  const marks = fc.constantFrom(
    ...these(
      "=== Trying a:25...",
      "=== Connected to a.",
      " -> ",
      "<-  ",
      "<** ",
      " ~> ",
      "* Connected to a (::1) port 25 (#0)"
    ),
    ...these(
      "> ",
      "< ",
      "* ",
      "} [9 bytes data]",
      "C: ",
      "S: ",
      "Connected to smtp://a:25/",
      "2026-11-07T10:00:00Z C: "
    ),
    ...these(
      "[2026-11-24 09:52:19] DEBUG [x] ",
      "[2026-11-24 09:52:19] DEBUG [x] C: ",
      "[2026-11-24 09:52:19] DEBUG [x] S: "
    ),
    ...these(
      "[2026-11-24 09:52:19] INFO  [x] Connection upgraded with STARTTLS",
      "=== TLS started with cipher TLSv1.3:X:1"
    )
  )
  const words = fc.constantFrom(
    ...these(
      "220 x",
      "EHLO a",
      "250 x",
      "AUTH PLAIN",
      "AUTH LOGIN c2VjcmV0IQ==",
      "334 ",
      "c2VjcmV0IQ==",
      "DATA",
      "354 go",
      "."
    ),
    ...these("BDAT 5 LAST", "BDAT 9", "STARTTLS", "220 go", "*", "********", "QUIT", "MAIL FROM:<>", "250-x", "535 no")
  )
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.tuple(marks, fc.oneof(words, fc.string()))).map((lines) =>
      lines.map((line) => `${line.join("")}\n`).join("")
    )
  )

  it("gives a recording or an error", () => {
    fc.assert(
      fc.property(text, fc.constantFrom("swaks", "curl", "nodemailer", "mailkit"), (text, shape) => {
        for (const result of [Import.fromText(text), Import.fromShape(shape, text, { content: "whole" })]) {
          if (Result.isFailure(result)) assert.instanceOf(result.failure, Import.ImportError)
          else Recording.encode(result.success)
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("hides secrets, whatever lines are missing", () => {
    const lines = names.map((name) => log(name).split("\n"))
    fc.assert(
      fc.property(fc.constantFrom(...lines), fc.infiniteStream(fc.nat(3)), (lines, dice) => {
        const kept = lines.filter(() => dice.next().value !== 0).join("\n")
        const result = Import.fromText(kept, { content: "hashed" })
        if (Result.isSuccess(result)) assertHidden(Recording.encode(result.success))
      }),
      { numRuns: 1000 }
    )
  })
})
