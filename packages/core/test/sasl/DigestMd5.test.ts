/**
 * DIGEST-MD5: the RFC's and other published exchanges, and laws.
 */
import { assert, describe, it } from "@effect/vitest"
import { DigestDirectives, DigestMd5, Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"
import file from "../vectors/DIGEST-MD5.json" with { type: "json" }
import { octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly username: string
    readonly password: string
    readonly authzid?: string | null | undefined
    readonly clientNonce?: string | undefined
    readonly digestUri?: string | undefined
  }
  readonly exchange: ReadonlyArray<{ readonly from: string; readonly base64?: string | null | undefined }>
  readonly outcome: { readonly result: string; readonly reason?: string | undefined }
}

const vectors: ReadonlyArray<Vector> = file.vectors
/** A source of random octets that gives these. */
const fixed = (bytes: Uint8Array) =>
  SecureRandom.SecureRandom.of({
    ...SecureRandom.make((size) => new Uint8Array(size)),
    randomBytes: () => Effect.succeed(bytes)
  })

/** The client's cnonce is base64 of random octets; some published ones are no base64, and are checked by their digest below. */
const nonceOf = (text: string): Uint8Array | undefined => {
  const bytes = octets(text)
  return Buffer.from(bytes).toString("base64") === text ? bytes : undefined
}

const play = Effect.fnUntraced(function*(vector: Vector) {
  const { authzid, clientNonce = "", digestUri = "smtp/mail.example.com", password, username } = vector.inputs
  const context = { host: digestUri.slice(digestUri.indexOf("/") + 1), offered: ["DIGEST-MD5"], secure: true }
  let step = yield* DigestMd5.digestMd5.client(
    Mechanism.password(username, Redacted.make(password), authzid ?? undefined),
    context
  )
  const sent: Array<Uint8Array> = []
  for (const { base64, from } of vector.exchange) {
    if (from !== "server" || base64 === undefined || base64 === null || (base64 === "" && sent.length > 0)) continue
    if (step.next === undefined) return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", "one too many"))
    step = yield* step.next(octets(base64)).pipe(
      Effect.provideService(SecureRandom.SecureRandom, fixed(nonceOf(clientNonce) ?? new Uint8Array(18)))
    )
    if (step.response !== undefined) sent.push(Redacted.value(step.response))
  }
  return { sent, verified: step.verified }
})

describe("DIGEST-MD5 vectors", () => {
  it("are all here", () => assert.lengthOf(vectors, file.count))

  for (const vector of vectors) {
    const { exchange, id, inputs, outcome } = vector
    const fromClient = exchange.filter(({ from }) => from === "client").map(({ base64 }) => octets(base64))
    const published = DigestDirectives.parse(fromClient[0] ?? new Uint8Array(0))
    const ours = nonceOf(inputs.clientNonce ?? "") !== undefined && (inputs.digestUri ?? "smtp/").startsWith("smtp/")
    if (outcome.result === "client-abort") {
      it(`${id}: ${outcome.reason}`, () => {
        const result = Effect.runSync(Effect.result(play(vector)))
        assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, outcome.reason)
      })
      continue
    }
    if (ours) {
      it(`${id}: client`, () => {
        const { sent, verified } = Effect.runSync(play(vector))
        const directives = DigestDirectives.parse(sent[0] ?? new Uint8Array(0)) ?? []
        const value = (all: DigestDirectives.Directives | undefined, name: string) =>
          all?.find(([found]) => found === name)?.[1]
        for (const name of ["username", "realm", "nonce", "cnonce", "nc", "qop", "digest-uri", "response"]) {
          assert.strictEqual(value(directives, name), value(published, name), name)
        }
        assert.deepStrictEqual(sent.slice(1), fromClient.slice(1))
        assert.strictEqual(verified, outcome.result === "success")
      })
    }
    if (outcome.result === "success") {
      it(`${id}: server`, () => {
        const nonce = published?.find(([name]) => name === "nonce")?.[1] ?? ""
        const step = DigestMd5.digestMd5.server({
          host: "any",
          nonce,
          passwordOf: (user) => user === inputs.username ? Redacted.make(inputs.password) : undefined
        }, undefined)
        const proof = step._tag === "Challenge" ? step.next(fromClient[0] ?? new Uint8Array(0)) : step
        assert.strictEqual(proof._tag, "Challenge")
        if (proof._tag === "Challenge") {
          const expected = exchange.filter(({ from }) => from === "server")[1]
          assert.deepStrictEqual(proof.challenge, octets(expected?.base64))
          assert.deepStrictEqual(proof.next(new Uint8Array(0)), { _tag: "Accepted", identity: inputs.username })
        }
      })
    }
  }
})

const knows = ({ password, user }: Mechanism.Password): Mechanism.ServerContext => ({
  host: "mx.example",
  nonce: "bm9uY2U=",
  passwordOf: (name) => name === user ? password : undefined
})

describe("DIGEST-MD5 laws", () => {
  it("both sides agree exactly when the passwords do", () => {
    fc.assert(fc.property(Arbitraries.credentials, Arbitraries.credentials, (mine, other) => {
      assert.isTrue(Effect.runSync(Mechanism.duel(DigestMd5.digestMd5, mine, knows(mine))).accepted)
      if (Redacted.value(mine.password) === Redacted.value(other.password)) return
      const wrong = Effect.runSync(
        Effect.result(Mechanism.duel(DigestMd5.digestMd5, mine, { ...knows(mine), passwordOf: () => other.password }))
      )
      assert.isFalse(Result.isSuccess(wrong) && wrong.success.accepted)
    }))
  })

  it("no altered octet of the server's proof is believed", () => {
    fc.assert(
      fc.property(
        Arbitraries.credentials,
        fc.nat(1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (credentials, turn, at, bits) => {
          const alter: Mechanism.Alter = (bytes, from, n) => {
            if (from !== "server" || n !== turn) return bytes
            const out = bytes.slice()
            out[at % out.length] = (out[at % out.length] ?? 0) ^ bits
            return out
          }
          const result = Effect.runSync(
            Effect.result(Mechanism.duel(DigestMd5.digestMd5, credentials, knows(credentials), alter))
          )
          // The first challenge names things that may change and still be agreed on: then the proof is about what was changed.
          if (turn === 1) assert.isFalse(Result.isSuccess(result) && result.success.accepted && bits !== 0x20)
        }
      )
    )
  })

  it("any challenge whatever ends as typed", () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.array(
        fc.tuple(fc.constantFrom("realm", "nonce", "qop", "charset", "algorithm", "rspauth", "x"), fc.string()),
        { maxLength: 8 }
      )
        .map((all) =>
          new TextEncoder().encode(all.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(","))
        )
    )
    const context = { host: "h", offered: [], secure: true }
    fc.assert(fc.property(hostile, hostile, (first, second) => {
      const run = Effect.gen(function*() {
        const start = yield* DigestMd5.digestMd5.client(Mechanism.password("a", Redacted.make("b")), context)
        const one = start.next === undefined ? start : yield* start.next(first)
        return one.next === undefined ? one : yield* one.next(second)
      })
      const result = Effect.runSync(Effect.result(run))
      assert.isFalse(Result.isSuccess(result) && result.success.verified)
    }))
  })

  it("directives read back as they were written", () => {
    const text = fc.string({ unit: "grapheme" }).filter((it) => it.isWellFormed() && it.length < 60)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("username", "realm", "nonce", "x-unknown"), text), { maxLength: 6 }),
        (directives) => {
          assert.deepStrictEqual(
            DigestDirectives.parse(new TextEncoder().encode(DigestDirectives.format(directives))),
            directives
          )
        }
      )
    )
  })
})
