import { assert, describe, it } from "@effect/vitest"
import {
  Authenticate,
  Capabilities,
  Choose,
  Command,
  CramMd5,
  Mechanism,
  Plain,
  Program,
  Reply,
  Session
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"
import { ends, failure, hears, quits, says, saysBytes, type Step, success, talk } from "./scripted.ts"

const credentials = Mechanism.password("tim", Redacted.make("tanstaaftanstaaf"))
const octets = new Uint8Array(9216).fill(0x61)

/** Waits for a challenge, then says many octets. */
const long: Mechanism.Mechanism = {
  ...Plain.plain,
  name: "LONG",
  client: () =>
    Effect.succeed({
      response: undefined,
      next: () => Effect.succeed({ response: Redacted.make(octets), next: undefined, verified: true }),
      verified: false
    })
}

const authenticated = (mechanism: Mechanism.Mechanism) =>
  Program.gen(function*() {
    const greeting = yield* Program.greeting
    const capabilities = Capabilities.fromEhlo(Reply.make(250, ["mx.example", `AUTH ${mechanism.name}`]))
    const facts = { host: "mx.example", greeting, capabilities, tls: Explore.tlsFacts, authenticated: undefined }
    return yield* Authenticate.authenticate(new Session.Session("ready", facts), credentials, Choose.inOrder(mechanism))
  })

const broken: ReadonlyArray<Step> = [says("220 hi"), hears("AUTH CRAM-MD5"), says("334 ???"), hears("*")]

describe("an answer that the connection ends in", () => {
  it.effect("is not shown, as it may hold half of a secret", () =>
    Effect.gen(function*() {
      const script = [
        says("220 hi"),
        hears(`AUTH PLAIN ${btoa("\0tim\0tanstaaftanstaaf")}`),
        saysBytes("535 no such user: tim tanstaaft"),
        ends
      ]
      const { reason } = failure(yield* talk(script, (connection) => connection.run(authenticated(Plain.plain))))
      assert.deepStrictEqual<unknown>(reason, {
        _tag: "ConnectionLost",
        step: "Auth",
        detail: "the server closed the connection, in the middle of a reply: \"<redacted>\""
      })
    }))

  it.effect("is not there where the connection ends without one", () =>
    Effect.gen(function*() {
      const script = [says("220 hi"), hears(`AUTH PLAIN ${btoa("\0tim\0tanstaaftanstaaf")}`), ends]
      const { reason } = failure(yield* talk(script, (connection) => connection.run(authenticated(Plain.plain))))
      assert.deepInclude<object>(reason, { step: "Auth", detail: "the server closed the connection" })
    }))
})

describe("an exchange that the client cancels", () => {
  it.effect("leaves the connection usable once the server has let go of it", () =>
    Effect.gen(function*() {
      const script = [...broken, says("501 5.7.0 cancelled"), hears("NOOP"), says("250 ok"), ...quits]
      const talked = yield* talk(script, (connection) =>
        Effect.gen(function*() {
          const ended = yield* Effect.result(connection.run(authenticated(CramMd5.cramMd5)))
          yield* connection.run(Program.send(Command.noop))
          return Result.isFailure(ended) ? ended.failure.reason : undefined
        }))
      assert.deepInclude(success(talked) ?? {}, { _tag: "AuthenticationFailed", why: "exchange broken" })
    }))

  it.effect("is not followed by QUIT where the server goes on: it would be a response", () =>
    Effect.gen(function*() {
      const talked = yield* talk([...broken, says("334 more")], (connection) =>
        connection.run(authenticated(CramMd5.cramMd5)))
      assert.deepInclude(failure(talked).reason, { _tag: "ProtocolViolation", step: "AuthCancel", expected: "501" })
    }))

  it.effect("is not understood where the server says yes", () =>
    Effect.gen(function*() {
      const talked = yield* talk([...broken, says("235 welcome"), ...quits], (connection) =>
        connection.run(authenticated(CramMd5.cramMd5)))
      assert.deepInclude(failure(talked).reason, { _tag: "ProtocolViolation", step: "AuthCancel", expected: "501" })
    }))
})

describe("long lines", () => {
  it.effect("of 12,288 octets of base64 are taken and sent (RFC 4954 §4)", () =>
    Effect.gen(function*() {
      const line = "YWFh".repeat(3072)
      const script = [says("220 hi"), hears("AUTH LONG"), says(`334 ${line}`), hears(line), says("235 ok"), ...quits]
      const talked = yield* talk(script, (connection) => connection.run(authenticated(long)))
      assert.strictEqual(success(talked).facts.authenticated?.mechanism, "LONG")
    }))
})

describe("a challenge", () => {
  it.effect("comes to the mechanism as it was sent, though what was said before occurs in it", () =>
    Effect.gen(function*() {
      // Base64 of what is said first is the beginning of the second challenge.
      const told: Array<string> = []
      const said = (text: string, next: Mechanism.ClientStep["next"]) => ({
        response: Mechanism.secret(text),
        next,
        verified: next === undefined
      })
      const twice: Mechanism.Mechanism = {
        ...Plain.plain,
        name: "TWICE",
        client: () =>
          Effect.succeed(said("Passwo", (challenge) => {
            told.push(Mechanism.textOf(challenge))
            return Effect.succeed(said("tanstaaf", undefined))
          }))
      }
      const script = [
        says("220 hi"),
        hears(`AUTH TWICE ${btoa("Passwo")}`),
        says(`334 ${btoa("Password:")}`),
        hears(btoa("tanstaaf")),
        says("235 ok"),
        ...quits
      ]
      const talked = yield* talk(script, (connection) => connection.run(authenticated(twice)))
      assert.strictEqual(success(talked).facts.authenticated?.mechanism, "TWICE")
      assert.deepStrictEqual(told, ["Password:"])
      // A log keeps its length alone.
      assert.include(JSON.stringify(talked.events), "<challenge, 14 characters>")
      assert.notInclude(JSON.stringify(talked.events), "cmQ6")
    }))
})
