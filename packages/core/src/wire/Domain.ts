/**
 * Domains as SMTP writes them (RFC 5321 §4.1.2, §4.1.3): a name in A-labels, or an
 * address literal in square brackets.
 */
import type { Branded } from "effect/Brand"
import * as Result from "effect/Result"
import { toASCII, toUnicode } from "tr46"
import type { AddressError } from "./AddressError.ts"
import { printable, refuse, screen } from "./AddressError.ts"

/**
 * A domain in the form that goes over the wire, always ASCII: a name of A-labels in
 * lower case (`xn--bcher-kva.example`), or an address literal (`[192.0.2.1]`,
 * `[IPv6:2001:db8::1]`, `[Tag:content]`). Only {@link parseDomain} makes one, so a
 * `Domain` can be written into a command as it is, and two of them are compared with `===`.
 */
export type Domain = Branded<string, "@postern/core/Domain">

const MAX_DOMAIN = 255 // octets, RFC 5321 §4.5.3.1.2
const MAX_LABEL = 63 // octets, RFC 1035 §2.3.4
const MAX_INPUT = 1000 // a U-label's mapping may shrink it, so the wire limits are checked afterwards

/** UTS #46, non-transitional; hyphens are judged here, as host names like `r3---a.example` exist. */
const IDNA = { useSTD3ASCIIRules: true, checkBidi: true, checkJoiners: true, transitionalProcessing: false }

/**
 * Reads a domain or an address literal. U-labels (`bücher.example`) become A-labels by
 * UTS #46, non-transitional, with the STD3 rules; A-labels in the input must decode.
 *
 * Strict where RFC 5321 is: no underscore, no trailing dot, no empty label, labels of
 * at most 63 octets and 255 in all. An IPv4 address without its brackets is refused too,
 * though the grammar alone would take it for a name.
 *
 * Fails with `Empty`, `TooLong`, `ForbiddenCharacter`, `Domain` or `AddressLiteral`.
 *
 * @example
 * ```ts
 * import { Address } from "@postern/core"
 * import { Result } from "effect"
 *
 * const domain = Result.getOrThrow(Address.parseDomain("Bücher.example"))
 * console.log(domain) // xn--bcher-kva.example
 * console.log(Address.domainToUnicode(domain)) // bücher.example
 * ```
 */
export const parseDomain = (input: string): Result.Result<Domain, AddressError> => {
  const refused = screen(input, MAX_INPUT)
  if (refused !== undefined) return Result.fail(refused)
  if (input === "") return refuse(input, "Empty", "a domain is expected, and there is nothing")
  if (input.startsWith("[")) return parseLiteral(input)

  const bad = input.search(/[^A-Za-z0-9.\-\u0080-\u{10ffff}]/u)
  if (bad >= 0) return refuse(input, "Domain", explainCharacter(input.charAt(bad)), bad)
  const name = /^[A-Za-z0-9.-]+$/.test(input) && !/xn--/i.test(input)
    ? Result.succeed(input.toLowerCase())
    : toALabels(input)
  if (Result.isFailure(name)) return refuse(input, ...name.failure)
  const fault = judgeName(name.success)
  return fault === undefined ? Result.succeed(name.success as Domain) : refuse(input, ...fault)
}

/** Whether the domain is an address literal in square brackets, not a name. */
export const isLiteral = (domain: Domain): boolean => domain.startsWith("[")

/** The domain for people to read, with U-labels: `xn--bcher-kva.example` is `bücher.example`. Never for the wire. */
export const domainToUnicode = (domain: Domain): string =>
  domain.includes("xn--") && !isLiteral(domain) ? toUnicode(domain, IDNA).domain : domain

// ---------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------

type Fault = readonly ["Domain" | "TooLong", string]

const toALabels = (input: string): Result.Result<string, Fault> => {
  const unicode = toUnicode(input, IDNA)
  for (const label of unicode.domain.split(".")) {
    // No code point takes less than an octet. Decided here because Punycode takes quadratic time.
    if (label.length > 2 * MAX_LABEL) {
      return Result.fail(["TooLong", `the label ${printable(label)} is longer than ${MAX_LABEL} octets`])
    }
    // RFC 5891 §4.2.3.1; the A-label would hide it.
    if (/[^ -~]/u.test(label) && /^-|-$|^..--/u.test(label)) {
      return Result.fail(["Domain", `the label ${printable(label)} has a hyphen where none is allowed`])
    }
  }
  const ascii = unicode.error ? null : toASCII(input, IDNA)
  return ascii === null ? Result.fail(["Domain", explainIdna(input)]) : Result.succeed(ascii)
}

const judgeName = (name: string): Fault | undefined => {
  if (name.endsWith(".")) return ["Domain", "a domain in an address has no dot at its end; leave it out"]
  if (name.length > MAX_DOMAIN) {
    return ["TooLong", `the domain is ${name.length} octets long, ${MAX_DOMAIN} are allowed`]
  }
  for (const label of name.split(".")) {
    if (label === "") return ["Domain", "a label is missing: a domain begins with no dot and has no two in a row"]
    if (label.length > MAX_LABEL) {
      return ["TooLong", `the label ${printable(label)} is ${label.length} octets long, ${MAX_LABEL} are allowed`]
    }
    if (label.startsWith("-") || label.endsWith("-")) {
      return ["Domain", `the label ${printable(label)} begins or ends with a hyphen`]
    }
  }
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name)) {
    return ["Domain", `an IPv4 address stands in square brackets where a domain is expected: [${name}]`]
  }
  return undefined
}

const explainCharacter = (character: string): string => {
  switch (character) {
    case "_":
      return "an underscore is not allowed in a mail domain (RFC 5321 §4.1.2), though it is in other DNS names"
    case "@":
      return "there is a second @; a local part that holds one must be quoted: \"a@b\"@example.com"
    case ":":
      return "a colon is not allowed in a domain; an IPv6 address is written [IPv6:2001:db8::1], and a port does not "
        + "belong here"
    case " ":
      return "a blank is not allowed in a domain"
    case ",":
    case ";":
      return "one address is expected here, and a domain ends before a comma or semicolon"
    default:
      return `${character} is not allowed in a domain: letters, digits, hyphens and dots are`
  }
}

const explainIdna = (input: string): string => {
  const label = input.split(/[.\u3002\uff0e\uff61]/u).find((label) => toUnicode(label, IDNA).error)
  return label === undefined
    ? "the domain mixes left-to-right and right-to-left labels in a way RFC 5893 forbids"
    : `${printable(label)} is not a valid label of an internationalised domain name (UTS #46)`
}

// ---------------------------------------------------------------------------
// Address literals
// ---------------------------------------------------------------------------

const parseLiteral = (input: string): Result.Result<Domain, AddressError> => {
  const wrong = (problem: string) => refuse(input, "AddressLiteral", problem)
  if (!input.endsWith("]")) return wrong("the address literal has no closing bracket at its end")
  if (input.length > MAX_DOMAIN) {
    return refuse(input, "TooLong", `the address literal is ${input.length} octets long, ${MAX_DOMAIN} are allowed`)
  }
  const content = input.slice(1, -1)
  const colon = content.indexOf(":")
  if (colon < 0) {
    return isIPv4(content)
      ? Result.succeed(input as Domain)
      : wrong("an IPv4 address is expected in the brackets: four numbers from 0 to 255 without leading zeros")
  }
  const tag = content.slice(0, colon)
  const address = content.slice(colon + 1)
  if (tag.toLowerCase() === "ipv6") {
    return isIPv6(address)
      ? Result.succeed(`[IPv6:${address.toLowerCase()}]` as Domain)
      : wrong("what follows IPv6: is not an IPv6 address (RFC 5321 §4.1.3; :: stands for two groups or more)")
  }
  // Otherwise `2001` would be taken for the tag.
  if (isIPv6(content)) return wrong(`an IPv6 address needs its tag in an address literal: [IPv6:${content}]`)
  return /^[A-Za-z0-9-]*[A-Za-z0-9]$/.test(tag) && /^[!-Z^-~]+$/.test(address)
    ? Result.succeed(input as Domain)
    : wrong("an address literal is [IPv4 address], [IPv6:address] or [Tag:content], with neither blanks nor brackets")
}

const isIPv4 = (text: string): boolean => {
  const octets = text.split(".")
  return octets.length === 4 && octets.every((octet) => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255)
}

const isIPv6 = (text: string): boolean => {
  const [head = "", tail, ...more] = text.split("::")
  if (more.length > 0) return false
  return tail === undefined
    ? countGroups(text, true) === 8
    : countGroups(head, false) + countGroups(tail, true) <= 6
}

/** How many 16-bit groups are written, an IPv4 address at the end counting as two; NaN where the text is none. */
const countGroups = (text: string, mayEndInIPv4: boolean): number => {
  if (text === "") return 0
  const groups = text.split(":")
  const embedded = mayEndInIPv4 && isIPv4(groups.at(-1) ?? "") ? 1 : 0
  return groups.slice(0, groups.length - embedded).every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? groups.length + embedded
    : NaN
}
