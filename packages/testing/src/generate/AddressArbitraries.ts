/**
 * Generators of addresses: valid ones as values, and strings that try to be more than an
 * address.
 */
import { Address } from "@postern/core"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { capitals, digits, from, letters, printable } from "./Characters.ts"
import { nearly } from "./Nearly.ts"

const atext = `${letters}${capitals}${digits}!#$%&'*+-/=?^_\`{|}~`

const parsed = <A>(
  texts: fc.Arbitrary<string>,
  parse: (text: string) => Result.Result<A, Address.AddressError>
): fc.Arbitrary<A> => texts.map(parse).filter(Result.isSuccess).map((result) => result.success)

// ---------------------------------------------------------------------------
// Domains
// ---------------------------------------------------------------------------

const label = fc.tuple(
  from(letters + digits, { minLength: 1, maxLength: 8 }),
  from(`${letters}${digits}-`, { maxLength: 8 })
)
  .map(([first, rest]) => `${first}${rest}`.replace(/-+$/, ""))

// One script a label, as real names have; Hebrew brings in the bidi rules.
const unicodeLabel = fc.oneof(
  from("äöüßéñåøçœ", { minLength: 1, maxLength: 10 }),
  from("例子用户邮件测试日本語", { minLength: 1, maxLength: 6 }),
  from("абвгдежзиклмн", { minLength: 1, maxLength: 10 }),
  from("אבגדהוזח", { minLength: 1, maxLength: 10 })
)

const name = (labels: fc.Arbitrary<string>): fc.Arbitrary<Address.Domain> =>
  parsed(fc.array(labels, { minLength: 1, maxLength: 4 }).map((all) => all.join(".")), Address.parseDomain)

/** Address literals: IPv4, IPv6 in all its spellings, and tagged ones. */
export const addressLiteral: fc.Arbitrary<Address.Domain> = parsed(
  fc.oneof(
    fc.ipV4().map((address) => `[${address}]`),
    fc.ipV6().map((address) => `[IPv6:${address}]`),
    fc.tuple(label, from(`${letters}${digits}:.!"(),;<>@`, { minLength: 1, maxLength: 20 }))
      .map(([tag, content]) => `[x${tag}:${content}]`)
  ),
  Address.parseDomain
)

/** Domains in wire form: host names, internationalised names as A-labels, and address literals. */
export const domain: fc.Arbitrary<Address.Domain> = fc.oneof(
  { weight: 4, arbitrary: name(label) },
  { weight: 2, arbitrary: name(fc.oneof(label, unicodeLabel)) },
  { weight: 1, arbitrary: addressLiteral }
)

// ---------------------------------------------------------------------------
// Mailboxes
// ---------------------------------------------------------------------------

const localPart = fc.oneof(
  fc.array(from(atext, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }).map((atoms) =>
    atoms.join(".")
  ),
  from(printable, { maxLength: 24 }),
  from(`"\\ @.<>${letters}`, { maxLength: 24 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
)

/** Mailboxes whose local part is a dot-string, needs quotes, or needs SMTPUTF8. */
export const mailbox: fc.Arbitrary<Address.Mailbox> = fc.tuple(localPart, domain)
  .map(([local, at]) => Address.make(local, at))
  .filter(Result.isSuccess)
  .map((result) => result.success)

// ---------------------------------------------------------------------------
// Nearly valid
// ---------------------------------------------------------------------------

const atom = from(atext, { minLength: 1, maxLength: 8 })
const host = fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join("."))
const at = (local: fc.Arbitrary<string>, domain: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(local, domain).map((parts) => parts.join("@"))

/** Texts in which one thing is not as a mailbox has it (RFC 5321 §4.1.2). */
export const addressFaults = {
  "no at sign": atom,
  "two at signs": at(at(atom, atom), host),
  "empty local part": at(fc.constant(""), host),
  "empty domain": at(atom, fc.constant("")),
  "dot first": at(atom.map((text) => `.${text}`), host),
  "dot last": at(atom.map((text) => `${text}.`), host),
  "two dots": at(atom.map((text) => `${text}..${text}`), host),
  "quotes not closed": at(atom.map((text) => `"${text}`), host),
  "text behind quotes": at(atom.map((text) => `"${text}"${text}`), host),
  "backslash before the closing quotes": at(atom.map((text) => `"${text}\\"`), host),
  "blank in the local part": at(atom.map((text) => `${text} ${text}`), host),
  "local part longer than 64 octets": at(atom.map((text) => text.padEnd(65, "x")), host),
  "blank in the domain": at(atom, host.map((text) => text.replace(".", " ."))),
  "two dots in the domain": at(atom, host.map((text) => text.replace(".", ".."))),
  "dot before the domain": at(atom, host.map((text) => `.${text}`)),
  "hyphen before a label": at(atom, host.map((text) => `-${text}`)),
  "hyphen behind a label": at(atom, host.map((text) => text.replace(".", "-."))),
  "label longer than 63 octets": at(atom, host.map((text) => `${"x".repeat(64)}.${text}`)),
  "domain longer than 255 octets": at(atom, host.map((text) => `${"x1.".repeat(90)}${text}`)),
  "literal not closed": at(atom, fc.ipV4().map((text) => `[${text}`)),
  "literal of no address": at(atom, fc.ipV4().map((text) => `[${text}.1]`)),
  "IPv6 without its tag": at(atom, fc.nat(0xffff).map((last) => `[::${last.toString(16)}]`)),
  "control character": fc.tuple(mailbox, fc.nat(), fc.constantFrom("\0", "\r", "\n", "\t", "\u007f")).map(
    ([valid, seed, control]) => {
      const characters = [...Address.format(valid)]
      return characters.toSpliced(seed % (characters.length + 1), 0, control).join("")
    }
  )
} satisfies Readonly<Record<string, fc.Arbitrary<string>>>

/** A text that is nearly a mailbox, and what is wrong with it. */
export const nearlyAddress = nearly(addressFaults)

// ---------------------------------------------------------------------------
// Hostile strings
// ---------------------------------------------------------------------------

const payload = fc.constantFrom(
  "\r\n",
  "\n",
  "\r",
  "\0",
  "\t",
  "\u007f",
  "\u0085",
  "\u2028",
  "\ud800",
  "\udc00",
  "\r\nRCPT TO:<victim@example.com>",
  "> SIZE=1\r\nDATA\r\n.\r\n",
  "\\\r\n",
  "\"\r\n\""
)

/** Valid mailboxes with a control character, a line end with a command behind it, or half a surrogate pair put into them. */
export const injectedAddress: fc.Arbitrary<string> = fc.tuple(mailbox, payload, fc.nat())
  .map(([valid, inserted, seed]) => {
    // Cut between code points: in the middle of one, half a pair could become whole again.
    const characters = [...Address.format(valid)]
    const at = seed % (characters.length + 1)
    const before = characters.slice(0, at).join("")
    const after = characters.slice(at).join("")
    return `${before}${inserted}${after}`
  })

/** Texts that are nearly addresses, inject something, are far too long, or are noise. Some happen to be valid. */
export const hostileAddress: fc.Arbitrary<string> = fc.oneof(
  injectedAddress,
  // Addresses with one character missing, doubled or exchanged.
  fc.tuple(mailbox, fc.nat(), fc.constantFrom("", "@", ".", "\"", "\\", "<", ">", "[", "(", ",", " ", "xn--", "…"))
    .map(([valid, seed, replacement]) => {
      const text = Address.format(valid)
      const at = seed % text.length
      return `${text.slice(0, at)}${replacement}${text.slice(at + (seed % 2))}`
    }),
  // Soup of the characters that mean something.
  fc.string({ unit: fc.constantFrom(..."@.\"\\<>[](),;: \t\r\n\0aé-"), maxLength: 40 }),
  // Long, and nested.
  fc.tuple(
    fc.constantFrom("a", "a.", "\"", "\\\"", "(", "<", "[", "@a,", "a@", "xn--", "é", "\u200c"),
    fc.integer({ min: 1, max: 3000 })
  )
    .map(([unit, times]) => `${unit.repeat(times)}@example.com`),
  fc.string({ unit: "binary", maxLength: 60 })
)
