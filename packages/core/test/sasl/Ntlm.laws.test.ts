import { assert, describe, it } from "@effect/vitest"
import { Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { createHmac } from "node:crypto"
import { inspect } from "node:util"
import * as Arbitraries from "../../../testing/src/Arbitraries.ts"
import { md4 } from "../../src/sasl/Md4.ts"
import * as Ntlm from "../../src/sasl/Ntlm.ts"
import * as Crypto from "../../src/sasl/NtlmCrypto.ts"
import * as Message from "../../src/sasl/NtlmMessage.ts"
import * as Server from "../../src/sasl/NtlmServer.ts"

const mechanisms = [
  Ntlm.ntlm,
  Ntlm.msn,
  Ntlm.make({ initialResponse: true, workstation: "WS1", targetName: "SMTPSVC/mx" })
]
const mechanism = fc.constantFrom(...mechanisms)

/** The server that knows exactly one user. */
const knows = ({ password, user }: Mechanism.Password): Mechanism.ServerContext => ({
  host: "mx.example.org",
  nonce: "1896.697170952",
  now: 1_700_000_000_123,
  passwordOf: (name) => name === user ? password : undefined
})

const duel = (
  mechanism: Mechanism.Mechanism,
  credentials: Mechanism.Password,
  server: Mechanism.ServerContext,
  alter?: Mechanism.Alter
) => Effect.runSync(Effect.result(Mechanism.duel(mechanism, credentials, server, alter)))

const accepted = (result: Result.Result<Mechanism.Duel, Mechanism.SaslError>) =>
  Result.isSuccess(result) && result.success.accepted

const ann = Mechanism.password("CORP\\ann", Redacted.make("correct horse"))
const client: Mechanism.ClientContext = { host: "mx.example.org", offered: ["NTLM"], secure: true }
const none = new Uint8Array(0)

const bytesOf = ({ response }: Mechanism.ClientStep): Uint8Array =>
  response === undefined ? none : Redacted.value(response)

/** The Type 3 that answers a Type 2. */
const answer = Effect.fnUntraced(function*(
  type2: Uint8Array,
  credentials: Mechanism.Password = ann,
  options: Ntlm.Options = {},
  context: Mechanism.ClientContext = client
) {
  const first = yield* Ntlm.make({ ...options, initialResponse: true }).client(credentials, context)
  assert.isFalse(first.verified)
  const second = first.next === undefined ? first : yield* first.next(type2)
  assert.isTrue(second.verified)
  assert.isUndefined(second.next)
  return { type1: bytesOf(first), type3: bytesOf(second) }
})

const unicode = Message.Flag.unicode | Message.Flag.targetInfo
const serverChallenge = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const challenge = (targetInfo: ReadonlyArray<Message.AvPair> | undefined, flags: number = unicode) =>
  Message.challenge({ flags, serverChallenge, targetInfo }, Crypto.utf16("CORP"))

const timestamp = { id: Message.Av.timestamp, value: Message.filetime(1_700_000_000_000_000_000n) }
const domain = { id: Message.Av.domain, value: Crypto.utf16("CORP") }
const full = challenge([domain, timestamp])

/** What the server of these laws says with its Type 2. */
const offered = (() => {
  const step = Ntlm.ntlm.server(knows(ann), Message.negotiate(Message.Flag.unicode))
  return step._tag === "Challenge" ? step.challenge : none
})()

const run = (type2: Uint8Array, ...rest: [Mechanism.Password?, Ntlm.Options?, Mechanism.ClientContext?]) =>
  Effect.runSync(Effect.result(answer(type2, ...rest)))

const reasonOf = (result: Result.Result<unknown, Mechanism.SaslError>) =>
  Result.isFailure(result) ? result.failure.reason : undefined

const troubles = [
  "type2-truncated",
  "type2-bad-signature",
  "type2-bad-type",
  "type2-bad-offset",
  "type2-bad-av",
  "bad-challenge"
]

const change = (bytes: Uint8Array, edits: ReadonlyArray<readonly [at: number, octet: number]>) => {
  const out = bytes.slice()
  for (const [at, octet] of edits) if (out.length > 0) out[at % out.length] = octet
  return out
}

const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })

describe("NTLM laws", () => {
  it("accepts where the secrets are the same", () => {
    fc.assert(fc.property(mechanism, Arbitraries.credentials, (mechanism, credentials) => {
      const result = duel(mechanism, credentials, knows(credentials))
      assert.isTrue(accepted(result))
      if (Result.isSuccess(result)) assert.strictEqual(result.success.identity, credentials.user)
    }))
  })

  it("accepts no other secret, and no other user", () => {
    fc.assert(fc.property(mechanism, Arbitraries.credentials, Arbitraries.credentials, (mechanism, one, other) => {
      const samePassword = Redacted.value(one.password) === Redacted.value(other.password)
      assert.strictEqual(accepted(duel(mechanism, one, knows(other))), samePassword && one.user === other.user)
      assert.strictEqual(accepted(duel(mechanism, { ...one, user: other.user }, knows(other))), samePassword)
    }))
  })

  it("no octet of any message can be changed", () => {
    fc.assert(
      fc.property(
        mechanism,
        Arbitraries.credentials,
        fc.nat(1),
        fc.constantFrom("client" as const, "server" as const),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (mechanism, credentials, turn, from, seed, bits) => {
          let touched = false
          const alter: Mechanism.Alter = (bytes, sender, at) => {
            if (sender !== from || at !== turn || bytes.length === 0) return bytes
            touched = true
            return change(bytes, [[seed, (bytes[seed % bytes.length] ?? 0) ^ bits]])
          }
          const result = duel(mechanism, credentials, knows(credentials), alter)
          assert.strictEqual(accepted(result), !touched)
          // Turned into a server without Unicode, it takes not every name.
          if (Result.isFailure(result)) {
            assert.include([...troubles, "invalid-char-in-credentials"], result.failure.reason)
          }
        }
      ),
      { numRuns: 3000 }
    )
  })

  it("each octet of each message counts", () => {
    const { challenges, responses } = Result.getOrThrow(duel(Ntlm.ntlm, ann, knows(ann)))
    const messages = [["client", 0, responses[0]], ["server", 1, challenges[1]], ["client", 1, responses[1]]] as const
    for (const [from, turn, message = none] of messages) {
      assert.isAbove(message.length, 39)
      for (let i = 0; i < message.length; i++) {
        const alter: Mechanism.Alter = (bytes, sender, at) =>
          sender === from && at === turn ? change(bytes, [[i, (bytes[i] ?? 0) ^ 1]]) : bytes
        assert.isFalse(accepted(duel(Ntlm.ntlm, ann, knows(ann), alter)), `${from} ${turn}, octet ${i}`)
      }
    }
  })

  it("a client takes any challenge: it answers or says what is wrong, within bounds", () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((tail) => Uint8Array.from(Buffer.concat([full.subarray(0, 12), tail]))),
      fc.tuple(fc.constantFrom(full, offered, challenge(undefined), challenge([])), edits).map(([bytes, edits]) =>
        change(bytes, edits)
      ),
      fc.tuple(fc.constantFrom(full, offered), fc.nat(200)).map(([bytes, length]) => bytes.slice(0, length))
    )
    fc.assert(
      fc.property(hostile, (bytes) => {
        const result = run(bytes)
        if (Result.isFailure(result)) {
          assert.include(troubles, result.failure.reason)
          assert.isNotEmpty(result.failure.detail)
        } else {
          const { type3 } = result.success
          assert.isAtMost(type3.length, 88 + 24 + 2 * bytes.length + 500)
          const nt = Message.readAuthenticate(type3)?.ntResponse
          assert.isAtLeast(nt?.length ?? 0, 48)
        }
      }),
      { numRuns: 3000 }
    )
  })

  it("a server takes any octets, and accepts none of them", () => {
    const real = Result.getOrThrow(duel(Ntlm.ntlm, ann, knows(ann))).responses
    const hostile = (message: Uint8Array = none) =>
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.tuple(fc.constant(message), edits).map(([bytes, edits]) => change(bytes, edits)),
        fc.nat(message.length).map((length) => message.slice(0, length))
      )
    fc.assert(
      fc.property(hostile(real[0]), hostile(real[1]), (first, second) => {
        let step = Ntlm.ntlm.server(knows(ann), first)
        if (step._tag === "Challenge") step = step.next(second)
        // The answer of another exchange, by chance unchanged, is an answer to another Type 1.
        if (Buffer.compare(first, real[0] ?? none) === 0 && Buffer.compare(second, real[1] ?? none) === 0) return
        assert.strictEqual(step._tag, "Refused")
      }),
      { numRuns: 3000 }
    )
  })

  it("a step taken twice does the same twice", () => {
    const first = Effect.runSync(Ntlm.ntlm.client(ann, client))
    const again = (step: Mechanism.ClientStep, bytes: Uint8Array) => {
      const [one, two] = [1, 2].map(() => Effect.runSync(step.next?.(bytes) ?? Effect.die("no next")))
      assert.deepStrictEqual(one && bytesOf(one), two && bytesOf(two))
      return one ?? step
    }
    assert.strictEqual(bytesOf(again(again(first, none), full))[8], 3)
  })

  it("errors, credentials and steps never show the password", () => {
    const challenges = [none, full.slice(0, 20), Buffer.from("ntlm supported"), full]
    const octets = [...Crypto.utf16("correct")].join(", ")
    for (const bytes of challenges) {
      const result = run(bytes)
      for (const shown of [JSON.stringify(result), inspect(result, { depth: Infinity, maxArrayLength: null })]) {
        assert.notInclude(shown, "correct horse")
        assert.notInclude(shown, octets)
      }
    }
    const step = Effect.runSync(Ntlm.ntlm.client(ann, client))
    assert.notInclude(inspect(step, { depth: Infinity, showHidden: true }), "correct horse")
  })
})

describe("NTLM", () => {
  it("is a last resort for user names and passwords, and takes any first challenge", () => {
    for (const mechanism of [Ntlm.ntlm, Ntlm.msn]) {
      assert.deepStrictEqual(mechanism.traits, { kind: "last-resort", withoutTls: false, anyChallenge: true })
      assert.isTrue(mechanism.accepts(ann))
      assert.isFalse(mechanism.accepts({ ...ann, authorizationId: "boss" }))
      assert.isFalse(mechanism.accepts({ _tag: "Anonymous", trace: undefined }))
    }
    // After an initial response there is no text to be read over.
    assert.isFalse(Ntlm.make({ initialResponse: true }).traits.anyChallenge)
  })

  it("refuses credentials that cannot be sent", () => {
    const reason = (user: string, password: string, options: Ntlm.Options = {}) =>
      reasonOf(run(full, Mechanism.password(user, Redacted.make(password)), options))
    assert.strictEqual(reason("", "p"), "empty-username")
    assert.strictEqual(reason("u", ""), "empty-password")
    assert.strictEqual(reason("u\0", "p"), "nul-in-credentials")
    assert.strictEqual(reason("u\n", "p"), "control-char-in-credentials")
    assert.strictEqual(reason("u\ud800", "p"), "malformed-credentials")
    assert.strictEqual(reason("u".repeat(32_768), "p"), "malformed-credentials")
    assert.strictEqual(reason("u", "p", { workstation: "w".repeat(32_768) }), "malformed-credentials")
    assert.strictEqual(reason("u".repeat(32_767), "p".repeat(100_000)), undefined)
  })

  const names = [
    ["ann", {}, "", "ann"],
    ["ann", { domain: "CORP" }, "CORP", "ann"],
    ["CORP\\ann", {}, "CORP", "ann"],
    ["CORP\\ann", { domain: "OTHER" }, "CORP", "ann"],
    ["CORP\\ann\\b", {}, "CORP", "ann\\b"],
    ["CORP\\ann@b", {}, "CORP", "ann@b"],
    ["ann@corp.example", { domain: "OTHER" }, "", "ann@corp.example"],
    ["msn/ann", {}, "", "msn/ann"],
    ["\\ann", {}, "", "\\ann"],
    ["CORP\\", {}, "", "CORP\\"]
  ] as const

  for (const [name, options, domain, user] of names) {
    it(`${name} with ${JSON.stringify(options)} is "${user}" of "${domain}"`, () => {
      const { type3 } = Result.getOrThrow(run(full, Mechanism.password(name, Redacted.make("p")), options))
      const message = Message.readAuthenticate(type3)
      assert.strictEqual(Crypto.fromUtf16(message?.user ?? none), user)
      assert.strictEqual(Crypto.fromUtf16(message?.domain ?? none), domain)
    })
  }

  it("the key has the user in upper case, unit by unit, and the domain as it is", () => {
    const expected = (text: string) =>
      createHmac("md5", md4(Crypto.utf16("p"))).update(Buffer.from(text, "utf16le")).digest("hex")
    const key = (user: string, domain: string) =>
      Buffer.from(Crypto.responseKey(user, domain, Redacted.make("p"))).toString("hex")
    assert.strictEqual(key("ann", "corp"), expected("ANNcorp"))
    assert.strictEqual(key("üß𐐨ﬁ", "ö"), expected("Üß𐐨ﬁö"))
  })

  it.effect("takes the time of the server, and its own where there is none", () =>
    Effect.gen(function*() {
      const timeOf = (type3: Uint8Array) => Message.readAuthenticate(type3)?.ntResponse.slice(24, 32)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(timeOf((yield* answer(full)).type3), timestamp.value)
      assert.deepStrictEqual(timeOf((yield* answer(challenge([domain]))).type3), Message.filetime(3_600_000_000_000n))
    }))

  it("answers a server with a clock with a MIC and no LM response, others with LMv2 and no MIC", () => {
    const zero = (size: number) => new Uint8Array(size)
    const timed = Result.getOrThrow(run(full)).type3
    assert.notDeepEqual(Message.micOf(timed), zero(16))
    assert.deepStrictEqual(Message.readAuthenticate(timed)?.lmResponse, zero(24))
    const untimed = Result.getOrThrow(run(challenge([domain]))).type3
    assert.deepStrictEqual(Message.micOf(untimed), zero(16))
    assert.notDeepEqual(Message.readAuthenticate(untimed)?.lmResponse, zero(24))
    for (const type2 of [challenge(undefined, Message.Flag.unicode), challenge([])]) {
      const nt = Message.readAuthenticate(Result.getOrThrow(run(type2)).type3)?.ntResponse
      assert.isAtLeast(nt?.length ?? 0, 48)
    }
  })

  it("each exchange has its own client challenge", () => {
    const challenges = Array.from(
      { length: 20 },
      () =>
        Buffer.from(Message.readAuthenticate(Result.getOrThrow(run(full)).type3)?.ntResponse.slice(32, 40) ?? [])
          .toString("hex")
    )
    assert.strictEqual(new Set(challenges).size, 20)
    const seven = SecureRandom.make((size) => new Uint8Array(size).fill(7))
    const { type3 } = Effect.runSync(Effect.provideService(answer(full), SecureRandom.SecureRandom, seven))
    assert.deepStrictEqual(Message.readAuthenticate(type3)?.ntResponse.slice(32, 40), new Uint8Array(8).fill(7))
  })

  const pairsOf = (type2: Uint8Array, options: Ntlm.Options = {}) => {
    const { type3 } = Result.getOrThrow(run(type2, ann, options))
    return Message.readPairs(Message.readAuthenticate(type3)?.ntResponse.subarray(44) ?? none)
      ?.map(({ id, value }) => `${id}:${Buffer.from(value).toString("hex")}`)
  }

  it("adds to the server's pairs what only the client knows, and takes none of that from the server", () => {
    const channel = `10:${"00".repeat(16)}`
    const time = `7:${Buffer.from(timestamp.value).toString("hex")}`
    const corp = "2:43004f0052005000"
    assert.deepStrictEqual(pairsOf(full), [corp, time, "6:02000000", channel, "9:"])
    assert.deepStrictEqual(pairsOf(challenge([domain])), [corp, channel, "9:"])
    assert.deepStrictEqual(pairsOf(full, { targetName: "a/b" }), [corp, time, "6:02000000", channel, "9:61002f006200"])
    const forged = [
      { id: Message.Av.channelBindings, value: new Uint8Array(16).fill(9) },
      { id: Message.Av.targetName, value: Crypto.utf16("evil") },
      { id: Message.Av.flags, value: Message.uint32(0x80000001) },
      timestamp
    ]
    assert.deepStrictEqual(pairsOf(challenge(forged)), ["6:03000080", time, channel, "9:"])
  })

  it("never asks for signing, sealing or key exchange, whatever the server offers", () => {
    const { type1, type3 } = Result.getOrThrow(run(challenge([domain, timestamp], -1)))
    const layers = 0x10 | 0x20 | 0x40000000
    assert.strictEqual((Message.readNegotiate(type1) ?? -1) & layers, 0)
    const flags = Message.readAuthenticate(type3)?.flags ?? -1
    assert.strictEqual(flags & layers, 0)
    assert.strictEqual(flags & (Message.Flag.oem | Message.Flag.unicode | Message.Flag.targetInfo), unicode)
  })

  it("sends ASCII to a server without Unicode, and nothing else", () => {
    const old = challenge([domain, timestamp], Message.Flag.oem | Message.Flag.targetInfo)
    const message = Message.readAuthenticate(Result.getOrThrow(run(old, ann, { workstation: "WS" })).type3)
    assert.strictEqual(Buffer.from(message?.user ?? none).toString(), "ann")
    assert.strictEqual(Buffer.from(message?.domain ?? none).toString(), "CORP")
    assert.strictEqual((message?.flags ?? 0) & (Message.Flag.oem | Message.Flag.unicode), Message.Flag.oem)
    assert.strictEqual(reasonOf(run(old, Mechanism.password("änn", Redacted.make("p")))), "invalid-char-in-credentials")
    assert.strictEqual(reasonOf(run(challenge([domain], Message.Flag.targetInfo))), "bad-challenge")
  })

  it("checks the list of pairs to its end", () => {
    const list = (bytes: ReadonlyArray<number>) => {
      const base = challenge([])
      const out = Uint8Array.from([...base.subarray(0, base.length - 4), ...bytes])
      new DataView(out.buffer).setUint16(40, bytes.length, true)
      return reasonOf(run(out))
    }
    assert.strictEqual(list([0, 0, 0, 0]), undefined)
    assert.strictEqual(list([2, 0, 2, 0, 0x44, 0, 0, 0, 0, 0]), undefined)
    assert.strictEqual(list([2, 0, 2, 0, 0x44, 0, 0, 0, 0, 0, 9, 9]), undefined)
    for (
      const bytes of [
        [2, 0, 2, 0, 0x44, 0],
        [2, 0, 2, 0, 0x44, 0, 1],
        [2, 0, 2, 0, 0x44, 0, 0, 0, 1, 0, 0],
        [2, 0, 3, 0, 0x44, 0],
        [2, 0, 0xff, 0xff, 0x44, 0, 0, 0, 0, 0],
        [6, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        [7, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0],
        [0]
      ]
    ) assert.strictEqual(list(bytes), "type2-bad-av", String(bytes))
  })

  it("refuses to repeat more than an answer has room for", () => {
    const size = (octets: number) => challenge([{ id: 0x99, value: new Uint8Array(octets) }, timestamp])
    assert.strictEqual(reasonOf(run(size(65_400))), undefined)
    assert.strictEqual(reasonOf(run(size(65_510))), "challenge-too-long")
  })

  describe("channel bindings", () => {
    const endPoint = (
      ...data: ReadonlyArray<number>
    ) => [{ type: "tls-server-end-point" as const, data: Uint8Array.from(data) }]
    const other = [{ type: "tls-exporter" as const, data: Uint8Array.of(1, 2, 3) }]

    const judged = (
      ours: Mechanism.ClientContext["channelBindings"],
      theirs: Mechanism.ServerContext["channelBindings"]
    ) => {
      const context = { ...knows(ann), channelBindings: theirs }
      const { type1, type3 } = Result.getOrThrow(run(offered, ann, {}, { ...client, channelBindings: ours }))
      return Server.judge(context, { negotiate: type1, challenge: offered }, type3)._tag
    }

    it("are checked where the server has a certificate", () => {
      assert.strictEqual(judged(endPoint(1, 2, 3), endPoint(1, 2, 3)), "Accepted")
      assert.strictEqual(judged([...other, ...endPoint(1, 2, 3)], [...endPoint(1, 2, 3), ...other]), "Accepted")
      assert.strictEqual(judged(endPoint(1, 2, 3), endPoint(1, 2, 4)), "Refused")
      assert.strictEqual(judged(undefined, endPoint(1, 2, 3)), "Refused")
      assert.strictEqual(judged(other, endPoint(1, 2, 3)), "Refused")
      assert.strictEqual(judged(endPoint(1, 2, 3), undefined), "Accepted")
      assert.strictEqual(judged(undefined, other), "Accepted")
    })
  })
})
