/**
 * A `Program` is an SMTP dialogue as a value: what is said, and how the answers are
 * read. It can be stepped with no runtime ({@link rehearse}), and it is an Effect that
 * speaks over the {@link Connection} it is given.
 *
 * Inside a Program only Programs can be yielded. They come down to three instructions,
 * so everything a dialogue may do is known: say something and hear replies, start TLS,
 * and perform an Effect (the one door, for SASL and for content that is made on the way).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Result from "effect/Result"
import * as Utils from "effect/Utils"
import type { Reason } from "../outcome/Reason.ts"
import type { SmtpError } from "../outcome/SmtpError.ts"
import type { TlsFacts, TlsOptions } from "../run/Transport.ts"
import type * as Command from "../wire/Command.ts"
import * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import type * as Said from "../wire/Said.ts"

export { lost, performed, type Rehearsal, rehearse, type Rehearsed, replies, tls } from "./Rehearsal.ts"
export { begin, isLost, type Run, type Standing } from "./Stepper.ts"

/** One or more commands that are written before any of their replies is read. */
export type Commands = readonly [Said.Line, ...Array<Said.Line>]

/** What a dialogue can ask for. */
export type Instruction =
  /**
   * Says all of `say` and hears the replies to these steps, in the order in which they
   * were said. Replies may be left for later: what is said together goes out together,
   * as far as the server's extensions allow (PIPELINING, RFC 2920).
   */
  | {
    readonly _tag: "Exchange"
    readonly say: ReadonlyArray<Said.Said>
    readonly hear: ReadonlyArray<Expect.Step>
  }
  /** Answered by what the handshake agreed on. */
  | { readonly _tag: "UpgradeTls"; readonly options: TlsOptions }
  /** Answered by the value of the Effect, which must not fail. */
  | { readonly _tag: "Perform"; readonly effect: Effect.Effect<unknown, never, unknown> }

/**
 * The connection ended before all replies came. It passes through {@link result}, and
 * ends the Program unless {@link settled} catches it.
 */
export interface Lost {
  readonly _tag: "Lost"
  readonly reason: Reason
  /** The replies that came before. */
  readonly heard: ReadonlyArray<Reply>
  /**
   * Of the steps without a reply those, from the first on, whose command or content was
   * written as a whole: the server may have obeyed.
   */
  readonly written: number
}

/** What answers an instruction. */
export type Answer =
  | { readonly _tag: "Replies"; readonly replies: ReadonlyArray<Reply>; readonly lost: Lost | undefined }
  | { readonly _tag: "Tls"; readonly facts: TlsFacts }
  | { readonly _tag: "Value"; readonly value: unknown }

/**
 * The error a Program has as an Effect: what only explains (a refusal, a reason) comes
 * as an {@link SmtpError}, everything else as it is.
 */
export type Failure<E> = Exclude<E, Expect.Refused | Reason | Lost> | SmtpError

/** Runs Programs over one connection. `run/Connection` makes it. */
export class Connection extends Context.Service<Connection, {
  readonly run: <A, E, R>(program: Program<A, E, R>) => Effect.Effect<A, Failure<E>, R>
}>()("@postern/core/Connection") {}

/** What a Program is made of: its interpreter, {@link begin}, takes it apart. */
export type Op =
  | { readonly _tag: "Succeed"; readonly value: unknown }
  | { readonly _tag: "Fail"; readonly error: unknown }
  | {
    readonly _tag: "Instruct"
    readonly instruction: Instruction
    readonly read: (answer: Answer) => Result.Result<unknown, unknown>
  }
  | { readonly _tag: "Generate"; readonly body: () => Iterator<Program<unknown, unknown, unknown>, unknown, unknown> }
  | {
    readonly _tag: "Attempt"
    readonly program: Program<unknown, unknown, unknown>
    /** The end of the connection becomes a value, too. */
    readonly settles: boolean
  }

declare const Variance: unique symbol

/** A dialogue that ends in an `A`, or fails with an `E`, and needs `R` for what it performs. */
export class Program<out A, out E = never, out R = never> extends Effectable.Class<A, Failure<E>, R | Connection> {
  declare readonly [Variance]: { readonly failure: E; readonly services: R }
  readonly op: Op

  constructor(op: Op) {
    super()
    this.op = op
  }

  override asEffect(): Effect.Effect<A, Failure<E>, R | Connection> {
    return Effect.flatMap(Connection, (connection) => connection.run(this))
  }

  override [Symbol.iterator](): ProgramIterator<Program<A, E, R>, A> {
    return new Utils.SingleShotGen<Program<A, E, R>, A>(this)
  }
}

/** What `yield*` on a Program gives inside {@link gen}. */
export interface ProgramIterator<out P, out A> {
  next(...args: ReadonlyArray<unknown>): IteratorResult<P, A>
}

type Failures<P> = P extends Program<infer _A, infer E, infer _R> ? E : never
type Services<P> = P extends Program<infer _A, infer _E, infer R> ? R : never
/** Any Program. */
export type AnyProgram = Program<unknown, unknown, unknown>

/** Ends with a value. */
export const succeed = <A>(value: A): Program<A> => new Program({ _tag: "Succeed", value })

/** Fails. Plain data is enough: the error is dressed where the Program runs as an Effect. */
export const fail = <E>(error: E): Program<never, E> => new Program({ _tag: "Fail", error })

/** Ends or fails as the result says. */
export const fromResult = <A, E>(result: Result.Result<A, E>): Program<A, E> =>
  new Program(
    Result.isSuccess(result) ? { _tag: "Succeed", value: result.success } : { _tag: "Fail", error: result.failure }
  )

/**
 * A Program written as a generator that yields Programs. Generators made anew for each
 * call are slow: make functions with {@link fn}.
 *
 * @example
 * ```ts
 * import { Command, Program } from "@postern/core"
 *
 * // Result type: Program<string, Expect.Refused>
 * const noopTwice = Program.gen(function*() {
 *   yield* Program.send(Command.noop)
 *   const reply = yield* Program.send(Command.noop)
 *   return reply.lines[0]
 * })
 * ```
 */
export const gen = <P extends AnyProgram, A>(
  body: () => Generator<P, A, never>
): Program<A, Failures<P>, Services<P>> => new Program({ _tag: "Generate", body: body as () => Iterator<AnyProgram> })

/** A function that gives a Program, written as a generator function. */
export const fn = <Args extends ReadonlyArray<unknown>, P extends AnyProgram, A>(
  body: (...args: Args) => Generator<P, A, never>
): (...args: Args) => Program<A, Failures<P>, Services<P>> =>
(...args) => new Program({ _tag: "Generate", body: () => body(...args) as Iterator<AnyProgram> })

/** The Program that ends with what became of `program`; it does not fail. */
export const result = <A, E, R>(program: Program<A, E, R>): Program<Result.Result<A, E>, never, R> =>
  new Program({ _tag: "Attempt", program, settles: false })

/**
 * As {@link result}; the end of the connection is a value, too. Whatever is said after
 * that is lost.
 */
export const settled = <A, E, R>(program: Program<A, E, R>): Program<Result.Result<A, E | Lost>, never, R> =>
  new Program({ _tag: "Attempt", program, settles: true })

const instruct = <A, E, R>(
  instruction: Instruction,
  read: (answer: Answer) => Result.Result<A, E>
): Program<A, E, R> => new Program({ _tag: "Instruct", instruction, read })

const onlyReply = (answer: Answer): Reply => {
  const [reply] = answer._tag === "Replies" ? answer.replies : []
  if (reply === undefined) throw new Error(`an instruction that waits for a reply was answered by ${answer._tag}`)
  return reply
}

/**
 * Says something and hears the replies to these steps: the most general of the words.
 * What was said and is not heard has to be heard later, in order.
 */
export const converse = (
  say: ReadonlyArray<Said.Said>,
  hear: ReadonlyArray<Expect.Step>
): Program<ReadonlyArray<Reply>> =>
  instruct({ _tag: "Exchange", say, hear }, (answer) => {
    const replies = answer._tag === "Replies" ? answer.replies : []
    if (replies.length !== hear.length) {
      throw new Error(`${hear.length} steps were answered by ${replies.length} replies`)
    }
    return Result.succeed(replies)
  })

/** Waits for the server's greeting (RFC 5321 §3.1). Fails with the refusal. */
export const greeting: Program<Reply, Expect.Refused> = instruct(
  { _tag: "Exchange", say: [], hear: ["Greeting"] },
  (answer) => {
    const reply = onlyReply(answer)
    return Expect.isYes("Greeting", reply) ? Result.succeed(reply) : Result.fail(Expect.refused("Greeting", reply))
  }
)

/** Sends a command and reads its reply as the command's type promises. Fails with the refusal. */
export const send = <C extends Said.Line>(command: C): Program<Command.Answer<C>, Expect.Refused> =>
  instruct(
    { _tag: "Exchange", say: [command], hear: [command._tag] },
    (answer) => Expect.read(command, onlyReply(answer))
  )

/** What {@link exchange} gives: for each command its answer or its refusal. */
export type Answers<Cs extends ReadonlyArray<Command.Command>> = {
  readonly [I in keyof Cs]: Result.Result<Command.Answer<Cs[I]>, Expect.Refused>
}

/**
 * Sends several commands, all written before any reply is read where the server has
 * PIPELINING (RFC 2920), one after another where it has not. Refusals are values.
 *
 * @example
 * ```ts
 * import { Command, Program } from "@postern/core"
 *
 * const probe = Program.gen(function*() {
 *   const [reset, noop] = yield* Program.exchange(Command.rset, Command.noop)
 *   return [reset._tag, noop._tag]
 * })
 * ```
 */
export const exchange = <const Cs extends Commands>(...commands: Cs): Program<Answers<Cs>> =>
  instruct({ _tag: "Exchange", say: commands, hear: commands.map(({ _tag }) => _tag) }, (answer) => {
    const replies = answer._tag === "Replies" ? answer.replies : []
    const results = commands.map((command, i) => {
      const reply = replies[i]
      if (reply === undefined) throw new Error(`${commands.length} commands were answered by ${replies.length} replies`)
      return Expect.read(command, reply)
    })
    return Result.succeed(results as unknown as Answers<Cs>)
  })

/** Speaks TLS from here on (RFC 3207). A failed handshake ends the connection and the Program. */
export const upgradeTls = (options: TlsOptions): Program<TlsFacts> =>
  instruct({ _tag: "UpgradeTls", options }, (answer) => {
    if (answer._tag !== "Tls") throw new Error(`a TLS upgrade was answered by ${answer._tag}`)
    return Result.succeed(answer.facts)
  })

/**
 * Performs an Effect: what SASL needs (a token to fetch, a key to derive). Its failure is
 * the Program's. It must not talk over the same connection: that one waits for the Program.
 */
export const perform = <A, E, R>(effect: Effect.Effect<A, E, R>): Program<A, E, R> =>
  instruct({ _tag: "Perform", effect: Effect.result(effect) as Effect.Effect<unknown, never, unknown> }, (answer) => {
    if (answer._tag !== "Value" || !Result.isResult(answer.value)) {
      throw new Error("an Effect to perform was answered by something else than its Result")
    }
    return answer.value as Result.Result<A, E>
  })
