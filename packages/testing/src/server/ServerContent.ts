/**
 * The content of the simulated server's messages: DATA (RFC 5321 §4.1.1.4), BDAT (RFC 3030),
 * BURL (RFC 4468), and the replies behind it (RFC 2033 §4.2).
 */
import type { Command } from "@postern/core"
import * as Pieces from "./Pieces.ts"
import * as Offer from "./ServerOffer.ts"
import * as Parameters from "./ServerParameters.ts"
import * as Policy from "./ServerPolicy.ts"
import type { Verdict } from "./ServerPolicy.ts"
import type { Message, Outcome, State, Step, Transaction } from "./ServerSession.ts"
import { answer, notImplemented, respond, say } from "./ServerSession.ts"

const ok = "2.0.0"
const badSequence = "5.5.1"

const refusal = (problem: string): Verdict => [503, badSequence, problem]

const noRecipients: Verdict = [554, badSequence, "No valid recipients"]

/** Why no content is taken now. */
const judgeContent = ({ settings, transaction }: State): Verdict | undefined => {
  if (transaction === undefined) return refusal("Need MAIL command")
  if (transaction.recipients.length > 0) return undefined
  if (!transaction.refused) return refusal("Need RCPT command")
  // RFC 2033 §4.2 wants 503.
  return settings.lmtp ? refusal("No valid recipients") : noRecipients
}

const judgeData = (state: State): Verdict | undefined => {
  const { settings, transaction } = state
  // RFC 2920 §3.1: a client has to reckon with both.
  const anyway = settings.dataAnyway && !settings.lmtp && transaction?.refused === true
  const refused = anyway ? undefined : judgeContent(state)
  if (refused !== undefined || transaction === undefined) return refused
  if (transaction.chunks !== "none") return refusal("DATA after BDAT or BURL")
  return Parameters.valueOf(transaction.mail, "BODY")?.toUpperCase() === "BINARYMIME"
    ? refusal("BINARYMIME needs BDAT")
    : undefined
}

export const data = (state: State): Outcome => {
  const refused = judgeData(state)
  if (refused !== undefined) return answer(state, ...refused)
  const reading: State = { ...state, mode: { _tag: "Data", place: "line start" } }
  return answer(reading, 354, undefined, "End data with <CR><LF>.<CR><LF>")
}

/** Keeps octets of the content, wherever from; those of a transaction that cannot succeed are dropped. */
export const keep = (state: State, bytes: Uint8Array): State => {
  const { settings, transaction } = state
  if (transaction === undefined || transaction.recipients.length === 0 || transaction.chunks === "failed") return state
  const content = Pieces.append(transaction.content, bytes, settings.maxSize)
  return { ...state, transaction: { ...transaction, content } }
}

/** Keeps octets of a BDAT, where there is such a command. */
export const keepChunk = (state: State, bytes: Uint8Array): State =>
  Offer.offers(state, "CHUNKING") ? keep(state, bytes) : state

/** Answers a BDAT of which all octets have come. */
export const bdat = (state: State, command: Command.Bdat): Step =>
  Offer.offers(state, "CHUNKING")
    ? part(state, command, judgePart(state))
    : respond(state, command, notImplemented(state))

/** Answers a BURL: what there is at its URL becomes the content, or the next part of it. */
export const burl = (state: State, command: Command.Burl): Step => {
  if (!Offer.offers(state, "BURL")) return respond(state, command, notImplemented(state))
  const refused = judgePart(state) ?? judgeUrl(state, command)
  if (refused !== undefined) return part(state, command, refused)
  const bytes = state.settings.urls(command.url)
  if (bytes === undefined) return part(state, command, [554, "5.6.6", "URL resolution failed"])
  const kept = keep(state, bytes)
  return part(kept, command, judgePart(kept))
}

// RFC 4468 §3.3: URLs of IMAP with a URLAUTH, or of a server that is named.
const judgeUrl = (state: State, { last, url }: Command.Burl): Verdict | undefined => {
  const trusts = new Set(Offer.valuesOf(state, "BURL").map((value) => value.toLowerCase()))
  const { identity, settings: { mechanisms } } = state
  if (identity === undefined && mechanisms.length > 0) return [530, "5.7.0", "Authentication required"]
  if (!last && !Offer.offers(state, "CHUNKING")) return refusal("Only a BURL that is the last, without CHUNKING")
  return trusts.has(/^imap:.*;urlauth=/i.test(url) ? "imap" : serverOf(url))
    ? undefined
    : [554, "5.7.8", "URL resolution requires trust relationship"]
}

/** `imap://host` of a URL, as it is named in the reply to EHLO. */
const serverOf = (url: string): string => url.toLowerCase().replace(/^([^:]*:\/\/)(?:[^/?@]*@)?([^/?]*).*$/, "$1$2")

const judgePart = (state: State): Verdict | undefined => {
  const refused = judgeContent(state)
  if (refused !== undefined || state.transaction === undefined) return refused
  if (state.transaction.chunks === "failed") return refusal("Need RSET command")
  return isOversize(state, state.transaction) ? Policy.tooLarge : undefined
}

const isOversize = (state: State, { content }: Transaction): boolean => content.length > state.settings.maxSize

type Part = Command.Bdat | Command.Burl

/** Refuses a part of the content, and so all that follow. */
export const spoil = (state: State, command: Part, refuse: (state: State) => Outcome): Step => {
  const failed = marked(state, "failed")
  return command.last && isSplit(state)
    ? split(
      failed,
      toMessage(state),
      (current, message) => respond(current, { _tag: "Content", message }, refuse(current))
    )
    : respond(failed, command, refuse(failed))
}

const marked = (state: State, chunks: Transaction["chunks"]): State => ({
  ...state,
  transaction: state.transaction && { ...state.transaction, chunks }
})

/** Answers a part of the content. */
const part = (state: State, command: Part, refused: Verdict | undefined): Step => {
  if (refused !== undefined) return spoil(state, command, (failed) => answer(failed, ...refused))
  if (command.last) return content(state, command)
  const told = command._tag === "Bdat" ? `${command.size} octets received` : "Waiting for more BURL or BDAT commands"
  return respond(
    marked(state, "failed"),
    command,
    answer(marked(state, "some"), 250, command._tag === "Bdat" ? ok : "2.5.0", told)
  )
}

/** Answers the end of content: of DATA, or of the part that was the last. The transaction is over either way. */
export const content = (state: State, last?: Part): Step => {
  const { transaction } = state
  const over: State = { ...state, transaction: undefined, mode: { _tag: "Lines" } }
  return isSplit(state)
    ? split(over, toMessage(state), (current, message) => deliver(current, transaction, message, undefined))
    : deliver(over, transaction, toMessage(state), last)
}

/** RFC 2033 §4.2: a reply for each recipient, behind the content. */
const isSplit = ({ settings, transaction }: State): boolean =>
  settings.lmtp && (transaction?.recipients.length ?? 0) > 0

const split = (state: State, whole: Message, one: (state: State, message: Message) => Step): Step => {
  let current = state
  const actions: Array<Step[1][number]> = []
  for (const [index, path] of whole.forwardPaths.entries()) {
    const [next, some] = one(current, {
      ...whole,
      forwardPaths: [path],
      forwardParameters: [whole.forwardParameters[index] ?? []]
    })
    actions.push(...some)
    current = next
    if (next.mode._tag === "Closed") break
  }
  return [current, actions]
}

const deliver = (over: State, transaction: Transaction | undefined, message: Message, last: Part | undefined): Step => {
  const turn = last ?? ({ _tag: "Content", message } as const)
  if (transaction === undefined || message.forwardPaths.length === 0) {
    return respond(over, turn, answer(over, ...noRecipients))
  }
  if (isOversize(over, transaction)) return respond(over, turn, answer(over, ...Policy.tooLarge))
  const octets = message.content.length
  // One reply holds for all recipients: where one has no room nobody gets it.
  for (const path of message.forwardPaths) {
    const refused = Policy.judgeRoom(over, path, octets)
    if (refused !== undefined) return respond(over, turn, answer(over, ...refused))
  }
  const taken = Policy.take(over, message.forwardPaths, octets)
  return respond(over, turn, {
    reply: say(over, 250, ok, `Ok: queued as ${taken.memory.messages}`),
    state: taken,
    delivered: message
  })
}

const toMessage = ({ identity, memory, tls, transaction, xclient }: State): Message => ({
  reversePath: transaction?.mail.reversePath ?? null,
  forwardPaths: transaction?.recipients.map((rcpt) => rcpt.forwardPath) ?? [],
  parameters: transaction?.mail.parameters ?? [],
  forwardParameters: transaction?.recipients.map((rcpt) => rcpt.parameters) ?? [],
  content: transaction === undefined ? new Uint8Array(0) : Pieces.bytesOf(transaction.content),
  tls,
  identity,
  xclient,
  at: memory.now
})
