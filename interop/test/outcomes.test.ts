import { assert, describe } from "@effect/vitest"
import { Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport, SmtpPool } from "@postern/node"
import { Effect, Layer, Redacted, Stream } from "effect"
import { kinds } from "../servers/all.ts"
import { account, arrival, localParts } from "../servers/Server.ts"
import { client, loggedIn, row, Running, running, sends } from "./running.ts"
import * as Ground from "../machine/Ground.ts"

const latin1 = new TextDecoder("latin1")

let letters = 0
const letter = (to: SmtpClient.Message["to"], more: Partial<SmtpClient.Message> = {}) => {
  const mark = `X-Case: outcome ${++letters}.`
  return {
    mark,
    message: {
      from: "ann@example.test",
      to,
      content: `From: ann@example.test\r\n${mark}\r\nSubject: hello\r\n\r\nHello.\r\n`,
      ...more
    }
  }
}

const count = (mark: string) => (all: ReadonlyArray<{ readonly octets: Uint8Array }>) =>
  all.filter(({ octets }) => latin1.decode(octets).includes(mark)).length

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
              assert.strictEqual(count(mark)(yield* running.server.mailbox), 0)
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
              yield* arrival(running.server, (all) => count(mark)(all) === 2)
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
            const all = yield* arrival(running.server, (all) => count(after.mark)(all) === 1)
            assert.strictEqual(count(mark)(all), 0)
          }))
      }

      it.effect("many recipients", ({ task }) =>
        Effect.gen(function*() {
          const running = yield* Running
          const { mark, message } = letter(Array.from({ length: 500 }, (_, i) => `many${i}@example.test`))
          const receipt = yield* Effect.provide(sends(message), loggedIn(running))
          assert.deepStrictEqual([...new Set(tags(receipt))], ["Accepted"])
          yield* arrival(running.server, (all) => count(mark)(all) === 500)
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
            const text = arrived.map(({ octets }) => latin1.decode(octets)).join("")
            return all.every(({ mark }) => text.split(mark).length === 2)
          })
          task.meta.cell = "300"
        }))

      if (kind.has.idles) {
        it.effect("an idle connection that the server ended", () =>
          Effect.scoped(Effect.gen(function*() {
            const { identities } = yield* Running
            const server = yield* running(kind, { identities, idle: 1 })
            const pool = Layer.provide(
              SmtpPool.layer({
                endpoint: `127.0.0.1:${server.server.ports.startTls}`,
                tls: { ca: [identities.ca], serverName: Ground.hostname },
                credentials: Mechanism.password(account.user, Redacted.make(account.password)),
                domain: "client.example.test"
              }),
              NodeTransport.layer
            )
            const [first, second] = [letter("ben@example.test"), letter("ben@example.test")]
            yield* Effect.gen(function*() {
              yield* sends(first.message)
              // The server ends it meanwhile.
              yield* Effect.sleep("3 seconds")
              const receipt = yield* sends(second.message)
              assert.deepStrictEqual(tags(receipt), ["Accepted"])
            }).pipe(Effect.provide(pool))
            const all = yield* arrival(server.server, (all) => count(second.mark)(all) > 0)
            assert.deepStrictEqual([count(first.mark)(all), count(second.mark)(all)], [1, 1])
          })))
      }
    })
  }
})
