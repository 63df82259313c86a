/**
 * XOAUTH2, OAUTHBEARER, EXTERNAL and ANONYMOUS: their vectors, and their laws.
 */
import { assert, describe, it } from "@effect/vitest"
import { Anonymous, External, Mechanism, OAuthBearer, XOAuth2 } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import anonymous from "../vectors/ANONYMOUS.json" with { type: "json" }
import external from "../vectors/EXTERNAL.json" with { type: "json" }
import oauthBearer from "../vectors/OAUTHBEARER.json" with { type: "json" }
import xoauth2 from "../vectors/XOAUTH2.json" with { type: "json" }
import { octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly username?: string | null | undefined
    readonly authzid?: string | null | undefined
    readonly accessToken?: string | null | undefined
    readonly trace?: string | undefined
    readonly host?: string | null | undefined
    readonly port?: number | null | undefined
    readonly initialResponse?: boolean | undefined
  }
  readonly exchange: ReadonlyArray<{ readonly from: string; readonly base64?: string | null | undefined }>
  readonly outcome: {
    readonly result: string
    readonly reason?: string | undefined
    readonly oauthError?: Readonly<Record<string, string>> | undefined
  }
}

const token = (user: string, text: string, renewed?: string): Mechanism.Token => ({
  _tag: "Token",
  user,
  token: Effect.succeed(Redacted.make(text)),
  renew: renewed === undefined ? undefined : Effect.succeed(Redacted.make(renewed))
})

const files: ReadonlyArray<
  readonly [
    Mechanism.Mechanism,
    { readonly count: number; readonly vectors: ReadonlyArray<Vector> },
    (inputs: Vector["inputs"]) => Mechanism.Credentials
  ]
> = [
  [XOAuth2.xoauth2, xoauth2, ({ accessToken, username }) => token(username ?? "", accessToken ?? "")],
  [OAuthBearer.oauthBearer, oauthBearer, ({ accessToken, authzid }) => token(authzid ?? "", accessToken ?? "")],
  [External.external, external, ({ authzid }) => ({ _tag: "Certificate", authorizationId: authzid ?? undefined })],
  [Anonymous.anonymous, anonymous, ({ trace }) => ({ _tag: "Anonymous", trace })]
]

/** Requests a right client cannot make: they show what a server may be sent. */
const notOurs = new Set(["oauthbearer/rfc7628-s4.3", "oauthbearer/rfc7628-s4.4"])

const play = Effect.fnUntraced(
  function*(mechanism: Mechanism.Mechanism, credentials: Mechanism.Credentials, vector: Vector) {
    const { host, port } = vector.inputs
    const context = { host: host ?? "mx.example", port: port ?? undefined, offered: [mechanism.name], secure: true }
    const sent: Array<Uint8Array> = []
    let step = yield* mechanism.client(credentials, context)
    if (step.response !== undefined) sent.push(Redacted.value(step.response))
    const challenges = vector.exchange.filter(({ base64, from }) =>
      from === "server" && base64 !== undefined && base64 !== null
    )
    // An empty first challenge only asks for the response that there already is.
    for (const { base64 } of challenges.slice(vector.exchange[0]?.from === "server" ? 1 : 0)) {
      if (step.next === undefined) {
        return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", "one too many"))
      }
      step = yield* step.next(octets(base64))
      if (step.response !== undefined) sent.push(Redacted.value(step.response))
    }
    return { sent, step }
  }
)

for (const [mechanism, { count, vectors }, credentialsOf] of files) {
  describe(`${mechanism.name} vectors`, () => {
    it("are all here", () => assert.lengthOf(vectors, count))

    for (const vector of vectors) {
      const { exchange, id, inputs, outcome } = vector
      const fromClient = exchange.filter(({ from }) => from === "client").map(({ base64 }) => octets(base64))
      if (notOurs.has(id)) {
        it(`${id}: a server answers it with the error, and refuses`, () => {
          const [first = new Uint8Array(0), second = new Uint8Array(0)] = fromClient
          const step = mechanism.server({
            host: "mx.example",
            nonce: "n",
            passwordOf: () => undefined,
            acceptsToken: () => false
          }, first)
          const end = step._tag === "Challenge" ? step.next(second) : step
          assert.strictEqual(end._tag, "Refused")
        })
        continue
      }
      if (outcome.result === "client-refuse" || outcome.result === "client-abort") {
        it(`${id}: ${outcome.reason}`, () => {
          const result = Effect.runSync(Effect.result(play(mechanism, credentialsOf(inputs), vector)))
          assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, outcome.reason)
        })
        continue
      }
      it(`${id}: client`, () => {
        const { sent, step } = Effect.runSync(play(mechanism, credentialsOf(inputs), vector))
        assert.deepStrictEqual(sent, fromClient)
        const refusedInChallenge = outcome.reason === "oauth-token-rejected"
        assert.strictEqual(step.verified, !refusedInChallenge)
        assert.strictEqual(step.refusal !== undefined, refusedInChallenge)
        for (const value of Object.values(outcome.oauthError ?? {})) assert.include(step.refusal, value)
      })
      it(`${id}: server`, () => {
        const user = inputs.username ?? inputs.authzid ?? ""
        const refuses = outcome.result !== "success"
        let step = mechanism.server({
          host: "mx.example",
          nonce: "n",
          passwordOf: () => undefined,
          acceptsToken: (text, who) => !refuses && text === inputs.accessToken && who === user,
          certificateIdentity: refuses ? "somebody else" : user || "anybody"
        }, fromClient[0])
        for (const response of fromClient.slice(1)) if (step._tag === "Challenge") step = step.next(response)
        if (step._tag === "Challenge") step = step.next(new Uint8Array(0))
        assert.strictEqual(step._tag, refuses ? "Refused" : "Accepted")
      })
    }
  })
}

const userName = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((text) =>
  text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text)
)
const bearer = fc.stringMatching(/^[A-Za-z0-9._~+/-]{8,300}={0,2}$/)
describe("an OAUTHBEARER server", () => {
  const judged = (message: string) =>
    OAuthBearer.oauthBearer.server(
      { host: "mx.example", nonce: "", passwordOf: () => undefined, acceptsToken: (token) => token === "t1" },
      new TextEncoder().encode(message)
    )._tag

  it.each([
    "n,a=ann,\u0001auth=Bearer t1\u0001\u0001",
    "n,,\u0001host=mx.example\u0001port=587\u0001auth=bearer t1\u0001\u0001",
    "y,a=ann,\u0001auth=BEARER  t1\u0001x=\u0001\u0001"
  ])("takes %j", (message) => assert.strictEqual(judged(message), "Accepted"))

  it.each([
    "n,a=ann,\u0001auth=Baerer t1\u0001\u0001",
    "n,a=ann,\u0001auth=1234567t1\u0001\u0001",
    "n,a=ann,\u0001auth=Bearer t1\u0001",
    "n,a=ann,\u0001auth=Bearer t1",
    "n,a=ann,\u0001auth=Bearer \u0001\u0001",
    "n,a=ann,auth=Bearer t1\u0001\u0001",
    "p=x,a=ann,\u0001auth=Bearer t1\u0001\u0001",
    "n,a=ann,\u0001xauth=Bearer t1\u0001\u0001",
    "\u0001"
  ])("refuses %j", (message) => assert.strictEqual(judged(message), "Refused"))
})

const mechanisms = [XOAuth2.xoauth2, OAuthBearer.oauthBearer]

const server = (user: string, good: string): Mechanism.ServerContext => ({
  host: "mx.example",
  nonce: "n",
  passwordOf: () => undefined,
  acceptsToken: (text, who) => text === good && who === user
})

describe("laws of bearer tokens", () => {
  it("a token is accepted by the server that knows it, and by no other", () => {
    fc.assert(fc.property(fc.constantFrom(...mechanisms), userName, bearer, bearer, (mechanism, user, good, bad) => {
      const duel = (sent: string) => Effect.runSync(Mechanism.duel(mechanism, token(user, sent), server(user, good)))
      assert.strictEqual(duel(good).accepted, true)
      assert.strictEqual(duel(good).identity, user)
      if (good !== bad) assert.strictEqual(duel(bad).accepted, false)
    }))
  })

  it("whatever the server says is answered once, told, and never believed", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...mechanisms),
        fc.oneof(fc.uint8Array({ maxLength: 6000 }), fc.json().map((json) => new TextEncoder().encode(json))),
        (mechanism, challenge) => {
          const context = { host: "mx.example", offered: [mechanism.name], secure: true }
          const first = Effect.runSync(mechanism.client(token("ann", "secret.token.value"), context))
          const next = first.next === undefined ? undefined : Effect.runSync(first.next(challenge))
          assert.isFalse(next?.verified)
          assert.isUndefined(next?.next)
          assert.isNotEmpty(next?.refusal)
          assert.isBelow(next?.refusal?.length ?? 0, 2000)
        }
      )
    )
  })

  it("a token that is none is refused, and told nowhere", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...mechanisms),
        fc.string({ minLength: 8 }).filter((text) => !/^[A-Za-z0-9._~+/=-]+$/.test(text)),
        (mechanism, text) => {
          const result = Effect.runSync(
            Effect.result(mechanism.client(token("ann", text), { host: "h", offered: [], secure: true }))
          )
          assert.isTrue(Result.isFailure(result))
          assert.notInclude(inspect(result, { depth: 9 }), text)
        }
      )
    )
  })

  it("is fetched once for each exchange", () => {
    let fetched = 0
    const counted: Mechanism.Token = { ...token("ann", "t"), token: Effect.sync(() => Redacted.make(`t${++fetched}`)) }
    Effect.runSync(Mechanism.duel(XOAuth2.xoauth2, counted, server("ann", "t1")))
    assert.strictEqual(fetched, 1)
  })
})

describe("EXTERNAL", () => {
  it("needs a certificate and the TLS it was shown to", () => {
    const refused = (credentials: Mechanism.Credentials, secure: boolean) =>
      Effect.runSync(Effect.flip(External.external.client(credentials, { host: "h", offered: [], secure }))).reason
    assert.strictEqual(refused(Mechanism.password("a", Redacted.make("b")), true), "wrong-credentials")
    assert.strictEqual(refused({ _tag: "Certificate", authorizationId: undefined }, false), "wrong-credentials")
  })

  it("lets nobody in without one", () => {
    const step = External.external.server({ host: "h", nonce: "n", passwordOf: () => undefined }, new Uint8Array(0))
    assert.strictEqual(step._tag, "Refused")
  })
})
