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

/** Measures content. */
export const measure = (content: Uint8Array): Facts => {
  let added = 0
  edits(content, false, (_at, dropped, inserted) => {
    added += inserted.length - dropped
  })
  return { size: content.length + added, eightBit: hasEightBit(content) }
}

const highBits = 0x80808080

const isHigh = (octet: number): boolean => octet > 0x7f

// Four octets at a time: looking at each would take longer than all the rest.
const hasEightBit = (content: Uint8Array): boolean => {
  if (content.length < 8) return content.some(isHigh)
  const head = -content.byteOffset & 3
  const words = new Uint32Array(content.buffer, content.byteOffset + head, (content.length - head) >>> 2)
  let bits = 0
  for (let i = 0; i < words.length; i++) bits |= words[i] ?? 0
  return (bits & highBits) !== 0 || content.subarray(0, head).some(isHigh)
    || content.subarray(head + 4 * words.length).some(isHigh)
}

const lineEnd = Uint8Array.of(CR, LF)
const dot = Uint8Array.of(DOT)

/**
 * Calls `edit` for each place where the wire differs: so many octets dropped, and what is inserted there. CR and
 * LF are each looked for once from where they were found last: linear whatever the content.
 */
const edits = (
  content: Uint8Array,
  dots: boolean,
  edit: (at: number, dropped: 0 | 1, inserted: Uint8Array) => void
): void => {
  let cr = -1
  let lf = -1
  for (let at = 0; at < content.length;) {
    if (dots && content[at] === DOT) edit(at, 0, dot)
    if (cr < at) cr = find(content, CR, at)
    if (lf < at) lf = find(content, LF, at)
    if (cr + 1 === lf && lf < content.length) {
      at = lf + 1
      continue
    }
    const end = Math.min(cr, lf)
    edit(end, end < content.length ? 1 : 0, lineEnd)
    at = end + 1
  }
}

const find = (content: Uint8Array, octet: number, from: number): number => {
  const at = content.indexOf(octet, from)
  return at === -1 ? content.length : at
}

const terminator = Uint8Array.of(DOT, CR, LF)

const write = (content: Uint8Array, dots: boolean): Uint8Array => {
  // Room for what most content needs; what needs more is moved a few times.
  let out = new Uint8Array(content.length + (content.length >>> 6) + 64)
  let length = 0
  let run = 0
  const put = (octets: Uint8Array): void => {
    if (length + octets.length > out.length) {
      const larger = new Uint8Array(2 * (length + octets.length))
      larger.set(out.subarray(0, length))
      out = larger
    }
    out.set(octets, length)
    length += octets.length
  }
  edits(content, dots, (at, dropped, inserted) => {
    if (at > run) put(content.subarray(run, at))
    put(inserted)
    run = at + dropped
  })
  put(content.subarray(run))
  if (dots) put(terminator)
  return out.subarray(0, length)
}
