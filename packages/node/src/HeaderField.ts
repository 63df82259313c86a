/**
 * One header field made ASCII and foldable, by what its name says of its grammar
 * (RFC 5322 §3.6, RFC 2045 §5, RFC 2183). A field is a string of octets with its folding,
 * without the line end after it.
 */
import * as Result from "effect/Result"
import * as EncodedWord from "./EncodedWord.ts"

/** Why a field cannot be converted. */
export type FieldProblem =
  /** An address that only SMTPUTF8 can carry. */
  | { readonly _tag: "AddressNotAscii"; readonly field: string; readonly address: string }
  /** Its grammar has no place for what it holds, or it cannot be folded. */
  | { readonly _tag: "FieldNotConvertible"; readonly field: string; readonly detail: string }

type Converted = Result.Result<string, FieldProblem>

const addresses = new Set(
  ["from", "sender", "reply-to", "to", "cc", "bcc", "disposition-notification-to", "list-id"]
)

/** Where nothing but comments may hold text. */
const structured = new Set(
  `date message-id in-reply-to references received return-path mime-version auto-submitted authentication-results
   content-id content-language content-location content-transfer-encoding
   list-archive list-help list-owner list-post list-subscribe list-unsubscribe`.split(/\s+/)
)

/** The name of a field in lower case; undefined where the line is no field. */
export const nameOf = (field: string): string | undefined =>
  /^[!-9;-~]+(?=[ \t]*:)/.exec(field.slice(0, 100))?.[0].toLowerCase()

/** The field in ASCII, in lines of at most 998 octets. */
export const toAscii = (field: string): Converted => {
  const name = nameOf(field)
  if (name === undefined) {
    return notConvertible(excerpt(field), "it does not begin with a name in ASCII and a colon")
  }
  const colon = field.indexOf(":")
  const { charset, text } = EncodedWord.read(Buffer.from(field.slice(colon + 1).replace(/\r?\n/g, ""), "latin1"))
  if (/[\0\r]/.test(text)) return notConvertible(name, "it holds NUL or a bare CR, which nothing in a header can say")
  return Result.flatMap(
    convert(name, text, charset),
    (value) => fold(name, `${field.slice(0, colon)}:${/^[ \t]/.test(value) ? "" : " "}${value}`)
  )
}

const convert = (name: string, text: string, charset: EncodedWord.Charset): Converted => {
  const base = name.replace(/^resent-/, "")
  if (addresses.has(base)) return list(name, text, charset, false)
  if (name === "keywords") return list(name, text, charset, true)
  if (name === "content-type" || name === "content-disposition") return parameters(name, text, charset)
  if (structured.has(base)) return asciiButComments(name, lex(text), charset)
  return Result.succeed(EncodedWord.encode(EncodedWord.words(text), charset))
}

const notConvertible = (field: string, detail: string) =>
  Result.fail<FieldProblem>({ _tag: "FieldNotConvertible", field, detail })

const excerpt = (text: string): string => JSON.stringify(text.slice(0, 80))

type Kind = "space" | "comment" | "quoted" | "special" | "atom"

interface Token {
  readonly kind: Kind
  readonly raw: string
}

/** RFC 5322 §3.2. Total: what is not closed goes to the end. */
const lex = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  for (let at = 0; at < text.length;) {
    const kind = kindOf(text.charAt(at))
    const end = kind === "comment" || kind === "quoted"
      ? closing(text, at)
      : kind === "special"
      ? at + 1
      : run(text, at)
    tokens.push({ kind, raw: text.slice(at, end) })
    at = end
  }
  return tokens
}

const kindOf = (character: string): Kind =>
  character === " " || character === "\t"
    ? "space"
    : character === "("
    ? "comment"
    : character === "\""
    ? "quoted"
    : "<>,;:".includes(character)
    ? "special"
    : "atom"

const run = (text: string, from: number): number => {
  const kind = kindOf(text.charAt(from))
  let at = from + 1
  while (at < text.length && kindOf(text.charAt(at)) === kind) at++
  return at
}

const closing = (text: string, from: number): number => {
  const quoted = text.charAt(from) === "\""
  let depth = 1
  for (let at = from + 1; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === "\\") at++
    else if (quoted ? character === "\"" : character === ")") depth--
    else if (!quoted && character === "(") depth++
    if (depth === 0) return at + 1
  }
  return text.length
}

const unescape = (raw: string): string => raw.replace(/\\([^])/g, "$1")

const written = (tokens: ReadonlyArray<Token>): string => tokens.map(({ raw }) => raw).join("")

const meaning = (token: Token): string =>
  token.kind === "quoted" ? unescape(token.raw.slice(1).replace(/"$/, "")) : token.raw

/** The text between the parentheses of a comment, however nested, as words. */
const comment = (raw: string, charset: EncodedWord.Charset): string => {
  if (EncodedWord.isPlain(raw)) return raw
  let out = ""
  let from = 0
  const flush = (to: number) => {
    out += EncodedWord.encode(EncodedWord.words(raw.slice(from, to), unescape), charset)
  }
  for (let at = 0; at < raw.length; at++) {
    const character = raw.charAt(at)
    if (character === "\\") at++
    else if (character === "(" || character === ")") {
      flush(at)
      out += character
      from = at + 1
    }
  }
  flush(raw.length)
  return out
}

/** A display name, or the name of a group: words and quoted strings, comments between them. */
const phrase = (tokens: ReadonlyArray<Token>, charset: EncodedWord.Charset): string => {
  const words: Array<EncodedWord.Word> = []
  let space = ""
  let word: EncodedWord.Word | undefined
  const end = () => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  for (const token of tokens) {
    if (token.kind === "space") {
      end()
      space = token.raw
    } else if (token.kind === "comment") {
      end()
      const raw = comment(token.raw, charset)
      words.push({ space: space || " ", raw, text: raw })
      space = " "
    } else {
      word = word === undefined
        ? { space, raw: token.raw, text: meaning(token) }
        : { ...word, raw: word.raw + token.raw, text: word.text + meaning(token) }
      space = ""
    }
  }
  end()
  return EncodedWord.encode(words, charset) + space
}

const asciiButComments = (name: string, tokens: ReadonlyArray<Token>, charset: EncodedWord.Charset): Converted => {
  const bad = tokens.find((token) => token.kind !== "comment" && /[\u0080-\uffff]/.test(token.raw))
  return bad === undefined
    ? Result.succeed(tokens.map((token) => token.kind === "comment" ? comment(token.raw, charset) : token.raw).join(""))
    : notConvertible(name, `it holds ${excerpt(bad.raw)} where its grammar has ASCII only`)
}

/** Addresses (RFC 5322 §3.4) or phrases, with commas between them. */
const list = (name: string, text: string, charset: EncodedWord.Charset, phrases: boolean): Converted => {
  let out = ""
  let pending: Array<Token> = []
  let problem: FieldProblem | undefined
  let inside = false
  const address = () => {
    const converted = asciiButComments(name, pending, charset)
    if (Result.isSuccess(converted)) out += converted.success
    else problem ??= { _tag: "AddressNotAscii", field: name, address: written(pending).trim().slice(0, 320) }
    pending = []
  }
  for (const token of lex(text)) {
    if (token.kind !== "special" || (inside && token.raw !== ">")) {
      pending.push(token)
      continue
    }
    const named = token.raw === "<" || token.raw === ":"
    if (named || (phrases && !inside)) {
      const before = phrase(pending, charset)
      // An encoded-word ends at white space.
      out += named && before.endsWith("?=") && token.raw === "<" ? `${before} ` : before
      pending = []
    } else {
      address()
    }
    inside = token.raw === "<"
    out += token.raw
  }
  if (phrases) out += phrase(pending, charset)
  else address()
  return problem === undefined ? Result.succeed(out) : Result.fail(problem)
}

/** The tokens between semicolons. */
const segments = (text: string): ReadonlyArray<ReadonlyArray<Token>> => {
  const out: Array<Array<Token>> = [[]]
  for (const token of lex(text)) {
    if (token.raw === ";") out.push([])
    else out.at(-1)?.push(token)
  }
  return out
}

const parameterOf = (tokens: ReadonlyArray<Token>): { readonly name: string; readonly value: string } => {
  const text = tokens.map((token) => token.kind === "comment" ? "" : meaning(token)).join("")
  const equals = text.indexOf("=")
  return equals === -1
    ? { name: text.trim().toLowerCase(), value: "" }
    : { name: text.slice(0, equals).trim().toLowerCase(), value: text.slice(equals + 1).trim() }
}

const parameters = (name: string, text: string, charset: EncodedWord.Charset): Converted => {
  const [type = [], ...rest] = segments(text)
  const out: Array<string> = []
  for (const tokens of rest) {
    const raw = written(tokens)
    const { name: key, value } = parameterOf(tokens)
    if (EncodedWord.isPlain(raw)) out.push(raw)
    // The delimiters hold the boundary as it is.
    else if (key !== "boundary" && /^[!#$&+\-.0-9A-Z^_`a-z{|}~]+$/.test(key)) {
      out.push(` ${EncodedWord.parameter(key, value, charset)}`)
    } else return notConvertible(name, `its parameter ${excerpt(key)} cannot be written in ASCII`)
  }
  return Result.map(asciiButComments(name, type, charset), (first) => [first, ...out].join(";"))
}

/** The type and the boundary that a Content-Type says, in lower case and as it is. */
export const contentType = (value: string): { readonly type: string; readonly boundary: string | undefined } => {
  const [first = [], ...rest] = segments(value)
  const type = first.filter((token) => token.kind === "atom").map((token) => token.raw).join("").toLowerCase()
  return { type, boundary: rest.map(parameterOf).find(({ name }) => name === "boundary")?.value }
}

/** The one word of a Content-Transfer-Encoding, in lower case. */
export const token = (value: string): string => contentType(value).type

const lineLength = 78

/** Line ends before white space: a reader takes them out again (RFC 5322 §2.2.3). */
const fold = (name: string, field: string): Converted => {
  const lines: Array<string> = []
  let line = ""
  for (const { raw, space } of EncodedWord.words(field)) {
    if (raw !== "" && line !== "" && line.length + space.length + raw.length > lineLength) {
      lines.push(line)
      line = space + raw
    } else {
      line += space + raw
    }
  }
  lines.push(line)
  return lines.some((each) => each.length > 998)
    ? notConvertible(name, "a line of it is longer than 998 octets and has no place to fold it")
    : Result.succeed(lines.join("\r\n"))
}
