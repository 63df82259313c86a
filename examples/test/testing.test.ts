/**
 * The examples of tests run, and say what their text promises.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Authentication from "../testing-authentication.ts"
import * as Inbox from "../testing-inbox.ts"
import * as Plain from "../testing-plain.ts"
import * as RecordingExample from "../recording.ts"
import * as Time from "../testing-time.ts"

describe("examples of tests", () => {
  it.live("an inbox to assert on", () =>
    Effect.map(Inbox.main, (result) => {
      assert.deepStrictEqual(result, {
        notInvited: ["<cat@example.org>"],
        to: ["ben@example.org"],
        from: "Ann",
        text: "On Friday at eight.\n"
      })
    }))

  it.live("virtual time", () =>
    Effect.map(Time.main, ({ greylisted, slow }) => {
      assert.deepStrictEqual(greylisted, { connections: 6, minutes: 5 })
      assert.strictEqual(slow.reason, "TimedOut")
      assert.isBelow(slow.seconds, 3600)
    }))

  it.live("authentication", () =>
    Effect.map(Authentication.main, ({ guess, identity, stranger, tls }) => {
      assert.deepStrictEqual({ identity, tls, guess }, { identity: "ann", tls: true, guess: "AuthenticationFailed" })
      assert.notStrictEqual(stranger, guess)
    }))

  it.live("a failure of production, replayed", () =>
    Effect.map(RecordingExample.main, ({ departure, failure, text }) => {
      assert.isAbove(text.split("\n").length, 10)
      assert.include(failure, "550 5.1.1 <bne@example.org>")
      assert.include(
        departure,
        ["  - RCPT TO:<bne@example.org>\\r\\n", "  + RCPT TO:<ben@example.org>\\r\\n"].join("\n")
      )
    }))

  it("without Effect", async () => {
    assert.deepStrictEqual(await Plain.main(), {
      subject: "Disk full",
      text: "Please look.\n",
      refused: "550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown",
      missing: [
        "no message with to \"nobody@example.org\" came within 10ms; what has arrived:",
        "  1. from <alerts@example.org> to <ben@example.org>: \"Disk full\""
      ].join("\n")
    })
  })
})
