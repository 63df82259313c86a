/** Of curl's cases: senders and recipients, refused or written in other letters. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Exchange } from "./exchange.ts"
import { begins, delivered, delivers, fails, gives, isTaken, message, quits, reason, resets, told } from "./parts.ts"

const content = `
  C: DATA
  S: 354 go on
  C: Subject: hello
  C: 
  C: Hello.
  C: .
  S: 250 taken
`

const rcpt = (recipient: string, reply: string) => `
  C: RCPT TO:<${recipient}>
  S: ${reply}
`

const from = `
  C: MAIL FROM:<ann@example.org>
  S: 250 ok
`

const five = ["one", "two", "three", "four", "five"].map((name) => `${name}@example.net`)

/** Five recipients, of whom these are refused. */
const refusing = (...refused: ReadonlyArray<string>) =>
  five.map((recipient) => rcpt(recipient, refused.includes(recipient) ? "501 no such path" : "250 ok")).join("")

const became = (...refused: ReadonlyArray<string>) =>
  five.map((recipient) =>
    refused.includes(recipient)
      ? `Refused <${recipient}>: 501 no such path`
      : `Accepted <${recipient}>: 250 taken`
  )

const [one = "", two = "", three = "", four = "", last = ""] = five
const toFive = { ...message, to: five }

export const envelope: ReadonlyArray<Exchange> = [
  {
    name: "is told that the sender is refused",
    from: "tests/data/test914",
    script: `${begins()}
      C: MAIL FROM:<ann@example.org>
      S: 501 not from there
      ${resets}
    `,
    asks: (client) => client.send(message),
    finds: (outcome) => {
      fails("SenderRefused", { reversePath: "<ann@example.org>" }, "never")(outcome)
      assert.deepStrictEqual(reason(outcome, "SenderRefused").reply.lines, ["not from there"])
    }
  },
  {
    name: "says nothing for a sender that has no domain",
    from: "tests/data/test914 (a difference)",
    script: [],
    asks: (client) => client.send({ ...message, from: "invalid" }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "sends with the null reverse-path",
    from: "tests/data/test915",
    script: `${begins()}
      C: MAIL FROM:<>
      S: 250 ok
      ${rcpt("ben@example.net", "250 ok")}
      ${content}
      ${quits}
    `,
    ...isTaken({ ...message, from: null })
  },
  {
    name: "says nothing for a sender with CRLF in it",
    from: "tests/data/test2110",
    script: [],
    asks: (client) => client.send({ ...message, from: "ann@example.org\r\nDATA" }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "is made for no URL with CRLF in its path",
    from: "tests/data/test931",
    options: { endpoint: "smtp://mail.example:25/%0d%0a/931", security: undefined },
    script: [],
    asks: (client) => client.send(message),
    finds: fails("InvalidInput", { what: "the URL" }, "never")
  },
  {
    name: "is told that the only recipient is refused",
    from: "tests/data/test916, test3007",
    script: `${begins()}${from}${rcpt("ben@example.net", "501 no such path")}${resets}`,
    asks: (client) => client.send(message),
    finds: (outcome) => {
      fails("RecipientsRefused", { recipients: ["<ben@example.net>"] }, "never")(outcome)
      assert.deepStrictEqual(reason(outcome, "RecipientsRefused").replies.map(({ code }) => code), [501])
    }
  },
  {
    name: "says nothing when one recipient of many has no domain",
    from: "tests/data/test916, test918, test3002 (a difference)",
    script: [],
    asks: (client) => client.send({ ...message, to: [one, "invalid", three] }),
    finds: fails("InvalidInput", { what: "\"to\" of the envelope" }, "never")
  },
  {
    name: "sends to five recipients",
    from: "tests/data/test917",
    script: `${begins()}${from}${refusing()}${content}${quits}`,
    asks: (client) => Effect.map(client.send(toFive), told),
    finds: gives(became())
  },
  {
    name: "sends to nobody where all are to get it and two are refused",
    from: "tests/data/test918",
    script: `${begins()}${from}${refusing(two, four)}${resets}`,
    asks: (client) => client.send({ ...toFive, policy: "all" }),
    finds: fails("RecipientsRefused", { recipients: [`<${two}>`, `<${four}>`] }, "never")
  },
  {
    name: "sends to the others where the first is refused",
    from: "tests/data/test3002",
    script: `${begins()}${from}${refusing(one)}${content}${quits}`,
    asks: (client) => Effect.map(client.send(toFive), told),
    finds: gives(became(one))
  },
  {
    name: "sends to the others where the last is refused",
    from: "tests/data/test3003",
    script: `${begins()}${from}${refusing(last)}${content}${quits}`,
    asks: (client) => Effect.map(client.send(toFive), told),
    finds: gives(became(last))
  },
  {
    name: "sends to the others where one in the middle is refused",
    from: "tests/data/test3004",
    script: `${begins()}${from}${refusing(three)}${content}${quits}`,
    asks: (client) => Effect.map(client.send(toFive), told),
    finds: gives(became(three))
  },
  {
    name: "sends to the one that is not refused",
    from: "tests/data/test3005",
    script: `${begins()}${from}${refusing(one, three, four, last)}${content}${quits}`,
    asks: (client) => Effect.map(client.send(toFive), told),
    finds: gives(became(one, three, four, last))
  },
  {
    name: "fails when every recipient is refused",
    from: "tests/data/test3006",
    script: `${begins()}${from}${refusing(...five)}${resets}`,
    asks: (client) => client.send(toFive),
    finds: fails("RecipientsRefused", { recipients: five.map((recipient) => `<${recipient}>`) }, "never")
  },
  {
    name: "asks for reports",
    from: "tests/data/test3215",
    script: `${begins("DSN")}
      C: MAIL FROM:<ann@example.org> RET=HDRS
      S: 250 ok
      C: RCPT TO:<ben@example.net> NOTIFY=SUCCESS,FAILURE
      S: 250 ok
      ${content}
      ${quits}
    `,
    asks: (client) =>
      Effect.map(client.send({ ...message, dsn: { return: "headers", notify: ["success", "failure"] } }), told),
    finds: gives(delivered)
  },
  {
    name: "asks for no reports of a server that offers none",
    from: "tests/data/test3215 (a difference)",
    script: `${begins()}${quits}`,
    asks: (client) => client.send({ ...message, dsn: { return: "headers" } }),
    finds: fails("ExtensionMissing", { extension: "DSN" }, "never")
  },
  {
    name: "sends without asking for reports where that may be left out",
    from: "tests/data/test3215",
    script: `${begins()}${delivers}`,
    asks: (client) =>
      Effect.map(client.send({ ...message, dsn: { return: "headers", notify: "never" }, optional: ["DSN"] }), told),
    finds: gives(delivered)
  },
  {
    name: "says no sender beyond ASCII to a server without SMTPUTF8",
    from: "tests/data/test955 (a difference)",
    script: `${begins()}${quits}`,
    asks: (client) => client.send({ ...message, from: "grüße@example.org" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says no recipient beyond ASCII to a server without SMTPUTF8",
    from: "tests/data/test956 (a difference)",
    script: `${begins()}${quits}`,
    asks: (client) => client.send({ ...message, to: "jörg@example.net" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says the domain of a sender in A-labels",
    from: "tests/data/test962, and in place of test959",
    script: `${begins()}
      C: MAIL FROM:<ann@xn--4cab6c.se>
      S: 250 ok
      ${rcpt("ben@example.net", "250 ok")}
      ${content}
      ${quits}
    `,
    ...isTaken({ ...message, from: "ann@åäö.se" })
  },
  {
    name: "says the domain of a recipient in A-labels",
    from: "tests/data/test963, and in place of test960",
    script: `${begins()}${from}${rcpt("ben@xn--4cab6c.se", "250 ok")}${content}${quits}`,
    asks: (client) => Effect.map(client.send({ ...message, to: "ben@åäö.se" }), told),
    finds: gives(["Accepted <ben@xn--4cab6c.se>: 250 taken"])
  },
  {
    name: "says SMTPUTF8 for a sender beyond ASCII, whose domain is still in A-labels",
    from: "tests/data/test965",
    script: `${begins("SMTPUTF8")}
      C: MAIL FROM:<Användare@xn--4cab6c.se> SMTPUTF8
      S: 250 ok
      ${rcpt("ben@example.net", "250 ok")}
      ${content}
      ${quits}
    `,
    ...isTaken({ ...message, from: "Användare@åäö.se" })
  },
  {
    name: "says SMTPUTF8 for a recipient beyond ASCII, whose domain is still in A-labels",
    from: "tests/data/test966",
    script: `${begins("SMTPUTF8")}
      C: MAIL FROM:<ann@example.org> SMTPUTF8
      S: 250 ok
      ${rcpt("Stödmottagaren@xn--4cab6c.se", "250 ok")}
      ${content}
      ${quits}
    `,
    asks: (client) => Effect.map(client.send({ ...message, to: "Stödmottagaren@åäö.se" }), told),
    finds: gives(["Accepted <Stödmottagaren@xn--4cab6c.se>: 250 taken"])
  }
]
