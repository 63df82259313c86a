import { assert, describe, it } from "@effect/vitest"
import { Mechanism, SmtpClient, SmtpError, Transport } from "@postern/core"
import { Arbitraries, Behaviour, Deterministic, InMemory } from "@postern/testing"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import * as fc from "fast-check"

const password = "tanstaaftanstaaf"
const client = SmtpClient.layer({
  endpoint: "mx.example:587",
  security: "startTlsIfOffered",
  domain: "client.example",
  credentials: Mechanism.password("tim", Redacted.make(password))
})

const send = Effect.flatMap(
  SmtpClient.SmtpClient,
  (client) => client.send({ from: "ann@a.example", to: ["ben@b.example"], content: "Subject: x\n\nx\n" })
)

const runSend = (transport: Layer.Layer<Transport.Transport>) =>
  Effect.runPromiseExit(
    Effect.provide(send, Layer.provideMerge(Layer.provide(client, transport), Deterministic.layer()))
  )

const isTyped = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return true
  const error = Cause.findErrorOption(exit.cause)
  return error._tag === "Some" && error.value instanceof SmtpError.SmtpError
}

describe("behaviours", () => {
  it.effect("are played act by act, to their end", () =>
    Effect.scoped(Effect.gen(function*() {
      const bytes = (text: string) => new TextEncoder().encode(text)
      const layer = Behaviour.layer({
        acts: [
          { _tag: "Says", bytes: bytes("220 ") },
          { _tag: "Says", bytes: bytes("") },
          { _tag: "Waits", milliseconds: 3_600_000 },
          { _tag: "Says", bytes: bytes("mx\r\n") }
        ],
        end: "resets",
        tls: "agrees"
      })
      const { open } = yield* Effect.provide(Transport.Transport, layer)
      const wire = yield* open({ host: "mx.example", port: 25 })
      assert.deepStrictEqual(yield* wire.read, bytes("220 "))
      yield* wire.write(bytes("NOOP\r\n"))
      assert.deepStrictEqual(yield* wire.read, bytes("mx\r\n"))
      assert.strictEqual((yield* Effect.flip(wire.read)).reason._tag, "Broken")
      assert.strictEqual((yield* Effect.flip(wire.write(bytes("NOOP\r\n")))).reason._tag, "Broken")
      assert.strictEqual((yield* Effect.flip(wire.read)).reason._tag, "Broken")
    })).pipe(Effect.provide(Deterministic.layer())))

  it("a client ends in a typed outcome whatever a server does", async () => {
    await fc.assert(fc.asyncProperty(Arbitraries.hostileServer, async (behaviour) => {
      assert.isTrue(isTyped(await runSend(Behaviour.layer(behaviour))))
    }))
  })

  it("hostile servers get as far as one that is not: all outcomes are among them", async () => {
    const outcomes = new Set<string>()
    for (const behaviour of fc.sample(Arbitraries.hostileServer, { numRuns: 300, seed: 3 })) {
      const exit = await runSend(Behaviour.layer(behaviour))
      const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
      outcomes.add(error?._tag === "Some" ? (error.value as SmtpError.SmtpError).reason._tag : "Sent")
    }
    assert.isAtLeast(outcomes.size, 5, [...outcomes].join(", "))
  })

  it("a client that trusts the first digit: shrinks to one reply", async () => {
    const { counterexample } = await fc.check(
      fc.asyncProperty(
        Arbitraries.hostileServer,
        async (behaviour) => !new TextDecoder().decode(Behaviour.said(behaviour)).startsWith("2")
      ),
      { seed: 1, numRuns: 10_000 }
    )
    assert.strictEqual(fc.stringify(counterexample), "[says \"200 \\r\\n\"\ncloses]")
  })

  it("odd servers are honest: what a client is told was sent is in the inbox", async () => {
    let sent = 0
    await fc.assert(
      fc.asyncProperty(Arbitraries.oddServer, async ({ config, options }) => {
        const server = await Effect.runPromise(
          InMemory.make({ ...config, accounts: { tim: Redacted.make(password) } }, options)
        )
        const exit = await runSend(server.layer)
        assert.isTrue(isTyped(exit))
        const inbox = await Effect.runPromise(server.inbox)
        if (Exit.isSuccess(exit)) {
          sent++
          assert.isNotEmpty(inbox)
        }
      }),
      { seed: 11, numRuns: 200 }
    )
    assert.isAbove(sent, 10)
  })

  it("odd servers shrink to the one that is simulated unless told otherwise", () => {
    const { counterexample } = fc.check(fc.property(Arbitraries.oddServer, () => false), { seed: 2 })
    assert.deepStrictEqual(counterexample, [{ config: {}, options: {} }])
  })
})
