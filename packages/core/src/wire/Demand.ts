/**
 * What a message asks of its delivery beyond where it goes: the parameters of MAIL and
 * RCPT that extensions define, typed, each with the extension it needs.
 *
 * | option              | parameter           | extension       | RFC  |
 * | ------------------- | ------------------- | --------------- | ---- |
 * | `dsn`               | RET, ENVID, NOTIFY  | `DSN`           | 3461 |
 * | `originalRecipient` | ORCPT               | `DSN`           | 3461 |
 * | `requireTls`        | REQUIRETLS          | `REQUIRETLS`    | 8689 |
 * | `deliverBy`         | BY                  | `DELIVERBY`     | 2852 |
 * | `priority`          | MT-PRIORITY         | `MT-PRIORITY`   | 6710 |
 * | `hold`              | HOLDFOR, HOLDUNTIL  | `FUTURERELEASE` | 4865 |
 * | `submitter`         | AUTH                | `AUTH`          | 4954 |
 * | `validSince`        | RRVS                | `RRVS`          | 7293 |
 */
import * as Result from "effect/Result"
import * as Address from "./Address.ts"
import * as Command from "./Command.ts"

/** What to report (RFC 3461 §4.1): `never`, or each case of interest. */
export type Notify = "never" | ReadonlyArray<"success" | "failure" | "delay">

/** What MAIL can ask for. */
export interface MailOptions {
  /** Delivery status notifications (RFC 3461). */
  readonly dsn?: {
    /** How much of the message a report of failure returns. */
    readonly return?: "full" | "headers" | undefined
    /** Comes back in reports; up to 100 characters as xtext. */
    readonly envelopeId?: string | undefined
    /** For every recipient that has none of its own. */
    readonly notify?: Notify | undefined
  } | undefined
  /** The message may travel over verified TLS only, the whole way (RFC 8689); it bounces rather than go without. */
  readonly requireTls?: boolean | undefined
  /**
   * By when it is to be delivered, in whole seconds from now (RFC 2852), and what happens otherwise: it is
   * returned, or delivery goes on and a report is sent. `notify` takes zero and less, too.
   */
  readonly deliverBy?: {
    readonly seconds: number
    readonly otherwise: "return" | "notify"
    /** A report from each server on the way. */
    readonly trace?: boolean | undefined
  } | undefined
  /** From -9 to 9 (RFC 6710); 0 is that of any mail. */
  readonly priority?: number | undefined
  /** Held back by the server: for whole seconds, or until a time (RFC 4865). */
  readonly hold?: { readonly for: number } | { readonly until: Date } | undefined
  /** Who submitted the message first, for servers that trust this client (RFC 4954 §5); `null`: not known. */
  readonly submitter?: string | Address.Mailbox | null | undefined
}

/** What RCPT can ask for. */
export interface RcptOptions {
  readonly notify?: Notify | undefined
  /** The address that the sender wrote, where this one came of it by forwarding or expansion (RFC 3461 §4.2). */
  readonly originalRecipient?: string | undefined
  /** The mailbox must have had the same owner since then (RFC 7293); otherwise the server refuses. */
  readonly validSince?: Date | undefined
}

/** One parameter, and the extension without which it may not be sent. */
export interface Demand {
  readonly extension: string
  readonly parameter: Command.Parameter
  /** What in the values that the server's EHLO gave with the extension forbids it. */
  readonly forbidden?: ((values: ReadonlyArray<string>) => string | undefined) | undefined
}

/** An option that cannot be sent. */
export interface DemandError {
  readonly _tag: "DemandError"
  readonly option: string
  readonly problem: string
}

type Demands = Result.Result<ReadonlyArray<Demand>, DemandError>

const none: Demands = Result.succeed([])

const fail = (option: string, problem: string): Result.Result<never, DemandError> =>
  Result.fail({ _tag: "DemandError", option, problem })

const demand = (
  extension: string,
  keyword: string,
  value?: string,
  forbidden?: Demand["forbidden"]
): Demand => ({ extension, parameter: { keyword, value }, forbidden })

const all = (groups: ReadonlyArray<Demands>): Demands => Result.map(Result.all(groups), (demands) => demands.flat())

/** The parameters of MAIL. Fails with the first option that makes no sense. */
export const mail = (options: MailOptions): Demands => asksOfMail(options) ? asked(options) : none

const asked = (options: MailOptions): Demands =>
  all([
    returned(options),
    envelopeId(options),
    Result.succeed(options.requireTls === true ? [demand("REQUIRETLS", "REQUIRETLS")] : []),
    deliverBy(options),
    priority(options),
    hold(options),
    submitter(options)
  ])

/** The parameters of RCPT. Fails with the first option that makes no sense. */
export const rcpt = (options: RcptOptions): Demands =>
  asksOfRcpt(options) ? all([notify(options), originalRecipient(options), validSince(options)]) : none

// Most messages ask for nothing.
const asksOfMail = (options: MailOptions): boolean =>
  options.dsn !== undefined || options.requireTls !== undefined || options.deliverBy !== undefined
  || options.priority !== undefined || options.hold !== undefined || options.submitter !== undefined

const asksOfRcpt = (options: RcptOptions): boolean =>
  options.notify !== undefined || options.originalRecipient !== undefined || options.validSince !== undefined

const returned = ({ dsn }: MailOptions): Demands =>
  dsn?.return === undefined ? none : Result.succeed([demand("DSN", "RET", dsn.return === "full" ? "FULL" : "HDRS")])

// RFC 3461 §5.4 has the xtext no longer than 100; an ENVID is printable ASCII before it is encoded.
const envelopeId = ({ dsn }: MailOptions): Demands => {
  if (dsn?.envelopeId === undefined) return none
  const encoded = Command.xtext(dsn.envelopeId)
  if (!/^[ -~]+$/.test(dsn.envelopeId)) return fail("dsn.envelopeId", "it is not empty and has printable ASCII only")
  return encoded.length > 100
    ? fail("dsn.envelopeId", `it has ${encoded.length} characters as xtext; 100 are allowed (RFC 3461 §5.4)`)
    : Result.succeed([demand("DSN", "ENVID", encoded)])
}

const deliverBy = ({ deliverBy }: MailOptions): Demands => {
  if (deliverBy === undefined) return none
  const { otherwise, seconds, trace } = deliverBy
  if (!Number.isInteger(seconds) || Math.abs(seconds) > 999_999_999) {
    return fail("deliverBy.seconds", "it is a whole number of at most nine digits (RFC 2852 §4)")
  }
  if (otherwise === "return" && seconds <= 0) {
    return fail("deliverBy.seconds", "it is above zero where the message is to be returned (RFC 2852 §4)")
  }
  const value = `${seconds};${otherwise === "return" ? "R" : "N"}${trace === true ? "T" : ""}`
  return Result.succeed([
    demand("DELIVERBY", "BY", value, ([least = ""]) =>
      // RFC 2852 §3: the least time applies to `return` alone.
      otherwise === "return" && /^\d{1,9}$/.test(least) && seconds < Number(least)
        ? `the server takes no less than ${least} seconds`
        : undefined)
  ])
}

const priority = ({ priority }: MailOptions): Demands => {
  if (priority === undefined) return none
  return Number.isInteger(priority) && Math.abs(priority) <= 9
    ? Result.succeed([demand("MT-PRIORITY", "MT-PRIORITY", String(priority))])
    : fail("priority", "it is a whole number from -9 to 9 (RFC 6710 §5)")
}

const hold = ({ hold }: MailOptions): Demands => {
  if (hold === undefined) return none
  if ("for" in hold) {
    return Number.isInteger(hold.for) && hold.for > 0 && hold.for <= 999_999_999
      ? Result.succeed([
        demand(
          "FUTURERELEASE",
          "HOLDFOR",
          String(hold.for),
          ([most = ""]) =>
            /^\d{1,9}$/.test(most) && hold.for > Number(most)
              ? `the server holds no message for more than ${most} seconds`
              : undefined
        )
      ])
      : fail("hold.for", "it is a whole number of seconds, of one to nine digits (RFC 4865 §5)")
  }
  const { until } = hold
  return Result.map(timestamp("hold.until", until), (value) => [
    demand(
      "FUTURERELEASE",
      "HOLDUNTIL",
      value,
      ([, latest = ""]) =>
        until.getTime() > Date.parse(latest) ? `the server holds no message beyond ${latest}` : undefined
    )
  ])
}

/** RFC 3339 in UTC, to the second: what HOLDUNTIL and RRVS take. */
const timestamp = (option: string, date: Date): Result.Result<string, DemandError> => {
  const year = date.getUTCFullYear()
  return year >= 0 && year <= 9999
    ? Result.succeed(date.toISOString().replace(/\.\d+/, ""))
    : fail(option, "it is no date of the years 0 to 9999")
}

const submitter = ({ submitter }: MailOptions): Demands => {
  if (submitter === undefined) return none
  if (submitter === null) return Result.succeed([demand("AUTH", "AUTH", "<>")])
  const mailbox = typeof submitter === "string" ? Address.parse(submitter) : Result.succeed(submitter)
  return Result.isFailure(mailbox)
    ? fail("submitter", mailbox.failure.problem)
    : Result.succeed([demand("AUTH", "AUTH", Command.xtext(Address.format(mailbox.success)))])
}

const notify = ({ notify }: RcptOptions): Demands => {
  if (notify === undefined) return none
  const cases = notify === "never" ? ["never"] : [...new Set(notify)]
  return cases.length === 0
    ? fail("notify", "it names no case: say \"never\" for none")
    : Result.succeed([demand("DSN", "NOTIFY", cases.join(",").toUpperCase())])
}

// RFC 3461 §4.2, and RFC 6533 §3 for addresses outside ASCII, which its xtext form carries to every server.
const originalRecipient = ({ originalRecipient }: RcptOptions): Demands => {
  if (originalRecipient === undefined) return none
  const blank = originalRecipient.trim() === "" || /[\u0000-\u001f\u007f]/.test(originalRecipient)
  if (blank || !originalRecipient.isWellFormed()) {
    return fail("originalRecipient", "it is empty, or has control characters or lone surrogates")
  }
  const ascii = /^[ -~]*$/.test(originalRecipient)
  const value = ascii ? `rfc822;${Command.xtext(originalRecipient)}` : `utf-8;${unicodeXtext(originalRecipient)}`
  return value.length > 500
    ? fail("originalRecipient", `it has ${value.length} characters as ORCPT; 500 are allowed (RFC 3461 §4.2)`)
    : Result.succeed([demand("DSN", "ORCPT", value)])
}

const unicodeXtext = (text: string): string =>
  Array.from(text, (character) =>
    /^[!-*,-<>-[\]-~]$/.test(character)
      ? character
      : `\\x{${character.codePointAt(0)?.toString(16).toUpperCase().padStart(2, "0")}}`).join("")

// Without an action a server refuses when the owner has changed (RFC 7293 §5.1).
const validSince = ({ validSince }: RcptOptions): Demands =>
  validSince === undefined
    ? none
    : Result.map(timestamp("validSince", validSince), (value) => [demand("RRVS", "RRVS", value)])
