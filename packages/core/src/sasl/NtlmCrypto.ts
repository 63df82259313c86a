/**
 * What NTLMv2 computes (MS-NLMP 3.3.2): keys out of the password, the proof that the
 * client knows it, and the two things that tie the proof to this exchange.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { md5 } from "@noble/hashes/legacy.js"
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import * as Redacted from "effect/Redacted"
import { encryptBlock } from "./Des.ts"
import { md4 } from "./Md4.ts"

const hmacMd5 = (key: Uint8Array, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  hmac(md5, key, concatBytes(...parts))

/** Text as Windows has it: UTF-16, little-endian. */
export const utf16 = (text: string): Uint8Array => {
  const view = new DataView(new ArrayBuffer(2 * text.length))
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true)
  return new Uint8Array(view.buffer)
}

/** The text of UTF-16 octets; undefined for half a unit. */
export const fromUtf16 = (bytes: Uint8Array): string | undefined => {
  if (bytes.length % 2 !== 0) return undefined
  let text = ""
  for (let i = 0; i < bytes.length; i += 2) text += String.fromCharCode((bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8))
  return text
}

// Windows maps unit by unit and keeps the length: "ß" stays as it is.
const upper = (text: string): string =>
  text.replace(/[^]/g, (unit) => {
    const mapped = unit.toUpperCase()
    return mapped.length === 1 ? mapped : unit
  })

/** NTOWFv2: the key that user, domain and password make. Only the user's name is in upper case. */
export const responseKey = (user: string, domain: string, password: Redacted.Redacted<string>): Uint8Array =>
  hmacMd5(md4(utf16(Redacted.value(password))), utf16(upper(user) + domain))

/**
 * The response of NTLMv1 (MS-NLMP 3.3.1): the challenge encrypted by DES under the three
 * parts of the password's MD4.
 */
export const oldResponse = (password: Redacted.Redacted<string>, serverChallenge: Uint8Array): Uint8Array => {
  const key = new Uint8Array(21)
  key.set(md4(utf16(Redacted.value(password))))
  return concatBytes(...[0, 7, 14].map((at) => encryptBlock(spread(key.subarray(at, at + 7)), serverChallenge)))
}

// 56 bits, seven to an octet, as DES takes a key.
const spread = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: 8 }, (_, i) => {
    const pair = ((bytes[i - 1] ?? 0) << 8) | (bytes[i] ?? 0)
    return (pair >> i) & 0xfe
  })

/** Octets of the client's part besides the target information: 28 before it and 4 after it. */
export const proofOverhead = 32

/** `temp` of MS-NLMP 3.3.2, which is NTLMv2_CLIENT_CHALLENGE of 2.2.2.7: what the client adds to the challenge. */
export const clientPart = (time: Uint8Array, clientChallenge: Uint8Array, targetInfo: Uint8Array): Uint8Array => {
  const part = new Uint8Array(targetInfo.length + proofOverhead)
  part.set([1, 1])
  part.set(time, 8)
  part.set(clientChallenge, 16)
  part.set(targetInfo, 28)
  return part
}

/** NTProofStr: proves the key for both sides' challenges. */
export const proof = (key: Uint8Array, serverChallenge: Uint8Array, part: Uint8Array): Uint8Array =>
  hmacMd5(key, serverChallenge, part)

/** The LMv2 response, for servers without a clock; others get none. */
export const lmResponse = (key: Uint8Array, serverChallenge: Uint8Array, clientChallenge: Uint8Array): Uint8Array =>
  concatBytes(hmacMd5(key, serverChallenge, clientChallenge), clientChallenge)

/** SessionBaseKey, which is the exported session key too where no other was agreed. */
export const sessionKey = (key: Uint8Array, proof: Uint8Array): Uint8Array => hmacMd5(key, proof)

/** The MIC: over all three messages as they are on the wire, the place of the MIC itself zero. */
export const mic = (
  key: Uint8Array,
  negotiate: Uint8Array,
  challenge: Uint8Array,
  authenticate: Uint8Array
): Uint8Array => hmacMd5(key, negotiate, challenge, authenticate)

/** Z(16): that there is no channel to be bound to. */
export const noChannel = new Uint8Array(16)

/**
 * MsvAvChannelBindings: MD5 over a `gss_channel_bindings_struct` (RFC 2744 §3.11) without
 * addresses, whose application data is RFC 5929's, type and colon first.
 */
export const channelHash = (serverEndPoint: Uint8Array): Uint8Array => {
  const data = concatBytes(utf8ToBytes("tls-server-end-point:"), serverEndPoint)
  const header = new DataView(new ArrayBuffer(20))
  header.setUint32(16, data.length, true)
  return md5(concatBytes(new Uint8Array(header.buffer), data))
}
