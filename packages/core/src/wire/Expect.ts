/**
 * RFC 5321 §4.3.2 as one table: for each step of a session the replies that may come,
 * what they mean, how long to wait, and how a positive reply is read. The page
 * `docs/replies.md` is printed from it.
 */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Capabilities from "./Capabilities.ts"
import type * as Command from "./Command.ts"
import * as EnhancedStatus from "./EnhancedStatus.ts"
import type * as Reply from "./Reply.ts"

/** The steps that a reply can be waited for: the greeting, every command, and the end of content. */
export type Step = "Greeting" | Command.Tag | "Content"

/** One row of the table. */
export interface Row {
  /** How the step is said on the wire. */
  readonly verb: string
  /** Codes that mean yes, each with its meaning. */
  readonly yes: Readonly<Record<number, string>>
  /** Codes that mean no and have a meaning of their own at this step. */
  readonly no: Readonly<Record<number, string>>
  /** How long to wait for the reply (RFC 5321 §4.5.3.2 where it names one). */
  readonly timeLimit: Duration.Duration
  /** Where it is specified. */
  readonly source: string
}

const minutes = Duration.minutes

const row = (
  verb: string,
  yes: Row["yes"],
  no: Row["no"],
  timeLimit: Duration.Duration,
  source: string
): Row => ({ verb, yes, no, timeLimit, source })

const mailbox = {
  450: "mailbox unavailable now (busy, or greylisted)",
  451: "local error, try later",
  452: "insufficient storage, or too many recipients",
  503: "bad sequence of commands",
  550: "mailbox unavailable, or refused by policy",
  551: "user not local",
  552: "exceeded storage allocation",
  553: "mailbox name not allowed",
  555: "parameter not recognized"
}

/** The table. Codes that are not in a row count by their first digit. */
export const table: Readonly<Record<Step, Row>> = {
  Greeting: row(
    "greeting",
    { 220: "service ready" },
    {
      221: "closing the connection",
      421: "service not available",
      554: "no SMTP service here"
    },
    minutes(5),
    "RFC 5321 §3.1"
  ),
  Ehlo: row(
    "EHLO",
    { 250: "extensions listed" },
    {
      500: "not recognized: try HELO",
      502: "not implemented: try HELO",
      504: "parameter not implemented",
      550: "refused by policy"
    },
    minutes(5),
    "RFC 5321 §4.1.1.1"
  ),
  Helo: row(
    "HELO",
    { 250: "ready" },
    { 504: "parameter not implemented", 550: "refused by policy" },
    minutes(5),
    "RFC 5321 §4.1.1.1"
  ),
  Lhlo: row("LHLO", { 250: "extensions listed" }, { 500: "not LMTP" }, minutes(5), "RFC 2033 §4.1"),
  StartTls: row(
    "STARTTLS",
    { 220: "begin the handshake" },
    {
      454: "TLS not available now",
      501: "no parameters allowed",
      502: "not implemented",
      503: "already using TLS"
    },
    minutes(5),
    "RFC 3207 §4"
  ),
  Auth: row("AUTH", { 235: "authenticated", 334: "challenge" }, authRefusals(), minutes(5), "RFC 4954 §4, §6"),
  AuthResponse: row(
    "AUTH response",
    { 235: "authenticated", 334: "challenge" },
    authRefusals(),
    minutes(5),
    "RFC 4954 §4, §6"
  ),
  AuthCancel: row("AUTH cancel (*)", {}, { 501: "exchange cancelled" }, minutes(5), "RFC 4954 §4"),
  Mail: row(
    "MAIL FROM",
    { 250: "sender accepted" },
    { ...mailbox, 530: "authentication or TLS required" },
    minutes(5),
    "RFC 5321 §4.1.1.2"
  ),
  Rcpt: row(
    "RCPT TO",
    { 250: "recipient accepted", 251: "not local, will forward" },
    {
      ...mailbox,
      530: "authentication or TLS required",
      554: "refused by policy"
    },
    minutes(5),
    "RFC 5321 §4.1.1.3"
  ),
  Data: row(
    "DATA",
    { 354: "send the content" },
    {
      451: "local error, try later",
      503: "bad sequence of commands, or no valid recipient",
      554: "no valid recipients"
    },
    minutes(2),
    "RFC 5321 §4.1.1.4"
  ),
  Content: row(
    "content",
    { 250: "accepted for delivery" },
    {
      450: "refused now",
      451: "local error, try later",
      452: "insufficient storage",
      550: "refused by policy",
      552: "too large",
      554: "transaction failed"
    },
    minutes(10),
    "RFC 5321 §4.1.1.4"
  ),
  Bdat: row(
    "BDAT",
    { 250: "chunk accepted" },
    {
      451: "local error, try later",
      452: "insufficient storage",
      503: "bad sequence of commands",
      552: "too large",
      554: "transaction failed"
    },
    minutes(10),
    "RFC 3030 §2"
  ),
  Burl: row(
    "BURL",
    { 250: "part accepted" },
    {
      451: "URL cannot be fetched now",
      452: "insufficient storage",
      503: "bad sequence of commands, or no valid recipient",
      530: "authentication required",
      552: "too large",
      554: "URL cannot be fetched or trusted, or no valid recipients"
    },
    minutes(10),
    "RFC 4468 §6"
  ),
  Rset: row("RSET", { 250: "transaction aborted" }, {}, minutes(5), "RFC 5321 §4.1.1.5"),
  Noop: row("NOOP", { 250: "ok" }, {}, minutes(5), "RFC 5321 §4.1.1.9"),
  Vrfy: row(
    "VRFY",
    { 250: "mailbox known", 251: "not local, will forward", 252: "cannot verify, but will try" },
    {
      502: "not implemented",
      550: "unknown mailbox",
      551: "user not local",
      553: "ambiguous"
    },
    minutes(5),
    "RFC 5321 §4.1.1.6"
  ),
  Expn: row(
    "EXPN",
    { 250: "members listed", 252: "cannot expand" },
    {
      502: "not implemented",
      550: "unknown list"
    },
    minutes(5),
    "RFC 5321 §4.1.1.7"
  ),
  Help: row(
    "HELP",
    { 211: "system status", 214: "help text" },
    { 502: "not implemented", 504: "no such topic" },
    minutes(5),
    "RFC 5321 §4.1.1.8"
  ),
  // Nothing is lost when the 221 does not come, so a scope never waits long for it.
  Quit: row("QUIT", { 221: "closing" }, {}, Duration.seconds(5), "RFC 5321 §4.1.1.10"),
  Etrn: row(
    "ETRN",
    {
      250: "queuing started",
      251: "no messages waiting",
      252: "pending messages started",
      253: "messages pending, started"
    },
    { 458: "unable to queue", 459: "node not allowed", 501: "syntax error" },
    minutes(5),
    "RFC 1985 §5"
  ),
  Xclient: row(
    "XCLIENT",
    { 220: "session starts anew" },
    {
      421: "unable to proceed",
      501: "bad parameters",
      503: "mail transaction in progress",
      550: "not authorized"
    },
    minutes(5),
    "Postfix XCLIENT_README"
  )
}

function authRefusals(): Row["no"] {
  return {
    432: "password transition needed",
    454: "temporary failure",
    500: "line too long",
    501: "malformed or cancelled",
    503: "bad sequence, or already authenticated",
    504: "mechanism not available",
    530: "TLS required first",
    534: "mechanism too weak",
    535: "bad credentials",
    538: "encryption required"
  }
}

/** A negative reply to a step, or one whose code does not fit there. Plain data. */
export interface Refused {
  readonly _tag: "Refused"
  readonly step: Step
  readonly reply: Reply.Reply
}

/** Says no. */
export const refused = (step: Step, reply: Reply.Reply): Refused => ({ _tag: "Refused", step, reply })

/**
 * True when `reply` means yes at `step`: its code is in the row, or, where the row has
 * no such code, it begins with the same digit as one that is. AUTH takes only 235 and
 * a 334 of one line: another 2yz is no proof of anything.
 */
export const isYes = (step: Step, reply: Reply.Reply): boolean => {
  // A challenge is one line (RFC 4954 §4).
  if (step === "Auth" || step === "AuthResponse") {
    return reply.code === 235 || (reply.code === 334 && reply.lines.length === 1)
  }
  return ((digits.get(step) ?? 0) >> Math.floor(reply.code / 100)) % 2 === 1 && table[step].no[reply.code] === undefined
}

// A bit for each first digit of a code that means yes.
const digits: ReadonlyMap<Step, number> = new Map(
  (Object.keys(table) as ReadonlyArray<Step>).map((step) => [
    step,
    Object.keys(table[step].yes).reduce((bits, code) => bits | 1 << Math.floor(Number(code) / 100), 0)
  ])
)

/** What a reply's code means at a step, in the words of the table. */
export const meaning = (step: Step, code: number): string | undefined => table[step].yes[code] ?? table[step].no[code]

/**
 * Reads a reply to a command as the value its type promises. Pure and total: a
 * negative reply, or one that does not fit, is a {@link Refused}.
 *
 * @example
 * ```ts
 * import { Command, Expect, Reply } from "@postern/core"
 * import { Result } from "effect"
 *
 * const answer = Expect.read(Command.help, Reply.make(214, ["Commands:", "MAIL RCPT DATA"]))
 * // Result<ReadonlyArray<string>, Refused>
 * console.log(Result.getOrThrow(answer)) // ["Commands:", "MAIL RCPT DATA"]
 * ```
 */
export const read = <C extends Command.Command>(
  command: C,
  reply: Reply.Reply
): Result.Result<Command.Answer<C>, Refused> =>
  isYes(command._tag, reply)
    ? Result.succeed(answer(command, reply) as Command.Answer<C>)
    : Result.fail(refused(command._tag, reply))

const answer = (command: Command.Command, reply: Reply.Reply): Command.Answer<Command.Command> => {
  switch (command._tag) {
    case "Ehlo":
    case "Lhlo":
      return Capabilities.fromEhlo(reply)
    case "Helo":
      return Capabilities.fromHelo(reply)
    case "Auth":
    case "AuthResponse":
      return reply.code === 334
        ? { _tag: "Challenge", text: reply.lines[0] }
        : { _tag: "Accepted", reply }
    case "Vrfy":
      return { certain: reply.code !== 252, mailboxes: reply.code === 252 ? [] : texts(reply) }
    case "Expn":
    case "Help":
      return texts(reply)
    default:
      return reply
  }
}

const texts = (reply: Reply.Reply): ReadonlyArray<string> =>
  reply.status === undefined ? reply.lines : reply.lines.map(EnhancedStatus.strip)
