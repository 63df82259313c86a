/**
 * What a client may do how often in a session, as LIMITS says it beforehand (RFC 9422).
 */
import type { Command } from "@postern/core"
import type { Verdict } from "./ServerPolicy.ts"
import type { State } from "./ServerSession.ts"

/** Most of each; see RFC 9422 §4. At least 1, at most 999,999. */
export interface Limits {
  /** MAIL commands on one connection, refused ones too; then 421 4.7.0. */
  readonly mailMax?: number | undefined
  /** RCPT commands of one message, refused ones too; then 452 4.5.3. */
  readonly rcptMax?: number | undefined
  /** Domains of recipients on one connection; then 452 4.5.3. */
  readonly rcptDomainMax?: number | undefined
}

/** The line in the reply to EHLO. */
export const line = ({ mailMax, rcptDomainMax, rcptMax }: Limits): string =>
  ["LIMITS", ...said("MAILMAX", mailMax), ...said("RCPTMAX", rcptMax), ...said("RCPTDOMAINMAX", rcptDomainMax)]
    .join(" ")

const said = (name: string, most: number | undefined): ReadonlyArray<string> =>
  most === undefined ? [] : [`${name}=${most}`]

/** The state in which the command was counted, whatever comes of it. */
export const count = (state: State, command: Command.Command): State => {
  if (command._tag === "Mail") return { ...state, mails: state.mails + 1 }
  if (command._tag !== "Rcpt" || state.transaction === undefined) return state
  const { domains, settings: { limits }, transaction } = state
  const domain = domainOf(command)
  return {
    ...state,
    // Once there are as many as may be, others stay out, and are refused for it.
    domains: domain !== undefined && domains.size < (limits.rcptDomainMax ?? 0)
      ? new Set([...domains, domain])
      : domains,
    transaction: { ...transaction, rcpts: transaction.rcpts + 1 }
  }
}

const domainOf = ({ forwardPath }: Command.Rcpt): string | undefined =>
  forwardPath === "postmaster" ? undefined : forwardPath.domain

/** Why it takes no more messages. */
export const judgeMail = ({ mails, settings: { limits } }: State): Verdict | undefined =>
  limits.mailMax !== undefined && mails > limits.mailMax
    ? [421, "4.7.0", "Too many mail transactions on this connection"]
    : undefined

/** Why it takes no more recipients, or none at this domain. */
export const judgeRcpt = (
  { domains, settings: { limits }, transaction }: State,
  command: Command.Rcpt
): Verdict | undefined => {
  if (limits.rcptMax !== undefined && (transaction?.rcpts ?? 0) > limits.rcptMax) {
    return [452, "4.5.3", "Too many recipients"]
  }
  const domain = domainOf(command)
  return limits.rcptDomainMax !== undefined && domain !== undefined && !domains.has(domain)
    ? [452, "4.5.3", "Too many domains of recipients on this connection"]
    : undefined
}
