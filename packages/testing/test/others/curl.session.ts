/** Of curl's cases: how sessions begin, and what they are asked besides taking mail. */
import { assert } from "@effect/vitest"
import { Command, Program } from "@postern/core"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  delivers,
  expands,
  fails,
  gives,
  isTaken,
  message,
  password,
  quits,
  reason,
  sends,
  triesHelo,
  verifies
} from "./parts.ts"

const credentials = password("user", "secret")

// A second reply to each command that the client has not said yet.
const ahead = `
  S: 454 not just now
  S: 235 welcome
  S: 250 2.1.0 fine
  S: 250 2.1.5 fine
  S: 354 go on
  S: 250 2.0.0 taken
  -- close
`

export const session: ReadonlyArray<Exchange> = [
  {
    name: "says HELO where EHLO is not known",
    from: "tests/data/test902",
    script: `
      ${triesHelo("500 what is that")}
      S: 250 mail.example
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "does not send without authentication where EHLO is not known",
    from: "tests/data/test939 (a difference)",
    options: { credentials },
    script: `
      ${triesHelo("500 what is that")}
      S: 250 mail.example
      ${quits}
    `,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: [], startTlsOffered: false }, "never")
  },
  {
    name: "does not send without authentication where AUTH is not offered",
    from: "tests/data/test940 (a difference)",
    options: { credentials },
    script: `${begins("SIZE")}${quits}`,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: [], unusable: [] }, "never")
  },
  {
    name: "says nothing more when replies to what it has not said follow a refusal of STARTTLS",
    from: "tests/data/test980",
    options: { security: "startTls", credentials },
    script: `${begins("STARTTLS", "AUTH PLAIN")}
      C: STARTTLS
      ${ahead}
    `,
    asks: sends(message),
    finds: (outcome) => {
      assert.strictEqual(reason(outcome, "TlsUnavailable").reply?.code, 454)
    }
  },
  {
    name: "takes no reply that was said ahead for one to its own command",
    from: "tests/data/test980, where TLS may be done without",
    options: { security: "startTlsIfOffered" },
    script: `${begins("STARTTLS", "AUTH PLAIN")}
      C: STARTTLS
      ${ahead}
    `,
    asks: sends(message),
    finds: fails("ProtocolViolation", { step: "Mail", received: "235 welcome" }, "later")
  },
  {
    name: "goes on without TLS where it may be done without and is refused",
    from: "tests/data/test980, without the replies said ahead",
    options: { security: "startTlsIfOffered" },
    script: `${begins("STARTTLS")}
      C: STARTTLS
      S: 454 not just now
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "asks for a user and is told the mailbox",
    from: "tests/data/test923, test950",
    script: `${begins()}
      C: VRFY recipient
      S: 250 <recipient@example.com>
      ${quits}
    `,
    asks: verifies("recipient"),
    finds: gives({ certain: true, mailboxes: ["<recipient@example.com>"] })
  },
  {
    name: "asks for a user and is told that there are several",
    from: "tests/data/test924",
    script: `${begins()}
      C: VRFY jones
      S: 553-Ambiguous; one of these is meant:
      S: 553-Jo Jones <jo.jones@example.com>
      S: 553 Kim Jones <kim.jones@example.com>
      ${quits}
    `,
    asks: verifies("jones"),
    finds: (outcome) => {
      fails("CommandRefused", { step: "Vrfy" }, "never")(outcome)
      const { code, lines } = reason(outcome, "CommandRefused").reply
      assert.strictEqual(code, 553)
      assert.deepStrictEqual(lines.slice(1), [
        "Jo Jones <jo.jones@example.com>",
        "Kim Jones <kim.jones@example.com>"
      ])
    }
  },
  {
    name: "asks for a mailbox elsewhere and is told nothing for certain",
    from: "tests/data/test925",
    script: `${begins()}
      C: VRFY ben@example.net
      S: 252 I shall try when there is mail for it
      ${quits}
    `,
    asks: verifies("ben@example.net"),
    finds: gives({ certain: false, mailboxes: [] })
  },
  {
    name: "asks for a user who is unknown",
    from: "tests/data/test926",
    script: `${begins()}
      C: VRFY recipient
      S: 550 unknown here
      ${quits}
    `,
    asks: verifies("recipient"),
    finds: (outcome) => {
      fails("CommandRefused", { step: "Vrfy" }, "never")(outcome)
      assert.strictEqual(reason(outcome, "CommandRefused").reply.code, 550)
    }
  },
  {
    name: "asks who is on a list",
    from: "tests/data/test927",
    script: `${begins()}
      C: EXPN Friends
      S: 250-Jo Jones <jo.jones@example.com>
      S: 250-Lou Jones <lou.jones@example.com>
      S: 250 Kim Jones <kim.jones@example.com>
      ${quits}
    `,
    asks: expands("Friends"),
    finds: gives([
      "Jo Jones <jo.jones@example.com>",
      "Lou Jones <lou.jones@example.com>",
      "Kim Jones <kim.jones@example.com>"
    ])
  },
  {
    name: "asks for help",
    from: "tests/data/test928",
    script: `${begins()}
      C: HELP
      S: 214-These are known:
      S: 214 EHLO HELO MAIL RCPT DATA
      ${quits}
    `,
    asks: (client) =>
      client.use(() =>
        Effect.gen(function*() {
          return yield* Program.send(Command.help)
        })
      ),
    finds: gives(["These are known:", "EHLO HELO MAIL RCPT DATA"])
  },
  {
    name: "says NOOP and RSET",
    from: "tests/data/test929, test930",
    script: `${begins()}
      C: NOOP
      S: 250 OK
      C: RSET
      S: 250 Resetting
      ${quits}
    `,
    asks: (client) =>
      client.use(() =>
        Effect.gen(function*() {
          const noop = yield* Program.send(Command.noop)
          const rset = yield* Program.send(Command.rset)
          return [noop.lines[0], rset.lines[0]]
        })
      ),
    finds: gives(["OK", "Resetting"])
  },
  {
    name: "asks for no user beyond ASCII of a server without SMTPUTF8",
    from: "tests/data/test957, test958 (a difference)",
    script: `${begins()}${quits}`,
    asks: verifies("Användaren"),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "asks for a mailbox by the A-labels of its domain",
    from: "tests/data/test964, and in place of test961",
    script: `${begins()}
      C: VRFY user@xn--4cab6c.se
      S: 250 <user@xn--4cab6c.se>
      ${quits}
    `,
    asks: verifies("user@åäö.se"),
    finds: gives({ certain: true, mailboxes: ["<user@xn--4cab6c.se>"] })
  },
  {
    name: "asks for a user beyond ASCII with SMTPUTF8",
    from: "tests/data/test968",
    script: `${begins("SMTPUTF8")}
      C: VRFY Användaren SMTPUTF8
      S: 250 <Användaren@example.com>
      ${quits}
    `,
    asks: verifies("Användaren"),
    finds: gives({ certain: true, mailboxes: ["<Användaren@example.com>"] })
  },
  {
    name: "asks for a mailbox beyond ASCII with SMTPUTF8, its domain in A-labels",
    from: "tests/data/test967",
    script: `${begins("SMTPUTF8")}
      C: VRFY Användaren@xn--4cab6c.se SMTPUTF8
      S: 252 I shall try when there is mail for it
      ${quits}
    `,
    asks: verifies("Användaren@åäö.se"),
    finds: gives({ certain: false, mailboxes: [] })
  },
  {
    name: "asks who is on a list with SMTPUTF8, as names may go beyond ASCII",
    from: "tests/data/test969",
    script: `${begins("SMTPUTF8")}
      C: EXPN Friends SMTPUTF8
      S: 250 Jo Jönes <jo@example.com>
      ${quits}
    `,
    asks: expands("Friends"),
    finds: gives(["Jo Jönes <jo@example.com>"])
  }
]
