/**
 * What a session can be asked besides taking mail: about mailboxes and lists (VRFY, EXPN),
 * to start a queue (ETRN), and to take another client's place (XCLIENT).
 */
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import type * as Address from "../wire/Address.ts"
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

/**
 * Asks whether a user or mailbox is known (RFC 5321 §3.5). Most servers answer that they
 * do not tell (`certain` is false). Fails with `InvalidInput`, `CommandRefused` or
 * `TemporaryFailure`.
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
  return yield* explained(session, session.send(yield* made(Command.vrfy(user), "the argument of VRFY")))
})

/** Asks who is on a list (RFC 5321 §3.5). Fails as {@link verify} does. */
export const expand = Program.fn(function*(session: Session<"ready">, list: string) {
  return yield* explained(session, session.send(yield* made(Command.expn(list), "the argument of EXPN")))
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
