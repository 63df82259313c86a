/**
 * Cuts octets into lines with their ends, however they come. A line that does not end is given
 * in pieces, cut at the same places whatever the chunks, so that no more than one is held.
 */
import * as Bytes from "effect/Bytes"

/** A line, or a part of one. */
export interface Piece {
  readonly octets: Uint8Array
  /** It begins its line. */
  readonly first: boolean
  /** It ends its line. */
  readonly last: boolean
}

const LF = 10

/** One direction of a connection. */
export class LineCutter {
  readonly #longest: number
  #parts: Array<Uint8Array> = []
  #length = 0
  #first = true

  /** Gives pieces of at most so many octets. */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** Octets that are held. */
  get length(): number {
    return this.#length
  }

  /** Reads `bytes` from `at`, to the end of a piece: where it stopped, and the piece if it is complete. */
  take(bytes: Uint8Array, at: number): { readonly next: number; readonly piece: Piece | undefined } {
    const most = Math.min(bytes.length, at + this.#longest - this.#length)
    const end = bytes.indexOf(LF, at)
    const last = end !== -1 && end < most
    const next = last ? end + 1 : most
    // Copied: the octets are the transport's.
    this.#parts.push(bytes.slice(at, next))
    this.#length += next - at
    return { next, piece: last || this.#length === this.#longest ? this.#give(last) : undefined }
  }

  /** What is held, when no more will come. */
  flush(): Piece | undefined {
    return this.#length === 0 ? undefined : this.#give(false)
  }

  /** Forgets what is held. */
  clear(): void {
    this.#parts = []
    this.#length = 0
    this.#first = true
  }

  #give(last: boolean): Piece {
    const [only, ...others] = this.#parts
    const octets = only !== undefined && others.length === 0 ? only : Bytes.concat(this.#parts)
    const piece = { octets, first: this.#first, last }
    this.clear()
    this.#first = last
    return piece
  }
}
