import { assert, describe, it } from "@effect/vitest"
import { Expect, TimeLimits } from "@postern/core"
import { Duration } from "effect"

const minutes = (step: TimeLimits.Limited, limits: TimeLimits.TimeLimits = {}) =>
  Duration.toMinutes(TimeLimits.timeLimit(limits, step))

describe("time limits", () => {
  it("are those of RFC 5321 §4.5.3.2 unless given", () => {
    const named = {
      Greeting: 5,
      Mail: 5,
      Rcpt: 5,
      Data: 2,
      ContentBlock: 3,
      Content: 10,
      Connect: 0.5,
      Handshake: 0.5,
      Quit: 5 / 60
    } as const
    for (const [step, expected] of Object.entries(named)) {
      assert.closeTo(minutes(step as TimeLimits.Limited), expected, 1e-9, step)
    }
    for (const step of Object.keys(Expect.table)) assert.isAbove(minutes(step as Expect.Step), 0)
  })

  it("are what is given, in any form of a duration, for that step alone", () => {
    const limits: TimeLimits.TimeLimits = {
      Mail: "90 seconds",
      Connect: 60_000,
      ContentBlock: Duration.minutes(1),
      Rcpt: undefined
    }
    assert.deepStrictEqual(
      (["Mail", "Connect", "ContentBlock", "Rcpt", "Data"] as const).map((step) => minutes(step, limits)),
      [1.5, 1, 1, 5, 2]
    )
  })
})
