import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Redacted } from "effect"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, delivered, from, hello, sent, talk, text, to } from "./support.ts"

/** What follows MAIL and a RCPT that was taken, octets as they are. */
const after = (config: ServerMachine.Config, rest: string, before: ReadonlyArray<string> = [hello, from, to]) => {
  const [greeted] = ServerMachine.start(config)
  const [opened] = ServerMachine.receive(greeted, bytes(before.map((line) => `${line}\r\n`).join("")))
  const [state, actions] = ServerMachine.receive(opened, bytes(rest))
  const contents = delivered(actions).map(({ content }) => text(content))
  return { state, actions, contents, replies: codes(sent(actions)) }
}

const none = "RCPT TO:<no@example.org>"
const nobody: ServerMachine.Config = { unknownUsers: ["no@example.org"] }

describe("DATA without valid recipients", () => {
  it("is refused", () => {
    assert.deepStrictEqual(after(nobody, "DATA\r\nNOOP\r\n", [hello, from, none]).replies, ["554 5.5.1", "250 2.0.0"])
  })

  it("or is answered with 354 all the same, and the lone dot with 554 (RFC 2920 §3.1)", () => {
    const { contents, replies, state } = after({ ...nobody, dataAnyway: true }, "DATA\r\n.\r\nMAIL FROM:<>\r\n", [
      hello,
      from,
      none
    ])
    assert.deepStrictEqual([contents, replies], [[], ["354", "554 5.5.1", "250 2.1.0"]])
    assert.lengthOf(state.transaction?.recipients ?? [], 0)
  })

  it("which is no licence for DATA without MAIL or RCPT", () => {
    const config = { ...nobody, dataAnyway: true }
    assert.deepStrictEqual(after(config, "DATA\r\nNOOP\r\n", [hello]).replies, ["503 5.5.1", "250 2.0.0"])
    assert.deepStrictEqual(after(config, "DATA\r\nNOOP\r\n", [hello, from]).replies, ["503 5.5.1", "250 2.0.0"])
    assert.deepStrictEqual(after(config, "DATA\r\nx\r\n.\r\n", [hello, from, none, to]).contents, ["x\r\n"])
  })

  it("nor for DATA that BINARYMIME forbids", () => {
    const config = { ...nobody, dataAnyway: true, extensions: ["BINARYMIME", "CHUNKING"] }
    const before = [hello, `${from} BODY=BINARYMIME`, none]
    assert.deepStrictEqual(after(config, "DATA\r\nNOOP\r\n", before).replies, ["503", "250"])
  })
})

describe("BDAT", () => {
  it("a refused chunk has octets, too, whatever it is refused for", () => {
    const rows: ReadonlyArray<readonly [ServerMachine.Config, ReadonlyArray<string>, string]> = [
      [{}, [], "503 5.5.1"],
      [{}, [hello], "503 5.5.1"],
      [{}, [hello, from], "503 5.5.1"],
      [nobody, [hello, from, none], "554 5.5.1"],
      [{ maxSize: 5 }, [hello, from, to], "552 5.3.4"],
      [{ extensions: ["ENHANCEDSTATUSCODES"] }, [hello, from, to], "502 5.5.1"],
      [{ requireTls: true }, [hello], "530 5.7.0"],
      [{}, ["HELO client.example", from, to], "502 5.5.1"]
    ]
    for (const [config, before, code] of rows) {
      for (const last of ["", " LAST"]) {
        const { contents, replies } = after(config, `BDAT 6${last}\r\nQUIT\r\nNOOP\r\n`, before)
        assert.deepStrictEqual([replies, contents], [[code, "250 2.0.0"], []], `${before.at(-1)} ${code}`)
      }
    }
  })

  it("where one failed, the transaction stays as it is until RSET", () => {
    const { contents, replies } = after(
      { maxSize: 5 },
      `BDAT 6\r\n123456BDAT 1\r\nxBDAT 0 LAST\r\nDATA\r\n${to}\r\n${from}\r\nRSET\r\n${from}\r\n${to}\r\nBDAT 1 LAST\r\nx`
    )
    assert.deepStrictEqual(replies, [
      "552 5.3.4",
      ...Array.from({ length: 5 }, () => "503 5.5.1"),
      "250 2.0.0",
      "250 2.1.0",
      "250 2.1.5",
      "250 2.0.0"
    ])
    assert.deepStrictEqual(contents, ["x"])
  })

  it("after LAST there is none", () => {
    const { contents, replies } = after({}, "BDAT 1 LAST\r\nxBDAT 4 LAST\r\nQUITBDAT 0\r\nNOOP\r\n")
    assert.deepStrictEqual(replies, ["250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.0.0"])
    assert.deepStrictEqual(contents, ["x"])
  })

  it("is not mixed with DATA, in whichever order", () => {
    const { contents, replies } = after({}, "BDAT 1\r\nxDATA\r\nBDAT 1 LAST\r\ny")
    assert.deepStrictEqual([replies, contents], [["250 2.0.0", "503 5.5.1", "250 2.0.0"], ["xy"]])
    assert.deepStrictEqual(after({}, "DATA\r\nx\r\n.\r\nBDAT 1 LAST\r\ny").replies, ["354", "250 2.0.0", "503 5.5.1"])
  })

  it("where it is not offered, its octets are not in the message that DATA brings", () => {
    const { contents, replies } = after({ extensions: [] }, "BDAT 4\r\nQUITDATA\r\nx\r\n.\r\n")
    assert.deepStrictEqual([replies, contents], [["502", "354", "250"], ["x\r\n"]])
  })

  it("BINARYMIME comes by BDAT alone", () => {
    const config = { extensions: ["8BITMIME", "BINARYMIME", "CHUNKING"] }
    const before = [hello, `${from} BODY=BINARYMIME`, to]
    const { actions, replies } = after(config, "DATA\r\nBDAT 3 LAST\r\n\0\r\u0001", before)
    assert.deepStrictEqual(replies, ["503", "250"])
    const [message] = delivered(actions)
    assert.deepStrictEqual(message?.content, new Uint8Array([0, 13, 1]))
    assert.deepStrictEqual(message?.parameters, [{ keyword: "BODY", value: "BINARYMIME" }])
  })
})

describe("LMTP", () => {
  const lhlo = "LHLO client.example"
  const config: ServerMachine.Config = {
    ...nobody,
    lmtp: true,
    mailboxes: { "small@example.org": { maxSize: 3 } },
    maxSize: 10
  }
  const three = [lhlo, from, to, none, "RCPT TO:<small@example.org>", "RCPT TO:<cy@example.org>"]

  it("has LHLO and nothing else", () => {
    const { replies } = talk(config, "EHLO client.example", "HELO client.example", from, lhlo, "LHLO", from)
    assert.deepStrictEqual(codes(replies), ["500 5.5.1", "500 5.5.1", "503 5.5.1", "250", "501 5.5.4", "250 2.1.0"])
    assert.deepStrictEqual(codes(talk({}, lhlo).replies), ["500 5.5.1"])
  })

  const replies = ["250 2.0.0", "552 5.2.3", "250 2.0.0"]

  it("answers for each recipient that was taken, behind DATA", () => {
    const { contents, replies: got } = after(config, "DATA\r\nabcd\r\n.\r\nNOOP\r\n", three)
    assert.deepStrictEqual([got, contents], [["354", ...replies, "250 2.0.0"], ["abcd\r\n", "abcd\r\n"]])
  })

  it("and behind the last BDAT, but once for each other", () => {
    const { contents, replies: got } = after(config, "BDAT 2\r\nabBDAT 2 LAST\r\ncdNOOP\r\n", three)
    assert.deepStrictEqual([got, contents], [["250 2.0.0", ...replies, "250 2.0.0"], ["abcd", "abcd"]])
  })

  it("also where the content is refused for all", () => {
    const all = ["552 5.3.4", "552 5.3.4", "552 5.3.4"]
    assert.deepStrictEqual(after(config, "DATA\r\n123456789\r\n.\r\nNOOP\r\n", three).replies, [
      "354",
      ...all,
      "250 2.0.0"
    ])
    assert.deepStrictEqual(after(config, "BDAT 11 LAST\r\n12345678901NOOP\r\n", three).replies, [...all, "250 2.0.0"])
    assert.deepStrictEqual(after(config, "BDAT 11\r\n12345678901BDAT 0 LAST\r\n", three).replies, [
      "552 5.3.4",
      "503 5.5.1",
      "503 5.5.1",
      "503 5.5.1"
    ])
  })

  it("without recipients it is 503, and one of them (RFC 2033 §4.2)", () => {
    for (const dataAnyway of [false, true]) {
      const before = [lhlo, from, none]
      assert.deepStrictEqual(after({ ...config, dataAnyway }, "DATA\r\nNOOP\r\n", before).replies, [
        "503 5.5.1",
        "250 2.0.0"
      ])
      assert.deepStrictEqual(after({ ...config, dataAnyway }, "BDAT 1 LAST\r\nxNOOP\r\n", before).replies, [
        "503 5.5.1",
        "250 2.0.0"
      ])
    }
  })
})

describe("BURL", () => {
  const url = "imap://ann@imap.example/out/;uid=20;urlauth=submit+ann:internal:0123456789abcdef"
  const plain = "imap://ann@IMAP.example/out/;uid=21"
  const other = "imap://other.example/out/;uid=21"
  const config: ServerMachine.Config = {
    extensions: [
      "8BITMIME",
      "CHUNKING",
      "PIPELINING",
      "ENHANCEDSTATUSCODES",
      "BURL imap imap://imap.example",
      "BINARYMIME"
    ],
    urls: { [url]: "Subject: é\r\n\r\n", [plain]: new Uint8Array([0, 255, 13]), [other]: "never" }
  }
  const ann: ServerMachine.Config = { ...config, accounts: { ann: Redacted.make("secret") }, authBeforeTls: true }
  const login = "AUTH PLAIN AGFubgBzZWNyZXQ="

  it("fetches the content", () => {
    const { actions, replies } = after(config, `BURL ${url} LAST\r\nNOOP\r\n`)
    assert.deepStrictEqual(replies, ["250 2.0.0", "250 2.0.0"])
    assert.deepStrictEqual(delivered(actions)[0]?.content, bytes("Subject: é\r\n\r\n"))
    assert.deepStrictEqual(
      actions.flatMap((action) => action._tag === "Heard" && action.command._tag === "Burl" ? [action.command] : []),
      [{ _tag: "Burl", url, last: true }]
    )
  })

  it("is mixed with BDAT, where there is CHUNKING", () => {
    const { actions, replies } = after(config, `BURL ${url}\r\nBDAT 2\r\n<-BURL ${plain}\r\nBDAT 2 LAST\r\n->`)
    assert.deepStrictEqual(replies, ["250 2.5.0", "250 2.0.0", "250 2.5.0", "250 2.0.0"])
    assert.deepStrictEqual(
      delivered(actions)[0]?.content,
      new Uint8Array([...bytes("Subject: é\r\n\r\n<-"), 0, 255, 13, ...bytes("->")])
    )
    const alone = { ...config, extensions: ["8BITMIME", "BURL imap"] }
    assert.deepStrictEqual(after(alone, `BURL ${url}\r\nBURL ${url} LAST\r\nRSET\r\n`).replies, ["503", "503", "250"])
    assert.deepStrictEqual(after(alone, `BURL ${url} LAST\r\n`).replies, ["250"])
  })

  it("takes BINARYMIME, and excludes DATA", () => {
    const before = [hello, `${from} BODY=BINARYMIME`, to]
    assert.deepStrictEqual(after(config, `BURL ${plain} LAST\r\n`, before).replies, ["250 2.0.0"])
    assert.deepStrictEqual(after(config, `BURL ${url}\r\nDATA\r\nRSET\r\n`).replies, [
      "250 2.5.0",
      "503 5.5.1",
      "250 2.0.0"
    ])
  })

  it("is unknown where it is not offered, and does no harm", () => {
    const { contents, replies } = after({ urls: config.urls }, `BURL ${url} LAST\r\nDATA\r\nx\r\n.\r\n`)
    assert.deepStrictEqual([replies, contents], [["502 5.5.1", "354", "250 2.0.0"], ["x\r\n"]])
  })

  it("wants a transaction with recipients", () => {
    const line = `BURL ${url} LAST\r\n`
    assert.deepStrictEqual(after(config, line, []).replies, ["503 5.5.1"])
    assert.deepStrictEqual(after(config, line, [hello]).replies, ["503 5.5.1"])
    assert.deepStrictEqual(after(config, line, [hello, from]).replies, ["503 5.5.1"])
    assert.deepStrictEqual(after({ ...config, ...nobody }, line, [hello, from, none]).replies, ["554 5.5.1"])
    assert.deepStrictEqual(after(config, `${line}${line}`).replies, ["250 2.0.0", "503 5.5.1"])
  })

  it("where one failed, only RSET helps", () => {
    const rows: ReadonlyArray<readonly [ServerMachine.Config, string, string]> = [
      [config, "imap://ann@imap.example/out/;uid=9", "554 5.6.6"],
      [config, other, "554 5.7.8"],
      [config, "imap://imap.example.evil.example/x", "554 5.7.8"],
      [config, "imap://imap.example@evil.example/x", "554 5.7.8"],
      [config, "http://imap.example/x", "554 5.7.8"],
      [config, "http://imap.example/x;urlauth=submit+ann:internal:00", "554 5.7.8"],
      [{ ...config, extensions: ["ENHANCEDSTATUSCODES", "BURL imap"] }, plain, "554 5.7.8"],
      [{ ...config, extensions: ["ENHANCEDSTATUSCODES", "BURL imap://imap.example"] }, url, "554 5.7.8"],
      [{ ...config, extensions: ["ENHANCEDSTATUSCODES", "BURL"] }, url, "554 5.7.8"],
      [{ ...config, maxSize: 10 }, url, "552 5.3.4"]
    ]
    for (const [config, failing, code] of rows) {
      const { contents, replies } = after(config, `BURL ${failing} LAST\r\nBURL ${url} LAST\r\nDATA\r\nRSET\r\n`)
      assert.deepStrictEqual([replies, contents], [[code, "503 5.5.1", "503 5.5.1", "250 2.0.0"], []], failing)
    }
  })

  it("a part that is too much is refused at once", () => {
    const { contents, replies } = after({ ...config, maxSize: 20 }, `BURL ${url}\r\nBURL ${url}\r\nBDAT 0 LAST\r\n`)
    assert.deepStrictEqual([replies, contents], [["250 2.5.0", "552 5.3.4", "503 5.5.1"], []])
  })

  it("is announced without arguments before AUTH, and then wants AUTH (RFC 4468 §3.1)", () => {
    const shown = (...lines: ReadonlyArray<string>) =>
      talk(ann, hello, ...lines).replies.at(-1)?.match(/BURL[^|]*/)?.[0]
    assert.deepStrictEqual([shown(), shown(login, hello)], ["BURL", "BURL imap imap://imap.example"])
    assert.deepStrictEqual(after(ann, `BURL ${url} LAST\r\n`).replies, ["530 5.7.0"])
    assert.deepStrictEqual(after(ann, `BURL ${url} LAST\r\n`, [hello, login, from, to]).replies, ["250 2.0.0"])
  })

  it("has one reply for each recipient with LMTP, when it is the last", () => {
    const before = ["LHLO client.example", from, to, to]
    const { replies } = after({ ...config, lmtp: true }, `BURL ${url}\r\nBURL ${plain} LAST\r\n`, before)
    assert.deepStrictEqual(replies, ["250 2.5.0", "250 2.0.0", "250 2.0.0"])
    assert.deepStrictEqual(after({ ...config, lmtp: true }, `BURL ${other} LAST\r\n`, before).replies, [
      "554 5.7.8",
      "554 5.7.8"
    ])
  })

  it("can be overruled", () => {
    const reply = (turn: ServerMachine.Turn) => turn._tag === "Burl" ? Reply.make(451, "Not now", "4.4.1") : undefined
    assert.deepStrictEqual(after({ ...config, reply }, `BURL ${url} LAST\r\nNOOP\r\n`).replies, [
      "451 4.4.1",
      "250 2.0.0"
    ])
  })

  it("with a URL that is none", () => {
    assert.deepStrictEqual(after(config, "BURL\r\nBURL /box LAST\r\nBURL imap://a.example/ FIRST\r\n").replies, [
      "501 5.5.4",
      "501 5.5.4",
      "501 5.5.4"
    ])
  })
})
