/**
 * The algebra of SMTP commands: RFC 5321 §4.1 and its extensions as tagged values.
 *
 * A command carries, as a phantom, the type that its positive reply is read as, so
 * `send(Command.ehlo(domain))` gives `Capabilities` and `send(Command.noop)` a `Reply`.
 * Constructors take validated parts (`Address.Mailbox`, `Address.Domain`) or check the
 * text they are given: no command holds CR, LF or NUL.
 */
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Address from "./Address.ts"
import type { Capabilities } from "./Capabilities.ts"
import type { Reply } from "./Reply.ts"

declare const Answer: unique symbol

/** What every command is: a tag, and the type its positive reply is read as. */
export interface Typed<out Tag extends string, out A> {
  readonly _tag: Tag
  readonly [Answer]?: A
}

/** The type that the positive reply to a command is read as. */
export type Answer<C> = C extends { readonly [Answer]?: infer A } ? Exclude<A, undefined> : never

/** A challenge (334) that waits for a response, or the end of the exchange (235). */
export type AuthAnswer =
  | { readonly _tag: "Challenge"; readonly text: string }
  | { readonly _tag: "Accepted"; readonly reply: Reply }

/** What VRFY found (RFC 5321 §3.5.3): `certain` is false for 252. */
export interface Verified {
  readonly certain: boolean
  readonly mailboxes: ReadonlyArray<string>
}

/** A parameter of MAIL, RCPT or XCLIENT: `KEYWORD` or `KEYWORD=value` (RFC 5321 §4.1.2). */
export interface Parameter {
  readonly keyword: string
  readonly value: string | undefined
}

export interface Ehlo extends Typed<"Ehlo", Capabilities> {
  readonly domain: Address.Domain
}
export interface Helo extends Typed<"Helo", Capabilities> {
  readonly domain: Address.Domain
}
/** LMTP's EHLO (RFC 2033 §4.1). */
export interface Lhlo extends Typed<"Lhlo", Capabilities> {
  readonly domain: Address.Domain
}
/** RFC 3207. */
export interface StartTls extends Typed<"StartTls", Reply> {}
/** RFC 4954 §4. An initial response of no octets is sent as `=`. */
export interface Auth extends Typed<"Auth", AuthAnswer> {
  readonly mechanism: string
  readonly initialResponse: Redacted.Redacted<Uint8Array> | undefined
}
/** A line within an AUTH exchange: base64 of the response. */
export interface AuthResponse extends Typed<"AuthResponse", AuthAnswer> {
  readonly response: Redacted.Redacted<Uint8Array>
}
/** `*`: ends an AUTH exchange; the server answers 501. */
export interface AuthCancel extends Typed<"AuthCancel", never> {}
export interface Mail extends Typed<"Mail", Reply> {
  readonly reversePath: Address.ReversePath
  readonly parameters: ReadonlyArray<Parameter>
}
export interface Rcpt extends Typed<"Rcpt", Reply> {
  readonly forwardPath: Address.ForwardPath
  readonly parameters: ReadonlyArray<Parameter>
}
export interface Data extends Typed<"Data", Reply> {}
/** RFC 3030 §2; `size` octets of content follow the line. */
export interface Bdat extends Typed<"Bdat", Reply> {
  readonly size: number
  readonly last: boolean
}
/** RFC 4468 §3: the server fetches the content, or the next part of it, from `url`. */
export interface Burl extends Typed<"Burl", Reply> {
  readonly url: string
  readonly last: boolean
}
export interface Rset extends Typed<"Rset", Reply> {}
export interface Noop extends Typed<"Noop", Reply> {
  readonly argument: string | undefined
}
export interface Vrfy extends Typed<"Vrfy", Verified> {
  readonly argument: string
  /** The parameter SMTPUTF8: the argument, and the reply, may go beyond ASCII (RFC 6531 §3.7.4.2). */
  readonly smtpUtf8: boolean
}
export interface Expn extends Typed<"Expn", ReadonlyArray<string>> {
  readonly argument: string
  /** As that of VRFY. */
  readonly smtpUtf8: boolean
}
export interface Help extends Typed<"Help", ReadonlyArray<string>> {
  readonly argument: string | undefined
}
export interface Quit extends Typed<"Quit", Reply> {}
/** RFC 1985; `argument` is a domain, `@domain` or `#queue`. */
export interface Etrn extends Typed<"Etrn", Reply> {
  readonly argument: string
}
/** Postfix's XCLIENT; values are sent as xtext. The server greets anew. */
export interface Xclient extends Typed<"Xclient", Reply> {
  readonly attributes: readonly [Parameter, ...Array<Parameter>]
}

/** Any command. */
export type Command =
  | Ehlo
  | Helo
  | Lhlo
  | StartTls
  | Auth
  | AuthResponse
  | AuthCancel
  | Mail
  | Rcpt
  | Data
  | Bdat
  | Burl
  | Rset
  | Noop
  | Vrfy
  | Expn
  | Help
  | Quit
  | Etrn
  | Xclient

/** The tags of all commands. */
export type Tag = Command["_tag"]

/** Text that cannot be part of a command. */
export interface CommandError {
  readonly _tag: "CommandError"
  /** What was wrong with which part. */
  readonly problem: string
}

const refuse = (problem: string): Result.Result<never, CommandError> => Result.fail({ _tag: "CommandError", problem })

export const ehlo = (domain: Address.Domain): Ehlo => ({ _tag: "Ehlo", domain })
export const helo = (domain: Address.Domain): Helo => ({ _tag: "Helo", domain })
export const lhlo = (domain: Address.Domain): Lhlo => ({ _tag: "Lhlo", domain })
export const startTls: StartTls = { _tag: "StartTls" }
export const data: Data = { _tag: "Data" }
export const rset: Rset = { _tag: "Rset" }
export const quit: Quit = { _tag: "Quit" }
export const noop: Noop = { _tag: "Noop", argument: undefined }
export const help: Help = { _tag: "Help", argument: undefined }
export const authCancel: AuthCancel = { _tag: "AuthCancel" }

export const mail = (reversePath: Address.ReversePath, parameters: ReadonlyArray<Parameter> = []): Mail => ({
  _tag: "Mail",
  reversePath,
  parameters
})

export const rcpt = (forwardPath: Address.ForwardPath, parameters: ReadonlyArray<Parameter> = []): Rcpt => ({
  _tag: "Rcpt",
  forwardPath,
  parameters
})

// RFC 4422 §3.1. Looked at before letters are folded: other letters than these fold to A-Z too.
const mechanismPattern = /^[A-Za-z0-9_-]{1,20}$/

/** AUTH. Fails when `mechanism` is no mechanism name (RFC 4422 §3.1; letters are folded to upper case). */
export const auth = (
  mechanism: string,
  initialResponse?: Redacted.Redacted<Uint8Array>
): Result.Result<Auth, CommandError> =>
  mechanismPattern.test(mechanism)
    ? Result.succeed({ _tag: "Auth", mechanism: mechanism.toUpperCase(), initialResponse })
    : refuse("a SASL mechanism name is 1 to 20 of A-Z, 0-9, - and _ (RFC 4422 §3.1)")

export const authResponse = (response: Redacted.Redacted<Uint8Array>): AuthResponse => ({
  _tag: "AuthResponse",
  response
})

/** BDAT. Fails when `size` is not a whole number of octets. */
export const bdat = (size: number, last: boolean): Result.Result<Bdat, CommandError> =>
  Number.isSafeInteger(size) && size >= 0
    ? Result.succeed({ _tag: "Bdat", size, last })
    : refuse("the size of a BDAT chunk is a whole number of octets")

// RFC 3986 §4.3 absolute-URI, by its characters: no fragment.
const urlPattern = /^[A-Za-z][A-Za-z0-9+.-]*:[\w.~:/?[\]@!$&'()*+,;=%-]+$/

/** BURL. Fails when `url` is no absolute URL in ASCII (RFC 3986 §4.3); all else in it is percent-encoded. */
export const burl = (url: string, last: boolean): Result.Result<Burl, CommandError> =>
  urlPattern.test(url)
    ? Result.succeed({ _tag: "Burl", url, last })
    : refuse("the argument of BURL is an absolute URL without a fragment (RFC 3986 §4.3), percent-encoded")

// What may stand in free text: no control character but the tab, no lone surrogate.
const isText = (text: string): boolean =>
  text.isWellFormed() && !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text) && text === text.trim() && text !== ""

const withText = <C>(text: string, of: string, make: (text: string) => C): Result.Result<C, CommandError> =>
  isText(text)
    ? Result.succeed(make(text))
    : refuse(`the argument of ${of} is not empty, has no control characters and no blanks around it`)

// On the wire nothing tells a name that ends so from one with the parameter behind it.
const withName = <C>(name: string, of: string, make: (name: string) => C): Result.Result<C, CommandError> =>
  /[ \t]SMTPUTF8$/i.test(name)
    ? refuse(`the argument of ${of} ends with SMTPUTF8, which is a parameter (RFC 6531 §3.7.4.2)`)
    : withText(name, of, make)

/** VRFY with a user name or mailbox, and with the parameter SMTPUTF8 where the server offers that. */
export const vrfy = (argument: string, smtpUtf8 = false): Result.Result<Vrfy, CommandError> =>
  withName(argument, "VRFY", (argument) => ({ _tag: "Vrfy", argument, smtpUtf8 }))
/** EXPN with the name of a list; `smtpUtf8` as with {@link vrfy}. */
export const expn = (argument: string, smtpUtf8 = false): Result.Result<Expn, CommandError> =>
  withName(argument, "EXPN", (argument) => ({ _tag: "Expn", argument, smtpUtf8 }))
/** HELP about something; {@link help} asks for help in general. */
export const helpOn = (argument: string): Result.Result<Help, CommandError> =>
  withText(argument, "HELP", (argument) => ({ _tag: "Help", argument }))
/** NOOP with text that the server ignores; {@link noop} is the usual one. */
export const noopWith = (argument: string): Result.Result<Noop, CommandError> =>
  withText(argument, "NOOP", (argument) => ({ _tag: "Noop", argument }))
/** ETRN (RFC 1985): `domain`, `@domain` or `#queue`, one word. */
export const etrn = (argument: string): Result.Result<Etrn, CommandError> =>
  isText(argument) && !/[ \t]/.test(argument)
    ? Result.succeed({ _tag: "Etrn", argument })
    : refuse("the argument of ETRN is one word: a domain, @domain or #queue")

const keywordPattern = /^[A-Za-z0-9][A-Za-z0-9-]*$/
// RFC 5321 §4.1.2 esmtp-value, with RFC 6531's non-ASCII.
const valuePattern = /^[^\u0000-\u0020=\u007f]+$/

/**
 * A parameter of MAIL or RCPT. Fails when the keyword or value is outside RFC 5321
 * §4.1.2; values with other characters are sent in {@link xtext}.
 */
export const parameter = (keyword: string, value?: string): Result.Result<Parameter, CommandError> => {
  if (!keywordPattern.test(keyword)) {
    return refuse(`${JSON.stringify(keyword)} is no parameter keyword (RFC 5321 §4.1.2)`)
  }
  if (value !== undefined && !(valuePattern.test(value) && value.isWellFormed())) {
    return refuse(`the value of ${keyword} is empty or has a blank, "=" or control character: encode it as xtext`)
  }
  return Result.succeed({ keyword: keyword.toUpperCase(), value })
}

const utf8 = new TextEncoder()

/** xtext (RFC 3461 §4): everything but `!` to `~` without `+` and `=` becomes `+HH`, octet by octet. */
export const xtext = (text: string): string => {
  let out = ""
  for (const byte of utf8.encode(text)) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2b && byte !== 0x3d
    out += plain ? String.fromCharCode(byte) : `+${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }
  return out
}

/** The text that `encoded` is the {@link xtext} of; undefined when it is not xtext of well-formed UTF-8. */
export const fromXtext = (encoded: string): string | undefined => {
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(encoded)) return undefined
  const bytes: Array<number> = []
  for (let i = 0; i < encoded.length; i++) {
    if (encoded[i] === "+") {
      bytes.push(Number.parseInt(encoded.slice(i + 1, i + 3), 16))
      i += 2
    } else {
      bytes.push(encoded.charCodeAt(i))
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes))
  } catch {
    return undefined
  }
}

/** XCLIENT. Fails on a name that is no keyword or a value that is no well-formed text; values are sent as xtext. */
export const xclient = (attributes: Record<string, string>): Result.Result<Xclient, CommandError> => {
  const given = new Map<string, string>()
  for (const [name, value] of Object.entries(attributes)) {
    if (!keywordPattern.test(name)) return refuse(`${JSON.stringify(name)} is no XCLIENT attribute name`)
    if (!value.isWellFormed()) return refuse(`the value of ${name} is no well-formed text`)
    const keyword = name.toUpperCase()
    if (given.has(keyword)) return refuse(`XCLIENT has ${keyword} twice`)
    given.set(keyword, value)
  }
  const [first, ...rest] = Array.from(given, ([keyword, value]) => ({ keyword, value }))
  return first === undefined
    ? refuse("XCLIENT has at least one attribute")
    : Result.succeed({ _tag: "Xclient", attributes: [first, ...rest] })
}
