/** What the tests of Go's net/smtp say. */
import { assert } from "@effect/vitest"
import { Capabilities, Command, Inquiry, type Session } from "@postern/core"
import { Effect } from "effect"
import type { Collection, Exchange } from "./exchange.ts"
import { auth } from "./goSmtp.auth.ts"
import {
  begins,
  delivers,
  fails,
  gives,
  isTaken,
  learns,
  message,
  opens,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends,
  triesHelo,
  verifies
} from "./parts.ts"

// The server knows no EHLO, and talks of extensions all the same.
const beginsWithHelo = `
  ${triesHelo("502 what?")}
  S: 250-mail.example
  S: 250-SIZE 35651584
  S: 250-AUTH LOGIN PLAIN
  S: 250 8BITMIME
`

const injected = ">\r\nDATA\r\nAnother body\r\n.\r\nQUIT\r\n"

const mail: ReadonlyArray<Exchange> = [
  {
    name: "reads what is offered in any case of letters",
    from: "TestNewClient, TestBasic (extensions)",
    script: `${begins("SIZE 35651584", "AUTH LOGIN PLAIN", "8BITMIME")}${quits}`,
    asks: learns(({ capabilities }) =>
      capabilities && [
        Capabilities.parameters(capabilities, "aUtH"),
        Capabilities.has(capabilities, "DSN"),
        capabilities.size
      ]
    ),
    finds: gives([["LOGIN", "PLAIN"], false, 35_651_584])
  },
  {
    name: "says HELO after EHLO was refused, and uses nothing that its reply offers",
    from: "TestNewClient2, TestHello (5, 7), TestExtensions/helo",
    script: `${beginsWithHelo}${quits}`,
    asks: learns(({ capabilities }) =>
      capabilities && [capabilities.extended, capabilities.auth, capabilities.size, capabilities.eightBitMime]
    ),
    finds: gives([false, [], undefined, false])
  },
  {
    name: "ends in good order where HELO is refused, too",
    from: "TestHELOFailed",
    script: `
      ${triesHelo("502 what?")}
      S: 502 what?
      ${quits}
    `,
    asks: opens,
    finds: (outcome) => {
      const { reply, step } = reason(outcome, "CommandRefused")
      assert.deepStrictEqual([step, reply.code, reply.lines], ["Ehlo", 502, ["what?"]])
    }
  },
  {
    name: "sends after HELO",
    from: "TestSendMail, TestHello (4)",
    script: `${beginsWithHelo}${delivers}`,
    ...isTaken(message)
  },
  {
    name: "says RSET, NOOP and VRFY after HELO",
    from: "TestHello (2, 6, 8, 9)",
    script: `${beginsWithHelo}
      C: RSET
      S: 250 reset
      C: NOOP
      S: 250 ok
      C: VRFY ann@example.org
      S: 250 she is known
      ${quits}
    `,
    asks: (client) =>
      client.use(Effect.fnUntraced(function*(session: Session.Session<"ready">) {
        yield* session.send(Command.rset)
        yield* session.send(Command.noop)
        return yield* Inquiry.verify(session, "ann@example.org")
      })),
    finds: gives({ certain: true, mailboxes: ["she is known"] })
  },
  {
    name: "does not say STARTTLS where it is not offered",
    from: "TestHello (1)",
    options: { security: "startTls" },
    script: `${beginsWithHelo}${quits}`,
    asks: opens,
    finds: fails("TlsUnavailable", { reply: undefined }, "never")
  },
  {
    name: "does not go on in plain text where STARTTLS is refused",
    from: "TestHello (1, the server's reply)",
    options: { security: "startTls" },
    script: `${begins("STARTTLS")}
      C: STARTTLS
      S: 502 not implemented
      ${quits}
    `,
    asks: sends(message),
    finds: (outcome) => assert.strictEqual(reason(outcome, "TlsUnavailable").reply?.code, 502)
  },
  {
    name: "connects to nobody with a name in EHLO that holds commands",
    from: "TestHello (0)",
    options: { domain: "client.example>\n\rDATA\r\nInjected\r\n.\r\nQUIT\r\n" },
    script: [],
    asks: opens,
    finds: fails("InvalidInput", { what: "the domain for EHLO" }, "never")
  },
  {
    name: "is told that MAIL wants authentication",
    from: "TestBasic (MAIL before AUTH)",
    script: `${begins("SIZE 35651584", "AUTH LOGIN PLAIN", "8BITMIME")}
      C: MAIL FROM:<ann@example.org> SIZE=26
      S: 530 authentication required
      ${resets}
    `,
    asks: sends(message),
    finds: fails("AuthenticationRequired", { step: "Mail" }, "never")
  },
  {
    name: "takes 252 to VRFY for an answer that is not certain, and 250 for one that is",
    from: "TestBasic (VRFY)",
    script: `${begins()}
      C: VRFY ann@example.org
      S: 252 send something and see
      C: VRFY ben@example.net
      S: 250 he is known
      ${quits}
    `,
    asks: (client) =>
      client.use(Effect.fnUntraced(function*(session: Session.Session<"ready">) {
        return [
          yield* Inquiry.verify(session, "ann@example.org"),
          yield* Inquiry.verify(session, "ben@example.net")
        ]
      })),
    finds: gives([
      { certain: false, mailboxes: [] },
      { certain: true, mailboxes: ["he is known"] }
    ])
  },
  {
    name: "does not say VRFY of what holds commands",
    from: "TestBasic (VRFY with CRLF)",
    script: `${begins()}${quits}`,
    asks: verifies(`ben@example.net${injected}`),
    finds: fails("InvalidInput", { what: "the argument of VRFY" }, "never")
  },
  {
    name: "connects to nobody with a sender that holds commands",
    from: "TestBasic (MAIL with CRLF)",
    script: [],
    asks: sends({ ...message, from: `ann@example.org${injected}` }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "connects to nobody with a recipient that holds commands",
    from: "TestBasic (RCPT with CRLF), TestSendMail (recipient with CRLF)",
    script: [],
    asks: sends({ ...message, to: ["cat@example.com", `ben@example.net${injected}`] }),
    finds: fails("InvalidInput", { what: "\"to\" of the envelope" }, "never")
  },
  {
    name: "doubles a dot at the beginning of a line, and ends the last line",
    from: "TestBasic (DATA)",
    script: `${begins("SIZE 35651584", "8BITMIME")}
      ${sender("<ann@example.org> SIZE=61")}
      ${recipient()}
      C: DATA
      S: 354 go on
      C: Subject: dots
      C: 
      C: Line 1
      C: ..A dot leads this line .
      C: Goodbye.
      C: .
      S: 250 taken
      ${quits}
    `,
    ...isTaken({ ...message, content: "Subject: dots\n\nLine 1\n.A dot leads this line .\nGoodbye." })
  },
  {
    name: "names no extension that is not offered",
    from: "TestExtensions/ehlo",
    script: `${begins("HELP")}${delivers}`,
    ...isTaken(message)
  },
  {
    name: "does not say BODY=8BITMIME of content that is ASCII",
    from: "TestExtensions/ehlo 8bitmime",
    script: `${begins("8BITMIME")}${delivers}`,
    ...isTaken(message)
  },
  ...[["SMTPUTF8"], ["SIZE 35651584", "8BITMIME", "SMTPUTF8"]].map((extensions): Exchange => ({
    name: `says SMTPUTF8 for an address with characters beyond ASCII (${extensions.join(", ")})`,
    from: "TestExtensions/ehlo smtputf8, ehlo 8bitmime smtputf8",
    script: `${begins(...extensions)}
      ${sender(`<ann+📧@example.org>${extensions.length > 1 ? " SIZE=26" : ""} SMTPUTF8`)}
      ${recipient("<ben@example.net>", "550 not here")}
      ${resets}
    `,
    asks: sends({ ...message, from: "ann+📧@example.org" }),
    finds: (outcome) => assert.deepStrictEqual(reason(outcome, "RecipientsRefused").recipients, ["<ben@example.net>"])
  })),
  {
    name: "does not take a line without a code within a reply",
    from: "net/textproto TestReadMultiLineError",
    script: `${begins()}
      ${sender()}
      C: RCPT TO:<ben@example.net>
      S: 550-5.1.1 There is nobody here
      S: of that name!
      S: 550 5.1.1 bye
      -- close
    `,
    asks: sends(message),
    finds: fails("ProtocolViolation", { step: "Rcpt" }, "later")
  },
  {
    name: "tells all lines of a refusal, and its status once",
    from: "net/textproto TestReadMultiLineError, TestRFC959Lines",
    script: `${begins()}
      ${sender()}
      C: RCPT TO:<ben@example.net>
      S: 550-5.1.1 There is nobody here
      S: 550-5.1.1 of that name!
      S: 550 5.1.1 See help.example
      ${resets}
    `,
    asks: sends(message),
    finds: (outcome) => {
      const [reply] = reason(outcome, "RecipientsRefused").replies
      assert.deepStrictEqual([reply?.code, reply?.status, reply?.lines.length], [550, {
        class: 5,
        subject: 1,
        detail: 1
      }, 3])
    }
  }
]

export const goSmtp: Collection = {
  project: "Go net/smtp",
  version: "Go 1.24 or later, as in the fork embeddedgo/go at d5c77494",
  url: "https://github.com/golang/go",
  exchanges: [...mail, ...auth],
  differences: [
    {
      from: "TestAuthPlain (#1)",
      theirs: "sends a password without TLS to localhost",
      ours: "fails with NoUsableMechanism, unless the mechanism is named with `Mechanism.allowWithoutTls`",
      reason: "what listens on localhost may be anybody's, a container's or a tunnel's; no name is an exception"
    },
    {
      from: "TestAuthPlain (#4)",
      theirs: "gives PLAIN the name of the host that it may be used with, and compares",
      ours: "fails with CertificateRefused before anything is said",
      reason: "credentials belong to a client of one endpoint, and TLS has verified its name"
    },
    {
      from: "TestAuthFailed",
      theirs: "says `*` after 535",
      ours: "says nothing more of AUTH",
      reason: "the exchange ended with the reply; `*` would be a command that nobody knows (RFC 4954 §4)"
    },
    {
      from: "TestClientAuthTrimSpace",
      theirs: "says `*` after 200, and goes on",
      ours: "fails with ProtocolViolation",
      reason: "nobody knows what 200 means to AUTH"
    },
    {
      from: "TestBasic (VRFY)",
      theirs: "takes 252 for a failure",
      ours: "answers that it is not certain",
      reason: "252 refuses nothing: mail will be taken and tried (RFC 5321 §3.5.3)"
    },
    {
      from: "TestBasic, TestExtensions/ehlo 8bitmime, ehlo 8bitmime smtputf8",
      theirs: "says BODY=8BITMIME wherever it is offered, and never SIZE",
      ours: "says BODY=8BITMIME of content beyond ASCII, and SIZE wherever it is offered",
      reason: "what is ASCII needs no conversion on its way; SIZE has a server refuse before the content is sent"
    },
    {
      from: "TestHello (1)",
      theirs: "says STARTTLS though it is not offered",
      ours: "fails with TlsUnavailable",
      reason: "a client asks for what EHLO offers (RFC 3207 §4); the refusal would say the same a round trip later"
    },
    {
      from: "TestHello (3)",
      theirs: "says AUTH after HELO",
      ours: "fails with NoUsableMechanism",
      reason: "HELO offers no mechanism (RFC 4954 §4)"
    },
    {
      from: "TestTLSClient",
      theirs: "takes the 250 that came together with the 354 for that to the content",
      ours: "fails with ProtocolViolation",
      reason: "a reply to what was not sent yet is none; the real one would be taken for that to the next command"
    },
    {
      from: "net/textproto TestReadMultiLineError, TestRFC959Lines",
      theirs: "takes lines without a code into a reply, as FTP has them (RFC 959)",
      ours: "fails with ProtocolViolation",
      reason: "every line has the code in SMTP (RFC 5321 §4.2.1); where replies begin would be a guess otherwise"
    }
  ],
  leftOut: [
    "the Client's calls out of order, which only their tests can make: TestBasic (HELO, EHLO refused, EHLO again)",
    "certificates and listeners of the tests themselves",
    "net/textproto of header fields, of lines and of what a server reads: TestReadLine, TestReadDotLines and others"
  ]
}
