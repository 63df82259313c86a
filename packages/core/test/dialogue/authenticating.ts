/**
 * What the tests of AUTH share: a session that may authenticate, a server as a list
 * of lines, and mechanisms of their own.
 */
import { assert } from "@effect/vitest"
import {
  Authenticate,
  Capabilities,
  Choose,
  type Command,
  CommandLine,
  type Expect,
  Mechanism,
  Plain,
  Program,
  type Reason,
  Reply,
  Said,
  Session
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"

export const everyMechanism = "AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL SCRAM-SHA-256 ABCD ABCDE ONE TWO THREE FOUR"

export const ready = (...extensions: ReadonlyArray<string>): Session.Session<"ready"> =>
  new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...extensions])),
    tls: Explore.tlsFacts,
    authenticated: undefined
  })

export const password = "tanstaaf"
export const tim = Mechanism.password("tim", Redacted.make(password))

/** `"334 "` and `"535-one\n535 two"` as replies. */
export const reply = (text: string): Reply.Reply => {
  const lines = text.split("\n")
  return Reply.make(Number(text.slice(0, 3)), lines.map((line) => line.slice(4)))
}

const wire = (command: Command.Command): string => new TextDecoder().decode(CommandLine.encode(command))

/** Plays a Program against lines of a server; gives every octet written, line by line. */
export const play = <A, E>(program: Program.Program<A, E>, server: ReadonlyArray<string>) => {
  const answers = server.map((line) => Program.replies(reply(line)))
  const { end, pending, said } = Program.rehearse(program, (instruction) =>
    instruction._tag === "Perform"
      ? { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
      : answers.shift())
  const instructions = [...said.map(({ instruction }) => instruction), ...pending === undefined ? [] : [pending]]
  const lines = instructions.flatMap((asked) =>
    asked._tag === "Exchange" ? asked.say.filter(Said.isLine).map(wire) : []
  )
  return { end, lines, unread: answers.length }
}

export const run = (
  mechanism: Mechanism.Mechanism | Choose.Authenticator,
  server: ReadonlyArray<string>,
  credentials: Mechanism.Credentials = tim
) =>
  play(
    Authenticate.authenticate(
      ready(everyMechanism),
      credentials,
      typeof mechanism === "function" ? mechanism : Choose.inOrder(mechanism)
    ),
    server
  )

type Problem = Reason.Reason | Expect.Refused | Program.Lost
type End = Result.Result<Session.Session<"ready">, Problem> | undefined

export const failure = (end: End): Problem => {
  assert.isTrue(end !== undefined && Result.isFailure(end), `a failure was expected: ${JSON.stringify(end)}`)
  return end !== undefined && Result.isFailure(end) ? end.failure : assert.fail()
}

export const succeeds = (end: End): Session.Facts["authenticated"] => {
  assert.isTrue(end !== undefined && Result.isSuccess(end), `a success was expected: ${JSON.stringify(end)}`)
  return end !== undefined && Result.isSuccess(end) ? end.success.facts.authenticated : assert.fail()
}

export const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64")

export const plainTim = base64(`\0tim\0${password}`)

/** A mechanism that sends these responses, the first of them at once, and takes any challenge in between. */
export const saying = (name: string, ...responses: ReadonlyArray<Uint8Array>): Mechanism.Mechanism => {
  const step = (at: number): Mechanism.ClientStep => {
    const last = at >= responses.length - 1
    return {
      response: Redacted.make(responses[at] ?? new Uint8Array(0)),
      next: last ? undefined : () => Effect.succeed(step(at + 1)),
      verified: last
    }
  }
  return {
    ...Plain.plain,
    name,
    client: () => Effect.succeed(step(0))
  }
}

/** The mechanism with its first response held back until an empty challenge asks for it. */
export const waiting = (mechanism: Mechanism.Mechanism): Mechanism.Mechanism => ({
  ...mechanism,
  client: (credentials, context) =>
    Effect.map(mechanism.client(credentials, context), (first) => ({
      response: undefined,
      next: () => Effect.succeed(first),
      verified: false
    }))
})
