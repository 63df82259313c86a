import { assert, describe, it } from "@effect/vitest"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { Effect, Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import * as Arbitraries from "@postern/testing/Arbitraries"
import type * as ChannelBinding from "../../src/sasl/ChannelBinding.ts"
import * as Mechanism from "../../src/sasl/Mechanism.ts"
import * as SaslCrypto from "../../src/sasl/SaslCrypto.ts"
import * as SaslPrep from "../../src/sasl/SaslPrep.ts"
import * as Scram from "../../src/sasl/Scram.ts"
import * as ScramKeys from "../../src/sasl/ScramKeys.ts"

const mechanisms = [
  Scram.scramSha1,
  Scram.scramSha256,
  Scram.scramSha512,
  Scram.scramSha1Plus,
  Scram.scramSha256Plus,
  Scram.scramSha512Plus
]
const exporter: ChannelBinding.ChannelBinding = { type: "tls-exporter", data: Uint8Array.of(1, 2, 3) }
const endPoint: ChannelBinding.ChannelBinding = { type: "tls-server-end-point", data: Uint8Array.of(4, 5) }
const raw = Redacted.make
const utf8 = new TextEncoder()
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString()

const tim = Mechanism.password("tim", raw("tanstaaf"))

/** A client's mechanism on a channel that can be bound to, as PLUS needs it. */
const on = (
  mechanism: Mechanism.Mechanism,
  channelBindings: Mechanism.ClientContext["channelBindings"] = [exporter],
  offered = [mechanism.name]
): Mechanism.Mechanism => ({
  ...mechanism,
  client: (credentials, context) => mechanism.client(credentials, { ...context, channelBindings, offered })
})

const prepared = (text: string) => Result.getOrUndefined(SaslPrep.query(text))

/** The server that knows exactly one user, by the name that SASLprep makes of it. */
const knows = ({ user, password }: Mechanism.Password): Mechanism.ServerContext => ({
  host: "mx.example",
  nonce: "1896.697170952, new",
  channelBindings: [exporter],
  passwordOf: (name) => name === prepared(user) ? password : undefined
})

const duel = (
  mechanism: Mechanism.Mechanism,
  credentials: Mechanism.Password,
  server: Mechanism.ServerContext,
  alter?: Mechanism.Alter
) => Effect.runPromise(Effect.result(Mechanism.duel(mechanism, credentials, server, alter)))

const reason = <A>(result: Result.Result<A, Mechanism.SaslError>) =>
  Result.isFailure(result) ? result.failure.reason : undefined

const accepted = (result: Result.Result<Mechanism.Duel, Mechanism.SaslError>) =>
  Result.isSuccess(result) && result.success.accepted

const start = (mechanism: Mechanism.Mechanism, credentials = tim) =>
  mechanism.client(credentials, { host: "mx.example", offered: [mechanism.name], secure: true })

const first = (mechanism: Mechanism.Mechanism, credentials = tim) =>
  Effect.map(start(mechanism, credentials), ({ response }) => text(response && Redacted.value(response)))

const mechanism = fc.constantFrom(...mechanisms.map((mechanism) => on(mechanism)))
const credentials = Arbitraries.credentials.filter(({ user, password }) =>
  [user, Redacted.value(password)].every((text) => (prepared(text) ?? "") !== "")
)
// Each duel derives keys twice.
const runs = { numRuns: 60 }

describe("SCRAM laws", () => {
  it("accepts where the secrets are the same", () =>
    fc.assert(
      fc.asyncProperty(mechanism, credentials, async (mechanism, credentials) => {
        const result = await duel(mechanism, credentials, knows(credentials))
        assert.isTrue(accepted(result))
        if (Result.isSuccess(result)) assert.strictEqual(result.success.identity, prepared(credentials.user))
      }),
      runs
    ))

  it("accepts no other password, and no other user", () =>
    fc.assert(
      fc.asyncProperty(mechanism, credentials, credentials, async (mechanism, one, other) => {
        const same = (a: string, b: string) => prepared(a) === prepared(b)
        const samePassword = same(Redacted.value(one.password), Redacted.value(other.password))
        assert.strictEqual(
          accepted(await duel(mechanism, { ...one, user: other.user }, knows(other))),
          samePassword
        )
        assert.strictEqual(
          accepted(await duel(mechanism, { ...one, password: other.password }, knows(other))),
          same(one.user, other.user)
        )
      }),
      runs
    ))

  it("no octet of any message can be changed", () =>
    fc.assert(
      fc.asyncProperty(
        mechanism,
        credentials,
        fc.constantFrom("client" as const, "server" as const),
        fc.nat(1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (mechanism, credentials, from, turn, seed, bits) => {
          const result = await duel(mechanism, credentials, knows(credentials), (bytes, sender, at) => {
            const i = seed % bytes.length
            return sender === from && at === turn ? bytes.with(i, (bytes[i] ?? 0) ^ bits) : bytes
          })
          assert.isFalse(accepted(result))
          // A client does not go on with a server whose message was changed.
          if (from === "server") assert.isTrue(Result.isFailure(result) || result.success.responses.length === 2)
        }
      ),
      { numRuns: 150 }
    ))

  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.array(
      fc.constantFrom(
        "r=",
        "s=",
        "i=",
        "v=",
        "e=",
        "m=",
        "n=",
        "c=",
        "p=",
        "a=",
        ",",
        "=",
        "n,,",
        "4096",
        "x",
        "\0",
        "QUJD"
      ),
      { maxLength: 12 }
    ).map((parts) => utf8.encode(parts.join("")))
  )

  it("a client takes any challenge and fails with a reason", () =>
    fc.assert(
      fc.asyncProperty(mechanism, noise, noise, async (mechanism, one, two) => {
        const begin = await Effect.runPromise(start(mechanism))
        const after = await Effect.runPromise(Effect.result(begin.next?.(one) ?? Effect.succeed(begin)))
        assert.isDefined(reason(after))
        // What a server may say at the end, after a good beginning.
        const opening = mechanism.server(knows(tim), begin.response && Redacted.value(begin.response))
        if (opening._tag !== "Challenge") return assert.fail(opening._tag)
        const second = await Effect.runPromise(begin.next?.(opening.challenge) ?? Effect.succeed(begin))
        const third = await Effect.runPromise(Effect.result(second.next?.(two) ?? Effect.succeed(second)))
        assert.isDefined(reason(third))
      }),
      { numRuns: 150 }
    ))

  it("a server takes any octets and never throws", () =>
    fc.assert(
      fc.property(
        mechanism,
        fc.option(noise, { nil: undefined }),
        fc.array(noise, { maxLength: 3 }),
        (mechanism, initial, rest) => {
          let step = mechanism.server(knows(tim), initial)
          for (const response of rest) if (step._tag === "Challenge") step = step.next(response)
          assert.notStrictEqual(step._tag, "Accepted")
        }
      ),
      { numRuns: 500 }
    ))

  it("no error, step or message shows the password", () =>
    fc.assert(
      fc.asyncProperty(
        mechanism,
        fc.constantFrom("hunter2", "hunter2\u0007", "hunter2\u05d0", "hunter2\ud800", "hunter2\0"),
        fc.constantFrom("tim", "\u00ad", "t\0", "t\r\n"),
        noise,
        async (mechanism, password, user, challenge) => {
          const play = Effect.gen(function*() {
            const step = yield* start(mechanism, Mechanism.password(user, raw(password)))
            return [step, yield* Effect.result(step.next?.(challenge) ?? Effect.succeed(step))]
          })
          const result = await Effect.runPromise(Effect.result(play))
          for (const shown of [JSON.stringify(result), inspect(result, { depth: Infinity, showHidden: true })]) {
            assert.notInclude(shown, "hunter2")
          }
        }
      ),
      runs
    ))
})

describe("SCRAM", () => {
  const flags: ReadonlyArray<readonly [string, Mechanism.Mechanism, string]> = [
    ["n without TLS", on(Scram.scramSha256, [], ["SCRAM-SHA-256"]), "n,,"],
    ["n where the server offers PLUS", on(Scram.scramSha256, [exporter], ["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"]), "n,,"],
    ["y where PLUS was possible, and not offered", on(Scram.scramSha256), "y,,"],
    ["p with the first binding", on(Scram.scramSha256Plus, [endPoint, exporter]), "p=tls-server-end-point,,"]
  ]
  for (const [name, mechanism, header] of flags) {
    it.effect(`says ${name}`, () =>
      Effect.map(first(mechanism), (message) => assert.isTrue(message.startsWith(header))))
  }

  it.effect("PLUS fails where there is nothing to bind to", () =>
    Effect.gen(function*() {
      for (const bindings of [undefined, []]) {
        const result = yield* Effect.result(
          Scram.scramSha1Plus.client(tim, { host: "h", offered: [], secure: true, channelBindings: bindings })
        )
        assert.strictEqual(reason(result), "unsupported-channel-binding-type")
      }
    }))

  it("PLUS can be tried again with another type of binding", async () => {
    const server = { ...knows(tim), channelBindings: [endPoint] }
    assert.strictEqual(
      reason(await duel(on(Scram.scramSha256Plus, [exporter, endPoint]), tim, server)),
      "unsupported-channel-binding-type"
    )
    assert.isTrue(accepted(await duel(on(Scram.scramSha256Plus, [endPoint]), tim, server)))
  })

  it("PLUS is refused over another channel", async () => {
    const result = await duel(
      on(Scram.scramSha256Plus, [{ ...exporter, data: Uint8Array.of(1, 2, 4) }]),
      tim,
      knows(tim)
    )
    assert.isTrue(Result.isFailure(result) && result.failure.detail.includes("channel-bindings-dont-match"))
  })

  it("a PLUS server takes no client that does not bind, nor the other way round", () => {
    const end = (mechanism: Mechanism.Mechanism, message: string) => {
      const step = mechanism.server(knows(tim), utf8.encode(message))
      return step._tag === "Challenge" ? text(step.challenge) : step._tag
    }
    assert.strictEqual(end(Scram.scramSha1Plus, "n,,n=tim,r=abc"), "Refused")
    assert.strictEqual(end(Scram.scramSha1Plus, "y,,n=tim,r=abc"), "Refused")
    assert.strictEqual(end(Scram.scramSha1, "p=tls-exporter,,n=tim,r=abc"), "e=unsupported-channel-binding-type")
    assert.match(end(Scram.scramSha1, "n,,n=tim,r=abc"), /^r=abc[^,]+,s=[^,]+,i=4096$/)
  })

  it("a server tells nobody which users it knows", async () => {
    const message = "n,,n=tim,r=abc"
    const challenge = (server: Mechanism.ServerContext) => Scram.scramSha256.server(server, utf8.encode(message))
    const [known, unknown] = [knows(tim), knows({ ...tim, user: "ann" })].map(challenge)
    assert.deepStrictEqual(
      known?._tag === "Challenge" && known.challenge,
      unknown?._tag === "Challenge" && unknown.challenge
    )
    const problem = (server: Mechanism.ServerContext, credentials: Mechanism.Password) => {
      const steps: Array<Mechanism.ServerStep> = []
      const spy: Mechanism.Mechanism = {
        ...Scram.scramSha256,
        server: (context, initial) => {
          const wrap = (step: Mechanism.ServerStep): Mechanism.ServerStep => {
            steps.push(step)
            return step._tag === "Challenge" ? { ...step, next: (response) => wrap(step.next(response)) } : step
          }
          return wrap(Scram.scramSha256.server(context, initial))
        }
      }
      return duel(spy, credentials, server).then(() => steps.at(-1))
    }
    const wrong = { ...tim, password: raw("wrong") }
    const refused = await problem(knows(tim), wrong)
    assert.strictEqual(refused?._tag, "Refused")
    assert.deepStrictEqual(await problem(knows({ ...tim, user: "ann" }), tim), refused)
  })

  it.effect("nobody is an unknown user, not even with the password that stands in for theirs", () =>
    Effect.gen(function*() {
      const server = knows({ ...tim, user: "ann" })
      const standIn = hmac(sha256, utf8.encode(server.nonce), utf8.encode("password"))
      const forge: ScramKeys.Derive = (hash, _, salt, iterations) =>
        Effect.map(SaslCrypto.pbkdf2(hash, standIn, salt, iterations), (salted) => ScramKeys.fromSalted(hash, salted))
      const { accepted, identity } = yield* Effect.provideService(
        Mechanism.duel(Scram.scramSha256, tim, server),
        ScramKeys.Keys,
        forge
      )
      assert.deepStrictEqual([accepted, identity], [false, undefined])
    }))

  it.effect("nobody logs in with no password", () =>
    Effect.gen(function*() {
      const forge: ScramKeys.Derive = (hash, _, salt, iterations) =>
        Effect.map(
          SaslCrypto.pbkdf2(hash, new Uint8Array(0), salt, iterations),
          (salted) => ScramKeys.fromSalted(hash, salted)
        )
      for (const password of ["", "\u00ad", "\u0007"]) {
        const { identity } = yield* Effect.provideService(
          Mechanism.duel(Scram.scramSha256, tim, knows({ ...tim, password: raw(password) })),
          ScramKeys.Keys,
          forge
        )
        assert.isUndefined(identity)
      }
    }))

  it("its server lets nobody act for somebody else", async () => {
    const as = (id: string) => duel(on(Scram.scramSha256), { ...tim, authorizationId: id }, knows(tim))
    assert.isTrue(accepted(await as("tim")))
    assert.isTrue(accepted(await as("")))
    assert.isFalse(accepted(await as("boss,=2C")))
  })

  it("begins with an empty challenge where there was no initial response", () => {
    const step = Scram.scramSha1.server(knows(tim), undefined)
    assert.strictEqual(step._tag === "Challenge" ? step.challenge.length : -1, 0)
  })

  it.effect("draws a new nonce each time, and a step taken twice does the same twice", () =>
    Effect.gen(function*() {
      assert.notStrictEqual(yield* first(Scram.scramSha1), yield* first(Scram.scramSha1))
      const begin = yield* start(Scram.scramSha1)
      const step = Scram.scramSha1.server(knows(tim), begin.response && Redacted.value(begin.response))
      if (step._tag !== "Challenge" || begin.next === undefined) return assert.fail(step._tag)
      const [one, two] = [yield* begin.next(step.challenge), yield* begin.next(step.challenge)]
      assert.strictEqual(
        text(one.response && Redacted.value(one.response)),
        text(two.response && Redacted.value(two.response))
      )
    }))

  it("takes other limits of iterations", async () => {
    const limited = (options: Partial<Scram.Options>) =>
      duel(Scram.scram({ hash: "SHA-1", ...options }), tim, knows(tim))
    assert.strictEqual(reason(await limited({ minIterations: 4097 })), "iteration-count-too-low")
    assert.strictEqual(reason(await limited({ maxIterations: 4095 })), "iteration-count-too-high")
    assert.isTrue(accepted(await limited({ minIterations: 4096, maxIterations: 4096 })))
  })

  it.effect("shows no word of the server that it does not know", () =>
    Effect.gen(function*() {
      const begin = yield* start(Scram.scramSha1)
      const result = yield* Effect.result(begin.next?.(utf8.encode("e=\u001b[31mboo")) ?? Effect.succeed(begin))
      assert.deepStrictEqual(
        Result.isFailure(result) ? result.failure : undefined,
        Mechanism.saslError("server-error", "the server refuses: other-error")
      )
    }))

  it.effect("takes its keys from ScramKeys.Keys", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const derive: ScramKeys.Derive = (hash, password, salt, iterations) => {
        asked.push(hash)
        return ScramKeys.derive(hash, password, salt, iterations)
      }
      const { accepted } = yield* Mechanism.duel(Scram.scramSha512, tim, knows(tim)).pipe(
        Effect.provideService(ScramKeys.Keys, derive)
      )
      assert.deepStrictEqual([accepted, asked], [true, ["SHA-512"]])
    }))
})
