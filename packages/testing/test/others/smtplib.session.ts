/** Of smtplib's cases: how sessions begin and end, and what they are asked. */
import { assert } from "@effect/vitest"
import { Address, Capabilities, Command, Inquiry, Program } from "@postern/core"
import { Effect, Result } from "effect"
import type { Client, Exchange } from "./exchange.ts"
import { begins, fails, failure, gives, message, quits, reason } from "./parts.ts"

const opens = (client: Client) => Effect.map(client.open, ({ session }) => session.facts.greeting.lines[0])

const name = Result.getOrThrow(Address.parseDomain("client.example"))

/** The extensions of a session, by their keywords. */
const offered = (client: Client) => Effect.map(client.open, ({ session }) => session.facts.capabilities?.keywords)

const noopAndRset = (client: Client) =>
  client.use(() =>
    Effect.gen(function*() {
      const noop = yield* Program.send(Command.noop)
      const rset = yield* Program.send(Command.rset)
      return [noop.code, rset.code]
    })
  )

export const session: ReadonlyArray<Exchange> = [
  {
    name: "opens a session and ends it",
    from: "GeneralTests.testBasic1, testLocalHostName; DebuggingServerTests.testBasic; SMTPSimTests.testBasic",
    script: `
      S: 220 ready when you are
      C: EHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: opens,
    finds: gives("ready when you are")
  },
  {
    name: "reads the port behind the host",
    from: "GeneralTests.testBasic2",
    options: { endpoint: "mail.example:2525" },
    script: `${begins()}${quits}`,
    asks: (client) => Effect.map(client.open, ({ session }) => [session.facts.host, session.facts.port]),
    finds: gives(["mail.example", 2525])
  },
  {
    name: "is made for no port that is no number",
    from: "NonConnectingTests.testNonnumericPort",
    options: { endpoint: "mail.example:bogus" },
    script: [],
    asks: opens,
    finds: fails("InvalidInput", { what: "the endpoint" }, "never")
  },
  {
    name: "speaks LMTP",
    from: "LMTPGeneralTests (GeneralTests.testBasic1 with the client smtplib.LMTP)",
    options: { endpoint: "lmtp://mail.example", security: "plain" },
    script: `
      S: 220 ready when you are
      C: LHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: opens,
    finds: gives("ready when you are")
  },
  {
    name: "waits for a greeting no longer than it is told to",
    from: "GeneralTests.testTimeoutValue, testTimeoutDefault",
    options: { timeLimits: { Greeting: "30 seconds" } },
    script: "-- stall",
    asks: opens,
    finds: fails("TimedOut", { step: "Greeting", limit: 30_000 }, "later")
  },
  {
    name: "waits for a greeting as long as it is told to",
    from: "GeneralTests.testTimeoutValue",
    options: { timeLimits: { Greeting: "30 seconds" } },
    script: `
      -- wait 29 seconds
      S: 220 ready when you are
      C: EHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: opens,
    finds: gives("ready when you are")
  },
  {
    name: "takes no greeting of 1yz",
    from: "BadHELOServerTests.testFailingHELO",
    script: `
      S: 199 nobody is at home
      -- close
    `,
    asks: opens,
    finds: (outcome) => {
      fails("ProtocolViolation", { step: "Greeting" }, "later")(outcome)
      assert.include(reason(outcome, "ProtocolViolation").received, "199 nobody is at home")
    }
  },
  {
    name: "reads no line of more than 16 KiB",
    from: "TooLongLineTests.testLineTooLong",
    script: `
      S: 250 OK${".".repeat(16_385)}
      -- close
    `,
    asks: opens,
    finds: (outcome) => {
      fails("ProtocolViolation", { step: "Greeting" }, "later")(outcome)
      assert.include(reason(outcome, "ProtocolViolation").expected, "line too long")
    }
  },
  {
    name: "reads a line of 8200 octets",
    from: "TooLongLineTests.testLineTooLong (a difference)",
    script: `
      S: 220 ${"a".repeat(8_196)}
      C: EHLO client.example
      S: 250 mail.example
      ${quits}
    `,
    asks: opens,
    finds: gives("a".repeat(8_196))
  },
  {
    name: "has no name with a line break in it",
    from: "DebuggingServerTests.test_issue43124_escape_localhostname",
    options: { domain: "client\nRSET" },
    script: [],
    asks: opens,
    finds: fails("InvalidInput", { what: "the domain for EHLO" }, "never")
  },
  {
    name: "reads an answer to EHLO whose first line is empty",
    from: "DebuggingServerTests.testELHO",
    script: `
      S: 220 mail.example ready
      C: EHLO client.example
      S: 250-
      S: 250-SIZE 33554432
      S: 250 HELP
      ${quits}
    `,
    asks: offered,
    finds: gives({ SIZE: ["33554432"], HELP: [] })
  },
  {
    name: "knows what a server offers",
    from: "SMTPSimTests.testEHLO",
    script: `${begins("EXPN", "SIZE 20000000", "STARTTLS", "DELIVERBY", "HELP")}${quits}`,
    asks: (client) =>
      Effect.map(client.open, ({ session: { facts: { capabilities } } }) =>
        capabilities && {
          size: capabilities.size,
          startTls: capabilities.startTls,
          offers: ["expn", "SIZE", "deliverby", "Help"].map((keyword) => Capabilities.has(capabilities, keyword)),
          other: Capabilities.has(capabilities, "unsupported-feature")
        }),
    finds: gives({ size: 20_000_000, startTls: true, offers: [true, true, true, true], other: false })
  },
  {
    name: "forgets what the server offered when it connects anew",
    from: "SMTPSimTests.test_quit_resets_greeting",
    script: [`${begins("SIZE 20000000")}${quits}`, `${begins("HELP")}${quits}`],
    asks: (client) => Effect.all([Effect.scoped(offered(client)), Effect.scoped(offered(client))]),
    finds: gives([{ SIZE: ["20000000"] }, { HELP: [] }])
  },
  {
    name: "says NOOP and RSET",
    from: "DebuggingServerTests.testNOOP, testRSET; SMTPSimTests.test_with_statement",
    script: `${begins()}
      C: NOOP
      S: 250 OK
      C: RSET
      S: 250 OK
      ${quits}
    `,
    asks: noopAndRset,
    finds: gives([250, 250])
  },
  {
    name: "sends nothing on a session that has ended",
    from: "SMTPSimTests.test_with_statement, NonConnectingTests.testNotConnected",
    script: `${begins()}${quits}`,
    asks: (client) => Effect.flatMap(Effect.scoped(client.open), ({ send }) => send(message)),
    finds: fails("ConnectionLost", { step: "Quit", detail: "the session was ended by QUIT" }, "now")
  },
  {
    name: "does not mind how QUIT is answered",
    from: "SMTPSimTests.test_with_statement_QUIT_failure (a difference)",
    script: `${begins()}
      C: NOOP
      S: 250 OK
      C: RSET
      S: 250 OK
      C: QUIT
      S: 421 going down
      -- close
    `,
    asks: noopAndRset,
    finds: gives([250, 250])
  },
  {
    name: "is told that EXPN is not implemented",
    from: "DebuggingServerTests.testEXPNNotImplemented",
    script: `${begins()}
      C: EXPN staff
      S: 502 lists are not shown
      ${quits}
    `,
    asks: (client) => client.use((session) => Inquiry.expand(session, "staff")),
    finds: (outcome) => {
      fails("CommandRefused", { step: "Expn" }, "never")(outcome)
      assert.strictEqual(reason(outcome, "CommandRefused").reply.code, 502)
      assert.include(failure(outcome).problem, "lists are not shown")
    }
  },
  {
    name: "says no command with a line break in it",
    from: "DebuggingServerTests.test_issue43124_putcmd_escapes_newline",
    script: `${begins()}${quits}`,
    asks: (client) => client.use((session) => Inquiry.verify(session, "ann\nRSET")),
    finds: fails("InvalidInput", { what: "the argument of VRFY" }, "never")
  },
  {
    name: "is told nothing for certain about a mailbox",
    from: "DebuggingServerTests.testVRFY",
    script: `${begins()}
      C: VRFY nobody@nowhere.example
      S: 252 who is here is not told
      ${quits}
    `,
    asks: (client) => client.use((session) => Inquiry.verify(session, "nobody@nowhere.example")),
    finds: gives({ certain: false, mailboxes: [] })
  },
  {
    name: "is told that a second HELO is one too many",
    from: "DebuggingServerTests.testSecondHELO",
    script: `${begins()}
      C: HELO client.example
      S: 503 once was enough
      ${quits}
    `,
    asks: (client) =>
      client.use(() =>
        Effect.gen(function*() {
          return yield* Program.send(Command.helo(name))
        })
      ),
    finds: fails("CommandRefused", { step: "Helo" }, "never")
  },
  {
    name: "reads help that comes with 250",
    from: "DebuggingServerTests.testHELP",
    script: `${begins()}
      C: HELP
      S: 250 known: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY
      ${quits}
    `,
    asks: (client) =>
      client.use(() =>
        Effect.gen(function*() {
          return yield* Program.send(Command.help)
        })
      ),
    finds: gives(["known: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY"])
  },
  {
    name: "asks for users who are known, and one who is not",
    from: "SMTPSimTests.testVRFY",
    script: `${begins("EXPN")}
      C: VRFY adam@a.example
      S: 250 Adam A <adam@a.example>
      C: VRFY berta@xn--fo-fka.example
      S: 250 Berta B <berta@xn--fo-fka.example>
      C: VRFY nobody@nowhere.example
      S: 550 unknown here
      ${quits}
    `,
    asks: (client) =>
      client.use((session) =>
        Effect.gen(function*() {
          const adam = yield* Inquiry.verify(session, "adam@a.example")
          const berta = yield* Inquiry.verify(session, "berta@xn--fo-fka.example")
          const nobody = yield* Effect.result(Effect.gen(function*() {
            return yield* Inquiry.verify(session, "nobody@nowhere.example")
          }))
          return [
            ...adam.mailboxes,
            ...berta.mailboxes,
            Result.isFailure(nobody) ? nobody.failure.reason._tag : "known"
          ]
        })
      ),
    finds: gives(["Adam A <adam@a.example>", "Berta B <berta@xn--fo-fka.example>", "CommandRefused"])
  },
  {
    name: "asks who is on lists, and on one that it may not see",
    from: "SMTPSimTests.testEXPN",
    script: `${begins("EXPN")}
      C: EXPN list-1
      S: 250-Adam A <adam@a.example>
      S: 250 Carla C <carla@c.example>
      C: EXPN list-2
      S: 250 Berta B <berta@xn--fo-fka.example>
      C: EXPN members
      S: 550 not for you
      ${quits}
    `,
    asks: (client) =>
      client.use((session) =>
        Effect.gen(function*() {
          const first = yield* Inquiry.expand(session, "list-1")
          const second = yield* Inquiry.expand(session, "list-2")
          const third = yield* Effect.result(Effect.gen(function*() {
            return yield* Inquiry.expand(session, "members")
          }))
          return [first.length, ...second, Result.isFailure(third) ? third.failure.reason._tag : "known"]
        })
      ),
    finds: gives([2, "Berta B <berta@xn--fo-fka.example>", "CommandRefused"])
  }
]
