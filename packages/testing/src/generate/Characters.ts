/**
 * Texts that protocols are made of.
 */
import { Reply } from "@postern/core"
import * as fc from "fast-check"

export const letters = "abcdefghijklmnopqrstuvwxyz"
export const digits = "0123456789"
export const capitals = letters.toUpperCase()
export const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join("")
/** What of ASCII is no blank. */
export const visible = printable.slice(1)

/** Texts of these characters alone; they shrink to the first of them. */
export const from = (characters: string, length: fc.StringConstraints = {}): fc.Arbitrary<string> =>
  fc.string({ ...length, unit: fc.constantFrom(...characters) })

/** A keyword as EHLO and parameters have it (RFC 5321 §4.1.1.1). */
export const word = fc.tuple(
  from(`${letters}${capitals}${digits}`, { minLength: 1, maxLength: 1 }),
  from(`${letters}${capitals}${digits}-`, { maxLength: 11 })
).map(([first, rest]) => first + rest)

const utf8 = new TextEncoder()

/** The octets of a text in UTF-8. */
export const octets = (text: string): Uint8Array => utf8.encode(text)

/** The octets of a text of which each character is one. */
export const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** The text with another in place of some characters; `seed` says where, whatever the text is. */
export const splice = (text: string, seed: number, dropped: number, inserted: string): string => {
  const at = seed % (text.length + 1)
  return `${text.slice(0, at)}${inserted}${text.slice(at + dropped)}`
}

/** Octets that counterexamples show as text. */
export const readable = (bytes: Uint8Array): Uint8Array =>
  Object.defineProperty(bytes, fc.toStringMethod, {
    configurable: true,
    value: () => `octets("${Reply.escape(bytes, 2000)}")`
  })
