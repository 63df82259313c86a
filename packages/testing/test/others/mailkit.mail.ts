/** Of MailKit's cases: transactions. */
import { assert } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  beginsInTls,
  data,
  delivered,
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
  told,
  why
} from "./parts.ts"

const body = "Subject: hello\n\n☮ ☯\n"
const eightBit = { ...message, content: body }

const peace = `
  C: Subject: hello
  C: 
  C: ☮ ☯
`

/** MAIL, RCPT and DATA in one flight, of which RCPT is refused. */
const refusedInFlight = `
  C: MAIL FROM:<ann@example.org>
  C: RCPT TO:<ben@example.net>
  C: DATA
  S: 250 2.1.0 ok
  S: 550 5.1.0 not available
`

export const mail: ReadonlyArray<Exchange> = [
  {
    name: "sends four messages in one session, and tells the reply to each",
    from: "TestBasicFunctionality (Send)",
    script: `${begins("SIZE 36700160", "ENHANCEDSTATUSCODES")}${
      [1, 2, 3, 4].map((n) => `
        C: MAIL FROM:<ann@example.org> SIZE=26
        S: 250 2.1.0 ok
        C: RCPT TO:<ben@example.net>
        S: 250 2.1.5 ok
        ${data(hello, `250 2.0.0 1Yat1n00V ${n} accepted for delivery`)}
      `).join("")
    }${quits}`,
    asks: (client) =>
      Effect.flatMap(
        client.open,
        ({ send }) => Effect.forEach([1, 2, 3, 4], () => Effect.map(send(message), ({ reply }) => Reply.render(reply)))
      ),
    finds: gives([1, 2, 3, 4].map((n) => `250 2.0.0 1Yat1n00V ${n} accepted for delivery`))
  },
  {
    name: "names every recipient, one after the other, where PIPELINING is not offered",
    from: "TestResend",
    script: `${begins()}
      ${sender()}
      ${recipient("<to@example.net>")}
      ${recipient("<cc@example.net>")}
      ${recipient("<bcc@example.net>")}
      ${data()}
      ${quits}
    `,
    asks: sends({ ...message, to: ["to@example.net", "cc@example.net", "bcc@example.net"] }),
    finds: gives(["to", "cc", "bcc"].map((name) => `Accepted <${name}@example.net>: 250 taken`))
  },
  {
    name: "connects to nobody with a message for nobody",
    from: "TestSendWithoutSenderOrRecipients",
    script: [],
    asks: sends({ ...message, to: [] }),
    finds: fails("InvalidInput", { what: "\"to\" of the envelope" }, "never")
  },
  {
    name: "says BODY=8BITMIME of content beyond ASCII",
    from: "TestEightBitMime",
    script: `${begins("8BITMIME")}${sender("<ann@example.org> BODY=8BITMIME")}${recipient()}${data(peace)}${quits}`,
    ...isTaken(eightBit)
  },
  {
    name: "says SMTPUTF8 and BODY=8BITMIME for mailboxes and content beyond ASCII",
    from: "TestInternationalMailboxes",
    script: `${begins("8BITMIME", "SMTPUTF8")}
      ${sender("<úßerñame@example.com> BODY=8BITMIME SMTPUTF8")}
      ${recipient("<úßerñame@example.com>")}
      ${data(peace)}
      ${quits}
    `,
    asks: sends({ from: "úßerñame@example.com", to: "úßerñame@example.com", content: body }),
    finds: gives(["Accepted <úßerñame@example.com>: 250 taken"])
  },
  {
    name: "sends nothing from a mailbox beyond ASCII where SMTPUTF8 is not offered",
    from: "TestInternationalMailboxes (SMTPUTF8 taken away)",
    options: { without: ["SMTPUTF8"] },
    script: `${begins("8BITMIME", "SMTPUTF8")}${quits}`,
    asks: sends({ from: "úßerñame@example.com", to: "úßerñame@example.com", content: body }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "sends what is binary in one BDAT, untouched",
    from: "TestBinaryMime",
    script: `${begins("BINARYMIME", "CHUNKING", "8BITMIME")}
      ${sender("<ann@example.org> BODY=BINARYMIME")}
      ${recipient()}
      C: BDAT 27 LAST
      ${peace}
      S: 250 taken
      ${quits}
    `,
    ...isTaken({ ...message, binary: true, content: body.replaceAll("\n", "\r\n") })
  },
  {
    name: "writes MAIL, RCPT and DATA together where PIPELINING is offered",
    from: "TestPipelining",
    script: `${begins("PIPELINING", "8BITMIME")}
      C: MAIL FROM:<ann@example.org> BODY=8BITMIME
      C: RCPT TO:<ben@example.net>
      C: DATA
      S: 250 2.1.0 ok
      S: 250 2.1.5 ok
      S: 354 go on
      ${peace}
      C: .
      S: 250 taken
      ${quits}
    `,
    ...isTaken(eightBit)
  },
  {
    name: "is told that the sender is refused, and sends the next message on the same connection",
    from: "TestMailFromMailboxUnavailable",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 550 5.1.0 not available
      C: RSET
      S: 250 ok
      ${delivers}
    `,
    asks: (client) =>
      Effect.flatMap(client.open, ({ send }) => Effect.zip(why(send(message)), Effect.map(send(message), told)))
        .pipe(Effect.map(([error, sent]) => [error?.problem, error?.retry, sent])),
    finds: gives(["the sender <ann@example.org> was refused: 550 5.1.0 not available", "never", delivered])
  },
  {
    name: "is told that the sender is refused, though the server hangs up at RSET",
    from: "TestMailFromUnavailableRsetDisconnect",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 550 5.1.0 not available
      C: RSET
      -- close
    `,
    asks: (client) =>
      Effect.flatMap(client.open, ({ send, usable }) => Effect.zip(why(send(message)), usable)).pipe(
        Effect.map(([error, usable]) => [error?.reason._tag, usable])
      ),
    finds: gives(["SenderRefused", false])
  },
  {
    name: "does not say DATA where the only recipient is refused",
    from: "TestRcptToMailboxUnavailable, TestNoRecipientsAccepted",
    script: `${begins()}
      ${sender()}
      ${recipient("<ben@example.net>", "550 5.1.0 not available")}
      ${resets}
    `,
    asks: sends(message),
    finds: (outcome) => {
      const { recipients, replies } = reason(outcome, "RecipientsRefused")
      assert.deepStrictEqual([recipients, replies.map(Reply.render)], [["<ben@example.net>"], [
        "550 5.1.0 not available"
      ]])
      assert.strictEqual(failure(outcome).retry, "never")
    }
  },
  {
    name: "sends no content where DATA, written together with the refused RCPT, is refused",
    from: "TestNoRecipientsAcceptedPipelined",
    script: `${begins("PIPELINING")}
      ${refusedInFlight}
      S: 503 no recipients
      ${resets}
    `,
    asks: sends(message),
    finds: (outcome) =>
      assert.deepStrictEqual(reason(outcome, "RecipientsRefused").replies.map(Reply.render), [
        "550 5.1.0 not available"
      ])
  },
  {
    name: "ends empty content where DATA is answered by 354 all the same",
    from: "TestNoRecipientsAcceptedPipelined (a server that says 354)",
    script: `${begins("PIPELINING")}
      ${refusedInFlight}
      S: 354 go on
      C: .
      S: 554 no recipients
      ${quits}
    `,
    asks: sends(message),
    finds: fails("RecipientsRefused", { recipients: ["<ben@example.net>"] }, "never")
  },
  {
    name: "asks for reports: RET, ENVID, NOTIFY and ORCPT",
    from: "TestDeliveryStatusNotification",
    script: `${begins("DSN", "8BITMIME")}
      ${sender("<ann@example.org> BODY=8BITMIME RET=HDRS ENVID=QQ314159@example.org")}
      ${recipient("<ben@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;ben@example.net")}
      ${data(peace)}
      ${quits}
    `,
    ...isTaken({
      ...eightBit,
      to: { mailbox: "ben@example.net", originalRecipient: "ben@example.net" },
      dsn: { return: "headers", envelopeId: "QQ314159@example.org", notify: ["success", "failure", "delay"] }
    })
  },
  {
    name: "writes + and = of an ENVID in hexadecimal, and domains in A-labels",
    from: "TestDeliveryStatusNotificationWithHexEncode",
    script: `${begins("DSN", "8BITMIME")}
      ${sender("<ann@example.org> BODY=8BITMIME RET=FULL ENVID=123456789+2B+3Dabc@example.org")}
      ${recipient("<ben@xn--v8jxj3d1dzdz08w.com> NOTIFY=NEVER")}
      ${data(peace)}
      ${quits}
    `,
    asks: sends({
      ...eightBit,
      to: "ben@名がドメイン.com",
      dsn: { return: "full", envelopeId: "123456789+=abc@example.org", notify: "never" }
    }),
    finds: gives(["Accepted <ben@xn--v8jxj3d1dzdz08w.com>: 250 taken"])
  },
  {
    name: "connects to nobody with an ENVID beyond ASCII",
    from: "TestDeliveryStatusNotificationWithHexEncode (ENVID)",
    script: [],
    asks: sends({ ...message, dsn: { envelopeId: "123456789+=abc@名がドメイン.com" } }),
    finds: fails("InvalidInput", { what: "\"dsn.envelopeId\" of the envelope" }, "never")
  },
  {
    name: "says REQUIRETLS of the message that asks for it, and not of the next",
    from: "TestRequireTls",
    options: inTls,
    script: `${beginsInTls("8BITMIME", "REQUIRETLS")}
      ${sender("<ann@example.org> BODY=8BITMIME REQUIRETLS")}
      ${recipient()}
      ${data(peace)}
      ${sender("<ann@example.org> BODY=8BITMIME")}
      ${recipient()}
      ${data(peace)}
      ${quits}
    `,
    asks: (client) =>
      Effect.flatMap(
        client.open,
        ({ send }) => Effect.forEach([true, false], (requireTls) => Effect.map(send({ ...eightBit, requireTls }), told))
      ),
    finds: gives([delivered, delivered])
  },
  {
    name: "sends nothing that requires TLS where there is none, though REQUIRETLS is offered",
    from: "TestRequireTls (which has no TLS)",
    script: `${begins("8BITMIME", "REQUIRETLS")}${quits}`,
    asks: sends({ ...eightBit, requireTls: true }),
    finds: fails("ExtensionMissing", { extension: "REQUIRETLS" }, "never")
  },
  {
    name: "doubles the dot of every line that begins with one, and of no other",
    from: "SmtpDataFilterTests.TestSmtpDataFilter",
    script: `${begins()}
      ${sender()}
      ${recipient()}
      C: DATA
      S: 354 go on
      C: Subject: dots...
      C: 
      C: .... begins with three.
      C: has some. within
      C: .. and so does this
      C: ..
      C: .
      S: 250 taken
      ${quits}
    `,
    ...isTaken({
      ...message,
      content: "Subject: dots...\n\n... begins with three.\nhas some. within\n. and so does this\n.\n"
    })
  }
]
