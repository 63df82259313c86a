/**
 * Mail content on its way to the wire (RFC 5321 §2.3.8, §4.5.2): line ends made CRLF,
 * lines that begin with a dot made safe.
 *
 * A server may take a bare CR or LF for a line end, and another behind it not; content
 * that keeps one can therefore smuggle a command past one of them. None gets through
 * here: every CR, LF and CRLF becomes CRLF.
 */
import { scan } from "./LineEnds.ts"
import { take } from "./Slab.ts"

const CR = 13
const LF = 10
const DOT = 46

const empty = new Uint8Array(0)
const lineEnd = Uint8Array.of(CR, LF)
const dot = Uint8Array.of(DOT)
const terminator = Uint8Array.of(DOT, CR, LF)

/** Octets that are encoded at a time, and written at a time at most. */
export const blockSize = 65_536

/** What differs between DATA and BDAT: dots are doubled, and `.` CRLF ends it; or neither. */
export type Framing = "DATA" | "BDAT"

/**
 * Content made safe piece by piece: however it is cut, the pieces together are what the
 * whole would be. What needs no change is given back as it is, not copied.
 */
export interface Encoder {
  readonly push: (octets: Uint8Array) => Uint8Array
  /** What was seen until now: an octet above 127, and how long the longest line is. */
  readonly seen: () => Pick<Facts, "eightBit" | "longestLine">
  /** The end of the last line, and the terminator of DATA. */
  readonly end: () => Uint8Array
}

/** Makes an {@link Encoder}. */
export const encoder = (framing: Framing): Encoder => new LineEncoder(framing === "DATA")

class LineEncoder implements Encoder {
  readonly dots: boolean
  atLineStart = true
  // The piece before ended in CR, which became CRLF already.
  skipLf = false
  some = false
  eightBit = false
  longestLine = 0
  // Of the line that is not at its end.
  length = 0

  constructor(dots: boolean) {
    this.dots = dots
  }

  push = (octets: Uint8Array): Uint8Array => {
    if (octets.length === 0) return octets
    this.some = true
    const piece = this.skipLf && octets[0] === LF ? octets.subarray(1) : octets
    this.skipLf = false
    if (piece.length === 0) return piece
    const { dots } = this
    const out = new Edited(piece)
    let paired = -1
    if (dots && this.atLineStart && piece[0] === DOT) out.edit(0, 0, dot)
    let start = 0
    const high = scan(piece, (at) => {
      if (at === paired) return
      const length = this.length + at - start
      if (length > this.longestLine) this.longestLine = length
      this.length = 0
      start = at + 1
      if (piece[at] === CR && piece[start] === LF) {
        paired = start
        start++
      } else {
        out.edit(at, 1, lineEnd)
      }
      if (dots && piece[start] === DOT) out.edit(start, 0, dot)
    })
    if (high) this.eightBit = true
    this.length += piece.length - start
    if (this.length > this.longestLine) this.longestLine = this.length
    const last = piece[piece.length - 1]
    this.atLineStart = last === LF || last === CR
    this.skipLf = last === CR
    return out.octets()
  }

  seen = (): Pick<Facts, "eightBit" | "longestLine"> => this

  end = (): Uint8Array => {
    if (this.atLineStart || !this.some) return this.dots ? terminator : empty
    return this.dots ? Uint8Array.of(CR, LF, DOT, CR, LF) : lineEnd
  }
}

// The original until something is to be changed; then a copy with what was changed.
class Edited {
  readonly original: Uint8Array
  out: Uint8Array | undefined = undefined
  length = 0
  run = 0

  constructor(original: Uint8Array) {
    this.original = original
  }

  edit(at: number, dropped: 0 | 1, inserted: Uint8Array): void {
    this.put(this.run, at)
    this.room(inserted.length).set(inserted, this.length)
    this.length += inserted.length
    this.run = at + dropped
  }

  put(from: number, to: number): void {
    this.room(to - from).set(this.original.subarray(from, to), this.length)
    this.length += to - from
  }

  // Room for what most content needs; what needs more is moved a few times.
  room(more: number): Uint8Array {
    const needed = this.length + more
    if (this.out === undefined) {
      return this.out = take(Math.max(needed, this.original.length + (this.original.length >>> 5) + 64))
    }
    if (needed <= this.out.length) return this.out
    const larger = new Uint8Array(2 * needed)
    larger.set(this.out.subarray(0, this.length))
    return this.out = larger
  }

  octets(): Uint8Array {
    if (this.out === undefined) return this.original
    this.put(this.run, this.original.length)
    return this.out.subarray(0, this.length)
  }
}

/** Content as it goes to the wire, block by block, made as it is taken. */
export const blocks = (content: Uint8Array, framing: Framing): Iterable<Uint8Array> =>
  content.length > blockSize ? { [Symbol.iterator]: () => manyBlocks(content, framing) } : fewBlocks(content, framing)

function* manyBlocks(content: Uint8Array, framing: Framing): Generator<Uint8Array, undefined> {
  const { end, push } = encoder(framing)
  for (let at = 0; at < content.length; at += blockSize) yield push(content.subarray(at, at + blockSize))
  yield end()
}

const fewBlocks = (content: Uint8Array, framing: Framing): ReadonlyArray<Uint8Array> => {
  const { end, push } = encoder(framing)
  return [push(content), end()]
}

/** Content as DATA carries it, block by block, where it was looked at already. */
export const inspectedBlocks = (content: Uint8Array, { dots, facts }: Inspected): Iterable<Uint8Array> => {
  if (!facts.canonical) return blocks(content, "DATA")
  if (content.length > blockSize) return { [Symbol.iterator]: () => doubledBlocks(content, dots) }
  const out = take(content.length + dots.length + terminator.length)
  doubled(out, content, 0, dots)
  out.set(terminator, content.length + dots.length)
  return [out]
}

function* doubledBlocks(content: Uint8Array, dots: ReadonlyArray<number>): Generator<Uint8Array, undefined> {
  let next = 0
  for (let at = 0; at < content.length; at += blockSize) {
    const block = content.subarray(at, at + blockSize)
    const first = next
    while ((dots[next] ?? Number.POSITIVE_INFINITY) < at + block.length) next++
    if (next === first) {
      yield block
      continue
    }
    const out = take(block.length + next - first)
    doubled(out, block, at, dots.slice(first, next))
    yield out
  }
  yield terminator
}

// Copies with a further dot before each of those, whose places are counted from `offset` octets before.
const doubled = (out: Uint8Array, content: Uint8Array, offset: number, dots: ReadonlyArray<number>): void => {
  let from = 0
  let length = 0
  for (const dot of dots) {
    const at = dot - offset
    out.set(content.subarray(from, at), length)
    length += at - from
    out[length++] = DOT
    from = at
  }
  out.set(content.subarray(from), length)
}

/** The content as DATA carries it: CRLF line ends, dots doubled, `.` CRLF at the end. */
export const encodeData = (content: Uint8Array): Uint8Array => whole(content, "DATA")

/** The content with CRLF line ends and one at its end; empty content stays empty. What BDAT and SIZE count. */
export const normalize = (content: Uint8Array): Uint8Array => whole(content, "BDAT")

const whole = (content: Uint8Array, framing: Framing): Uint8Array => {
  const { end, push } = encoder(framing)
  const safe = push(content)
  const rest = end()
  const out = new Uint8Array(safe.length + rest.length)
  out.set(safe)
  out.set(rest, safe.length)
  return out
}

/**
 * What {@link encodeData} wrote, read back as a server does: dots undone, the final
 * `.` CRLF dropped. Undefined when the bytes do not end in CRLF `.` CRLF.
 */
export const decodeData = (wire: Uint8Array): Uint8Array | undefined => {
  const end = wire.length - 3
  const ends = end >= 0 && wire[end] === DOT && wire[end + 1] === CR && wire[end + 2] === LF
    && (end === 0 || (wire[end - 1] === LF && wire[end - 2] === CR))
  if (!ends) return undefined
  const out = new Uint8Array(end)
  let length = 0
  for (let at = 0; at < end;) {
    const lineEnd = wire.indexOf(LF, at)
    const line = wire.subarray(wire[at] === DOT ? at + 1 : at, lineEnd + 1)
    out.set(line, length)
    length += line.length
    at = lineEnd + 1
  }
  return out.subarray(0, length)
}

/** Facts about content that decide which extensions it needs. */
export interface Facts {
  /** Octets after line ends are made CRLF, as SIZE counts them (RFC 1870 §5), dots not doubled. */
  readonly size: number
  /** Holds octets above 127: needs 8BITMIME (RFC 6152). */
  readonly eightBit: boolean
  /** Its header fields hold octets above 127: needs SMTPUTF8 (RFC 6531, RFC 6532). */
  readonly eightBitHeader: boolean
  /** Octets of the longest line without its end; RFC 5321 §4.5.3.1.6 allows {@link longestLine}. */
  readonly longestLine: number
  /** Nothing is to be changed for BDAT. */
  readonly canonical: boolean
}

/** The longest line that every server takes, without its CRLF. */
export const longestLine = 998

/** Measures content. */
export const measure = (content: Uint8Array): Facts => inspect(content).facts

/** Content that was looked at. */
export interface Inspected {
  readonly facts: Facts
  /** Where lines begin with a dot, in canonical content: nothing else is to be changed for DATA. */
  readonly dots: ReadonlyArray<number>
}

/** Measures content, and finds the dots that DATA doubles. */
export const inspect = (content: Uint8Array): Inspected => {
  let size = content.length
  let start = 0
  let longest = 0
  let paired = -1
  let headerEnd = content.length
  const dots: Array<number> = content[0] === DOT ? [0] : []
  const eightBit = scan(content, (at) => {
    if (at === paired) return
    const length = at - start
    if (length > longest) longest = length
    else if (length === 0 && headerEnd === content.length) headerEnd = at
    if (content[at] === CR && content[at + 1] === LF) {
      paired = at + 1
      start = at + 2
    } else {
      size++
      start = at + 1
    }
    if (content[start] === DOT) dots.push(start)
  })
  const unended = content.length - start
  if (unended > longest) longest = unended
  if (unended > 0) size += 2
  const facts = {
    size,
    eightBit,
    eightBitHeader: eightBit && scan(content.subarray(0, headerEnd), ignore),
    longestLine: longest,
    canonical: size === content.length
  }
  return { facts, dots }
}

const ignore = (): void => {}
