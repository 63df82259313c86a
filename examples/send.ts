/**
 * `npm start`: sends a message and shows the session as it happened.
 *
 * With no configuration the server is embedded: real TCP on loopback, a certificate made
 * at start, its authority trusted by this client only. With `SMTP_URL` or `SMTP_HOST` the
 * message goes through that server instead, from `MAIL_FROM` to `MAIL_TO`, its content
 * from the file named as argument or from standard input (`-`).
 */
import { NodeRuntime } from "@effect/platform-node"
import {
  CramMd5,
  Login,
  Mechanism,
  Plain,
  type Reply,
  SmtpClient,
  SmtpError,
  Transcript,
  type Transport
} from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Certificates, TcpServer } from "@postern/testing"
import { Config, Console, DateTime, Effect, Option, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { styleText } from "node:util"

const show = (event: Transcript.Event): Effect.Effect<void> => Console.log(colour(event, Transcript.renderEvent(event)))

const colour = (event: Transcript.Event, text: string): string => {
  switch (event._tag) {
    case "Sent":
    case "ContentSent":
      return styleText("cyan", text)
    case "Received":
      return styleText(event.reply.code < 400 ? "green" : "red", text)
    default:
      return styleText("dim", text)
  }
}

const title = (text: string): Effect.Effect<void> => Console.log(`\n${styleText("bold", text)}`)

const report = Effect.fn("report")(function*(receipt: SmtpClient.Receipt) {
  yield* title("Outcome")
  for (const outcome of receipt.outcomes) {
    yield* Console.log(
      `  ${outcome._tag.padEnd(8)}  ${outcome.recipient}  ${
        outcome.reply === undefined ? outcome.reason._tag : said(outcome.reply)
      }`
    )
  }
  yield* Console.log(`  The server said to the content: ${said(receipt.reply)}`)
})

const said = (reply: Reply.Reply): string => `${reply.code} ${reply.lines.join(" / ")}`

const user = "ann"
const password = Redacted.make("correct horse battery staple")

/** The embedded server, and a client that finds its way to it. */
const embedded = Effect.gen(function*() {
  const authority = yield* Certificates.authority("postern example authority")
  const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"], ip: ["127.0.0.1"] })
  const server = yield* TcpServer.make({
    hostname: "mx.example",
    localDomains: ["example.org"],
    mechanisms: [Plain.plain, Login.login, CramMd5.cramMd5],
    accounts: { [user]: password }
  }, { tls })
  yield* title(`An embedded server listens on ${server.host}:${server.port}. The session:`)
  const client = yield* SmtpClient.make({
    endpoint: `localhost:${server.port}`,
    security: "startTls",
    credentials: Mechanism.password(user, password),
    tls: { ca: [authority.certificate] },
    observe: show
  })
  const receipt = yield* client.send({
    from: "ann@example.org",
    to: ["ben@example.org", "cat@elsewhere.example"],
    content: [
      "From: Ann <ann@example.org>",
      "To: Ben <ben@example.org>, Cat <cat@elsewhere.example>",
      "Subject: Through STARTTLS and authentication",
      `Date: ${httpDate(yield* DateTime.now)}`,
      `Message-ID: <${server.port}@client.example>`,
      "",
      "Hello from postern.",
      ".",
      "The line above is a lone dot; it arrives as it was written.",
      ""
    ].join("\n")
  })
  yield* report(receipt)
  for (const message of yield* server.inbox) {
    const security = message.tls ? "over TLS" : "in plain text"
    yield* title(
      `The message as the server received it, ${security}, from a session authenticated as ${message.identity}:`
    )
    yield* Console.log(indent(new TextDecoder().decode(message.content)))
  }
})

const httpDate = (now: DateTime.Utc): string => DateTime.toDateUtc(now).toUTCString().replace("GMT", "+0000")

const indent = (text: string): string =>
  text.replaceAll("\r\n", "\n").trimEnd().split("\n").map((line) => `  ${line}`).join("\n")

/** A server of one's own, from the environment. */
const configured = Effect.gen(function*() {
  const from = yield* Config.String("MAIL_FROM")
  const to = yield* Config.String("MAIL_TO")
  const path = process.argv[2] ?? "-"
  const content = yield* Effect.try({
    try: () => readFileSync(path === "-" ? 0 : path),
    catch: (error) => new InputError(`cannot read the message from ${path === "-" ? "standard input" : path}`, error)
  })
  yield* title("The session:")
  const client = yield* SmtpClient.SmtpClient
  const receipt = yield* client.send({ from, to: to.split(/\s*,\s*/), content })
  yield* report(receipt)
}).pipe(Effect.provide(SmtpClient.layerConfig({ observe: show })))

class InputError {
  readonly _tag = "InputError"
  readonly message: string
  constructor(message: string, cause: unknown) {
    this.message = `${message}: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/** A failure in words: what happened, what to do, and whether to try again. */
const explain = (error: { readonly message: string }): Effect.Effect<void> =>
  error instanceof SmtpError.SmtpError
    ? Console.error(`\n${styleText("red", "Not sent")}: ${error.problem}.\n${error.advice} (retry: ${error.retry})`)
    : Console.error(`\n${styleText("red", "Not sent")}: ${error.message}`)

const isConfigured = Config.option(Config.String("SMTP_URL").pipe(Config.orElse(() => Config.String("SMTP_HOST"))))

const main: Effect.Effect<void, unknown, Transport.Transport> = Effect.gen(function*() {
  const own = yield* isConfigured
  yield* Option.isSome(own) ? configured : Effect.scoped(embedded)
}).pipe(Effect.tapError(explain))

main.pipe(
  Effect.provide(NodeTransport.layer),
  (program) => NodeRuntime.runMain(program, { disableErrorReporting: true })
)
