/**
 * Content as DATA carries it, read octet by octet in linear time (RFC 5321 §4.5.2).
 *
 * Only CRLF `.` CRLF ends it. A bare CR or LF is content and begins no line, so neither
 * LF `.` LF nor CR `.` CR nor a mixture of them ends anything: that is how commands get
 * smuggled inside of messages.
 */

const CR = 13
const LF = 10
const DOT = 46

/** Where in a line the next octet stands. */
export type Place =
  | "line start"
  | "within line"
  | "after CR"
  /** A dot began the line; it is no content, whatever follows. */
  | "after dot"
  /** A dot and a CR, which is content unless LF follows. */
  | "after dot CR"

/** What a chunk held. */
export interface Taken {
  /** The content in it, dots undone. */
  readonly content: ReadonlyArray<Uint8Array>
  /** Where the first octet stands that was not read. */
  readonly next: number
  /** Where reading goes on; undefined when the end was read. */
  readonly place: Place | undefined
}

const carriageReturn = new Uint8Array([CR])

/** Reads `bytes` from `start`, up to the end of the content or of the chunk. */
export const take = (from: Place, bytes: Uint8Array, start: number): Taken => {
  const content: Array<Uint8Array> = []
  let place = from
  let at = start
  // Content from here to `at` is not in `content` yet.
  let run = start
  const flush = (end: number) => {
    if (end > run) content.push(bytes.subarray(run, end))
  }
  while (at < bytes.length) {
    const byte = bytes[at]
    switch (place) {
      case "within line": {
        const found = bytes.indexOf(CR, at)
        at = found === -1 ? bytes.length : found + 1
        if (found !== -1) place = "after CR"
        break
      }
      case "after CR":
        at++
        place = byte === LF ? "line start" : byte === CR ? "after CR" : "within line"
        break
      case "line start":
        at++
        if (byte === DOT) {
          flush(at - 1)
          run = at
          place = "after dot"
        } else {
          place = byte === CR ? "after CR" : "within line"
        }
        break
      case "after dot":
        at++
        if (byte === CR) run = at
        place = byte === CR ? "after dot CR" : "within line"
        break
      case "after dot CR":
        if (byte === LF) return { content, next: at + 1, place: undefined }
        content.push(carriageReturn)
        place = "after CR"
        break
    }
  }
  flush(at)
  return { content, next: at, place }
}
