/**
 * Room for what is written: pieces of larger arrays, since making many small ones takes
 * longer than filling them. No octet is given out twice.
 */

const size = 1_048_576

let slab = new Uint8Array(0)
let at = 0

/** So many octets, all zero. */
export const take = (length: number): Uint8Array<ArrayBuffer> => {
  if (length > size >>> 2) return new Uint8Array(length)
  if (slab.length - at < length) {
    slab = new Uint8Array(size)
    at = 0
  }
  const piece = slab.subarray(at, at + length)
  at += length
  return piece
}
