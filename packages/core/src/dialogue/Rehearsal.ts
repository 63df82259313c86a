/**
 * Programs against answers that are given, without a connection: the quick way to test a
 * dialogue, and the base of every exploration of its paths.
 */
import type * as Result from "effect/Result"
import type { Reason } from "../outcome/Reason.ts"
import type { TlsFacts } from "../run/Transport.ts"
import type { Reply } from "../wire/Reply.ts"
import type { Answer, Instruction, Lost, Program } from "./Program.ts"
import { begin } from "./Stepper.ts"

/** One step of a rehearsal: what was asked for, and what answered it. */
export interface Rehearsed {
  readonly instruction: Instruction
  readonly answer: Answer
}

/** What became of a rehearsal: `end` is undefined when the answers ran out before the Program ended. */
export interface Rehearsal<A, E> {
  readonly end: Result.Result<A, E | Lost> | undefined
  readonly said: ReadonlyArray<Rehearsed>
  /** What the Program asked for when the answers ran out. */
  readonly pending: Instruction | undefined
}

/**
 * Runs a Program against answers, with no runtime and no connection. Answers are given
 * as a list or as a function of the instruction; when there is none (`undefined`) the
 * rehearsal stops there. In a list, replies may stand together or apart. What is said without waiting for a reply needs no answer.
 *
 * @example
 * ```ts
 * import { Command, Program, Reply } from "@postern/core"
 *
 * const rehearsal = Program.rehearse(Program.send(Command.noop), [Program.replies(Reply.make(250, "OK"))])
 * console.log(rehearsal.end) // Success(250 OK)
 * console.log(rehearsal.said.length) // 1
 * ```
 */
export const rehearse = <A, E, R>(
  program: Program<A, E, R>,
  answers: ReadonlyArray<Answer> | ((instruction: Instruction, said: ReadonlyArray<Rehearsed>) => Answer | undefined)
): Rehearsal<A, E> => {
  const said: Array<Rehearsed> = []
  const next = typeof answers === "function" ? answers : inOrder(answers)
  const run = begin(program)
  let { standing } = run
  while (standing._tag === "Asks") {
    const { instruction } = standing
    const answer = instruction._tag === "Exchange" && instruction.hear.length === 0
      ? replies()
      : next(instruction, said)
    if (answer === undefined) return { end: undefined, said, pending: instruction }
    said.push({ instruction, answer })
    standing = run.resume(answer)
  }
  return { end: standing.result, said, pending: undefined }
}

// Replies may be given together that are asked for apart, and the other way round.
const inOrder = (answers: ReadonlyArray<Answer>) => {
  const rest = [...answers]
  return (instruction: Instruction): Answer | undefined => {
    const answer = rest.shift()
    if (instruction._tag !== "Exchange" || answer?._tag !== "Replies" || answer.lost !== undefined) return answer
    const heard = [...answer.replies]
    const { length } = instruction.hear
    for (let more = rest[0]; heard.length < length && more?._tag === "Replies"; more = rest[0]) {
      rest.shift()
      heard.push(...more.replies)
      if (more.lost !== undefined) return lost(more.lost.reason, heard, more.lost.written)
    }
    if (heard.length > length) rest.unshift(replies(...heard.splice(length)))
    return heard.length < length ? undefined : replies(...heard)
  }
}

/** The answer to `Exchange`: a reply for each step that is to be heard. */
export const replies = (...all: ReadonlyArray<Reply>): Answer => ({ _tag: "Replies", replies: all, lost: undefined })
/** The answer to `Exchange` where the connection ended, after some replies. Of the rest so many were written. */
export const lost = (reason: Reason, heard: ReadonlyArray<Reply> = [], written = 0): Answer => ({
  _tag: "Replies",
  replies: heard,
  lost: { _tag: "Lost", reason, heard, written }
})
/** The answer to `UpgradeTls`. */
export const tls = (facts: TlsFacts): Answer => ({ _tag: "Tls", facts })
/** The answer to `Perform`: the value the Effect would give. */
export const performed = <A, E = never>(result: Result.Result<A, E>): Answer => ({ _tag: "Value", value: result })
