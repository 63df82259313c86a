import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Redacted } from "effect"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, codesOf, delivered, from, hello, sent, talk, talkSecurely, to } from "./support.ts"

describe("VRFY and EXPN", () => {
  const config: ServerMachine.Config = {
    users: {
      "Crispin": "Mark Crispin <Admin@example.org>",
      "smith": ["Ann Smith <ann@example.org>", "Ben Smith <ben@example.org>"],
      "renée": "Renée <renée@example.org>"
    },
    lists: { "example-people": ["Ann <ann@example.org>", "Ben <ben@example.net>"], "élèves": ["<é@example.org>"] }
  }
  const answers = (config: ServerMachine.Config, ...lines: ReadonlyArray<string>) => talk(config, ...lines).replies

  it("answers from its tables", () => {
    assert.deepStrictEqual(
      answers(
        config,
        "VRFY crispin",
        "VRFY <Crispin>",
        "VRFY Smith",
        "VRFY nobody",
        "VRFY constructor",
        "VRFY Example-People",
        "EXPN EXAMPLE-PEOPLE",
        "EXPN nothing",
        "EXPN smith",
        "EXPN __proto__"
      ),
      [
        "250 2.1.5 Mark Crispin <Admin@example.org>",
        "250 2.1.5 Mark Crispin <Admin@example.org>",
        "553-5.1.4 Ambiguous; possibilities are|553-5.1.4 Ann Smith <ann@example.org>|553 5.1.4 Ben Smith <ben@example.org>",
        "550 5.1.1 User unknown",
        "550 5.1.1 User unknown",
        "550 5.1.1 This is a list, not a user",
        "250-2.1.5 Ann <ann@example.org>|250 2.1.5 Ben <ben@example.net>",
        "550 5.1.1 List unknown",
        "550 5.1.1 This is a user, not a list",
        "550 5.1.1 List unknown"
      ]
    )
  })

  it("answers in UTF-8 to who asks for it (RFC 6531 §3.7.4.2)", () => {
    assert.deepStrictEqual(
      codesOf(
        config,
        hello,
        "VRFY renée",
        "VRFY renée SMTPUTF8",
        "VRFY Crispin smtputf8",
        "EXPN élèves",
        "EXPN élèves SMTPUTF8"
      ).slice(1),
      ["252 2.6.8", "250 2.1.5", "250 2.1.5", "550 5.6.8", "250 2.1.5"]
    )
    assert.deepStrictEqual(codesOf({ ...config, extensions: [] }, hello, "VRFY Crispin SMTPUTF8").at(-1), "504")
    assert.strictEqual(codesOf({ ...config, extensions: [] }, hello, "EXPN all SMTPUTF8").at(-1), "504")
  })

  it("without tables it is not sure of users, and has no EXPN", () => {
    const lines = ["VRFY ann@example.org", "VRFY <no@example.org>", "EXPN list"]
    assert.deepStrictEqual(codesOf({ unknownUsers: ["no@example.org"] }, ...lines), [
      "252 2.0.0",
      "550 5.1.1",
      "502 5.5.1"
    ])
    assert.notInclude(talk({}, hello).replies[0] ?? "", "EXPN")
    assert.include(talk(config, hello).replies[0] ?? "", "250-EXPN|")
  })

  it("is possible in a transaction, which goes on", () => {
    assert.deepStrictEqual(codesOf(config, hello, from, "VRFY Crispin", "EXPN smith", to).slice(1), [
      "250 2.1.0",
      "250 2.1.5",
      "550 5.1.1",
      "250 2.1.5"
    ])
  })
})

describe("ETRN", () => {
  const config: ServerMachine.Config = {
    extensions: ["ETRN", "ENHANCEDSTATUSCODES"],
    queues: { "example.org": 0, "@example.net": 3, "#uucp": 1 }
  }
  const etrn = (node: string, config_ = config) => talk(config_, hello, `ETRN ${node}`).replies[1]

  it("starts queues of its table", () => {
    assert.strictEqual(etrn("Example.org"), "251 2.0.0 No messages waiting for node Example.org")
    assert.strictEqual(etrn("@example.net"), "253 2.0.0 3 pending messages for node @example.net started")
    assert.strictEqual(etrn("#uucp"), "253 2.0.0 1 pending messages for node #uucp started")
    assert.strictEqual(etrn("example.net"), "459 4.7.1 Node example.net not allowed")
  })

  it("or any, without a table", () => {
    assert.strictEqual(
      etrn("any.example", { extensions: ["ETRN", "ENHANCEDSTATUSCODES"] }),
      "250 2.0.0 Queuing for node any.example started"
    )
  })

  it("is refused with what is no node, within a transaction, before EHLO, and where it is not offered", () => {
    for (const node of ["#", "@", "under_score", "@@example.org", "[192.0.2"]) {
      assert.strictEqual(etrn(node)?.slice(0, 9), "501 5.5.4", node)
    }
    assert.strictEqual(codesOf(config, hello, from, "ETRN example.org").at(-1), "503 5.5.1")
    assert.strictEqual(codesOf(config, "ETRN example.org").at(-1), "503 5.5.1")
    assert.strictEqual(codesOf({ queues: { "example.org": 1 } }, hello, "ETRN example.org").at(-1), "502 5.5.1")
  })
})

describe("XCLIENT", () => {
  const config: ServerMachine.Config = { extensions: ["XCLIENT", "ENHANCEDSTATUSCODES"] }
  const message = [hello, from, to, "DATA", "x", "."]

  it("is announced with its attributes", () => {
    assert.include(
      talk(config, hello).replies[0] ?? "",
      "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
    )
    assert.include(talk({ extensions: ["XCLIENT NAME ADDR"] }, hello).replies[0] ?? "", "XCLIENT NAME ADDR|")
    assert.notInclude(talk({}, hello).replies[0] ?? "", "XCLIENT")
  })

  it("is answered as the session began, which begins anew", () => {
    const { replies } = talk(config, hello, "XCLIENT NAME=spike.porcupine.org", from, hello, from)
    assert.deepStrictEqual(replies[1], "220 mx.example ESMTP")
    assert.deepStrictEqual(codes(replies).slice(2), ["503 5.5.1", "250", "250 2.1.0"])
    const unwilling = { ...config, greeting: Reply.make(220, "mx.example hi") }
    assert.deepStrictEqual(talk(unwilling, "XCLIENT PROTO=SMTP").replies, ["220 mx.example hi"])
  })

  it("is recorded, one after another", () => {
    const { actions, state } = talk(
      config,
      "XCLIENT NAME=a.example ADDR=192.0.2.1 LOGIN=ann",
      "xclient name=[UNAVAILABLE] port=25 HELO=b+2Bc.example",
      ...message
    )
    const said = { NAME: "[UNAVAILABLE]", ADDR: "192.0.2.1", LOGIN: "ann", PORT: "25", HELO: "b+c.example" }
    assert.deepStrictEqual(state.xclient, said)
    const [taken] = delivered(actions)
    assert.deepStrictEqual([taken?.xclient, taken?.identity], [said, "ann"])
    assert.deepStrictEqual(delivered(talk(config, ...message).actions)[0]?.xclient, {})
  })

  it("says whom the server has before it", () => {
    const relay = { ...config, localDomains: [], relayNetworks: ["192.0.2.0/24", "2001:db8::/32"] }
    const of = (attributes: string) => codesOf(relay, `XCLIENT ${attributes}`, hello, from, to).at(-1)
    assert.strictEqual(of("ADDR=192.0.2.1"), "250 2.1.5")
    assert.strictEqual(of("ADDR=IPV6:2001:db8::1"), "250 2.1.5")
    assert.strictEqual(of("ADDR=192.0.3.1"), "554 5.7.1")
    assert.strictEqual(of("ADDR=[UNAVAILABLE]"), "554 5.7.1")
    assert.strictEqual(of("LOGIN=ann"), "250 2.1.5")
    assert.strictEqual(of("LOGIN=[UNAVAILABLE]"), "554 5.7.1")
    const ann = { ...relay, accounts: { ann: Redacted.make("secret") }, authBeforeTls: true }
    const login = "AUTH PLAIN AGFubgBzZWNyZXQ="
    assert.strictEqual(codesOf(ann, hello, login, "XCLIENT PORT=25", hello, from, to).at(-1), "554 5.7.1")
  })

  it("takes Postfix's values and no others", () => {
    const right = [
      "NAME=spike.porcupine.org ADDR=168.100.189.2",
      "NAME=[TEMPUNAVAIL]",
      "ADDR=ipv6:::1",
      "PORT=65535",
      "PORT=[unavailable]",
      "PROTO=SMTP",
      "PROTO=esmtp",
      "HELO=any+20thing",
      "LOGIN=a+20b",
      "DESTADDR=198.51.100.1 DESTPORT=25"
    ]
    const wrong = [
      "NAME=",
      "NAME=under_score",
      "NAME=[192.0.2.1]",
      "ADDR=2001:db8::1",
      "ADDR=IPV6:192.0.2.1",
      "ADDR=192.0.2.0/24",
      "ADDR=x",
      "ADDR=",
      "PORT=65536",
      "PORT=x",
      "PROTO=LMTP",
      "HELO=",
      "HELO=a+0Ab",
      "DESTADDR=x",
      "DESTPORT=-1",
      "FOO=1",
      "NAME=a.example PORT=x",
      "NAME"
    ]
    for (const attributes of right) assert.strictEqual(codesOf(config, `XCLIENT ${attributes}`)[0], "220", attributes)
    for (const attributes of wrong) {
      const { replies, state } = talk(config, `XCLIENT ${attributes}`)
      assert.deepStrictEqual([codes(replies), state.xclient], [["501 5.5.4"], {}], attributes)
    }
    const some = { extensions: ["XCLIENT name addr"] }
    assert.deepStrictEqual(codesOf(some, "XCLIENT NAME=a.example", "XCLIENT PORT=25"), ["220", "501"])
  })

  it("is refused within a transaction, and where it is not offered", () => {
    assert.deepStrictEqual(codesOf(config, hello, from, "XCLIENT PORT=25", to, "RSET", "XCLIENT PORT=25").slice(2), [
      "503 5.5.1",
      "250 2.1.5",
      "250 2.0.0",
      "220"
    ])
    assert.strictEqual(codesOf({}, hello, "XCLIENT PORT=25").at(-1), "502 5.5.1")
  })
})

describe("LIMITS", () => {
  const at = (mailbox: string) => `RCPT TO:<${mailbox}>`

  it("are said in the reply to EHLO", () => {
    const limits = { mailMax: 5, rcptMax: 20, rcptDomainMax: 1 }
    assert.include(talk({ limits }, hello).replies[0] ?? "", "-LIMITS MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1|")
    assert.include(talk({ limits: { rcptMax: 20 } }, hello).replies[0] ?? "", "-LIMITS RCPTMAX=20|")
    assert.notInclude(talk({}, hello).replies[0] ?? "", "LIMITS")
  })

  it("MAILMAX counts every MAIL of the connection, and then it is over", () => {
    const limits = { mailMax: 3 }
    const { actions, replies } = talk({ limits }, hello, from, from, "RSET", `${from} FOO`, "RSET", from, "NOOP")
    assert.deepStrictEqual(codes(replies).slice(1), [
      "250 2.1.0",
      "503 5.5.1",
      "250 2.0.0",
      "555 5.5.4",
      "250 2.0.0",
      "421 4.7.0"
    ])
    assert.strictEqual(actions.at(-1)?._tag, "Close")
    // STARTTLS begins no new one.
    const [secure] = ServerMachine.tlsEstablished(talk({ limits }, hello, from, "RSET", from, "STARTTLS").state)
    const [, more] = ServerMachine.receive(secure, bytes(`${hello}\r\n${from}\r\nRSET\r\n${from}\r\n`))
    assert.deepStrictEqual(codes(sent(more)), ["250", "250 2.1.0", "250 2.0.0", "421 4.7.0"])
  })

  it("MAILMAX counts what the config refuses, too", () => {
    let refusals = 2
    const reply = (turn: ServerMachine.Turn) =>
      turn._tag === "Mail" && refusals-- > 0 ? Reply.make(451, "Not now") : undefined
    assert.deepStrictEqual(codesOf({ limits: { mailMax: 2 }, reply }, hello, from, from, from).slice(1), [
      "451",
      "451",
      "421 4.7.0"
    ])
  })

  it("RCPTMAX counts every RCPT of a message", () => {
    const config = { limits: { rcptMax: 2 }, unknownUsers: ["no@example.org"] }
    assert.deepStrictEqual(
      codesOf(config, hello, to, from, at("no@example.org"), to, to, to, "RSET", from, to, to, to).slice(2),
      [
        "250 2.1.0",
        "550 5.1.1",
        "250 2.1.5",
        "452 4.5.3",
        "452 4.5.3",
        "250 2.0.0",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.1.5",
        "452 4.5.3"
      ]
    )
  })

  it("RCPTDOMAINMAX counts domains of the connection", () => {
    const config = { limits: { rcptDomainMax: 2 } }
    const lines = [at("a@x.example"), at("b@X.example"), at("postmaster"), at("a@y.example"), at("a@z.example")]
    assert.deepStrictEqual(codesOf(config, hello, from, ...lines, "RSET", from, ...lines.toReversed()).slice(2), [
      "250 2.1.5",
      "250 2.1.5",
      "250 2.1.5",
      "250 2.1.5",
      "452 4.5.3",
      "250 2.0.0",
      "250 2.1.0",
      "452 4.5.3",
      "250 2.1.5",
      "250 2.1.5",
      "250 2.1.5",
      "250 2.1.5"
    ])
  })

  it("hold after HELO as well, and are none where none are named", () => {
    assert.strictEqual(codesOf({ limits: { rcptMax: 1 } }, "HELO client.example", from, to, to).at(-1), "452 4.5.3")
    const many = Array.from({ length: 30 }, (_, i) => at(`a@d${i}.example`))
    assert.deepStrictEqual(new Set(codesOf({ limits: {} }, hello, from, ...many).slice(2)), new Set(["250 2.1.5"]))
  })
})

describe("every extension", () => {
  const config: ServerMachine.Config = {
    extensions: ServerMachine.everyExtension,
    limits: { rcptMax: 10 },
    lists: { all: ["<ann@example.org>"] },
    accounts: { ann: Redacted.make("secret") },
    urls: { "imap://a.example/;uid=1;urlauth=submit+ann:internal:00": "x" }
  }

  it("goes together in one session", () => {
    const { actions, replies } = talkSecurely(
      config,
      hello,
      "AUTH PLAIN AGFubgBzZWNyZXQ=",
      "EXPN all",
      "ETRN example.org",
      `${from} SIZE=9 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=1 AUTH=<> REQUIRETLS BY=60;R MT-PRIORITY=1 HOLDFOR=5`,
      `${to} NOTIFY=DELAY ORCPT=rfc822;ben@example.org RRVS=2020-01-01T00:00:00Z`,
      "BURL imap://a.example/;uid=1;urlauth=submit+ann:internal:00",
      "BDAT 0 LAST",
      "XCLIENT LOGIN=ben"
    )
    assert.deepStrictEqual(codes(replies).slice(1), [
      "235 2.7.0",
      "250 2.1.5",
      "250 2.0.0",
      "250 2.1.0",
      "250 2.1.5",
      "250 2.5.0",
      "250 2.0.0",
      "220"
    ])
    const [message] = delivered(actions)
    assert.lengthOf(message?.parameters ?? [], 10)
    assert.lengthOf(message?.forwardParameters[0] ?? [], 3)
  })

  it("is in the reply to EHLO, each once", () => {
    const lines = (talkSecurely(config, hello).replies[0] ?? "").split("|").slice(1).map((line) => line.slice(4))
    assert.deepStrictEqual(lines.map((line) => line.split(" ")[0]).toSorted(), [
      "8BITMIME",
      "AUTH",
      "BINARYMIME",
      "BURL",
      "CHUNKING",
      "DELIVERBY",
      "DSN",
      "ENHANCEDSTATUSCODES",
      "ETRN",
      "EXPN",
      "FUTURERELEASE",
      "LIMITS",
      "MT-PRIORITY",
      "PIPELINING",
      "REQUIRETLS",
      "RRVS",
      "SIZE",
      "SMTPUTF8",
      "XCLIENT"
    ])
  })
})
