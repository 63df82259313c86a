import { assert, describe, it } from "@effect/vitest"
import { Gs2, Gssapi, Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)
const utf8 = new TextEncoder()
/** An initial token with the header of RFC 2743 §3.1 around "AP-REQ". */
const initial = Uint8Array.of(0x60, 0x0d, 0x06, 0x05, 1, 2, 3, 4, 5, ...utf8.encode("AP-REQ"))
const binding = { type: "tls-exporter" as const, data: Uint8Array.of(7, 7, 7) }

/** A context that is complete when the server has answered, and tells what it was begun with. */
const context = (begun: Array<string>, token: Uint8Array = initial) =>
  Gssapi.GssContext.of({
    begin: (service, mechanism, channelBinding) =>
      Effect.sync(() => {
        begun.push(`${mechanism} ${service} ${text(channelBinding ?? new Uint8Array(0))}`)
        return {
          step: (given) =>
            Effect.succeed(given === undefined ? { token, complete: false } : { token: undefined, complete: true }),
          unwrap: (bytes) => Effect.succeed(bytes),
          wrap: (bytes) => Effect.succeed(bytes)
        }
      })
  })

const play = (
  mechanism: Mechanism.Mechanism<Gssapi.GssContext>,
  given: Partial<Mechanism.ClientContext> = {},
  authorizationId?: string,
  token?: Uint8Array
) => {
  const begun: Array<string> = []
  const run = Effect.gen(function*() {
    const first = yield* mechanism.client({ _tag: "Kerberos", authorizationId }, {
      host: "mx.example",
      offered: [mechanism.name],
      secure: true,
      ...given
    })
    const sent = text(Redacted.value(first.response ?? Redacted.make(new Uint8Array(0))))
    const last = first.next === undefined ? first : yield* first.next(utf8.encode("AP-REP"))
    return { sent, before: first.verified, after: last.verified, more: last.next, response: last.response }
  })
  return {
    begun,
    result: Effect.runSync(Effect.result(Effect.provideService(run, Gssapi.GssContext, context(begun, token))))
  }
}

describe("GS2", () => {
  it("binds the header, and strips the token's own", () => {
    const { begun, result } = play(Gs2.gs2Krb5)
    const { after, before, more, sent } = Result.getOrThrow(result)
    assert.strictEqual(sent, "n,,AP-REQ")
    assert.deepStrictEqual(begun, ["krb5 smtp@mx.example n,,"])
    assert.isFalse(before)
    assert.isTrue(after)
    assert.isUndefined(more)
  })

  it("says y where it could bind and was not offered to, n where PLUS was offered beside it", () => {
    assert.strictEqual(Result.getOrThrow(play(Gs2.gs2Krb5, { channelBindings: [binding] }).result).sent, "y,,AP-REQ")
    const both = { channelBindings: [binding], offered: ["GS2-KRB5", "GS2-KRB5-PLUS"] }
    assert.strictEqual(Result.getOrThrow(play(Gs2.gs2Krb5, both).result).sent, "n,,AP-REQ")
  })

  it("PLUS: the header and the channel's data are what the context is bound by", () => {
    const { begun, result } = play(Gs2.gs2Krb5Plus, { channelBindings: [binding] }, "a=b,c")
    assert.strictEqual(Result.getOrThrow(result).sent, "p=tls-exporter,a=a=3Db=2Cc,AP-REQ")
    assert.deepStrictEqual(begun, ["krb5 smtp@mx.example p=tls-exporter,a=a=3Db=2Cc,\u0007\u0007\u0007"])
    const { result: unbound } = play(Gs2.gs2Krb5Plus)
    assert.strictEqual(Result.isFailure(unbound) ? unbound.failure.reason : "", "unsupported-channel-binding-type")
  })

  it("leaves a token that has no such header as it is, whatever it is", () => {
    for (const odd of [[], [0x60], [0x60, 0x81], [0x60, 2, 5, 0], [1, 2, 3]]) {
      assert.strictEqual(
        Result.getOrThrow(play(Gs2.gs2Krb5, {}, undefined, Uint8Array.from(odd)).result).sent,
        `n,,${text(Uint8Array.from(odd))}`
      )
    }
  })

  it("takes no other credentials, and no NUL", () => {
    const { result } = play(Gs2.gs2Krb5, {}, "a\0")
    assert.strictEqual(Result.isFailure(result) ? result.failure.reason : "", "nul-in-credentials")
    assert.isFalse(Gs2.gs2Krb5.accepts(Mechanism.password("a", Redacted.make("b"))))
  })
})
