/**
 * One message, in as many transactions as the server's limits and the policy ask for.
 */
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Address from "../wire/Address.ts"
import * as Command from "../wire/Command.ts"
import * as Content from "../wire/Content.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Body from "./Body.ts"
import { type Convert, type Message, type Prepared, transact } from "./OneTransaction.ts"
import * as Outcome from "./Outcome.ts"
import * as Parameters from "./Parameters.ts"
import * as Program from "./Program.ts"
import type { Session } from "./Session.ts"

export { reset } from "./OneTransaction.ts"
export type { Convert, Message, Prepared } from "./OneTransaction.ts"

/** Holds a message against what the server offers. Fails with what keeps it from being sent. */
export const prepare = (
  session: Session<"ready">,
  message: Message
): Result.Result<Prepared, Reason.Of<"TooLarge" | "ExtensionMissing" | "InvalidInput">> => {
  const { body, envelope } = message
  const { facts, known } = session
  const parameters = Parameters.of(facts, envelope, body)
  if (Result.isFailure(parameters)) return Result.fail(parameters.failure)
  const way = Body.way(facts, body)
  if (Result.isFailure(way)) return Result.fail(way.failure)
  const groups = grouped(session, message)
  const mostDomains = facts.capabilities?.limits?.rcptDomainMax
  const divided = groups.length > 1
    || (mostDomains !== undefined && domainsOf(message, groups.flat()).size > mostDomains)
  const unsuited = divided ? several(message) : undefined
  if (unsuited !== undefined) return Result.fail(unsuited)
  const { mail, rcpt } = parameters.success
  return Result.succeed({
    ...message,
    mail: Command.mail(envelope.reversePath, mail),
    rcpts: envelope.forwardPaths.map((path, i) => Command.rcpt(path, rcpt[i])),
    recipients: envelope.forwardPaths.map(Address.formatForwardPath),
    way: way.success,
    groups,
    explain: (refused, recipients) =>
      Classify.refusal(known, refused, {
        reversePath: Address.formatReversePath(envelope.reversePath),
        recipients,
        size: body.facts.size,
        limit: facts.capabilities?.size
      })
  })
}

// Why a message cannot be sent in several transactions.
const several = ({ body, policy }: Message): Reason.Of<"InvalidInput"> | undefined => {
  if (policy === "all") {
    const problem = "the server takes fewer recipients in one transaction, and all of them or none is asked for"
    return Reason.make("InvalidInput", { what: "the number of recipients", problem })
  }
  if (body._tag !== "Blocks") return undefined
  const problem = "it can be read once, and these recipients take several transactions: give it as octets or text"
  return Reason.make("InvalidInput", { what: "the content", problem })
}

// As many recipients in each as the policy and RCPTMAX allow (RFC 9422 §4).
const grouped = (
  { facts }: Session<"ready">,
  { envelope: { forwardPaths }, policy }: Message
): ReadonlyArray<ReadonlyArray<number>> => {
  const most = policy === "each" ? 1 : facts.capabilities?.limits?.rcptMax ?? Number.POSITIVE_INFINITY
  const all = forwardPaths.map((_, i) => i)
  if (all.length <= most) return [all]
  const groups: Array<ReadonlyArray<number>> = []
  for (let at = 0; at < all.length; at += most) groups.push(all.slice(at, at + most))
  return groups
}

/** What a session still takes by the limits that the server names (RFC 9422): transactions, and domains of recipients. */
export interface Budget {
  mails: number
  readonly domains: Set<string>
  readonly mostDomains: number
}

/** That of a session in which nothing was sent. */
export const budget = ({ facts }: Session<"ready">): Budget => {
  const limits = facts.capabilities?.limits
  return {
    mails: limits?.mailMax ?? Number.POSITIVE_INFINITY,
    domains: new Set(),
    mostDomains: limits?.rcptDomainMax ?? Number.POSITIVE_INFINITY
  }
}

const domainOf = (path: Address.ForwardPath | undefined): string =>
  path === undefined || path === "postmaster" ? "" : path.domain.toLowerCase()

const domainsOf = ({ envelope }: Message, group: ReadonlyArray<number>): ReadonlySet<string> =>
  new Set(group.map((i) => domainOf(envelope.forwardPaths[i])))

// Takes those of the group whose domains the budget has room for; all or none of a message that cannot be divided.
const affordable = (message: Message, group: ReadonlyArray<number>, { domains, mostDomains }: Budget) => {
  if (mostDomains === Number.POSITIVE_INFINITY) return group
  const whole = new Set([...domains, ...domainsOf(message, group)]).size <= mostDomains
  if (!whole && several(message) !== undefined) return []
  return group.filter((i) => {
    const domain = domainOf(message.envelope.forwardPaths[i])
    if (!domains.has(domain) && domains.size < mostDomains) domains.add(domain)
    return domains.has(domain)
  })
}

/** What a session did for a message. */
export interface Attempt {
  readonly recipients: ReadonlyArray<string>
  readonly parts: ReadonlyArray<Outcome.Settled>
  /** Recipients, by their place in the envelope, that have to wait for another session. */
  readonly rest: ReadonlyArray<number>
  /** How the connection ended, if it did. */
  readonly lost: Program.Lost | undefined
}

/**
 * Sends a message to some of its recipients, or all, as far as the budget goes. Fails
 * with what keeps the message from being sent at all.
 */
export const attempt = Program.fn(
  function*(session: Session<"ready">, given: Message, budget: Budget, only: ReadonlyArray<number> | undefined) {
    const message = yield* fit(session, given)
    const left = only && new Set(only)
    const groups = message.groups.map((group) => left === undefined ? group : group.filter((i) => left.has(i)))
      .filter(({ length }) => length > 0)
    const parts: Array<Outcome.Settled> = []
    const rest: Array<number> = []
    let lost: Program.Lost | undefined
    let ended: Reason.Reason | undefined
    // Not an iteration: recipients that were too many for one transaction get another.
    for (let wanted = groups.shift(); wanted !== undefined; wanted = groups.shift()) {
      const group = budget.mails > 0 ? affordable(message, wanted, budget) : []
      const now = new Set(group)
      if (group !== wanted) rest.push(...wanted.filter((i) => !now.has(i)))
      if (group.length === 0) continue
      const recipients = group.map((i) => message.recipients[i] ?? "")
      if (ended !== undefined) {
        parts.push(Outcome.lost(message.explain, recipients, [], ended, false))
        continue
      }
      budget.mails--
      const settled = yield* Program.settled(transact(session, message, group, recipients))
      if (Result.isFailure(settled)) {
        if (!Program.isLost(settled.failure)) return yield* Program.fail(settled.failure)
        lost = settled.failure
        ended = lost.reason
        parts.push(Outcome.lost(message.explain, recipients, [], ended, false))
        continue
      }
      const part = settled.success
      if (part.reason?._tag === "InDoubt") {
        ended = Reason.make("ConnectionLost", { step: "Content", detail: part.reason.detail })
      }
      const again = new Set(part.reply === undefined || message.body._tag === "Blocks" ? [] : Outcome.tooMany(part))
      if (again.size > 0) groups.push(group.filter((_, place) => again.has(place)))
      parts.push({ ...part, outcomes: part.outcomes.filter((_, place) => !again.has(place)) })
    }
    const attempted: Attempt = { recipients: message.recipients, parts, rest, lost }
    return attempted
  }
)

// The message as it stands on this session, converted where it has to be.
const fit = Program.fn(function*(session: Session<"ready">, given: Message) {
  const message = given.body._tag === "Blocks" ? yield* looked(session, given, given.body) : given
  const prepared = prepare(session, message)
  if (!convertible(message, prepared)) return yield* Program.fromResult(prepared)
  const body = Body.octets(yield* Program.perform(message.convert(message.body.octets)))
  return yield* Program.fromResult(prepare(session, { ...message, body }))
})

// Its header fields are in the first block, or so long that nobody takes them. What cannot be sent is not looked at.
const looked = Program.fn(
  function*(session: Session<"ready">, message: Message, body: Body.Body & { readonly _tag: "Blocks" }) {
    yield* Program.fromResult(prepare(session, message))
    if (body.facts.eightBitHeader !== undefined) return message
    const first = yield* Program.perform(body.peek)
    return { ...message, body: { ...body, facts: { ...body.facts, ...headerOf(first) } } }
  }
)

const headerOf = (first: Uint8Array | undefined) => ({
  eightBitHeader: first !== undefined && Content.measure(first).eightBitHeader
})

/**
 * The outcome of all attempts at a message: a delivery, or why it is none. Recipients
 * that are left are deferred, for this reason.
 */
export const conclude = (
  { envelope }: Message,
  parts: ReadonlyArray<Outcome.Settled>,
  rest: ReadonlyArray<number>,
  left: Reason.Reason
): Result.Result<Outcome.Delivery, Reason.Reason> => {
  const recipients = envelope.forwardPaths.map(Address.formatForwardPath)
  const waiting = rest.map((i) => recipients[i] ?? "")
  const all = rest.length === 0 ? parts : [...parts, Outcome.lost(() => left, waiting, [], left, false)]
  const { outcomes, reason, reply } = Outcome.merge(recipients, all)
  return reply === undefined ? Result.fail(reason ?? Outcome.inCommon(outcomes)) : Result.succeed({ reply, outcomes })
}

/**
 * Delivers a message within a session. At least one recipient was accepted when it
 * succeeds (every one, with the policy `all`); look at `outcomes` for the others. When
 * every one is refused the transaction is reset and it fails with their common reason,
 * or `RecipientsRefused`. Fails also with `SenderRefused`, `RelayDenied`,
 * `ContentRefused`, `TooLarge`, `ExtensionMissing`, `TemporaryFailure`,
 * `AuthenticationRequired`, `ServiceClosing`, `ContentUnavailable` or `InDoubt`.
 */
export const deliver = Program.fn(
  function*(
    session: Session<"ready">,
    envelope: Envelope.Envelope,
    content: Uint8Array | Body.Body,
    policy: Outcome.Policy = "any"
  ) {
    const body = content instanceof Uint8Array ? Body.octets(content) : content
    return yield* send(session, { envelope, body, policy })
  }
)

/** {@link deliver} for a message that may be converted. Fails as that does. */
export const send = Program.fn(function*(session: Session<"ready">, message: Message) {
  const { lost, parts, rest } = yield* attempt(session, message, budget(session), undefined)
  const concluded = conclude(message, parts, rest, limitReached(session))
  if (Result.isSuccess(concluded)) return concluded.success
  return yield* Program.fail(concluded.failure === lost?.reason ? lost : concluded.failure)
})

/** More than the session takes: another one will. */
export const limitReached = ({ facts }: Session<"ready">): Reason.Of<"LimitReached"> => {
  const { mailMax, rcptDomainMax } = facts.capabilities?.limits ?? {}
  const limit = rcptDomainMax === undefined ? "MAILMAX" : "RCPTDOMAINMAX"
  return Reason.make("LimitReached", { limit, most: rcptDomainMax ?? mailMax ?? 0 })
}

interface Convertible extends Message {
  readonly body: Body.Body & { readonly _tag: "Octets" }
  readonly convert: Convert
}

/** True where an extension is missing that the message does without once it is converted. */
export const convertible = (
  message: Message,
  prepared: Result.Result<Prepared, Reason.Reason>
): message is Convertible =>
  message.convert !== undefined && message.body._tag === "Octets" && Result.isFailure(prepared)
  && prepared.failure._tag === "ExtensionMissing" && byContent.has(prepared.failure.extension)
  && !(prepared.failure.extension === "SMTPUTF8" && Envelope.needsSmtpUtf8(message.envelope))

const byContent: ReadonlySet<string> = new Set(["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"])
