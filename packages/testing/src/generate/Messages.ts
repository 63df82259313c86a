/**
 * The messages of one step of a SASL exchange, in all degrees of rightness.
 */
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import { readable } from "./Characters.ts"
import { type Faults, type Nearly, nearly } from "./Nearly.ts"

/** Generators of one kind of message, as octets without SMTP's base64. */
export interface Messages<Wrong extends string = string> {
  /** As the mechanism's specification has it. */
  readonly valid: fc.Arbitrary<Uint8Array>
  /** By what is wrong, one thing each. */
  readonly faults: Faults<Uint8Array, Wrong>
  /** One of the faults, labelled. */
  readonly nearly: fc.Arbitrary<Nearly<Uint8Array, Wrong>>
  /** Damaged, cut, doubled, endless, or noise. Some happen to be valid. */
  readonly hostile: fc.Arbitrary<Uint8Array>
}

/** All of them, given those that are right and those that are nearly so. */
export const messages = <Wrong extends string>(
  valid: fc.Arbitrary<Uint8Array>,
  faults: Faults<Uint8Array, Wrong>
): Messages<Wrong> => {
  const shown = Object.fromEntries(
    Object.entries<fc.Arbitrary<Uint8Array>>(faults).map(([wrong, value]) => [wrong, value.map(readable)])
  ) as typeof faults
  return { valid: valid.map(readable), faults: shown, nearly: nearly(shown), hostile: hostile(valid).map(readable) }
}

/** Any of them. */
export const any = ({ hostile, nearly, valid }: Messages): fc.Arbitrary<Uint8Array> =>
  fc.oneof(valid, nearly.map(({ value }) => value), hostile)

const hostile = (valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(valid, fc.nat(), fc.uint8Array({ maxLength: 4 }), fc.nat(4)).map(([bytes, seed, inserted, dropped]) => {
      const at = seed % (bytes.length + 1)
      return Bytes.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + dropped)])
    }),
    fc.tuple(valid, fc.nat()).map(([bytes, seed]) => bytes.slice(0, seed % (bytes.length + 1))),
    fc.tuple(valid, fc.nat(), fc.nat(7)).map(([bytes, seed, bit]) => {
      const flipped = bytes.slice()
      const at = seed % Math.max(1, bytes.length)
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
      return flipped
    }),
    fc.tuple(valid, valid).map(Bytes.concat),
    fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 14_000 })).map(([octet, length]) =>
      new Uint8Array(length).fill(octet)
    )
  )
