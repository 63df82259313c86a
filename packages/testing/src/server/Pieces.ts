/**
 * Octets that come in pieces: a persistent value, so that a state which holds one may be
 * continued twice. Appending takes amortised constant time an octet, whatever the pieces.
 */

interface Piece {
  readonly bytes: Uint8Array
  readonly before: Piece | undefined
}

/** What was collected so far. */
export interface Pieces {
  /** How many octets were appended, also where they were too many to be kept. */
  readonly length: number
  readonly last: Piece | undefined
}

/** Nothing yet. */
export const empty: Pieces = { length: 0, last: undefined }

/** Pieces are merged up to this size, so that single octets do not cost an object each. */
const MERGED = 65_536

/** Appends a copy of `bytes`. Of more than `limit` octets nothing is kept but their number. */
export const append = (to: Pieces, bytes: Uint8Array, limit: number): Pieces => {
  const length = to.length + bytes.length
  if (length > limit) return { length, last: undefined }
  if (bytes.length === 0) return to
  // Only with pieces that are no larger: an octet is then copied once for each doubling.
  let merged = bytes.length
  let before = to.last
  while (before !== undefined && before.bytes.length <= merged && before.bytes.length + merged <= MERGED) {
    merged += before.bytes.length
    before = before.before
  }
  return { length, last: { bytes: join({ bytes, before: to.last }, before, merged), before } }
}

/** All of it in one array; empty where it was too much to be kept. */
export const bytesOf = (pieces: Pieces): Uint8Array =>
  pieces.last === undefined ? new Uint8Array(0) : join(pieces.last, undefined, pieces.length)

const join = (last: Piece, until: Piece | undefined, length: number): Uint8Array => {
  const out = new Uint8Array(length)
  let end = length
  for (let piece: Piece | undefined = last; piece !== until && piece !== undefined; piece = piece.before) {
    end -= piece.bytes.length
    out.set(piece.bytes, end)
  }
  return out
}
