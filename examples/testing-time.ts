/**
 * Tests of patience: a server that greylists for five minutes and one that takes an hour to
 * answer, in virtual time. Both are over at once.
 */
import { SmtpClient } from "@postern/core"
import { SimulatedServer, VirtualTime } from "@postern/testing"
import { Clock, Effect, Layer, Schedule } from "effect"

const send = Effect.flatMap(
  SmtpClient.SmtpClient,
  (client) =>
    client.send({ from: "ann@example.org", to: "ben@example.org", content: "Subject: hello\n\nHello, Ben.\n" })
)

/** The application: tries again each minute for as long as that may help. */
const patient = Effect.retry(send, {
  schedule: Schedule.spaced("1 minute"),
  while: ({ retry }) => retry === "now" || retry === "later"
})

const against = (config: SimulatedServer.Config) =>
  Layer.provideMerge(SmtpClient.layer({ endpoint: "mx.example:587" }), SimulatedServer.layer(config))

const greylisted = Effect.gen(function*() {
  yield* patient
  const { inbox, sessions } = yield* SimulatedServer.SimulatedServer
  const mail = yield* inbox.only()
  return { connections: (yield* sessions).length, minutes: mail.received.at / 60_000 }
}).pipe(Effect.provide(against({ greylist: { delay: "5 minutes" } })))

const slow = Effect.gen(function*() {
  const error = yield* Effect.flip(send)
  return { reason: error.reason._tag, seconds: (yield* Clock.currentTimeMillis) / 1000 }
}).pipe(Effect.provide(against({ delay: "1 hour" })))

export const main = Effect.all({
  greylisted: Effect.provide(greylisted, VirtualTime.layer()),
  slow: Effect.provide(slow, VirtualTime.layer())
})

if (import.meta.main) console.log(await Effect.runPromise(main))
