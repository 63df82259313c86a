/**
 * Replies of a server (RFC 5321 §4.2) and their incremental decoder.
 *
 * The decoder works in two stages: bytes are cut into lines, then lines are read by
 * the grammar. Both are bounded, linear in the input, and independent of how the
 * bytes were cut into chunks.
 */
import { concatBytes } from "@noble/hashes/utils.js"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as EnhancedStatus from "./EnhancedStatus.ts"

/**
 * A reply: a three-digit code (200 to 599), the enhanced status code where the text
 * begins with one, and the text of each line as it was sent (without the code, the
 * separator and the line end; an enhanced status code stays part of the text).
 */
export interface Reply extends Schema.Schema.Type<typeof Reply> {}

/** The schema of {@link Reply}, for transcripts and errors that are stored. */
export const Reply = Schema.Struct({
  code: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
  status: Schema.UndefinedOr(EnhancedStatus.EnhancedStatus),
  lines: Schema.NonEmptyArray(Schema.String)
})

/**
 * Makes a reply out of its code and text. With `status` given as `"5.7.1"`, every
 * line gets it as a prefix (RFC 2034 §4). Control characters in the text become
 * blanks: a reply cannot carry a line break but by a further line.
 *
 * @example
 * ```ts
 * import { Reply } from "@postern/core"
 *
 * const denied = Reply.make(554, "Relay access denied", "5.7.1")
 * console.log(Reply.text(denied)) // "5.7.1 Relay access denied"
 * ```
 */
export const make = (code: number, text: string | ReadonlyArray<string>, status?: string): Reply => {
  const texts = typeof text === "string" ? [text] : text
  const prefix = status === undefined ? "" : `${status} `
  const [first, ...rest] = texts.length === 0 ? [""] : texts
  const line = (t: string) => prefix + t.toWellFormed().replace(controls, " ")
  return fromLines(code, [line(first ?? ""), ...rest.map(line)])
}

const fromLines = (code: number, lines: readonly [string, ...Array<string>]): Reply => ({
  code,
  status: EnhancedStatus.fromText(code, lines[0]),
  lines
})

// Everything below blank but the tab, and DEL.
const controls = /[\u0000-\u0008\u000a-\u001f\u007f]/g

/** 2yz: the command was carried out. */
export const isPositive = (reply: Reply): boolean => reply.code < 300
/** 3yz: the server waits for more. */
export const isIntermediate = (reply: Reply): boolean => reply.code >= 300 && reply.code < 400
/** 4yz: refused now, may succeed later. */
export const isTransient = (reply: Reply): boolean => reply.code >= 400 && reply.code < 500
/** 5yz: refused for good. */
export const isPermanent = (reply: Reply): boolean => reply.code >= 500

/** The text of all lines, joined by line breaks, enhanced status codes included. */
export const text = (reply: Reply): string => reply.lines.join("\n")

/** The text for people: enhanced status codes left out, lines joined by a blank. */
export const message = (reply: Reply): string => {
  const lines = reply.status === undefined ? reply.lines : reply.lines.map(EnhancedStatus.strip)
  return lines.map((line) => line.trim()).join(" ").trim()
}

/** One line for logs and errors: `554 5.7.1 Relay access denied`. */
export const render = (reply: Reply): string => `${reply.code} ${printable(reply.lines.join(" / "))}`

/** Text with its control characters as `\xNN`: a server's text may hold sequences that a terminal obeys. */
export const printable = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)

/** The reply as a server sends it, CRLF at the end of each line. */
export const encode = (reply: Reply): Uint8Array => {
  let out = ""
  const last = reply.lines.length - 1
  for (let i = 0; i <= last; i++) out += `${reply.code}${i < last ? "-" : " "}${reply.lines[i] ?? ""}\r\n`
  return utf8.encode(out)
}

/** Bounds of the decoder. RFC 5321 §4.5.3.1.5 asks for 512 octets a line; servers send more. */
export interface Limits {
  /** Octets in one line, without its end. */
  readonly line: number
  /** Lines in one reply. */
  readonly lines: number
  /** Octets in one reply. */
  readonly bytes: number
}

/** 16 KiB a line (RFC 4954 §4 has challenges of 12,288 octets), 1,024 lines and 256 KiB a reply. */
export const defaultLimits: Limits = { line: 16_384, lines: 1024, bytes: 262_144 }

/**
 * Bytes that are not a reply. `offending` shows the bytes around the fault, escaped
 * and at most {@link offendingLength} of them.
 */
export interface ReplyError {
  readonly _tag: "ReplyError"
  readonly problem:
    | "line too long"
    | "too many lines"
    | "reply too long"
    | "no reply code"
    | "code changed within a reply"
    | "control character"
  readonly offending: string
}

/** How many of the offending bytes an error shows. */
export const offendingLength = 80

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
// The web's name for Windows-1252.
const latin1 = new TextDecoder("latin1")

/** Bytes as printable ASCII: everything else as `\r`, `\n`, `\t` or `\xNN`. */
export const escape = (bytes: Uint8Array, limit = offendingLength): string => {
  let out = ""
  for (const byte of bytes.subarray(0, limit)) {
    if (byte === 0x5c) out += "\\\\"
    else if (byte >= 0x20 && byte < 0x7f) out += String.fromCharCode(byte)
    else if (byte === 13) out += "\\r"
    else if (byte === 10) out += "\\n"
    else if (byte === 9) out += "\\t"
    else out += `\\x${byte.toString(16).padStart(2, "0")}`
  }
  return bytes.length > limit ? `${out}…` : out
}

/**
 * The incremental decoder. `push` bytes as they arrive, then take replies with `next`
 * until it gives `undefined`. After a failure every further `next` gives the same
 * failure: a peer that left the grammar is not trusted again.
 *
 * Accepted although out of grammar (RFC 5321 §4.2), because servers do it: a bare LF as line
 * end, nothing or no blank after the code, a blank and nothing after that, a tab as separator,
 * a second digit of 6 to 9, text that is not ASCII (read as UTF-8, and as Windows-1252, of
 * which Latin-1's characters are a part, where it is not that). A fourth digit is not.
 *
 * @example
 * ```ts
 * import { Reply } from "@postern/core"
 *
 * const decoder = Reply.decoder()
 * decoder.push(new TextEncoder().encode("250-mx.example\r\n250 SI"))
 * decoder.next() // undefined: the reply is not complete
 * decoder.push(new TextEncoder().encode("ZE\r\n"))
 * console.log(decoder.next()) // a Success with both lines
 * ```
 */
export interface Decoder {
  readonly push: (bytes: Uint8Array) => void
  readonly next: () => Result.Result<Reply, ReplyError> | undefined
  /** True when nothing is held: no unread byte, no unfinished line or reply. */
  readonly isEmpty: () => boolean
  /** The bytes held that no reply has been made of, lines of an unfinished reply included, for errors. */
  readonly held: () => Uint8Array
}

/** Makes a {@link Decoder}. */
export const decoder = (limits: Limits = defaultLimits): Decoder => new IncrementalDecoder(limits)

const CR = 13
const LF = 10
const empty = new Uint8Array(0)

class IncrementalDecoder implements Decoder {
  readonly limits: Limits
  // Unread input: one chunk and where it is read; others, the next one last in `ready`, then in the order they came.
  chunk: Uint8Array = empty
  at = 0
  ready: Array<Uint8Array> = []
  queue: Array<Uint8Array> = []
  // The beginning of the line being collected, when it spans chunks.
  readonly line: Uint8Array
  lineLength = 0
  // The reply being collected.
  code = 0
  lines: Array<string> = []
  bytes = 0
  failure: Result.Result<never, ReplyError> | undefined = undefined
  /** Replies of one line that came last. */
  readonly recent: Array<{ readonly octets: Uint8Array; readonly reply: Result.Result<Reply, ReplyError> }> = []
  oldest = 0

  constructor(limits: Limits) {
    this.limits = limits
    this.line = new Uint8Array(limits.line + 1)
  }

  push = (bytes: Uint8Array): void => {
    if (bytes.length === 0 || this.failure !== undefined) return
    this.queue.push(bytes)
  }

  isEmpty = (): boolean =>
    this.at === this.chunk.length && this.ready.length === 0 && this.queue.length === 0 && this.lineLength === 0
    && this.lines.length === 0

  held = (): Uint8Array =>
    concatBytes(
      ...this.lines.map((line) => utf8.encode(`${this.code}-${line}\r\n`)),
      this.unread(),
      ...this.ready.toReversed(),
      ...this.queue
    )

  // Not `shift`, which moves all the others each time.
  following(): Uint8Array | undefined {
    if (this.ready.length === 0) {
      this.ready = this.queue.toReversed()
      this.queue = []
    }
    return this.ready.pop()
  }

  // The line being collected and what follows it in the chunk.
  unread(): Uint8Array {
    return concatBytes(this.line.subarray(0, this.lineLength), this.chunk.subarray(this.at))
  }

  next = (): Result.Result<Reply, ReplyError> | undefined => {
    while (this.failure === undefined) {
      if (this.at === this.chunk.length) {
        const following = this.following()
        if (following === undefined) return undefined
        this.chunk = following
        this.at = 0
      }
      const end = this.chunk.indexOf(LF, this.at)
      const part = this.chunk.subarray(this.at, end === -1 ? this.chunk.length : end)
      // One octet more than a line may have: the CR of its end.
      if (this.lineLength + part.length > this.limits.line + 1) return this.fail("line too long", this.unread())
      if (end === -1 || this.lineLength > 0) {
        this.line.set(part, this.lineLength)
        this.lineLength += part.length
      }
      if (end === -1) {
        this.at = this.chunk.length
        continue
      }
      this.at = end + 1
      const whole = this.lineLength > 0 ? this.line.subarray(0, this.lineLength) : part
      this.lineLength = 0
      const known = this.lines.length === 0 ? this.recall(whole) : undefined
      if (known !== undefined) return known
      const bare = whole.length > 0 && whole[whole.length - 1] === CR ? whole.subarray(0, whole.length - 1) : whole
      const first = this.lines.length === 0
      const reply = this.takeLine(bare)
      if (first && reply !== undefined && Result.isSuccess(reply)) this.remember(whole, reply)
      if (reply !== undefined) return reply
    }
    return this.failure
  }

  // Servers say the same again and again: what they said last is not read anew.
  recall(line: Uint8Array): Result.Result<Reply, ReplyError> | undefined {
    return this.recent.find(({ octets }) => isSame(octets, line))?.reply
  }

  remember(line: Uint8Array, reply: Result.Result<Reply, ReplyError>): void {
    if (line.length > remembered) return
    this.recent[this.oldest] = { octets: line.slice(), reply }
    this.oldest = (this.oldest + 1) % 8
  }

  takeLine(line: Uint8Array): Result.Result<Reply, ReplyError> | undefined {
    if (line.length > this.limits.line) return this.fail("line too long", line)
    this.bytes += line.length
    if (this.bytes > this.limits.bytes) return this.fail("reply too long", line)
    if (this.lines.length === this.limits.lines) return this.fail("too many lines", line)
    const code = readCode(line)
    if (code === undefined) return this.fail("no reply code", line)
    if (this.lines.length > 0 && code !== this.code) return this.fail("code changed within a reply", line)
    const separator = line[3]
    const blank = separator === 0x20 || separator === 9 || separator === 0x2d
    const body = line.subarray(blank ? 4 : 3)
    for (const byte of body) {
      if ((byte < 0x20 && byte !== 9) || byte === 0x7f) return this.fail("control character", line)
    }
    this.code = code
    this.lines.push(decodeText(body))
    if (separator === 0x2d) return undefined
    const [first = "", ...rest] = this.lines
    this.lines = []
    this.bytes = 0
    return Result.succeed(fromLines(code, [first, ...rest]))
  }

  fail(problem: ReplyError["problem"], line: Uint8Array): Result.Result<never, ReplyError> {
    // Never past the line limit, so that the error does not depend on how much has arrived.
    const shown = Math.min(offendingLength, this.limits.line)
    this.failure = Result.fail({ _tag: "ReplyError", problem, offending: escape(line, shown) })
    this.ready = []
    this.queue = []
    return this.failure
  }
}

/** Octets of a line that is remembered, at most. */
const remembered = 128

const isSame = (one: Uint8Array, other: Uint8Array): boolean => {
  const { length } = one
  if (length !== other.length) return false
  for (let i = 0; i < length; i++) if (one[i] !== other[i]) return false
  return true
}

// Three digits, the first 2 to 5, no fourth digit behind them.
const readCode = (line: Uint8Array): number | undefined => {
  const [a = 0, b = 0, c = 0, d = 0] = line
  if (a < 0x32 || a > 0x35 || !isDigit(b) || !isDigit(c) || isDigit(d)) return undefined
  return (a - 0x30) * 100 + (b - 0x30) * 10 + (c - 0x30)
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39

const decodeText = (bytes: Uint8Array): string => {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return latin1.decode(bytes)
  }
}
