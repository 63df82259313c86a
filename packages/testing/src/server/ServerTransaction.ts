/**
 * The simulated server's mail transactions: MAIL and RCPT (RFC 5321 §3.3). What follows is in
 * ServerContent.
 */
import type { Command } from "@postern/core"
import * as Pieces from "./Pieces.ts"
import * as Limits from "./ServerLimits.ts"
import * as Parameters from "./ServerParameters.ts"
import * as Policy from "./ServerPolicy.ts"
import type { Outcome, State, Transaction } from "./ServerSession.ts"
import { answer, outOfOrder, say } from "./ServerSession.ts"

export const mail = (state: State, command: Command.Mail): Outcome => {
  const limited = Limits.judgeMail(state)
  if (limited !== undefined) return answer(state, ...limited)
  if (state.transaction !== undefined) return outOfOrder(state, "Nested MAIL command")
  const refused = Parameters.judge(state, command, command) ?? Policy.judgeSender(state, command)
  if (refused !== undefined) return answer(state, ...refused)
  const transaction: Transaction = {
    mail: command,
    recipients: [],
    rcpts: 0,
    refused: false,
    content: Pieces.empty,
    chunks: "none"
  }
  return answer({ ...state, transaction }, 250, "2.1.0", "Ok")
}

export const rcpt = (state: State, command: Command.Rcpt): Outcome => {
  const { transaction } = state
  if (transaction === undefined) return outOfOrder(state, "Need MAIL command")
  if (transaction.chunks !== "none") return outOfOrder(state, "RCPT after BDAT or BURL")
  const refused = Parameters.judge(state, command, transaction.mail) ?? Limits.judgeRcpt(state, command)
  const [reply, memory] = refused === undefined
    ? Policy.judgeRecipient(state, transaction, command)
    : [say(state, ...refused), state.memory]
  const after = reply.code < 300
    ? { ...transaction, recipients: [...transaction.recipients, command] }
    : { ...transaction, refused: true }
  return { reply, state: { ...state, memory, transaction: after } }
}
