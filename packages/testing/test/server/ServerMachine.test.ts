import { assert, describe, it } from "@effect/vitest"
import { Address, Reply } from "@postern/core"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, codesOf, delivered, from, hello, sent, talk, talkSecurely, to } from "./support.ts"

describe("a typical session", () => {
  const session = talk(
    {},
    hello,
    from,
    to,
    "RCPT TO:<Green@example.org>",
    "DATA",
    "Subject: dots",
    "",
    "..",
    ".x",
    "end",
    ".",
    "QUIT"
  )

  it("is answered as RFC 5321 says", () => {
    assert.deepStrictEqual(session.greeting, ["220 mx.example ESMTP"])
    assert.deepStrictEqual(session.replies, [
      "250-mx.example greets client.example|250-PIPELINING|250-SIZE 10485760|250-8BITMIME|250-SMTPUTF8"
      + "|250-ENHANCEDSTATUSCODES|250-DSN|250-CHUNKING|250 STARTTLS",
      "250 2.1.0 Ok",
      "250 2.1.5 Ok",
      "250 2.1.5 Ok",
      "354 End data with <CR><LF>.<CR><LF>",
      "250 2.0.0 Ok: queued as 1",
      "221 2.0.0 Bye"
    ])
    assert.strictEqual(session.actions.at(-1)?._tag, "Close")
  })

  it("delivers the message before it says so", () => {
    const [message, ...more] = delivered(session.actions)
    assert.lengthOf(more, 0)
    assert.deepStrictEqual(message?.content, bytes("Subject: dots\r\n\r\n.\r\nx\r\nend\r\n"))
    assert.strictEqual(Address.formatReversePath(message?.reversePath ?? null), "<ann@example.net>")
    assert.deepStrictEqual(message?.forwardPaths.map(Address.formatForwardPath), [
      "<ben@example.org>",
      "<Green@example.org>"
    ])
    assert.deepStrictEqual([message?.tls, message?.identity], [false, undefined])
    const tags = session.actions.map(({ _tag }) => _tag)
    assert.strictEqual(tags[tags.indexOf("Delivered") + 1], "Send")
  })

  it("tells what was understood", () => {
    const heard = session.actions.flatMap((action) => action._tag === "Heard" ? [action.command._tag] : [])
    assert.deepStrictEqual(heard, ["Ehlo", "Mail", "Rcpt", "Rcpt", "Data", "Quit"])
  })

  it("hears nothing after QUIT", () => {
    assert.deepStrictEqual(talk({}, "QUIT", "NOOP").replies, ["221 2.0.0 Bye"])
  })
})

describe("the order of commands", () => {
  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["MAIL before EHLO", [from], ["503 5.5.1"]],
    ["STARTTLS before EHLO", ["STARTTLS"], ["503 5.5.1"]],
    ["no order for these", ["NOOP", "RSET", "HELP", "VRFY ann"], ["250 2.0.0", "250 2.0.0", "214", "252 2.0.0"]],
    ["RCPT before MAIL", [hello, to], ["250", "503 5.5.1"]],
    ["DATA before MAIL", [hello, "DATA"], ["250", "503 5.5.1"]],
    ["DATA before RCPT", [hello, from, "DATA"], ["250", "250 2.1.0", "503 5.5.1"]],
    ["nested MAIL", [hello, from, from, to], ["250", "250 2.1.0", "503 5.5.1", "250 2.1.5"]],
    ["RSET ends the transaction", [hello, from, to, "RSET", "DATA", from], [
      "250",
      "250 2.1.0",
      "250 2.1.5",
      "250 2.0.0",
      "503 5.5.1",
      "250 2.1.0"
    ]],
    ["EHLO ends the transaction", [hello, from, to, hello, to], ["250", "250 2.1.0", "250 2.1.5", "250", "503 5.5.1"]],
    ["the content ends the transaction", [hello, from, to, "DATA", ".", to], [
      "250",
      "250 2.1.0",
      "250 2.1.5",
      "354",
      "250 2.0.0",
      "503 5.5.1"
    ]],
    ["STARTTLS wants EHLO", ["HELO client.example", "STARTTLS"], ["250", "503 5.5.1"]],
    ["all recipients refused", [hello, from, "RCPT TO:<no@example.org>", "DATA"], [
      "250",
      "250 2.1.0",
      "550 5.1.1",
      "554 5.5.1"
    ]]
  ]
  for (const [name, lines, expected] of rows) {
    it(name, () => assert.deepStrictEqual(codesOf({ unknownUsers: ["no@example.org"] }, ...lines), [...expected]))
  }

  it("STARTTLS once TLS is on", () => {
    assert.deepStrictEqual(codes(talkSecurely({}, hello, "STARTTLS").replies), ["250", "503 5.5.1"])
    assert.notInclude(talkSecurely({}, hello).replies[0] ?? "", "STARTTLS")
  })
})

describe("syntax", () => {
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["WHAT", "500 5.5.2"],
    ["", "500 5.5.2"],
    ["MAIL FROM:ann@example.net", "501 5.5.4"],
    ["MAIL FROM:<ann@>", "501 5.5.4"],
    ["RCPT TO:<>", "501 5.5.4"],
    ["EHLO under_score", "501 5.5.4"],
    ["BDAT x", "501 5.5.4"],
    ["AUTH PLAIN !", "501 5.5.2"],
    ["NOOP \u0000", "500 5.5.2"],
    ["NOOP a\rb", "500 5.5.2"],
    [`NOOP ${"x".repeat(4090)}`, "500 5.5.2"],
    [`NOOP ${"x".repeat(40_000)}`, "500 5.5.2"],
    ["EXPN list", "502 5.5.1"],
    ["ETRN example.org", "503 5.5.1"]
  ]
  for (const [line, expected] of rows) {
    it(`${JSON.stringify(line).slice(0, 40)} (${line.length})`, () =>
      assert.deepStrictEqual(codesOf({}, line, "NOOP"), [expected, "250 2.0.0"]))
  }

  it("takes the longest line", () => assert.deepStrictEqual(codesOf({}, `NOOP ${"x".repeat(4089)}`), ["250 2.0.0"]))

  it("a bare LF is no line end and hides no second command", () => {
    const [state] = ServerMachine.start({})
    const [, actions] = ServerMachine.receive(state, bytes("NOOP\nNOOP\r\n"))
    assert.deepStrictEqual(codes(sent(actions)), ["500 5.5.2", "250 2.0.0"])
  })

  it("octets that are no UTF-8", () => {
    const [state] = ServerMachine.start({})
    const [, actions] = ServerMachine.receive(state, new Uint8Array([...bytes("NOOP "), 0xff, 13, 10]))
    assert.deepStrictEqual(codes(sent(actions)), ["500 5.5.2"])
  })
})

describe("policy", () => {
  const local = { localDomains: ["Example.org", "bücher.example"] }

  it("relays for the authenticated only", () => {
    const { replies } = talk(
      local,
      hello,
      from,
      to,
      "RCPT TO:<c@xn--bcher-kva.example>",
      "RCPT TO:<out@elsewhere.example>"
    )
    assert.deepStrictEqual(replies.slice(2), [
      "250 2.1.5 Ok",
      "250 2.1.5 Ok",
      "554 5.7.1 <out@elsewhere.example>: Relay access denied"
    ])
  })

  it("always knows the postmaster", () => {
    const config = { localDomains: [], unknownUsers: () => true }
    assert.deepStrictEqual(codesOf(config, hello, from, "RCPT TO:<POSTMASTER>").at(-1), "250 2.1.5")
  })

  it("unknown users", () => {
    const { replies } = talk(
      { unknownUsers: (mailbox) => mailbox.startsWith("no") },
      hello,
      from,
      "RCPT TO:<no@example.org>",
      to
    )
    assert.deepStrictEqual(replies.slice(2), [
      "550 5.1.1 <no@example.org>: Recipient address rejected: User unknown",
      "250 2.1.5 Ok"
    ])
  })

  it("greylists the first attempt of a pair, over connections too", () => {
    const first = talk({ greylist: true }, hello, from, to, "RCPT TO:<cy@example.org>", to)
    assert.deepStrictEqual(codes(first.replies.slice(2)), ["450 4.7.1", "450 4.7.1", "250 2.1.5"])
    const [again] = ServerMachine.start({ greylist: true }, first.state.memory)
    const lines = [hello, from, "RCPT TO:<cy@example.org>", "RSET", "MAIL FROM:<>", to]
    const [state, actions] = ServerMachine.receive(again, bytes(`${lines.join("\r\n")}\r\n`))
    assert.deepStrictEqual(codes(sent(actions)), [
      "250",
      "250 2.1.0",
      "250 2.1.5",
      "250 2.0.0",
      "250 2.1.0",
      "450 4.7.1"
    ])
    assert.strictEqual(state.memory.connections, 2)
  })

  it("bounds recipients", () => {
    assert.deepStrictEqual(codesOf({ maxRecipients: 2 }, hello, from, to, to, to).slice(2), [
      "250 2.1.5",
      "250 2.1.5",
      "452 4.5.3"
    ])
    const many = codesOf({}, hello, from, ...Array.from({ length: 101 }, () => to))
    assert.deepStrictEqual(many.slice(-2), ["250 2.1.5", "452 4.5.3"])
  })

  it("requires TLS, and authentication", () => {
    assert.deepStrictEqual(codesOf({ requireTls: true }, "NOOP", hello, from, "RSET", "QUIT"), [
      "250 2.0.0",
      "250",
      "530 5.7.0",
      "530 5.7.0",
      "221 2.0.0"
    ])
    assert.deepStrictEqual(codes(talkSecurely({ requireTls: true }, hello, from).replies), ["250", "250 2.1.0"])
    assert.deepStrictEqual(codesOf({ requireAuth: true }, hello, from, "RSET", "VRFY ann"), [
      "250",
      "530 5.7.0",
      "250 2.0.0",
      "530 5.7.0"
    ])
  })

  it("a server that will not serve waits for QUIT", () => {
    const greeting = Reply.make(554, "No SMTP service here")
    assert.deepStrictEqual(talk({ greeting }, hello, "QUIT").replies.map((reply) => reply.slice(0, 3)), ["503", "221"])
    const busy = talk({ greeting: Reply.make(421, "Busy") }, hello)
    assert.deepStrictEqual(busy.actions.map(({ _tag }) => _tag), ["Send", "Close"])
  })
})

describe("extensions", () => {
  it("none is understood that is not offered", () => {
    const config = { extensions: ["SIZE"] }
    const { replies } = talk(
      config,
      hello,
      `${from} BODY=8BITMIME`,
      `${from} SMTPUTF8`,
      `${from} RET=HDRS`,
      from,
      `${to} NOTIFY=NEVER`
    )
    assert.deepStrictEqual(codes(replies), ["250", "555", "555", "555", "250", "555"])
    assert.deepStrictEqual(replies[0], "250-mx.example greets client.example|250-SIZE 10485760|250 STARTTLS")
  })

  it("parameters are kept", () => {
    const { actions } = talk(
      {},
      hello,
      `${from} RET=HDRS BODY=8BITMIME`,
      `${to} NOTIFY=NEVER`,
      "RCPT TO:<c@d.example>",
      "DATA",
      "."
    )
    const [message] = delivered(actions)
    assert.deepStrictEqual(message?.parameters, [
      { keyword: "RET", value: "HDRS" },
      { keyword: "BODY", value: "8BITMIME" }
    ])
    assert.deepStrictEqual(message?.forwardParameters, [[{ keyword: "NOTIFY", value: "NEVER" }], []])
  })

  it("an unknown parameter, a duplicate, a bad value", () => {
    const { replies } = talk(
      {},
      hello,
      `${from} FOO=1`,
      `${from} SIZE=1 SIZE=2`,
      `${from} SIZE=x`,
      `${from} __proto__=1`
    )
    assert.deepStrictEqual(codes(replies.slice(1)), ["555 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"])
    assert.deepStrictEqual(codesOf({}, hello, `${from} constructor`).at(-1), "555 5.5.4")
  })

  it("a server without EHLO", () => {
    const { replies } = talk({ ehlo: false }, hello, "HELO client.example", from, `${from} SIZE=1`)
    assert.deepStrictEqual(replies.slice(0, 2), ["502 5.5.1 Command not implemented", "250 mx.example"])
    assert.deepStrictEqual(codesOf({ ehlo: false }, "HELO client.example", `${from} SIZE=1`, "STARTTLS"), [
      "250",
      "555 5.5.4",
      "503 5.5.1"
    ])
  })

  it("SMTPUTF8 addresses want their parameter", () => {
    const lines = [
      "MAIL FROM:<jörg@example.net>",
      "MAIL FROM:<jörg@example.net> SMTPUTF8",
      "RCPT TO:<renée@example.org>"
    ]
    assert.deepStrictEqual(codesOf({}, hello, ...lines), ["250", "550 5.6.7", "250 2.1.0", "250 2.1.5"])
    assert.deepStrictEqual(codesOf({}, hello, from, "RCPT TO:<renée@example.org>").at(-1), "553 5.6.7")
  })

  it("ETRN and XCLIENT where offered", () => {
    const config = { extensions: ["ETRN", "XCLIENT NAME ADDR"] }
    assert.deepStrictEqual(codesOf(config, hello, "ETRN example.org", "XCLIENT NAME=x", from), [
      "250",
      "250",
      "220",
      "503"
    ])
  })
})

describe("size", () => {
  const content = (length: number) => ["DATA", "x".repeat(length - 2), ".", "NOOP"]

  it("is refused at MAIL where it is told", () => {
    assert.deepStrictEqual(codesOf({ maxSize: 10 }, hello, `${from} SIZE=11`, `${from} SIZE=10`), [
      "250",
      "552 5.3.4",
      "250 2.1.0"
    ])
  })

  it("is refused behind the content, exactly", () => {
    const config = { maxSize: 10 }
    assert.deepStrictEqual(codesOf(config, hello, from, to, ...content(10)).slice(-2), ["250 2.0.0", "250 2.0.0"])
    const over = talk(config, hello, from, to, ...content(11))
    assert.deepStrictEqual(codes(over.replies).slice(-2), ["552 5.3.4", "250 2.0.0"])
    assert.lengthOf(delivered(over.actions), 0)
  })

  it("keeps nothing of what is too much, also of one without end", () => {
    const [state] = ServerMachine.receive(
      talk({ maxSize: 1000 }, hello, from, to, "DATA").state,
      new Uint8Array(100_000)
    )
    assert.deepStrictEqual(state.transaction?.content, { length: 100_000, last: undefined })
    const [line] = ServerMachine.receive(ServerMachine.start({})[0], new Uint8Array(100_000))
    assert.deepStrictEqual(line.line, { length: 100_000, last: undefined })
  })
})

describe("BDAT", () => {
  const begin = (config: ServerMachine.Config, rest: string) => {
    const [greeted] = ServerMachine.start(config)
    const [, actions] = ServerMachine.receive(greeted, bytes(`${hello}\r\n${from}\r\n${to}\r\n${rest}`))
    return { replies: codes(sent(actions)).slice(3), messages: delivered(actions) }
  }

  it("takes octets as they are, in chunks", () => {
    const { messages, replies } = begin({}, "BDAT 7\r\n\r\n.\r\n.\rBDAT 0\r\nBDAT 5 LAST\r\n\nQUITNOOP\r\n")
    assert.deepStrictEqual(replies, ["250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"])
    assert.deepStrictEqual(messages.map(({ content }) => content), [bytes("\r\n.\r\n.\r\nQUIT")])
  })

  it("is not mixed with DATA, RCPT or another MAIL", () => {
    const { replies } = begin({}, `BDAT 1\r\nxDATA\r\n${to}\r\n${from}\r\nBDAT 0 LAST\r\n`)
    assert.deepStrictEqual(replies, ["250 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.0.0"])
  })

  it("a refused one has octets, too, and only RSET helps", () => {
    const { messages, replies } = begin({ maxSize: 3 }, "BDAT 4\r\nQUITBDAT 4 LAST\r\nQUITRSET\r\n")
    assert.deepStrictEqual(replies, ["552 5.3.4", "503 5.5.1", "250 2.0.0"])
    assert.lengthOf(messages, 0)
  })

  it("outside of a transaction, and where it is not offered", () => {
    assert.deepStrictEqual(codesOf({}, "BDAT 6", "QUIT", "NOOP"), ["503 5.5.1", "250 2.0.0"])
    assert.deepStrictEqual(begin({ extensions: [] }, "BDAT 4 LAST\r\nQUITNOOP\r\n").replies, ["502", "250"])
  })

  it("BINARYMIME has no DATA", () => {
    const config = { extensions: ["BINARYMIME", "CHUNKING"] }
    assert.deepStrictEqual(codesOf(config, hello, `${from} BODY=BINARYMIME`, to, "DATA").at(-1), "503")
  })
})
