import { assert, describe, it } from "@effect/vitest"
import { Classify, Expect, Reply } from "@postern/core"
import { parse, replies, sessions, subject } from "./replies.ts"

describe("Classify", () => {
  for (const [server, session, step, text, tag, why] of replies) {
    it(`${server} at ${step} (${session}): ${text.replaceAll("\n", " / ")}`, () => {
      const reason = Classify.refusal(sessions[session], Expect.refused(step, parse(text)), subject)
      assert.strictEqual(reason._tag, tag)
      assert.strictEqual("why" in reason ? reason.why : undefined, why)
    })
  }

  it("the reason holds what it is about", () => {
    const reply = Reply.make(554, "Relay access denied", "5.7.1")
    assert.deepStrictEqual(Classify.refusal(sessions.authenticated, Expect.refused("Rcpt", reply), subject), {
      _tag: "RelayDenied",
      why: "not allowed",
      step: "Rcpt",
      recipients: ["<ben@example.net>"],
      identity: "ann@example.org",
      reply
    })
    const large = Reply.make(552, "too big", "5.3.4")
    assert.deepStrictEqual(Classify.refusal(sessions.stranger, Expect.refused("Mail", large), subject), {
      _tag: "TooLarge",
      size: 2000,
      limit: 1000,
      reply: large
    })
    const sender = Reply.make(550, "no")
    assert.deepStrictEqual(Classify.refusal(sessions.stranger, Expect.refused("Mail", sender), subject), {
      _tag: "SenderRefused",
      reversePath: "<ann@example.org>",
      reply: sender
    })
  })

  it("the last rule always fits, and names are unique", () => {
    assert.isTrue(
      Classify.rules.at(-1)?.fits({
        ...Expect.refused("Noop", Reply.make(500, "")),
        known: sessions.stranger,
        subject: {},
        text: ""
      })
    )
    const names = Classify.rules.map(({ name }) => name)
    assert.deepStrictEqual(names, [...new Set(names)])
  })
})
