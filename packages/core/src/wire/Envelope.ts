/**
 * The envelope of a message: who to return it to, who gets it (RFC 5321 §2.3.1).
 */
import * as Result from "effect/Result"
import * as Address from "./Address.ts"

/** The reverse-path and at least one forward-path. */
export interface Envelope {
  readonly reversePath: Address.ReversePath
  readonly forwardPaths: readonly [Address.ForwardPath, ...Array<Address.ForwardPath>]
}

/** What an envelope is made of: addresses as text or parsed; `null` or `""` as `from` is the null reverse-path. */
export interface Input {
  readonly from: string | Address.Mailbox | null
  readonly to: string | Address.Mailbox | ReadonlyArray<string | Address.Mailbox>
}

/** An address of the envelope that is none, and which. */
export interface EnvelopeError {
  readonly _tag: "EnvelopeError"
  readonly field: "from" | "to"
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
export const make = (input: Input): Result.Result<Envelope, EnvelopeError> =>
  Result.gen(function*() {
    const reversePath = input.from === null || input.from === "" || input.from === "<>"
      ? null
      : yield* mailbox("from", input.from)
    const all = isList(input.to) ? input.to : [input.to]
    const [first, ...rest] = yield* Result.all(all.map(forwardPath))
    if (first === undefined) return yield* fail("to", "there is no recipient: give at least one")
    return { reversePath, forwardPaths: [first, ...rest] }
  })

const isList = (to: Input["to"]): to is ReadonlyArray<string | Address.Mailbox> => Array.isArray(to)

const fail = (field: "from" | "to", problem: string): Result.Result<never, EnvelopeError> =>
  Result.fail({ _tag: "EnvelopeError", field, problem })

const forwardPath = (to: string | Address.Mailbox): Result.Result<Address.ForwardPath, EnvelopeError> =>
  typeof to === "string" && /^(?:postmaster|<postmaster>)$/i.test(to.trim())
    ? Result.succeed("postmaster")
    : mailbox("to", to)

const mailbox = (field: "from" | "to", text: string | Address.Mailbox): Result.Result<Address.Mailbox, EnvelopeError> =>
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
