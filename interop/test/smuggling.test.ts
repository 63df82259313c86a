import { assert, describe } from "@effect/vitest"
import { Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect, Redacted } from "effect"
import { connect, createServer } from "node:net"
import { kinds } from "../servers/all.ts"
import { account, arrival } from "../servers/Server.ts"
import { having, mark, text } from "./letters.ts"
import { client, loggedIn, row, Running, sends } from "./running.ts"

const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

// What some server or other has taken for the end of the content, or for a line end (SEC Consult, 2023-12, and since).
const ends: Readonly<Record<string, string>> = {
  "LF . LF": "\n.\n",
  "LF . CRLF": "\n.\r\n",
  "CRLF . LF": "\r\n.\n",
  "CR . CR": "\r.\r",
  "CR . CRLF": "\r.\r\n",
  "CRLF . CR": "\r\n.\r",
  "LF . CR": "\n.\r",
  "CR . LF": "\r.\n",
  "CR LF CR . CR LF": "\r\n\r.\r\n",
  "LF LF . LF LF": "\n\n.\n\n",
  "CRLF NUL . CRLF": "\r\n\0.\r\n",
  "CRLF . NUL CRLF": "\r\n.\0\r\n",
  "CRLF . CRLF": "\r\n.\r\n",
  "CRLF .. CRLF": "\r\n..\r\n",
  "CR CR LF . CR CR LF": "\r\r\n.\r\r\n",
  "NEL": "\x85.\x85"
}

const smuggled = (end: string) => {
  const own = mark()
  const inner =
    `MAIL FROM:<eve@example.test>\r\nRCPT TO:<victim@example.test>\r\nDATA\r\n${own}\r\nX-Smuggled: yes\r\n\r\nSmuggled.`
  // Both kinds of line ends for the commands: a server that takes the one may take the other.
  const lf = inner.replaceAll("\r\n", "\n")
  const content =
    `From: ann@example.test\r\n${own}\r\nSubject: hello\r\n\r\nHello.${end}${inner}${end}${lf}${end}QUIT\r\n`
  return { mark: own, message: { from: "ann@example.test", to: "ben@example.test", content: octets(content) } }
}

const refusedHere = (message: SmtpClient.Message, options: Partial<SmtpClient.Options> = {}) =>
  Effect.gen(function*() {
    const running = yield* Running
    const { phase, reason } = yield* Effect.flip(Effect.provide(sends(message), loggedIn(running, options)))
    assert.strictEqual(reason._tag, "InvalidInput")
    assert.strictEqual(phase, "input", "nothing was opened")
  })

const injected = "x\r\nRCPT TO:<victim@example.test>"
const plain = { from: "ann@example.test", to: "ben@example.test", content: "Subject: hello\n\nHello.\n" }

const fields: Readonly<Record<string, Partial<SmtpClient.Message>>> = {
  "reverse-path": { from: "ann@example.test>\r\nRCPT TO:<victim@example.test" },
  "reverse-path, LF": { from: "ann@example.test>\nRCPT TO:<victim@example.test" },
  "quoted local part": { from: `"ann\r\nRSET\r\n"@example.test` },
  "forward-path": { to: "ben@example.test>\r\nDATA\r\n<x" },
  "display name": { to: `"Ben\r\nDATA" <ben@example.test` },
  "ENVID": { dsn: { envelopeId: injected } },
  "ORCPT": { to: [{ mailbox: "ben@example.test", originalRecipient: injected }] },
  "AUTH=": { submitter: injected }
}

describe("smuggling and injection", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      const ways: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
        ["DATA", ["CHUNKING"]],
        ...(kind.has.extensions.includes("CHUNKING") ? [["BDAT", []] as const] : [])
      ]
      for (const [way, without] of ways) {
        for (const [name, end] of Object.entries(ends)) {
          it.effect(`smuggling by ${way}: ${name}`, () =>
            Effect.gen(function*() {
              const running = yield* Running
              const { mark, message } = smuggled(end)
              const after = smuggled(".")
              const exit = yield* Effect.result(Effect.provide(sends(message), loggedIn(running, { without })))
              yield* Effect.provide(sends(after.message), loggedIn(running))
              const all = yield* arrival(running.server, (all) =>
                having(after.mark, all).length > 0 && (exit._tag === "Failure" || having(mark, all).length > 0))
              const found = having(mark, all)
              assert.isAtMost(found.length, 1, "one message was sent, one is there")
              for (const one of found) {
                assert.isBelow(one.indexOf("Subject: hello"), one.indexOf("X-Smuggled"), "as content of the first")
              }
              // What is no text a server may refuse.
              const told = exit._tag === "Failure" ? exit.failure.reason._tag : "sent"
              assert.include(end.includes("\0") ? ["sent", "ContentRefused"] : ["sent"], told)
            }))
        }
      }

      it.effect("injection by STARTTLS", () =>
        Effect.scoped(Effect.gen(function*() {
          const running = yield* Running
          const port = yield* injecting(running.server.ports.startTls)
          const { reason } = yield* Effect.flip(
            Effect.provide(sends(plain), client(running, port, { security: "startTls" }))
          )
          assert.strictEqual(reason._tag, "PlaintextInjected")
        })))

      for (const [name, field] of Object.entries(fields)) {
        it.effect(`injection by ${name}`, () => refusedHere({ ...plain, ...field }))
      }

      it.effect("injection by the domain in EHLO", () =>
        Effect.gen(function*() {
          const made = yield* Effect.flip(
            SmtpClient.make({ endpoint: "127.0.0.1:25", domain: "client.example\r\nMAIL FROM:<eve@example.test>" })
              .pipe(
                Effect.provide(NodeTransport.layer)
              )
          )
          assert.strictEqual(made.reason._tag, "InvalidInput")
        }))

      it.effect("injection by user name and password", () =>
        Effect.gen(function*() {
          const running = yield* Running
          for (const [user, password] of [["ann\r\nRSET", account.password], [account.user, "x\r\nRSET"]] as const) {
            const credentials = Mechanism.password(user, Redacted.make(password))
            const { reason } = yield* Effect.flip(Effect.provide(sends(plain), loggedIn(running, { credentials })))
            assert.include(["AuthenticationFailed", "InvalidInput", "NoUsableMechanism"], reason._tag)
          }
        }))
    })
  }
})

// Someone in between who puts a reply behind the consent to STARTTLS, in the clear.
const injecting = (to: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const server = createServer((inside) => {
        const outside = connect(to, "127.0.0.1")
        let asked = false
        inside.on("data", (chunk) => {
          asked ||= text(chunk).startsWith("STARTTLS")
          outside.write(chunk)
        })
        outside.on("data", (chunk) => {
          inside.write(asked ? Buffer.concat([chunk, Buffer.from("250 injected\r\n")]) : chunk)
        })
        for (const [one, other] of [[inside, outside], [outside, inside]] as const) {
          one.on("error", () => other.destroy())
          one.on("close", () => other.destroy())
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = address !== null && typeof address === "object" ? address.port : 0
        resume(Effect.succeed({ port, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ port }) => port))
