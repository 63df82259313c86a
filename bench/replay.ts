/**
 * How long a recording takes to replay: 1,000 events, a session of three hours.
 *
 * node --conditions=@postern/source bench/replay.ts
 */
import { Command, Connection, Program } from "@postern/core"
import { InMemory, Recorder, Replay, VirtualTime } from "@postern/testing"
import { Effect, Layer } from "effect"
import { performance } from "node:perf_hooks"

const session = Effect.gen(function*() {
  const connection = yield* Connection.open({ peer: { host: "mx.example", port: 25 }, security: "plain" })
  yield* connection.run(Program.greeting)
  for (let i = 0; i < 498; i++) {
    yield* Effect.sleep("20 seconds")
    yield* connection.run(Program.send(Command.noop))
  }
}).pipe(Effect.scoped)

const recording = await Effect.runPromise(
  Effect.gen(function*() {
    yield* session
    const recorder = yield* Recorder.Recorder
    return yield* recorder.recording
  }).pipe(
    Effect.provide(
      Recorder.layer().pipe(
        Layer.provide(Layer.unwrap(Effect.map(InMemory.make({}), ({ layer }) => layer))),
        Layer.provideMerge(VirtualTime.layer())
      )
    )
  )
)

const times: Array<number> = []
for (let round = 0; round < 9; round++) {
  const start = performance.now()
  await Effect.runPromise(Replay.run(recording, session))
  times.push(performance.now() - start)
}
const hours = (recording.events.at(-1)?.at ?? 0) / 3_600_000
const median = times.toSorted((a, b) => a - b)[4] ?? 0
console.log(`${recording.events.length} events of ${hours.toFixed(1)} hours: ${median.toFixed(0)} ms (median of nine)`)
