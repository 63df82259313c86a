/**
 * Generators of addresses: valid ones as values, and strings that try to be more than an
 * address.
 */
import { Address } from "@postern/core"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const letters = "abcdefghijklmnopqrstuvwxyz"
const digits = "0123456789"
const atext = `${letters}${letters.toUpperCase()}${digits}!#$%&'*+-/=?^_\`{|}~`

const from = (characters: string, length: fc.StringConstraints): fc.Arbitrary<string> =>
  fc.string({ ...length, unit: fc.constantFrom(...characters) })

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

const printableAscii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join("")

const localPart = fc.oneof(
  fc.array(from(atext, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }).map((atoms) =>
    atoms.join(".")
  ),
  from(printableAscii, { maxLength: 24 }),
  from(`"\\ @.<>${letters}`, { maxLength: 24 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
)

/** Mailboxes whose local part is a dot-string, needs quotes, or needs SMTPUTF8. */
export const mailbox: fc.Arbitrary<Address.Mailbox> = fc.tuple(localPart, domain)
  .map(([local, at]) => Address.make(local, at))
  .filter(Result.isSuccess)
  .map((result) => result.success)

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
