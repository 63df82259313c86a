import { assert, describe, it } from "@effect/vitest"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, codesOf, delivered, from, hello, sent, to } from "./support.ts"

describe("PIPELINING", () => {
  const plain = { extensions: ["CHUNKING", "ENHANCEDSTATUSCODES"] }
  const offered = { extensions: [...plain.extensions, "PIPELINING"] }
  const improper = "503 5.5.0"
  /** Each string in one go, the last one with the replies. */
  const last = (config: ServerMachine.Config, ...writes: ReadonlyArray<string>) => {
    let [state, actions] = ServerMachine.start({ ...config, strictPipelining: true })
    for (const write of writes) [state, actions] = ServerMachine.receive(state, bytes(write))
    return { replies: codes(sent(actions)), messages: delivered(actions) }
  }
  const replies = (config: ServerMachine.Config, ...writes: ReadonlyArray<string>) => last(config, ...writes).replies
  const ehlo = `${hello}\r\n`
  const envelope = `${from}\r\n${to}\r\nDATA\r\n`

  it("any server takes what comes in one go, unless it is strict", () => {
    assert.deepStrictEqual(codesOf(plain, hello, from, to, "DATA", "."), [
      "250",
      "250 2.1.0",
      "250 2.1.5",
      "354",
      "250 2.0.0"
    ])
  })

  it("a strict one takes groups where it offers them (RFC 2920 §3.1)", () => {
    assert.deepStrictEqual(replies(offered, ehlo, envelope), ["250 2.1.0", "250 2.1.5", "354"])
    assert.deepStrictEqual(replies(offered, ehlo, `RSET\r\n${from}\r\nNOOP\r\n`), [
      "250 2.0.0",
      "250 2.1.0",
      "250 2.0.0"
    ])
    assert.deepStrictEqual(replies(offered, ehlo, envelope, `.\r\n${from}\r\n`), ["250 2.0.0", "250 2.1.0"])
  })

  it("none where it does not", () => {
    assert.deepStrictEqual(replies(plain, ehlo, envelope), [improper, improper, "503 5.5.1"])
    assert.deepStrictEqual(replies(plain, ehlo, `${from}\r\n`, `${to}\r\n`), ["250 2.1.5"])
    assert.deepStrictEqual(replies(offered, "HELO client.example\r\n", envelope), [improper, improper, "503 5.5.1"])
    assert.deepStrictEqual(replies(offered, `${ehlo}${from}\r\n`), [improper, "503 5.5.1"])
  })

  it("and nothing behind a command that ends a group", () => {
    for (const line of ["EHLO a.example", "NOOP", "VRFY ann", "EXPN list", "HELP", "QUIT", "DATA", "STARTTLS"]) {
      assert.deepStrictEqual(replies(offered, ehlo, `${from}\r\n${to}\r\n`, `${line}\r\nRSET\r\n`), [
        improper,
        "250 2.0.0"
      ], line)
    }
  })

  it("BDAT has its own octets behind it, and more in a group", () => {
    const opened = (config: ServerMachine.Config, ...writes: ReadonlyArray<string>) =>
      last(config, ehlo, `${from}\r\n`, `${to}\r\n`, ...writes)
    assert.deepStrictEqual(opened(plain, "BDAT 3\r\nabc").replies, ["250 2.0.0"])
    assert.deepStrictEqual(opened(plain, "BDAT 3\r\nabc", "BDAT 0 LAST\r\n").replies, ["250 2.0.0"])
    const { messages, replies } = opened(plain, "BDAT 3\r\nabcBDAT 0 LAST\r\n")
    assert.deepStrictEqual([replies, messages], [[improper, "503 5.5.1"], []])
    assert.deepStrictEqual(opened(offered, `BDAT 3\r\nabcBDAT 0 LAST\r\n${from}\r\n${to}\r\n`).replies, [
      "250 2.0.0",
      "250 2.0.0",
      "250 2.1.0",
      "250 2.1.5"
    ])
  })

  it("BURL that is the last is waited for (RFC 4468 §3.2)", () => {
    const urls = { "imap://a.example/1": "a" }
    const config = { urls, extensions: [...offered.extensions, "BURL imap://a.example"] }
    const burl = (end: string) => `BURL imap://a.example/1${end}\r\n`
    const envelope = `${from}\r\n${to}\r\n`
    assert.deepStrictEqual(replies(config, ehlo, `${envelope}${burl("")}${burl(" LAST")}`).slice(2), [
      "250 2.5.0",
      "250 2.0.0"
    ])
    const { messages, replies: got } = last(config, ehlo, `${envelope}${burl(" LAST")}${from}\r\n`)
    assert.deepStrictEqual([got.slice(2), messages], [[improper, "503 5.5.1"], []])
  })
})
