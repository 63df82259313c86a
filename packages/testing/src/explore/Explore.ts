/**
 * Explores a Program: every path that a menu of answers leads to, by rehearsal alone.
 * No server, no runtime, no clock; the same paths in the same order each time.
 */
import { CommandLine, Expect, Program, Reason, Reply, type Said, type Transport } from "@postern/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

/** The answers to try at an instruction, given what was said before. */
export type Menu = (
  instruction: Program.Instruction,
  said: ReadonlyArray<Program.Rehearsed>
) => ReadonlyArray<Program.Answer>

/** What an exploration found. */
export interface Exploration<A, E> {
  /** Every path that ended. */
  readonly ended: ReadonlyArray<Ended<A, E>>
  /** Paths given up because they were longer than `mostSteps`: a dialogue that may not end. */
  readonly unended: ReadonlyArray<ReadonlyArray<Program.Rehearsed>>
  /** True when there were more paths than `mostPaths`. */
  readonly truncated: boolean
}

/** One path from beginning to end. */
export interface Ended<A, E> {
  readonly said: ReadonlyArray<Program.Rehearsed>
  readonly end: Result.Result<A, E | Program.Lost>
}

/** Bounds of an exploration. */
export interface Bounds {
  /** Instructions in one path; 64 by default. */
  readonly mostSteps?: number | undefined
  /** Paths in all; 100,000 by default. */
  readonly mostPaths?: number | undefined
}

/**
 * Follows every path. A Program is a value, so each path is stepped anew from its
 * beginning.
 *
 * @example
 * ```ts
 * import { Command, Program } from "@postern/core"
 * import { Explore } from "@postern/testing"
 *
 * const { ended } = Explore.paths(Program.send(Command.noop), Explore.everyClass())
 * console.log(ended.map(({ end }) => end._tag)) // ["Success", "Failure", "Failure", "Failure", "Failure"]
 * ```
 */
export const paths = <A, E, R>(
  program: Program.Program<A, E, R>,
  menu: Menu,
  bounds: Bounds = {}
): Exploration<A, E> => {
  const { mostPaths = 100_000, mostSteps = 64 } = bounds
  const ended: Array<Ended<A, E>> = []
  const unended: Array<ReadonlyArray<Program.Rehearsed>> = []
  const open: Array<ReadonlyArray<Program.Answer>> = [[]]
  for (let answers = open.pop(); answers !== undefined; answers = open.pop()) {
    if (ended.length + unended.length === mostPaths) return { ended, unended, truncated: true }
    const { end, pending, said } = Program.rehearse(program, answers)
    if (end !== undefined) {
      ended.push({ said, end })
    } else if (answers.length === mostSteps) {
      unended.push(said)
    } else if (pending !== undefined) {
      const taken = answers
      // Reversed, so that the menu's first answer is followed first.
      open.push(...menu(pending, said).map((answer) => taken.concat(answer)).toReversed())
    }
  }
  return { ended, unended, truncated: false }
}

/** What a menu may be told. */
export interface Options {
  /** Answers to EHLO and LHLO that mean yes; one that offers everything by default. */
  readonly capabilities?: ReadonlyArray<ReadonlyArray<string>> | undefined
  /** What a handshake agrees on. */
  readonly tls?: Transport.TlsFacts | undefined
  /** Challenges of a server within AUTH, as they stand behind `334 `. */
  readonly challenges?: ReadonlyArray<string> | undefined
}

/** Facts of a handshake that verified the server. */
export const tlsFacts: Transport.TlsFacts = {
  version: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  serverName: "mx.example",
  verifiedBy: "chain",
  certificate: undefined
}

const everything: ReadonlyArray<string> = [
  "mx.example",
  "PIPELINING",
  "SIZE 10240000",
  "STARTTLS",
  "AUTH PLAIN LOGIN CRAM-MD5",
  "8BITMIME",
  "SMTPUTF8"
]

/**
 * At every step a reply of every class: each code that means yes there, one that is
 * refused for now, one refused for good, 421, and one that does not belong there.
 * AUTH, where each code means something else, gets all of its refusals. Commands that
 * were sent together get every combination. Effects are performed.
 */
export const everyClass = (options: Options = {}): Menu =>
  menu((step) => [
    ...positive(step, options),
    ...step === "Auth" || step === "AuthResponse"
      ? refusals(step)
      : [Reply.make(451, "not now", "4.3.0"), Reply.make(550, "no", "5.7.1")],
    ...unwelcome(step)
  ], options)

/** As {@link everyClass}, with every code that `Expect.table` lists for the step. */
export const everyCode = (options: Options = {}): Menu =>
  menu((step) => [
    ...positive(step, options),
    ...refusals(step),
    Reply.make(459, "not now"),
    Reply.make(599, "no"),
    ...unwelcome(step)
  ], options)

const menu =
  (repliesTo: (step: Expect.Step) => ReadonlyArray<Reply.Reply>, options: Options): Menu => (instruction) => {
    switch (instruction._tag) {
      case "Exchange":
        return combinations(instruction.hear, repliesTo)
      case "UpgradeTls":
        return [Program.tls(options.tls ?? tlsFacts)]
      case "Perform":
        return [{ _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }]
    }
  }

const refusals = (step: Expect.Step): ReadonlyArray<Reply.Reply> =>
  Object.keys(Expect.table[step].no).filter((code) => code !== "421").map((code) => Reply.make(Number(code), "no"))

// 421 may come at any step; 354 answers DATA alone and is out of place anywhere else.
const unwelcome = (step: Expect.Step): ReadonlyArray<Reply.Reply> => [
  Reply.make(421, "closing", "4.3.2"),
  Reply.make(step === "Data" ? 250 : 354, "out of place")
]

const positive = (step: Expect.Step, options: Options): ReadonlyArray<Reply.Reply> =>
  Object.keys(Expect.table[step].yes).map(Number).flatMap((code) => {
    if (step === "Ehlo" || step === "Lhlo") {
      return (options.capabilities ?? [everything]).map((lines) => Reply.make(code, lines))
    }
    if (code === 334) {
      return (options.challenges ?? ["", "VXNlcm5hbWU6", "PDEyMzRAbXguZXhhbXBsZT4="]).map((text) =>
        Reply.make(334, text)
      )
    }
    return [Reply.make(code, "yes")]
  })

// Every reply to each step, in every combination; after a 421 nothing more comes.
const combinations = (
  steps: ReadonlyArray<Expect.Step>,
  repliesTo: (step: Expect.Step) => ReadonlyArray<Reply.Reply>
): ReadonlyArray<Program.Answer> => {
  const closed: Array<Program.Answer> = []
  const open = steps.reduce<ReadonlyArray<ReadonlyArray<Reply.Reply>>>(
    (all, step) =>
      all.flatMap((heard) =>
        repliesTo(step).flatMap((reply) => {
          if (reply.code !== 421) return [[...heard, reply]]
          closed.push(Program.lost(Reason.make("ServiceClosing", { step, reply }), heard))
          return []
        })
      ),
    [[]]
  )
  return [...open.map((all) => Program.replies(...all)), ...closed]
}

// ---------------------------------------------------------------------------
// Laws
// ---------------------------------------------------------------------------

/** What must hold of each path: tells what is wrong, if anything is, or throws as assertions do. */
export type Law<A, E> = (path: Ended<A, E>) => string | undefined | void

/** Dialogues broke a law. The message shows the shortest of them. */
export class LawBroken extends Data.TaggedError("LawBroken")<{
  readonly problem: string
  /** What was said, as {@link render} writes it. */
  readonly dialogue: string
  /** Paths in all, and how many of them broke it. */
  readonly paths: number
  readonly broken: number
}> {
  override get message() {
    const { broken, dialogue, paths, problem } = this
    if (broken === 0) return `${problem} (${paths})`
    return `${problem}\n${dialogue}\n(${broken === 1 ? "1" : `the shortest of ${broken}`} of ${paths} dialogues)`
  }
}

/**
 * Goes through every path and holds each to a law; gives how many there were. Fails with the
 * shortest dialogue that breaks the law, does not end within the bounds, or with there being more
 * dialogues than the bounds allow.
 *
 * @example
 * ```ts
 * import { Command, Program } from "@postern/core"
 * import { Explore } from "@postern/testing"
 *
 * const probe = Program.exchange(Command.rset, Command.noop)
 * const checked = Explore.check(probe, Explore.everyClass(), ({ said }) =>
 *   Explore.linesSent(said).length === 2 ? undefined : "it is not two commands"
 * )
 * console.log(checked._tag) // "Success"
 * ```
 */
export const check = <A, E, R>(
  program: Program.Program<A, E, R>,
  menu: Menu,
  law: Law<A, E>,
  bounds: Bounds = {}
): Result.Result<number, LawBroken> => {
  const { ended, truncated, unended } = paths(program, menu, bounds)
  const found = [
    ...unended.map((said) => ({ said, problem: "a dialogue does not end" })),
    ...ended.flatMap((path) => {
      const problem = attempt(() => law(path))
      return problem === undefined ? [] : [{ said: path.said, problem }]
    })
  ].toSorted((a, b) => a.said.length - b.said.length)
  const [shortest] = found
  const count = ended.length + unended.length
  if (shortest !== undefined) {
    const { problem, said } = shortest
    return Result.fail(new LawBroken({ problem, dialogue: render(said), paths: count, broken: found.length }))
  }
  return truncated
    ? Result.fail(
      new LawBroken({
        problem: "there are more dialogues than were gone through",
        dialogue: "",
        paths: count,
        broken: 0
      })
    )
    : Result.succeed(count)
}

/**
 * As {@link check}, for the assertions of any test runner: throws what breaks the law.
 *
 * @example
 * ```ts
 * import { Command, Program } from "@postern/core"
 * import { Explore } from "@postern/testing"
 *
 * const count = Explore.assert(Program.send(Command.noop), Explore.everyClass(), ({ said }) => {
 *   if (said.length > 1) throw new Error("one question, one answer")
 * })
 * console.log(count) // 5
 * ```
 */
export const assert = <A, E, R>(
  program: Program.Program<A, E, R>,
  menu: Menu,
  law: Law<A, E>,
  bounds: Bounds = {}
): number => Result.getOrThrow(check(program, menu, law, bounds))

const attempt = (law: () => string | undefined | void): string | undefined => {
  try {
    return law() ?? undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** A dialogue as text: `C:` before what the client said, `S:` before what the server did. */
export const render = (said: ReadonlyArray<Program.Rehearsed>): string =>
  said.flatMap(({ answer, instruction }) => [
    ...asked(instruction).map((line) => `  ${line}`),
    ...answer._tag === "Replies" ? answer.replies.map((reply) => `  S: ${Reply.render(reply)}`) : []
  ]).join("\n")

const asked = (instruction: Program.Instruction): ReadonlyArray<string> => {
  switch (instruction._tag) {
    case "Exchange":
      return instruction.say.map((said) => `C: ${line(said)}`)
    case "UpgradeTls":
      return ["-- TLS"]
    case "Perform":
      return ["-- (an effect)"]
  }
}

const line = (said: Said.Said): string => {
  switch (said._tag) {
    case "Content":
      return `(content, ${Array.from(said.blocks).reduce((octets, block) => octets + block.length, 0)} octets)`
    case "Chunk":
      return `BDAT ${said.octets.length}${said.last ? " LAST" : ""}`
    default:
      return CommandLine.render(said)
  }
}

/** The lines a client sent on a path, as people read them, in order; content is not among them. */
export const linesSent = (said: ReadonlyArray<Program.Rehearsed>): ReadonlyArray<string> =>
  said.flatMap(({ instruction }) =>
    instruction._tag === "Exchange" ? instruction.say.filter(({ _tag }) => _tag !== "Content").map(line) : []
  )
