/**
 * Takes a Program apart, one instruction at a time: pure, with no runtime. Everything
 * that runs Programs, over a connection or by rehearsal, goes through this.
 */
import * as Result from "effect/Result"
import type { Answer, AnyProgram, Instruction, Lost, Program } from "./Program.ts"

/** Where a Program stands: it asks for something, or it has ended. */
export type Standing<A, E> =
  | { readonly _tag: "Asks"; readonly instruction: Instruction }
  | { readonly _tag: "Ended"; readonly result: Result.Result<A, E | Lost> }

/** A Program under way. `resume` with the answer to what it asked for. Used by interpreters. */
export interface Run<A, E> {
  readonly standing: Standing<A, E>
  readonly resume: (answer: Answer) => Standing<A, E>
}

/** Begins a Program: pure, and the same each time for the same answers. */
export const begin = <A, E, R>(program: Program<A, E, R>): Run<A, E> => new Stepper<A, E>(program)

// A frame of the stack: a generator that waits for the value of what it yielded, or a
// place where a failure becomes a value, that of the connection too or not.
type Frame = Iterator<AnyProgram, unknown, unknown> | "settles" | "attempts"

class Stepper<A, E> implements Run<A, E> {
  readonly frames: Array<Frame> = []
  standing: Standing<A, E>
  read: (answer: Answer) => Result.Result<unknown, unknown> = unasked

  constructor(program: AnyProgram) {
    this.standing = this.enter(program)
  }

  resume = (answer: Answer): Standing<A, E> => {
    if (answer._tag === "Replies" && answer.lost !== undefined) {
      this.read = unasked
      return this.standing = this.unwind(answer.lost, true)
    }
    const result = this.read(answer)
    this.read = unasked
    return this.standing = Result.isSuccess(result) ? this.ascend(result.success) : this.unwind(result.failure, false)
  }

  // Goes down into `program` until it asks, ends or fails.
  enter(program: AnyProgram): Standing<A, E> {
    const { op } = program
    switch (op._tag) {
      case "Succeed":
        return this.ascend(op.value)
      case "Fail":
        return this.unwind(op.error, isLost(op.error))
      case "Instruct":
        this.read = op.read
        return { _tag: "Asks", instruction: op.instruction }
      case "Generate":
        this.frames.push(op.body())
        return this.ascend(undefined)
      case "Attempt":
        this.frames.push(op.settles ? "settles" : "attempts")
        return this.enter(op.program)
    }
  }

  // Gives a value to whatever waits for it.
  ascend(given: unknown): Standing<A, E> {
    let value = given
    for (let frame = this.frames.at(-1); frame !== undefined; frame = this.frames.at(-1)) {
      if (typeof frame === "string") {
        this.frames.pop()
        value = Result.succeed(value)
        continue
      }
      const step = frame.next(value)
      if (step.done !== true) {
        const { op } = step.value
        if (op._tag !== "Succeed") return this.enter(step.value)
        value = op.value
        continue
      }
      this.frames.pop()
      value = step.value
    }
    return { _tag: "Ended", result: Result.succeed(value as A) }
  }

  unwind(error: unknown, lost: boolean): Standing<A, E> {
    for (let frame = this.frames.pop(); frame !== undefined; frame = this.frames.pop()) {
      if (frame === "settles" || (frame === "attempts" && !lost)) return this.ascend(Result.fail(error))
    }
    return { _tag: "Ended", result: Result.fail(error as E) }
  }
}

/** True for what a Program fails with when the connection ended under it. */
export const isLost = (error: unknown): error is Lost =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Lost" && "written" in error

const unasked = (): never => {
  throw new Error("an answer came though nothing was asked for")
}
