import { assert, describe, it } from "@effect/vitest"
import { Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import { md4 } from "../../src/sasl/Md4.ts"
import * as Ntlm from "../../src/sasl/Ntlm.ts"
import * as Crypto from "../../src/sasl/NtlmCrypto.ts"
import * as Message from "../../src/sasl/NtlmMessage.ts"
import * as Server from "../../src/sasl/NtlmServer.ts"
import {
  ann,
  answer,
  challenge,
  client,
  domain,
  full,
  knows,
  none,
  offered,
  reasonOf,
  run,
  timestamp,
  unicode
} from "./ntlmExchange.ts"

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

  it("takes nothing out of the fixed fields for payload", () => {
    const pointing = (at: number, offset: number) => {
      const out = full.slice()
      new DataView(out.buffer).setUint32(at + 4, offset, true)
      return reasonOf(run(out))
    }
    for (const at of [12, 40]) {
      for (const offset of [0, 31, full.length, 0x7fffffff, 0xffffffff]) {
        assert.strictEqual(pointing(at, offset), "type2-bad-offset", `${at} to ${offset}`)
      }
    }
  })

  it("refuses to repeat more than an answer has room for", () => {
    const size = (octets: number) => challenge([{ id: 0x99, value: new Uint8Array(octets) }, timestamp])
    assert.strictEqual(reasonOf(run(size(65_400))), undefined)
    assert.strictEqual(reasonOf(run(size(65_510))), "challenge-too-long")
  })

  describe("a server", () => {
    const key = Crypto.responseKey("ann", "CORP", ann.password)
    const type1 = Message.negotiate(Message.Flag.unicode)
    const theirs = Result.getOrThrow(Message.readChallenge(offered))
    const time = theirs.targetInfo?.find(({ id }) => id === Message.Av.timestamp)?.value ?? none
    const micFlag = { id: Message.Av.flags, value: Message.uint32(Message.micProvided) }
    const honest = {
      time,
      pairs: [...theirs.targetInfo ?? [], micFlag] as ReadonlyArray<Message.AvPair>,
      proof: (right: Uint8Array): Uint8Array => right,
      lmResponse: new Uint8Array(24),
      flags: unicode,
      user: Crypto.utf16("ann")
    }

    /** What it says to a client that knows the password, does these things its own way, and seals them well. */
    const judged = (changes: Partial<typeof honest>, type2: Uint8Array = offered) => {
      const it = { ...honest, ...changes }
      const part = Crypto.clientPart(it.time, new Uint8Array(8), Message.writePairs(it.pairs))
      const proof = it.proof(Crypto.proof(key, theirs.serverChallenge, part))
      const unsealed = Message.authenticate({
        flags: it.flags,
        domain: Crypto.utf16("CORP"),
        user: it.user,
        workstation: none,
        lmResponse: it.lmResponse,
        ntResponse: Uint8Array.from([...proof, ...part])
      })
      const mic = Crypto.mic(Crypto.sessionKey(key, proof), type1, type2, unsealed)
      return Server.judge(knows(ann), { negotiate: type1, challenge: type2 }, Message.withMic(unsealed, mic))
    }

    it("accepts the answer that the next ones differ from", () =>
      assert.deepStrictEqual(judged({}), { _tag: "Accepted", identity: "CORP\\ann" }))

    const wrong = {
      "a wrong proof": { proof: (right: Uint8Array) => right.with(3, (right[3] ?? 0) ^ 1) },
      "another time": { time: Message.filetime(0n) },
      "no MIC announced": { pairs: theirs.targetInfo ?? [] },
      "a MIC announced with no": { pairs: [...theirs.targetInfo ?? [], { ...micFlag, value: Message.uint32(1) }] },
      "a pair left out": { pairs: honest.pairs.slice(1) },
      "a pair altered": { pairs: [{ id: Message.Av.domain, value: Crypto.utf16("EVIL") }, ...honest.pairs.slice(1)] },
      "an LM response": { lmResponse: new Uint8Array(24).fill(1) },
      "names that are not in Unicode": { flags: Message.Flag.oem },
      "half a character": { user: Uint8Array.of(0x61, 0, 0x6e) }
    }
    for (const [what, changes] of Object.entries(wrong)) {
      it(`refuses ${what}`, () => assert.strictEqual(judged(changes)._tag, "Refused"))
    }

    it("takes pairs that it did not send, and bits that it did not set", () => {
      const more = [{ id: 8, value: new Uint8Array(48) }, { ...micFlag, value: Message.uint32(6) }]
      assert.strictEqual(judged({ pairs: [...theirs.targetInfo ?? [], ...more] })._tag, "Accepted")
      const flags = (value: number) => ({ id: Message.Av.flags, value: Message.uint32(value) })
      const { flags: asked, targetInfo = [] } = theirs
      const constrained = Message.challenge(
        { flags: asked, serverChallenge: theirs.serverChallenge, targetInfo: [...targetInfo, flags(1)] },
        none
      )
      assert.strictEqual(judged({ pairs: [...targetInfo, flags(3)] }, constrained)._tag, "Accepted")
      assert.strictEqual(judged({ pairs: [...targetInfo, flags(2)] }, constrained)._tag, "Refused")
    })

    it("refuses a client without Unicode, and octets that are no message", () => {
      const problem = (first: Uint8Array) => {
        const step = Ntlm.ntlm.server(knows(ann), first)
        return step._tag === "Refused" ? step.problem : undefined
      }
      assert.strictEqual(problem(Message.negotiate(Message.Flag.oem)), "this NTLM client has no Unicode")
      assert.strictEqual(problem(Buffer.from("ann")), "this is no NTLM NEGOTIATE message")
      assert.strictEqual(problem(type1), undefined)
    })
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
