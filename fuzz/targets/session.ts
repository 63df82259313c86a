/**
 * A whole session against whatever a server may say: it ends, with a typed outcome, in virtual
 * time; no secret goes out in the clear, and `sent` is said only after a server said so.
 */
import { Mechanism, SmtpClient, SmtpError, Transport } from "@postern/core"
import { Deterministic } from "@postern/testing"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import * as Assert from "node:assert"

const password = "tanstaaftanstaaf"
const plain = btoa(`\0tim\0${password}`)

/** Says what it is given, cut at 0xff; then it is silent, or closes. TLS is agreed on whenever it is asked for. */
const wire = (input: Uint8Array, seen: { clear: string; all: string; heard: string }): Transport.Wire => {
  let at = 1
  let secure = false
  const closes = ((input[0] ?? 0) & 1) === 0
  return {
    read: Effect.suspend(() => {
      if (at >= input.length) {
        return closes
          ? Effect.fail(new Transport.TransportError({ reason: { _tag: "Closed" } }))
          : Effect.never
      }
      const end = input.indexOf(0xff, at)
      const bytes = input.subarray(at, end === -1 ? input.length : Math.max(end, at + 1))
      at += bytes.length + (end === -1 ? 0 : 1)
      seen.heard += new TextDecoder("latin1").decode(bytes)
      return Effect.succeed(bytes)
    }),
    write: (bytes) =>
      Effect.sync(() => {
        const text = new TextDecoder("latin1").decode(bytes)
        if (!secure) seen.clear += text
        seen.all += text
      }),
    upgradeTls: () =>
      Effect.sync((): Transport.TlsFacts => {
        secure = true
        return {
          version: "TLSv1.3",
          cipher: "x",
          serverName: "mx.example",
          verifiedBy: "chain",
          certificate: undefined
        }
      })
  }
}

const client = SmtpClient.layer({
  endpoint: "mx.example:587",
  security: "startTlsIfOffered",
  domain: "client.example",
  credentials: Mechanism.password("tim", Redacted.make(password))
})

const send = Effect.flatMap(
  SmtpClient.SmtpClient,
  (client) =>
    client.send({ from: "ann@a.example", to: ["ben@b.example", "cat@c.example"], content: "Subject: x\n\nx\n" })
)

export const fuzz = async (input: Uint8Array): Promise<void> => {
  const seen = { clear: "", all: "", heard: "" }
  const transport = Layer.succeed(Transport.Transport, { open: () => Effect.succeed(wire(input, seen)) })
  const exit = await Effect.runPromiseExit(
    Effect.provide(send, Layer.provideMerge(Layer.provide(client, transport), Deterministic.layer()))
  )
  Assert.ok(!seen.clear.includes(password) && !seen.clear.includes(plain), "the password went out in the clear")
  Assert.ok(!seen.clear.includes(btoa(password)), "the password went out in the clear")
  Assert.doesNotMatch(seen.all.replaceAll("\r\n", ""), /[\r\n\0]/)
  if (Exit.isSuccess(exit)) {
    Assert.match(seen.heard, /354/)
    Assert.match(seen.heard, /25\d/)
    Assert.ok(seen.all.includes("\r\n.\r\n"))
    Assert.ok(exit.value.outcomes.some(({ _tag }) => _tag === "Accepted"))
  } else {
    const error = Cause.findErrorOption(exit.cause)
    Assert.ok(error._tag === "Some" && error.value instanceof SmtpError.SmtpError, Cause.pretty(exit.cause))
    Assert.ok(!JSON.stringify(error.value).includes(password))
  }
}
