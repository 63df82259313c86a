/**
 * Where lines end: one pass over octets that looks at sixteen of them at a time. The
 * engine's own search finds one octet value and is called once a line, which costs more.
 */

const CR = 13
const LF = 10
const highBits = 0x80808080 | 0
const sixteens = 0x10101010

/**
 * Calls `visit` with the place of every CR and LF, in order. True when an octet above
 * 127 is among the octets.
 */
export const scan = (octets: Uint8Array, visit: (at: number) => void): boolean => {
  const { length } = octets
  if (length < 32) return each(octets, 0, length, visit) > 127
  // Words begin at multiples of four.
  const head = -octets.byteOffset & 3
  const words = new Int32Array(octets.buffer, octets.byteOffset + head, (length - head) >> 2)
  const fours = words.length & ~3
  const tail = head + 4 * fours
  let bits = each(octets, 0, head, visit)
  for (let i = 0; i < fours; i += 4) {
    const a = words[i] ?? 0
    const b = words[i + 1] ?? 0
    const c = words[i + 2] ?? 0
    const d = words[i + 3] ?? 0
    bits |= a | b | c | d
    // A high bit stands where an octet is below 16 (or borrows from one that is).
    const low = ((a - sixteens) & ~a) | ((b - sixteens) & ~b) | ((c - sixteens) & ~c) | ((d - sixteens) & ~d)
    if ((low & highBits) !== 0) each(octets, head + 4 * i, head + 4 * i + 16, visit)
  }
  bits |= each(octets, tail, length, visit)
  return (bits & highBits) !== 0
}

const each = (octets: Uint8Array, from: number, to: number, visit: (at: number) => void): number => {
  let bits = 0
  for (let at = from; at < to; at++) {
    const octet = octets[at] ?? 0
    bits |= octet
    if (octet <= CR && (octet === LF || octet === CR)) visit(at)
  }
  return bits
}
