import { assert, describe, it } from "@effect/vitest"
import { CramMd5, DigestMd5, Login, Mechanism, Ntlm, OAuthBearer, Plain, Scram, XOAuth2 } from "@postern/core"
import { Arbitraries, Deterministic } from "@postern/testing"
import { Effect, Layer, Redacted, Result } from "effect"
import * as Kdf from "effect/crypto/Kdf"
import * as fc from "fast-check"

const credentials = Mechanism.password("tim", Redacted.make("tanstaaf"))
const token: Mechanism.Token = {
  _tag: "Token",
  user: "tim",
  token: Effect.succeed(Redacted.make("ya29.x")),
  renew: undefined
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

// Quick keys: what is looked at here are messages.
const environment = Layer.merge(
  Deterministic.random(),
  Layer.succeed(Kdf.Kdf, { derive: (_algorithm, _secret, { length }) => Effect.succeed(new Uint8Array(length)) })
)

/** What a client says to these challenges in the end: its trouble, or that it goes on or is done. */
const clientSays = (mechanism: Mechanism.Mechanism, ...challenges: ReadonlyArray<Uint8Array>): string => {
  const play = Effect.gen(function*() {
    let step = yield* mechanism.client(/OAUTH/.test(mechanism.name) ? token : credentials, {
      host: "mx.example",
      offered: [mechanism.name],
      secure: true
    })
    for (const challenge of challenges) if (step.next !== undefined) step = yield* step.next(challenge)
    return step.refusal ?? (step.verified ? "done" : "goes on")
  })
  const result = Effect.runSync(Effect.result(Effect.provide(play, environment)))
  return Result.isSuccess(result) ? result.success : result.failure.reason
}

const { nonce, serverFirst } = (() => {
  const begin = Scram.scramSha256.client(credentials, { host: "h", offered: [], secure: true })
  const { response } = Effect.runSync(Effect.provide(begin, environment))
  const nonce = /r=(.*)$/.exec(response === undefined ? "" : text(Redacted.value(response)))?.[1] ?? ""
  return { nonce, serverFirst: Arbitraries.scramServerFirst(nonce) }
})()

/** For each fault what the client says. */
const table = <W extends string>(
  name: string,
  messages: { readonly faults: Readonly<Record<W, fc.Arbitrary<Uint8Array>>> },
  says: (message: Uint8Array) => string,
  expected: Readonly<Record<W, string | RegExp>>
) => {
  const all = Object.keys(messages.faults) as Array<W>
  it(`${name}: every fault has its answer here`, () => assert.sameMembers(all, Object.keys(expected)))
  it.each(all)(`${name}: %s`, (fault) => {
    fc.assert(
      fc.property(messages.faults[fault], (message) => {
        const said = says(message)
        const wanted = expected[fault]
        if (typeof wanted === "string") assert.strictEqual(said, wanted, text(message))
        else assert.match(said, wanted)
      }),
      { numRuns: 50 }
    )
  })
}

describe("challenges", () => {
  const runs = { numRuns: 100 }

  it("valid ones are answered", () => {
    fc.assert(
      fc.property(
        Arbitraries.loginUserPrompt.valid,
        Arbitraries.loginPasswordPrompt.valid,
        (user, password) => assert.strictEqual(clientSays(Login.login, user, password), "done")
      ),
      runs
    )
    fc.assert(
      fc.property(Arbitraries.cramChallenge.valid, (it) => {
        assert.strictEqual(clientSays(CramMd5.cramMd5, it), "done")
      }),
      runs
    )
    fc.assert(
      fc.property(serverFirst.valid, Arbitraries.scramServerFinal.valid, (first, final) => {
        assert.strictEqual(clientSays(Scram.scramSha256, first), "goes on")
        assert.strictEqual(clientSays(Scram.scramSha256, first, final), "server-signature-mismatch")
      }),
      runs
    )
    fc.assert(
      fc.property(Arbitraries.digestChallenge.valid, Arbitraries.digestProof.valid, (challenge, proof) => {
        assert.strictEqual(clientSays(DigestMd5.digestMd5, challenge), "goes on", text(challenge))
        assert.strictEqual(clientSays(DigestMd5.digestMd5, challenge, proof), "server-signature-mismatch")
      }),
      runs
    )
    fc.assert(
      fc.property(Arbitraries.ntlmChallenge.valid, (it) => {
        assert.strictEqual(clientSays(Ntlm.ntlm, new Uint8Array(0), it), "done")
      }),
      runs
    )
    fc.assert(
      fc.property(Arbitraries.oauthRefusal.valid, (it) => {
        assert.match(clientSays(XOAuth2.xoauth2, it), /^the token was refused: status "/)
      }),
      runs
    )
  })

  table("LOGIN, first", Arbitraries.loginUserPrompt, (it) => clientSays(Login.login, it), {
    "asks for the password": "login-prompt-mismatch"
  })
  table(
    "LOGIN, second",
    Arbitraries.loginPasswordPrompt,
    (it) => clientSays(Login.login, new TextEncoder().encode("Username:"), it),
    { "asks for the user name": "login-prompt-mismatch" }
  )
  // The challenge is any octets (RFC 2195 leaves its form to the server), but some.
  table("CRAM-MD5", Arbitraries.cramChallenge, (it) => clientSays(CramMd5.cramMd5, it), {
    "empty": "empty-challenge",
    "no angle brackets": "done",
    "no at sign": "done",
    "line end behind it": "done",
    "NUL behind it": "done",
    "text that is no UTF-8": "done"
  })
  table("SCRAM, first", serverFirst, (it) => clientSays(Scram.scramSha256, it), {
    "empty": "bad-server-first",
    "nonce of another exchange": "nonce-mismatch",
    "nonce not extended": "nonce-not-extended",
    "nonce with a blank": "bad-server-first",
    "no nonce": "bad-server-first",
    "empty salt": "bad-salt",
    "salt that is no base64": "bad-salt",
    "salt without padding": "bad-salt",
    "no salt": "bad-server-first",
    "no iterations": "bad-server-first",
    "iterations zero": "bad-iteration-count",
    "iterations below zero": "bad-iteration-count",
    "iterations with a zero first": "bad-iteration-count",
    "iterations with a letter": "bad-iteration-count",
    "iterations too few": "iteration-count-too-low",
    "iterations too many": "iteration-count-too-high",
    "attributes out of order": "bad-server-first",
    "attribute twice": "bad-server-first",
    "blank behind a comma": "bad-server-first",
    "line end behind it": "bad-iteration-count",
    "mandatory extension": "unsupported-extension",
    "error": "server-error"
  })
  const aFirst = new TextEncoder().encode(`r=${nonce}x,s=QUJD,i=4096`)
  table("SCRAM, last", Arbitraries.scramServerFinal, (it) => clientSays(Scram.scramSha256, aFirst, it), {
    "empty": "bad-server-final",
    "no attribute": "bad-server-final",
    "error": "server-error",
    "error without a value": "bad-server-final",
    "signature and error": "bad-server-final",
    "first message again": "bad-server-final",
    "line end before it": "bad-server-final"
  })
  table("DIGEST-MD5, first", Arbitraries.digestChallenge, (it) => clientSays(DigestMd5.digestMd5, it), {
    "empty": "bad-challenge",
    "no nonce": "bad-challenge",
    "empty nonce": "bad-challenge",
    "two nonces": "bad-challenge",
    "no algorithm": "bad-challenge",
    "two algorithms": "bad-challenge",
    "other algorithm": "bad-challenge",
    "other charset": "bad-challenge",
    "two charsets": "bad-challenge",
    "two maxbufs": "bad-challenge",
    "only security layers": "unsupported-qop",
    "qop without quotes": "bad-challenge",
    "quotes not closed": "bad-challenge",
    "text behind quotes": "bad-challenge",
    "blanks in place of commas": "bad-challenge",
    "longer than 2047 octets": "challenge-too-long",
    "rspauth in place of it": "bad-challenge"
  })
  const aChallenge = new TextEncoder().encode("nonce=\"x\",algorithm=md5-sess,qop=\"auth\"")
  table("DIGEST-MD5, last", Arbitraries.digestProof, (it) => clientSays(DigestMd5.digestMd5, aChallenge, it), {
    "empty": "server-signature-mismatch",
    "no name": "server-signature-mismatch",
    "digest too short": "server-signature-mismatch",
    "proof twice": "server-signature-mismatch",
    "challenge again": "server-signature-mismatch"
  })
  table("NTLM", Arbitraries.ntlmChallenge, (it) => clientSays(Ntlm.ntlm, new Uint8Array(0), it), {
    "empty": "type2-truncated",
    "other signature": "type2-bad-signature",
    "text in place of it": "type2-bad-signature",
    "Type 1 in place of it": "type2-bad-type",
    "Type 3 in place of it": "type2-bad-type",
    "cut before its fields end": "type2-truncated",
    "cut before the target information's place": "type2-truncated",
    "no character set": "bad-challenge",
    "name outside": "type2-bad-offset",
    "name within the fixed fields": "type2-bad-offset",
    "target information outside": "type2-bad-offset",
    "target information without an end": "type2-bad-av",
    "pair longer than what is there": "type2-bad-av",
    "timestamp of another length": "type2-bad-av",
    "flags of another length": "type2-bad-av",
    "end with a value": "type2-bad-av"
  })
  table("XOAUTH2 and OAUTHBEARER", Arbitraries.oauthRefusal, (it) => {
    const said = clientSays(XOAuth2.xoauth2, it)
    assert.strictEqual(clientSays(OAuthBearer.oauthBearer, it), said)
    return said
  }, {
    "empty": "the token was refused, without a word",
    "no JSON": /^the token was refused: "/,
    "JSON that is cut": /^the token was refused: "/,
    "JSON of no object": /^the token was refused: "/,
    "no status": /^the token was refused: scope "/,
    "status of another type": /^the token was refused: scope "/,
    "status with a line end": /^the token was refused: status "[^\r\n]*"/,
    "status with a prototype": "the token was refused: no status was given",
    "too long": /^the token was refused, with \d+ octets of explanation$/,
    "too deep": /^the token was refused: "/
  })
})

describe("responses", () => {
  const server: Mechanism.ServerContext = {
    host: "mx.example",
    nonce: "1896.697170952",
    passwordOf: (user) => Redacted.make(`the password of ${user}`),
    acceptsToken: () => true
  }
  const ends = (mechanism: Mechanism.Mechanism, response: Uint8Array, initial: boolean): string => {
    const step = mechanism.server(server, initial ? response : undefined)
    return initial || step._tag !== "Challenge" ? step._tag : step.next(response)._tag
  }

  it("what is nearly a message is refused", () => {
    const cases = [
      [Plain.plain, Arbitraries.plainResponse, true],
      [CramMd5.cramMd5, Arbitraries.cramResponse, false],
      [DigestMd5.digestMd5, Arbitraries.digestResponse, false],
      [XOAuth2.xoauth2, Arbitraries.xoauth2Response, true],
      [OAuthBearer.oauthBearer, Arbitraries.oauthBearerResponse, true],
      [Scram.scramSha1, Arbitraries.scramClientFirst, true],
      [Ntlm.ntlm, Arbitraries.ntlmNegotiate, true]
    ] as const
    for (const [mechanism, messages, initial] of cases) {
      fc.assert(
        fc.property(messages.nearly, ({ value, wrong }) => {
          assert.strictEqual(ends(mechanism, value, initial), "Refused", `${mechanism.name}: ${wrong}`)
        }),
        { numRuns: 200 }
      )
    }
  })

  it("valid ones get an answer that is no complaint about their form", () => {
    const form = (mechanism: Mechanism.Mechanism, response: Uint8Array, initial: boolean) => {
      const first = mechanism.server(server, initial ? response : undefined)
      const step = initial || first._tag !== "Challenge" ? first : first.next(response)
      return step._tag === "Refused" ? step.problem : step._tag
    }
    const cases = [
      [XOAuth2.xoauth2, Arbitraries.xoauth2Response, true, /Accepted/],
      [OAuthBearer.oauthBearer, Arbitraries.oauthBearerResponse, true, /Accepted/],
      [Plain.plain, Arbitraries.plainResponse, true, /credentials invalid|not authorized|Accepted/],
      [CramMd5.cramMd5, Arbitraries.cramResponse, false, /credentials invalid/],
      [DigestMd5.digestMd5, Arbitraries.digestResponse, false, /does not answer the challenge/],
      [Scram.scramSha1, Arbitraries.scramClientFirst, true, /Challenge/]
    ] as const
    for (const [mechanism, messages, initial, expected] of cases) {
      fc.assert(
        fc.property(messages.valid, (response) => {
          assert.match(form(mechanism, response, initial), expected, text(response))
        }),
        { numRuns: 50 }
      )
    }
  })

  it("NTLM's Type 3 is read, and proves nothing", () => {
    fc.assert(fc.property(Arbitraries.ntlmNegotiate.valid, Arbitraries.ntlmAuthenticate.valid, (one, three) => {
      const first = Ntlm.ntlm.server(server, one)
      const step = first._tag === "Challenge" ? first.next(three) : first
      assert.strictEqual(step._tag, "Refused")
    }))
  })

  it("no server takes hostile octets for a proof", () => {
    for (const mechanism of [Plain.plain, Login.login, CramMd5.cramMd5, DigestMd5.digestMd5, Ntlm.ntlm]) {
      fc.assert(
        fc.property(Arbitraries.saslMessage, Arbitraries.saslMessage, (one, two) => {
          let step = mechanism.server(server, undefined)
          for (const response of [one, two]) if (step._tag === "Challenge") step = step.next(response)
          assert.notStrictEqual(step._tag, "Accepted")
        })
      )
    }
  })
})
