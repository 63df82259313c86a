/**
 * What the simulated server tells of mailboxes, lists and queues: VRFY and EXPN (RFC 5321
 * §3.5, RFC 6531 §3.7.4) and ETRN (RFC 1985).
 */
import { Address, type Command } from "@postern/core"
import * as Result from "effect/Result"
import * as Offer from "./ServerOffer.ts"
import type { Outcome, State } from "./ServerSession.ts"
import { answer, notImplemented, outOfOrder } from "./ServerSession.ts"

export const vrfy = (state: State, { argument, smtpUtf8 }: Command.Vrfy): Outcome => {
  if (smtpUtf8 && !Offer.offers(state, "SMTPUTF8")) return notOffered(state)
  const { isUnknown, lists, users } = state.settings
  const name = withoutBrackets(argument)
  if (users === undefined) {
    return isUnknown(name)
      ? answer(state, 550, "5.1.1", "User unknown")
      : answer(state, 252, "2.0.0", "Cannot verify the user, but will try to deliver")
  }
  const found = users(name)
  if (found === undefined) {
    return answer(state, 550, "5.1.1", lists?.(name) === undefined ? "User unknown" : "This is a list, not a user")
  }
  if (!smtpUtf8 && !isAscii(found)) return answer(state, 252, "2.6.8", "The answer needs SMTPUTF8")
  return found.length === 1
    ? answer(state, 250, "2.1.5", found)
    : answer(state, 553, "5.1.4", ["Ambiguous; possibilities are", ...found])
}

export const expn = (state: State, { argument, smtpUtf8 }: Command.Expn): Outcome => {
  const { lists, users } = state.settings
  if (lists === undefined) return notImplemented(state)
  if (smtpUtf8 && !Offer.offers(state, "SMTPUTF8")) return notOffered(state)
  const name = withoutBrackets(argument)
  const members = lists(name)
  if (members === undefined) {
    return answer(state, 550, "5.1.1", users?.(name) === undefined ? "List unknown" : "This is a user, not a list")
  }
  return smtpUtf8 || isAscii(members)
    ? answer(state, 250, "2.1.5", members)
    : answer(state, 550, "5.6.8", "The answer needs SMTPUTF8")
}

const notOffered = (state: State): Outcome => answer(state, 504, "5.5.4", "Unsupported option: SMTPUTF8")

const withoutBrackets = (argument: string): string => argument.replace(/^<(.*)>$/, "$1")

const isAscii = (texts: ReadonlyArray<string>): boolean => texts.every((text) => /^[ -~]*$/.test(text))

export const etrn = (state: State, { argument: node }: Command.Etrn): Outcome => {
  if (!state.settings.keywords.has("ETRN")) return notImplemented(state)
  if (state.transaction !== undefined) return outOfOrder(state, "Mail transaction in progress")
  if (!isNode(node)) return answer(state, 501, "5.5.4", "ETRN has a domain, @domain or #queue")
  const { queues } = state.settings
  if (queues === undefined) return answer(state, 250, "2.0.0", `Queuing for node ${node} started`)
  const waiting = queues(node)
  if (waiting === undefined) return answer(state, 459, "4.7.1", `Node ${node} not allowed`)
  return waiting === 0
    ? answer(state, 251, "2.0.0", `No messages waiting for node ${node}`)
    : answer(state, 253, "2.0.0", `${waiting} pending messages for node ${node} started`)
}

const isNode = (text: string): boolean =>
  text.startsWith("#") ? text.length > 1 : Result.isSuccess(Address.parseDomain(text.replace(/^@/, "")))
