/**
 * The three messages of NTLM (MS-NLMP 2.2.1): fixed fields, then a payload that they
 * point into. All that is read comes from strangers: no length and no offset is taken
 * before it is checked.
 */
import * as Result from "effect/Result"
import * as Mechanism from "./Mechanism.ts"

/** NEGOTIATE flags (MS-NLMP 2.2.2.5), as many as matter here. */
export const Flag = {
  unicode: 0x1,
  oem: 0x2,
  requestTarget: 0x4,
  ntlm: 0x200,
  alwaysSign: 0x8000,
  targetTypeServer: 0x20000,
  extendedSessionSecurity: 0x80000,
  targetInfo: 0x800000,
  version: 0x2000000,
  key128: 0x20000000,
  key56: 0x80000000
} as const

/** Ids of AV_PAIRs (MS-NLMP 2.2.2.1). */
export const Av = {
  end: 0,
  computer: 1,
  domain: 2,
  dnsComputer: 3,
  flags: 6,
  timestamp: 7,
  targetName: 9,
  channelBindings: 10
} as const

/** The bit of MsvAvFlags that says that there is a MIC. */
export const micProvided = 0x2

/** A fact about the server, or one that the client adds. */
export interface AvPair {
  readonly id: number
  readonly value: Uint8Array
}

/** Lengths of buffers are 16 bits. */
export const longestBuffer = 0xffff

const signature = Uint8Array.of(0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0)

// Windows 10, NTLM revision 15: servers look at the revision, people at the rest.
const version = Uint8Array.of(0x0a, 0, 0x63, 0x45, 0, 0, 0, 0x0f)

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

interface SecurityBuffer {
  /** Where among the fixed fields its length and offset are. */
  readonly at: number
  readonly value: Uint8Array
}

interface Layout {
  readonly type: 1 | 2 | 3
  /** Octets before the payload. */
  readonly size: number
  readonly flagsAt: number
  readonly versionAt: number
}

const negotiateLayout: Layout = { type: 1, size: 40, flagsAt: 12, versionAt: 32 }
const challengeLayout: Layout = { type: 2, size: 56, flagsAt: 20, versionAt: 48 }
const authenticateLayout: Layout = { type: 3, size: 88, flagsAt: 60, versionAt: 64 }

// Octets of a challenge: up to the server's challenge, and with the target information's place.
const leastChallenge = 32
const leastWithTargetInfo = 48

// The fixed fields of AUTHENTICATE that everybody sends; version and MIC came later.
const leastAuthenticate = 64
const micAt = 72

const write = (layout: Layout, flags: number, buffers: ReadonlyArray<SecurityBuffer>): Uint8Array => {
  const message = new Uint8Array(buffers.reduce((size, { value }) => size + value.length, layout.size))
  const view = viewOf(message)
  message.set(signature)
  view.setUint32(8, layout.type, true)
  view.setUint32(layout.flagsAt, flags, true)
  if ((flags & Flag.version) !== 0) message.set(version, layout.versionAt)
  let offset = layout.size
  for (const { at, value } of buffers) {
    view.setUint16(at, value.length, true)
    view.setUint16(at + 2, value.length, true)
    view.setUint32(at + 4, offset, true)
    message.set(value, offset)
    offset += value.length
  }
  return message
}

// What a buffer holds; undefined when it is not all in the payload.
const read = (message: Uint8Array, at: number, payload: number): Uint8Array | undefined => {
  const view = viewOf(message)
  const length = view.getUint16(at, true)
  const offset = view.getUint32(at + 4, true)
  if (length === 0) return new Uint8Array(0)
  return offset >= payload && offset + length <= message.length ? message.slice(offset, offset + length) : undefined
}

const none = new Uint8Array(0)

/** Type 1: what the client can. It names nobody yet. */
export const negotiate = (flags: number): Uint8Array =>
  write(negotiateLayout, flags, [{ at: 16, value: none }, { at: 24, value: none }])

/** The flags of a Type 1; undefined when it is none. */
export const readNegotiate = (message: Uint8Array): number | undefined =>
  message.length >= 16 && isOfType(message, 1) ? viewOf(message).getUint32(negotiateLayout.flagsAt, true) : undefined

const isOfType = (message: Uint8Array, type: number): boolean =>
  signature.every((octet, i) => message[i] === octet) && viewOf(message).getUint32(8, true) === type

/** Type 2, as far as a client needs it. */
export interface Challenge {
  readonly flags: number
  /** Eight octets. */
  readonly serverChallenge: Uint8Array
  /** Undefined when the server sent none, as those do that know NTLMv1 only. */
  readonly targetInfo: ReadonlyArray<AvPair> | undefined
}

/** Writes a Type 2. */
export const challenge = (it: Required<Challenge>, targetName: Uint8Array): Uint8Array => {
  const targetInfo = it.targetInfo === undefined ? none : writePairs(it.targetInfo)
  const message = write(challengeLayout, it.flags, [{ at: 12, value: targetName }, { at: 40, value: targetInfo }])
  message.set(it.serverChallenge, 24)
  return message
}

const fail = (reason: Mechanism.Trouble, detail: string) =>
  Result.fail(Mechanism.saslError(reason, `the NTLM challenge ${detail}`))

/** Reads a Type 2. Fails with the first rule of MS-NLMP 2.2.1.2 that it breaks. */
export const readChallenge = (message: Uint8Array): Result.Result<Challenge, Mechanism.SaslError> => {
  // As far as it goes: text in place of a message is told from a message cut short.
  if (message.some((octet, i) => i < signature.length && octet !== signature[i])) {
    return fail("type2-bad-signature", "does not begin with NTLMSSP")
  }
  if (message.length < leastChallenge) {
    return fail("type2-truncated", `has ${message.length} octets and no room for its fields`)
  }
  if (!isOfType(message, 2)) return fail("type2-bad-type", "is a message of another type")
  const flags = viewOf(message).getUint32(challengeLayout.flagsAt, true)
  if ((flags & (Flag.unicode | Flag.oem)) === 0) return fail("bad-challenge", "allows no character set")
  const hasTargetInfo = (flags & Flag.targetInfo) !== 0
  if (hasTargetInfo && message.length < leastWithTargetInfo) {
    return fail("type2-truncated", "promises target information and has no room to say where")
  }
  const targetName = read(message, 12, leastChallenge)
  const targetInfo = hasTargetInfo ? read(message, 40, leastWithTargetInfo) : none
  if (targetName === undefined || targetInfo === undefined) return fail("type2-bad-offset", "points outside of itself")
  const pairs = targetInfo.length === 0 ? [] : readPairs(targetInfo)
  if (pairs === undefined) return fail("type2-bad-av", "has target information that is no list of AV pairs")
  return Result.succeed({
    flags,
    serverChallenge: message.slice(24, 32),
    targetInfo: hasTargetInfo ? pairs : undefined
  })
}

/** Type 3: who the client is, and its proof. Texts are encoded already, by what the flags say. */
export interface Authenticate {
  readonly flags: number
  readonly domain: Uint8Array
  readonly user: Uint8Array
  readonly workstation: Uint8Array
  readonly lmResponse: Uint8Array
  readonly ntResponse: Uint8Array
}

/** Writes a Type 3; the place of its MIC is there, and zero. */
export const authenticate = (it: Authenticate): Uint8Array =>
  write(authenticateLayout, it.flags, [
    { at: 28, value: it.domain },
    { at: 36, value: it.user },
    { at: 44, value: it.workstation },
    { at: 12, value: it.lmResponse },
    { at: 20, value: it.ntResponse },
    { at: 52, value: none }
  ])

/** Reads a Type 3; undefined when it is none. */
export const readAuthenticate = (message: Uint8Array): Authenticate | undefined => {
  if (message.length < leastAuthenticate || !isOfType(message, 3)) return undefined
  const [lmResponse, ntResponse, domain, user, workstation] = [12, 20, 28, 36, 44].map((at) =>
    read(message, at, leastAuthenticate)
  )
  return lmResponse && ntResponse && domain && user && workstation
    ? {
      flags: viewOf(message).getUint32(authenticateLayout.flagsAt, true),
      lmResponse,
      ntResponse,
      domain,
      user,
      workstation
    }
    : undefined
}

/** The MIC of a Type 3; undefined where there is no room for one. */
export const micOf = (message: Uint8Array): Uint8Array | undefined =>
  message.length < authenticateLayout.size ? undefined : message.slice(micAt, micAt + 16)

/** A Type 3, which has room for it, with this MIC. */
export const withMic = (message: Uint8Array, mic: Uint8Array): Uint8Array => {
  const sealed = message.slice()
  sealed.set(mic, micAt)
  return sealed
}

/** Writes AV pairs and the pair that ends them. */
export const writePairs = (pairs: ReadonlyArray<AvPair>): Uint8Array => {
  const bytes = new Uint8Array(pairs.reduce((size, { value }) => size + 4 + value.length, 4))
  const view = viewOf(bytes)
  let at = 0
  for (const { id, value } of pairs) {
    view.setUint16(at, id, true)
    view.setUint16(at + 2, value.length, true)
    bytes.set(value, at + 4)
    at += 4 + value.length
  }
  return bytes
}

const lengths = new Map<number, number>([[Av.end, 0], [Av.flags, 4], [Av.timestamp, 8], [Av.channelBindings, 16]])

/** Reads AV pairs up to the one that ends them; undefined when there is no such, or one has not the length of its kind. */
export const readPairs = (bytes: Uint8Array): ReadonlyArray<AvPair> | undefined => {
  const view = viewOf(bytes)
  const pairs: Array<AvPair> = []
  for (let at = 0; at + 4 <= bytes.length;) {
    const id = view.getUint16(at, true)
    const length = view.getUint16(at + 2, true)
    if (length !== (lengths.get(id) ?? length) || at + 4 + length > bytes.length) return undefined
    if (id === Av.end) return pairs
    pairs.push({ id, value: bytes.slice(at + 4, at + 4 + length) })
    at += 4 + length
  }
  return undefined
}

/** A number in 32 bits, as MsvAvFlags has it. */
export const uint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, true)
  return bytes
}

/** The number of 32 bits. */
export const readUint32 = (bytes: Uint8Array): number => viewOf(bytes).getUint32(0, true)

// From 1601-01-01 to 1970-01-01, in units of 100 ns.
const epoch = 116_444_736_000_000_000n

/** A FILETIME (MS-DTYP 2.3.3) of nanoseconds since 1970. */
export const filetime = (nanoseconds: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  viewOf(bytes).setBigUint64(0, nanoseconds / 100n + epoch, true)
  return bytes
}
