/**
 * Generators of replies that are nearly valid: one thing is wrong, and a label says what.
 */
import { EnhancedStatus } from "@postern/core"
import * as fc from "fast-check"
import { from, latin1, letters, printable, readable, visible } from "./Characters.ts"
import { type Faults, nearly } from "./Nearly.ts"
import { enhancedStatus, replyCode } from "./ReplyArbitraries.ts"

/** Texts that begin with a letter: what precedes them cannot run into them. */
const plainText = fc.tuple(from(letters, { minLength: 1, maxLength: 1 }), from(printable, { maxLength: 12 }))
  .map((parts) => parts.join(""))

/** The lines of a reply without their ends, each with code and separator. */
const written = (code: number | string, texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.map((text, i) => `${code}${i < texts.length - 1 ? "-" : " "}${text}`)

type Lines = readonly [string, ...Array<string>]

/** How octets are made of a code and of at least so many texts. */
interface Writer {
  readonly atLeast: number
  readonly write: (code: number, texts: Lines, seed: number) => string
}

const broken = (atLeast: number, write: Writer["write"]): Writer => ({ atLeast, write })

const ended = (lines: ReadonlyArray<string>, end = "\r\n"): string => lines.map((line) => line + end).join("")

/** Something put in place of the code of the line that `seed` chooses. */
const withCode = (code: number, texts: Lines, seed: number, other: string): string =>
  ended(written(code, texts).map((line, i) => i === seed % texts.length ? other + line.slice(3) : line))

/** A reply whose last line has something in place of the blank. */
const withSeparator = (separator: string) =>
  broken(1, (code, texts) => {
    const lines = written(code, texts)
    return ended([...lines.slice(0, -1), `${code}${separator}${texts.at(-1) ?? ""}`])
  })

const writers = {
  "line end LF": broken(1, (code, texts) => ended(written(code, texts), "\n")),
  "line end CR": broken(2, (code, [first, ...rest]) => `${code}-${first}\r${ended(written(code, rest))}`),
  "line end CR CR LF": broken(1, (code, texts) => ended(written(code, texts), "\r\r\n")),
  "line end missing": broken(1, (code, texts) => ended(written(code, texts)).slice(0, -2)),
  "last line missing": broken(1, (code, texts) => ended(written(code, [...texts, ""]).slice(0, -1))),
  "code changes": broken(2, (code, texts, seed) => {
    const other = String(code < 400 ? 550 + seed % 5 : 250 + seed % 3)
    return ended(written(code, texts).map((line, i) => i === texts.length - 1 ? other + line.slice(3) : line))
  }),
  "code missing": broken(2, (code, texts) => `${ended(written(code, texts).slice(0, -1))}${texts.at(-1) ?? ""}\r\n`),
  "code of two digits": broken(1, (code, texts, seed) => withCode(code, texts, seed, String(code).slice(0, 2))),
  "code of four digits": broken(1, (code, texts, seed) => withCode(code, texts, seed, `${code}0`)),
  "code with a letter": broken(1, (code, texts, seed) => withCode(code, texts, seed, `2${"oOlI"[seed % 4]}0`)),
  "first digit out of range": broken(
    1,
    (code, texts, seed) => ended(written(`${"160789"[seed % 6]}${String(code).slice(1)}`, texts))
  ),
  "second digit out of range": broken(
    1,
    (code, texts, seed) => ended(written(`${Math.floor(code / 100)}${6 + seed % 4}${code % 10}`, texts))
  ),
  "blank before the code": broken(1, (code, texts) => ` ${ended(written(code, texts))}`),
  "byte order mark before the code": broken(1, (code, texts) => `\u00ef\u00bb\u00bf${ended(written(code, texts))}`),
  "no blank behind the code": withSeparator(""),
  "tab behind the code": withSeparator("\t"),
  "underscore behind the code": withSeparator("_"),
  "blank behind the code and no text": broken(1, (code, texts) => ended(written(code, [...texts.slice(1), ""]))),
  "empty line": broken(2, (code, [first, ...rest]) => `${code}-${first}\r\n\r\n${ended(written(code, rest))}`),
  "control character": broken(
    1,
    (code, [first, ...rest], seed) =>
      ended(written(code, [...rest, `${first}${["\0", "\u001b", "\u0008", "\u007f", "\u000b"][seed % 5]}`]))
  ),
  "text in Latin-1": broken(1, (code, [first, ...rest]) => ended(written(code, [...rest, `${first}\u00e9`]))),
  "line longer than 512 octets": broken(
    1,
    (code, [first, ...rest], seed) => ended(written(code, [...rest, first + "x".repeat(512 + seed % 512)]))
  ),
  "enhanced status code of another class": broken(
    1,
    (code, [first, ...rest]) => ended(written(code, [`${code < 400 ? 5 : 2}.1.1 ${first}`, ...rest]))
  )
} satisfies Readonly<Record<string, Writer>>

/** The name of something that can be wrong with a reply. */
export type ReplyFault = keyof typeof writers

/** Octets of one reply with one of these codes, in which one thing is not as RFC 5321 §4.2 has it, by what that is. */
export const replyFaultsOf = (codes: fc.Arbitrary<number>): Faults<Uint8Array, ReplyFault> => {
  const written = ({ atLeast, write }: Writer) =>
    fc.tuple(codes, fc.array(plainText, { minLength: atLeast, maxLength: Math.max(3, atLeast) }), fc.nat())
      .map(([code, [first = "", ...rest], seed]) => readable(latin1(write(code, [first, ...rest], seed))))
  return Object.fromEntries(Object.entries(writers).map(([name, writer]) => [name, written(writer)])) as Faults<
    Uint8Array,
    ReplyFault
  >
}

/** The same with any code. */
export const replyFaults = replyFaultsOf(replyCode)

/** Octets of one reply in which one thing is wrong, and what. */
export const nearlyReply = nearly(replyFaults)

const statusText = enhancedStatus.map(EnhancedStatus.format)

/** Texts that begin with what is nearly an enhanced status code (RFC 3463 §2). */
export const statusFaults = {
  "class out of range": statusText.map((text) => `3${text.slice(1)}`),
  "part missing": statusText.map((text) => text.replace(/\.\d+$/, "")),
  "one part too many": statusText.map((text) => `${text}.1`),
  "number of four digits": statusText.map((text) => text.replace(/\d+$/, "1000")),
  "leading zero": statusText.map((text) => text.replace(/(\d{1,2})\d?$/, "0$1")),
  "no blank behind it": statusText.map((text) => `${text}ok`),
  "blank within": statusText.map((text) => text.replace(".", ". ")),
  "blank before it": statusText.map((text) => ` ${text}`),
  "other separator": fc.tuple(statusText, fc.constantFrom(...",-:/")).map(([text, mark]) => text.replaceAll(".", mark)),
  "letter in place of a number": fc.tuple(
    statusText,
    from(visible.replace(/[\d.]/g, ""), { minLength: 1, maxLength: 1 })
  )
    .map(([text, letter]) => text.replace(/\d+$/, letter))
} satisfies Readonly<Record<string, fc.Arbitrary<string>>>

/** A text that begins with what is nearly an enhanced status code, and what is wrong with it. */
export const nearlyEnhancedStatus = nearly(statusFaults)
