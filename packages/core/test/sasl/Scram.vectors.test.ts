/** Exchanges of RFC 5802 and RFC 7677 and of other implementations, octet for octet, and what must not be accepted. */
import { assert, describe, it } from "@effect/vitest"
import { Authenticate, Capabilities, Choose, Program, Reply, Session } from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import type * as ChannelBinding from "../../src/sasl/ChannelBinding.ts"
import * as Mechanism from "../../src/sasl/Mechanism.ts"
import * as Scram from "../../src/sasl/Scram.ts"
import sha1Plus from "../vectors/SCRAM-SHA-1-PLUS.json" with { type: "json" }
import sha1 from "../vectors/SCRAM-SHA-1.json" with { type: "json" }
import sha256Plus from "../vectors/SCRAM-SHA-256-PLUS.json" with { type: "json" }
import sha256 from "../vectors/SCRAM-SHA-256.json" with { type: "json" }
import sha512Plus from "../vectors/SCRAM-SHA-512-PLUS.json" with { type: "json" }
import sha512 from "../vectors/SCRAM-SHA-512.json" with { type: "json" }
import { octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly username: string
    readonly password: string
    readonly authzid: string | null
    readonly clientNonce: string
    readonly channelBinding: { readonly type: string; readonly dataBase64: string } | null
    readonly policy?: { readonly minIterations?: number; readonly maxIterations?: number }
  }
  readonly exchange: ReadonlyArray<{ readonly from: string; readonly base64?: string | null; readonly raw?: string }>
  readonly outcome: { readonly result: string; readonly reason?: string; readonly serverError?: string }
}

interface File {
  readonly count: number
  readonly vectors: ReadonlyArray<Vector>
}

const files: ReadonlyArray<readonly [Scram.Options, File]> = [
  [{ hash: "SHA-1" }, sha1 as File],
  [{ hash: "SHA-1", plus: true }, sha1Plus as File],
  [{ hash: "SHA-256" }, sha256 as File],
  [{ hash: "SHA-256", plus: true }, sha256Plus as File],
  [{ hash: "SHA-512" }, sha512 as File],
  [{ hash: "SHA-512", plus: true }, sha512Plus as File]
]

/** Plays the server's messages to a client; notes what it sends and whether a success would be believed at the end. */
const play = (options: Scram.Options, { inputs, exchange }: Vector) => {
  const sent: Array<Uint8Array> = []
  const mechanism = Scram.scram({ ...options, ...inputs.policy })
  const channelBindings = inputs.channelBinding === null ? undefined : [{
    type: inputs.channelBinding.type as ChannelBinding.Type,
    data: octets(inputs.channelBinding.dataBase64)
  }]
  const note = (step: Mechanism.ClientStep) => {
    if (step.response !== undefined) sent.push(Redacted.value(step.response))
    return step
  }
  const run = Effect.gen(function*() {
    let step = note(
      yield* mechanism.client(
        Mechanism.password(inputs.username, Redacted.make(inputs.password), inputs.authzid ?? undefined),
        { host: "mx.example", offered: [mechanism.name], secure: true, channelBindings }
      )
    )
    for (const { from, base64, raw } of exchange) {
      // The final reply is Authenticate's.
      if (from !== "server" || raw !== undefined) continue
      if (step.next === undefined) return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", ""))
      assert.isFalse(step.verified)
      step = note(yield* step.next(octets(base64 ?? "")))
    }
    return step.verified
  })
  // Every published nonce is itself base64.
  const random = SecureRandom.make(() => octets(inputs.clientNonce))
  return Effect.map(
    Effect.result(Effect.provideService(run, SecureRandom.SecureRandom, random)),
    (end) => ({ sent, end })
  )
}

/** The first words of what AUTH says when the server's challenge is this text and `*` is answered by 501. */
const refusedBy = (options: Scram.Options, { inputs }: Vector, challenge: string): ReadonlyArray<string> => {
  const mechanism = Scram.scram(options)
  const binding = { type: "tls-exporter" as const, data: new Uint8Array(32) }
  const session = new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", `AUTH ${mechanism.name}`])),
    tls: { ...Explore.tlsFacts, channelBindings: [binding] },
    authenticated: undefined
  })
  const credentials = Mechanism.password(inputs.username, Redacted.make(inputs.password))
  const replies = [Reply.make(334, challenge), Reply.make(501, "cancelled", "5.7.0")]
  const { end, said } = Program.rehearse(
    Authenticate.authenticate(session, credentials, Choose.inOrder(mechanism)),
    (instruction) => {
      if (instruction._tag === "Perform") {
        return {
          _tag: "Value",
          value: Effect.runSync(instruction.effect as Effect.Effect<unknown>)
        }
      }
      const reply = replies.shift()
      return reply && Program.replies(reply)
    }
  )
  assert.isTrue(
    end !== undefined && Result.isFailure(end) && end.failure._tag === "AuthenticationFailed"
      && end.failure.why === "exchange broken"
  )
  return Explore.linesSent(said).map((line) => line.split(" ", 1)[0] ?? "")
}

for (const [options, { count, vectors }] of files) {
  describe(`${Scram.scram(options).name} vectors`, () => {
    it("are all here", () => assert.lengthOf(vectors, count))

    for (const vector of vectors) {
      const { id, exchange, outcome } = vector
      if (outcome.reason === "bad-base64") {
        it(`${id}: Authenticate cancels a challenge that is no base64`, () => {
          const raw = exchange.find(({ from }) => from === "server")?.raw ?? ""
          assert.deepStrictEqual(refusedBy(options, vector, raw.slice("334 ".length)), ["AUTH", "*"])
        })
        continue
      }
      it.effect(`${id}: ${outcome.reason ?? outcome.result}`, () =>
        Effect.map(play(options, vector), ({ sent, end }) => {
          const clients = exchange.filter(({ from, base64 }) => from === "client" && typeof base64 === "string")
          assert.deepStrictEqual(sent, clients.map(({ base64 }) => octets(base64 ?? "")))
          switch (outcome.reason) {
            case undefined:
              return assert.deepStrictEqual([outcome.result, end], ["success", Result.succeed(true)])
            case "bad-credentials":
            case "server-signature-missing":
              return assert.deepStrictEqual(end, Result.succeed(false))
            default:
              assert.strictEqual(Result.isFailure(end) ? end.failure.reason : "none", outcome.reason)
              if (Result.isFailure(end)) assert.include(end.failure.detail, outcome.serverError ?? "")
          }
        }))
    }
  })
}
