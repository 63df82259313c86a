/**
 * Talks of core's connections with scripted servers.
 */
import {
  Address,
  Choose,
  Connection,
  Envelope,
  Mechanism,
  Open,
  Program,
  type SmtpError,
  Transaction,
  type Transcript,
  type Transport
} from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect, Exit, Redacted, Result, type Scope } from "effect"

const { ends, handshake, hears, interjects, resets, says, stalls, waits } = ScriptedServer
export { ends, handshake, hears, interjects, resets, says, stalls, waits }
export const saysBytes = ScriptedServer.saysOctets
export const hearsBytes = ScriptedServer.hearsOctets

export type Step = ScriptedServer.Step
export type Options = ScriptedServer.Options
export type Seen = ScriptedServer.Seen
export const make = ScriptedServer.make

const utf8 = new TextEncoder()

/** Lines with their CRLF. */
export const lines = (...all: ReadonlyArray<string>): string => all.map((line) => `${line}\r\n`).join("")

/** A client that says QUIT and is answered. */
export const quits: ReadonlyArray<Step> = [hears("QUIT"), says("221 bye"), ends]

/** Octet by octet. */
export const single = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

/** What came of a program on one scripted connection that was opened and closed again. */
export interface Talk<A> {
  readonly result: Result.Result<A, SmtpError.SmtpError>
  readonly seen: Seen
  /** Every event until the wire closed, as the observer saw them. */
  readonly events: ReadonlyArray<Transcript.Event>
}

export interface TalkOptions extends Options, Partial<Omit<Connection.Options, "peer" | "observe">> {}

export const peer: Transport.Peer = { host: "mx.example", port: 25 }

/** Opens a connection to a scripted server, lets `use` talk, closes it; dies when the script was not followed to its end. */
export const talk = Effect.fnUntraced(function*<A>(
  script: ReadonlyArray<Step>,
  use: (connection: Connection.Live) => Effect.Effect<A, SmtpError.SmtpError, Program.Connection | Scope.Scope>,
  options: TalkOptions = {}
): Effect.fn.Return<Talk<A>> {
  const server = make([script], options)
  const events: Array<Transcript.Event> = []
  const observe = (event: Transcript.Event) => Effect.sync(() => void events.push(event))
  const result = yield* Connection.open({ peer, security: options.security ?? "plain", ...options, observe }).pipe(
    Effect.flatMap((connection) => Effect.provideService(use(connection), Program.Connection, connection)),
    Effect.scoped,
    Effect.provide(server.layer),
    Effect.result
  )
  yield* Effect.orDie(server.check)
  const { seen } = server
  if (seen.opened !== seen.closed) return yield* Effect.die(new Error("it did not close the wire"))
  return { result, seen, events }
})

/** The error of a talk that has to fail. */
export const failure = <A>({ result }: Talk<A>): SmtpError.SmtpError => {
  if (Result.isFailure(result)) return result.failure
  throw new Error(`it succeeded: ${JSON.stringify(result.success)}`)
}

/** The value of a talk that has to succeed. */
export const success = <A>({ result }: Talk<A>): A => Result.getOrThrowWith(result, (error) => error)

/** True for an exit that is an interruption and nothing else. */
export const interrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Exit.hasInterrupts(exit)

/** The steps of {@link submission} that a server answers. */
export type Answered =
  | "Greeting"
  | "Ehlo"
  | "StartTls"
  | "Handshake"
  | "EhloAgain"
  | "Auth"
  | "Mail"
  | "Rcpt"
  | "Data"
  | "Content"

/** The password of {@link submission}. */
export const password = "tanstaaftanstaaf"

export const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const envelope = Result.getOrThrow(
  Envelope.make({ from: "ann@a.example", to: ["ben@b.example", "cat@c.example", "dan@d.example"] })
)

/** A submission with everything: STARTTLS, AUTH, three recipients of which the second is refused, content. */
export const submission = Program.fn(function*(content: string = "Subject: hello\n\nHello.\n") {
  const session = yield* Open.open({
    host: peer.host,
    domain,
    security: "startTls",
    tls: { serverName: peer.host },
    credentials: Mechanism.password("tim", Redacted.make(password)),
    authenticator: Choose.standard
  })
  return yield* Transaction.deliver(session, envelope, utf8.encode(content))
})

/** The recipients of it that the server accepts. */
export const accepted = ["<ben@b.example>", "<dan@d.example>"]

/** The script of {@link submission} until the server is about to answer a step. */
export const until = (
  answered: Answered,
  content: string = "Subject: hello\r\n\r\nHello.\r\n.\r\n"
): ReadonlyArray<Step> => {
  const all: ReadonlyArray<readonly [Answered, ReadonlyArray<Step>]> = [
    ["Greeting", []],
    ["Ehlo", [says("220 mx.example ESMTP"), hears("EHLO client.example")]],
    ["StartTls", [says("250-mx.example", "250 STARTTLS"), hears("STARTTLS")]],
    ["Handshake", [says("220 go ahead")]],
    ["EhloAgain", [handshake(), hears("EHLO client.example")]],
    ["Auth", [
      says("250-mx.example", "250-PIPELINING", "250 AUTH PLAIN"),
      hears(`AUTH PLAIN ${btoa(`\0tim\0${password}`)}`)
    ]],
    ["Mail", [
      says("235 2.7.0 welcome"),
      hears(
        "MAIL FROM:<ann@a.example>",
        "RCPT TO:<ben@b.example>",
        "RCPT TO:<cat@c.example>",
        "RCPT TO:<dan@d.example>",
        "DATA"
      )
    ]],
    ["Rcpt", [says("250 sender ok", "250 ben ok")]],
    ["Data", [says("550 5.1.1 no such user", "250 dan ok")]],
    ["Content", [says("354 go ahead"), hearsBytes(content)]]
  ]
  return all.slice(0, all.findIndex(([name]) => name === answered) + 1).flatMap(([, steps]) => steps)
}
