/**
 * A message taken apart (RFC 2046 §5): every octet of it is in exactly one place of the tree.
 */
import * as Result from "effect/Result"
import * as HeaderField from "./HeaderField.ts"

export interface Part {
  /** Header fields with their folding, without the line end after each. */
  readonly fields: ReadonlyArray<string>
  /** Whether an empty line ends the header: it may be missing where there is no body. */
  readonly separated: boolean
  /** The type and subtype in lower case; what applies where there is none said. */
  readonly type: string
  /** The Content-Transfer-Encoding in lower case; `7bit` where there is none said. */
  readonly encoding: string
  /** What follows the header, as a whole and taken apart. */
  readonly content: Uint8Array
  readonly body: Body
}

export type Body =
  | { readonly _tag: "Octets"; readonly octets: Uint8Array }
  | { readonly _tag: "Message"; readonly message: Part }
  /** Parts, and between them delimiters with what readers pass over. */
  | { readonly _tag: "Multipart"; readonly pieces: ReadonlyArray<Piece> }

export type Piece =
  | { readonly _tag: "Between"; readonly octets: Uint8Array }
  | { readonly _tag: "Part"; readonly part: Part }

/** How deep parts may be nested; no mail that people send comes near. */
export const maxDepth = 100

/** How many parts a message may have. */
export const maxParts = 10_000

/** Which of the bounds was passed. */
export type TooComplex = "depth" | "parts"

const LF = 10
const CR = 13
const DASH = 45

/** Longer lines are no delimiters: a boundary has up to 70 characters (RFC 2046 §5.1.1). */
const longestDelimiter = 300

interface Delimiter {
  readonly boundary: string
  readonly closing: boolean
  /** Behind its line end. */
  readonly end: number
}

/** The value of the first field with this name; undefined where there is none. */
export const valueOf = (fields: ReadonlyArray<string>, name: string): string | undefined => {
  const field = fields.find((each) => HeaderField.nameOf(each) === name)
  return field?.slice(field.indexOf(":") + 1).replace(/\r?\n/g, "")
}

/** Nothing an encoding has to be undone for. */
export const isIdentity = (encoding: string): boolean => ["7bit", "8bit", "binary"].includes(encoding)

/** Takes a message apart. Total but for the bounds: what is not closed goes to the end. */
export const parse = (content: Uint8Array): Result.Result<Part, TooComplex> => {
  const octets = Buffer.from(content.buffer, content.byteOffset, content.length)
  // Those of all multiparts around, innermost last: an outer one ends what is inside, at any level (RFC 2046 §5.1.2).
  const boundaries: Array<string> = []
  /** All there have been: most lines that begin with dashes are none, and are not looked for in each multipart. */
  const known = new Set<string>()
  let at = 0
  let parts = 0

  const lineEnd = (from: number): number => {
    const lf = octets.indexOf(LF, from)
    return lf === -1 ? octets.length : lf + 1
  }

  const delimiterAt = (from: number): Delimiter | undefined => {
    if (boundaries.length === 0 || octets[from] !== DASH || octets[from + 1] !== DASH) return undefined
    const found = octets.subarray(from, from + longestDelimiter).indexOf(LF)
    const end = found === -1 ? octets.length : from + found + 1
    if (end - from > longestDelimiter) return undefined
    // White space may follow: RFC 2046 calls it transport padding.
    const line = octets.toString("latin1", from + 2, end).replace(/[ \t\r\n]+$/, "")
    const closed = line.endsWith("--") ? line.slice(0, -2) : undefined
    if (!known.has(line) && (closed === undefined || !known.has(closed))) return undefined
    const boundary = boundaries.findLast((each) => each === line || each === closed)
    return boundary === undefined ? undefined : { boundary, closing: boundary !== line, end }
  }

  /** Goes to the next delimiter or the end. */
  const skip = (): Delimiter | undefined => {
    while (at < octets.length) {
      const delimiter = delimiterAt(at)
      if (delimiter !== undefined) return delimiter
      const next = octets.indexOf("\n--", at, "latin1")
      at = next === -1 ? octets.length : next + 1
    }
    return undefined
  }

  const header = (): { readonly fields: ReadonlyArray<string>; readonly separated: boolean } => {
    const fields: Array<string> = []
    while (at < octets.length && delimiterAt(at) === undefined) {
      const start = at
      at = lineEnd(at)
      const line = octets.toString("latin1", start, at).replace(/\r?\n$/, "")
      if (line === "") return { fields, separated: true }
      if (/^[ \t]/.test(line) && fields.length > 0) fields.push(`${fields.pop()}\r\n${line}`)
      else fields.push(line)
    }
    return { fields, separated: false }
  }

  /** The line end before a delimiter is the delimiter's. */
  const leaf = (): Body => {
    const start = at
    skip()
    let end = at
    if (at < octets.length && end > start && octets[end - 1] === LF) end--
    if (end < at && end > start && octets[end - 1] === CR) end--
    const body = octets.subarray(start, end)
    at = end
    return { _tag: "Octets", octets: body }
  }

  const multipart = (boundary: string, digest: boolean, depth: number): Result.Result<Body, TooComplex> => {
    const pieces: Array<Piece> = []
    const level = boundaries.push(boundary)
    known.add(boundary)
    for (let start = at;;) {
      const delimiter = skip()
      const own = delimiter !== undefined && boundaries.length === level && delimiter.boundary === boundary
      if (own) at = delimiter.end
      if (own && delimiter.closing) {
        boundaries.length = level - 1
        continue
      }
      if (at > start) pieces.push({ _tag: "Between", octets: octets.subarray(start, at) })
      if (!own) break
      const part = parsePart(digest, depth + 1)
      if (Result.isFailure(part)) return Result.fail(part.failure)
      pieces.push({ _tag: "Part", part: part.success })
      start = at
    }
    boundaries.length = level - 1
    return Result.succeed({ _tag: "Multipart", pieces })
  }

  const parsePart = (digest: boolean, depth: number): Result.Result<Part, TooComplex> => {
    if (depth > maxDepth) return Result.fail("depth")
    if (++parts > maxParts) return Result.fail("parts")
    const { fields, separated } = header()
    const start = at
    const said = HeaderField.contentType(valueOf(fields, "content-type") ?? "")
    const type = said.type.includes("/") ? said.type : digest ? "message/rfc822" : "text/plain"
    const encoding = HeaderField.token(valueOf(fields, "content-transfer-encoding") ?? "7bit")
    const body: Result.Result<Body, TooComplex> = !separated
      ? Result.succeed({ _tag: "Octets", octets: octets.subarray(at, at) })
      : type.startsWith("multipart/") && said.boundary
      ? multipart(said.boundary, type === "multipart/digest", depth)
      : type === "message/rfc822" && isIdentity(encoding)
      ? Result.map(parsePart(false, depth + 1), (message) => ({ _tag: "Message", message }))
      : Result.succeed(leaf())
    return Result.map(body, (body) => {
      return { fields, separated, type, encoding, content: octets.subarray(start, at), body }
    })
  }

  return parsePart(false, 0)
}
