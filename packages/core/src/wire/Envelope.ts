/**
 * The envelope of a message: who to return it to, who gets it (RFC 5321 §2.3.1).
 */
import * as Result from "effect/Result"
import * as Address from "./Address.ts"
import * as Demand from "./Demand.ts"

/** The reverse-path, at least one forward-path, and what is asked of the delivery. */
export interface Envelope {
  readonly reversePath: Address.ReversePath
  readonly forwardPaths: readonly [Address.ForwardPath, ...Array<Address.ForwardPath>]
  /** Of MAIL, and of each RCPT in the order of `forwardPaths`. */
  readonly demands: {
    readonly mail: ReadonlyArray<Demand.Demand>
    readonly rcpt: ReadonlyArray<ReadonlyArray<Demand.Demand>>
  }
  /** Extensions whose parameters are left out where the server does not offer them. */
  readonly optional: ReadonlySet<string>
}

/** Extensions without which a message may still be sent as it was meant, only with less said about it. */
export type Optional = "DSN" | "DELIVERBY" | "MT-PRIORITY" | "AUTH" | "RRVS"

/** A recipient with options of its own. */
export interface Recipient extends Demand.RcptOptions {
  readonly mailbox: string | Address.Mailbox
}

/** A recipient: an address as text or parsed, or one with options. */
export type To = string | Address.Mailbox | Recipient

/** What an envelope is made of; `null` or `""` as `from` is the null reverse-path. */
export interface Input extends Demand.MailOptions {
  readonly from: string | Address.Mailbox | null
  readonly to: To | ReadonlyArray<To>
  /**
   * What may be left out. An option whose extension the server does not offer, and that is not named here, keeps the
   * message from being sent (`ExtensionMissing`): nothing is dropped in silence.
   */
  readonly optional?: ReadonlyArray<Optional> | undefined
}

/** An address of the envelope that is none, or an option that makes no sense, and which. */
export interface EnvelopeError {
  readonly _tag: "EnvelopeError"
  /** `from`, `to`, or the option's name. */
  readonly field: string
  readonly problem: string
}

/**
 * Makes an envelope. Text may be a mailbox, a mailbox in angle brackets or
 * `Display Name <mailbox>`; `postmaster` alone is RFC 5321's. One string is one address.
 *
 * @example
 * ```ts
 * import { Envelope } from "@postern/core"
 *
 * const envelope = Envelope.make({ from: "ann@example.org", to: ["Ben <ben@example.net>", "postmaster"] })
 * console.log(envelope._tag) // "Success"
 * ```
 */
export const make = (input: Input): Result.Result<Envelope, EnvelopeError> => {
  const reversePath = input.from === null || input.from === "" || input.from === "<>"
    ? Result.succeed(null)
    : mailbox("from", input.from)
  if (Result.isFailure(reversePath)) return Result.fail(reversePath.failure)
  const forwardPaths: Array<Address.ForwardPath> = []
  const rcpt: Array<ReadonlyArray<Demand.Demand>> = []
  for (const to of isList(input.to) ? input.to : [input.to]) {
    const recipient = withNotify(asRecipient(to), input)
    const path = forwardPath(recipient.mailbox)
    if (Result.isFailure(path)) return Result.fail(path.failure)
    const demands = Demand.rcpt(recipient)
    if (Result.isFailure(demands)) return Result.fail(unsendable(demands.failure))
    forwardPaths.push(path.success)
    rcpt.push(demands.success)
  }
  const [first, ...rest] = forwardPaths
  if (first === undefined) return fail("to", "there is no recipient: give at least one")
  const mail = Demand.mail(input)
  if (Result.isFailure(mail)) return Result.fail(unsendable(mail.failure))
  return Result.succeed({
    reversePath: reversePath.success,
    forwardPaths: [first, ...rest],
    demands: { mail: mail.success, rcpt },
    optional: input.optional === undefined ? nothing : new Set(input.optional)
  })
}

const nothing: ReadonlySet<string> = new Set()

const isList = (to: Input["to"]): to is ReadonlyArray<To> => Array.isArray(to)

const asRecipient = (to: To): Recipient => typeof to === "object" && "mailbox" in to ? to : { mailbox: to }

const withNotify = (recipient: Recipient, { dsn }: Input): Recipient =>
  dsn?.notify === undefined ? recipient : { ...recipient, notify: recipient.notify ?? dsn.notify }

const unsendable = ({ option, problem }: Demand.DemandError): EnvelopeError => ({
  _tag: "EnvelopeError",
  field: option,
  problem
})

const fail = (field: string, problem: string): Result.Result<never, EnvelopeError> =>
  Result.fail({ _tag: "EnvelopeError", field, problem })

const forwardPath = (to: string | Address.Mailbox): Result.Result<Address.ForwardPath, EnvelopeError> =>
  typeof to === "string" && /^(?:postmaster|<postmaster>)$/i.test(to.trim())
    ? Result.succeed("postmaster")
    : mailbox("to", to)

const mailbox = (field: string, text: string | Address.Mailbox): Result.Result<Address.Mailbox, EnvelopeError> =>
  typeof text === "string"
    ? Result.mapBoth(Address.parseUser(text), {
      onSuccess: (user) => user.mailbox,
      onFailure: (error): EnvelopeError => ({ _tag: "EnvelopeError", field, problem: error.problem })
    })
    : Result.succeed(text)

/** True when an address of the envelope needs SMTPUTF8 (RFC 6531). */
export const needsSmtpUtf8 = (envelope: Envelope): boolean =>
  [envelope.reversePath, ...envelope.forwardPaths].some((path) =>
    path !== null && path !== "postmaster" && Address.needsSmtpUtf8(path)
  )
