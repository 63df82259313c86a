/**
 * The parameters of MAIL and RCPT for one message on one session: what the content, the
 * addresses and the envelope's options need, held against what the server offers.
 */
import * as Result from "effect/Result"
import * as Reason from "../outcome/Reason.ts"
import * as Capabilities from "../wire/Capabilities.ts"
import type * as Command from "../wire/Command.ts"
import { longestLine } from "../wire/Content.ts"
import type * as Demand from "../wire/Demand.ts"
import * as Envelope from "../wire/Envelope.ts"
import type { Known } from "./Body.ts"
import type { Facts } from "./Session.ts"

/** Those of MAIL, and of each RCPT in the order of the envelope. */
export interface Parameters {
  readonly mail: ReadonlyArray<Command.Parameter>
  readonly rcpt: ReadonlyArray<ReadonlyArray<Command.Parameter>>
}

/** The content: what is known of it, and whether it is text or binary. */
export interface Subject {
  readonly facts: Known
  readonly binary: boolean
}

type Refusal = Reason.Of<"ExtensionMissing" | "InvalidInput" | "TooLarge">

/**
 * The parameters to send: none that the server does not offer. Fails with
 * `ExtensionMissing`, with `InvalidInput` where the server offers the extension and not
 * the value, with `TooLarge` where it says that it takes less (RFC 1870).
 */
export const of = (
  { capabilities, tls }: Pick<Facts, "capabilities" | "tls">,
  envelope: Envelope.Envelope,
  { binary, facts }: Subject
): Result.Result<Parameters, Refusal> => {
  const mail: Array<Command.Parameter> = []
  const { size } = facts
  const limit = capabilities?.size ?? 0
  if (size !== undefined && limit > 0 && size > limit) {
    return Result.fail(Reason.make("TooLarge", { size, limit, reply: undefined }))
  }
  if (capabilities?.size !== undefined && size !== undefined) mail.push({ keyword: "SIZE", value: String(size) })
  const body = bodyOf(capabilities, binary, facts)
  if (Result.isFailure(body)) return Result.fail(body.failure)
  if (body.success !== undefined) mail.push({ keyword: "BODY", value: body.success })
  const because = facts.eightBitHeader === true
    ? "a header field has characters outside ASCII"
    : Envelope.needsSmtpUtf8(envelope)
    ? "an address has characters outside ASCII"
    : undefined
  if (because !== undefined) {
    if (capabilities?.smtpUtf8 !== true) return missing("SMTPUTF8", because)
    mail.push({ keyword: "SMTPUTF8", value: undefined })
  }
  const { demands, optional } = envelope
  // RFC 8689 §2: never said without TLS, whatever a server offers there.
  if (tls === undefined && demands.mail.some(({ extension }) => extension === "REQUIRETLS")) {
    return missing("REQUIRETLS", "the message asks for TLS all the way, and this connection has none")
  }
  const refusal = add(mail, capabilities, demands.mail, optional)
  if (refusal !== undefined) return Result.fail(refusal)
  const rcpt: Array<ReadonlyArray<Command.Parameter>> = []
  for (const each of demands.rcpt) {
    const parameters: Array<Command.Parameter> = []
    const refusal = add(parameters, capabilities, each, optional)
    if (refusal !== undefined) return Result.fail(refusal)
    rcpt.push(parameters)
  }
  return Result.succeed({ mail, rcpt })
}

const missing = (extension: string, because: string): Result.Result<never, Reason.Of<"ExtensionMissing">> =>
  Result.fail(Reason.make("ExtensionMissing", { extension, because }))

// The value of BODY (RFC 6152, RFC 3030); none where the content is what every server takes.
const bodyOf = (
  capabilities: Capabilities.Capabilities | undefined,
  binary: boolean,
  { eightBit, longestLine: longest = 0 }: Known
): Result.Result<string | undefined, Reason.Of<"ExtensionMissing">> => {
  if (binary) return Result.succeed("BINARYMIME")
  if (longest > longestLine) {
    // What is no line to SMTP is none of its business in binary content.
    if (capabilities?.chunking === true && Capabilities.has(capabilities, "BINARYMIME")) {
      return Result.succeed("BINARYMIME")
    }
    return missing("BINARYMIME", `a line of the content has ${longest} octets, and ${longestLine} are allowed`)
  }
  if (eightBit === false) return Result.succeed(undefined)
  if (capabilities?.eightBitMime === true) return Result.succeed("8BITMIME")
  // Where it is made on the way it is looked at as it comes.
  return eightBit === undefined ? Result.succeed(undefined) : missing("8BITMIME", "the content has octets above 127")
}

const add = (
  parameters: Array<Command.Parameter>,
  capabilities: Capabilities.Capabilities | undefined,
  demands: ReadonlyArray<Demand.Demand>,
  optional: ReadonlySet<string>
): Refusal | undefined => {
  for (const { extension, forbidden, parameter } of demands) {
    const values = capabilities && Capabilities.parameters(capabilities, extension)
    if (values === undefined) {
      if (optional.has(extension)) continue
      return Reason.make("ExtensionMissing", { extension, because: `the envelope asks for ${parameter.keyword}` })
    }
    const problem = forbidden?.(values)
    if (problem !== undefined) {
      return Reason.make("InvalidInput", { what: `${parameter.keyword} of the envelope`, problem })
    }
    parameters.push(parameter)
  }
  return undefined
}
