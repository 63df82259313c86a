/**
 * The parameters of MAIL and RCPT for one message on one session: what the content, the
 * addresses and the envelope's options need, held against what the server offers.
 */
import * as Result from "effect/Result"
import * as Reason from "../outcome/Reason.ts"
import * as Capabilities from "../wire/Capabilities.ts"
import type * as Command from "../wire/Command.ts"
import type * as Content from "../wire/Content.ts"
import type * as Demand from "../wire/Demand.ts"
import * as Envelope from "../wire/Envelope.ts"
import type { Facts } from "./Session.ts"

/** Those of MAIL, and of each RCPT in the order of the envelope. */
export interface Parameters {
  readonly mail: ReadonlyArray<Command.Parameter>
  readonly rcpt: ReadonlyArray<ReadonlyArray<Command.Parameter>>
}

type Refusal = Reason.Of<"ExtensionMissing" | "InvalidInput">

/**
 * The parameters to send: none that the server does not offer. Fails with
 * `ExtensionMissing`, or with `InvalidInput` where the server offers the extension and
 * not the value.
 */
export const of = (
  { capabilities, tls }: Pick<Facts, "capabilities" | "tls">,
  envelope: Envelope.Envelope,
  content: Content.Facts
): Result.Result<Parameters, Refusal> =>
  Result.gen(function*() {
    const own: Array<Command.Parameter> = []
    if (capabilities?.size !== undefined) own.push({ keyword: "SIZE", value: String(content.size) })
    if (content.eightBit) {
      if (capabilities?.eightBitMime !== true) yield* missing("8BITMIME", "the content has octets above 127")
      own.push({ keyword: "BODY", value: "8BITMIME" })
    }
    if (Envelope.needsSmtpUtf8(envelope)) {
      if (capabilities?.smtpUtf8 !== true) yield* missing("SMTPUTF8", "an address has characters outside ASCII")
      own.push({ keyword: "SMTPUTF8", value: undefined })
    }
    // RFC 8689 §2: never said without TLS, whatever a server offers there.
    if (envelope.demands.mail.some(({ extension }) => extension === "REQUIRETLS") && tls === undefined) {
      yield* missing("REQUIRETLS", "the message asks for TLS all the way, and this connection has none")
    }
    const allowed = (demands: ReadonlyArray<Demand.Demand>) => offered(capabilities, demands, envelope.optional)
    return {
      mail: [...own, ...yield* allowed(envelope.demands.mail)],
      rcpt: yield* Result.all(envelope.demands.rcpt.map(allowed))
    }
  })

const missing = (extension: string, because: string): Result.Result<never, Refusal> =>
  Result.fail(Reason.make("ExtensionMissing", { extension, because }))

const offered = (
  capabilities: Capabilities.Capabilities | undefined,
  demands: ReadonlyArray<Demand.Demand>,
  optional: ReadonlySet<string>
): Result.Result<ReadonlyArray<Command.Parameter>, Refusal> =>
  Result.gen(function*() {
    const parameters: Array<Command.Parameter> = []
    for (const { extension, forbidden, parameter } of demands) {
      const values = capabilities && Capabilities.parameters(capabilities, extension)
      if (values === undefined) {
        if (!optional.has(extension)) yield* missing(extension, `the envelope asks for ${parameter.keyword}`)
        continue
      }
      const problem = forbidden?.(values)
      if (problem !== undefined) {
        yield* Result.fail(Reason.make("InvalidInput", { what: `${parameter.keyword} of the envelope`, problem }))
      }
      parameters.push(parameter)
    }
    return parameters
  })
