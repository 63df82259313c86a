import { assert, describe } from "@effect/vitest"
import { NodeTransport } from "@postern/node"
import { Recorder, Recording, Replay } from "@postern/testing"
import { Effect, FileSystem, Layer, Result } from "effect"
import { fileURLToPath } from "node:url"
import { key, scenarios, type Site } from "../../packages/testing/test/golden/scenarios.ts"
import { kinds } from "../servers/all.ts"
import { account } from "../servers/Server.ts"
import { accountOptions, row, Running } from "./running.ts"

const folder = new URL("../../packages/testing/test/golden/recordings/", import.meta.url)
const isWriting = process.env["INTEROP_RECORD"] !== undefined

const fileName = (...parts: ReadonlyArray<string>): string =>
  `${parts.map((part) => part.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-")).join("--")}.ndjson`

describe("recordings", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      for (const { name, run } of scenarios) {
        it.effect(`${name}: recorded, and replayed`, () =>
          Effect.gen(function*() {
            const running = yield* Running
            const { version } = running.server
            const { credentials: _, ...options } = accountOptions(running)
            const site: Site = { options, ...account }
            const recorded = Effect.gen(function*() {
              const { recording } = yield* Recorder.Recorder
              const outcome = yield* run(site)
              return { outcome, recording: yield* recording }
            }).pipe(Effect.provide(Layer.provide(Recorder.layer({ key }), NodeTransport.layer)))
            const { outcome, recording } = yield* recorded
            const noted: Recording.Recording = {
              ...recording,
              header: { ...recording.header, note: `${kind.name} ${version}: ${name}: ${outcome}` }
            }
            const text = Recording.encode(noted)
            for (const secret of [account.password, account.wrong]) assert.notInclude(text, secret)
            const again = Result.getOrThrow(Recording.decode(text))
            assert.strictEqual(yield* Replay.run(again, run(site), { key }), outcome)
            if (!isWriting) return
            const fs = yield* FileSystem.FileSystem
            yield* fs.makeDirectory(fileURLToPath(folder), { recursive: true })
            yield* fs.writeFileString(fileURLToPath(new URL(fileName(kind.name, name), folder)), text)
          }))
      }
    })
  }
})
