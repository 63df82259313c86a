import { assert, describe, it } from "@effect/vitest"
import { Address, Capabilities, Expect, Program, Reason, Reply, Session, StartTls } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const options = { serverName: "mx.example" }

/** All that somebody between client and server may have said. */
const before: Session.Facts = {
  host: "mx.example",
  port: 587,
  greeting: Reply.make(220, "mx.example ESMTP"),
  capabilities: Capabilities.fromEhlo(
    Reply.make(250, ["mx.example", "STARTTLS", "AUTH PLAIN LOGIN", "SIZE 1", "PIPELINING"])
  ),
  tls: undefined,
  authenticated: { identity: "mallory", mechanism: "ANONYMOUS" }
}

const upgrade = (answers: ReadonlyArray<Program.Answer>, phase: Session.Phase = "ready") =>
  Program.rehearse(
    StartTls.startTls(new Session.Session(phase, before) as Session.Session<"ready">, domain, options),
    answers
  )

const tags = (said: ReadonlyArray<Program.Rehearsed>): ReadonlyArray<string> =>
  said.flatMap(({ instruction }): ReadonlyArray<string> =>
    instruction._tag === "Exchange" ? instruction.hear : [instruction._tag]
  )

const consent = Program.replies(Reply.make(220, "go ahead", "2.0.0"))
const tls = Program.tls(Explore.tlsFacts)

describe("STARTTLS", () => {
  it("waits for consent, shakes hands with the options given, and says EHLO again", () => {
    const { said } = upgrade([consent, tls, Program.replies(Reply.make(250, "mx.example"))])
    assert.deepStrictEqual(tags(said), ["StartTls", "UpgradeTls", "Ehlo"])
    assert.deepStrictEqual(said[1]?.instruction, { _tag: "UpgradeTls", options })
    assert.deepStrictEqual(Explore.linesSent(said), ["STARTTLS", "EHLO client.example"])
  })

  it("forgets what was offered and who one was; the peer and the greeting stay", () => {
    const after = Reply.make(250, ["mx.example", "AUTH CRAM-MD5"])
    const { end } = upgrade([consent, tls, Program.replies(after)])
    assert.deepStrictEqual(
      end,
      Result.succeed(
        new Session.Session("ready", {
          host: "mx.example",
          port: 587,
          greeting: before.greeting,
          capabilities: Capabilities.fromEhlo(after),
          tls: Explore.tlsFacts,
          authenticated: undefined
        })
      )
    )
    if (end === undefined || Result.isFailure(end)) return
    assert.deepStrictEqual(end.success.known, {
      encrypted: true,
      authOffered: ["CRAM-MD5"],
      startTlsOffered: false,
      authenticated: false,
      identity: undefined
    })
  })

  it("forgets it also where only HELO is answered afterwards", () => {
    const { end, said } = upgrade([
      consent,
      tls,
      Program.replies(Reply.make(502, "what?")),
      Program.replies(Reply.make(250, "mx.example"))
    ])
    assert.deepStrictEqual(tags(said), ["StartTls", "UpgradeTls", "Ehlo", "Helo"])
    assert.isTrue(end !== undefined && Result.isSuccess(end))
    if (end === undefined || Result.isFailure(end)) return
    assert.deepStrictEqual(end.success.facts.capabilities?.keywords, {})
    assert.isUndefined(end.success.facts.authenticated)
  })

  for (const code of [454, 501, 502, 503, 550, 421, 354]) {
    it(`refused by ${code}: there is no handshake`, () => {
      const reply = Reply.make(code, "no")
      const { end, said } = upgrade([Program.replies(reply)])
      assert.deepStrictEqual(tags(said), ["StartTls"])
      assert.deepStrictEqual(end, Result.fail(Expect.refused("StartTls", reply)))
    })
  }

  for (const code of [451, 554, 421]) {
    it(`fails with the refusal when EHLO is refused by ${code} afterwards`, () => {
      const reply = Reply.make(code, "no")
      const { end, said } = upgrade([consent, tls, Program.replies(reply)])
      assert.deepStrictEqual(tags(said), ["StartTls", "UpgradeTls", "Ehlo"])
      assert.deepStrictEqual(end, Result.fail(Expect.refused("Ehlo", reply)))
    })
  }

  for (const phase of ["greeted", "sender", "envelope", "content"] as const) {
    it(`is not said in the phase ${phase}`, () => {
      const { end, said } = upgrade([consent], phase)
      assert.lengthOf(said, 0)
      assert.deepStrictEqual(end, Result.fail(Reason.make("OutOfSequence", { step: "StartTls", phase })))
    })
  }
})
