/**
 * What is tried again: a token that was refused, once, where another can be had; and a
 * binding of another type. What is believed: nothing after a refusal in a challenge.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Authenticate,
  Capabilities,
  Choose,
  type Mechanism,
  OAuthBearer,
  Program,
  Reason,
  Reply,
  Session,
  XOAuth2
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"

const bindings = [
  { type: "tls-exporter" as const, data: new Uint8Array(32) },
  { type: "tls-server-end-point" as const, data: new Uint8Array(32) }
]

const session = (...mechanisms: ReadonlyArray<string>) =>
  new Session.Session("ready", {
    host: "mx.example",
    port: 587,
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", `AUTH ${mechanisms.join(" ")}`])),
    tls: { ...Explore.tlsFacts, channelBindings: bindings },
    authenticated: undefined
  })

const token = (first: string, second?: string): Mechanism.Token => ({
  _tag: "Token",
  user: "ann@example.org",
  token: Effect.succeed(Redacted.make(first)),
  renew: second === undefined ? undefined : Effect.succeed(Redacted.make(second))
})

/** Rehearses against replies to what is written, effects performed. */
const rehearse = (
  credentials: Mechanism.Credentials,
  authenticator: Choose.Authenticator,
  offered: ReadonlyArray<string>,
  ...all: ReadonlyArray<Reply.Reply>
) => {
  const left = [...all]
  return Program.rehearse(Authenticate.authenticate(session(...offered), credentials, authenticator), (instruction) => {
    if (instruction._tag === "Perform") {
      return { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
    }
    const reply = left.shift()
    return reply && Program.replies(reply)
  })
}

const bad = Reply.make(535, "not accepted", "5.7.8")
const welcome = Reply.make(235, "welcome", "2.7.0")
const error = Reply.make(334, btoa(JSON.stringify({ status: "401", scope: "https://mail.example/" })))
const failure = (rehearsal: ReturnType<typeof rehearse>) =>
  rehearsal.end !== undefined && Result.isFailure(rehearsal.end) ? rehearsal.end.failure : undefined

const authenticator = Choose.automatic(OAuthBearer.oauthBearer, XOAuth2.xoauth2)

describe("a bearer token", () => {
  it("that is refused is renewed once, and the new one used", () => {
    const rehearsal = rehearse(token("old", "new"), authenticator, ["XOAUTH2"], error, bad, welcome)
    assert.isTrue(rehearsal.end !== undefined && Result.isSuccess(rehearsal.end))
    assert.deepStrictEqual(Explore.linesSent(rehearsal.said).map((line) => line.split(" ", 2).join(" ")), [
      "AUTH XOAUTH2",
      "<redacted, 0",
      "AUTH XOAUTH2"
    ])
  })

  it("that is refused again ends it, with the server's words for each", () => {
    const reason = failure(rehearse(token("old", "new"), authenticator, ["OAUTHBEARER"], error, bad, error, bad))
    assert.isTrue(reason?._tag === "AuthenticationFailed")
    if (reason?._tag === "AuthenticationFailed") {
      assert.strictEqual(reason.why, "bad credentials")
      assert.lengthOf(reason.attempts, 2)
      for (const attempt of reason.attempts) {
        assert.match(attempt.detail, /status "401", scope "https:\/\/mail\.example\/"/)
      }
    }
  })

  it("without another is not tried twice, and never by the next mechanism", () => {
    const rehearsal = rehearse(token("old"), authenticator, ["OAUTHBEARER", "XOAUTH2"], bad)
    assert.strictEqual(failure(rehearsal)?._tag, "AuthenticationFailed")
    assert.lengthOf(Explore.linesSent(rehearsal.said), 1)
  })

  it("is not believed to be accepted after its refusal", () => {
    assert.strictEqual(
      failure(rehearse(token("old"), authenticator, ["XOAUTH2"], error, welcome))?._tag,
      "ServerNotVerified"
    )
  })

  it("names the host and port it is for, and goes nowhere without TLS", () => {
    const plain = new Session.Session("ready", { ...session("XOAUTH2", "OAUTHBEARER").facts, tls: undefined })
    const rehearsal = Program.rehearse(Authenticate.authenticate(plain, token("t"), authenticator), [])
    assert.strictEqual(
      rehearsal.end !== undefined && Result.isFailure(rehearsal.end) ? rehearsal.end.failure._tag : "",
      "NoUsableMechanism"
    )
  })
})

describe("channel binding", () => {
  /** Tells which binding it was given, and cannot use the exporter. */
  const bound: Mechanism.Mechanism = {
    name: "X-BOUND-PLUS",
    traits: { kind: "channel-bound", withoutTls: false, anyChallenge: false },
    accepts: () => true,
    client: (_credentials, { channelBindings }) => {
      const type = channelBindings?.[0]?.type ?? "none"
      return Effect.succeed({
        response: Redacted.make(new TextEncoder().encode(type)),
        next: () =>
          Effect.fail({
            _tag: "SaslError",
            reason: type === "tls-exporter" ? "unsupported-channel-binding-type" : "server-signature-mismatch",
            detail: type
          }),
        verified: false
      })
    },
    server: () => ({ _tag: "Refused", problem: "a client only" })
  }

  it("of a type the server does not know is followed by the other type, never by none; a false proof ends it", () => {
    const cancelled = Reply.make(501, "cancelled", "5.7.0")
    const challenge = Reply.make(334, "")
    const rehearsal = rehearse(
      token("t"),
      Choose.automatic(bound),
      ["X-BOUND-PLUS"],
      challenge,
      cancelled,
      challenge,
      cancelled
    )
    assert.deepStrictEqual(
      failure(rehearsal),
      Reason.make("ServerNotVerified", {
        mechanism: "X-BOUND-PLUS",
        attempts: ["tls-exporter", "tls-server-end-point"].map((detail) => ({
          mechanism: "X-BOUND-PLUS",
          outcome: "cancelled" as const,
          reply: undefined,
          detail
        }))
      })
    )
  })
})
