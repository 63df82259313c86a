/**
 * Text in ASCII: encoded-words for header fields (RFC 2047), parameters (RFC 2231).
 *
 * What is no UTF-8 keeps its octets under the name that RFC 1428 gave to an unknown charset.
 */
import { isUtf8 } from "node:buffer"

export type Charset = "utf-8" | "unknown-8bit"

/** Text as it is read; with `unknown-8bit` each character is an octet. */
export interface Text {
  readonly text: string
  readonly charset: Charset
}

export const read = (octets: Uint8Array): Text => {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length)
  return isUtf8(buffer)
    ? { text: buffer.toString("utf8"), charset: "utf-8" }
    : { text: buffer.toString("latin1"), charset: "unknown-8bit" }
}

/** A word of a phrase or a text: what stands before it, how it is written, what it says. */
export interface Word {
  readonly space: string
  readonly raw: string
  readonly text: string
}

/** The words between white space; `meaning` undoes what quoting they have. */
export const words = (text: string, meaning: (raw: string) => string = (raw) => raw): ReadonlyArray<Word> => {
  // Each second part is white space.
  const parts = text.split(/([ \t]+)/)
  return parts.flatMap((raw, at) => at % 2 === 1 ? [] : [{ space: parts[at - 1] ?? "", raw, text: meaning(raw) }])
}

/** Longer words could not be folded; the rest of 998 octets is for what stands around them. */
const longestWord = 800

export const isPlain = (raw: string): boolean => !/[\u0080-\uffff]/.test(raw) && raw.length <= longestWord

const isEncodedWord = (raw: string): boolean => /^=\?[^?]+\?[bq]\?[^?]*\?=$/i.test(raw)

/**
 * The words with those that are not plain encoded. A reader drops white space between two encoded-words
 * (RFC 2047 §6.2), so what stands between them is encoded as well.
 */
export const encode = (list: ReadonlyArray<Word>, charset: Charset): string => {
  let out = ""
  let run: string | undefined
  let previous: Word | undefined
  for (const word of list) {
    if (!isPlain(word.raw)) {
      if (run !== undefined) {
        run += word.space + word.text
      } else if (previous !== undefined && isEncodedWord(previous.raw)) {
        out += " "
        run = word.space + word.text
      } else {
        out += word.space
        run = word.text
      }
    } else if (run === undefined) {
      out += word.space + word.raw
    } else {
      const next = isEncodedWord(word.raw)
      out += encodeRun(next ? run + word.space : run, charset) + (next ? " " : word.space) + word.raw
      run = undefined
    }
    previous = word
  }
  return run === undefined ? out : out + encodeRun(run, charset)
}

// RFC 2047 §2 allows 75; so that the first fits on a line with most names of fields.
const encodedWordLength = 64

const encodeRun = (text: string, charset: Charset): string => {
  const characters = Array.from(text, (character) => octetsOf(character, charset))
  const quoted = characters.reduce((length, octets) => length + quote(octets).length, 0)
  const total = characters.reduce((length, octets) => length + octets.length, 0)
  const b = 4 * Math.ceil(total / 3) < quoted
  const start = `=?${charset}?${b ? "B" : "Q"}?`
  const room = encodedWordLength - start.length - 2
  const size = (octets: Buffer): number => b ? octets.length : quote(octets).length
  const fits = b ? 3 * Math.floor(room / 4) : room
  return groups(characters, size, fits)
    .map((group) => `${start}${b ? group.toString("base64") : quote(group)}?=`)
    .join(" ")
}

const octetsOf = (character: string, charset: Charset): Buffer =>
  Buffer.from(character, charset === "utf-8" ? "utf8" : "latin1")

/** Whole characters together as long as they fit (RFC 2047 §5: none is split). */
const groups = (
  characters: ReadonlyArray<Buffer>,
  size: (octets: Buffer) => number,
  fits: number
): ReadonlyArray<Buffer> => {
  const out: Array<Buffer> = []
  let group: Array<Buffer> = []
  let length = 0
  for (const character of characters) {
    if (length + size(character) > fits) {
      out.push(Buffer.concat(group))
      group = []
      length = 0
    }
    group.push(character)
    length += size(character)
  }
  out.push(Buffer.concat(group))
  return out
}

const hex = (octet: number): string => octet.toString(16).toUpperCase().padStart(2, "0")

/** The Q encoding with the characters that are allowed in a phrase (RFC 2047 §5 (3)), which are allowed everywhere. */
const quote = (octets: Buffer): string =>
  octets.toString("latin1").replace(
    /[^A-Za-z0-9!*+\-/]/g,
    (character) => character === " " ? "_" : `=${hex(character.charCodeAt(0))}`
  )

/** A parameter with an extended value, in as many pieces as it takes (RFC 2231 §4.1). */
export const parameter = (name: string, text: string, charset: Charset): string => {
  const characters = Array.from(text, (character) => octetsOf(character, charset))
  const pieces = groups(characters, (octets) => percent(octets).length, 60).map(percent)
  return pieces.length === 1
    ? `${name}*=${charset}''${pieces[0]}`
    : pieces.map((piece, at) => `${name}*${at}*=${at === 0 ? `${charset}''` : ""}${piece}`).join("; ")
}

const percent = (octets: Buffer): string =>
  octets.toString("latin1").replace(/[^A-Za-z0-9!#$&+\-.^_`{|}~]/g, (character) => `%${hex(character.charCodeAt(0))}`)
