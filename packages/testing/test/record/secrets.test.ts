import { assert, describe, it } from "@effect/vitest"
import { Choose, type Mechanism, Reply } from "@postern/core"
import { Recorder, Recording, type ServerMachine, VirtualTime } from "@postern/testing"
import { chunking, credentials } from "@postern/testing/Arbitraries"
import { Effect, Layer, Logger, Redacted, References, Result, Tracer } from "effect"
import * as fc from "fast-check"
import { client, inMemory, key, send, server, withPassword, withToken } from "./support.ts"

/** A text in every way it could be written: as it is, in base64 at any alignment, in hex, percent-encoded. */
const ways = (secret: string): ReadonlyArray<string> => {
  const octets = Buffer.from(secret)
  const aligned = [0, 1, 2].map((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), octets]).toString("base64")
    // Without the characters that neighbours share.
    return whole.slice(before === 0 ? 0 : before + 1).replace(/=+$/, "").slice(0, -1)
  })
  return [
    secret,
    ...aligned.filter(({ length }) => length >= 6),
    octets.toString("hex"),
    octets.toString("hex").toUpperCase(),
    encodeURIComponent(secret)
  ]
}

/** Everything that can be seen of a program: the recording, logs at every level, spans, and what it gives. */
const seen = (
  mechanism: Mechanism.Mechanism,
  as: Mechanism.Credentials,
  config: ServerMachine.Config,
  withKey: boolean,
  chunk: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>
) => {
  const out: Array<string> = []
  const logger = Logger.make((options) => {
    out.push(JSON.stringify([options.message, String(options.cause)]))
  })
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      const attribute = span.attribute.bind(span)
      span.attribute = (name, value) => {
        out.push(JSON.stringify([name, value]))
        attribute(name, value)
      }
      out.push(options.name)
      return span
    }
  })
  const program = Effect.gen(function*() {
    const result = yield* Effect.result(Effect.provide(
      send(),
      client({ credentials: as, authenticator: Choose.inOrder(mechanism) })
    ))
    const { recording } = yield* Recorder.Recorder
    const kept = yield* recording
    out.push(Recording.encode(kept))
    out.push(JSON.stringify(Result.isSuccess(result) ? result.success : [result.failure, result.failure.message]))
    return { ok: Result.isSuccess(result), events: kept.events.length }
  }).pipe(
    Effect.provide(Layer.provideMerge(
      Layer.provide(Recorder.layer(withKey ? { key } : {}), inMemory(config, { chunk })),
      Layer.mergeAll(Logger.layer([logger]), VirtualTime.layer())
    )),
    Effect.provideService(References.MinimumLogLevel, "All"),
    Effect.provideService(Tracer.Tracer, tracer)
  )
  return Effect.runPromise(program).then((done) => ({ ...done, text: out.join("\n") }))
}

const toldIn = (turn: ServerMachine.Turn): Buffer | undefined => {
  const secret = turn._tag === "Auth" ? turn.initialResponse : turn._tag === "AuthResponse" ? turn.response : undefined
  return secret === undefined ? undefined : Buffer.from(Redacted.value(secret))
}

/** What the client says in AUTH comes back in the server's replies, in whichever way and with whichever code. */
const echoing = (code: number): ServerMachine.Config["reply"] => (turn) => {
  const octets = toldIn(turn)
  if (octets === undefined) return undefined
  const text = octets.toString("utf8").replace(/[\u0000-\u001f\u007f]/g, " ")
  const parts = octets.toString("utf8").split("\0")
  return Reply.make(code, [
    "I do not know",
    text,
    octets.toString("base64"),
    Buffer.concat([Buffer.from("AUTH "), octets, Buffer.from("\r\n")]).toString("base64"),
    octets.toString("hex"),
    octets.toString("hex").toUpperCase(),
    ...parts.map((part) => encodeURIComponent(part))
  ])
}

describe("no secret", () => {
  const long = credentials.filter(({ password, user }) => {
    const secret = Redacted.value(password)
    // Shorter ones are found by chance, and so is what the server or the message says anyway.
    return secret.length >= 8 && user.length >= 1 && !user.includes(secret) && !/[\u0000-\u001f\u007f]/.test(secret)
  })

  it("is in any recording, log, span, transcript or error, with any mechanism, right or wrong, echoed or not", async () => {
    let accepted = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...withPassword),
        long,
        fc.constantFrom("right", "wrong", "echoed"),
        fc.constantFrom(235, 334, 454, 500, 535),
        fc.boolean(),
        chunking,
        async (mechanism, as, what, code, withKey, chunk) => {
          const told: Array<Buffer> = []
          const secret = Redacted.value(as.password)
          const config: ServerMachine.Config = {
            ...server,
            accounts: { [as.user]: what === "wrong" ? Redacted.make("another password") : as.password },
            reply: (turn, session) => {
              const octets = toldIn(turn)
              if (octets !== undefined) told.push(octets)
              return what === "echoed" ? echoing(code)?.(turn, session) : undefined
            }
          }
          const { events, ok, text } = await seen(mechanism, as, config, withKey, chunk)
          if (ok) accepted++
          else refused++
          assert.isAbove(events, 5)
          for (const way of ways(secret)) assert.isFalse(text.includes(way), `${mechanism.name}, ${what}: ${way}`)
          // Neither are digests and proofs, against which it could be tried.
          for (const octets of told.filter((octets) => octets.length >= 8 && octets.toString() !== as.user)) {
            assert.notInclude(text, octets.toString("base64"))
            assert.notInclude(text, octets.toString("hex"))
          }
          if (what !== "echoed" && /SCRAM|DIGEST/.test(mechanism.name)) assert.notMatch(text, /"334 [^"<]/)
        }
      ),
      { numRuns: 200 }
    )
    assert.isAbove(accepted, 10)
    assert.isAbove(refused, 10)
  })

  it("of a token is seen", async () => {
    const token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    for (const mechanism of withToken) {
      for (const what of ["right", "wrong", "echoed"]) {
        const config: ServerMachine.Config = {
          ...server,
          mechanisms: withToken,
          acceptsToken: () => what === "right",
          reply: what === "echoed" ? echoing(535) : undefined
        }
        const as = {
          _tag: "Token",
          user: "tim",
          token: Effect.succeed(Redacted.make(token)),
          renew: undefined
        } as const
        const { text } = await seen(mechanism, as, config, true, (bytes) => [bytes])
        for (const way of ways(token)) assert.isFalse(text.includes(way), `${mechanism.name}, ${what}: ${way}`)
      }
    }
  })

  it("but is found by this test where it is", () => {
    assert.isTrue(ways("tanstaaftanstaaf").some((way) => btoa("\0tim\0tanstaaftanstaaf").includes(way)))
  })
})
