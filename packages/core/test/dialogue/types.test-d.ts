/**
 * What the compiler must infer and must refuse. Each `@ts-expect-error` fails the
 * check when the line under it compiles.
 */
import {
  type Capabilities,
  Command,
  type Expect,
  Mechanism,
  Program,
  type Reply,
  type Session,
  type SmtpError
} from "@postern/core"
import { Effect, Redacted, type Result } from "effect"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const holds = <_ extends true>(): void => undefined

type Ok<P> = P extends Program.Program<infer A, infer _E, infer _R> ? A : never

declare const ehlo: Command.Ehlo
declare const auth: Command.Auth
declare const mail: Command.Mail
declare const rcpt: Command.Rcpt
declare const vrfy: Command.Vrfy

// The answer of each command.
const answers = {
  ehlo: Program.send(ehlo),
  auth: Program.send(auth),
  mail: Program.send(mail),
  vrfy: Program.send(vrfy),
  help: Program.send(Command.help),
  cancel: Program.send(Command.authCancel)
}
holds<Equal<Ok<typeof answers.ehlo>, Capabilities.Capabilities>>()
holds<Equal<Ok<typeof answers.auth>, Command.AuthAnswer>>()
holds<Equal<Ok<typeof answers.mail>, Reply.Reply>>()
holds<Equal<Ok<typeof answers.vrfy>, Command.Verified>>()
holds<Equal<Ok<typeof answers.help>, ReadonlyArray<string>>>()
holds<Equal<Ok<typeof answers.cancel>, never>>()

// A typed tuple in, a typed tuple of results out.
const exchanged = Program.exchange(ehlo, rcpt, Command.help)
holds<
  Equal<
    Ok<typeof exchanged>,
    readonly [
      Result.Result<Capabilities.Capabilities, Expect.Refused>,
      Result.Result<Reply.Reply, Expect.Refused>,
      Result.Result<ReadonlyArray<string>, Expect.Refused>
    ]
  >
>()
// @ts-expect-error an exchange has at least one command
export const refused1 = Program.exchange()

// Errors and needs are collected from what is yielded.
declare class Tokens {
  private readonly tokens: true
}
const collected = Program.gen(function*() {
  yield* Program.send(Command.noop)
  const token = yield* Program.perform(Effect.succeed("t") as Effect.Effect<string, "no token", Tokens>)
  return token.length
})
holds<Equal<typeof collected, Program.Program<number, Expect.Refused | "no token", Tokens>>>()

// An Effect is not a Program: what a dialogue does is known in full.
// @ts-expect-error only Programs can be yielded
export const refused2 = Program.gen(function*() {
  yield* Effect.succeed(1)
})

// A Program is an Effect: what only explains comes as SmtpError, everything else as it is.
const effect = Effect.gen(function*() {
  return yield* collected
})
holds<Equal<typeof effect, Effect.Effect<number, SmtpError.SmtpError | "no token", Tokens | Program.Connection>>>()

// Phases: DATA needs an envelope, MAIL needs a session that said hello.
declare const greeted: Session.Session<"greeted">
declare const ready: Session.Session<"ready">
declare const envelope: Session.Session<"envelope">
const begun = ready.enter(mail)
holds<Equal<Ok<typeof begun>, Session.Session<"sender">>>()
const content = envelope.enter(Command.data)
holds<Equal<Ok<typeof content>, Session.Session<"content">>>()
// @ts-expect-error no DATA before an envelope
export const refused3 = ready.enter(Command.data)
// @ts-expect-error no DATA before an envelope
export const refused4 = ready.send(Command.data)
// @ts-expect-error no MAIL before EHLO
export const refused5 = greeted.enter(mail)
// @ts-expect-error no AUTH within a transaction
export const refused6 = envelope.send(auth)
// @ts-expect-error no STARTTLS within a transaction
export const refused7 = envelope.send(Command.startTls)

// Secrets are not text.
const credentials = Mechanism.password("ann", Redacted.make("secret"))
// @ts-expect-error a password is not a string
credentials.password.length satisfies number
// @ts-expect-error a password is given as Redacted
Mechanism.password("ann", "secret")
// @ts-expect-error a response is not octets to print
new TextDecoder().decode(auth.initialResponse)

// Text is not an address, a domain or a command argument before it is checked.
// @ts-expect-error a domain is parsed
Command.ehlo("client.example")
// @ts-expect-error a mailbox is parsed
Command.mail("ann@example.org")
// @ts-expect-error a mailbox cannot be forged
Command.rcpt({ localPart: "a", domain: "b" })
