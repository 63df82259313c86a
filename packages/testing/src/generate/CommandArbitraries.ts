/**
 * Generators of what clients say: every command as a value and as a line, lines that are
 * nearly commands, and octets a server must outlive.
 */
import { Command, CommandLine } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { addressFaults, domain, mailbox } from "./AddressArbitraries.ts"
import { capitals, digits, from, octets, printable, readable, splice, word } from "./Characters.ts"
import { nearly } from "./Nearly.ts"

const made = <A, E>(results: fc.Arbitrary<Result.Result<A, E>>): fc.Arbitrary<A> =>
  results.filter(Result.isSuccess).map(({ success }) => success)

// ---------------------------------------------------------------------------
// Commands
// ---------------------------------------------------------------------------

/** Free text of NOOP, HELP, VRFY and EXPN. */
const argument = fc.oneof(
  { withCrossShrink: true },
  from(`${printable}\t`, { minLength: 1, maxLength: 30 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 15 }),
  fc.constantFrom("x", "a\u2028b", "\"Joe Blow\"", "<ann@example.org>", "x\u00a0y")
)

const value = fc.oneof(
  from(printable, { minLength: 1, maxLength: 20 }).map(Command.xtext),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 10 }),
  fc.constantFrom("1024", "8BITMIME", "<>", "\u00a0", "\u2029")
)

/** Parameters of MAIL and RCPT. */
export const parameter: fc.Arbitrary<Command.Parameter> = made(
  fc.tuple(word, fc.option(value, { nil: undefined })).map(([keyword, value]) => Command.parameter(keyword, value))
)

const secret = fc.uint8Array({ maxLength: 60 }).map((bytes) => Redacted.make(bytes))

/** Names of SASL mechanisms (RFC 4422 §3.1). */
export const mechanismName: fc.Arbitrary<string> = from(`${capitals}${digits}-_`, { minLength: 1, maxLength: 20 })

const attributes = fc.dictionary(
  word,
  fc.oneof(fc.constantFrom("[UNAVAILABLE]", "IPV6:2001:db8::1", ""), fc.string({ unit: "grapheme", maxLength: 10 })),
  { minKeys: 1, maxKeys: 4 }
)

const some = <A>(items: fc.Arbitrary<A>): fc.Arbitrary<ReadonlyArray<A>> => fc.array(items, { maxLength: 3 })

const absoluteUrl = fc.tuple(
  fc.constantFrom("imap", "imaps", "IMAP", "x+y-z.0"),
  domain,
  fc.webPath({ size: "small" }),
  fc.constantFrom("", ";uid=20", ";uid=20;urlauth=submit+ann:internal:0123456789abcdef", "?a=b%20c")
).map(([scheme, host, path, rest]) => `${scheme}://${host}${path}/${rest}`)

/** One generator for each kind of command. */
export const commands: { readonly [T in Command.Tag]: fc.Arbitrary<Extract<Command.Command, { readonly _tag: T }>> } = {
  Noop: fc.oneof(fc.constant(Command.noop), made(argument.map(Command.noopWith))),
  Ehlo: domain.map(Command.ehlo),
  Helo: domain.map(Command.helo),
  Lhlo: domain.map(Command.lhlo),
  StartTls: fc.constant(Command.startTls),
  Auth: made(
    fc.tuple(mechanismName, fc.option(secret, { nil: undefined }))
      .map(([name, initial]) => Command.auth(name, initial))
  ),
  AuthResponse: secret.map(Command.authResponse),
  AuthCancel: fc.constant(Command.authCancel),
  Mail: fc.tuple(fc.option(mailbox), some(parameter)).map(([path, parameters]) => Command.mail(path, parameters)),
  Rcpt: fc.tuple(fc.oneof(mailbox, fc.constant("postmaster" as const)), some(parameter))
    .map(([path, parameters]) => Command.rcpt(path, parameters)),
  Data: fc.constant(Command.data),
  Bdat: made(fc.tuple(fc.maxSafeNat(), fc.boolean()).map(([size, last]) => Command.bdat(size, last))),
  Burl: made(fc.tuple(absoluteUrl, fc.boolean()).map(([url, last]) => Command.burl(url, last))),
  Rset: fc.constant(Command.rset),
  Vrfy: made(fc.tuple(argument, fc.boolean()).map(([name, smtpUtf8]) => Command.vrfy(name, smtpUtf8))),
  Expn: made(fc.tuple(argument, fc.boolean()).map(([name, smtpUtf8]) => Command.expn(name, smtpUtf8))),
  Help: fc.oneof(fc.constant(Command.help), made(argument.map(Command.helpOn))),
  Quit: fc.constant(Command.quit),
  Etrn: fc.oneof(
    made(domain.map((domain) => Command.etrn(domain))),
    made(domain.map((domain) => Command.etrn(`@${domain}`))),
    made(word.map((queue) => Command.etrn(`#${queue}`)))
  ),
  Xclient: made(attributes.map(Command.xclient))
}

/** Every kind of command, valid; shrinks to NOOP. */
export const command: fc.Arbitrary<Command.Command> = fc.oneof({ withCrossShrink: true }, ...Object.values(commands))

// ---------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true })

const lineOf = (command: Command.Command): string => fromUtf8.decode(CommandLine.encode(command)).slice(0, -2)

/** Lines of commands, without CRLF, as clients write them: verbs and keywords of paths in any case of letters. */
export const commandLine: fc.Arbitrary<string> = fc.tuple(
  command.filter(({ _tag }) => _tag !== "AuthResponse" && _tag !== "AuthCancel").map(lineOf),
  fc.constantFrom((text: string) => text, (text: string) => text.toLowerCase())
).map(([line, spelt]) => line.replace(/^[A-Z]+(?: FROM:| TO:)?/, spelt))

const bare = fc.constantFrom("DATA", "RSET", "QUIT", "STARTTLS")
const mail = commands.Mail.map(({ reversePath }) => lineOf(Command.mail(reversePath)))
const rcpt = mailbox.map((to) => lineOf(Command.rcpt(to)))
const path = fc.oneof({ withCrossShrink: true }, mail, rcpt)
const withAddress = (address: fc.Arbitrary<string>) =>
  fc.tuple(fc.constantFrom("MAIL FROM:", "RCPT TO:"), address).map(([verb, address]) => `${verb}<${address}>`)

/** Lines, without CRLF, in which one thing is not as RFC 5321 §4.1 and its extensions have it. */
export const commandFaults = {
  "unknown verb": fc.tuple(word, argument).map(([verb, rest]) => `X${verb} ${rest}`),
  "blank before the verb": commandLine.map((line) => ` ${line}`),
  "no blank behind the verb": domain.map((domain) => `EHLO${domain}`),
  "argument missing": fc.constantFrom(
    "EHLO",
    "HELO",
    "MAIL",
    "RCPT",
    "VRFY",
    "EXPN",
    "AUTH",
    "BDAT",
    "BURL",
    "ETRN",
    "XCLIENT"
  ),
  "argument too much": fc.tuple(bare, word).map((parts) => parts.join(" ")),
  "no colon": path.map((line) => line.replace(":", " ")),
  "no angle brackets": path.filter((line) => !line.includes("<>")).map((line) => line.replace(/<(.*)>/s, "$1")),
  "angle bracket not closed": path.map((line) => line.slice(0, -1)),
  "nothing behind the colon": path.map((line) => line.replace(/<.*/s, "")),
  "blank behind the colon": path.map((line) => line.replace(":", ": ")),
  "blanks behind the line": fc.tuple(path, from(" \t", { minLength: 1, maxLength: 4 })).map((parts) => parts.join("")),
  "null path as recipient": fc.constant("RCPT TO:<>"),
  "postmaster as sender": fc.constant("MAIL FROM:<postmaster>"),
  "address without a domain": withAddress(addressFaults["no at sign"].filter((text) => !/^postmaster$/i.test(text))),
  "address with an empty local part": withAddress(addressFaults["empty local part"]),
  "no blank before a parameter": path.map((line) => `${line}SIZE=1`),
  "parameter without a keyword": path.map((line) => `${line} =1`),
  "parameter with an empty value": path.map((line) => `${line} SIZE=`),
  "initial response that is no base64": mechanismName.map((name) => `AUTH ${name} a`),
  "two initial responses": mechanismName.map((name) => `AUTH ${name} AAAA AAAA`),
  "mechanism name too long": mechanismName.map((name) => `AUTH ${name.padEnd(21, "X")}`),
  "size that is no number": fc.constantFrom("x", "-1", "1.5", "0x10", "1e3", "").map((size) => `BDAT ${size} LAST`),
  "word behind LAST": fc.nat().map((size) => `BDAT ${size} LAST x`),
  "URL that is not absolute": fc.constantFrom("/box/;uid=1", "imap", "//a.example/", "imap:", "#x")
    .map((url) => `BURL ${url} LAST`),
  "CR within": fc.tuple(path, fc.nat()).map(([line, seed]) => splice(line, seed, 0, "\rDATA")),
  "LF within": fc.tuple(path, fc.nat()).map(([line, seed]) => splice(line, seed, 0, "\nDATA")),
  "NUL within": fc.tuple(path, fc.nat()).map(([line, seed]) => splice(line, seed, 0, "\0"))
} satisfies Readonly<Record<string, fc.Arbitrary<string>>>

/** A line that is nearly a command, and what is wrong with it. */
export const nearlyCommandLine = nearly(commandFaults)

// ---------------------------------------------------------------------------
// Hostile octets
// ---------------------------------------------------------------------------

const end = fc.constantFrom("\r\n", "\n", "\r", "\r\r\n", "")

const piece: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.tuple(commandLine, end).map((parts) => octets(parts.join(""))),
  fc.tuple(nearlyCommandLine.map(({ value }) => value), end).map((parts) => octets(parts.join(""))),
  fc.tuple(
    fc.constantFrom("EHLO client.example", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "DATA", "RSET", "QUIT"),
    end
  ).map((parts) => octets(parts.join(""))),
  // Ends of content that are none, and what is to pass for the next message (SMTP smuggling).
  fc.constantFrom(
    ".\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\r\n.\n",
    "\n.\r\n",
    "\r.\r",
    "..\r\n",
    "Subject: x\r\n\r\n",
    "BDAT 5 LAST\r\nabc",
    "AUTH PLAIN\r\n",
    "AHRpbQB0YW5zdGFhZg==\r\n",
    "*\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\u0016\u0003\u0001\0\u0005"
  ).map(octets),
  fc.tuple(
    fc.constantFrom("x", "NOOP\r\n", "\r\n", "\0", "RCPT TO:<a@b.example>\r\n"),
    fc.integer({ min: 1, max: 600 })
  )
    .map(([unit, times]) => octets(unit.repeat(times))),
  fc.uint8Array({ maxLength: 20 })
)

/** What a server may get from anybody: commands with any line ends, smuggled messages, floods, other protocols, noise. */
export const hostileCommandBytes: fc.Arbitrary<Uint8Array> = fc.array(piece, { maxLength: 10 })
  .map((pieces) => readable(Bytes.concat(pieces)))
