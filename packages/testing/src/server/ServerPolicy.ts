/**
 * What the simulated server takes from whom and for whom: its rules on senders, recipients,
 * rates and room, apart from the protocol.
 */
import type { Command } from "@postern/core"
import { Address, type Reply } from "@postern/core"
import * as Parameters from "./ServerParameters.ts"
import type { Memory, State, Transaction } from "./ServerSession.ts"
import { say } from "./ServerSession.ts"

/** Code, enhanced status code and text. */
export type Verdict = readonly [number, string, string]

export const tooLarge: Verdict = [552, "5.3.4", "Message size exceeds fixed limit"]

/** The value of SIZE, 0 where there is none. */
const declaredSize = (mail: Command.Mail): number => Number(Parameters.valueOf(mail, "SIZE") ?? 0)

/** Why it takes no message from this sender, or none now. */
export const judgeSender = (state: State, command: Command.Mail): Verdict | undefined => {
  const { identity, messages, settings } = state
  const { reversePath: path } = command
  if (path !== null && Address.needsSmtpUtf8(path) && !Parameters.takesUtf8(command)) {
    return [550, "5.6.7", "The address needs SMTPUTF8"]
  }
  if (declaredSize(command) > settings.maxSize) return tooLarge
  if (settings.ownSenderOnly && identity !== undefined && path !== null && !owns(identity, path)) {
    const shown = Address.formatReversePath(path)
    return [553, "5.7.1", `${shown}: Sender address rejected: not owned by user ${identity}`]
  }
  if (messages >= settings.maxMessages) return [421, "4.7.0", "Too many messages on this connection"]
  const { rateLimit } = settings
  return rateLimit !== undefined && recent(state, rateLimit.per).length >= rateLimit.messages
    ? [450, "4.7.1", `Too many messages from ${clientOf(state)}, try again later`]
    : undefined
}

const owns = (identity: string, path: Address.Mailbox): boolean =>
  (identity.includes("@") ? Address.format(path) : path.localPart).toLowerCase() === identity.toLowerCase()

const clientOf = ({ client, identity }: State): string => identity ?? client

/** When the client had messages taken within so many milliseconds. */
const recent = (state: State, millis: number): ReadonlyArray<number> =>
  (state.memory.taken.get(clientOf(state)) ?? []).filter((at) => at > state.memory.now - millis)

/** The reply to a recipient, and what the server remembers of it. */
export const judgeRecipient = (
  state: State,
  transaction: Transaction,
  command: Command.Rcpt
): readonly [Reply.Reply, Memory] => {
  const mailbox = mailboxOf(command.forwardPath)
  const refused = transaction.recipients.length >= state.settings.maxRecipients
    ? [452, "4.5.3", "Too many recipients"] as const
    : undefined
  const told = refused === undefined ? state.settings.replyTo(mailbox) : undefined
  if (told !== undefined) return [told, state.memory]
  const verdict = refused ?? judgeForwardPath(state, transaction, command)
  if (verdict !== undefined) return [say(state, ...verdict), state.memory]
  const [grey, memory] = greylist(state, transaction, command)
  return [say(state, ...grey ?? [250, "2.1.5", "Ok"]), memory]
}

const mailboxOf = (path: Address.ForwardPath): string => path === "postmaster" ? path : Address.format(path)

const judgeForwardPath = (state: State, { mail }: Transaction, command: Command.Rcpt): Verdict | undefined => {
  const { client, identity, settings } = state
  const path = command.forwardPath
  // RFC 5321 §4.5.1: the postmaster is always at home.
  if (path === "postmaster") return undefined
  const shown = Address.formatForwardPath(path)
  if (Address.needsSmtpUtf8(path) && !Parameters.takesUtf8(mail)) return [553, "5.6.7", "The address needs SMTPUTF8"]
  if (identity === undefined && !settings.isLocal(path.domain) && !settings.relaysFor(client)) {
    return [554, "5.7.1", `${shown}: Relay access denied`]
  }
  if (settings.isUnknown(Address.format(path))) {
    return [550, "5.1.1", `${shown}: Recipient address rejected: User unknown`]
  }
  return judgeOwner(state, command) ?? judgeRoom(state, path, declaredSize(mail))
}

/** The mailbox may have changed hands since the client knew whose it was. */
const judgeOwner = ({ settings }: State, command: Command.Rcpt): Verdict | undefined => {
  const since = settings.boundsOf(mailboxOf(command.forwardPath))?.ownedSince
  const known = Parameters.validSince(Parameters.valueOf(command, "RRVS") ?? "")
  return since !== undefined && known !== undefined && since.getTime() > known
    ? [550, "5.7.17", "Mailbox owner has changed"]
    : undefined
}

/** Why so many octets do not fit. */
export const judgeRoom = (
  { memory, settings }: State,
  path: Address.ForwardPath,
  octets: number
): Verdict | undefined => {
  const { maxSize = Number.POSITIVE_INFINITY, quota = Number.POSITIVE_INFINITY } = settings.boundsOf(mailboxOf(path))
    ?? {}
  const shown = Address.formatForwardPath(path)
  const stored = memory.stored.get(mailboxOf(path)) ?? 0
  if (octets > maxSize) return [552, "5.2.3", `${shown}: Message is too large for this mailbox`]
  if (octets > quota) return [552, "5.2.2", `${shown}: Message exceeds the quota of this mailbox`]
  // A client that declares no size is told so, too, where there is no room for anything.
  return Math.max(1, octets) > quota - stored ? [452, "4.2.2", `${shown}: Mailbox full`] : undefined
}

const greylist = (
  { memory, settings }: State,
  { mail }: Transaction,
  { forwardPath }: Command.Rcpt
): readonly [Verdict | undefined, Memory] => {
  if (settings.greylist === undefined || forwardPath === "postmaster") return [undefined, memory]
  const shown = Address.formatForwardPath(forwardPath)
  const pair = `${Address.formatReversePath(mail.reversePath)} ${shown}`
  const first = memory.greylisted.get(pair)
  const left = (first ?? memory.now) + settings.greylist - memory.now
  if (first !== undefined && left <= 0) return [undefined, memory]
  const hint = left > 0 ? `, try again in ${Math.ceil(left / 1000)} seconds` : ""
  return [
    [450, "4.7.1", `${shown}: Recipient address rejected: Greylisted${hint}`],
    first === undefined ? { ...memory, greylisted: new Map(memory.greylisted).set(pair, memory.now) } : memory
  ]
}

/** A message was taken: it counts, and takes room. */
export const take = (state: State, recipients: ReadonlyArray<Address.ForwardPath>, octets: number): State => {
  const { memory, settings: { boundsOf, rateLimit } } = state
  const taken = rateLimit === undefined
    ? memory.taken
    : new Map(memory.taken).set(clientOf(state), [...recent(state, rateLimit.per), memory.now])
  const stored = new Map(memory.stored)
  for (const mailbox of new Set(recipients.map(mailboxOf))) {
    if (boundsOf(mailbox)?.quota !== undefined) stored.set(mailbox, (stored.get(mailbox) ?? 0) + octets)
  }
  return {
    ...state,
    messages: state.messages + 1,
    memory: { ...memory, messages: memory.messages + 1, taken, stored }
  }
}
