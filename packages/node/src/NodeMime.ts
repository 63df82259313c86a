/**
 * Mail content made to fit servers that take 7-bit lines only: without 8BITMIME (RFC 6152),
 * BINARYMIME (RFC 3030) or SMTPUTF8 (RFC 6531).
 */
// The library brings no types: so they are known wherever this file is compiled.
// oxlint-disable-next-line typescript/triple-slash-reference
/// <reference path="../libqp.d.ts" />
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import libqp from "libqp"
import { isUtf8 } from "node:buffer"
import * as HeaderField from "./HeaderField.ts"
import * as MimePart from "./MimePart.ts"

/** Why content cannot be converted. */
export type ConversionProblem =
  /** A signature covers what would have to change (RFC 1847 §2.1, RFC 6376 §5.3). */
  | { readonly _tag: "SignedContent"; readonly by: "multipart/signed" | "DKIM-Signature" | "ARC-Message-Signature" }
  | HeaderField.FieldProblem
  /** A type that may not be encoded (RFC 2045 §6.4) and is not a message: `message/partial`, `message/delivery-status`, … */
  | { readonly _tag: "TypeNotEncodable"; readonly type: string }
  /** A Content-Transfer-Encoding that is unknown here, on a body that is not 7-bit. */
  | { readonly _tag: "UnknownEncoding"; readonly encoding: string }
  /** A multipart without a boundary, or whose boundary never comes. */
  | { readonly _tag: "NoParts"; readonly type: string }
  /** Nested deeper, or with more parts, than is looked into. */
  | { readonly _tag: "TooComplex"; readonly limit: MimePart.TooComplex }

/** The one error of {@link toSevenBit}; `reason` says what stands in the way. */
export class ConversionError extends Data.TaggedError("ConversionError")<{
  readonly reason: ConversionProblem
}> {
  override get message() {
    return describe(this.reason)
  }
}

const describe = (problem: ConversionProblem): string => {
  switch (problem._tag) {
    case "SignedContent":
      return `signed content must not be changed (${problem.by}): convert it before it is signed`
    case "AddressNotAscii":
      return `the field ${problem.field} holds the address ${JSON.stringify(problem.address)}, which needs SMTPUTF8`
    case "FieldNotConvertible":
      return `the field ${problem.field} cannot be converted: ${problem.detail}`
    case "TypeNotEncodable":
      return `a part of type ${problem.type} is not 7-bit, and this type must not be encoded`
    case "UnknownEncoding":
      return `a part is not 7-bit under its Content-Transfer-Encoding ${
        JSON.stringify(problem.encoding.slice(0, 80))
      }, which is unknown`
    case "NoParts":
      return `a ${problem.type} is not 7-bit and has no boundary, or none of its parts is there`
    case "TooComplex":
      return problem.limit === "depth"
        ? `parts are nested deeper than ${MimePart.maxDepth}`
        : `the message has more than ${MimePart.maxParts} parts`
  }
}

type Converted<A> = Result.Result<A, ConversionProblem>

/**
 * An equivalent message (RFC 5322, MIME) of ASCII without NUL, in CRLF lines of at most 998 octets. One that is
 * that already, however its lines end, comes back as it is, the same array.
 *
 * - Bodies that are not 7-bit are encoded, each part on its own: text as quoted-printable, others as base64.
 *   Messages inside are converted themselves (RFC 2046 §5.2.1); `message/global` may be encoded (RFC 6532 §3.7) and is.
 * - Raw UTF-8 in header fields becomes encoded-words (RFC 2047) and extended parameters (RFC 2231). Addresses are
 *   never converted.
 * - A body without a Content-Type gets one: `text/plain` in `utf-8`, or in `unknown-8bit` (RFC 1428).
 * - What readers pass over before and after the parts of a multipart loses its lines that are not 7-bit.
 *
 * Of signatures of the message itself only those of its own header count, not those of messages inside. All of it
 * is done in memory and in one go: the event loop waits, for ten megabytes of text about a second.
 * Fails with {@link ConversionError}: content that is signed, an address that needs SMTPUTF8, and the others
 * of {@link ConversionProblem}.
 *
 * @example
 * ```ts
 * import { NodeMime } from "@postern/node"
 *
 * const content = new TextEncoder().encode("Subject: Grüße\r\n\r\nSchönen Tag!\r\n")
 *
 * export const converted = NodeMime.toSevenBit(content)
 * ```
 */
export const toSevenBit = (content: Uint8Array): Effect.Effect<Uint8Array, ConversionError> =>
  Effect.suspend(() =>
    isSevenBit(content)
      ? Effect.succeed(content)
      : Effect.mapError(Effect.fromResult(convert(content)), (reason) => new ConversionError({ reason }))
  )

const NUL = 0
const LF = 10
const CR = 13

const longestLine = 998

/** Whether every server may be sent it: ASCII without NUL and bare CR, in lines of at most 998 octets (RFC 5321 §4.5.3.1.6). */
const isSevenBit = (octets: Uint8Array): boolean => {
  let start = 0
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at] ?? 0
    if (octet === LF) {
      if (at - (octets[at - 1] === CR ? 1 : 0) - start > longestLine) return false
      start = at + 1
    } else if (octet > 127 || octet === NUL || (octet === CR && octets[at + 1] !== LF)) {
      return false
    }
  }
  return octets.length - start <= longestLine
}

const signatures = ["DKIM-Signature", "ARC-Message-Signature"] as const

const convert = (content: Uint8Array): Converted<Uint8Array> => {
  const parsed = MimePart.parse(content)
  if (Result.isFailure(parsed)) return Result.fail({ _tag: "TooComplex", limit: parsed.failure })
  const message = parsed.success
  const by = signatures.find((name) => MimePart.valueOf(message.fields, name.toLowerCase()) !== undefined)
  if (by !== undefined) return Result.fail({ _tag: "SignedContent", by })
  return Result.map(convertPart(message, true), (pieces) => {
    const { buffer, byteLength, byteOffset } = Buffer.concat(pieces)
    return new Uint8Array(buffer, byteOffset, byteLength)
  })
}

type Pieces = ReadonlyArray<Uint8Array>

/** `root`: of a message, the outer one or one inside. */
const convertPart = (part: MimePart.Part, root: boolean): Converted<Pieces> =>
  Result.gen(function*() {
    const body = yield* convertBody(part)
    const fields: Array<string> = []
    for (const field of part.fields) {
      fields.push(isSevenBit(Buffer.from(field, "latin1")) ? field : yield* HeaderField.toAscii(field))
    }
    return [header(part, fields, body, root), ...body.pieces]
  })

/** A body that every server may be sent, and its encoding where it has another one now. */
interface ConvertedBody {
  readonly pieces: Pieces
  readonly encoding: string | undefined
}

const convertBody = (part: MimePart.Part): Converted<ConvertedBody> => {
  const { body } = part
  // What is announced as 8bit or binary is neither any more: a part inside may not be more than what it is in.
  const encoding = part.encoding === "8bit" || part.encoding === "binary" ? "7bit" : undefined
  const unencoded = (pieces: Pieces): ConvertedBody => ({ pieces, encoding })
  if (part.type === "multipart/signed") {
    return isSevenBit(part.content)
      ? Result.succeed(unencoded([withCrlf(part.content)]))
      : Result.fail({ _tag: "SignedContent", by: "multipart/signed" })
  }
  switch (body._tag) {
    case "Octets":
      return isSevenBit(body.octets)
        ? Result.succeed(unencoded([withCrlf(body.octets)]))
        : encode(part.type, part.encoding, body.octets)
    case "Message":
      return Result.map(convertPart(body.message, true), unencoded)
    case "Multipart":
      return Result.map(convertPieces(part.type, body.pieces), unencoded)
  }
}

const convertPieces = (type: string, pieces: ReadonlyArray<MimePart.Piece>): Converted<Pieces> =>
  Result.gen(function*() {
    const out: Array<Uint8Array> = []
    const partless = pieces.every((piece) => piece._tag === "Between")
    for (const piece of pieces) {
      if (piece._tag === "Part") {
        for (const octets of yield* convertPart(piece.part, false)) out.push(octets)
      } else if (isSevenBit(piece.octets)) {
        out.push(withCrlf(piece.octets))
      } else if (partless) {
        return yield* Result.fail<ConversionProblem>({ _tag: "NoParts", type })
      } else {
        for (const line of latin1(piece.octets).split(/(?<=\n)/)) {
          const octets = Buffer.from(line, "latin1")
          if (isSevenBit(octets)) out.push(withCrlf(octets))
        }
      }
    }
    return out
  })

const encoded = (encoding: string, text: string): Converted<ConvertedBody> =>
  Result.succeed({ encoding, pieces: [Buffer.from(text, "latin1")] })

const encode = (type: string, encoding: string, octets: Uint8Array): Converted<ConvertedBody> => {
  if (type.startsWith("multipart/")) return Result.fail({ _tag: "NoParts", type })
  if (encoding === "quoted-printable") return encoded(encoding, wrap(escape(crlf(latin1(octets)))))
  if (encoding === "base64") return encoded(encoding, lines(latin1(octets).replace(/[^A-Za-z0-9+/=]/g, "")))
  if (!MimePart.isIdentity(encoding)) return Result.fail({ _tag: "UnknownEncoding", encoding })
  if (type.startsWith("message/") && !type.startsWith("message/global")) {
    return Result.fail({ _tag: "TypeNotEncodable", type })
  }
  const text = latin1(octets)
  // In quoted-printable lines end as they do in text; that would not give back such characters.
  return type.startsWith("text/") && !/\0|\r(?!\n)/.test(text)
    ? encoded("quoted-printable", wrap(libqp.encode(Buffer.from(crlf(text), "latin1"))))
    : encoded("base64", lines(Buffer.from(text, "latin1").toString("base64")))
}

const latin1 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1")

const crlf = (text: string): string => text.replace(/(?<!\r)\n/g, "\r\n")

const withCrlf = (octets: Uint8Array): Uint8Array => {
  const text = latin1(octets)
  return /(?<!\r)\n/.test(text) ? Buffer.from(crlf(text), "latin1") : octets
}

/** What is quoted-printable already but for some octets. */
const escape = (text: string): string =>
  text.replace(
    /[^\t\r\n -~]|\r(?!\n)/g,
    (octet) => `=${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
  )

/** A line that a soft break begins must not look like a delimiter of what the part is in. */
const wrap = (quotedPrintable: string): string => {
  const wrapped = libqp.wrap(quotedPrintable)
  return wrapped.includes("=\r\n--") ? libqp.wrap(quotedPrintable.replace(/-(?=-)/g, "=2D")) : wrapped
}

const lines = (base64: string): string => base64.replace(/.{76}(?=.)/g, "$&\r\n")

const header = (
  part: MimePart.Part,
  converted: ReadonlyArray<string>,
  { encoding = part.encoding }: ConvertedBody,
  root: boolean
): Uint8Array => {
  const fields = [...converted]
  const has = (name: string): boolean => MimePart.valueOf(part.fields, name) !== undefined
  if (encoding !== part.encoding) {
    if (!MimePart.isIdentity(encoding)) {
      if (root && !has("mime-version")) fields.push("MIME-Version: 1.0")
      if (part.type === "text/plain" && !has("content-type")) {
        fields.push(`Content-Type: text/plain; charset=${isUtf8(part.content) ? "utf-8" : "unknown-8bit"}`)
      }
    }
    const field = `Content-Transfer-Encoding: ${encoding}`
    const at = fields.findIndex((each) => HeaderField.nameOf(each) === "content-transfer-encoding")
    if (at === -1) fields.push(field)
    else fields[at] = field
  }
  const end = part.separated || fields.length > converted.length ? "\r\n" : ""
  return Buffer.from(fields.map((field) => `${field}\r\n`).join("") + end, "latin1")
}
