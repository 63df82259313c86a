/**
 * MAIL, RCPT and the content in one: what is known of the message when that goes wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import { Address, Choose, Envelope, Open, Program, type Reason, Transaction } from "@postern/core"
import { Effect, Result } from "effect"
import {
  domain,
  ends,
  failure,
  hears,
  hearsBytes,
  interjects,
  lines,
  peer,
  quits,
  resets,
  says,
  type Step,
  success,
  talk
} from "./scripted.ts"

const to = ["ben@b.example", "cat@c.example"]
const envelope = Result.getOrThrow(Envelope.make({ from: "ann@a.example", to }))
const recipients = envelope.forwardPaths.map(Address.formatForwardPath)
const send = (content: string) =>
  Program.gen(function*() {
    const session = yield* Open.open({
      host: peer.host,
      domain,
      security: "plain",
      tls: { serverName: peer.host },
      credentials: undefined,
      authenticator: Choose.standard
    })
    return yield* Transaction.deliver(session, envelope, new TextEncoder().encode(content))
  })

const small = "Subject: x\n\nx\n"
const said = (content: string): string => {
  const octets = content.replaceAll("\n", "\r\n")
  const commands = ["MAIL FROM:<ann@a.example>", ...to.map((it) => `RCPT TO:<${it}>`), `BDAT ${octets.length} LAST`]
  return `${lines(...commands)}${octets}`
}
const hello = (...extensions: ReadonlyArray<string>): ReadonlyArray<Step> => [
  says("220 mx.example"),
  hears("EHLO client.example"),
  says("250-mx.example", ...extensions.map((line) => `250-${line}`), "250 X-LAST")
]
const opened = hello("PIPELINING", "CHUNKING")
const attempt = (script: ReadonlyArray<Step>, content: string = small) =>
  talk(script, (connection) => connection.run(send(content)))

describe("with PIPELINING and CHUNKING", () => {
  it.effect("a message is one write, and gets all of its replies at once", () =>
    Effect.gen(function*() {
      const talked = yield* attempt([
        ...opened,
        hearsBytes(said(small)),
        says("250 ok", "550 5.1.1 no such user", "250 ok", "250 queued"),
        ...quits
      ])
      assert.deepStrictEqual(success(talked).outcomes.map(({ _tag }) => _tag), ["Refused", "Accepted"])
      assert.deepStrictEqual(talked.seen.writes, ["EHLO client.example\r\n", said(small), "QUIT\r\n"])
    }))

  it.effect("content waits where TLS is offered and not on: Postfix takes its octets for commands there", () =>
    Effect.gen(function*() {
      const { reason } = failure(
        yield* attempt([
          ...hello("PIPELINING", "CHUNKING", "STARTTLS"),
          hears("MAIL FROM:<ann@a.example>", ...to.map((it) => `RCPT TO:<${it}>`)),
          says(...Array.from({ length: 3 }, () => "530 5.7.0 Must issue a STARTTLS command first")),
          hears("RSET"),
          says("530 5.7.0 Must issue a STARTTLS command first"),
          ...quits
        ])
      )
      assert.strictEqual(reason._tag, "AuthenticationRequired")
    }))

  it.effect("a refused one is reset", () =>
    Effect.gen(function*() {
      const { reason } = failure(
        yield* attempt([
          ...opened,
          hearsBytes(said(small)),
          says("250 ok", "250 ok", "250 ok", "554 5.7.1 spam"),
          hears("RSET"),
          says("250 ok"),
          ...quits
        ])
      )
      assert.strictEqual(reason._tag, "ContentRefused")
    }))

  it.effect("without PIPELINING the content follows on the replies to the envelope", () =>
    Effect.gen(function*() {
      const [mail = "", ben = "", cat = "", bdat = "", ...content] = said(small).split("\r\n")
      const talked = yield* attempt([
        ...hello("CHUNKING"),
        ...[mail, ben, cat].flatMap((line) => [hears(line), says("250 ok")]),
        hearsBytes([bdat, ...content].join("\r\n")),
        says("250 queued"),
        ...quits
      ])
      success(talked)
    }))

  it.effect("a refusal of the content is in the phase of the content", () =>
    Effect.gen(function*() {
      for (const reply of ["554 5.7.1 spam", "421 4.3.2 closing"]) {
        const closing = reply.startsWith("421")
        const { phase } = failure(
          yield* attempt([
            ...opened,
            hearsBytes(said(small)),
            says("250 ok", "250 ok", "250 ok", reply),
            ...closing ? [] : [hears("RSET"), says("250 ok"), ...quits]
          ])
        )
        assert.strictEqual(phase, "content", reply)
      }
    }))
})

describe("a connection that ends", () => {
  const doubt = (recipients: ReadonlyArray<string>, detail: string): Reason.Reason => ({
    _tag: "InDoubt",
    recipients,
    detail
  })

  it.effect("behind the message: in doubt for all who are not refused", () =>
    Effect.gen(function*() {
      const heard = ["250 ok", "550 5.1.1 no such user", "250 ok"]
      for (
        const [count, left] of [[0, recipients], [1, recipients], [2, recipients.slice(1)], [
          3,
          recipients.slice(1)
        ]] as const
      ) {
        const answers = count === 0 ? [] : [says(...heard.slice(0, count))]
        const { reason } = failure(yield* attempt([...opened, hearsBytes(said(small)), ...answers, ends]))
        assert.deepStrictEqual(reason, doubt(left, "the server closed the connection"), `${count} replies`)
      }
    }))

  it.effect("while it is written: in doubt, since nobody knows how much of it arrived; also when it is large", () =>
    Effect.gen(function*() {
      for (const content of [small, `${"x".repeat(98)}\n`.repeat(300)]) {
        const all = said(content)
        const before = content === small ? [] : [hearsBytes(all.slice(0, all.indexOf("LAST\r\n") + 6))]
        const { reason } = failure(yield* attempt([...opened, ...before, resets], content))
        assert.deepStrictEqual(reason, doubt(recipients, "broken pipe"), `${content.length} octets`)
      }
    }))

  it.effect("while it is written, with a refusal to read: that is told", () =>
    Effect.gen(function*() {
      const refusals = [
        ["550 5.1.8 not you\r\n", "SenderRefused"],
        ["250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n", "RecipientsRefused"],
        ["421 4.3.2 closing\r\n", "ServiceClosing"]
      ] as const
      for (const [text, tag] of refusals) {
        const { reason } = failure(yield* attempt([...opened, interjects(text), resets]))
        assert.strictEqual(reason._tag, tag)
      }
    }))

  it.effect("behind a refusal of all: that is told, and nothing is in doubt", () =>
    Effect.gen(function*() {
      const { reason } = failure(
        yield* attempt([...opened, hearsBytes(said(small)), says("550 5.1.8 not you", "503 no sender"), ends])
      )
      assert.strictEqual(reason._tag, "SenderRefused")
    }))
})

describe("a reply too many", () => {
  it.effect("shifts the answers: what came for the content is not known", () =>
    Effect.gen(function*() {
      // The third 250 answers the second RCPT, and is taken for the answer to BDAT.
      const { reason } = failure(
        yield* attempt([
          ...opened,
          hearsBytes(said(small)),
          says("250 ok", "250 ok", "250 ok", "250 ok", "554 5.7.1 spam")
        ])
      )
      assert.include(["InDoubt", "ProtocolViolation"], reason._tag)
    }))
})
