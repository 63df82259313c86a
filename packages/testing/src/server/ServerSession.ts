/**
 * What the simulated server knows of one connection, and how each answer comes about:
 * the server's own outcome first, then what the config's `reply` makes of it.
 */
import type { Address, ChannelBinding, Command, Mechanism } from "@postern/core"
import { Reply } from "@postern/core"
import type { Place } from "./DataContent.ts"
import * as Pieces from "./Pieces.ts"
import type { Turn } from "./ServerConfig.ts"
import type { Settings } from "./ServerSettings.ts"

/** A message the server took responsibility for. */
export interface Message {
  readonly reversePath: Address.ReversePath
  readonly forwardPaths: ReadonlyArray<Address.ForwardPath>
  /** The parameters of MAIL. */
  readonly parameters: ReadonlyArray<Command.Parameter>
  /** The parameters of each RCPT, in the order of `forwardPaths`. */
  readonly forwardParameters: ReadonlyArray<ReadonlyArray<Command.Parameter>>
  /** The content with dots undone: with its last CRLF, without the dot behind it. */
  readonly content: Uint8Array
  /** It came over TLS. */
  readonly tls: boolean
  /** Whom the client was authenticated as. */
  readonly identity: string | undefined
  /** What the client said in XCLIENT, by the names of the attributes. */
  readonly xclient: Readonly<Record<string, string>>
  /** When it was taken, in milliseconds since the epoch. */
  readonly at: number
}

/** What the server does, in order. */
export type Action =
  /**
   * Nothing is done, and nothing that comes is given to the server, before so many milliseconds
   * have passed. While it waits for its greeting it listens, though: `waited` is to follow.
   */
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Send"; readonly bytes: Uint8Array }
  /** A line was understood as this command. What a client sends within AUTH is `Redacted`. */
  | { readonly _tag: "Heard"; readonly command: Command.Command }
  /** Comes before the reply that says so. */
  | { readonly _tag: "Delivered"; readonly message: Message }
  /** The TLS handshake has its turn; `tlsEstablished` is to follow. */
  | { readonly _tag: "StartTls" }
  | { readonly _tag: "Close" }

/** What outlives a connection: the next one to the same server starts with it. */
export interface Memory {
  /** Milliseconds since the epoch, as who drives the server says; it moves on by what the server waits. */
  readonly now: number
  /** `false`: it is shutting down, and greets with 421 4.3.2. */
  readonly accepting: boolean
  /** Connections that are open, as who drives the server says. */
  readonly open: number
  readonly connections: number
  readonly messages: number
  /** AUTH exchanges; the number makes each one's nonce. */
  readonly exchanges: number
  /** Pairs of sender and recipient that were refused, and when first. */
  readonly greylisted: ReadonlyMap<string, number>
  /** When each client had its last messages taken, as far as the `rateLimit` looks back. */
  readonly taken: ReadonlyMap<string, ReadonlyArray<number>>
  /** Octets in the mailboxes that are bounded. */
  readonly stored: ReadonlyMap<string, number>
}

/** A mail transaction (RFC 5321 §3.3), from MAIL on. */
export interface Transaction {
  readonly mail: Command.Mail
  readonly recipients: ReadonlyArray<Command.Rcpt>
  /** How many RCPT commands there were. */
  readonly rcpts: number
  /** A recipient was refused. */
  readonly refused: boolean
  /** The octets of DATA, or of the BDATs and BURLs so far. */
  readonly content: Pieces.Pieces
  /** A BDAT or BURL was taken, or one was refused: then only RSET helps (RFC 3030 §2). */
  readonly chunks: "none" | "some" | "failed"
}

/** How the next octets are read. */
export type Mode =
  /** Nothing has been said: who speaks now speaks too early. */
  | { readonly _tag: "Greeting" }
  | { readonly _tag: "Lines" }
  | { readonly _tag: "Data"; readonly place: Place }
  /** The octets of a BDAT, which may be one that was pipelined improperly. */
  | { readonly _tag: "Chunk"; readonly bdat: Command.Bdat; readonly left: number; readonly improper: boolean }
  /** Waits for TLS: plaintext is discarded (RFC 3207 §4.2). */
  | { readonly _tag: "Handshake" }
  | { readonly _tag: "Closed" }

/** What the TLS handshake told the server: what mechanisms may rest on. */
export interface Channel {
  readonly channelBindings: ReadonlyArray<ChannelBinding.ChannelBinding>
  /** Whom the client's certificate names. */
  readonly certificateIdentity: string | undefined
}

/** A channel that nothing is known of. */
export const anyChannel: Channel = { channelBindings: [], certificateIdentity: undefined }

/** The state of one connection. */
export interface State {
  readonly settings: Settings
  readonly memory: Memory
  /** The client's address. */
  readonly client: string
  readonly tls: boolean
  readonly channel: Channel
  readonly hello: { readonly domain: Address.Domain; readonly extended: boolean } | undefined
  readonly identity: string | undefined
  /** What takes the next response, within an AUTH exchange. */
  readonly exchange: ((response: Uint8Array) => Mechanism.ServerStep) | undefined
  /** How many AUTH exchanges failed. */
  readonly failures: number
  /** How many recipients were refused. */
  readonly refusedRecipients: number
  /** How many messages were taken. */
  readonly messages: number
  /** How many MAIL commands there were. */
  readonly mails: number
  /** The domains of recipients so far, where their number is limited. */
  readonly domains: ReadonlySet<string>
  readonly xclient: Readonly<Record<string, string>>
  readonly transaction: Transaction | undefined
  /** The greeting was a refusal. */
  readonly unwilling: boolean
  readonly mode: Mode
  /** The line that is being received. */
  readonly line: Pieces.Pieces
}

/** A state and what to do before going on with it. */
export type Step = readonly [State, ReadonlyArray<Action>]

/** How the server answers to a turn on its own. */
export interface Outcome {
  readonly reply: Reply.Reply
  readonly state: State
  readonly delivered?: Message | undefined
  /** What comes behind the reply. */
  readonly after?: ReadonlyArray<Action> | undefined
}

/** A reply, with an enhanced status code where the server uses them (RFC 2034). */
export const say = (
  state: State,
  code: number,
  status: string | undefined,
  text: string | ReadonlyArray<string>
): Reply.Reply => Reply.make(code, text, state.settings.keywords.has("ENHANCEDSTATUSCODES") ? status : undefined)

/** An {@link Outcome} that changes nothing but what `state` says. */
export const answer = (
  state: State,
  code: number,
  status: string | undefined,
  text: string | ReadonlyArray<string>
): Outcome => ({ reply: say(state, code, status, text), state })

export const notImplemented = (state: State): Outcome => answer(state, 502, "5.5.1", "Command not implemented")

export const outOfOrder = (state: State, problem: string): Outcome => answer(state, 503, "5.5.1", problem)

/** The state in which nothing is said or heard any more. */
export const closed = (state: State): State => ({ ...state, mode: { _tag: "Closed" }, line: Pieces.empty })

/**
 * Answers a turn. `state` is that in which nothing of it has been done, `own` is what the
 * server would do.
 */
export const respond = (state: State, turn: Turn, own: Outcome): Step => {
  const overruled = state.settings.reply(turn, state)
  if (overruled === "drop") return [closed(state), [{ _tag: "Close" }]]
  const outcome = overruled === undefined ? own : overrule(state, own, overruled)
  const refused = turn._tag === "Rcpt" && outcome.reply.code >= 400 ? 1 : 0
  const counted = { ...outcome.state, refusedRecipients: outcome.state.refusedRecipients + refused }
  const [after, actions] = speak(counted, outcome.reply, turn, outcome.delivered)
  return [after, [...actions, ...outcome.after ?? []]]
}

/** Says so, after a while where the server is slow. A 421 is the last word. */
export const speak = (state: State, reply: Reply.Reply, turn?: Turn, delivered?: Message): Step => {
  const millis = state.settings.delayOf(reply, turn, state.refusedRecipients)
  const waited: State = millis > 0 ? wait(state, millis) : state
  const actions: Array<Action> = []
  if (millis > 0) actions.push({ _tag: "Wait", millis })
  if (delivered !== undefined) actions.push({ _tag: "Delivered", message: { ...delivered, at: waited.memory.now } })
  actions.push({ _tag: "Send", bytes: Reply.encode(reply) })
  return reply.code === 421 ? [closed(waited), [...actions, { _tag: "Close" }]] : [waited, actions]
}

/** The state when so much time has passed. */
export const wait = (state: State, millis: number): State => ({
  ...state,
  memory: { ...state.memory, now: state.memory.now + millis }
})

const overrule = (state: State, own: Outcome, reply: Reply.Reply): Outcome => {
  if (firstDigit(reply) === firstDigit(own.reply)) return { ...own, reply }
  if (reply.code === 334) return { reply, state: { ...state, exchange: refuseAny } }
  if (reply.code === 354) return { reply, state: { ...state, mode: { _tag: "Data", place: "line start" } } }
  return { reply, state }
}

const firstDigit = (reply: Reply.Reply): number => Math.floor(reply.code / 100)

const refuseAny = (): Mechanism.ServerStep => ({ _tag: "Refused", problem: "there was nothing to respond to" })
