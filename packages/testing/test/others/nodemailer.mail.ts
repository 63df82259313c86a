/** Of nodemailer's cases: transactions. */
import { assert } from "@effect/vitest"
import type { SmtpClient } from "@postern/core"
import { Reply } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect, Result, Stream } from "effect"
import type { Client, Exchange } from "./exchange.ts"
import {
  begins,
  beginsInTls,
  data,
  delivers,
  fails,
  failure,
  gives,
  hello,
  inTls,
  isTaken,
  message,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends,
  transaction
} from "./parts.ts"

const { ends, hears, hearsOctets, says } = ScriptedServer

const three = { ...message, to: ["test1@valid.example", "test2@invalid.example", "test3@valid.example"] }

// As far as the reply to the content.
const inOneFlight = `
  C: MAIL FROM:<ann@example.org>
  C: RCPT TO:<test1@valid.example>
  C: RCPT TO:<test2@invalid.example>
  C: RCPT TO:<test3@valid.example>
  C: DATA
  S: 250 ok
  S: 250 ok
  S: 550 not here
  S: 250 ok
  S: 354 go on
  ${hello}
  C: .
`

const toTheValid = [
  "Accepted <test1@valid.example>: 250 OK: queued",
  "Refused <test2@invalid.example>: 550 not here",
  "Accepted <test3@valid.example>: 250 OK: queued"
]

const rows = 1024
const row = "line after line of it"
const repeated = `Subject: rows\n\n${`${row}\n`.repeat(rows)}`
const onTheWire = `Subject: rows\r\n\r\n${`${row}\r\n`.repeat(rows)}.\r\n`

/** The content comes in some form; what goes to the wire is the same. */
const takes = (form: string, from: string, content: SmtpClient.Message["content"]): Exchange => ({
  name: `sends the same lines of ${form}`,
  from,
  script: [
    says("220 mail.example ESMTP"),
    hears("EHLO client.example"),
    says("250 mail.example"),
    hears("MAIL FROM:<ann@example.org>"),
    says("250 ok"),
    hears("RCPT TO:<ben@example.net>"),
    says("250 ok"),
    hears("DATA"),
    says("354 go on"),
    hearsOctets(onTheWire),
    says("250 taken"),
    hears("QUIT"),
    says("221 bye"),
    ends
  ],
  ...isTaken({ ...message, content })
})

const octets = new TextEncoder().encode(repeated)

async function* pieces() {
  yield repeated.slice(0, 1001)
  yield repeated.slice(1001)
}

/** What became of each of many messages. */
const sendsAll = (...messages: ReadonlyArray<SmtpClient.Message>) => (client: Client) =>
  Effect.map(
    Stream.runCollect(client.sendAll(Stream.fromIterable(messages))),
    (all) =>
      all.map(({ result }) =>
        Result.isSuccess(result) ? Reply.render(result.success.reply) : result.failure.reason._tag
      )
  )

export const mail: ReadonlyArray<Exchange> = [
  {
    name: "sends to the valid recipients of three where PIPELINING is not offered",
    from: "smtp-connection-test: should send only to valid recipients without PIPELINING",
    script: `${begins()}
      ${sender()}
      ${recipient("<test1@valid.example>")}
      C: RCPT TO:<test2@invalid.example>
      S: 550 not here
      ${recipient("<test3@valid.example>")}
      ${data(hello, "250 OK: queued")}
      ${quits}
    `,
    asks: sends(three),
    finds: gives(toTheValid)
  },
  {
    name: "sends to the valid recipients of three in one flight",
    from: "smtp-connection-test: should send only to valid recipients",
    script: `${begins("PIPELINING")}
      ${inOneFlight}
      S: 250 OK: queued
      ${quits}
    `,
    asks: sends(three),
    finds: gives(toTheValid)
  },
  {
    name: "is told of each recipient when all are refused",
    from: "smtp-connection-test: should reject all recipients, should return error for no valid recipients",
    script: `${begins("PIPELINING")}
      C: MAIL FROM:<ann@example.org>
      C: RCPT TO:<test1@invalid.example>
      C: RCPT TO:<test2@invalid.example>
      C: DATA
      S: 250 ok
      S: 550 not 1
      S: 550 not 2
      S: 503 for whom?
      ${resets}
    `,
    asks: sends({ ...message, to: ["test1@invalid.example", "test2@invalid.example"] }),
    finds: (outcome) => {
      const { recipients, replies } = reason(outcome, "RecipientsRefused")
      assert.deepStrictEqual(recipients, ["<test1@invalid.example>", "<test2@invalid.example>"])
      assert.deepStrictEqual(replies.map(Reply.render), ["550 not 1", "550 not 2"])
    }
  },
  {
    name: "sends two messages in one session, and needs no RSET between them",
    from: "smtp-connection-test: should send multiple messages",
    script: `${begins()}${transaction}${delivers}`,
    asks: sendsAll(message, message),
    finds: gives(["250 taken", "250 taken"])
  },
  {
    name: "sends nothing larger than the server takes",
    from: "smtp-connection-test: should reject too large SIZE arguments",
    script: `${begins("SIZE 102400")}${quits}`,
    asks: sends({ ...message, content: { stream: Stream.make(octets), size: 1024 * 1024 } }),
    finds: fails("TooLarge", { size: 1024 * 1024, limit: 102_400, reply: undefined }, "never")
  },
  ...["552 5.3.4 too large", "452 4.3.1 no room for it"].map((reply): Exchange => ({
    name: `is told at MAIL that there is no room for the size declared (${reply.slice(0, 3)})`,
    from: "smtp-connection-test: should reject too large message",
    script: `${begins("SIZE 102400")}
      C: MAIL FROM:<ann@example.org> SIZE=71680
      S: ${reply}
      ${resets}
    `,
    asks: sends({ ...message, content: { stream: Stream.make(octets), size: 70 * 1024 } }),
    finds: (outcome) => {
      const { problem, retry } = failure(outcome)
      assert.strictEqual(retry, reply.startsWith("4") ? "later" : "never")
      assert.include(problem, reply)
    }
  })),
  {
    name: "declares the size that it was told of a stream",
    from: "smtp-connection-test: should declare SIZE",
    script: `${begins("SIZE 102400")}
      ${sender("<ann@example.org> SIZE=26")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken({
      ...message,
      content: { stream: Stream.make(new TextEncoder().encode(message.content)), size: message.content.length }
    })
  },
  {
    name: "hears of each recipient behind the content in LMTP",
    from: "smtp-connection-test: lmtp should send only to valid recipients",
    options: { endpoint: "lmtp://mail.example", security: "plain" },
    script: `
      S: 220 mail.example LMTP
      C: LHLO client.example
      S: 250-mail.example
      S: 250 PIPELINING
      ${inOneFlight}
      S: 450 <test1@valid.example> not now
      S: 250 <test3@valid.example> taken
      ${quits}
    `,
    asks: sends(three),
    finds: gives([
      "Deferred <test1@valid.example>: 450 <test1@valid.example> not now",
      "Refused <test2@invalid.example>: 550 not here",
      "Accepted <test3@valid.example>: 250 <test3@valid.example> taken"
    ])
  },
  {
    name: "says SMTPUTF8 for a recipient beyond ASCII, and BODY=8BITMIME for such content",
    from: "smtp-connection-test: should send using SMTPUTF8, should send using 8BITMIME",
    script: `${begins("8BITMIME", "SMTPUTF8")}
      ${sender("<ann@example.org> BODY=8BITMIME SMTPUTF8")}
      ${recipient("<test3õ@valid.example>")}
      C: DATA
      S: 354 go on
      C: Subject: hello
      C: 
      C: õõõõ
      C: .
      S: 250 taken
      ${quits}
    `,
    asks: sends({ ...message, to: "test3õ@valid.example", content: "Subject: hello\n\nõõõõ\n" }),
    finds: gives(["Accepted <test3õ@valid.example>: 250 taken"])
  },
  {
    name: "sends no content beyond ASCII where 8BITMIME is not offered",
    from: "smtp-connection-test: should receive error for 8-bit content without 8BITMIME declaration",
    script: `${begins()}${quits}`,
    asks: sends({ ...message, content: "Subject: hello\n\nõõõõ\n" }),
    finds: fails("ExtensionMissing", { extension: "8BITMIME" }, "never")
  },
  {
    name: "connects to nobody with a recipient that has a line end in it",
    from: "smtp-connection-test: should return error for invalidly formatted recipients",
    script: [],
    asks: sends({ ...message, to: ["ben@example.net", "\"address\r\n with folding\"@example.net"] }),
    finds: fails("InvalidInput", { what: "\"to\" of the envelope" }, "never")
  },
  {
    name: "is told that the sender is refused",
    from: "smtp-connection-test: should return error for invalid sender; smtp-tranport-test: Should fail envelope",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 550 not from there
      ${resets}
    `,
    asks: sends(message),
    finds: fails("SenderRefused", { reversePath: "<ann@example.org>" }, "never")
  },
  takes("text", "smtp-connection-test: should send message string", repeated),
  takes("octets", "smtp-connection-test: should send message buffer", octets),
  takes(
    "an Effect stream",
    "smtp-connection-test: should send message stream, should send to unsecure server",
    Stream.make(
      octets.subarray(0, 777),
      octets.subarray(777)
    )
  ),
  takes("an async iterable", "smtp-connection-test: should send message stream", pieces()),
  {
    name: "says REQUIRETLS beside what DSN asks for",
    from: "requiretls-test: should send REQUIRETLS …, should send REQUIRETLS along with DSN parameters",
    options: inTls,
    script: `${beginsInTls("DSN", "REQUIRETLS")}
      ${sender("<ann@example.org> RET=HDRS ENVID=test-envelope-id REQUIRETLS")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken({ ...message, requireTls: true, dsn: { return: "headers", envelopeId: "test-envelope-id" } })
  },
  ...[undefined, false].map((requireTls): Exchange => ({
    name: `does not say REQUIRETLS of a message that does not ask for it (${String(requireTls)})`,
    from: "requiretls-test: should NOT send REQUIRETLS …",
    options: inTls,
    script: `${beginsInTls("REQUIRETLS")}${delivers}`,
    ...isTaken({ ...message, requireTls })
  })),
  {
    name: "says no MAIL where REQUIRETLS is asked for and not offered",
    from: "requiretls-test: should error when server does not support REQUIRETLS, response-action discipline",
    options: inTls,
    script: `${beginsInTls("DSN")}${quits}`,
    asks: sends({ ...message, requireTls: true }),
    finds: fails("ExtensionMissing", { extension: "REQUIRETLS" }, "never")
  },
  {
    name: "says no MAIL where REQUIRETLS is asked for without TLS",
    from: "requiretls-test: response-action discipline",
    script: `${begins("REQUIRETLS")}${quits}`,
    asks: sends({ ...message, requireTls: true }),
    finds: fails("ExtensionMissing", { extension: "REQUIRETLS" }, "never")
  },
  {
    name: "may send again when the server closes while the content is asked for",
    from: "smtp-tranport-test: Should recover unexpeced close during transmission",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: DATA
      -- close
    `,
    asks: sends(message),
    finds: fails("ConnectionLost", { step: "Data" }, "now")
  },
  {
    name: "is in doubt when the server closes behind the content",
    from: "smtp-pool-test: should tolerate idle connections (the server closes instead of its reply)",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: DATA
      S: 354 go on
      ${hello}
      C: .
      -- close
    `,
    asks: sends(message),
    finds: fails("InDoubt", { recipients: ["<ben@example.net>"] }, "in doubt")
  },
  {
    name: "sends each message to its end, though some are refused",
    from: "smtp-pool-test: should tolerate connection errors, should send multiple mails",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 550 not from there
      C: RSET
      S: 250 ok
      ${transaction}
      C: MAIL FROM:<ann@example.org>
      S: 550 not from there
      ${resets}
    `,
    asks: sendsAll(message, message, message),
    finds: gives(["SenderRefused", "250 taken", "SenderRefused"])
  },
  {
    name: "goes on with another connection when the server closed the first between two messages",
    from: "smtp-pool-test: should tolerate idle connections and re-assign messages to other connections",
    script: [
      `${begins()}${transaction}
      -- close
      `,
      `${begins()}${delivers}`
    ],
    asks: sendsAll(message, message),
    finds: gives(["250 taken", "250 taken"])
  },
  {
    name: "tells whoever waits for a message that the server fell silent at it",
    from: "smtp-pool-test: should call back with connection errors to senders having messages in flight",
    script: `${begins()}
      ${sender()}
      C: RCPT TO:<ben@example.net>
      -- stall
    `,
    asks: sends(message),
    finds: fails("TimedOut", { step: "Rcpt", limit: 300_000 }, "later")
  },
  {
    name: "sends no more on a connection than the server takes",
    from: "smtp-pool-test: should not send more then allowed for one connection",
    script: [1, 2].map(() => `${begins("LIMITS MAILMAX=1")}${delivers}`),
    asks: sendsAll(message, message),
    finds: gives(["250 taken", "250 taken"])
  }
]
