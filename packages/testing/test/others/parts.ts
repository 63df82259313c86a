/** What scripts and their outcomes have in common: beginnings and ends of sessions, and what is looked at. */
import { assert } from "@effect/vitest"
import { Inquiry, Mechanism, type Reason, Reply, type Session, type SmtpClient, type SmtpError } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect, Redacted, Result } from "effect"
import type { Client, Exchange, Outcome } from "./exchange.ts"

const last = (lines: ReadonlyArray<string>) =>
  lines.map((line, i) => `S: 250${i < lines.length - 1 ? "-" : " "}${line}`).join("\n")

/** A session begins, and the server offers these extensions. */
export const begins = (...extensions: ReadonlyArray<string>): string => `
  S: 220 mail.example ESMTP
  C: EHLO client.example
  ${last(["mail.example", ...extensions])}
`

/** The same, in TLS from the first octet. */
export const beginsInTls = (...extensions: ReadonlyArray<string>): string => `-- tls\n${begins(...extensions)}`

/** Options for {@link beginsInTls}. */
export const inTls = { security: "tls" } satisfies Partial<SmtpClient.Options>

/** A session ends in good order. */
export const quits = `
  C: QUIT
  S: 221 bye
  -- close
`

/** A transaction that came to nothing is cleared, and the session ends. */
export const resets = `
  C: RSET
  S: 250 ok
  ${quits}
`

/** MAIL with this path, and the parameters behind it, is taken. */
export const sender = (path = "<ann@example.org>"): string => `
  C: MAIL FROM:${path}
  S: 250 ok
`

/** The same of RCPT; the reply may be another. */
export const recipient = (path = "<ben@example.net>", reply = "250 ok"): string => `
  C: RCPT TO:${path}
  S: ${reply}
`

/** The lines of {@link message}. */
export const hello = `
  C: Subject: hello
  C: 
  C: Hello.
`

/** Content is asked for: these lines, behind which comes the dot. */
export const data = (lines: string = hello, reply = "250 taken"): string => `
  C: DATA
  S: 354 go on
  ${lines}
  C: .
  S: ${reply}
`

/** {@link message} is delivered. */
export const transaction = `${sender()}${recipient()}${data()}`

/** {@link message} is delivered, and the session ends. */
export const delivers = `${transaction}${quits}`

/** Both prompts of LOGIN are answered. */
export const login = (user: string, secret: string): string => `
  C: AUTH LOGIN
  S: 334 VXNlcm5hbWU6
  C: ${base64(user)}
  S: 334 UGFzc3dvcmQ6
  C: ${base64(secret)}
`

/** A session begins with HELO, as EHLO is refused by this. What HELO is answered comes next. */
export const triesHelo = (refusal: string): string => `
  S: 220 mail.example
  C: EHLO client.example
  S: ${refusal}
  C: HELO client.example
`

/** TLS begins within the session, and the client asks anew what is offered. */
export const startsTls = `
  C: STARTTLS
  S: 220 go on
  -- tls
  C: EHLO client.example
`

/** The steps of a script, to go on with what can only be written as steps. */
export const steps = (script: string): ScriptedServer.Script => Result.getOrThrow(ScriptedServer.parse(script))

/** A message of 26 octets. */
export const message = {
  from: "ann@example.org",
  to: "ben@example.net",
  content: "Subject: hello\r\n\r\nHello.\r\n"
} satisfies SmtpClient.Message

/** What became of each recipient, a line each. */
export const told = ({ outcomes }: SmtpClient.Receipt): ReadonlyArray<string> =>
  outcomes.map(({ _tag, recipient, reply }) =>
    `${_tag} ${recipient}${reply === undefined ? "" : `: ${Reply.render(reply)}`}`
  )

/** What {@link told} tells of {@link message} when it was taken. */
export const delivered: ReadonlyArray<string> = ["Accepted <ben@example.net>: 250 taken"]

/** It succeeds, with exactly this. */
export const gives = (expected: unknown) => (outcome: Outcome): void => {
  assert.deepStrictEqual(outcome, { _tag: "Succeeds", value: expected })
}

/** Sends it, and gives what {@link told} tells. */
export const sends = (message: SmtpClient.Message) => (client: Client) => Effect.map(client.send(message), told)

/** What is asked and found where one message is taken, for its one recipient. */
export const isTaken = (message: SmtpClient.Message): Pick<Exchange, "asks" | "finds"> => ({
  asks: sends(message),
  finds: gives(delivered)
})

/** Opens a session and leaves it. */
export const opens = (client: Client) => Effect.asVoid(client.open)

/** Opens a session, and gives something of what is known of it. */
export const learns = <A>(pick: (facts: Session.Facts) => A) => (client: Client) =>
  Effect.map(client.open, ({ session }) => pick(session.facts))

/** What is asked and found where a session is authenticated by this mechanism. */
export const isAuthenticated = (mechanism: string): Pick<Exchange, "asks" | "finds"> => ({
  asks: learns(({ authenticated }) => authenticated?.mechanism),
  finds: gives(mechanism)
})

/** Asks VRFY. */
export const verifies = (user: string) => (client: Client) => client.use((session) => Inquiry.verify(session, user))

/** Asks EXPN. */
export const expands = (list: string) => (client: Client) => client.use((session) => Inquiry.expand(session, list))

/** The error; there is no other outcome. */
export const failure = (outcome: Outcome): SmtpError.SmtpError => {
  if (outcome._tag === "Fails") return outcome.error
  throw new Error(`it succeeds, with ${JSON.stringify(outcome.value)}`)
}

const isOf = <T extends Reason.Tag>(reason: Reason.Reason, tag: T): reason is Reason.Of<T> => reason._tag === tag

/** The reason, which is of this kind. */
export const reason = <T extends Reason.Tag>(outcome: Outcome, tag: T): Reason.Of<T> => {
  const { message, reason } = failure(outcome)
  if (isOf(reason, tag)) return reason
  throw new Error(`it fails with ${reason._tag} instead of ${tag}: ${message}`)
}

/** It fails for a reason of this kind: with these fields, and worth another try then. */
export const fails =
  <T extends Reason.Tag>(tag: T, fields: Partial<Reason.Of<T>>, retry: SmtpError.SmtpError["retry"]) =>
  (outcome: Outcome): void => {
    assert.deepInclude<object>(reason(outcome, tag), fields)
    assert.strictEqual(failure(outcome).retry, retry)
  }

/** Credentials of a user name and password, and of whom to act for. */
export const password = (user: string, secret: string, authorizationId?: string): Mechanism.Password =>
  Mechanism.password(user, Redacted.make(secret), authorizationId)

/** Text in base64, an octet a character where it is ASCII. */
export const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64")

/** Why it failed, where that is not the end of what is asked; undefined where it did not. */
export const why = <R>(
  asked: Effect.Effect<unknown, SmtpError.SmtpError, R>
): Effect.Effect<SmtpError.SmtpError | undefined, never, R> =>
  Effect.match(asked, { onSuccess: () => undefined, onFailure: (error) => error })
