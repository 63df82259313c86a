/**
 * What the tests of NTLM share: one user, a server that knows her, and Type 2 messages.
 */
import { assert } from "@effect/vitest"
import { Mechanism } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import * as Ntlm from "../../src/sasl/Ntlm.ts"
import * as Crypto from "../../src/sasl/NtlmCrypto.ts"
import * as Message from "../../src/sasl/NtlmMessage.ts"

/** The server that knows exactly one user. */
export const knows = ({ password, user }: Mechanism.Password): Mechanism.ServerContext => ({
  host: "mx.example.org",
  nonce: "1896.697170952",
  now: 1_700_000_000_123,
  passwordOf: (name) => name === user ? password : undefined
})

export const ann = Mechanism.password("CORP\\ann", Redacted.make("correct horse"))
export const client: Mechanism.ClientContext = { host: "mx.example.org", offered: ["NTLM"], secure: true }
export const none = new Uint8Array(0)

export const bytesOf = ({ response }: Mechanism.ClientStep): Uint8Array =>
  response === undefined ? none : Redacted.value(response)

/** The Type 3 that answers a Type 2. */
export const answer = Effect.fnUntraced(function*(
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

export const unicode = Message.Flag.unicode | Message.Flag.targetInfo
const serverChallenge = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
export const challenge = (targetInfo: ReadonlyArray<Message.AvPair> | undefined, flags: number = unicode) =>
  Message.challenge({ flags, serverChallenge, targetInfo }, Crypto.utf16("CORP"))

export const timestamp = { id: Message.Av.timestamp, value: Message.filetime(1_700_000_000_000_000_000n) }
export const domain = { id: Message.Av.domain, value: Crypto.utf16("CORP") }
export const full = challenge([domain, timestamp])

/** What the server that knows her says with its Type 2. */
export const offered = (() => {
  const step = Ntlm.ntlm.server(knows(ann), Message.negotiate(Message.Flag.unicode))
  return step._tag === "Challenge" ? step.challenge : none
})()

export const run = (type2: Uint8Array, ...rest: [Mechanism.Password?, Ntlm.Options?, Mechanism.ClientContext?]) =>
  Effect.runSync(Effect.result(answer(type2, ...rest)))

export const reasonOf = (result: Result.Result<unknown, Mechanism.SaslError>) =>
  Result.isFailure(result) ? result.failure.reason : undefined
