import { assert, describe, it } from "@effect/vitest"
import { Advice, Classify, Expect, Reply } from "@postern/core"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"
import { parse, subject } from "./replies.ts"

describe("Classify laws", () => {
  const steps = fc.constantFrom(...Object.keys(Expect.table) as Array<Expect.Step>)
  const words = fc.constantFrom(
    "relaying denied",
    "5.7.1 Relay access denied",
    "5.3.4 too big",
    "message size exceeds",
    "authentication required",
    "quota exceeded",
    "4.7.1 Relay access denied",
    "5.1.8 sender",
    "spam",
    "not logged in",
    "",
    "rcpthosts"
  )
  const reply = fc.oneof(
    Arbitraries.reply,
    fc.tuple(fc.integer({ min: 200, max: 599 }), words).map(([code, text]) => parse(`${code} ${text}`))
  )
  const knowledge: fc.Arbitrary<Classify.Known> = fc.record({
    encrypted: fc.boolean(),
    authOffered: fc.subarray(["PLAIN", "LOGIN"]),
    startTlsOffered: fc.boolean(),
    authenticated: fc.boolean(),
    identity: fc.option(fc.string(), { nil: undefined })
  })
  const refusal = fc.tuple(knowledge, steps, reply).map(([known, step, reply]) => ({
    reply,
    step,
    reason: Classify.refusal(known, Expect.refused(step, reply)),
    explained: Classify.refusal(known, Expect.refused(step, reply), subject)
  }))
  const runs = { numRuns: 1000 }

  it("total, and what is said about the reason too", () => {
    fc.assert(
      fc.property(refusal, ({ reason, explained }) => {
        assert.isNotEmpty(Advice.problem(reason))
        assert.isNotEmpty(Advice.advice(explained))
        assert.strictEqual(reason._tag, explained._tag)
      }),
      runs
    )
  })

  it("4yz is never final", () => {
    fc.assert(
      fc.property(refusal, ({ reply, reason }) => {
        if (Reply.isTransient(reply)) assert.strictEqual(Advice.retry(reason), "later")
      }),
      runs
    )
  })

  it("5yz is never temporary", () => {
    fc.assert(
      fc.property(refusal, ({ reply, reason }) => {
        if (Reply.isPermanent(reply)) assert.strictEqual(Advice.retry(reason), "never")
      }),
      runs
    )
  })

  it("421 ends the session at every step", () => {
    fc.assert(fc.property(knowledge, steps, fc.string(), (known, step, text) => {
      assert.strictEqual(Classify.refusal(known, Expect.refused(step, Reply.make(421, text)))._tag, "ServiceClosing")
    }))
  })

  it("the text decides only about 5yz within a transaction", () => {
    fc.assert(
      fc.property(refusal, ({ step, reply, reason }) => {
        if (reason._tag === "RelayDenied" || reason._tag === "TooLarge") {
          assert.isTrue(Reply.isPermanent(reply))
          assert.include(["Mail", "Rcpt", "Data", "Content", "Bdat", "Burl"], step)
        }
      }),
      runs
    )
  })
})
