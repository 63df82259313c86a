/**
 * An SMTP server as a pure state machine on core's commands and replies: octets in,
 * actions out. It has no clock, no randomness and no effects, so a conversation with it
 * can be repeated exactly. Octets give the same actions however they are cut.
 *
 * Time is what its `memory.now` says, which its driver sets before each step; to be slow it
 * asks the driver to `Wait`.
 *
 * `SimulatedServer` drives it, in memory and on sockets; a driver of one's own needs `start`,
 * `receive` and `tlsEstablished`, and for time `waited` and `timedOut`. It keeps no more of one
 * message than `maxSize` and no more of a line than RFC 4954 §4 asks for.
 */
import { type Command, CommandLine, Reply } from "@postern/core"
import * as Result from "effect/Result"
import * as DataContent from "./DataContent.ts"
import * as Pieces from "./Pieces.ts"
import * as Commands from "./ServerCommands.ts"
import type { Config } from "./ServerConfig.ts"
import * as Content from "./ServerContent.ts"
import * as Limits from "./ServerLimits.ts"
import * as Offer from "./ServerOffer.ts"
import type { Action, Channel, Memory, Mode, Outcome, State, Step } from "./ServerSession.ts"
import { answer, anyChannel, closed, respond, say, speak } from "./ServerSession.ts"
import { settle } from "./ServerSettings.ts"

export {
  type Bounds,
  type Config,
  defaultExtensions,
  type Delay,
  everyExtension,
  type Overrule,
  type Turn
} from "./ServerConfig.ts"
export type { Limits } from "./ServerLimits.ts"
export type { Action, Channel, Memory, Message, Mode, State, Step } from "./ServerSession.ts"

/** What a server remembers that no client has met yet. */
export const noMemory: Memory = {
  now: 0,
  accepting: true,
  open: 0,
  connections: 0,
  messages: 0,
  exchanges: 0,
  greylisted: new Map(),
  taken: new Map(),
  stored: new Map()
}

/**
 * A client has connected, from this address. Give the `memory` of the last state to have the
 * server remember earlier connections. With `implicitTls` it says nothing before {@link tlsEstablished}.
 *
 * @example
 * ```ts
 * import { ServerMachine } from "@postern/testing"
 *
 * const [greeted] = ServerMachine.start({ localDomains: ["example.org"] })
 * const lines = "EHLO client.example\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<ben@example.com>\r\n"
 * const [state, actions] = ServerMachine.receive(greeted, new TextEncoder().encode(lines))
 * console.log(state.transaction?.recipients.length) // 0: relay access denied
 * console.log(actions.filter(({ _tag }) => _tag === "Send").length) // 3
 * ```
 */
export const start = (config: Config, memory: Memory = noMemory, client = "127.0.0.1"): Step => {
  const settings = settle(config)
  const counted = { ...memory, connections: memory.connections + 1, open: memory.open + 1 }
  const state = Commands.fresh(settings, counted, client)
  return settings.implicitTls ? [{ ...state, mode: { _tag: "Handshake" } }, []] : welcome(state)
}

/**
 * The TLS handshake that the server waited for was successful. All that was known of the
 * client is forgotten (RFC 3207 §4.2). Changes nothing in a state that waits for no handshake.
 */
export const tlsEstablished = (state: State, channel: Channel = anyChannel): Step => {
  const { client, domains, mails, memory, messages, mode, settings } = state
  if (mode._tag !== "Handshake") return [state, []]
  const secure: State = { ...Commands.fresh(settings, memory, client), tls: true, channel, messages, mails, domains }
  return settings.implicitTls ? welcome(secure) : [secure, []]
}

const welcome = (state: State): Step => {
  const { memory, settings: { greetingDelay: millis } } = state
  return millis > 0 && memory.accepting
    ? [{ ...state, mode: { _tag: "Greeting" } }, [{ _tag: "Wait", millis }]]
    : greet(state)
}

/** The time has passed that the server waited for before its greeting. Changes nothing in any other state. */
export const waited = (state: State): Step =>
  state.mode._tag === "Greeting" ? greet({ ...state, mode: { _tag: "Lines" } }) : [state, []]

const greet = (state: State): Step => respond(state, { _tag: "Greeting" }, Commands.greet(state))

/** The client has said nothing for the `idleTimeout`: 421 4.4.2. */
export const timedOut = (state: State): Step =>
  leave(state, "4.4.2", `${state.settings.hostname} Timeout exceeded, closing connection`)

/** The server shuts down: 421 4.3.2, whatever the client is doing. */
export const shutDown = (state: State): Step => leave(state, "4.3.2", Commands.shuttingDown(state))

/** Ends the connection, with a 421 unless the client listens for TLS. */
const leave = (state: State, status: string, problem: string): Step => {
  if (state.mode._tag === "Closed") return [state, []]
  const bytes = state.mode._tag === "Handshake" ? [] : [Reply.encode(say(state, 421, status, problem))]
  return [closed(state), [...bytes.map((bytes) => ({ _tag: "Send", bytes }) as const), { _tag: "Close" }]]
}

/** Octets came from the client. What comes after `Close` is passed over. */
export const receive = (state: State, bytes: Uint8Array): Step => {
  const actions: Array<Action> = []
  let current = state
  let at = 0
  while (at < bytes.length) {
    const [next, following, done] = takeSome(current, current.mode, bytes, at)
    current = next
    at = following
    for (const action of done) actions.push(action)
  }
  return [current, actions]
}

/** The state after some octets from `at` on, where the next ones stand, and what to do. */
type Progress = readonly [State, number, ReadonlyArray<Action>]

const takeSome = (state: State, mode: Mode, bytes: Uint8Array, at: number): Progress => {
  switch (mode._tag) {
    case "Handshake":
    case "Closed":
      return [state, bytes.length, []]
    case "Greeting": {
      const reply = say(state, 554, "5.5.1", `${state.settings.hostname} Client spoke before the greeting`)
      return [closed(state), bytes.length, [{ _tag: "Send", bytes: Reply.encode(reply) }, { _tag: "Close" }]]
    }
    case "Lines": {
      const end = bytes.indexOf(LF, at)
      const next = end === -1 ? bytes.length : end + 1
      const line = Pieces.append(state.line, bytes.subarray(at, next), maxAuthLine)
      if (end === -1) return [{ ...state, line }, next, []]
      const [after, actions] = takeLine({ ...state, line: Pieces.empty }, line, bytes.length - next)
      return [after, next, actions]
    }
    case "Data": {
      const taken = DataContent.take(mode.place, bytes, at)
      const kept = taken.content.reduce(Content.keep, state)
      if (taken.place !== undefined) return [{ ...kept, mode: { _tag: "Data", place: taken.place } }, taken.next, []]
      const [after, actions] = Content.content(kept)
      return [after, taken.next, actions]
    }
    case "Chunk": {
      const next = Math.min(bytes.length, at + mode.left)
      const kept = Content.keepChunk(state, bytes.subarray(at, next))
      const [after, actions] = takeChunk(kept, mode, next - at)
      return [after, next, actions]
    }
  }
}

const LF = 10

// Octets with the line end. RFC 5321 §4.5.3.1.4 asks for 512; RFC 4954 §4 for 12288 octets of base64 in AUTH.
const maxLine = 4096
const maxAuthLine = 12_288 + "AUTH ".length + 20 + " \r\n".length

/** Takes a line; so many octets came behind it in one go. */
const takeLine = (state: State, line: Pieces.Pieces, behind: number): Step => {
  const { exchange } = state
  const idle: State = { ...state, exchange: undefined }
  const text = textOf(line)
  if (isTooLong(line, exchange !== undefined || /^auth /i.test(text ?? ""))) {
    return complain(idle, 500, exchange === undefined ? "5.5.2" : "5.5.6", "Line too long")
  }
  if (text === undefined) return complain(idle, 500, "5.5.2", "A line is UTF-8 and ends with CRLF")
  if (exchange !== undefined) return takeResponse(idle, exchange, text)
  const decoded = CommandLine.decode(text)
  if (Result.isFailure(decoded)) {
    const { code, problem } = decoded.failure
    return complain(state, code, code === 500 || /^auth/i.test(text) ? "5.5.2" : "5.5.4", `Syntax error: ${problem}`)
  }
  const command = decoded.success
  const improper = state.settings.strictPipelining && behind > 0 && !mayBeFollowed(state, command, behind)
  const [after, actions] = takeCommand(Limits.count(state, command), command, improper)
  return [after, [{ _tag: "Heard", command }, ...actions]]
}

const takeCommand = (state: State, command: Command.Command, improper: boolean): Step => {
  switch (command._tag) {
    case "Bdat":
      return takeChunk(state, { _tag: "Chunk", bdat: command, left: command.size, improper }, 0)
    case "Burl":
      return takePart(state, command, improper)
    default:
      return respond(state, command, improper ? improperly(state) : Commands.obey(state, command))
  }
}

const takePart = (state: State, command: Command.Bdat | Command.Burl, improper: boolean): Step => {
  const barred = Commands.bar(state, command)
  if (barred !== undefined) return respond(state, command, barred)
  if (improper) return Content.spoil(state, command, improperly)
  return command._tag === "Bdat" ? Content.bdat(state, command) : Content.burl(state, command)
}

const improperly = (state: State): Outcome => answer(state, 503, "5.5.0", "Improper use of command pipelining")

/** RFC 2920 §3.1: which commands others may follow before the reply; RFC 3030 §2, RFC 4468 §3.2. */
const mayBeFollowed = (state: State, command: Command.Command, behind: number): boolean => {
  if (command._tag === "Bdat" && behind <= command.size) return true
  if (!Offer.offers(state, "PIPELINING")) return false
  return command._tag === "Burl" ? !command.last : inGroups.has(command._tag)
}

const inGroups: ReadonlySet<Command.Tag> = new Set(["Mail", "Rcpt", "Rset", "Bdat", "Xclient"])

const isTooLong = (line: Pieces.Pieces, auth: boolean): boolean => line.length > (auth ? maxAuthLine : maxLine)

const complain = (state: State, code: number, status: string, problem: string): Step =>
  speak(state, say(state, code, status, problem))

/** `state` is that after the exchange, `exchange` takes the response. */
const takeResponse = (state: State, exchange: NonNullable<State["exchange"]>, text: string): Step => {
  const decoded = CommandLine.decodeAuth(text)
  if (Result.isFailure(decoded)) return complain(state, 501, "5.5.2", "Cannot decode base64")
  const command = decoded.success
  const [after, actions] = respond(state, command, Commands.takeResponse(state, exchange, command))
  return [after, [{ _tag: "Heard", command }, ...actions]]
}

/** So many octets of a BDAT came; a refused one has its octets, too, which must not be taken for commands. */
const takeChunk = (state: State, chunk: Extract<Mode, { _tag: "Chunk" }>, taken: number): Step =>
  taken < chunk.left
    ? [{ ...state, mode: { ...chunk, left: chunk.left - taken } }, []]
    : takePart({ ...state, mode: { _tag: "Lines" } }, chunk.bdat, chunk.improper)

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The line without its CRLF; undefined for one that is too long, has another end, or is no UTF-8. */
const textOf = (line: Pieces.Pieces): string | undefined => {
  try {
    const text = utf8.decode(Pieces.bytesOf(line))
    return text.endsWith("\r\n") ? text.slice(0, -2) : undefined
  } catch {
    return undefined
  }
}
