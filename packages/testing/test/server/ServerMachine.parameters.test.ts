import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Redacted } from "effect"
import * as fc from "fast-check"
import type { ServerMachine } from "../../src/index.ts"
import { codes, delivered, from, hello, talk, talkSecurely, to } from "./support.ts"

const config: ServerMachine.Config = {
  extensions: [
    "SIZE",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "REQUIRETLS",
    "DELIVERBY 60",
    "MT-PRIORITY MIXER",
    "FUTURERELEASE 3600 2030-01-01T00:00:00Z",
    "RRVS"
  ],
  accounts: { ann: Redacted.make("secret") }
}

const ok = { Mail: "250 2.1.0", Rcpt: "250 2.1.5" }
const long = (length: number) => "x".repeat(length)

/** Each parameter: its extension, values that are right, and values that are wrong. */
const rows: ReadonlyArray<{
  readonly on: "Mail" | "Rcpt"
  readonly extension: string
  readonly right: ReadonlyArray<string>
  readonly wrong: ReadonlyArray<string>
}> = [
  {
    on: "Mail",
    extension: "SIZE",
    right: ["SIZE=0", "SIZE=1000", "size=00000000000000000001"],
    wrong: ["SIZE", "SIZE=x", "SIZE=-1", "SIZE=1.5", "SIZE=1e3", "SIZE=000000000000000000001"]
  },
  {
    on: "Mail",
    extension: "8BITMIME",
    right: ["BODY=8BITMIME", "BODY=7BIT", "body=8bitmime", "BODY=BINARYMIME"],
    wrong: ["BODY", "BODY=9BIT", "BODY=8BIT"]
  },
  { on: "Mail", extension: "SMTPUTF8", right: ["SMTPUTF8", "smtputf8"], wrong: ["SMTPUTF8=1"] },
  { on: "Mail", extension: "DSN", right: ["RET=FULL", "RET=hdrs"], wrong: ["RET", "RET=NONE", "RET=FULL,HDRS"] },
  {
    on: "Mail",
    extension: "DSN",
    right: ["ENVID=QQ314159", "ENVID=a+20b+2B+3D", `ENVID=${long(100)}`],
    wrong: ["ENVID", "ENVID=a+b", "ENVID=+0", "ENVID=+0D", "ENVID=+c3+a9", "ENVID=+C3+A9", `ENVID=${long(101)}`]
  },
  {
    on: "Mail",
    extension: "AUTH",
    right: ["AUTH=<>", "AUTH=ann@example.net", "AUTH=e+3Dmc2@example.com", "AUTH=+22a+20b+22@example.com"],
    wrong: ["AUTH", "AUTH=ann", "AUTH=e+mc2@example.com", "AUTH=<ann@example.net>", "AUTH=+FF@example.net"]
  },
  { on: "Mail", extension: "REQUIRETLS", right: ["REQUIRETLS"], wrong: ["REQUIRETLS=1", "REQUIRETLS=YES"] },
  {
    on: "Mail",
    extension: "DELIVERBY",
    right: ["BY=60;R", "BY=+120;RT", "BY=-5;N", "BY=0;n", "BY=1;NT", "BY=999999999;rt"],
    wrong: ["BY", "BY=60", "BY=60;X", "BY=60;T", "BY=0;R", "BY=-60;R", "BY=1000000000;N", "BY=6.0;N", "BY=;N"]
  },
  {
    on: "Mail",
    extension: "MT-PRIORITY",
    right: ["MT-PRIORITY=0", "MT-PRIORITY=9", "MT-PRIORITY=-9", "mt-priority=3"],
    wrong: ["MT-PRIORITY", "MT-PRIORITY=10", "MT-PRIORITY=-0", "MT-PRIORITY=+3", "MT-PRIORITY=03", "MT-PRIORITY=high"]
  },
  {
    on: "Mail",
    extension: "FUTURERELEASE",
    right: ["HOLDFOR=1", "HOLDFOR=3600"],
    wrong: ["HOLDFOR", "HOLDFOR=0", "HOLDFOR=01", "HOLDFOR=3601", "HOLDFOR=1h", "HOLDFOR=1000000000", "HOLDFOR=-1"]
  },
  {
    on: "Mail",
    extension: "FUTURERELEASE",
    right: [
      "HOLDUNTIL=2029-12-31T23:59:59Z",
      "HOLDUNTIL=2030-01-01T01:00:00+01:00",
      "HOLDUNTIL=2028-02-29T00:00:00.5z"
    ],
    wrong: [
      "HOLDUNTIL",
      "HOLDUNTIL=tomorrow",
      "HOLDUNTIL=2030-01-01T00:00:01Z",
      "HOLDUNTIL=2029-02-29T00:00:00Z",
      "HOLDUNTIL=2029-01-01T24:00:01Z",
      "HOLDUNTIL=2029-01-01",
      "HOLDUNTIL=2029-01-01T00:00:00",
      "HOLDFOR=1 HOLDUNTIL=2029-12-31T23:59:59Z",
      "HOLDUNTIL=2029-12-31T23:59:59Z HOLDFOR=1"
    ]
  },
  {
    on: "Rcpt",
    extension: "DSN",
    right: ["NOTIFY=NEVER", "NOTIFY=SUCCESS", "notify=success,Failure,DELAY"],
    wrong: ["NOTIFY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,", "NOTIFY=ALWAYS", "NOTIFY=SUCCESS;DELAY"]
  },
  {
    on: "Rcpt",
    extension: "DSN",
    right: [
      "ORCPT=rfc822;Bob@Example.COM",
      "ORCPT=RFC822;a+2Bb@example.com",
      "ORCPT=x-any;100+20y",
      "ORCPT=utf-8;ren\\x{E9}e@example.org",
      `ORCPT=rfc822;${long(493)}`
    ],
    wrong: [
      "ORCPT",
      "ORCPT=Bob@Example.COM",
      "ORCPT=rfc822;",
      "ORCPT=;Bob@Example.COM",
      "ORCPT=rfc822;a+b@example.com",
      "ORCPT=rfc822;a+0Ab@example.com",
      "ORCPT=rfc822;ren+C3+A9e@example.org",
      "ORCPT=rfc822;renée@example.org",
      "ORCPT=utf-8;renée@example.org",
      "ORCPT=utf-8;a\\b@example.org",
      "ORCPT=utf-8;a+2Bb@example.org",
      `ORCPT=rfc822;${long(494)}`
    ]
  },
  {
    on: "Rcpt",
    extension: "RRVS",
    right: ["RRVS=2014-04-03T23:01:00Z", "RRVS=2014-04-03T23:01:00-08:00;C", "rrvs=2014-04-03T23:01:00Z;r"],
    wrong: ["RRVS", "RRVS=2014-04-03", "RRVS=2014-04-03T23:01:00Z;X", "RRVS=2014-04-31T23:01:00Z", "RRVS=;R"]
  }
]

const lineOf = (on: "Mail" | "Rcpt", parameters: string) =>
  on === "Mail" ? [`${from} ${parameters}`] : [from, `${to} ${parameters}`]

const codeOf = (config: ServerMachine.Config, on: "Mail" | "Rcpt", parameters: string) =>
  codes(talkSecurely(config, hello, ...lineOf(on, parameters)).replies).at(-1)

describe("parameters", () => {
  for (const { extension, on, right, wrong } of rows) {
    describe(`of ${on}, by ${extension}`, () => {
      for (const parameter of right) {
        it(`${parameter.slice(0, 50)} is taken, and shown with the message`, () => {
          const { actions, replies } = talkSecurely(
            config,
            hello,
            ...lineOf(on, parameter),
            ...on === "Mail" ? [to] : [],
            "BDAT 0 LAST"
          )
          assert.deepStrictEqual(codes(replies).slice(1), [ok.Mail, ok.Rcpt, "250 2.0.0"])
          const [keyword = "", value] = parameter.split("=")
          const [message] = delivered(actions)
          const shown = on === "Mail" ? message?.parameters : message?.forwardParameters[0]
          assert.deepStrictEqual(shown, [{ keyword: keyword.toUpperCase(), value }])
        })
      }

      for (const parameter of wrong) {
        it(`${parameter.slice(0, 50)} is refused`, () => {
          assert.strictEqual(codeOf(config, on, parameter), "501 5.5.4")
        })
      }

      it("is refused where it is not offered", () => {
        const others: ServerMachine.Config = {
          extensions: config.extensions?.filter((line) => line.split(" ")[0] !== extension && line !== "BINARYMIME"),
          ...extension === "AUTH" ? {} : { accounts: config.accounts }
        }
        for (const parameter of [...right, ...wrong]) {
          assert.strictEqual(codeOf(others, on, parameter), "555 5.5.4", parameter)
        }
        // Nor does one of the other command pass here.
        assert.strictEqual(codeOf(config, on === "Mail" ? "Rcpt" : "Mail", right[0] ?? ""), "555 5.5.4")
      })

      it("is refused twice, and after HELO", () => {
        assert.strictEqual(codeOf(config, on, `${right[0]} ${right[0]}`), "501 5.5.4")
        const { replies } = talkSecurely(config, "HELO client.example", ...lineOf(on, right[0] ?? ""))
        assert.strictEqual(codes(replies).at(-1), "555 5.5.4")
      })
    })
  }

  it("BODY=8BITMIME and BODY=BINARYMIME want their own extension, and BINARYMIME wants BDAT too", () => {
    const codesOf = (...extensions: ReadonlyArray<string>) =>
      ["7BIT", "8BITMIME", "BINARYMIME"].map((body) => codeOf({ extensions }, "Mail", `BODY=${body}`))
    assert.deepStrictEqual(codesOf(), ["555", "555", "555"])
    assert.deepStrictEqual(codesOf("8BITMIME"), ["250", "250", "555"])
    assert.deepStrictEqual(codesOf("BINARYMIME", "CHUNKING"), ["250", "555", "250"])
    assert.deepStrictEqual(codesOf("8BITMIME", "BINARYMIME"), ["250", "250", "555"])
    assert.deepStrictEqual(codesOf("8BITMIME", "BINARYMIME", "CHUNKING"), ["250", "250", "250"])
  })

  it("the least time of DELIVERBY is for R alone", () => {
    assert.strictEqual(codeOf(config, "Mail", "BY=59;R"), "555 5.5.4")
    assert.strictEqual(codeOf(config, "Mail", "BY=59;N"), ok.Mail)
    assert.strictEqual(codeOf({ extensions: ["DELIVERBY"] }, "Mail", "BY=1;R"), "250")
  })

  it("FUTURERELEASE without bounds has none", () => {
    const config = { extensions: ["FUTURERELEASE"] }
    assert.strictEqual(codeOf(config, "Mail", "HOLDFOR=999999999"), "250")
    assert.strictEqual(codeOf(config, "Mail", "HOLDUNTIL=9999-01-01T00:00:00Z"), "250")
  })

  it("REQUIRETLS is offered over TLS alone", () => {
    assert.notInclude(talk(config, hello).replies[0] ?? "", "REQUIRETLS")
    assert.include(talkSecurely(config, hello).replies[0] ?? "", "REQUIRETLS")
    assert.strictEqual(codes(talk(config, hello, `${from} REQUIRETLS`).replies)[1], "555 5.5.4")
  })

  it("an ORCPT in UTF-8 goes with SMTPUTF8", () => {
    const lines = [`${from} SMTPUTF8`, `${to} ORCPT=utf-8;renée@example.org`]
    assert.deepStrictEqual(codes(talk(config, hello, ...lines).replies).slice(1), [ok.Mail, ok.Rcpt])
  })

  it("a mailbox that has changed hands refuses RRVS from before", () => {
    const ownedSince = new Date("2020-06-01T00:00:00Z")
    const rrvs = (value: string) =>
      codeOf({ ...config, mailboxes: { "ben@example.org": { ownedSince } } }, "Rcpt", `RRVS=${value}`)
    assert.strictEqual(rrvs("2020-05-31T23:59:59Z"), "550 5.7.17")
    assert.strictEqual(rrvs("2020-06-01T00:00:00+00:01;C"), "550 5.7.17")
    assert.strictEqual(rrvs("2020-06-01T00:00:00Z;R"), ok.Rcpt)
    assert.strictEqual(rrvs("2020-06-01T00:00:00-00:01"), ok.Rcpt)
    const without = talk({ mailboxes: { "ben@example.org": { ownedSince } } }, hello, from, to)
    assert.strictEqual(codes(without.replies).at(-1), ok.Rcpt)
  })

  it("any parameters at all have a reply, and those of a message are those that were sent", () => {
    const parameters = rows.flatMap(({ right, wrong }) => [...right, ...wrong])
    const some = fc.array(fc.oneof(fc.constantFrom(...parameters), fc.string({ unit: "grapheme-ascii" })), {
      maxLength: 3
    })
    fc.assert(
      fc.property(some, some, fc.subarray([...config.extensions ?? []]), (ofMail, ofRcpt, extensions) => {
        const mail = [from, ...ofMail].join(" ")
        const rcpt = [to, ...ofRcpt].join(" ")
        const { actions, replies } = talkSecurely({ ...config, extensions }, hello, mail, rcpt, "DATA", ".")
        for (const code of codes(replies)) assert.match(code ?? "", /^(?:250|354|50[013]|55[245])/)
        for (const { forwardParameters: [first = []], parameters } of delivered(actions)) {
          const words = (parameters: ServerMachine.Message["parameters"]) =>
            parameters.map(({ keyword, value }) => value === undefined ? keyword : `${keyword}=${value}`)
          const said = (line: string) =>
            line.split(/[ \t]+/).slice(2).filter((word) => word !== "")
              .map((word) => word.replace(/^[^=]*/, (keyword) => keyword.toUpperCase()))
          assert.deepStrictEqual([words(parameters), words(first)], [said(mail), said(rcpt)])
        }
      }),
      { numRuns: 300 }
    )
  })

  it("enhanced status codes are said where they are offered", () => {
    assert.strictEqual(codeOf({ extensions: [] }, "Mail", "SIZE=1"), "555")
    assert.strictEqual(codeOf({ extensions: ["ENHANCEDSTATUSCODES"] }, "Mail", "SIZE=1"), "555 5.5.4")
    const overruled: ServerMachine.Config = {
      ...config,
      reply: (turn) => turn._tag === "Mail" ? Reply.make(250, "Fine") : undefined
    }
    assert.strictEqual(codeOf(overruled, "Mail", "SIZE=1"), "250")
  })
})
