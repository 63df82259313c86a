/**
 * The simulated server's answers to commands: which may come when (RFC 5321 §4.1.4),
 * greetings, STARTTLS, AUTH. Mail transactions are in ServerTransaction and ServerContent.
 */
import type { Command, Mechanism } from "@postern/core"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Pieces from "./Pieces.ts"
import * as Content from "./ServerContent.ts"
import * as Directory from "./ServerDirectory.ts"
import * as Offer from "./ServerOffer.ts"
import type { Memory, Outcome, State } from "./ServerSession.ts"
import { answer, anyChannel, closed, notImplemented, outOfOrder, say } from "./ServerSession.ts"
import type { Settings } from "./ServerSettings.ts"
import * as Transaction from "./ServerTransaction.ts"
import * as Xclient from "./ServerXclient.ts"

/** A session of which nothing is known but where it comes from. */
export const fresh = (settings: Settings, memory: Memory, client: string): State => ({
  settings,
  memory,
  client,
  tls: false,
  channel: anyChannel,
  hello: undefined,
  identity: undefined,
  exchange: undefined,
  failures: 0,
  refusedRecipients: 0,
  messages: 0,
  mails: 0,
  domains: new Set(),
  xclient: {},
  transaction: undefined,
  unwilling: false,
  mode: { _tag: "Lines" },
  line: Pieces.empty
})

export const greet = (state: State): Outcome => {
  const { memory, settings: { greeting, hostname, lmtp, maxConnections } } = state
  if (!memory.accepting) return answer(state, 421, "4.3.2", shuttingDown(state))
  if (memory.open > maxConnections) {
    return answer(state, 421, "4.7.0", `${hostname} Too many connections, try again later`)
  }
  const reply = greeting ?? say(state, 220, undefined, `${hostname} ${lmtp ? "LMTP" : "ESMTP"}`)
  return { reply, state: reply.code >= 400 ? { ...state, unwilling: true } : state }
}

export const shuttingDown = ({ settings: { hostname } }: State): string =>
  `${hostname} Service shutting down, closing transmission channel`

/** Answers a command in a state where commands are read, other than those that bring content of their own. */
export const obey = (state: State, command: Exclude<Command.Command, Command.Bdat | Command.Burl>): Outcome => {
  const barred = bar(state, command)
  if (barred !== undefined) return barred
  switch (command._tag) {
    case "Ehlo":
    case "Helo":
    case "Lhlo":
      return hello(state, command)
    case "StartTls":
      return startTls(state)
    case "Auth":
      return auth(state, command)
    case "Mail":
      return Transaction.mail(state, command)
    case "Rcpt":
      return Transaction.rcpt(state, command)
    case "Data":
      return Content.data(state)
    case "Rset":
      return answer({ ...state, transaction: undefined }, 250, "2.0.0", "Ok")
    case "Noop":
      return answer(state, 250, "2.0.0", "Ok")
    case "Quit":
      return { ...answer(closed(state), 221, "2.0.0", "Bye"), after: [{ _tag: "Close" }] }
    case "Vrfy":
      return Directory.vrfy(state, command)
    case "Expn":
      return Directory.expn(state, command)
    case "Help":
      return answer(state, 214, "2.0.0", ["Commands of RFC 5321 and of the extensions listed", "in the reply to EHLO"])
    case "Etrn":
      return Directory.etrn(state, command)
    case "Xclient":
      return xclient(state, command)
    case "AuthResponse":
    case "AuthCancel":
      return notImplemented(state)
  }
}

// RFC 3207 §4 and RFC 4954 §6: what is taken although TLS or AUTH is required.
const withoutTls: ReadonlySet<Command.Tag> = new Set(["Ehlo", "Lhlo", "StartTls", "Noop", "Quit"])
const withoutAuth: ReadonlySet<Command.Tag> = new Set([...withoutTls, "Helo", "Auth", "Rset"])
// RFC 5321 §4.1.4 and §4.1.1.1.
const withHello: ReadonlySet<Command.Tag> = new Set([
  "StartTls",
  "Auth",
  "Mail",
  "Rcpt",
  "Data",
  "Bdat",
  "Burl",
  "Etrn"
])

/** The reply to a command whose time has not come. */
export const bar = (state: State, command: Command.Command): Outcome | undefined => {
  const { requireAuth, requireTls } = state.settings
  const { _tag } = command
  if (state.unwilling && _tag !== "Quit") return outOfOrder(state, "No SMTP service here")
  if (requireTls && !state.tls && !withoutTls.has(_tag)) {
    return answer(state, 530, "5.7.0", "Must issue a STARTTLS command first")
  }
  if (requireAuth && state.identity === undefined && !withoutAuth.has(_tag)) {
    return answer(state, 530, "5.7.0", "Authentication required")
  }
  return state.hello === undefined && withHello.has(_tag)
    ? outOfOrder(state, `Send ${state.settings.lmtp ? "LHLO" : "HELO/EHLO"} first`)
    : undefined
}

const hello = (state: State, { _tag, domain }: Command.Ehlo | Command.Helo | Command.Lhlo): Outcome => {
  const { hostname } = state.settings
  if (!state.settings.hello.has(_tag)) {
    return state.settings.lmtp || _tag === "Lhlo"
      ? answer(state, 500, "5.5.1", "Command not recognized")
      : notImplemented(state)
  }
  const extended = _tag !== "Helo"
  return answer(
    { ...state, hello: { domain, extended }, transaction: undefined },
    250,
    undefined,
    extended ? [`${hostname} greets ${domain}`, ...Offer.lines(state)] : hostname
  )
}

const startTls = (state: State): Outcome => {
  const { injectAfterStartTls, startTls } = state.settings
  if (state.tls) return outOfOrder(state, "TLS already active")
  if (!startTls) return notImplemented(state)
  if (state.hello?.extended !== true) return outOfOrder(state, "Send EHLO first")
  return {
    ...answer({ ...state, mode: { _tag: "Handshake" } }, 220, "2.0.0", "Ready to start TLS"),
    after: [
      ...injectAfterStartTls === "" ? [] : [{ _tag: "Send", bytes: utf8.encode(injectAfterStartTls) } as const],
      { _tag: "StartTls" }
    ]
  }
}

const utf8 = new TextEncoder()

// The client is somebody else from here on, and greeted anew.
const xclient = (state: State, command: Command.Xclient): Outcome => {
  if (!state.settings.keywords.has("XCLIENT")) return notImplemented(state)
  if (state.transaction !== undefined) return outOfOrder(state, "Mail transaction in progress")
  const refused = Xclient.judge(state, command)
  if (refused !== undefined) return answer(state, ...refused)
  const { channel, client, memory, settings, tls } = state
  return greet({ ...fresh(settings, memory, client), tls, channel, ...Xclient.take(state, command) })
}

// ---------------------------------------------------------------------------
// AUTH (RFC 4954)
// ---------------------------------------------------------------------------

/** Failed exchanges after which the server hangs up. */
const maxFailures = 3

const auth = (state: State, command: Command.Auth): Outcome => {
  const { acceptsToken, authBeforeTls, hostname, mechanisms, passwordOf } = state.settings
  const { exchanges, now } = state.memory
  if (mechanisms.length === 0) return notImplemented(state)
  if (state.hello?.extended !== true) return outOfOrder(state, "Send EHLO first")
  if (state.identity !== undefined) return outOfOrder(state, "Already authenticated")
  if (state.transaction !== undefined) return outOfOrder(state, "Mail transaction in progress")
  if (!state.tls && !authBeforeTls) {
    return answer(state, 538, "5.7.11", "Encryption required for requested authentication mechanism")
  }
  const mechanism = Offer.usable(state).find(({ name }) => name === command.mechanism)
  if (mechanism === undefined) return answer(state, 504, "5.5.4", "Unrecognized authentication type")
  const nonce = `postern.${exchanges + 1}`
  const context = { host: hostname, nonce, passwordOf, acceptsToken, now, ...state.channel }
  const initial = command.initialResponse && Redacted.value(command.initialResponse)
  return proceed(
    { ...state, memory: { ...state.memory, exchanges: exchanges + 1 } },
    mechanism.server(context, initial)
  )
}

/** Answers a line within an exchange. */
export const takeResponse = (
  state: State,
  exchange: NonNullable<State["exchange"]>,
  command: Command.AuthResponse | Command.AuthCancel
): Outcome =>
  command._tag === "AuthCancel"
    ? answer(state, 501, "5.7.0", "Authentication cancelled")
    : proceed(state, exchange(Redacted.value(command.response)))

const proceed = (state: State, step: Mechanism.ServerStep): Outcome => {
  switch (step._tag) {
    case "Challenge":
      return answer({ ...state, exchange: step.next }, 334, undefined, Base64.encode(step.challenge))
    case "Accepted":
      return answer({ ...state, identity: step.identity }, 235, "2.7.0", "Authentication successful")
    case "Refused": {
      const failed = { ...state, failures: state.failures + 1 }
      return failed.failures < maxFailures
        ? answer(failed, 535, "5.7.8", `Authentication failed: ${step.problem}`)
        : answer(failed, 421, "4.7.0", "Too many authentication failures")
    }
  }
}
