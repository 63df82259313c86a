/**
 * A failure of production becomes a test: it is recorded where it happens, written down, and
 * replayed until the program does better.
 */
import { SmtpClient, type SmtpError, type Transport } from "@postern/core"
import { type Departure, Recorder, Recording, Replay, SimulatedServer, VirtualTime } from "@postern/testing"
import { Effect, Layer, Result } from "effect"

const client = SmtpClient.layer({ endpoint: "mx.example:25", security: "plain", domain: "app.example" })

/** The application. Its users mistype addresses. */
const notify = (to: ReadonlyArray<string>) =>
  Effect.flatMap(
    SmtpClient.SmtpClient,
    (client) => client.send({ from: "app@example.org", to, content: "Subject: Your order\n\nIt is on its way.\n" })
  ).pipe(Effect.provide(client))

/** In production: any transport, recorded. Here it is a server in memory that knows nobody of that name. */
const production = Layer.provide(
  Recorder.layer({ note: "order 4711" }),
  SimulatedServer.layer({ unknownUsers: ["bne@example.org"] })
)

/** What would be logged or attached to a ticket when a message fails. */
const recorded = Effect.gen(function*() {
  const recorder = yield* Recorder.Recorder
  let text = ""
  yield* Effect.ignore(
    recorder.whenFailing(notify(["bne@example.org"]), (recording) =>
      Effect.sync(() => {
        text = Recording.encode(recording)
      }))
  )
  return text
}).pipe(Effect.provide(Layer.provideMerge(production, VirtualTime.layer())))

/** The test: the same server, word for word. */
const replay = <A>(text: string, program: Effect.Effect<A, SmtpError.SmtpError, Transport.Transport>) =>
  Effect.flatMap(
    Effect.fromResult(Recording.decode(text)),
    (recording) => Replay.run(recording, program)
  )

/** It fails as it did; and a program that says something else is told where. */
export const main = Effect.gen(function*() {
  const text = yield* recorded
  const again = yield* Effect.result(replay(text, notify(["bne@example.org"])))
  const changed = yield* Effect.result(replay(text, notify(["ben@example.org"])))
  return { text, failure: described(again), departure: described(changed) }
})

type Problem = SmtpError.SmtpError | Departure.Departure | Recording.RecordingError | { readonly message: string }

const described = (result: Result.Result<unknown, Problem>): string =>
  Result.isFailure(result) ? result.failure.message : "it went well"

if (import.meta.main) console.log(Object.values(await Effect.runPromise(main)).join("\n\n"))
