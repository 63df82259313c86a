import { assert, describe, it } from "@effect/vitest"
import { Content, Login, Plain } from "@postern/core"
import { Redacted } from "effect"
import * as fc from "fast-check"
import { ServerMachine } from "../../src/index.ts"
import { bytes, cut, delivered, receiveAll, sent, talk } from "./support.ts"

const config: ServerMachine.Config = {
  mechanisms: [Plain.plain, Login.login],
  accounts: { ann: Redacted.make("secret") },
  authBeforeTls: true,
  maxSize: 300,
  unknownUsers: ["no@example.org"]
}

const line = fc.constantFrom(
  "EHLO client.example",
  "HELO client.example",
  "MAIL FROM:<a@b.example>",
  "MAIL FROM:<a@b.example> SIZE=400",
  "RCPT TO:<c@d.example>",
  "RCPT TO:<no@example.org>",
  "DATA",
  ".",
  "..",
  "text",
  "",
  "\r",
  "\n",
  ".\r",
  "BDAT 4",
  "BDAT 0 LAST",
  "BURL imap://a.example/1",
  "BURL imap://a.example/2 LAST",
  "XCLIENT ADDR=192.0.2.1",
  "VRFY ann",
  "EXPN all",
  "ETRN example.org",
  "LHLO client.example",
  "RCPT TO:<a@e.example> NOTIFY=NEVER ORCPT=rfc822;x@y.example",
  "MAIL FROM:<a@b.example> RET=HDRS BODY=BINARYMIME",
  "RSET",
  "NOOP",
  "STARTTLS",
  "AUTH PLAIN",
  "AUTH PLAIN AGFubgBzZWNyZXQ=",
  "AUTH LOGIN",
  "YW5u",
  "c2VjcmV0",
  "*",
  "=",
  "QUIT",
  "é",
  "x".repeat(5000),
  "x".repeat(400)
)
const session = fc.array(fc.tuple(line, fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "")), {
  maxLength: 25
})
  .map((lines) => bytes(`LHLO c.example\r\nEHLO c.example\r\n${lines.map(([text, end]) => text + end).join("")}`))
const places = fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 })

// Without the functions of an AUTH exchange under way, which are not comparable.
const comparable = (
  [state, actions]: ServerMachine.Step
) => [{
  ...state,
  exchange: state.exchange !== undefined,
  line: state.line.length,
  transaction: state.transaction?.content.length
}, actions]

/** With rules that count, remember and slow down. */
const strict: ServerMachine.Config = {
  ...config,
  greylist: { delay: "2 minutes" },
  mailboxes: { "c@d.example": { quota: 20, maxSize: 10 } },
  maxMessages: 2,
  rateLimit: { messages: 1, per: "5 minutes" },
  delay: "1 minute",
  tarpit: { delay: "3 minutes", patience: 1 },
  ownSenderOnly: true
}

/** With every extension. */
const rich: ServerMachine.Config = {
  ...config,
  extensions: ServerMachine.everyExtension.map((line) => line === "BURL imap" ? `${line} imap://a.example` : line),
  accounts: undefined,
  mechanisms: undefined,
  urls: { "imap://a.example/1": "x".repeat(200), "imap://a.example/2": "." },
  users: { ann: "<ann@example.org>" },
  lists: { all: ["<ann@example.org>", "<ben@example.org>"] },
  queues: { "example.org": 1 },
  limits: { mailMax: 4, rcptMax: 3, rcptDomainMax: 1 },
  dataAnyway: true
}

describe.each([
  ["a lenient server", config],
  ["a strict one", strict],
  ["one with every extension", rich],
  ["one that speaks LMTP", { ...rich, lmtp: true }]
])(
  "%s, however the octets are cut",
  (_, config) => {
    const [greeted] = ServerMachine.start(config)

    it("the actions are the same", () => {
      fc.assert(fc.property(session, places, (whole, places) => {
        assert.deepStrictEqual(
          comparable(receiveAll(greeted, cut(whole, places))),
          comparable(ServerMachine.receive(greeted, whole))
        )
      }))
    })

    it("also octet by octet", () => {
      fc.assert(
        fc.property(session, (whole) => {
          const octets = Array.from(whole, (octet) => new Uint8Array([octet]))
          assert.deepStrictEqual(
            comparable(receiveAll(greeted, octets)),
            comparable(ServerMachine.receive(greeted, whole))
          )
        }),
        { numRuns: 50 }
      )
    })

    it("a state may be continued twice", () => {
      fc.assert(fc.property(session, session, places, (before, after, places) => {
        const [state] = receiveAll(greeted, cut(before, places))
        const first = comparable(ServerMachine.receive(state, after))
        assert.deepStrictEqual(comparable(receiveAll(state, cut(after, places))), first)
      }))
    })

    it("is total, and answers in replies", () => {
      fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
        const [, actions] = receiveAll(greeted, chunks)
        for (const reply of sent(actions)) assert.match(reply, /^[2-5]\d\d[ -]/)
      }))
    })
  }
)

describe("content", () => {
  const { state } = talk({}, "EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA")

  // Octets that matter, mostly.
  const soup = fc.array(fc.constantFrom("\r", "\n", ".", "\r\n", "\r\n.", "x", "\u0000", "é"), { maxLength: 40 }).map((
    parts
  ) => parts.join(""))

  it("core's encoding comes back normalised", () => {
    fc.assert(
      fc.property(soup, places, (text, places) => {
        const content = bytes(text)
        const [after, actions] = receiveAll(state, cut(Content.encodeData(content), places))
        assert.deepStrictEqual(delivered(actions).map((message) => message.content), [Content.normalize(content)])
        assert.strictEqual(after.mode._tag, "Lines")
      }),
      { numRuns: 1000 }
    )
  })

  it("ends at the first CRLF . CRLF and nowhere else", () => {
    fc.assert(
      fc.property(soup, places, (text, places) => {
        const wire = `\r\n${text}`
        const end = wire.indexOf("\r\n.\r\n")
        const [after, actions] = receiveAll(state, cut(bytes(text), places))
        if (end === -1) {
          assert.deepStrictEqual([after.mode._tag, actions], ["Data", []])
        } else {
          // Each line loses the dot at its beginning; the CRLF before the end is content, but for the first one here.
          const content = wire.slice(0, end + 2).replaceAll("\r\n.", "\r\n").slice(2)
          assert.deepStrictEqual(delivered(actions)[0]?.content, bytes(content))
        }
      }),
      { numRuns: 1000 }
    )
  })

  // Behind some text, and cut in two at each place.
  const whole = (wire: string) =>
    Array.from({ length: wire.length + 2 }, (_, place) => receiveAll(state, cut(bytes(`x${wire}`), [place])))

  for (
    const [wire, content] of [
      ["\r\n.\r\n", "x\r\n"],
      ["\r\r\n.\r\n", "x\r\r\n"],
      ["\r\n.\r\r\n.\r\n", "x\r\n\r\r\n"],
      ["\r\n..\r\n.\r\n", "x\r\n.\r\n"],
      ["\n.\n\r.\r\r\n.\r\n", "x\n.\n\r.\r\r\n"],
      ["\r\n.\n.\r\n.\r\n", "x\r\n\n.\r\n"]
    ] as const
  ) {
    it(`${JSON.stringify(wire)} ends with its last octet`, () => {
      for (const [after, actions] of whole(wire)) {
        assert.deepStrictEqual(delivered(actions).map((message) => message.content), [bytes(content)])
        assert.strictEqual(after.mode._tag, "Lines")
      }
      for (const [after] of whole(wire.slice(0, -1))) assert.strictEqual(after.mode._tag, "Data")
    })
  }

  for (
    const end of [
      "\n.\n",
      "\r.\r",
      "\n.\r\n",
      "\r\n.\n",
      "\r\n.\r",
      "\r.\r\n",
      "\n\r.\r\n",
      "\r\n.x\r\n",
      "\r\n..\r\n",
      "\r\n.\r\r\n",
      "\r\n.\n.\r\n"
    ]
  ) {
    it(`${JSON.stringify(end)} does not end it`, () => {
      const smuggled = bytes(`x${end}RSET`)
      const [after, actions] = ServerMachine.receive(state, smuggled)
      assert.deepStrictEqual([after.mode._tag, actions], ["Data", []])
      const [, ended] = ServerMachine.receive(after, bytes("\r\n.\r\n"))
      const dots = end.startsWith("\r\n.") ? `\r\n${end.slice(3)}` : end
      assert.deepStrictEqual(delivered(ended)[0]?.content, bytes(`x${dots}RSET\r\n`))
    })
  }

  it("takes ten mebibytes in small pieces, in linear time and space", () => {
    const { state } = talk(
      { maxSize: 20_000_000 },
      "EHLO c.example",
      "MAIL FROM:<a@b.example>",
      "RCPT TO:<c@d.example>",
      "DATA"
    )
    const piece = bytes("0123456789abcde\r\n.")
    let current = state
    for (let i = 0; i < 600_000; i++) current = ServerMachine.receive(current, piece)[0]
    let pieces = 0
    for (let last = current.transaction?.content.last; last !== undefined; last = last.before) pieces++
    assert.isBelow(pieces, 400)
    const [, actions] = ServerMachine.receive(current, bytes("\r\n"))
    assert.strictEqual(delivered(actions)[0]?.content.length, 600_000 * 17)
  })
})
