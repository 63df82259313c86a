/**
 * The server's side of NTLM: a challenge that asks for all that NTLMv2 has, and the
 * judgement of what answers it. What has less is refused, whatever it proves.
 */
import { md5 } from "@noble/hashes/legacy.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import * as Result from "effect/Result"
import * as Mechanism from "./Mechanism.ts"
import * as Crypto from "./NtlmCrypto.ts"
import * as Message from "./NtlmMessage.ts"

const flags = Message.Flag.unicode | Message.Flag.requestTarget | Message.Flag.ntlm | Message.Flag.alwaysSign
  | Message.Flag.targetTypeServer | Message.Flag.extendedSessionSecurity | Message.Flag.targetInfo
  | Message.Flag.version | Message.Flag.key128 | Message.Flag.key56

/** Begins the server's side of an exchange; an empty challenge asks for what should have come with AUTH. */
export const begin = (
  context: Mechanism.ServerContext,
  initialResponse: Uint8Array | undefined
): Mechanism.ServerStep => {
  const withNegotiate = (negotiate: Uint8Array): Mechanism.ServerStep => {
    const offered = Message.readNegotiate(negotiate)
    if (offered === undefined) return { _tag: "Refused", problem: "this is no NTLM NEGOTIATE message" }
    if ((offered & Message.Flag.unicode) === 0) return { _tag: "Refused", problem: "this NTLM client has no Unicode" }
    const challenge = challengeOf(context)
    return { _tag: "Challenge", challenge, next: (response) => judge(context, { negotiate, challenge }, response) }
  }
  return initialResponse === undefined
    ? { _tag: "Challenge", challenge: new Uint8Array(0), next: withNegotiate }
    : withNegotiate(initialResponse)
}

const challengeOf = (context: Mechanism.ServerContext): Uint8Array => {
  const [label = ""] = context.host.split(".")
  // The names of NetBIOS: one label, of 15 characters.
  const computer = Crypto.utf16(label.slice(0, 15).toUpperCase())
  const targetInfo = [
    { id: Message.Av.domain, value: computer },
    { id: Message.Av.computer, value: computer },
    { id: Message.Av.dnsComputer, value: Crypto.utf16(context.host) },
    { id: Message.Av.timestamp, value: Message.filetime(BigInt(Math.floor(context.now ?? 0)) * 1_000_000n) }
  ]
  const serverChallenge = md5(utf8ToBytes(context.nonce)).slice(0, 8)
  return Message.challenge({ flags, serverChallenge, targetInfo }, computer)
}

/** What was on the wire before the answer. */
export interface Sent {
  readonly negotiate: Uint8Array
  readonly challenge: Uint8Array
}

const refused = (problem: string): Mechanism.ServerStep => ({ _tag: "Refused", problem })

// One answer to every wrong proof: which part of it is wrong is nobody's business.
const invalid = refused("authentication credentials invalid")

/** Judges a Type 3, by all that the Type 2 asked for. */
export const judge = (context: Mechanism.ServerContext, sent: Sent, response: Uint8Array): Mechanism.ServerStep => {
  const challenge = Result.getOrUndefined(Message.readChallenge(sent.challenge))
  const message = Message.readAuthenticate(response)
  if (challenge === undefined || message === undefined) return refused("this is no NTLM AUTHENTICATE message")
  if ((message.flags & Message.Flag.unicode) === 0) return refused("Unicode was agreed on and not used")
  const [domain, user] = [message.domain, message.user].map(Crypto.fromUtf16)
  if (domain === undefined || user === undefined) return refused("a name is no UTF-16")
  const proof = message.ntResponse.slice(0, 16)
  const part = message.ntResponse.slice(16)
  const answered = readPart(part)
  if (answered === undefined) return refused("only NTLMv2 is accepted")
  const identity = domain === "" ? user : `${domain}\\${user}`
  const password = context.passwordOf(identity)
  if (password === undefined) return invalid
  const key = Crypto.responseKey(user, domain, password)
  if (!same(proof, Crypto.proof(key, challenge.serverChallenge, part))) return invalid
  if (!repeats(challenge.targetInfo ?? [], answered.pairs)) return invalid
  const binding = context.channelBindings?.find(({ type }) => type === "tls-server-end-point")
  if (
    binding !== undefined
    && !same(valueOf(answered.pairs, Message.Av.channelBindings), Crypto.channelHash(binding.data))
  ) {
    return invalid
  }
  const timestamp = valueOf(challenge.targetInfo ?? [], Message.Av.timestamp)
  if (timestamp !== undefined) {
    const mic = Message.micOf(response)
    const announced = valueOf(answered.pairs, Message.Av.flags)
    if (mic === undefined || announced === undefined || (Message.readUint32(announced) & Message.micProvided) === 0) {
      return invalid
    }
    if (!same(answered.time, timestamp) || !message.lmResponse.every((octet) => octet === 0)) return invalid
    const unsealed = Message.withMic(response, new Uint8Array(mic.length))
    if (!same(mic, Crypto.mic(Crypto.sessionKey(key, proof), sent.negotiate, sent.challenge, unsealed))) return invalid
  }
  return { _tag: "Accepted", identity }
}

// The client's part of an NTLMv2 response; older ones have 24 octets in all, and so 8 here.
const readPart = (part: Uint8Array) => {
  if (part.length < Crypto.proofOverhead || part[0] !== 1 || part[1] !== 1) return undefined
  const pairs = Message.readPairs(part.subarray(28))
  return pairs === undefined ? undefined : { time: part.subarray(8, 16), pairs }
}

const valueOf = (pairs: ReadonlyArray<Message.AvPair>, id: number): Uint8Array | undefined =>
  pairs.find((pair) => pair.id === id)?.value

// All that the server said of itself comes back as it was; the client's flags come on top of the server's.
const repeats = (pairs: ReadonlyArray<Message.AvPair>, answered: ReadonlyArray<Message.AvPair>): boolean =>
  pairs.every(({ id, value }) => {
    const back = valueOf(answered, id)
    if (id !== Message.Av.flags || back === undefined) return same(back, value)
    return (Message.readUint32(value) & ~Message.readUint32(back)) === 0
  })

const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Mechanism.sameText(bytesToHex(a), bytesToHex(b))
