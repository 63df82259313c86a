import { assert, describe, it } from "@effect/vitest"
import { Gssapi, Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import * as fc from "fast-check"
import file from "../vectors/GSSAPI.json" with { type: "json" }
import { octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly inputs: { readonly service: string; readonly authzid?: string | null | undefined }
  readonly exchange: ReadonlyArray<
    { readonly from: string; readonly base64?: string | undefined; readonly wrapped?: boolean | undefined }
  >
  readonly outcome: { readonly result: string; readonly reason?: string | undefined }
}

const vectors: ReadonlyArray<Vector> = file.vectors
const ours = new TextEncoder().encode("initial token")
const theirs = new TextEncoder().encode("answering token")

/** A context that wraps by doing nothing, and is complete when the server has answered. */
const context = (begun: Array<string> = []) =>
  Gssapi.GssContext.of({
    begin: (service, mechanism) =>
      Effect.sync(() => {
        begun.push(`${mechanism} ${service}`)
        return {
          step: (token) =>
            Effect.succeed(
              token === undefined ? { token: ours, complete: false } : { token: undefined, complete: true }
            ),
          unwrap: (bytes) => Effect.succeed(bytes),
          wrap: (bytes) => Effect.succeed(bytes)
        }
      })
  })

const play = (authorizationId: string | undefined, offer: Uint8Array, begun?: Array<string>) =>
  Effect.gen(function*() {
    const sent: Array<Uint8Array> = []
    const take = (step: Mechanism.ClientStep<Gssapi.GssContext>, challenge: Uint8Array) => {
      if (step.response !== undefined) sent.push(Redacted.value(step.response))
      assert.isFalse(step.verified)
      assert.isDefined(step.next)
      return step.next === undefined ? Effect.succeed(step) : step.next(challenge)
    }
    const first = yield* Gssapi.gssapi.client({ _tag: "Kerberos", authorizationId }, {
      host: "mail.example.com",
      offered: ["GSSAPI"],
      secure: true
    })
    const second = yield* take(first, theirs)
    const last = yield* take(second, offer)
    if (last.response !== undefined) sent.push(Redacted.value(last.response))
    return { sent, last }
  }).pipe(Effect.provideService(Gssapi.GssContext, context(begun)), Effect.result, Effect.runSync)

describe("GSSAPI vectors", () => {
  it("are all here", () => assert.lengthOf(vectors, file.count))

  for (const { exchange, id, inputs, outcome } of vectors) {
    it(`${id}: ${outcome.reason ?? outcome.result}`, () => {
      const begun: Array<string> = []
      const offer = exchange.find(({ from, wrapped }) => from === "server" && wrapped === true)
      const result = play(inputs.authzid ?? undefined, octets(offer?.base64), begun)
      assert.deepStrictEqual(begun, [`krb5 ${inputs.service}`])
      if (outcome.result === "success") {
        const { last, sent } = Result.getOrThrow(result)
        const answer = exchange.find(({ from, wrapped }) => from === "client" && wrapped === true)
        assert.deepStrictEqual(sent, [ours, new Uint8Array(0), octets(answer?.base64)])
        assert.isTrue(last.verified)
        assert.isUndefined(last.next)
      } else {
        assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, outcome.reason)
      }
    })
  }
})

describe("GSSAPI laws", () => {
  it("whatever is offered, no layer is chosen or the exchange ends as typed", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (offer) => {
      const result = play("ann", offer)
      const fine = offer.length === 4 && ((offer[0] ?? 0) & 1) === 1
        && (offer[0] !== 1 || offer.slice(1).every((octet) => octet === 0))
      assert.strictEqual(Result.isSuccess(result), fine)
      if (Result.isSuccess(result)) {
        assert.deepStrictEqual(result.success.sent.at(-1)?.slice(0, 4), Uint8Array.of(1, 0, 0, 0))
      }
    }))
  })

  it("takes no other credentials, and no NUL", () => {
    const refused = (credentials: Mechanism.Credentials) =>
      Gssapi.gssapi.client(credentials, { host: "h", offered: [], secure: true }).pipe(
        Effect.provideService(Gssapi.GssContext, context()),
        Effect.flip,
        Effect.map(({ reason }) => reason),
        Effect.runSync
      )
    assert.strictEqual(refused(Mechanism.password("a", Redacted.make("b"))), "wrong-credentials")
    assert.strictEqual(refused({ _tag: "Kerberos", authorizationId: "a\0b" }), "nul-in-credentials")
    assert.isFalse(Gssapi.gssapi.accepts(Mechanism.password("a", Redacted.make("b"))))
  })

  it("GSS-SPNEGO may be believed once its context is complete", () => {
    const steps = Effect.gen(function*() {
      const first = yield* Gssapi.gssSpnego.client({ _tag: "Kerberos", authorizationId: undefined }, {
        host: "h",
        offered: [],
        secure: true
      })
      const second = first.next === undefined ? first : yield* first.next(theirs)
      return [first.verified, second.verified]
    })
    assert.deepStrictEqual(Effect.runSync(Effect.provideService(steps, Gssapi.GssContext, context())), [false, true])
  })
})
