/** What scripts and their outcomes have in common: beginnings and ends of sessions, and what is looked at. */
import { assert } from "@effect/vitest"
import { Mechanism, type Reason, Reply, type SmtpClient, type SmtpError } from "@postern/core"
import { Effect, Redacted } from "effect"
import type { Exchange, Outcome } from "./exchange.ts"

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

/** {@link message} is delivered, and the session ends. */
export const delivers = `
  C: MAIL FROM:<ann@example.org>
  S: 250 ok
  C: RCPT TO:<ben@example.net>
  S: 250 ok
  C: DATA
  S: 354 go on
  C: Subject: hello
  C: 
  C: Hello.
  C: .
  S: 250 taken
  ${quits}
`

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

/** What is asked and found where one message is taken, for its one recipient. */
export const isTaken = (message: SmtpClient.Message): Pick<Exchange, "asks" | "finds"> => ({
  asks: (client) => Effect.map(client.send(message), told),
  finds: gives(delivered)
})

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
