/**
 * What was wrong with an address, as plain data: no stack is captured, since a bad
 * address is an everyday outcome of reading what people typed.
 */
import * as Result from "effect/Result"

/** The rule that was broken, for programs to tell apart. */
export type AddressErrorKind =
  /** There is no text where an address should be. */
  | "Empty"
  /** The whole, the local part, the domain or one of its labels is over its limit. */
  | "TooLong"
  /** A control character, a line separator, or half of a surrogate pair. */
  | "ForbiddenCharacter"
  /** There is no `@`, so no domain. */
  | "NoAtSign"
  | "LocalPart"
  | "Domain"
  | "AddressLiteral"
  /** The angle brackets around a path, or its source route. */
  | "Path"
  /** The words around the address, in the form people type. */
  | "DisplayName"

/** Why a text is not an address. */
export interface AddressError {
  readonly _tag: "AddressError"
  /** The refused text, cut to 80 characters, with everything that could upset a terminal or a log escaped. */
  readonly input: string
  readonly kind: AddressErrorKind
  /** One sentence for people: what is wrong, and what to write instead where that is known. */
  readonly problem: string
  /** Where it went wrong: an index into the text that was parsed, in UTF-16 code units. */
  readonly offset?: number | undefined
}

/** Makes an {@link AddressError}; `input` is cut and escaped here. */
export const AddressError = (
  input: string,
  kind: AddressErrorKind,
  problem: string,
  offset?: number
): AddressError => ({
  _tag: "AddressError",
  input: printable(input),
  kind,
  problem,
  ...(offset === undefined ? undefined : { offset })
})

/** A failed `Result` of an {@link AddressError}. */
export const refuse = (
  input: string,
  kind: AddressErrorKind,
  problem: string,
  offset?: number
): Result.Result<never, AddressError> => Result.fail(AddressError(input, kind, problem, offset))

/** Restates the error of a part as one of the whole text, in which the part begins at `start`. */
export const inside = (whole: string, start: number) => (error: AddressError): AddressError => ({
  ...error,
  input: printable(whole),
  offset: start + (error.offset ?? 0)
})

/**
 * Controls (C0, DEL, C1), lone surrogates, and the two separators which some software
 * takes for a line end. None has a place in any part of an address (RFC 5321 §4.1.2,
 * RFC 6531 §3.3, RFC 5198 §2), and letting one through is how commands get injected.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028\u2029]/u

/** Whether a text may be looked at: why not, where it is too long or holds a character that no address may hold. */
export const screen = (text: string, limit: number): AddressError | undefined => {
  if (text.length > limit) {
    return AddressError(text, "TooLong", `${text.length} characters are more than the ${limit} that are looked at`)
  }
  const offset = text.search(FORBIDDEN)
  if (offset < 0) return undefined
  const code = text.charCodeAt(offset).toString(16).toUpperCase().padStart(4, "0")
  return AddressError(
    text,
    "ForbiddenCharacter",
    `U+${code} is not allowed anywhere in an address; if it came with the text around the address, remove it`,
    offset
  )
}

/** How much of a refused text is shown, in UTF-16 code units. */
const SHOWN = 80

/** `text` for a message: bounded, and without anything that moves the cursor or reverses the line. */
export const printable = (text: string): string => {
  let shown = ""
  for (const character of text.slice(0, SHOWN)) {
    shown += /[\p{Cc}\p{Cs}\u2028\u2029\p{Bidi_Control}]/u.test(character)
      ? `\\u{${character.codePointAt(0)?.toString(16)}}`
      : character
  }
  return text.length > SHOWN ? `${shown}…` : shown
}
