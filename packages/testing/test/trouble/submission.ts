/**
 * One submission that goes wrong in every way: STARTTLS, AUTH PLAIN, two recipients of which one
 * is refused, content. What the client says of it can be held against what the server knows.
 */
import { assert } from "@effect/vitest"
import { Choose, Mechanism, Plain, SmtpClient, type SmtpError, type TimeLimits, Transport } from "@postern/core"
import { Faults, InMemory, ServerMachine, VirtualTime } from "@postern/testing"
import { Clock, Effect, Layer, Logger, Redacted, Result } from "effect"
import { inspect } from "node:util"

const password = "tanstaaftanstaaf"
const message = {
  from: "ann@a.example",
  to: ["ben@b.example", "nobody@b.example"],
  content: "Subject: hello\n\nHello.\n.dots\n"
}

/** How the content goes: DATA with the envelope and the content behind 354, or all of it at once, in a BDAT. */
export type Framing = "DATA" | "BDAT"
export const framings = ["DATA", "BDAT"] as const

/** Its content as it is sent, and the reply to it. */
const contents: { readonly [F in Framing]: string } = {
  DATA: "Subject: hello\r\n\r\nHello.\r\n..dots\r\n.\r\n",
  BDAT: "BDAT 33 LAST\r\nSubject: hello\r\n\r\nHello.\r\n.dots\r\n"
}
const queued = "250 2.0.0 Ok: queued as 1\r\n"

/** No two are the same: the time that passed tells which of them ended it. */
export const limits = {
  Connect: 10_000,
  Greeting: 11_000,
  Ehlo: 12_000,
  Helo: 13_000,
  StartTls: 14_000,
  Handshake: 15_000,
  Auth: 16_000,
  Mail: 17_000,
  Rcpt: 18_000,
  Data: 19_000,
  ContentBlock: 20_000,
  Content: 21_000,
  Bdat: 22_000,
  Quit: 7_000
} satisfies TimeLimits.TimeLimits

/** How long a client that cannot write any more looks for a last reply. */
export const parting = 2_000

const config: ServerMachine.Config = {
  hostname: "mx.example",
  requireTls: true,
  requireAuth: true,
  mechanisms: [Plain.plain],
  accounts: { tim: Redacted.make(password) },
  unknownUsers: ["nobody@b.example"]
}

export interface Seen {
  /** `sent`, or the reason why not. */
  readonly outcome: string
  readonly error: SmtpError.SmtpError | undefined
  /** What the client wrote, arrived or not, by writes; and what it read. */
  readonly writes: ReadonlyArray<string>
  readonly read: string
  /** The server's truth. */
  readonly delivered: number
  readonly open: number
  readonly millis: number
  /** All that somebody may see of it. */
  readonly traces: string
}

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

/** Sends it with these faults, to a server that may differ. */
export const attempt = (
  framing: Framing,
  plan: Faults.Plan,
  server: Partial<ServerMachine.Config> = {},
  content: string = message.content
): Promise<Seen> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const extensions = ServerMachine.defaultExtensions.filter((line) => framing === "BDAT" || line !== "CHUNKING")
      const site = yield* InMemory.make({ ...config, extensions, ...server })
      const writes: Array<string> = []
      let read = ""
      const faulty = Faults.wrap(site.transport, plan)
      const watched: typeof faulty = {
        open: (peer) =>
          Effect.map(faulty.open(peer), (wire) => ({
            read: Effect.tap(wire.read, (bytes) =>
              Effect.sync(() => {
                read += text(bytes)
              })),
            write: (bytes) => {
              writes.push(text(bytes))
              return wire.write(bytes)
            },
            upgradeTls: wire.upgradeTls
          }))
      }
      const traces: Array<unknown> = []
      const trace = (told: unknown) => void traces.push(told)
      const smtp = SmtpClient.layer({
        endpoint: "mx.example:587",
        security: "startTls",
        domain: "client.example",
        credentials: Mechanism.password("tim", Redacted.make(password)),
        authenticator: Choose.inOrder(Plain.plain),
        timeLimits: limits,
        observe: (event) => Effect.sync(() => trace(event))
      })
      const result = yield* Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send({ ...message, content }))
        .pipe(
          Effect.tapCause((cause) => Effect.logError(cause)),
          Effect.provide(smtp),
          Effect.provideService(Transport.Transport, watched),
          Effect.provide(Logger.layer([Logger.make(({ cause, message }) => trace([message, cause]))])),
          Effect.result
        )
      trace(result)
      const error = Result.isFailure(result) ? result.failure : undefined
      if (error !== undefined) trace([error.message, error.advice, error.toString(), JSON.stringify(error)])
      return {
        outcome: error?.reason._tag ?? "sent",
        error,
        writes,
        read,
        delivered: (yield* site.inbox).length,
        open: yield* site.open,
        millis: yield* Clock.currentTimeMillis,
        traces: inspect(traces, { depth: 20 })
      }
    }).pipe(Effect.provide(Layer.fresh(VirtualTime.layer())))
  )

const hex = (text: string) => Array.from(text, (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("")
const credentials = `\0tim\0${password}`
const secrets = [
  password,
  hex(password),
  hex(password).toUpperCase(),
  btoa(credentials),
  hex(btoa(credentials)),
  // Wherever it begins within three octets; the first and the last characters depend on what is around.
  ...[0, 1, 2].map((shift) => btoa(" ".repeat(shift) + password).slice(4, -4))
]

/** What holds whatever happens. */
export const sound = (seen: Seen, what: string): void => {
  assert.strictEqual(seen.open, 0, `${what}: the connection is closed`)
  for (const secret of secrets) assert.notInclude(seen.traces, secret, `${what}: nothing leaks`)
  const { outcome } = seen
  if (outcome !== "InDoubt") assert.strictEqual(seen.delivered, outcome === "sent" ? 1 : 0, `${what}: ${outcome}`)
  assert.isAtMost(seen.delivered, 1, what)
  if (outcome === "sent") assert.include(seen.read, queued, `${what}: sent is what the server said it took`)
  if (seen.error?.reason._tag === "InDoubt") {
    // Who is known to be refused is not in doubt.
    const refused = /^550 5\.1\.1 .*\r\n/m.test(seen.read)
    assert.deepStrictEqual(
      seen.error.reason.recipients,
      refused ? ["<ben@b.example>"] : ["<ben@b.example>", "<nobody@b.example>"],
      what
    )
    assert.strictEqual(seen.error.retry, "in doubt", what)
  }
}

/**
 * The one right outcome where a connection is lost or silent, by what passed alone: sent when the
 * reply was read, in doubt when the content was written and it was not, and otherwise not sent.
 */
export const outcomeOf = (framing: Framing, seen: Seen, notSent: string): string =>
  seen.read.includes(queued)
    ? "sent"
    : seen.writes.some((write) => write.endsWith(contents[framing]))
    ? "InDoubt"
    : notSent

/** A part of what passes in one direction. */
export interface Span {
  readonly begin: number
  readonly end: number
  readonly step: string
}

const spans = (parts: ReadonlyArray<string>, steps: ReadonlyArray<string>): ReadonlyArray<Span> => {
  assert.strictEqual(parts.length, steps.length)
  let end = 0
  return parts.map((part, i) => ({ begin: end, end: end += part.length, step: steps[i] ?? "" }))
}

// Each write by the step whose reply it is waited for, and each reply.
const steps: { readonly [F in Framing]: Readonly<Record<"written" | "received", ReadonlyArray<string>>> } = {
  DATA: {
    written: ["Ehlo", "StartTls", "Ehlo", "Auth", "Mail", "ContentBlock", "Quit"],
    received: ["Greeting", "Ehlo", "StartTls", "Ehlo", "Auth", "Mail", "Rcpt", "Rcpt", "Data", "Content", "Quit"]
  },
  BDAT: {
    written: ["Ehlo", "StartTls", "Ehlo", "Auth", "Mail", "Quit"],
    received: ["Greeting", "Ehlo", "StartTls", "Ehlo", "Auth", "Mail", "Rcpt", "Rcpt", "Bdat", "Quit"]
  }
}

/** The octets of a submission that nothing befalls: those of each write, and of each reply. */
export const measure = async (framing: Framing) => {
  const whole = await attempt(framing, [])
  sound(whole, "whole")
  assert.deepStrictEqual([whole.outcome, whole.millis], ["sent", 0])
  // A reply ends with the line that has no hyphen.
  const replies = whole.read.match(/(?:\d{3}-.*\r\n)*\d{3} .*\r\n/g) ?? []
  const written = spans(whole.writes, steps[framing].written)
  const received = spans(replies, steps[framing].received)
  const [sentContent, quit] = written.slice(-2)
  const [answer, bye] = received.slice(-2)
  const asked = received.find(({ step }) => step === (framing === "DATA" ? "Data" : "Auth"))
  const mail = written.findIndex(({ step }) => step === "Mail")
  assert(sentContent && quit && asked && answer && bye)
  return {
    written,
    received,
    sentOctets: quit.end,
    receivedOctets: bye.end,
    /** The octets that were sent before and with the write that has the content. */
    contentBegins: sentContent.begin,
    contentEnds: sentContent.end,
    /** Those received before that write, and with the reply to the content. */
    asked: asked.end,
    answered: answer.end,
    /** Where the server has the whole MAIL command of the group, and answers it. */
    mailEnds: (written[mail]?.begin ?? 0) + (whole.writes[mail]?.indexOf("\r\n") ?? 0) + 2
  }
}

/** 0 to this. */
export const range = (to: number): ReadonlyArray<number> => Array.from({ length: to + 1 }, (_, i) => i)
