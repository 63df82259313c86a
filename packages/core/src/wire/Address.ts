/**
 * Addresses of the envelope: {@link Domain}, {@link Mailbox}, and the paths of MAIL and
 * RCPT made of them. Everything here is pure, takes time linear in its bounded input,
 * and never lets a control character through.
 */
import * as Result from "effect/Result"
import type { AddressError } from "./AddressError.ts"
import { inside, refuse, screen } from "./AddressError.ts"
import { isLiteral, parseDomain } from "./Domain.ts"
import type { Mailbox } from "./Mailbox.ts"
import { format, parse } from "./Mailbox.ts"

export { AddressError, type AddressErrorKind } from "./AddressError.ts"
export { type Domain, domainToUnicode, isLiteral, parseDomain } from "./Domain.ts"
export { format, Mailbox, make, needsSmtpUtf8, parse } from "./Mailbox.ts"
export { parseUser, parseUserList, type User } from "./UserAddress.ts"

/** Where failure notices go: a mailbox, or `null` for the null reverse-path `<>` of notices themselves (RFC 5321 §4.5.5). */
export type ReversePath = Mailbox | null

/** A recipient: a mailbox, or the postmaster of the very server spoken to, `<Postmaster>` (RFC 5321 §4.1.1.3). */
export type ForwardPath = Mailbox | "postmaster"

/** The argument of `MAIL FROM:`, in angle brackets. */
export const formatReversePath = (path: ReversePath): string => path === null ? "<>" : `<${format(path)}>`

/** The argument of `RCPT TO:`, in angle brackets. */
export const formatForwardPath = (path: ForwardPath): string =>
  path === "postmaster" ? "<Postmaster>" : `<${format(path)}>`

/**
 * Reads the argument of `MAIL FROM:` as a server does: `<>` or a mailbox in angle
 * brackets. An obsolete source route (`<@a.example,@b.example:user@c.example>`) must be
 * well-formed and is then ignored (RFC 5321 §4.1.1.3, appendix C). Blanks are allowed nowhere.
 *
 * Fails with any kind but `DisplayName`.
 */
export const parseReversePath = (text: string): Result.Result<ReversePath, AddressError> =>
  text === "<>" ? Result.succeed(null) : parsePath(text)

/**
 * Reads the argument of `RCPT TO:` as a server does: `<Postmaster>` in any case, or a
 * mailbox in angle brackets, with a source route ignored as by {@link parseReversePath}.
 *
 * Fails with any kind but `DisplayName`; `<>` is no forward-path.
 */
export const parseForwardPath = (text: string): Result.Result<ForwardPath, AddressError> =>
  /^<postmaster>$/i.test(text) ? Result.succeed("postmaster") : parsePath(text)

const MAX_PATH = 1000 // of the text, source route included; the mailbox has its own limits

const parsePath = (text: string): Result.Result<Mailbox, AddressError> => {
  const refused = screen(text, MAX_PATH)
  if (refused !== undefined) return Result.fail(refused)
  if (!text.startsWith("<")) return refuse(text, "Path", "a path begins with <", 0)
  if (!text.endsWith(">")) return refuse(text, "Path", "a path ends with >", text.length)
  if (text === "<>") return refuse(text, "Path", "the null path <> is for MAIL FROM only; a recipient is expected", 0)

  const start = text[1] === "@" ? text.indexOf(":") + 1 : 1
  if (start === 0) return refuse(text, "Path", "a source route ends with a colon, followed by the mailbox", 1)
  const route = text.slice(1, Math.max(1, start - 1))
  if (route !== "" && !route.split(",").every(isAtDomain)) {
    return refuse(text, "Path", "a source route is written @a.example,@b.example: before the mailbox", 1)
  }
  return Result.mapError(parse(text.slice(start, -1)), inside(text, start))
}

const isAtDomain = (text: string): boolean => {
  if (!text.startsWith("@")) return false
  const domain = parseDomain(text.slice(1))
  return Result.isSuccess(domain) && !isLiteral(domain.success)
}
