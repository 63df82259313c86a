/**
 * The mailbox, `local-part@domain`: RFC 5321 §4.1.2 with the internationalised local
 * parts of RFC 6531 §3.3.
 */
import * as Result from "effect/Result"
import type { AddressError } from "./AddressError.ts"
import { inside, refuse, screen } from "./AddressError.ts"
import type { Domain } from "./Domain.ts"
import { parseDomain } from "./Domain.ts"

let construct: (localPart: string, domain: Domain) => Mailbox

/**
 * A mailbox. It comes only from {@link parse} and {@link make}, so whoever holds one may
 * write it into a command without looking again. `Equal.equals` holds for two whose
 * domains and local parts are the same, case included in the latter (RFC 5321 §2.4).
 */
export class Mailbox {
  /** What the local part means, without quotes and backslashes. May be empty, as `""@example.com` is grammatical. */
  readonly localPart: string
  readonly domain: Domain

  /** Exists for the type alone: makes an object with the same two fields no Mailbox. */
  declare protected readonly checked: true

  private constructor(localPart: string, domain: Domain) {
    this.localPart = localPart
    this.domain = domain
  }

  static {
    construct = (localPart, domain) => new Mailbox(localPart, domain)
  }

  /** The same as {@link format}. */
  toString(): string {
    return format(this)
  }
}

const MAX_LOCAL_PART = 64 // octets, RFC 5321 §4.5.3.1.1
const MAX_MAILBOX = 254 // octets: a path has 256 with its angle brackets, RFC 5321 §4.5.3.1.3
const MAX_INPUT = 1000
const MAX_LABEL = 63 // octets, RFC 1035 §2.3.4: a domain of no more has no label that is too long

// atext and qtextSMTP, both extended by RFC 6531 §3.3; a quoted pair stays ASCII. Controls were screened before.
const ATOM = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u0080-\\u{10ffff}]+"
const DOT_STRING = new RegExp(`^${ATOM}(?:\\.${ATOM})*`, "u")
const ONLY_DOT_STRING = new RegExp(`${DOT_STRING.source}$`, "u")
const QUOTED_STRING = /^"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"/u

/**
 * Reads exactly one mailbox, `local-part@domain`: no angle brackets, no blanks or
 * comments around it. For what people type into forms, use `parseUser`.
 *
 * The local part may hold any Unicode text (RFC 6531) and is kept as given, unnormalised;
 * the domain is brought into wire form by `parseDomain`. Limits are counted in octets
 * of UTF-8 on the canonical wire form: 64 for the local part with the quotes it
 * needs, 254 for the mailbox.
 *
 * Fails with any kind but `Path` and `DisplayName`.
 *
 * @example
 * ```ts
 * import { Address } from "@postern/core"
 * import { Result } from "effect"
 *
 * const mailbox = Result.getOrThrow(Address.parse("\"Fred\\ Bloggs\"@Example.COM"))
 * console.log(mailbox.localPart) // Fred Bloggs
 * console.log(Address.format(mailbox)) // "Fred Bloggs"@example.com
 * ```
 */
export const parse = (text: string): Result.Result<Mailbox, AddressError> => {
  const mailbox = usual(text)
  if (mailbox !== undefined) return Result.succeed(mailbox)
  const refused = screen(text, MAX_INPUT)
  if (refused !== undefined) return Result.fail(refused)
  if (text === "") return refuse(text, "Empty", "an address is expected, and there is nothing")

  const quoted = text.startsWith("\"")
  const written = (quoted ? QUOTED_STRING : DOT_STRING).exec(text)?.[0] ?? ""
  const at = written.length
  if (at === 0 || text[at] !== "@") return refuse(text, ...explainLocalPart(text, at))

  const domain = parseDomain(text.slice(at + 1))
  if (Result.isFailure(domain)) return Result.fail(inside(text, at + 1)(domain.failure))
  const localPart = quoted ? written.slice(1, -1).replace(/\\(.)/gu, "$1") : written
  return Result.mapError(make(localPart, domain.success), inside(text, 0))
}

// Short ASCII, no A-labels, a top-level domain that is no number: nothing about it needs a closer look.
const USUAL =
  /^([a-z0-9!#$%&'*+\-/=?^_`{|}~]{1,64}(?:\.[a-z0-9!#$%&'*+\-/=?^_`{|}~]+)*)@((?:[a-z0-9](?:-?[a-z0-9])*\.)+[a-z](?:-?[a-z0-9])*)$/i

/** The mailbox of a text that is one at first sight, as nearly all are; undefined where {@link parse} has to look. */
export const usual = (text: string): Mailbox | undefined => {
  if (text.length > 128) return undefined
  const [, localPart = "", domain = ""] = USUAL.exec(text) ?? []
  return domain === "" || localPart.length > MAX_LOCAL_PART || domain.length > MAX_LABEL
    ? undefined
    : construct(localPart, domain.toLowerCase() as Domain)
}

/**
 * Puts a mailbox together. `localPart` is plain, without quotes and backslashes: what
 * needs them on the wire gets them from {@link format}.
 *
 * Fails with `TooLong` or `ForbiddenCharacter`.
 */
export const make = (localPart: string, domain: Domain): Result.Result<Mailbox, AddressError> => {
  const refused = screen(localPart, MAX_INPUT)
  if (refused !== undefined) return Result.fail(refused)
  const octets = utf8Length(formatLocalPart(localPart))
  if (octets > MAX_LOCAL_PART) {
    return refuse(localPart, "TooLong", `the local part takes ${octets} octets, ${MAX_LOCAL_PART} are allowed`)
  }
  const total = octets + 1 + domain.length
  return total > MAX_MAILBOX
    ? refuse(`${localPart}@${domain}`, "TooLong", `the mailbox takes ${total} octets, ${MAX_MAILBOX} are allowed`)
    : Result.succeed(construct(localPart, domain))
}

/**
 * The canonical wire form, without angle brackets: the local part is quoted only where
 * it has to be, and then only `"` and `\` get a backslash. UTF-8 where
 * {@link needsSmtpUtf8}, ASCII otherwise.
 */
export const format = (mailbox: Mailbox): string => `${formatLocalPart(mailbox.localPart)}@${mailbox.domain}`

/** Whether only a server with SMTPUTF8 (RFC 6531) takes this mailbox: its local part is not ASCII. Domains never need it. */
export const needsSmtpUtf8 = (mailbox: Mailbox): boolean => /[^ -~]/.test(mailbox.localPart)

const formatLocalPart = (localPart: string): string =>
  ONLY_DOT_STRING.test(localPart) ? localPart : `"${localPart.replace(/["\\]/g, "\\$&")}"`

/** Octets of UTF-8; `text` is well-formed. */
const utf8Length = (text: string): number => {
  let octets = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) octets += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2
  }
  return octets
}

/** Why the local part does not end in an `@` at `end`, where the grammar stopped. */
const explainLocalPart = (
  text: string,
  end: number
): readonly ["NoAtSign" | "LocalPart" | "Path", string, number] => {
  if (text.startsWith("<")) return ["Path", "only the mailbox is expected, without its angle brackets", 0]
  if (!text.includes("@", end)) {
    return ["NoAtSign", "there is no @: an address is written local-part@domain", text.length]
  }
  if (text.startsWith("\"")) {
    return end > 0
      ? ["LocalPart", "after the closing quote of a local part an @ has to follow", end]
      : ["LocalPart", "the quoted local part has no closing quote; a quote inside it is written \\\"", 0]
  }
  switch (text[end]) {
    case "@":
      return ["LocalPart", "there is nothing before the @", 0]
    case ".":
      return ["LocalPart", "a dot may neither begin nor end a local part nor follow another, unless it is quoted", end]
    case " ":
      return ["LocalPart", "a blank is not allowed in a local part, unless it is quoted", end]
    default:
      return ["LocalPart", `${text[end]} is not allowed in a local part, unless it is quoted`, end]
  }
}
