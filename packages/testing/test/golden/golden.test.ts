/**
 * Sessions with real servers, as `INTEROP_RECORD=1 npm run test:interop` wrote them down, replayed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Recording, Replay } from "@postern/testing"
import { Effect, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { key, scenarios } from "./scenarios.ts"

const folder = new URL("recordings/", import.meta.url)

describe("golden recordings", () => {
  for (const file of readdirSync(folder).toSorted()) {
    it.live(file, () =>
      Effect.gen(function*() {
        const recording = Result.getOrThrow(Recording.decode(readFileSync(new URL(file, folder), "utf8")))
        const { endpoint, mode, note = "" } = recording.header
        const [, name, outcome] = /: (.*): (.*)$/.exec(note) ?? []
        const scenario = scenarios.find((scenario) => scenario.name === name)
        assert.isDefined(scenario, note)
        const options = {
          endpoint: `${endpoint?.host}:${endpoint?.port}`,
          security: mode === "tls" ? "tls" as const : "startTls" as const,
          tls: { serverName: "mail.example.test" }
        }
        const site = { options, user: "ann", password: "correct-horse" }
        assert.strictEqual(yield* Replay.run(recording, scenario.run(site), { key }), outcome)
        // Another outcome than theirs would be seen.
        const departed = yield* Effect.exit(
          Replay.run(recording, scenario.run({ ...site, user: "eve" }), { key })
        )
        assert.strictEqual(departed._tag, name === "relaying without a login" ? "Success" : "Failure")
      }))
  }

  it("every scenario of every server is there", () => {
    const notes = readdirSync(folder).map((file) =>
      Result.getOrThrow(Recording.decode(readFileSync(new URL(file, folder), "utf8"))).header.note ?? ""
    )
    for (const { name } of scenarios) {
      assert.isAtLeast(notes.filter((note) => note.includes(`: ${name}: `)).length, 8, name)
    }
  })
})
