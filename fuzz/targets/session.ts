/**
 * A whole session against whatever a server may say: it ends, with a typed outcome, in virtual
 * time; no secret goes out in the clear, and accepted is what a server accepted in as many words.
 */
import { type ChannelBinding, type Endpoint, Mechanism, SmtpClient, SmtpError, Transport } from "@postern/core"
import { Deterministic } from "@postern/testing"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import * as Assert from "node:assert"

const password = "tanstaaftanstaaf"
const secrets = [password, btoa(password), btoa(`\0tim\0${password}`)]
const recipients = ["<ben@b.example>", "<cat@c.example>"]
const content = "Subject: x\r\n\r\nx\r\n"

const modes: ReadonlyArray<Endpoint.Mode> = ["startTlsIfOffered", "startTls", "plain", "tls"]

/** What went over the wire, since TLS where that began. */
interface Seen {
  secure: boolean
  clear: string
  sent: string
  heard: string
}

const latin1 = new TextDecoder("latin1")

/**
 * Says what it is given, cut at 0xff; then it is silent, or closes. Of its first octet, bit 0
 * says which; bit 1 whether a TLS handshake fails; bits 2 and 3 are the client's mode.
 */
const wire = (input: Uint8Array, seen: Seen): Transport.Wire => {
  let at = 1
  const choice = input[0] ?? 0
  return {
    read: Effect.suspend(() => {
      if (at >= input.length) {
        return (choice & 1) === 0
          ? Effect.fail(new Transport.TransportError({ reason: { _tag: "Closed" } }))
          : Effect.never
      }
      const end = input.indexOf(0xff, at)
      const bytes = input.subarray(at, end === -1 ? input.length : Math.max(end, at + 1))
      at += bytes.length + (end === -1 ? 0 : 1)
      seen.heard += latin1.decode(bytes)
      return Effect.succeed(bytes)
    }),
    write: (bytes) =>
      Effect.sync(() => {
        const text = latin1.decode(bytes)
        if (!seen.secure) seen.clear += text
        seen.sent += text
      }),
    upgradeTls: ({ serverName }) =>
      Effect.suspend(() => {
        if ((choice & 2) === 2) {
          const reason = { _tag: "HandshakeFailed", code: "ERR_SSL", detail: "no common version" } as const
          return Effect.fail(new Transport.TransportError({ reason }))
        }
        Object.assign(seen, { secure: true, sent: "", heard: "" })
        const channelBindings: ReadonlyArray<ChannelBinding.ChannelBinding> = [
          { type: "tls-exporter", data: new Uint8Array(32) }
        ]
        return Effect.succeed(
          { version: "TLSv1.3", cipher: "x", serverName, verifiedBy: "chain", certificate: undefined, channelBindings }
        )
      })
  }
}

const send = Effect.flatMap(
  SmtpClient.SmtpClient,
  (client) => client.send({ from: "ann@a.example", to: ["ben@b.example", "cat@c.example"], content })
)

/** Codes of replies, by a reading of RFC 5321 §4.2 that is no part of the library. */
const codes = (heard: string): ReadonlyArray<number> =>
  heard.split("\n").filter((line) => !/^\d{3}-/.test(line)).map((line) => Number(line.slice(0, 3)))

// Every line that is no content has one reply; before them comes the greeting, except after STARTTLS.
const replyTo = (line: RegExp, seen: Seen, greeted: boolean): number => {
  const lines = seen.sent.replace(content, "").split("\r\n")
  return codes(seen.heard)[lines.findLastIndex((sent) => line.test(sent)) + (greeted ? 1 : 0)] ?? 0
}

const positive = (code: number): boolean => code >= 200 && code < 300

export const fuzz = async (input: Uint8Array): Promise<void> => {
  const seen: Seen = { secure: false, clear: "", sent: "", heard: "" }
  const security = modes[((input[0] ?? 0) >> 2) & 3] ?? "startTlsIfOffered"
  const transport = Layer.succeed(Transport.Transport, { open: () => Effect.succeed(wire(input, seen)) })
  const client = SmtpClient.layer({
    endpoint: "mx.example:587",
    security,
    domain: "client.example",
    credentials: Mechanism.password("tim", Redacted.make(password))
  })
  const exit = await Effect.runPromiseExit(
    Effect.provide(send, Layer.provideMerge(Layer.provide(client, transport), Deterministic.layer()))
  )
  for (const secret of secrets) Assert.ok(!seen.clear.includes(secret), "the password went out in the clear")
  if (security === "tls" || security === "startTls") Assert.doesNotMatch(seen.clear, /^(?:AUTH|MAIL|RCPT|DATA)/m)
  Assert.doesNotMatch(seen.sent.replaceAll("\r\n", ""), /[\r\n\0]/)
  if (Exit.isSuccess(exit)) {
    const greeted = !seen.secure || security === "tls"
    const { outcomes, reply } = exit.value
    Assert.strictEqual(replyTo(/^\.$|^BDAT \d+ LAST$/, seen, greeted), reply.code)
    Assert.ok(positive(reply.code))
    Assert.deepStrictEqual(outcomes.map(({ recipient }) => recipient), recipients)
    Assert.ok(outcomes.some(({ _tag }) => _tag === "Accepted"))
    for (const { _tag, recipient } of outcomes) {
      const accepted = positive(replyTo(new RegExp(`^RCPT TO:${recipient}`), seen, greeted))
      Assert.strictEqual(_tag === "Accepted", accepted, recipient)
    }
  } else {
    const error = Cause.findErrorOption(exit.cause)
    Assert.ok(error._tag === "Some" && error.value instanceof SmtpError.SmtpError, Cause.pretty(exit.cause))
    const told = JSON.stringify(error.value)
    // A server that says it by itself has it from elsewhere.
    const known = latin1.decode(input)
    for (const secret of secrets) {
      Assert.ok(known.includes(secret) || !told.includes(secret), "an error tells the password")
    }
  }
}
