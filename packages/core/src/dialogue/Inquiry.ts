/**
 * What a session can be asked besides taking mail: about mailboxes and lists (VRFY, EXPN),
 * to start a queue (ETRN), and to take another client's place (XCLIENT).
 */
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Address from "../wire/Address.ts"
import * as Capabilities from "../wire/Capabilities.ts"
import * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import { hello } from "./Hello.ts"
import * as Program from "./Program.ts"
import { Session } from "./Session.ts"

type Refusal = Reason.Reason

const made = <C>(command: Result.Result<C, Command.CommandError>, what: string) =>
  Program.fromResult(Result.mapError(command, ({ problem }) => Reason.make("InvalidInput", { what, problem })))

const offered = (session: Session<"ready">, extension: string, because: string): Program.Program<void, Refusal> => {
  const { capabilities } = session.facts
  return capabilities !== undefined && Capabilities.has(capabilities, extension)
    ? Program.succeed(undefined)
    : Program.fail(Reason.make("ExtensionMissing", { extension, because }))
}

const explained = <A>(
  session: Session<"ready">,
  program: Program.Program<A, Expect.Refused | Reason.Of<"OutOfSequence">>
): Program.Program<A, Refusal> => answer(session, program) as Program.Program<A, Refusal>

const answer = Program.fn(
  function*(session: Session<"ready">, program: Program.Program<unknown, Expect.Refused | Reason.Of<"OutOfSequence">>) {
    const answered = yield* Program.result(program)
    if (Result.isSuccess(answered)) return answered.success
    const { failure } = answered
    return yield* Program.fail(failure._tag === "Refused" ? Classify.refusal(session.known, failure) : failure)
  }
)

// Where SMTPUTF8 is offered it is asked for, as names in the answer may go beyond ASCII (RFC 6531 §3.7.4.2).
const naming = Program.fn(function*<C>(
  session: Session<"ready">,
  name: string,
  make: (name: string, smtpUtf8: boolean) => Result.Result<C, Command.CommandError>,
  what: string
) {
  // The domain of a mailbox is always ASCII on the wire.
  const argument = isAscii(name)
    ? name
    : Result.match(Address.parse(name), { onSuccess: Address.format, onFailure: () => name })
  const smtpUtf8 = session.facts.capabilities?.smtpUtf8 === true
  const command = yield* made(make(argument, smtpUtf8), what)
  if (smtpUtf8 || isAscii(argument)) return command
  const because = `${what} has characters outside ASCII`
  return yield* Program.fail(Reason.make("ExtensionMissing", { extension: "SMTPUTF8", because }))
})

const isAscii = (text: string): boolean => !/[^\u0000-\u007f]/.test(text)

/**
 * Asks whether a user or mailbox is known (RFC 5321 §3.5). Most servers answer that they
 * do not tell (`certain` is false). The domain of a mailbox goes in A-labels; any other name
 * beyond ASCII needs SMTPUTF8. Fails with `InvalidInput`, `ExtensionMissing`,
 * `CommandRefused` or `TemporaryFailure`.
 *
 * @example
 * ```ts
 * import { Inquiry, SmtpClient } from "@postern/core"
 * import { Effect } from "effect"
 *
 * const known = Effect.gen(function*() {
 *   const client = yield* SmtpClient.SmtpClient
 *   return yield* client.use((session) => Inquiry.verify(session, "ann"))
 * })
 * ```
 */
export const verify = Program.fn(function*(session: Session<"ready">, user: string) {
  const command = yield* naming(session, user, Command.vrfy, "the argument of VRFY")
  return yield* explained(session, session.send(command))
})

/** Asks who is on a list (RFC 5321 §3.5). Fails as {@link verify} does. */
export const expand = Program.fn(function*(session: Session<"ready">, list: string) {
  const command = yield* naming(session, list, Command.expn, "the argument of EXPN")
  return yield* explained(session, session.send(command))
})

/**
 * Asks the server to send what waits for a domain, `@domain` (with its subdomains) or
 * `#queue` (RFC 1985). Fails with `ExtensionMissing`, or as {@link verify} does.
 */
export const startQueue = Program.fn(function*(session: Session<"ready">, node: string) {
  yield* offered(session, "ETRN", "a queue is to be started")
  const reply: Reply = yield* explained(session, session.send(yield* made(Command.etrn(node), "the argument of ETRN")))
  return reply
})

/**
 * Tells the server on whose behalf this client speaks (Postfix's XCLIENT); the session
 * starts anew as that client's. Fails with `ExtensionMissing` when the server does not
 * offer an attribute, or as {@link verify} does.
 */
export const behalf = Program.fn(
  function*(session: Session<"ready">, attributes: Readonly<Record<string, string>>, domain: Address.Domain) {
    yield* offered(session, "XCLIENT", "the session is to be another client's")
    const command = yield* made(Command.xclient(attributes), "the attributes of XCLIENT")
    const { capabilities } = session.facts
    const taken = (capabilities && Capabilities.parameters(capabilities, "XCLIENT")) ?? []
    const missing = command.attributes.find(({ keyword }) => !taken.includes(keyword))
    if (missing !== undefined) {
      const extension = `XCLIENT ${missing.keyword}`
      return yield* Program.fail(Reason.make("ExtensionMissing", { extension, because: "the attribute was given" }))
    }
    const greeting = yield* explained(session, session.send(command))
    const anew = new Session("greeted", {
      ...session.facts,
      greeting,
      capabilities: undefined,
      authenticated: undefined
    })
    const ready = yield* Program.result(hello(anew, domain))
    if (Result.isSuccess(ready)) return ready.success
    return yield* Program.fail(Classify.refusal(anew.known, ready.failure))
  }
)
