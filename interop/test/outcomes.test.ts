import { assert, describe } from "@effect/vitest"
import { SmtpClient } from "@postern/core"
import { NodeTransport, SmtpPool } from "@postern/node"
import { Effect, Layer, Stream } from "effect"
import { kinds } from "../servers/all.ts"
import { arrival, localParts } from "../servers/Server.ts"
import { having, letter, text } from "./letters.ts"
import { accountOptions, client, loggedIn, row, Running, running, sends } from "./running.ts"

const tags = (receipt: SmtpClient.Receipt) => receipt.outcomes.map(({ _tag }) => _tag)

describe("outcomes", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      const { relays } = kind.has
      if (relays !== false) {
        it.effect(relays === "says why" ? "relaying explained" : "relaying refused", () =>
          Effect.gen(function*() {
            const running = yield* Running
            const { message } = letter("out@elsewhere.test")
            const { startTls } = running.server.ports
            const { reason } = yield* Effect.flip(Effect.provide(sends(message), client(running, startTls)))
            const told = reason._tag === "RelayDenied" ? reason.why : reason._tag
            assert.strictEqual(told, relays === "says why" ? "not authenticated" : "RecipientsRefused")
            const receipt = yield* Effect.provide(sends(message), loggedIn(running))
            assert.deepStrictEqual(tags(receipt), ["Accepted"])
          }))
      }

      if (kind.has.size !== undefined) {
        it.effect("size: found before sending", () =>
          Effect.gen(function*() {
            const running = yield* Running
            const { message } = letter("ben@example.test", {
              content: `Subject: large\r\n\r\n${"x".repeat(70)}\r\n`.repeat(16_000)
            })
            const { reason } = yield* Effect.flip(Effect.provide(sends(message), loggedIn(running)))
            assert.deepStrictEqual(reason._tag === "TooLarge" ? [reason.limit, reason.reply] : reason._tag, [
              kind.has.size,
              undefined
            ])
          }))

        for (const [way, without] of [["DATA", ["SIZE", "CHUNKING"]], ["BDAT", ["SIZE"]]] as const) {
          if (way === "BDAT" && !kind.has.extensions.includes("CHUNKING")) continue
          it.effect(`size: said by the server to ${way}`, () =>
            Effect.gen(function*() {
              const running = yield* Running
              const body = `${"x".repeat(70)}\r\n`.repeat(20_000)
              const { mark, message } = letter("ben@example.test", { content: `Subject: large\r\n\r\n${body}` })
              const { reason } = yield* Effect.flip(Effect.provide(sends(message), loggedIn(running, { without })))
              assert.include(["TooLarge", "ContentRefused"], reason._tag)
              assert.strictEqual(having(mark, yield* running.server.mailbox).length, 0)
            }))
        }
      }

      if (kind.has.knowsRecipients) {
        it.effect("unknown recipient", () =>
          Effect.gen(function*() {
            const running = yield* Running
            const { message } = letter(`${localParts.unknown}@example.test`)
            const { reason, retry } = yield* Effect.flip(Effect.provide(sends(message), loggedIn(running)))
            assert.strictEqual(reason._tag, "RecipientsRefused")
            assert.strictEqual(retry, "never")
          }))

        for (const without of [[], ["CHUNKING"], ["PIPELINING", "CHUNKING"]]) {
          it.effect(`each recipient its own result${without.length === 0 ? "" : `: without ${without.join(", ")}`}`, () =>
            Effect.gen(function*() {
              const running = yield* Running
              const names = ["ben", localParts.unknown, "cat", localParts.later]
              const { mark, message } = letter(names.map((name) => `${name}@example.test`))
              const receipt = yield* Effect.provide(sends(message), loggedIn(running, { without }))
              assert.deepStrictEqual(tags(receipt), ["Accepted", "Refused", "Accepted", "Deferred"])
              yield* arrival(running.server, (all) => having(mark, all).length === 2)
            }))
        }

        it.effect("all or nobody", () =>
          Effect.gen(function*() {
            const running = yield* Running
            const { mark, message } = letter(["ben@example.test", `${localParts.unknown}@example.test`], {
              policy: "all"
            })
            yield* Effect.flip(Effect.provide(sends(message), loggedIn(running)))
            const after = letter("ben@example.test")
            yield* Effect.provide(sends(after.message), loggedIn(running))
            const all = yield* arrival(running.server, (all) => having(after.mark, all).length === 1)
            assert.strictEqual(having(mark, all).length, 0)
          }))
      }

      it.effect("many recipients", ({ task }) =>
        Effect.gen(function*() {
          const running = yield* Running
          const { mark, message } = letter(Array.from({ length: 500 }, (_, i) => `many${i}@example.test`))
          const receipt = yield* Effect.provide(sends(message), loggedIn(running))
          assert.deepStrictEqual([...new Set(tags(receipt))], ["Accepted"])
          yield* arrival(running.server, (all) => having(mark, all).length === 500)
          task.meta.cell = "500"
        }))

      it.effect("many messages", ({ task }) =>
        Effect.gen(function*() {
          const running = yield* Running
          const all = Array.from({ length: 300 }, () => letter("many@example.test"))
          const sent = yield* Effect.provide(
            Effect.flatMap(SmtpClient.SmtpClient, ({ sendAll }) =>
              Stream.runCollect(sendAll(Stream.fromIterable(all.map(({ message }) => message))))),
            loggedIn(running)
          )
          assert.deepStrictEqual([
            ...new Set(sent.map(({ result }) =>
              result._tag
            ))
          ], ["Success"])
          yield* arrival(running.server, (arrived) => {
            const whole = arrived.map(({ octets }) => text(octets)).join("")
            return all.every(({ mark }) => whole.split(mark).length === 2)
          })
          task.meta.cell = "300"
        }))

      if (kind.has.idles) {
        it.effect("an idle connection that the server ended", () =>
          Effect.scoped(Effect.gen(function*() {
            const { identities } = yield* Running
            const server = yield* running(kind, { identities, idle: 1 })
            const pool = Layer.provide(SmtpPool.layer(accountOptions(server)), NodeTransport.layer)
            const [first, second] = [letter("ben@example.test"), letter("ben@example.test")]
            yield* Effect.gen(function*() {
              yield* sends(first.message)
              // The server ends it meanwhile.
              yield* Effect.sleep("3 seconds")
              const receipt = yield* sends(second.message)
              assert.deepStrictEqual(tags(receipt), ["Accepted"])
            }).pipe(Effect.provide(pool))
            const all = yield* arrival(server.server, (all) => having(second.mark, all).length > 0)
            assert.deepStrictEqual([having(first.mark, all).length, having(second.mark, all).length], [1, 1])
          })))
      }
    })
  }
})
