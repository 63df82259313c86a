/**
 * What must become of a scenario in which the server keeps to its policy: the reason's
 * tag and what it must say, or the fate of each recipient. Written from the RFCs and from
 * what the options promise, not from the client.
 */
import { type Endpoint, type Open, Reply } from "@postern/core"
import type { MechanismName, Party, Policy, Scenario } from "./scenario.ts"
import { normalized, textOf } from "./scenario.ts"

export type Fate = "Accepted" | "Deferred" | "Refused"

export type Prediction =
  | {
    readonly tag: "Receipt"
    readonly fates: ReadonlyArray<Fate>
    /** Those whom the first transaction is for: the others were too many for it, and have another. */
    readonly first: ReadonlyArray<boolean>
    readonly identity: string | undefined
    readonly tls: boolean
  }
  | { readonly tag: "Reason"; readonly is: { readonly _tag: string } & Readonly<Record<string, unknown>> }

const fails = (_tag: string, fields: Readonly<Record<string, unknown>> = {}): Prediction => ({
  tag: "Reason",
  is: { _tag, ...fields }
})

export const predict = (scenario: Scenario): Prediction => {
  const [first, second] = securities(scenario.client)
  const one = underSecurity(scenario, first)
  if (second === undefined || one.tag === "Receipt") return one
  // The port speaks the other kind of TLS: it says so, or it waits for a handshake in silence.
  const other = one.is._tag === "TlsModeMismatch" || one.is._tag === "TimedOut"
  if (!other) return one
  const two = underSecurity(scenario, second)
  // No handshake came about: nothing shows that the port speaks TLS at all.
  const shown = two.tag === "Receipt" || two.is._tag !== "HandshakeFailed"
  return one.is._tag === "TimedOut" && !shown ? one : two
}

const securities = (
  { port, security }: { readonly port: number; readonly security: Endpoint.Mode }
): readonly [Open.Security, Open.Security?] => {
  if (security !== "auto") return [security]
  return port === 25 || port === 587 || port === 2525 ? ["startTls", "tls"] : ["tls", "startTls"]
}

/** What holds once the greeting, EHLO and TLS are over. */
interface Standing {
  readonly tls: boolean
  readonly extended: boolean
}

const underSecurity = (scenario: Scenario, security: Open.Security): Prediction => {
  const { policy } = scenario
  if (security === "tls" && policy.tls !== "implicit") return fails("TlsModeMismatch", { use: "startTls" })
  if (security === "tls") return handshake(scenario) ?? greeted(scenario, security, true)
  if (policy.tls === "implicit") return fails("TimedOut", { step: "Greeting" })
  return greeted(scenario, security, false)
}

const handshake = ({ fault }: Scenario): Prediction | undefined => {
  if (fault?._tag !== "Tls") return undefined
  return fault.problem === "expired" ? fails("CertificateRefused", { problem: "expired" }) : fails("HandshakeFailed")
}

const greeted = (scenario: Scenario, security: Open.Security, tls: boolean): Prediction => {
  const { policy } = scenario
  if (policy.greeting === 421) return fails("ServiceClosing", { step: "Greeting" })
  if (policy.greeting !== 220) return fails("GreetingRefused")
  // HELO is refused without TLS, and there is no STARTTLS without EHLO.
  if (!policy.ehlo && policy.requireTls && !tls) return fails("CommandRefused", { step: "Ehlo" })
  const extended = policy.ehlo
  if (security === "plain" || security === "tls") return authenticated(scenario, { tls, extended })
  if (policy.tls !== "startTls" || !extended) {
    return security === "startTlsIfOffered"
      ? authenticated(scenario, { tls, extended })
      : fails("TlsUnavailable", { reply: undefined })
  }
  if (policy.tlsNotNow) {
    return security === "startTlsIfOffered"
      ? authenticated(scenario, { tls, extended })
      : fails("TlsUnavailable", { reply: Reply.make(454, "TLS not available now", "4.7.0") })
  }
  if (policy.inject) return fails("PlaintextInjected")
  return handshake(scenario) ?? authenticated(scenario, { tls: true, extended })
}

// ---------------------------------------------------------------------------
// Authentication
// ---------------------------------------------------------------------------

const authenticated = (scenario: Scenario, standing: Standing): Prediction => {
  const { client: { credentials }, policy } = scenario
  if (credentials === undefined) return delivered(scenario, standing, undefined)
  const mechanisms = usable(scenario, standing)
  if (mechanisms.length === 0) return fails("NoUsableMechanism")
  if (credentials.password === "") return fails("InvalidInput")
  if (policy.requireTls && !standing.tls) return fails("AuthenticationFailed", { why: "encryption required" })
  // About the mechanism and not about the password: each is tried, and later may be better.
  if (policy.account === "in transition") {
    return fails("AuthenticationFailed", { why: "temporary", attempts: Math.min(3, mechanisms.length) })
  }
  const { authorizationId, user } = credentials
  const actsForAnother = authorizationId !== undefined && authorizationId !== user
  // This server lets nobody act for somebody else.
  return policy.account === "known" && !actsForAnother
    ? delivered(scenario, standing, user)
    : fails("AuthenticationFailed", { why: "bad credentials", attempts: 1 })
}

/** The mechanisms that can carry these credentials here, the one that is tried first. */
const usable = (
  { client: { authenticator, credentials }, policy }: Scenario,
  { extended, tls }: Standing
): ReadonlyArray<MechanismName> => {
  const offered = extended && (tls || policy.authBeforeTls) ? policy.mechanisms : []
  const inOrder: Readonly<Record<typeof authenticator, ReadonlyArray<MechanismName>>> = {
    "standard": ["PLAIN", "LOGIN", "CRAM-MD5"],
    "only PLAIN": ["PLAIN"],
    "CRAM-MD5 then LOGIN": ["CRAM-MD5", "LOGIN"],
    "LOGIN at once": ["LOGIN"],
    "PLAIN also without TLS": tls ? ["PLAIN", "CRAM-MD5"] : ["CRAM-MD5", "PLAIN"]
  }
  return inOrder[authenticator].filter((name) =>
    offered.includes(name)
    // The others name nobody but the user: with them one would act as another than was asked.
    && (name === "PLAIN" || credentials?.authorizationId === undefined)
    && (name === "CRAM-MD5" || tls || authenticator === "PLAIN also without TLS")
  )
}

// ---------------------------------------------------------------------------
// The transaction
// ---------------------------------------------------------------------------

const delivered = (scenario: Scenario, standing: Standing, identity: string | undefined): Prediction => {
  const { letter: { content, from, to }, policy } = scenario
  const offers = (keyword: string) => standing.extended && policy.extensions.includes(keyword)
  const size = normalized(content).length
  const tooLarge = size > policy.maxSize
  if (tooLarge && offers("SIZE")) return fails("TooLarge", { size, limit: policy.maxSize, reply: undefined })
  const lines = textOf(normalized(content)).split("\r\n")
  // RFC 5321 §4.5.3.1.6: the server must take 1000 octets with the line's end.
  if (lines.some(({ length }) => length > 998)) return fails("ExtensionMissing", { extension: "BINARYMIME" })
  const eightBit = (line: string) => /[\x80-\xff]/.test(line)
  if (lines.some(eightBit) && !offers("8BITMIME")) return fails("ExtensionMissing", { extension: "8BITMIME" })
  // Header fields end at the first empty line; raw octets in them are UTF-8 (RFC 6532).
  const header = lines.slice(0, lines.indexOf(""))
  if ((header.some(eightBit) || from.utf8 || to.some(({ utf8 }) => utf8 === true)) && !offers("SMTPUTF8")) {
    return fails("ExtensionMissing", { extension: "SMTPUTF8" })
  }
  if ((policy.requireTls && !standing.tls) || (policy.requireAuth && identity === undefined)) {
    return fails("AuthenticationRequired", { step: "Mail" })
  }
  const verdicts = judge(policy, to, identity)
  if (verdicts.includes("ok")) {
    return tooLarge
      ? fails("TooLarge", { size })
      : {
        tag: "Receipt",
        fates: (offers("ENHANCEDSTATUSCODES") ? again(policy, to, identity, verdicts) : verdicts)
          .map((verdict) => fate[verdict]),
        first: verdicts.map((verdict) => verdict === "ok"),
        identity,
        tls: standing.tls
      }
  }
  const all = to.map(({ address }) => `<${address}>`)
  if (verdicts.some((verdict) => fate[verdict] === "Deferred")) {
    return fails("TemporaryFailure", { step: "Rcpt", recipients: all })
  }
  if (verdicts.every((verdict) => verdict === "relay")) {
    return fails("RelayDenied", { why: why(scenario, standing), recipients: all })
  }
  return fails("RecipientsRefused", { recipients: all })
}

type Verdict = "ok" | "relay" | "unknown" | "greylisted" | "too many"

const fate: Readonly<Record<Verdict, Fate>> = {
  "ok": "Accepted",
  "relay": "Refused",
  "unknown": "Refused",
  "greylisted": "Deferred",
  "too many": "Deferred"
}

const judge = (policy: Policy, to: ReadonlyArray<Party>, identity: string | undefined): ReadonlyArray<Verdict> => {
  let taken = 0
  return to.map((party) => {
    const verdict = taken >= policy.maxRecipients
      ? "too many"
      : party.postmaster === true
      ? "ok"
      : policy.relays && identity === undefined && !party.local
      ? "relay"
      : party.unknown === true
      ? "unknown"
      : policy.greylist
      ? "greylisted"
      : "ok"
    if (verdict === "ok") taken++
    return verdict
  })
}

/**
 * Who was one too many gets another transaction, as long as the one before succeeds. A 452 says so only by its
 * enhanced status code: without that it may as well be about storage.
 */
const again = (
  policy: Policy,
  to: ReadonlyArray<Party>,
  identity: string | undefined,
  verdicts: ReadonlyArray<Verdict>
): ReadonlyArray<Verdict> => {
  if (!verdicts.includes("ok") || !verdicts.includes("too many")) return verdicts
  const left = to.filter((_, i) => verdicts[i] === "too many")
  const others = [...again(policy, left, identity, judge(policy, left, identity))]
  return verdicts.map((verdict) => verdict === "too many" ? others.shift() ?? verdict : verdict)
}

const why = ({ policy }: Scenario, { extended, tls }: Standing): string =>
  extended && policy.mechanisms.length > 0 && (tls || policy.authBeforeTls)
    ? "not authenticated"
    : extended && policy.tls === "startTls" && !tls
    ? "auth needs tls"
    : "no auth offered"
