/**
 * SASLprep (RFC 4013): makes one text of the many that look the same to people, so that
 * a name or password typed on another keyboard is still the same octets. Of this
 * library's mechanisms only SCRAM asks for it.
 */
import * as Result from "effect/Result"
import * as Tables from "./SaslPrepTables.ts"

/**
 * Why a text cannot be prepared. It names no character, since the text may be a password.
 * - `prohibited`: a control, private-use or other character that must not occur (§2.3).
 * - `bidirectional`: right-to-left and left-to-right characters mixed, or a right-to-left
 *   text that does not begin and end with such a character (§2.4).
 * - `unassigned`: a character that Unicode 3.2 does not know (§2.5).
 */
export type Problem = "prohibited" | "bidirectional" | "unassigned"

const everyMapped = new RegExp(Tables.mappedToNothing, "gu")
const everySpace = new RegExp(Tables.space, "gu")

// U+200B is in both tables: the order of §2.1 makes it a space.
const mapped = (text: string): string => text.replace(everySpace, " ").replace(everyMapped, "")

const keepsItsDirection = (text: string): boolean => {
  if (!Tables.rightToLeft.test(text)) return true
  const characters = Array.from(text)
  return !Tables.leftToRight.test(text)
    && Tables.rightToLeft.test(characters[0] ?? "")
    && Tables.rightToLeft.test(characters.at(-1) ?? "")
}

/**
 * Prepares a text as a query (RFC 4013 §2.5): characters newer than Unicode 3.2 pass, as
 * emoji in passwords must. The result may be empty.
 *
 * @example
 * ```ts
 * import { SaslPrep } from "@postern/core"
 *
 * SaslPrep.query("I\u00adX") // succeeds with "IX"
 * SaslPrep.query("\u0007") // fails with "prohibited"
 * ```
 */
export const query = (text: string): Result.Result<string, Problem> => {
  if (/^[\x20-\x7e]*$/.test(text)) return Result.succeed(text)
  const prepared = mapped(text).normalize("NFKC")
  if (Tables.prohibited.test(prepared)) return Result.fail("prohibited")
  return keepsItsDirection(prepared) ? Result.succeed(prepared) : Result.fail("bidirectional")
}

/** Prepares a text to be stored (RFC 4013 §2.5): as {@link query}, and every character must be one of Unicode 3.2. */
export const stored = (text: string): Result.Result<string, Problem> =>
  Result.flatMap(query(text), (prepared) =>
    // Before normalization, which may make a known character of an unknown one.
    Tables.unassigned.test(mapped(text)) ? Result.fail("unassigned") : Result.succeed(prepared))
