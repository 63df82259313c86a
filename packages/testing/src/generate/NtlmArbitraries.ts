/**
 * Generators of NTLM's messages (MS-NLMP 2.2.1), written field by field.
 */
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import { from, letters, octets } from "./Characters.ts"
import { messages } from "./Messages.ts"

const signature = octets("NTLMSSP\0")

const little = (value: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) & 0xff)

const utf16 = (text: string): Uint8Array =>
  Bytes.concat(Array.from({ length: text.length }, (_, i) => little(text.charCodeAt(i), 2)))

/** Length, the same again, and offset. */
const buffer = (length: number, offset: number): Uint8Array =>
  Bytes.concat([little(length, 2), little(length, 2), little(offset, 4)])

interface Pair {
  readonly id: number
  readonly value: Uint8Array
}

const writePairs = (pairs: ReadonlyArray<Pair>): Uint8Array =>
  Bytes.concat(pairs.flatMap(({ id, value }) => [little(id, 2), little(value.length, 2), value]))

const end: Pair = { id: 0, value: new Uint8Array(0) }

// ---------------------------------------------------------------------------
// Type 2
// ---------------------------------------------------------------------------

interface Challenge {
  readonly type: number
  readonly name: Uint8Array
  readonly nameOffset: number
  readonly flags: number
  readonly serverChallenge: Uint8Array
  readonly pairs: ReadonlyArray<Pair>
  readonly infoOffset: number
}

const headerSize = 56
const targetInfo = 0x800000
const unicode = 0x1

const write = (it: Challenge): Uint8Array => {
  const info = writePairs(it.pairs)
  return Bytes.concat([
    signature,
    little(it.type, 4),
    buffer(it.name.length, it.nameOffset),
    little(it.flags, 4),
    it.serverChallenge,
    new Uint8Array(8),
    buffer(info.length, it.infoOffset),
    Uint8Array.of(10, 0, 0x63, 0x45, 0, 0, 0, 15),
    it.name,
    info
  ])
}

const label = from(letters.toUpperCase(), { minLength: 1, maxLength: 8 }).map(utf16)

const pair: fc.Arbitrary<Pair> = fc.oneof(
  fc.record({ id: fc.constantFrom(1, 2, 3, 4, 5), value: label }),
  fc.record({ id: fc.constant(6), value: fc.nat(7).map((flags) => little(flags, 4)) }),
  fc.record({ id: fc.constant(7), value: fc.uint8Array({ minLength: 8, maxLength: 8 }) })
)

const challenge: fc.Arbitrary<Challenge> = fc.record({
  name: label,
  otherFlags: fc.constantFrom(0x22090200, 0xa2098205, 0x200),
  serverChallenge: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  pairs: fc.uniqueArray(pair, { maxLength: 5, selector: ({ id }) => id })
}).map(({ name, otherFlags, pairs, serverChallenge }) => ({
  type: 2,
  name,
  nameOffset: headerSize,
  flags: (otherFlags | targetInfo | unicode) >>> 0,
  serverChallenge,
  pairs: [...pairs, end],
  infoOffset: headerSize + name.length
}))

const broken = (change: (it: Challenge) => Partial<Challenge>): fc.Arbitrary<Uint8Array> =>
  challenge.map((it) => write({ ...it, ...change(it) }))

const sized = (id: number, least: number, size: number): fc.Arbitrary<Uint8Array> =>
  fc.tuple(challenge, fc.integer({ min: least, max: 12 }).filter((length) => length !== size)).map(([it, length]) =>
    write({ ...it, pairs: [{ id, value: new Uint8Array(length) }, end] })
  )

/** Type 2, the server's challenge, with target information. */
export const ntlmChallenge = messages(challenge.map(write), {
  "empty": fc.constant(new Uint8Array(0)),
  "other signature": challenge.map((it) => write(it).with(6, 0x51)),
  "text in place of it": fc.constant(octets("NTLM supported")),
  "Type 1 in place of it": broken(() => ({ type: 1 })),
  "Type 3 in place of it": broken(() => ({ type: 3 })),
  "cut before its fields end": fc.tuple(challenge, fc.integer({ min: 1, max: 31 })).map(([it, length]) =>
    write(it).slice(0, length)
  ),
  "cut before the target information's place": challenge.map((it) => write(it).slice(0, 44)),
  "no character set": broken(({ flags }) => ({ flags: (flags & ~0x3) >>> 0 })),
  "name outside": broken(() => ({ nameOffset: 0xffff_fff0 })),
  "name within the fixed fields": broken(() => ({ nameOffset: 8 })),
  "target information outside": broken(({ infoOffset }) => ({ infoOffset: infoOffset + 1 })),
  "target information without an end": broken(({ pairs }) => ({
    pairs: pairs.length > 1 ? pairs.slice(0, -1) : [{ id: 1, value: little(0, 2) }]
  })),
  "pair longer than what is there": challenge.map((it) => write({ ...it, pairs: [] })).map((bytes) => {
    const longer = Bytes.concat([bytes, little(1, 2), little(500, 2)])
    longer.set(buffer(4, bytes.length), 40)
    return longer
  }),
  "timestamp of another length": sized(7, 0, 8),
  "flags of another length": sized(6, 0, 4),
  "end with a value": sized(0, 1, 0)
})

// ---------------------------------------------------------------------------
// Types 1 and 3
// ---------------------------------------------------------------------------

const negotiate = fc.constantFrom(0xa2088207, 0x2, 0x201, 0xe20882b7).map((flags) =>
  Bytes.concat([signature, little(1, 4), little(flags, 4), buffer(0, 40), buffer(0, 40), new Uint8Array(8)])
)

/** Type 1, which the client sends first. */
export const ntlmNegotiate = messages(negotiate, {
  "empty": fc.constant(new Uint8Array(0)),
  "other signature": negotiate.map((bytes) => bytes.with(0, 0x6e)),
  "other type": negotiate.map((bytes) => bytes.with(8, 9)),
  "cut before its flags": negotiate.map((bytes) => bytes.slice(0, 12))
})

const authenticate = fc.tuple(label, label, fc.uint8Array({ minLength: 24, maxLength: 80 })).map(
  ([domain, user, proof]) => {
    const at = 88
    return Bytes.concat([
      signature,
      little(3, 4),
      buffer(24, at + domain.length + user.length),
      buffer(proof.length, at + domain.length + user.length + 24),
      buffer(domain.length, at),
      buffer(user.length, at + domain.length),
      buffer(0, at),
      buffer(0, at),
      little(0xa2888205, 4),
      new Uint8Array(24),
      domain,
      user,
      new Uint8Array(24),
      proof
    ])
  }
)

/** Type 3, which the client answers with; its proof proves nothing. */
export const ntlmAuthenticate = messages(authenticate, {
  "empty": fc.constant(new Uint8Array(0)),
  "other signature": authenticate.map((bytes) => bytes.with(7, 1)),
  "cut before its fields end": authenticate.map((bytes) => bytes.slice(0, 40)),
  "proof outside": authenticate.map((bytes) => bytes.slice(0, -1)),
  "user outside": authenticate.map((bytes) => bytes.with(43, 0x7f))
})
