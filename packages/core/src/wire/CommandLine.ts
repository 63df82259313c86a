/**
 * Commands as lines: `encode` for the wire, `decode` for servers, `render` for people
 * (RFC 5321 §4.1.1). `decode` reads back what `encode` wrote.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Address from "./Address.ts"
import * as Command from "./Command.ts"

const utf8 = new TextEncoder()

/** The line of a command with its CRLF. */
export const encode = (command: Command.Command): Uint8Array => utf8.encode(text(command))

/** The line of a command with its CRLF, as text. It may hold a secret. */
export const text = (command: Command.Command): string => `${line(command, wire)}\r\n`

/**
 * The line of a command for logs and transcripts, without CRLF: what a client sends
 * within AUTH, and the token of a BURL's URLAUTH, are replaced by their length.
 */
export const render = (command: Command.Command): string => line(command, people)

/** How secrets are written. */
interface Secrets {
  readonly bytes: (secret: Redacted.Redacted<Uint8Array>) => string
  readonly url: (url: string) => string
}

const wire: Secrets = { bytes: (secret) => Base64.encode(Redacted.value(secret)), url: (url) => url }

const people: Secrets = {
  bytes: (secret) => hidden(Redacted.value(secret).length),
  // RFC 4467 §9: the token, behind the access identifier and the mechanism, is all that is needed to read the message.
  url: (url) => url.replace(/(;urlauth=[^:;]*:[^:;]*:)(.+)$/i, (_, before, token) => `${before}${hidden(token.length)}`)
}

const hidden = (bytes: number): string => `<redacted, ${bytes} bytes>`

const line = (command: Command.Command, secrets: Secrets): string => {
  switch (command._tag) {
    case "Ehlo":
    case "Helo":
    case "Lhlo":
      return `${command._tag.toUpperCase()} ${command.domain}`
    case "Auth":
      return `AUTH ${command.mechanism}${initialResponse(command, secrets)}`
    case "AuthResponse":
      return secrets.bytes(command.response)
    case "AuthCancel":
      return "*"
    case "Mail":
      return `MAIL FROM:${Address.formatReversePath(command.reversePath)}${parameters(command.parameters)}`
    case "Rcpt":
      return `RCPT TO:${Address.formatForwardPath(command.forwardPath)}${parameters(command.parameters)}`
    case "Bdat":
      return `BDAT ${command.size}${command.last ? " LAST" : ""}`
    case "Burl":
      return `BURL ${secrets.url(command.url)}${command.last ? " LAST" : ""}`
    case "Xclient":
      return `XCLIENT${
        parameters(command.attributes.map(({ keyword, value }) => ({ keyword, value: Command.xtext(value ?? "") })))
      }`
    case "Vrfy":
    case "Expn":
      return `${command._tag.toUpperCase()} ${command.argument}${command.smtpUtf8 ? " SMTPUTF8" : ""}`
    case "Noop":
    case "Help":
    case "Etrn":
      return command.argument === undefined
        ? command._tag.toUpperCase()
        : `${command._tag.toUpperCase()} ${command.argument}`
    case "StartTls":
    case "Data":
    case "Rset":
    case "Quit":
      return command._tag.toUpperCase()
  }
}

// RFC 4954 §4: an initial response of no octets is `=`, not nothing.
const initialResponse = (command: Command.Auth, secrets: Secrets): string => {
  if (command.initialResponse === undefined) return ""
  return Redacted.value(command.initialResponse).length === 0 ? " =" : ` ${secrets.bytes(command.initialResponse)}`
}

const parameters = (all: ReadonlyArray<Command.Parameter>): string =>
  all.map(({ keyword, value }) => value === undefined ? ` ${keyword}` : ` ${keyword}=${value}`).join("")

/** A line that is no command, and the reply code a server gives to it (RFC 5321 §4.2.4). */
export interface SyntaxError {
  readonly _tag: "SyntaxError"
  /** 500: no such command; 501: its argument is wrong. */
  readonly code: 500 | 501
  readonly problem: string
}

const bad = (problem: string): Result.Result<never, SyntaxError> =>
  Result.fail({ _tag: "SyntaxError", code: 501, problem })

/**
 * Reads a line (without its CRLF) as a server does: verbs and keywords in any case of
 * letters, blanks around arguments tolerated, source routes dropped. Fails with the
 * reply code to answer.
 */
export const decode = (text: string): Result.Result<Command.Command, SyntaxError> => {
  if (/[\u0000\r\n]/.test(text) || !text.isWellFormed()) {
    return Result.fail({ _tag: "SyntaxError", code: 500, problem: "the line has CR, LF or NUL, or is no text" })
  }
  const match = /^([A-Za-z]+)(?:[ \t]+(.*))?$/s.exec(withoutBlanksBehind(text))
  const verb = match?.[1]?.toUpperCase() ?? ""
  const argument = match?.[2] ?? ""
  const reader = Object.hasOwn(readers, verb) ? readers[verb] : undefined
  return reader === undefined
    ? Result.fail({ _tag: "SyntaxError", code: 500, problem: "command not recognized" })
    : reader(argument)
}

// Not trimEnd, for which U+00A0 is a blank too.
const withoutBlanksBehind = (text: string): string => {
  let end = text.length
  while (text[end - 1] === " " || text[end - 1] === "\t") end--
  return text.slice(0, end)
}

/** Reads a line within an AUTH exchange: a response in base64, or `*`. */
export const decodeAuth = (text: string): Result.Result<Command.AuthResponse | Command.AuthCancel, SyntaxError> =>
  text === "*" ? Result.succeed(Command.authCancel) : Result.map(secretFromBase64(text), Command.authResponse)

// The decoder's own error holds its input, which may be a secret: it is dropped.
const secretFromBase64 = (text: string): Result.Result<Redacted.Redacted<Uint8Array>, SyntaxError> => {
  if (/[\r\n]/.test(text)) return bad("this is no base64")
  const bytes = Base64.decode(text)
  return Result.isSuccess(bytes) ? Result.succeed(Redacted.make(bytes.success)) : bad("this is no base64")
}

type Reader = (argument: string) => Result.Result<Command.Command, SyntaxError>

const bare = (command: Command.Command): Reader => (argument) =>
  argument === "" ? Result.succeed(command) : bad("this command has no argument")

const greeting = (make: (domain: Address.Domain) => Command.Command): Reader => (argument) =>
  Result.mapError(Result.map(Address.parseDomain(argument), make), syntax)

const built =
  (make: (argument: string) => Result.Result<Command.Command, Command.CommandError>): Reader => (argument) =>
    Result.mapError(make(argument), syntax)

// RFC 6531 §3.7.4.2.
const named =
  (make: (name: string, smtpUtf8: boolean) => Result.Result<Command.Command, Command.CommandError>): Reader =>
  (argument) => {
    const smtpUtf8 = /[ \t]SMTPUTF8$/i.test(argument)
    const name = smtpUtf8 ? withoutBlanksBehind(argument.slice(0, -" SMTPUTF8".length)) : argument
    return Result.mapError(make(name, smtpUtf8), syntax)
  }

const optional =
  (none: Command.Command, make: (argument: string) => Result.Result<Command.Command, Command.CommandError>): Reader =>
  (argument) => argument === "" ? Result.succeed(none) : Result.mapError(make(argument), syntax)

const syntax = (error: { readonly problem: string }): SyntaxError => ({
  _tag: "SyntaxError",
  code: 501,
  problem: error.problem
})

const auth: Reader = (argument) => {
  const [mechanism = "", initial, ...more] = argument.split(/[ \t]+/)
  if (more.length > 0) return bad("AUTH has a mechanism and at most one initial response")
  const response = initial === undefined
    ? Result.succeed(undefined)
    : initial === "="
    ? Result.succeed(Redacted.make(new Uint8Array(0)))
    : secretFromBase64(initial)
  return Result.flatMap(response, (response) => Result.mapError(Command.auth(mechanism, response), syntax))
}

// `FROM:` or `TO:`, a path, then parameters. A quoted local part may hold blanks and `>`, an address literal `"` and `>`.
const pathPattern = /^(<(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^"<>[])*>)(?:[ \t]+(.*))?$/s

const path = <P>(
  label: string,
  parse: (text: string) => Result.Result<P, { readonly problem: string }>,
  make: (path: P, parameters: ReadonlyArray<Command.Parameter>) => Command.Command
): Reader =>
(argument) => {
  if (argument.slice(0, label.length).toUpperCase() !== label) return bad(`${label} expected`)
  const match = pathPattern.exec(argument.slice(label.length).trimStart())
  if (match === null) return bad(`a path in angle brackets is expected after ${label}`)
  return Result.flatMap(
    Result.mapError(parse(match[1] ?? ""), syntax),
    (path) => Result.map(readParameters(match[2] ?? ""), (all) => make(path, all))
  )
}

const readParameters = (text: string): Result.Result<ReadonlyArray<Command.Parameter>, SyntaxError> =>
  Result.mapError(Result.all(words(text).map(readParameter)), syntax)

const words = (text: string): ReadonlyArray<string> => text.split(/[ \t]+/).filter((word) => word !== "")

const readParameter = (word: string): Result.Result<Command.Parameter, Command.CommandError> => {
  const equals = word.indexOf("=")
  return equals === -1 ? Command.parameter(word) : Command.parameter(word.slice(0, equals), word.slice(equals + 1))
}

const bdat: Reader = (argument) => {
  const match = /^(\d{1,16})(?:[ \t]+(LAST))?$/i.exec(argument)
  return match === null
    ? bad("BDAT has a size, and LAST on the last chunk")
    : Result.mapError(Command.bdat(Number(match[1]), match[2] !== undefined), syntax)
}

const burl: Reader = (argument) => {
  const [url = "", last, ...more] = words(argument)
  return more.length > 0 || (last !== undefined && last.toUpperCase() !== "LAST")
    ? bad("BURL has a URL, and LAST on the last one")
    : Result.mapError(Command.burl(url, last !== undefined), syntax)
}

const xclient: Reader = (argument) => {
  const attributes: Record<string, string> = {}
  for (const word of words(argument)) {
    const equals = word.indexOf("=")
    const name = word.slice(0, equals)
    const value = equals === -1 ? undefined : Command.fromXtext(word.slice(equals + 1))
    if (value === undefined) return bad("XCLIENT has attributes NAME=xtext")
    if (Object.hasOwn(attributes, name)) return bad(`XCLIENT has ${name} twice`)
    attributes[name] = value
  }
  return Result.mapError(Command.xclient(attributes), syntax)
}

const readers: Record<string, Reader> = {
  EHLO: greeting(Command.ehlo),
  HELO: greeting(Command.helo),
  LHLO: greeting(Command.lhlo),
  STARTTLS: bare(Command.startTls),
  AUTH: auth,
  MAIL: path("FROM:", Address.parseReversePath, Command.mail),
  RCPT: path("TO:", Address.parseForwardPath, Command.rcpt),
  DATA: bare(Command.data),
  BDAT: bdat,
  BURL: burl,
  RSET: bare(Command.rset),
  NOOP: optional(Command.noop, Command.noopWith),
  VRFY: named(Command.vrfy),
  EXPN: named(Command.expn),
  HELP: optional(Command.help, Command.helpOn),
  QUIT: bare(Command.quit),
  ETRN: built(Command.etrn),
  XCLIENT: xclient
}
