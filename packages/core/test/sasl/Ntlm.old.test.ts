/** NTLMv1: only by name, and then as MS-NLMP publishes it. DES by the tests of the standard. */
import { assert, describe, it } from "@effect/vitest"
import { Mechanism, Ntlm } from "@postern/core"
import { Effect, Redacted } from "effect"
import { encryptBlock } from "../../src/sasl/Des.ts"
import * as Message from "../../src/sasl/NtlmMessage.ts"
import file from "../vectors/NTLM.json" with { type: "json" }

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"))
const toHex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex")

describe("DES", () => {
  // Key, plaintext and ciphertext of the NBS tests that go through every entry of the S-boxes.
  it.each([
    ["7ca110454a1a6e57", "01a1d6d039776742", "690f5b0d9a26939b"],
    ["0131d9619dc1376e", "5cd54ca83def57da", "7a389d10354bd271"],
    ["07a1133e4a0b2686", "0248d43806f67172", "868ebb51cab4599a"],
    ["3849674c2602319e", "51454b582ddf440a", "7178876e01f19b2a"],
    ["04b915ba43feb5b6", "42fd443059577fa2", "af37fb421f8c4095"],
    ["0113b970fd34f2ce", "059b5e0851cf143a", "86a560f10ec6d85b"],
    ["0170f175468fb5e6", "0756d8e0774761d2", "0cd3da020021dc09"],
    ["43297fad38e373fe", "762514b829bf486a", "ea676b2cb7db2b7a"],
    ["07a7137045da2a16", "3bdd119049372802", "dfd64a815caf1a0f"],
    ["04689104c2fd3b2f", "26955f6835af609a", "5c513c9c4886c088"],
    ["37d06bb516cb7546", "164d5e404f275232", "0a2aeeae3ff4ab77"],
    ["1f08260d1ac2465e", "6b056e18759f5cca", "ef1bf03e5dfa575a"],
    ["584023641aba6176", "004bd6ef09176062", "88bf0db6d70dee56"],
    ["025816164629b007", "480d39006ee762f2", "a1f9915541020b56"],
    ["49793ebc79b3258f", "437540c8698f3cfa", "6fbf1cafcffd0556"],
    ["4fb05e1515ab73a7", "072d43a077075292", "2f22e49bab7ca1ac"],
    ["49e95d6d4ca229bf", "02fe55778117f12a", "5a6b612cc26cce4a"],
    ["018310dc409b26d6", "1d9d5c5018f728c2", "5f4c038ed12b2e41"],
    ["1c587f1c13924fef", "305532286d6f295a", "63fac0d034d9f793"],
    ["133457799bbcdff1", "0123456789abcdef", "85e813540f0ab405"]
  ])("%s", (key, plain, encrypted) => {
    assert.strictEqual(toHex(encryptBlock(hex(key), hex(plain))), encrypted)
  })
})

interface Vector {
  readonly id: string
  readonly exchange: ReadonlyArray<{ readonly base64?: string | undefined }>
  readonly expected?: { readonly publishedNtlmV1?: { readonly ntResponse: string } | undefined } | undefined
}

const published = (file.vectors as ReadonlyArray<Vector>).find(({ id }) => id === "ntlm/ms-nlmp-4.2.2-ntlmv1-refused")

/** The Type 1 and Type 3 messages of a client that gets the published Type 2. */
const answer = (mechanism: Mechanism.Mechanism) => {
  const type2 = Uint8Array.from(Buffer.from(published?.exchange[0]?.base64 ?? "", "base64"))
  const run = Effect.gen(function*() {
    const context = { host: "Server", offered: [mechanism.name], secure: true }
    const started = yield* mechanism.client(Mechanism.password("Domain\\User", Redacted.make("Password")), context)
    assert.isDefined(started.next)
    const first = started.next === undefined ? started : yield* started.next(new Uint8Array(0))
    const last = first.next === undefined ? first : yield* first.next(type2)
    const octets = (step: Mechanism.ClientStep) =>
      step.response === undefined ? new Uint8Array(0) : Redacted.value(step.response)
    return { negotiate: Message.readNegotiate(octets(first)), message: Message.readAuthenticate(octets(last)) }
  })
  return Effect.runSync(run)
}

describe("NTLMv1", () => {
  const expected = published?.expected?.publishedNtlmV1?.ntResponse ?? "missing"

  it("is sent by a mechanism made with version 1, as MS-NLMP 4.2.2 publishes it", () => {
    const { message, negotiate } = answer(Ntlm.make({ version: 1, workstation: "COMPUTER" }))
    assert.lengthOf(expected, 48)
    assert.strictEqual(toHex(message?.ntResponse), expected)
    assert.strictEqual(toHex(message?.lmResponse), expected)
    assert.strictEqual((negotiate ?? 0) & Message.Flag.extendedSessionSecurity, 0)
    assert.strictEqual((message?.flags ?? 0) & Message.Flag.extendedSessionSecurity, 0)
  })

  it("is not sent by any other, whatever the server asks for", () => {
    for (const mechanism of [Ntlm.ntlm, Ntlm.msn, Ntlm.make({ version: 2 })]) {
      const { message } = answer(mechanism)
      assert.isAbove(message?.ntResponse.length ?? 0, 24)
      assert.notInclude(toHex(message?.ntResponse) + toHex(message?.lmResponse), expected)
    }
  })

  it("is refused by our server with the right password", () => {
    const duel = Mechanism.duel(Ntlm.make({ version: 1 }), Mechanism.password("ann", Redacted.make("pencil")), {
      host: "mx.example",
      nonce: "n",
      passwordOf: () => Redacted.make("pencil")
    })
    assert.isFalse(Effect.runSync(duel).accepted)
  })
})
