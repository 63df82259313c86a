/**
 * Tests of authentication: a server that knows one user and takes mail from nobody else
 * and in no other name. Every mechanism that can check a password is offered, over TLS only.
 */
import { Mechanism, SmtpClient } from "@postern/core"
import { SimulatedServer } from "@postern/testing"
import { Effect, Redacted } from "effect"

const server = SimulatedServer.layer({
  accounts: { ann: "correct horse battery staple" },
  requireAuth: true,
  ownSenderOnly: true
})

const send = Effect.fn("send")(function*(password: string, from: string) {
  const client = yield* SmtpClient.make({
    endpoint: "mx.example:587",
    credentials: Mechanism.password("ann", Redacted.make(password))
  })
  yield* client.send({ from, to: "ben@example.org", content: "Subject: hello\n\nHello, Ben.\n" })
}, Effect.scoped)

export const main = Effect.gen(function*() {
  yield* send("correct horse battery staple", "ann@example.org")
  const { inbox } = yield* SimulatedServer.SimulatedServer
  const { received } = yield* inbox.only({ from: "ann@example.org" })
  const stranger = yield* Effect.flip(send("correct horse battery staple", "eve@example.org"))
  const guess = yield* Effect.flip(send("12345678", "ann@example.org"))
  return {
    identity: received.identity,
    tls: received.tls,
    stranger: stranger.reason._tag,
    guess: guess.reason._tag
  }
}).pipe(Effect.provide(server))

if (import.meta.main) console.log(await Effect.runPromise(main))
