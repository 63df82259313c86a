/**
 * The simulated server's mail transactions: MAIL, RCPT, DATA, BDAT and what follows the
 * content (RFC 5321 §3.3, RFC 3030, RFC 2033).
 */
import type { Command } from "@postern/core"
import * as Pieces from "./Pieces.ts"
import { parameterOf } from "./ServerConfig.ts"
import * as Policy from "./ServerPolicy.ts"
import type { Verdict } from "./ServerPolicy.ts"
import type { Message, Outcome, State, Step, Transaction } from "./ServerSession.ts"
import { answer, offers, respond, say } from "./ServerSession.ts"

const ok = "2.0.0"
const badSequence = "5.5.1"

/** What is wrong with the parameters: one that the server does not know, or a value. */
const judgeParameters = (state: State, command: Command.Mail | Command.Rcpt): Verdict | undefined => {
  const known = parameterOf[command._tag]
  const seen = new Set<string>()
  for (const { keyword, value } of command.parameters) {
    const extensions = Object.hasOwn(known, keyword) ? known[keyword] : undefined
    if (extensions?.some((extension) => offers(state, extension)) !== true) {
      return [555, "5.5.4", `Unsupported option: ${keyword}`]
    }
    if (seen.has(keyword)) return [501, "5.5.4", `Duplicate option: ${keyword}`]
    if (keyword === "SIZE" && !/^\d{1,20}$/.test(value ?? "")) return [501, "5.5.4", "Bad message size"]
    seen.add(keyword)
  }
  return undefined
}

const valueOf = (command: Command.Mail, keyword: string): string | undefined =>
  command.parameters.find((parameter) => parameter.keyword === keyword)?.value

export const mail = (state: State, command: Command.Mail): Outcome => {
  if (state.transaction !== undefined) return answer(state, 503, badSequence, "Nested MAIL command")
  const refused = judgeParameters(state, command) ?? Policy.judgeSender(state, command)
  if (refused !== undefined) return answer(state, ...refused)
  const transaction: Transaction = {
    mail: command,
    recipients: [],
    refused: false,
    content: Pieces.empty,
    chunks: "none"
  }
  return answer({ ...state, transaction }, 250, "2.1.0", "Ok")
}

export const rcpt = (state: State, command: Command.Rcpt): Outcome => {
  const { transaction } = state
  if (transaction === undefined) return answer(state, 503, badSequence, "Need MAIL command")
  if (transaction.chunks !== "none") return answer(state, 503, badSequence, "RCPT after BDAT")
  const refused = judgeParameters(state, command)
  const [reply, memory] = refused === undefined
    ? Policy.judgeRecipient(state, transaction, command)
    : [say(state, ...refused), state.memory]
  const after = reply.code < 300
    ? { ...transaction, recipients: [...transaction.recipients, command] }
    : { ...transaction, refused: true }
  return { reply, state: { ...state, memory, transaction: after } }
}

/** Why no content is taken now. */
const judgeContent = ({ transaction }: State): Verdict | undefined => {
  if (transaction === undefined) return [503, badSequence, "Need MAIL command"]
  if (transaction.recipients.length > 0) return undefined
  return transaction.refused ? noRecipients : [503, badSequence, "Need RCPT command"]
}

const noRecipients: Verdict = [554, badSequence, "No valid recipients"]

const judgeData = (state: State): Verdict | undefined => {
  const refused = judgeContent(state)
  if (refused !== undefined || state.transaction === undefined) return refused
  if (state.transaction.chunks !== "none") return [503, badSequence, "DATA after BDAT"]
  return valueOf(state.transaction.mail, "BODY")?.toUpperCase() === "BINARYMIME"
    ? [503, badSequence, "BINARYMIME needs BDAT"]
    : undefined
}

export const data = (state: State): Outcome => {
  const refused = judgeData(state)
  if (refused !== undefined) return answer(state, ...refused)
  const reading: State = { ...state, mode: { _tag: "Data", place: "line start" } }
  return answer(reading, 354, undefined, "End data with <CR><LF>.<CR><LF>")
}

/** Keeps content octets, whether of DATA or of BDAT; those of a transaction that cannot succeed are dropped. */
export const keep = (state: State, bytes: Uint8Array): State => {
  const { settings, transaction } = state
  if (transaction === undefined || transaction.recipients.length === 0 || transaction.chunks === "failed") return state
  const content = Pieces.append(transaction.content, bytes, settings.maxSize)
  return { ...state, transaction: { ...transaction, content } }
}

/** Answers a BDAT of which all octets have come. */
export const chunk = (state: State, command: Command.Bdat): Step => {
  const { transaction } = state
  const failed: State = { ...state, transaction: transaction && { ...transaction, chunks: "failed" } }
  const refused = judgeChunk(state)
  if (refused !== undefined) return respond(failed, command, answer(failed, ...refused))
  if (command.last) return content(state, command)
  const taken: State = { ...state, transaction: transaction && { ...transaction, chunks: "some" } }
  return respond(failed, command, answer(taken, 250, ok, `${command.size} octets received`))
}

const judgeChunk = (state: State): Verdict | undefined => {
  if (!offers(state, "CHUNKING")) return [502, badSequence, "BDAT not implemented"]
  const refused = judgeContent(state)
  if (refused !== undefined || state.transaction === undefined) return refused
  if (state.transaction.chunks === "failed") return [503, badSequence, "Need RSET command"]
  return isOversize(state, state.transaction) ? Policy.tooLarge : undefined
}

const isOversize = (state: State, { content }: Transaction): boolean => content.length > state.settings.maxSize

/** Answers the end of content: of DATA, or of the BDAT that was the last. The transaction is over either way. */
export const content = (state: State, last?: Command.Bdat): Step => {
  const { transaction } = state
  const over: State = { ...state, transaction: undefined, mode: { _tag: "Lines" } }
  const whole = toMessage(state)
  if (!state.settings.lmtp || whole.forwardPaths.length === 0) return deliver(over, transaction, whole, last)
  // RFC 2033 §4.2: a reply for each recipient, behind the content.
  let current = over
  const actions: Array<Step[1][number]> = []
  for (const [index, path] of whole.forwardPaths.entries()) {
    const message: Message = {
      ...whole,
      forwardPaths: [path],
      forwardParameters: [whole.forwardParameters[index] ?? []]
    }
    const [next, some] = deliver(current, transaction, message, undefined)
    actions.push(...some)
    current = next
    if (next.mode._tag === "Closed") break
  }
  return [current, actions]
}

const deliver = (
  over: State,
  transaction: Transaction | undefined,
  message: Message,
  last: Command.Bdat | undefined
): Step => {
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

const toMessage = ({ identity, memory, tls, transaction }: State): Message => ({
  reversePath: transaction?.mail.reversePath ?? null,
  forwardPaths: transaction?.recipients.map((rcpt) => rcpt.forwardPath) ?? [],
  parameters: transaction?.mail.parameters ?? [],
  forwardParameters: transaction?.recipients.map((rcpt) => rcpt.parameters) ?? [],
  content: transaction === undefined ? new Uint8Array(0) : Pieces.bytesOf(transaction.content),
  tls,
  identity,
  at: memory.now
})
