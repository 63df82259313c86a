/**
 * Published and generated exchanges of NTLM and MSN. No two clients order their messages
 * alike, so what the client sends is read here by hand and compared field by field, and
 * what other clients sent is given to the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ChannelBinding, Mechanism } from "@postern/core"
import { Clock, Effect, Redacted, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { createHmac } from "node:crypto"
import { md4 } from "../../src/sasl/Md4.ts"
import * as Ntlm from "../../src/sasl/Ntlm.ts"
import * as Crypto from "../../src/sasl/NtlmCrypto.ts"
import * as Message from "../../src/sasl/NtlmMessage.ts"
import * as Server from "../../src/sasl/NtlmServer.ts"
import msn from "../vectors/MSN.json" with { type: "json" }
import ntlm from "../vectors/NTLM.json" with { type: "json" }
import { octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly mechanism: string
  readonly inputs: {
    readonly username?: string | undefined
    readonly password?: string | undefined
    readonly domain?: string | undefined
    readonly workstation?: string | undefined
    readonly targetName?: string | null | undefined
    readonly serverChallengeHex?: string | undefined
    readonly clientChallengeHex?: string | undefined
    readonly timestampFiletime?: string | undefined
    readonly timestampUsed?: string | undefined
    readonly targetInfoHex?: string | undefined
    readonly negotiateMessageHex?: string | undefined
    readonly channelBindingApplicationDataHex?: string | null | undefined
    readonly initialResponse?: boolean | undefined
  }
  readonly exchange: ReadonlyArray<{
    readonly from: string
    readonly base64?: string | null | undefined
    readonly raw?: string | undefined
  }>
  readonly outcome: { readonly result: string; readonly reason?: string | undefined }
  readonly expected?: Readonly<Record<string, unknown>> | undefined
}

const vectors: ReadonlyArray<Vector> = [...ntlm.vectors, ...msn.vectors]

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex")
const unhex = (text: string | undefined) => Uint8Array.from(Buffer.from(text ?? "", "hex"))
const prefix = "tls-server-end-point:"

const bindingsOf = (
  { channelBindingApplicationDataHex: hex }: Vector["inputs"]
): ReadonlyArray<ChannelBinding.ChannelBinding> =>
  hex === undefined || hex === null ? [] : [{ type: "tls-server-end-point", data: unhex(hex).slice(prefix.length) }]

const clockOf = (filetime: string | undefined): Clock.Clock => {
  const nanos = (BigInt(filetime ?? "116444736000000000") - 116444736000000000n) * 100n
  const millis = Number(nanos / 1000000n)
  return {
    currentTimeMillisUnsafe: () => millis,
    currentTimeMillis: Effect.succeed(millis),
    currentTimeNanosUnsafe: () => nanos,
    currentTimeNanos: Effect.succeed(nanos),
    monotonicTimeNanosUnsafe: () => nanos,
    monotonicTimeNanos: Effect.succeed(nanos),
    sleep: () => Effect.never
  }
}

const randomOf = (hex: string | undefined) =>
  SecureRandom.make((size) => hex === undefined ? new Uint8Array(size) : unhex(hex))

const mechanismOf = ({ inputs, mechanism }: Vector) =>
  Ntlm.make({
    name: mechanism,
    domain: inputs.domain,
    workstation: inputs.workstation,
    targetName: inputs.targetName ?? undefined,
    initialResponse: inputs.initialResponse
  })

/** What the client sends in answer to the server's messages, octets as Authenticate would hand them over. */
const play = (vector: Vector) =>
  Effect.gen(function*() {
    const { inputs } = vector
    const mechanism = mechanismOf(vector)
    const credentials = Mechanism.password(inputs.username ?? "", Redacted.make(inputs.password ?? ""))
    const sent: Array<Uint8Array> = []
    let step = yield* mechanism.client(credentials, {
      host: "mx.example",
      offered: [vector.mechanism],
      secure: true,
      channelBindings: bindingsOf(inputs)
    })
    if (step.response !== undefined) sent.push(Redacted.value(step.response))
    // Some vectors begin with the Type 2.
    const [first] = vector.exchange
    const textMissing = first?.from === "server" && first.raw === undefined
    const challenges = vector.exchange.filter(({ from }) => from === "server")
      .map(({ base64, raw }) => raw === undefined ? octets(base64) : new TextEncoder().encode(raw.slice("334 ".length)))
    for (const challenge of textMissing ? [new Uint8Array(0), ...challenges] : challenges) {
      if (step.next === undefined) {
        return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", "one too many"))
      }
      step = yield* step.next(challenge)
      if (step.response !== undefined) sent.push(Redacted.value(step.response))
    }
    return { sent, verified: step.verified }
  }).pipe(
    Effect.provideService(SecureRandom.SecureRandom, randomOf(vector.inputs.clientChallengeHex)),
    Effect.provideService(Clock.Clock, clockOf(vector.inputs.timestampFiletime))
  )

/** The buffers of a message, read by hand. */
const buffersOf = (message: Uint8Array) => {
  const it = Buffer.from(message)
  const at = (place: number) => it.subarray(it.readUInt32LE(place + 4)).subarray(0, it.readUInt16LE(place))
  return {
    flags: it.readUInt32LE(60),
    lm: at(12),
    nt: at(20),
    domain: at(28).toString("utf16le"),
    user: at(36).toString("utf16le"),
    workstation: at(44).toString("utf16le"),
    sessionKey: at(52),
    mic: it.subarray(72, 88)
  }
}

/** Gives the server what is on the wire in a vector. */
const judge = ({ exchange, inputs }: Vector) => {
  const [type2, type3] = exchange.slice(-2).map(({ base64 }) => octets(base64))
  const type1 = inputs.negotiateMessageHex === undefined
    ? octets(exchange.find(({ from }) => from === "client")?.base64)
    : unhex(inputs.negotiateMessageHex)
  const identity = inputs.domain ? `${inputs.domain}\\${inputs.username}` : inputs.username ?? ""
  const context = {
    host: "mx.example",
    nonce: "n",
    passwordOf: (user: string) => user === identity ? Redacted.make(inputs.password ?? "") : undefined,
    channelBindings: bindingsOf(inputs)
  }
  const none = new Uint8Array(0)
  return { identity, end: Server.judge(context, { negotiate: type1, challenge: type2 ?? none }, type3 ?? none) }
}

const keyExchange = 0x40000000

/** Vectors that no mechanism sees, and why. */
const elsewhere = new Map([
  ["ntlm/not-supported", "a refusal is Authenticate's"],
  ["msn/504", "a refusal is Authenticate's"]
])

/** Reasons that are others here, and why. */
const otherwise = new Map([
  // Authenticate hands over text that is no base64 as it stands, and here it is no message.
  ["ntlm/type2-not-base64", "type2-bad-signature"],
  // The list has seven octets and the message says ten: it ends outside before it can be read.
  ["ntlm/av-single-octet-tail", "type2-bad-offset"]
])

const byResult = (result: string) => vectors.filter(({ outcome }) => outcome.result === result)

describe("NTLM vectors", () => {
  it("are all here, and each is one of those below", () => {
    assert.lengthOf(ntlm.vectors, ntlm.count)
    assert.lengthOf(msn.vectors, msn.count)
    const kinds = ["success", "crypto", "client-abort", "parse-only", "ntlmv2-or-abort", "framing", "server-reject"]
    for (const { outcome } of vectors) assert.include(kinds, outcome.result)
    assert.sameMembers(byResult("server-reject").map(({ id }) => id), [...elsewhere.keys()])
    assert.sameMembers(byResult("crypto").map(({ id }) => id), [
      "ntlm/ms-nlmp-4.2.4",
      "ntlm/windows-capture-cbt-mic",
      "ntlm/davenport-ntlmv2"
    ])
  })

  for (const vector of byResult("success")) {
    const { exchange, expected = {}, id, inputs } = vector
    it(`${id}: client`, () => {
      const { sent, verified } = Effect.runSync(play(vector))
      assert.isTrue(verified)
      assert.lengthOf(sent, 2)
      const [type1 = new Uint8Array(0), type3 = new Uint8Array(0)] = sent
      assert.strictEqual(hex(type1), "4e544c4d5353500001000000078208a2000000002800000000000000280000000a0063450000000f")
      const it = buffersOf(type3)
      assert.strictEqual(it.user, inputs.username)
      assert.strictEqual(it.domain, inputs.domain)
      assert.strictEqual(it.workstation, inputs.workstation)
      assert.strictEqual(hex(it.nt.subarray(0, 16)), expected.canonicalNtProofStr)
      assert.strictEqual(hex(it.nt.subarray(16, 24)), "0101000000000000")
      assert.strictEqual(it.nt.readBigUInt64LE(24).toString(), inputs.timestampUsed)
      assert.strictEqual(hex(it.nt.subarray(32, 40)), inputs.clientChallengeHex)
      assert.strictEqual(hex(it.nt.subarray(44, -4)), expected.canonicalTargetInfoHex)
      assert.lengthOf(it.sessionKey, 0)
      assert.strictEqual(it.flags & keyExchange, 0)
      const type2 = octets(exchange.findLast(({ from }) => from === "server")?.base64)
      const key = Buffer.from(String(expected.canonicalSessionBaseKey), "hex")
      const unsealed = Buffer.from(type3).fill(0, 72, 88)
      const mic = createHmac("md5", key).update(type1).update(type2).update(unsealed).digest("hex")
      assert.strictEqual(hex(it.mic), expected.micRequired === true ? mic : "00".repeat(16))
      assert.strictEqual(it.lm.length, 24)
      if (expected.micRequired === true) assert.strictEqual(hex(it.lm), expected.lmResponse)
    })

    const theirs = octets(exchange.at(-1)?.base64)
    it(`${id}: server`, () => {
      const { end, identity } = judge(vector)
      // This server never offers key exchange, and takes no MIC under another key.
      const accepted = (buffersOf(theirs).flags & keyExchange) === 0
      assert.strictEqual(end._tag, accepted ? "Accepted" : "Refused")
      if (end._tag === "Accepted") assert.strictEqual(end.identity, identity)
    })
  }

  for (const vector of byResult("client-abort")) {
    const reason = otherwise.get(vector.id) ?? vector.outcome.reason
    it(`${vector.id}: ${reason}`, () => {
      const result = Effect.runSync(Effect.result(play(vector)))
      assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, reason)
    })
  }

  for (const vector of byResult("ntlmv2-or-abort")) {
    it(`${vector.id}: NTLMv2 is all that is sent`, () => {
      const { sent } = Effect.runSync(play(vector))
      const { lm, nt } = buffersOf(sent[1] ?? new Uint8Array(0))
      assert.lengthOf(nt, 48)
      assert.strictEqual(hex(nt.subarray(16, 18)), "0101")
      const published = vector.expected?.publishedNtlmV1
      assert.include(JSON.stringify(published), "67c43011f30298a2ad35ece64f16331c44bdbed927841f94")
      assert.notInclude(JSON.stringify(published), hex(lm))
    })
  }

  for (const { exchange, expected = {}, id } of byResult("parse-only")) {
    it(id, () => {
      const [type1, type2, type3] = exchange.flatMap(({ base64 }) => typeof base64 === "string" ? [octets(base64)] : [])
      const challenge = Result.getOrThrow(Message.readChallenge(type2 ?? new Uint8Array(0)))
      assert.strictEqual(hex(challenge.serverChallenge), expected.type2ServerChallengeHex)
      assert.deepStrictEqual(
        challenge.targetInfo?.map(({ id, value }) => [id, Crypto.fromUtf16(value)]),
        expected.type2Av
      )
      if (expected.type2Flags !== undefined) assert.strictEqual(challenge.flags, Number(expected.type2Flags))
      if (expected.type1Flags !== undefined) {
        assert.strictEqual(Message.readNegotiate(type1 ?? new Uint8Array(0)), Number(expected.type1Flags))
      }
      if (type3 === undefined || type1 === undefined || type2 === undefined) return
      assert.lengthOf(Message.readAuthenticate(type3)?.ntResponse ?? [], Number(expected.type3NtResponseLength))
      const context = { host: "h", nonce: "n", passwordOf: () => Redacted.make("unknown") }
      assert.deepStrictEqual(Server.judge(context, { negotiate: type1, challenge: type2 }, type3), {
        _tag: "Refused",
        problem: "only NTLMv2 is accepted"
      })
    })
  }

  it("msn/swaks-wire: nothing goes with AUTH MSN, and any text asks for the first message", () => {
    const [vector] = byResult("framing")
    assert.strictEqual(Ntlm.msn.name, "MSN")
    assert.strictEqual(vector?.exchange[0]?.raw, "334 msn supported")
    const step = Effect.runSync(
      Ntlm.msn.client(Mechanism.password("User", Redacted.make("Password")), {
        host: "h",
        offered: ["MSN"],
        secure: true
      })
    )
    assert.isUndefined(step.response)
    for (const text of ["", "msn supported", "NTLM supported", "TlRMTVNTUAACAAAA", "\0\0"]) {
      const second = Effect.runSync(step.next?.(Buffer.from(text)) ?? Effect.die("no next"))
      assert.strictEqual(Buffer.from(Redacted.value(second.response ?? Redacted.make(Buffer.of()))).readUInt32LE(8), 1)
      assert.isFalse(second.verified)
    }
  })
})

describe("NTLM, published values", () => {
  const find = (id: string) => {
    const vector = vectors.find((vector) => vector.id === id)
    if (vector?.expected === undefined) throw new Error(id)
    const {
      clientChallengeHex,
      domain = "",
      password,
      serverChallengeHex,
      targetInfoHex,
      timestampFiletime,
      username = ""
    } = vector.inputs
    const key = Crypto.responseKey(username, domain, Redacted.make(password ?? ""))
    const nanoseconds = (BigInt(timestampFiletime ?? 0) - 116444736000000000n) * 100n
    const serverChallenge = unhex(serverChallengeHex)
    const clientChallenge = unhex(clientChallengeHex)
    const part = Crypto.clientPart(Message.filetime(nanoseconds), clientChallenge, unhex(targetInfoHex))
    return { vector, expected: vector.expected, key, serverChallenge, clientChallenge, part }
  }

  it("MS-NLMP 4.2.4", () => {
    const { clientChallenge, expected, key, part, serverChallenge, vector } = find("ntlm/ms-nlmp-4.2.4")
    assert.strictEqual(hex(md4(Crypto.utf16("Password"))), expected.ntowfv1)
    assert.strictEqual(hex(key), expected.responseKeyNT)
    assert.strictEqual(hex(part), expected.temp)
    const proof = Crypto.proof(key, serverChallenge, part)
    assert.strictEqual(hex(proof), expected.ntProofStr)
    assert.strictEqual(hex(proof) + hex(part), expected.ntChallengeResponse)
    assert.strictEqual(hex(Crypto.lmResponse(key, serverChallenge, clientChallenge)), expected.lmChallengeResponse)
    assert.strictEqual(hex(Crypto.sessionKey(key, proof)), expected.sessionBaseKey)
    assert.strictEqual(judge(vector).end._tag, "Accepted")
  })

  it("MS-NLMP 4.2.4: the same values out of a whole client", () => {
    const { expected, vector } = find("ntlm/ms-nlmp-4.2.4")
    const { sent } = Effect.runSync(play(vector))
    const { lm, nt } = buffersOf(sent[1] ?? new Uint8Array(0))
    assert.strictEqual(hex(lm), expected.lmChallengeResponse)
    assert.strictEqual(hex(nt.subarray(16, 44)), String(expected.temp).slice(0, 56))
  })

  it("the davenport paper", () => {
    const { clientChallenge, expected, key, part, serverChallenge } = find("ntlm/davenport-ntlmv2")
    assert.strictEqual(hex(key), expected.responseKeyNT)
    assert.strictEqual(hex(Crypto.proof(key, serverChallenge, part)), expected.ntProofStr)
    assert.strictEqual(hex(Crypto.lmResponse(key, serverChallenge, clientChallenge)), expected.lmv2)
  })

  it("a client of Windows, with channel bindings and MIC", () => {
    const { expected, key, serverChallenge, vector } = find("ntlm/windows-capture-cbt-mic")
    const [type2, type3] = vector.exchange.map(({ base64 }) => octets(base64))
    if (type2 === undefined || type3 === undefined) throw new Error("no messages")
    const { lm, mic, nt } = buffersOf(type3)
    const proof = Crypto.proof(key, serverChallenge, nt.subarray(16))
    assert.strictEqual(hex(proof), expected.ntProofStr)
    assert.strictEqual(hex(lm), expected.lmResponse)
    assert.deepStrictEqual(Message.readPairs(nt.subarray(44))?.map(({ id }) => id), expected.avIds)
    const [binding] = bindingsOf(vector.inputs)
    assert.strictEqual(hex(Crypto.channelHash(binding?.data ?? new Uint8Array(0))), expected.channelBindingHash)
    const unsealed = Message.withMic(type3, new Uint8Array(16))
    const computed = Crypto.mic(
      Crypto.sessionKey(key, proof),
      unhex(vector.inputs.negotiateMessageHex),
      type2,
      unsealed
    )
    assert.strictEqual(hex(computed), expected.micHex)
    assert.strictEqual(hex(mic), expected.micHex)
    assert.deepStrictEqual(judge(vector).end, { _tag: "Accepted", identity: "WS2008R2\\Administrator" })
  })

  it("a client of this library answers that server as the client of Windows did", () => {
    const { vector } = find("ntlm/windows-capture-cbt-mic")
    const { sent } = Effect.runSync(play(vector))
    const ours = buffersOf(sent[1] ?? new Uint8Array(0))
    const theirs = buffersOf(octets(vector.exchange[1]?.base64))
    // All but MsvAvSingleHost, which is about the client's machine, and four zeros that follow the end.
    const pairs = (nt: Uint8Array) => Message.readPairs(nt.subarray(44))?.filter(({ id }) => id !== 8)
    assert.deepStrictEqual(
      pairs(ours.nt)?.map(({ id, value }) => [id, hex(value)]),
      pairs(theirs.nt)?.map(({ id, value }) => [id, hex(value)])
    )
    assert.strictEqual(hex(ours.nt.subarray(16, 44)), hex(theirs.nt.subarray(16, 44)))
    assert.strictEqual(ours.flags, theirs.flags)
    assert.strictEqual(ours.user + ours.domain + ours.workstation, theirs.user + theirs.domain + theirs.workstation)
  })
})
