import { assert, describe, it } from "@effect/vitest"
import { Outcome, Reason } from "@postern/core"

describe("a delivery in doubt", () => {
  const detail = (reason: Reason.Reason) => Outcome.doubt(["<ben@b.example>"], reason).detail

  it("says what happened in few words", () => {
    assert.strictEqual(detail(Reason.make("ConnectionLost", { step: "Content", detail: "reset" })), "reset")
    assert.strictEqual(
      detail(Reason.make("TimedOut", { step: "Content", limit: 600_000 })),
      "no reply within 600 seconds"
    )
    assert.strictEqual(
      detail(Reason.make("ProtocolViolation", { step: "Content", expected: "x", received: "y" })),
      "the reply was not understood: \"y\""
    )
  })
})
