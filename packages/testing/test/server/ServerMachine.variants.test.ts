import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, codesOf, delivered, from, hello, sent, talk, to } from "./support.ts"

describe("LMTP", () => {
  it("answers for each recipient", () => {
    const config: ServerMachine.Config = {
      lmtp: true,
      reply: (turn) =>
        turn._tag === "Content"
          && turn.message.forwardPaths.some((path) => path !== "postmaster" && path.localPart === "full")
          ? Reply.make(452, "Mailbox full", "4.2.2")
          : undefined
    }
    const { actions, replies } = talk(
      config,
      hello,
      "LHLO client.example",
      from,
      to,
      "RCPT TO:<full@example.org>",
      to,
      "DATA",
      "x",
      "."
    )
    assert.deepStrictEqual(codes(replies), [
      "500 5.5.1",
      "250",
      "250 2.1.0",
      "250 2.1.5",
      "250 2.1.5",
      "250 2.1.5",
      "354",
      "250 2.0.0",
      "452 4.2.2",
      "250 2.0.0"
    ])
    assert.lengthOf(delivered(actions), 2)
    assert.deepStrictEqual(codesOf({}, "LHLO client.example"), ["500 5.5.1"])
  })
})

describe("STARTTLS", () => {
  it("discards what was said in plaintext behind it, and forgets what was said before", () => {
    const { actions, state } = talk({}, hello, from, "STARTTLS", "RSET", "NOOP")
    assert.deepStrictEqual(actions.slice(-2).map(({ _tag }) => _tag), ["Send", "StartTls"])
    const [stillWaiting, nothing] = ServerMachine.receive(state, bytes("NOOP\r\n"))
    assert.lengthOf(nothing, 0)
    const [secure, silence] = ServerMachine.tlsEstablished(stillWaiting)
    assert.lengthOf(silence, 0)
    const [after, secured] = ServerMachine.receive(
      secure,
      bytes(`${from}\r\n${hello}\r\n${from}\r\n${to}\r\nDATA\r\n.\r\n`)
    )
    assert.deepStrictEqual(codes(sent(secured)), ["503 5.5.1", "250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0"])
    assert.isTrue(delivered(secured)[0]?.tls)
    assert.isTrue(after.tls)
  })

  it("can misbehave", () => {
    const { replies } = talk({ injectAfterStartTls: "250 evil\r\n" }, hello, "STARTTLS")
    assert.deepStrictEqual(replies.slice(1), ["220 2.0.0 Ready to start TLS", "250 evil"])
  })

  it("is unknown where it is not offered", () =>
    assert.deepStrictEqual(codesOf({ startTls: false }, hello, "STARTTLS").at(-1), "502 5.5.1"))

  it("changes nothing out of turn", () => {
    const { state } = talk({}, hello)
    assert.deepStrictEqual(ServerMachine.tlsEstablished(state), [state, []])
  })

  it("comes before the greeting with implicit TLS", () => {
    const [state, actions] = ServerMachine.start({ implicitTls: true })
    assert.lengthOf(actions, 0)
    assert.deepStrictEqual(sent(ServerMachine.tlsEstablished(state)[1]), ["220 mx.example ESMTP"])
  })
})

describe("overruling", () => {
  const on = (tag: ServerMachine.Turn["_tag"], reply: Reply.Reply | "drop"): ServerMachine.Config => ({
    reply: (turn) => turn._tag === tag ? reply : undefined
  })
  const no = Reply.make(451, "Not now", "4.3.0")
  const message = [hello, from, to, "DATA", "x", ".", "NOOP"]

  it("a refusal undoes what the command does", () => {
    assert.deepStrictEqual(codesOf(on("Mail", no), ...message.slice(0, 3)), ["250", "451 4.3.0", "503 5.5.1"])
    assert.deepStrictEqual(codesOf(on("Data", no), hello, from, to, "DATA", "NOOP").slice(3), [
      "451 4.3.0",
      "250 2.0.0"
    ])
    const refused = talk(on("Content", no), ...message, "DATA")
    assert.deepStrictEqual(codes(refused.replies.slice(4)), ["451 4.3.0", "250 2.0.0", "503 5.5.1"])
    assert.lengthOf(delivered(refused.actions), 0)
  })

  it("other words for the same do the same", () => {
    const { actions, replies } = talk(on("Content", Reply.make(250, "Saved")), ...message)
    assert.deepStrictEqual(replies[4], "250 Saved")
    assert.lengthOf(delivered(actions), 1)
  })

  it("a lie stays one", () => {
    const { actions, replies } = talk({ ...on("Content", Reply.make(250, "Saved")), maxSize: 1 }, ...message)
    assert.deepStrictEqual(replies[4], "250 Saved")
    assert.lengthOf(delivered(actions), 0)
  })

  it("a 354 waits for content in any case", () => {
    const { replies } = talk(on("Data", Reply.make(354, "go on")), hello, from, "DATA", "QUIT", ".", "NOOP")
    assert.deepStrictEqual(codes(replies.slice(2)), ["354", "554 5.5.1", "250 2.0.0"])
  })

  it("421 closes, and drop closes without a word", () => {
    assert.deepStrictEqual(
      talk(on("Noop", Reply.make(421, "Bye")), "NOOP", "RSET").actions.slice(-2).map(({ _tag }) => _tag),
      ["Send", "Close"]
    )
    const dropped = talk(on("Noop", "drop"), "NOOP", "RSET")
    assert.deepStrictEqual([dropped.replies, dropped.actions.at(-1)?._tag], [[], "Close"])
    assert.deepStrictEqual(talk(on("Greeting", "drop")).actions, [{ _tag: "Close" }])
  })

  it("a refused chunk spoils the transaction", () => {
    const config: ServerMachine.Config = { reply: (turn) => turn._tag === "Bdat" && turn.size === 2 ? no : undefined }
    const [state] = ServerMachine.start(config)
    const [, actions] = ServerMachine.receive(
      state,
      bytes(`${hello}\r\n${from}\r\n${to}\r\nBDAT 2\r\nxxBDAT 1 LAST\r\nxNOOP\r\n`)
    )
    assert.deepStrictEqual(codes(sent(actions)).slice(3), ["451 4.3.0", "503 5.5.1", "250 2.0.0"])
  })
})
