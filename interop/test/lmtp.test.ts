import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { kinds } from "../servers/all.ts"
import { arrival, localParts } from "../servers/Server.ts"
import { having, mark } from "./letters.ts"
import { client, row, Running, sends } from "./running.ts"

const delivers = (names: ReadonlyArray<string>, without: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const running = yield* Running
    const own = mark()
    const receipt = yield* Effect.provide(
      sends({
        from: "ann@example.test",
        to: names.map((name) => `${name}@example.test`),
        content: `From: ann@example.test\r\n${own}\r\n\r\n.\r\nHello.\r\n`
      }),
      client(running, running.server.ports.lmtp, {
        endpoint: `lmtp://127.0.0.1:${running.server.ports.lmtp}`,
        security: "plain",
        without
      })
    )
    const tags = receipt.outcomes.map(({ _tag }) => _tag)
    const accepted = tags.filter((tag) => tag === "Accepted").length
    const all = yield* arrival(running.server, (all) => having(own, all).length === accepted)
    for (const found of having(own, all)) assert.include(found, `${own}\r\n\r\n.\r\nHello.\r\n`)
    return tags
  })

describe("LMTP", () => {
  for (const kind of kinds) {
    if (!kind.has.ports.includes("lmtp")) continue
    row(kind, (it) => {
      for (const [way, without] of [["DATA", ["CHUNKING"]], ["what the server offers", []]] as const) {
        it.effect(`each recipient has a message: ${way}`, () =>
          Effect.map(delivers(["ben", "cat", "dan"], without), (tags) => {
            assert.deepStrictEqual(tags, ["Accepted", "Accepted", "Accepted"])
          }))
      }

      it.effect("each recipient has an outcome", ({ task }) =>
        Effect.map(delivers(["ben", localParts.unknown, "cat", localParts.later], []), (tags) => {
          task.meta.cell = tags.join(", ")
          // Dovecot's has a mailbox for everyone.
          const knows = ["Accepted", "Refused", "Accepted", "Deferred"]
          assert.deepStrictEqual(tags, kind.name.startsWith("Dovecot") ? tags.map(() => "Accepted") : knows)
        }))
    })
  }
})
