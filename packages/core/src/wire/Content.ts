/**
 * Mail content on its way to the wire (RFC 5321 §2.3.8, §4.5.2): line ends made CRLF,
 * lines that begin with a dot made safe.
 *
 * A server may take a bare CR or LF for a line end, and another behind it not; content
 * that keeps one can therefore smuggle a command past one of them. None gets through
 * here: every CR, LF and CRLF becomes CRLF.
 */

const CR = 13
const LF = 10
const DOT = 46

const empty = new Uint8Array(0)

/** The content as DATA carries it: CRLF line ends, dots doubled, `.` CRLF at the end. */
export const encodeData = (content: Uint8Array): Uint8Array => write(content, true)

/** The content with CRLF line ends and one at its end; empty content stays empty. What BDAT and SIZE count. */
export const normalize = (content: Uint8Array): Uint8Array => {
  if (content.length === 0) return empty
  return write(content, false)
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
}

/** Measures content in one pass. */
export const measure = (content: Uint8Array): Facts => {
  let eightBit = false
  for (const byte of content) {
    if (byte > 0x7f) {
      eightBit = true
      break
    }
  }
  return { size: content.length + count(content, false), eightBit }
}

// Octets that `write` adds: line ends completed, dots doubled when `dots`, a last line end.
const count = (content: Uint8Array, dots: boolean): number => {
  let added = 0
  let atLineStart = true
  let carriageReturn = false
  for (const byte of content) {
    if (byte === LF) {
      if (!carriageReturn) added++
      atLineStart = true
      carriageReturn = false
      continue
    }
    if (carriageReturn) {
      added++
      atLineStart = true
    }
    if (byte === DOT && atLineStart && dots) added++
    carriageReturn = byte === CR
    atLineStart = false
  }
  if (carriageReturn) return added + 1
  return atLineStart ? added : added + 2
}

const write = (content: Uint8Array, dots: boolean): Uint8Array => {
  const terminator = dots ? 3 : 0
  const out = new Uint8Array(content.length + count(content, dots) + terminator)
  let length = 0
  // The next CR and LF from `at` on, each looked for once: linear whatever the content.
  let cr = -1
  let lf = -1
  for (let at = 0; at < content.length;) {
    if (cr < at) cr = find(content, CR, at)
    if (lf < at) lf = find(content, LF, at)
    const end = Math.min(cr, lf)
    if (dots && content[at] === DOT) out[length++] = DOT
    out.set(content.subarray(at, end), length)
    length += end - at
    out[length++] = CR
    out[length++] = LF
    at = cr + 1 === lf ? lf + 1 : end + 1
  }
  if (dots) {
    out[length++] = DOT
    out[length++] = CR
    out[length++] = LF
  }
  return out
}

const find = (content: Uint8Array, byte: number, from: number): number => {
  const at = content.indexOf(byte, from)
  return at === -1 ? content.length : at
}
