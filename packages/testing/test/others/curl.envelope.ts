/** Of curl's cases: senders and recipients, refused or written in other letters. */
import { assert } from "@effect/vitest"
import type { Exchange } from "./exchange.ts"
import {
  begins,
  data,
  delivers,
  fails,
  gives,
  isTaken,
  message,
  quits,
  reason,
  recipient,
  resets,
  sender,
  sends
} from "./parts.ts"

const five = ["one", "two", "three", "four", "five"].map((name) => `${name}@example.net`)

/** Five recipients, of whom these are refused. */
const refusing = (...refused: ReadonlyArray<string>) =>
  five.map((to) => recipient(`<${to}>`, refused.includes(to) ? "501 no such path" : "250 ok")).join("")

const became = (...refused: ReadonlyArray<string>) =>
  five.map((to) => refused.includes(to) ? `Refused <${to}>: 501 no such path` : `Accepted <${to}>: 250 taken`)

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
    asks: sends(message),
    finds: (outcome) => {
      fails("SenderRefused", { reversePath: "<ann@example.org>" }, "never")(outcome)
      assert.deepStrictEqual(reason(outcome, "SenderRefused").reply.lines, ["not from there"])
    }
  },
  {
    name: "says nothing for a sender that has no domain",
    from: "tests/data/test914 (a difference)",
    script: [],
    asks: sends({ ...message, from: "invalid" }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "sends with the null reverse-path",
    from: "tests/data/test915",
    script: `${begins()}
      ${sender("<>")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken({ ...message, from: null })
  },
  {
    name: "says nothing for a sender with CRLF in it",
    from: "tests/data/test2110",
    script: [],
    asks: sends({ ...message, from: "ann@example.org\r\nDATA" }),
    finds: fails("InvalidInput", { what: "\"from\" of the envelope" }, "never")
  },
  {
    name: "is made for no URL with CRLF in its path",
    from: "tests/data/test931",
    options: { endpoint: "smtp://mail.example:25/%0d%0a/931", security: undefined },
    script: [],
    asks: sends(message),
    finds: fails("InvalidInput", { what: "the URL" }, "never")
  },
  {
    name: "is told that the only recipient is refused",
    from: "tests/data/test916, test3007",
    script: `${begins()}${sender()}${recipient("<ben@example.net>", "501 no such path")}${resets}`,
    asks: sends(message),
    finds: (outcome) => {
      fails("RecipientsRefused", { recipients: ["<ben@example.net>"] }, "never")(outcome)
      assert.deepStrictEqual(reason(outcome, "RecipientsRefused").replies.map(({ code }) => code), [501])
    }
  },
  {
    name: "says nothing when one recipient of many has no domain",
    from: "tests/data/test916, test918, test3002 (a difference)",
    script: [],
    asks: sends({ ...message, to: [one, "invalid", three] }),
    finds: fails("InvalidInput", { what: "\"to\" of the envelope" }, "never")
  },
  {
    name: "sends to five recipients",
    from: "tests/data/test917",
    script: `${begins()}${sender()}${refusing()}${data()}${quits}`,
    asks: sends(toFive),
    finds: gives(became())
  },
  {
    name: "sends to nobody where all are to get it and two are refused",
    from: "tests/data/test918",
    script: `${begins()}${sender()}${refusing(two, four)}${resets}`,
    asks: sends({ ...toFive, policy: "all" }),
    finds: fails("RecipientsRefused", { recipients: [`<${two}>`, `<${four}>`] }, "never")
  },
  ...[
    { test: "test3002", whom: "to the others where the first is refused", refused: [one] },
    { test: "test3003", whom: "to the others where the last is refused", refused: [last] },
    { test: "test3004", whom: "to the others where one in the middle is refused", refused: [three] },
    { test: "test3005", whom: "to the one that is not refused", refused: [one, three, four, last] }
  ].map(({ refused, test, whom }): Exchange => ({
    name: `sends ${whom}`,
    from: `tests/data/${test}`,
    script: `${begins()}${sender()}${refusing(...refused)}${data()}${quits}`,
    asks: sends(toFive),
    finds: gives(became(...refused))
  })),
  {
    name: "fails when every recipient is refused",
    from: "tests/data/test3006",
    script: `${begins()}${sender()}${refusing(...five)}${resets}`,
    asks: sends(toFive),
    finds: fails("RecipientsRefused", { recipients: five.map((to) => `<${to}>`) }, "never")
  },
  {
    name: "asks for reports",
    from: "tests/data/test3215",
    script: `${begins("DSN")}
      ${sender("<ann@example.org> RET=HDRS")}
      ${recipient("<ben@example.net> NOTIFY=SUCCESS,FAILURE")}
      ${data()}
      ${quits}
    `,
    ...isTaken({ ...message, dsn: { return: "headers", notify: ["success", "failure"] } })
  },
  {
    name: "asks for no reports of a server that offers none",
    from: "tests/data/test3215 (a difference)",
    script: `${begins()}${quits}`,
    asks: sends({ ...message, dsn: { return: "headers" } }),
    finds: fails("ExtensionMissing", { extension: "DSN" }, "never")
  },
  {
    name: "sends without asking for reports where that may be left out",
    from: "tests/data/test3215",
    script: `${begins()}${delivers}`,
    ...isTaken({ ...message, dsn: { return: "headers", notify: "never" }, optional: ["DSN"] })
  },
  {
    name: "says no sender beyond ASCII to a server without SMTPUTF8",
    from: "tests/data/test955 (a difference)",
    script: `${begins()}${quits}`,
    asks: sends({ ...message, from: "grüße@example.org" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says no recipient beyond ASCII to a server without SMTPUTF8",
    from: "tests/data/test956 (a difference)",
    script: `${begins()}${quits}`,
    asks: sends({ ...message, to: "jörg@example.net" }),
    finds: fails("ExtensionMissing", { extension: "SMTPUTF8" }, "never")
  },
  {
    name: "says the domain of a sender in A-labels",
    from: "tests/data/test962, and in place of test959",
    script: `${begins()}
      ${sender("<ann@xn--4cab6c.se>")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken({ ...message, from: "ann@åäö.se" })
  },
  {
    name: "says the domain of a recipient in A-labels",
    from: "tests/data/test963, and in place of test960",
    script: `${begins()}${sender()}${recipient("<ben@xn--4cab6c.se>")}${data()}${quits}`,
    asks: sends({ ...message, to: "ben@åäö.se" }),
    finds: gives(["Accepted <ben@xn--4cab6c.se>: 250 taken"])
  },
  {
    name: "says SMTPUTF8 for a sender beyond ASCII, whose domain is still in A-labels",
    from: "tests/data/test965",
    script: `${begins("SMTPUTF8")}
      ${sender("<Användare@xn--4cab6c.se> SMTPUTF8")}
      ${recipient()}
      ${data()}
      ${quits}
    `,
    ...isTaken({ ...message, from: "Användare@åäö.se" })
  },
  {
    name: "says SMTPUTF8 for a recipient beyond ASCII, whose domain is still in A-labels",
    from: "tests/data/test966",
    script: `${begins("SMTPUTF8")}
      ${sender("<ann@example.org> SMTPUTF8")}
      ${recipient("<Stödmottagaren@xn--4cab6c.se>")}
      ${data()}
      ${quits}
    `,
    asks: sends({ ...message, to: "Stödmottagaren@åäö.se" }),
    finds: gives(["Accepted <Stödmottagaren@xn--4cab6c.se>: 250 taken"])
  }
]
