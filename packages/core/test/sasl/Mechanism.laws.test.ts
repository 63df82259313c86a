import { assert, describe, it } from "@effect/vitest"
import { CramMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import * as Arbitraries from "@postern/testing/Arbitraries"
import { accepted, duel } from "./support.ts"

const mechanisms = [Plain.plain, Login.login, Login.loginWithInitialResponse, CramMd5.cramMd5]
const mechanism = fc.constantFrom(...mechanisms)
const raw = Redacted.make

/** The server that knows exactly one user. */
const knows = ({ user, password }: Mechanism.Password): Mechanism.ServerContext => ({
  host: "mx.example",
  nonce: "1896.697170952",
  passwordOf: (name) => name === user ? password : undefined
})

const runs = { numRuns: 500 }

/** Changes one octet of one message. */
const flip = (turn: number, from: "client" | "server", seed: number, bits: number) => {
  let touched = false
  const alter: Mechanism.Alter = (bytes, sender, at) => {
    if (sender !== from || at !== turn || bytes.length === 0) return bytes
    touched = true
    const out = bytes.slice()
    const i = seed % out.length
    out[i] = (out[i] ?? 0) ^ bits
    return out
  }
  return { alter, touched: () => touched }
}

const flips = [
  fc.nat(1),
  fc.constantFrom("client" as const, "server" as const),
  fc.nat(),
  fc.integer({ min: 1, max: 255 })
] as const

describe("Mechanism laws", () => {
  it("accepts where the secrets are the same", () => {
    fc.assert(
      fc.property(mechanism, Arbitraries.credentials, (mechanism, credentials) => {
        const result = duel(mechanism, credentials, knows(credentials))
        assert.isTrue(accepted(result))
        if (Result.isSuccess(result)) assert.strictEqual(result.success.identity, credentials.user)
      }),
      runs
    )
  })

  it("accepts no other secret, and no other user", () => {
    fc.assert(
      fc.property(mechanism, Arbitraries.credentials, Arbitraries.credentials, (mechanism, one, other) => {
        const samePassword = Redacted.value(one.password) === Redacted.value(other.password)
        assert.strictEqual(accepted(duel(mechanism, one, knows(other))), samePassword && one.user === other.user)
        assert.strictEqual(accepted(duel(mechanism, { ...one, user: other.user }, knows(other))), samePassword)
      }),
      runs
    )
  })

  it("CRAM-MD5: no octet of any message can be changed", () => {
    fc.assert(
      fc.property(Arbitraries.credentials, ...flips, (credentials, turn, from, seed, bits) => {
        const { alter, touched } = flip(turn, from, seed, bits)
        assert.strictEqual(accepted(duel(CramMd5.cramMd5, credentials, knows(credentials), alter)), !touched())
      }),
      runs
    )
  })

  it("PLAIN and LOGIN: no octet that the client sends can be changed", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(Plain.plain, Login.login, Login.loginWithInitialResponse),
        Arbitraries.credentials,
        ...flips,
        (mechanism, credentials, turn, _from, seed, bits) => {
          const { alter, touched } = flip(turn, "client", seed, bits)
          assert.strictEqual(accepted(duel(mechanism, credentials, knows(credentials), alter)), !touched())
        }
      ),
      { numRuns: 2000 }
    )
  })

  it("text that is no UTF-8 is nobody's name and no password", () => {
    const invalid = Uint8Array.of(0xf3, 0xbf, 0xbd)
    const credentials = Mechanism.password("\ufffd", raw("\ufffd"))
    const whole = new TextEncoder().encode("\ufffd")
    const join = (...parts: ReadonlyArray<Uint8Array>) => Uint8Array.from(Buffer.concat(parts))
    const nul = Uint8Array.of(0)
    const end = (step: Mechanism.ServerStep, ...responses: ReadonlyArray<Uint8Array>) =>
      responses.reduce((step, response) => step._tag === "Challenge" ? step.next(response) : step, step)._tag
    const context = knows(credentials)
    assert.strictEqual(end(Plain.plain.server(context, join(nul, whole, nul, whole))), "Accepted")
    assert.strictEqual(end(Plain.plain.server(context, join(nul, whole, nul, invalid))), "Refused")
    assert.strictEqual(end(Plain.plain.server(context, join(nul, invalid, nul, whole))), "Refused")
    assert.strictEqual(end(Login.login.server(context, undefined), whole, whole), "Accepted")
    assert.strictEqual(end(Login.login.server(context, undefined), whole, invalid), "Refused")
    assert.strictEqual(end(Login.login.server(context, undefined), invalid, whole), "Refused")
    const [response] = Result.getOrThrow(duel(CramMd5.cramMd5, credentials, context)).responses
    assert.strictEqual(end(CramMd5.cramMd5.server(context, undefined), response ?? nul), "Accepted")
    assert.strictEqual(
      end(CramMd5.cramMd5.server(context, undefined), join(invalid, (response ?? nul).slice(3))),
      "Refused"
    )
  })

  it("a server takes any octets and never throws", () => {
    fc.assert(
      fc.property(
        mechanism,
        Arbitraries.credentials,
        fc.option(fc.uint8Array(), { nil: undefined }),
        fc.array(fc.uint8Array(), { maxLength: 4 }),
        (mechanism, credentials, initial, responses) => {
          let step = mechanism.server(knows(credentials), initial)
          for (const response of responses) if (step._tag === "Challenge") step = step.next(response)
          assert.notStrictEqual(step._tag, "Accepted")
        }
      ),
      runs
    )
  })

  it("a client takes any challenge, and ends", () => {
    fc.assert(
      fc.property(
        mechanism,
        Arbitraries.credentials,
        fc.array(fc.uint8Array(), { minLength: 4, maxLength: 4 }),
        (mechanism, credentials, challenges) => {
          let step = Effect.runSync(mechanism.client(credentials, { host: "h", offered: [], secure: true }))
          let turns = 0
          for (const challenge of challenges) {
            if (step.next === undefined) break
            const result = Effect.runSync(Effect.result(step.next(challenge)))
            if (Result.isFailure(result)) return
            step = result.success
            turns++
          }
          assert.isAtMost(turns, 3)
          assert.isTrue(step.verified)
          assert.isUndefined(step.next)
        }
      ),
      runs
    )
  })

  it("a step taken twice does the same twice", () => {
    fc.assert(
      fc.property(
        mechanism,
        Arbitraries.credentials,
        fc.uint8Array({ minLength: 1 }),
        (mechanism, credentials, challenge) => {
          const begin = Effect.runSync(mechanism.client(credentials, { host: "h", offered: [], secure: true }))
          const { next } = begin
          if (next === undefined) return
          const [one, two] = [next(challenge), next(challenge)].map((effect) => Effect.runSync(Effect.result(effect)))
          assert.isDefined(one)
          if (one === undefined || two === undefined || Result.isFailure(one) || Result.isFailure(two)) {
            assert.deepStrictEqual(one, two)
          } else {
            const bytes = (step: Mechanism.ClientStep) => step.response && Redacted.value(step.response)
            assert.deepStrictEqual(bytes(one.success), bytes(two.success))
          }
        }
      )
    )
  })

  it("CRAM-MD5 never sends the password, PLAIN and LOGIN exactly once", () => {
    const long = Arbitraries.credentials.filter(({ user, password }) => {
      const secret = Redacted.value(password)
      return secret.length >= 6 && !user.includes(secret)
    })
    fc.assert(fc.property(mechanism, long, (mechanism, credentials) => {
      const { responses } = Result.getOrThrow(duel(mechanism, credentials, knows(credentials)))
      const secret = Buffer.from(Redacted.value(credentials.password))
      const times = responses.filter((response) => Buffer.from(response).includes(secret)).length
      assert.strictEqual(times, mechanism === CramMd5.cramMd5 ? 0 : 1)
    }))
  })

  it("errors never hold a secret", () => {
    const bad = fc.tuple(
      fc.constantFrom("", "u\0", "u\r\n", "\ud800", "user"),
      fc.constantFrom("hunter2\0hunter2", "hunter2\ud800", "hunter2"),
      fc.option(fc.constantFrom("z\0", "boss\n", "boss"), { nil: undefined })
    )
    const prompts = fc.array(fc.constantFrom("", "Password:", "User Name", "Username:", "x"), { maxLength: 4 })
    fc.assert(fc.property(mechanism, bad, prompts, (mechanism, [user, password, authorizationId], prompts) => {
      const play = Effect.gen(function*() {
        let step = yield* mechanism.client(Mechanism.password(user, raw(password), authorizationId), {
          host: "h",
          offered: [],
          secure: true
        })
        for (const prompt of prompts) if (step.next !== undefined) step = yield* step.next(Buffer.from(prompt))
      })
      const result = Effect.runSync(Effect.result(play))
      if (Result.isFailure(result)) {
        assert.isNotEmpty(result.failure.detail)
        for (const shown of [JSON.stringify(result.failure), inspect(result.failure, { depth: Infinity })]) {
          assert.notInclude(shown, "hunter2")
        }
      }
    }))
  })

  it("credentials and steps do not show the password", () => {
    const credentials = Mechanism.password("ann", raw("correct horse"))
    const values: ReadonlyArray<unknown> = [
      credentials,
      ...mechanisms.map((mechanism) =>
        Effect.runSync(mechanism.client(credentials, { host: "h", offered: [], secure: true }))
      )
    ]
    for (const value of values) {
      for (
        const shown of [JSON.stringify(value), String(value), inspect(value, { depth: Infinity, showHidden: true })]
      ) {
        assert.notInclude(shown, "correct horse")
        assert.notInclude(shown, Buffer.from("correct horse").toString("base64").slice(0, -2))
        assert.notInclude(shown, [...Buffer.from("correct")].join(", "))
      }
    }
    assert.include(JSON.stringify(credentials), "ann")
  })
})
