/**
 * Addresses as people type them into forms and configuration: with a display name,
 * angle brackets, comments, blanks, several in a row. A small, forgiving part of RFC
 * 5322 §3.4; what comes out of it is as strict as everything else.
 */
import * as Result from "effect/Result"
import type { AddressError } from "./AddressError.ts"
import { inside, refuse, screen } from "./AddressError.ts"
import type { Mailbox } from "./Mailbox.ts"
import { parse, usual } from "./Mailbox.ts"

/** A mailbox and the name somebody gave it. The name is for header fields; the envelope takes the mailbox alone. */
export interface User {
  readonly displayName: string | undefined
  readonly mailbox: Mailbox
}

const MAX_USER = 10_000
const MAX_LIST = 1_000_000

/**
 * Reads one address in any of the forms people type:
 *
 *     a@example.com
 *     <a@example.com>
 *     Ann Other <a@example.com>
 *     "Other, Ann" <a@example.com>
 *     a@example.com (a comment, dropped)
 *
 * Blanks around the parts are dropped, those within a name become one. Unquoted names
 * may hold dots and square brackets, but none of `@ , ; : \ > )`, which would hide a
 * mistake. Encoded words (`=?utf-8?…?=`) stay as they are. At most 10,000 characters.
 *
 * Fails with any kind but `Path`.
 *
 * @example
 * ```ts
 * import { Address } from "@postern/core"
 * import { Result } from "effect"
 *
 * const user = Result.getOrThrow(Address.parseUser("\"Other, Ann\" <a@example.com>"))
 * console.log(user.displayName) // Other, Ann
 * console.log(Address.format(user.mailbox)) // a@example.com
 * ```
 */
export const parseUser = (text: string): Result.Result<User, AddressError> => {
  const mailbox = usual(text)
  if (mailbox !== undefined) return Result.succeed({ displayName: undefined, mailbox })
  const refused = screen(withoutTabs(text), MAX_USER)
  if (refused !== undefined) return Result.fail(refused)

  const parts = split(text)
  if (Result.isFailure(parts)) return Result.fail(parts.failure)
  const words: Array<Part> = []
  let address: Part | undefined
  for (const part of parts.success) {
    if (address !== undefined) {
      return refuse(text, "DisplayName", "nothing but a comment may follow the closing >", part.start)
    }
    if (text[part.start] === "<") address = part
    else words.push(part)
  }

  if (address === undefined) {
    const start = words[0]?.start ?? text.length
    const end = words.at(-1)?.end ?? text.length
    return readUser(text, undefined, trimmed(text, start, end))
  }
  const name = readName(text, words)
  return Result.isFailure(name)
    ? Result.fail(name.failure)
    : readUser(text, name.success, withoutBlanks(text, address.start + 1, address.end - 1))
}

/**
 * Reads a list of what {@link parseUser} reads, separated by commas or semicolons.
 * Separators in quotes, comments and brackets do not count; empty items are skipped, so
 * a trailing comma is fine and a blank text is an empty list. At most 1,000,000 characters.
 *
 * Fails as `parseUser` does, with the first item that is wrong; `input` and `offset` are
 * about that item.
 *
 * @example
 * ```ts
 * import { Address } from "@postern/core"
 * import { Result } from "effect"
 *
 * const users = Result.getOrThrow(Address.parseUserList("a@example.com, \"X, Y\" <c@example.com>; e@example.com"))
 * console.log(users.map((user) => Address.format(user.mailbox)))
 * ```
 */
export const parseUserList = (text: string): Result.Result<ReadonlyArray<User>, AddressError> => {
  const refused = screen(withoutTabs(text), MAX_LIST)
  if (refused !== undefined) return Result.fail(refused)

  const users: Array<User> = []
  let start = 0
  for (let i = 0; i <= text.length;) {
    if (i < text.length && !SEPARATORS.includes(text.charAt(i))) {
      const end = OPENERS.includes(text.charAt(i)) ? closing(text, i) : i + 1
      if (end < 0) return unclosed(text.slice(start), i - start)
      i = end
      continue
    }
    const item = text.slice(start, i).trim()
    if (item !== "") {
      const user = parseUser(item)
      if (Result.isFailure(user)) return Result.fail(user.failure)
      users.push(user.success)
    }
    start = ++i
  }
  return Result.succeed(users)
}

// ---------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------

/** A stretch of the text: something bracketed or quoted, or a run of anything else. */
interface Part {
  readonly start: number
  readonly end: number
}

const SEPARATORS = ",;"
const OPENERS = "\"(<["

/** Cuts a text into its parts, leaving out blanks and comments. */
const split = (text: string): Result.Result<ReadonlyArray<Part>, AddressError> => {
  const parts: Array<Part> = []
  const run = /[ \t]+|[^ \t"(<[]+/y
  for (let start = 0; start < text.length;) {
    let end = start
    if (OPENERS.includes(text.charAt(start))) {
      end = closing(text, start)
      if (end < 0) return unclosed(text, start)
    } else {
      run.lastIndex = start
      run.test(text)
      end = run.lastIndex
    }
    if (!" \t(".includes(text.charAt(start))) parts.push({ start, end })
    start = end
  }
  return Result.succeed(parts)
}

/** The index after the end of what opens at `open`, or -1 where it is not closed. */
const closing = (text: string, open: number): number => {
  switch (text[open]) {
    case "[":
      return text.indexOf("]", open) + 1 || -1
    case "<":
      return closingAngle(text, open)
    default:
      return closingEscaped(text, open)
  }
}

/** For quoted strings and comments: both know backslashes, comments nest. */
const closingEscaped = (text: string, open: number): number => {
  const opener = text[open] === "(" ? "(" : undefined
  const closer = opener === undefined ? "\"" : ")"
  let depth = 1
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === "\\") i++
    else if (text[i] === closer && --depth === 0) return i + 1
    else if (text[i] === opener) depth++
  }
  return -1
}

const closingAngle = (text: string, open: number): number => {
  for (let i = open + 1; i < text.length;) {
    if (text[i] === ">") return i + 1
    i = text[i] === "\"" || text[i] === "[" ? closing(text, i) : i + 1
    if (i < 0) return -1
  }
  return -1
}

const unclosed = (text: string, offset: number) =>
  refuse(text, "DisplayName", `the ${text[offset]} is not closed; inside a name, quote the whole name`, offset)

// ---------------------------------------------------------------------------
// Meaning
// ---------------------------------------------------------------------------

const readUser = (text: string, displayName: string | undefined, [from, to]: readonly [number, number]) =>
  Result.mapBoth(parse(text.slice(from, to)), {
    onSuccess: (mailbox): User => ({ displayName, mailbox }),
    onFailure: inside(text, from)
  })

const readName = (text: string, words: ReadonlyArray<Part>): Result.Result<string | undefined, AddressError> => {
  let name = ""
  let end = 0
  for (const word of words) {
    const written = text.slice(word.start, word.end)
    const bracketed = OPENERS.includes(written.charAt(0))
    const bad = bracketed ? -1 : written.search(/[@,;:\\>)\]]/)
    if (bad >= 0) {
      return refuse(
        text,
        "DisplayName",
        `${written[bad]} is only allowed in a name when the name is quoted: "Other, Ann" <a@example.com>`,
        word.start + bad
      )
    }
    // Parts that touch are one word; where a blank or a comment was, a blank is.
    name += name !== "" && word.start > end ? " " : ""
    name += written.startsWith("\"") ? written.slice(1, -1).replace(/\\(.)/gu, "$1") : written
    end = word.end
  }
  return Result.succeed(withoutTabs(name).trim() || undefined)
}

/** The stretch without any space of Unicode at its ends: what comes with a paste is not meant. */
const trimmed = (text: string, start: number, end: number): readonly [number, number] => {
  const part = text.slice(start, end)
  const from = start + part.length - part.trimStart().length
  return [from, from + part.trim().length]
}

/** The stretch without blanks and tabs at its ends: between brackets, Unicode's other spaces are letters of a local part. */
const withoutBlanks = (text: string, start: number, end: number): readonly [number, number] => {
  let [from, to] = [start, end]
  while (from < to && " \t".includes(text.charAt(from))) from++
  while (to > from && " \t".includes(text.charAt(to - 1))) to--
  return [from, to]
}

/** A tab counts as a blank around the parts and in a name; the address itself still refuses it. */
const withoutTabs = (text: string): string => text.replaceAll("\t", " ")
