import { assert, describe } from "@effect/vitest"
import type { SmtpClient } from "@postern/core"
import { Effect } from "effect"
import { kinds } from "../servers/all.ts"
import { arrival } from "../servers/Server.ts"
import { having, mark, text } from "./letters.ts"
import { loggedIn, opens, row, Running, sends } from "./running.ts"

const utf8 = new TextEncoder()

/** What is sent, and what has to arrive: from its first field on, octet for octet. */
interface Case {
  readonly name: string
  readonly content: string | Uint8Array
  /** Where it is not what was sent. */
  readonly arrives?: string
  /** What may stand behind it: some servers end a message of header fields alone with an empty line. */
  readonly tail?: string
  readonly needs?: string
  readonly to?: string
}

const letter = (body: string) => `Subject: hello\r\n\r\n${body}`

const cases: ReadonlyArray<Case> = [
  { name: "text", content: letter("Hello, Ben.\r\n") },
  { name: "empty body", content: letter("") },
  { name: "header fields alone", content: "Subject: hello\r\n", tail: "\r\n" },
  { name: "dots", content: letter(".\r\n..\r\n...\r\n.a\r\n\r\n.\r\n.\r\n") },
  { name: "a dot at the very end", content: letter("end\r\n."), arrives: letter("end\r\n.\r\n") },
  { name: "no line end at the end", content: letter("end"), arrives: letter("end\r\n") },
  { name: "bare LF", content: "Subject: hello\n\none\ntwo\n", arrives: letter("one\r\ntwo\r\n") },
  { name: "bare CR", content: letter("one\rtwo\r\rthree\r\n"), arrives: letter("one\r\ntwo\r\n\r\nthree\r\n") },
  { name: "lines of 2,000", content: letter(`${"x".repeat(2000)}\r\n`), needs: "BINARYMIME" },
  { name: "lines of 998", content: letter(`${"x".repeat(998)}\r\n.${"y".repeat(997)}\r\n`) },
  { name: "8-bit", content: letter("Grüße, 日本語, ÿ\r\n"), needs: "8BITMIME" },
  {
    name: "octets that are no UTF-8",
    content: Uint8Array.from([...utf8.encode(letter("")), 0xff, 0xfe, 0x80, 13, 10]),
    needs: "8BITMIME"
  },
  { name: "SMTPUTF8 header field", content: "Subject: Grüße\r\n\r\nHallo.\r\n", needs: "SMTPUTF8" },
  { name: "SMTPUTF8 recipient", content: letter("Hallo.\r\n"), needs: "SMTPUTF8", to: "jürgen@example.test" },
  {
    name: "300 KiB",
    content: letter("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(4800))
  }
]

const octetsOf = (content: string | Uint8Array) => typeof content === "string" ? utf8.encode(content) : content

// A field of our own stands last of those that servers put in where they miss them; what is in front is the server's.
const head = (mark: string) =>
  `From: ann@example.test\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <${
    mark.replaceAll(/\D/g, "")
  }@example.test>\r\n${mark}`

const delivers = (one: Case, without: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const running = yield* Running
    const own = `${mark()}\r\n`
    const content = Uint8Array.from([...utf8.encode(head(own)), ...octetsOf(one.content)])
    const message: SmtpClient.Message = { from: "ann@example.test", to: one.to ?? "ben@example.test", content }
    const { outcomes } = yield* Effect.provide(sends(message), loggedIn(running, { without }))
    assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), ["Accepted"])
    const all = yield* arrival(running.server, (all) => having(own, all).length > 0)
    const arrived = having(own, all).map((found) => found.slice(found.indexOf(own) + own.length))
    const whole = text(octetsOf(one.arrives ?? one.content))
    assert.deepStrictEqual(arrived.map((found) => found === `${whole}${one.tail}` ? whole : found), [whole])
  })

describe("extensions", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      it.effect("offered", ({ task }) =>
        Effect.gen(function*() {
          const running = yield* Running
          const { session } = yield* Effect.provide(opens, loggedIn(running))
          const offered = Object.keys(session.facts.capabilities?.keywords ?? {})
          for (const extension of kind.has.extensions) assert.include(offered, extension)
          task.meta.cell = kind.has.extensions.join(" ")
        }))

      for (const one of cases) {
        if (one.needs !== undefined && !kind.has.extensions.includes(one.needs)) {
          it.effect(`${one.name}: refused before it is sent`, () =>
            Effect.gen(function*() {
              const running = yield* Running
              const message = { from: "ann@example.test", to: one.to ?? "ben@example.test", content: one.content }
              const { reason } = yield* Effect.flip(Effect.provide(sends(message), loggedIn(running)))
              assert.strictEqual(reason._tag === "ExtensionMissing" ? reason.extension : reason._tag, one.needs)
            }))
          continue
        }
        it.effect(`${one.name}: DATA`, () => delivers(one, ["CHUNKING"]))
        if (kind.has.extensions.includes("CHUNKING")) it.effect(`${one.name}: BDAT`, () => delivers(one, []))
      }
    })
  }
})
