/**
 * What a log tells, line by line, made into a recording. The octets go through the same
 * redactor as those of a recorder; what a log hides itself stays hidden with its length unknown.
 *
 * A log may begin or break off anywhere, and have lines cut out of it. So the redactor alone is
 * not trusted to know what is a response within AUTH: a line of the client that is no command is
 * hidden wherever it stands.
 */
import * as Bytes from "effect/Bytes"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Crypto from "node:crypto"
import { Key, type KeyError } from "../Key.ts"
import * as Recording from "../Recording.ts"
import { Redactor, type Said } from "../Redactor.ts"

/** How a log becomes a recording. */
export interface Options {
  /** `hashed` unless given: content as its length and SHA-256, or whole where the log shows it. */
  readonly content?: Recording.Policy["content"] | undefined
  /** `kept` unless given; `numbered` replaces addresses outside of content by numbers, on each connection anew. */
  readonly addresses?: Recording.Policy["addresses"] | undefined
  /** A secret of at least 32 characters, as the recorder takes it: what AUTH hides can then be compared. */
  readonly key?: Redacted.Redacted<string> | undefined
  /** Where the connections went; what the log says unless given. */
  readonly endpoint?: { readonly host: string; readonly port: number } | undefined
  /** Stands in the header. */
  readonly note?: string | undefined
}

/** TLS as far as a log tells of it. */
export interface Tls {
  readonly version?: string | undefined
  readonly cipher?: string | undefined
}

type Failed = Extract<Recording.Event, { readonly _tag: "Failed" }>

/** Where the log does not say where it connected to. */
const nowhere = { host: "unknown.invalid", port: 25 }

const commands = new Set(
  ("EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP AUTH STARTTLS ETRN ATRN TURN BURL XCLIENT "
    + "XFORWARD").split(" ")
)

const utf8 = new TextEncoder()

/** Without any of these there is nothing to play. */
const tells = new Set<Recording.Event["_tag"]>(["Sent", "SentHidden", "Received", "ReceivedHidden", "Failed"])

const versions = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const

type Bare<E> = E extends unknown ? Omit<E, "at" | "connection"> : never

/** Content that the client sends. */
interface Content {
  /** Octets of a chunk; undefined within DATA. */
  readonly size: number | undefined
  readonly lines: Array<Uint8Array>
  octets: number
}

/** One recording on its way. */
export class Session {
  readonly #options: Options
  readonly #policy: Recording.Policy
  readonly #key: Key | undefined
  readonly #events: Array<Recording.Event> = []
  #redactor: Redactor
  #connection = -1
  #open = false
  #at = 0
  #startedAt: number | undefined = undefined
  /** Lines in one direction that stand together in the log, and become one event. */
  #pending: { readonly from: "client" | "server"; readonly at: number; readonly lines: Array<string> } | undefined =
    undefined
  #authenticating = false
  #content: Content | undefined = undefined
  /** Something was said; the server said something. */
  #heard = false
  #answered = false
  #host = nowhere.host
  /** Text of a server that is none of SMTP. */
  #foreign: string | undefined = undefined
  #startTls = false

  private constructor(options: Options, key: Key | undefined) {
    this.#options = options
    this.#key = key
    this.#policy = {
      addresses: options.addresses ?? "kept",
      content: options.content ?? "hashed",
      ...key === undefined ? {} : { key: key.check }
    }
    this.#redactor = this.#newRedactor()
  }

  /** Fails with `KeyError` where the key is too short. */
  static make(options: Options): Result.Result<Session, KeyError> {
    const key = options.key === undefined ? Result.succeed(undefined) : Key.make(options.key)
    return Result.map(key, (key) => new Session(options, key))
  }

  /** The time of what follows, in milliseconds since 1970. */
  time(millis: number): void {
    if (!Number.isFinite(millis)) return
    this.#startedAt ??= millis
    this.#at = Math.max(this.#at, millis - this.#startedAt)
  }

  /** So many milliseconds went by. */
  passed(millis: number): void {
    this.#at += millis
  }

  /** A new connection is asked for. */
  connecting(host: string, port: number): void {
    this.#settle()
    this.contentEnds()
    this.#connection++
    this.#redactor = this.#newRedactor()
    this.#open = false
    this.#authenticating = false
    this.#heard = false
    this.#answered = false
    this.#startTls = false
    const to = this.#options.endpoint ?? { host, port }
    this.#host = to.host
    this.#push({ _tag: "Connecting", host: to.host, port: to.port })
  }

  connected(): void {
    if (this.#open) return
    if (this.#connection === -1) this.connecting(nowhere.host, nowhere.port)
    this.#open = true
    this.#push({ _tag: "Connected" })
  }

  /** The lines of content that the log showed until now; undefined where none is on its way. */
  get contentLines(): number | undefined {
    return this.#content?.lines.length
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** The client is within AUTH. */
  get isAuthenticating(): boolean {
    return this.#authenticating
  }

  /** The server has agreed to STARTTLS, and nothing came of it yet. */
  get awaitsTls(): boolean {
    return this.#startTls && this.#pending?.from === "server"
  }

  /** The server says something that is none of SMTP. */
  get foreign(): string | undefined {
    return this.#foreign
  }

  /** A line of the client; `masked` where the log has something else in place of a secret. */
  sent(line: string, masked = false): void {
    this.connected()
    if (this.#content !== undefined) return this.#contentLine(this.#content, line)
    const verb = /^[A-Za-z]+(?=[ \t]|$)/.exec(line)?.[0].toUpperCase() ?? ""
    if (!this.#heard) this.#redactor.received(utf8.encode("220 \r\n"))
    this.#heard = true
    const isResponse = this.#authenticating && line !== "*"
    if (verb === "AUTH" || isResponse || !(commands.has(verb) || line === "*")) {
      this.#authenticating = true
      return this.#sentHidden(line, masked)
    }
    this.#authenticating = false
    this.#startTls = verb === "STARTTLS"
    this.#say("client", line)
    const size = /^BDAT[ \t]+(\d{1,15})/i.exec(line)?.[1]
    if (size !== undefined && Number(size) > 0) this.#content = { size: Number(size), lines: [], octets: 0 }
  }

  received(line: string): void {
    this.connected()
    this.contentEnds()
    const [, code = "", separator = ""] = /^(\d{3})([ -]|$)/.exec(line) ?? []
    if (code === "" && !this.#answered) this.#foreign ??= line
    this.#heard = true
    this.#answered = true
    this.#say("server", line)
    if (code === "" || separator === "-") return
    this.#authenticating = code === "334"
    if (code !== "220") this.#startTls = false
    if (code === "354") this.#content = { size: undefined, lines: [], octets: 0 }
  }

  /** The rest of the content is not in the log; of how many octets it is, the log may say. */
  contentEnds(octets?: number): void {
    if (this.#content === undefined) return
    const known = octets ?? this.#content.size
    this.#content = undefined
    this.#settle()
    this.#push({ _tag: "ContentSent", ...known === undefined ? {} : { octets: known } })
  }

  handshake(): void {
    this.connected()
    this.contentEnds()
    this.#settle()
    this.#startTls = false
    this.#push({ _tag: "HandshakeStarted", serverName: this.#host })
  }

  /** The handshake came about. */
  secured({ cipher = "unknown", version }: Tls = {}): void {
    this.#redactor.tlsEstablished()
    this.#authenticating = false
    this.#push({
      _tag: "TlsEstablished",
      version: versions.find((known) => known === version) ?? "TLSv1.3",
      cipher,
      serverName: this.#host,
      verifiedBy: "chain",
      channelBindings: []
    })
  }

  failed(operation: Failed["operation"], problem: Failed["problem"]): void {
    this.contentEnds()
    this.#settle()
    this.#push({ _tag: "Failed", operation, problem })
  }

  closed(): void {
    if (!this.#open) return
    this.contentEnds()
    this.#settle()
    this.#open = false
    this.#push({ _tag: "Closed" })
  }

  /** Undefined where nothing was said, and nothing failed. */
  finish(by: string): Recording.Recording | undefined {
    this.contentEnds()
    this.#settle()
    const events = this.#events
    const first = events[0]
    if (first?._tag !== "Connecting") return undefined
    if (!events.some(({ _tag }) => tells.has(_tag))) return undefined
    const { note } = this.#options
    return {
      header: {
        format: "postern-recording",
        version: Recording.version,
        by,
        ...this.#startedAt === undefined ? {} : { startedAt: new Date(this.#startedAt).toISOString() },
        endpoint: { host: first.host, port: first.port },
        mode: modeOf(events),
        policy: this.#policy,
        ...note === undefined ? {} : { note }
      },
      events
    }
  }

  #newRedactor(): Redactor {
    return new Redactor({ policy: this.#policy, key: this.#key })
  }

  #push(event: Bare<Recording.Event>, at = this.#at): void {
    this.#events.push({ ...event, at, connection: this.#connection } as Recording.Event)
  }

  #say(from: "client" | "server", line: string): void {
    if (this.#pending?.from !== from || this.#pending.at !== this.#at) this.#settle()
    this.#pending ??= { from, at: this.#at, lines: [] }
    this.#pending.lines.push(line)
  }

  #settle(): void {
    const pending = this.#pending
    this.#pending = undefined
    if (pending === undefined) return
    const octets = utf8.encode(pending.lines.map((line) => `${line}\r\n`).join(""))
    const said = pending.from === "client" ? this.#redactor.sent(octets) : this.#redactor.received(octets)
    for (const event of said) this.#push(event, pending.at)
    // Content is kept track of here: what the redactor makes of an empty one is no matter.
    this.#redactor.flush()
  }

  #sentHidden(line: string, masked: boolean): void {
    this.#settle()
    for (const said of this.#redactor.sent(utf8.encode(`${line}\r\n`))) this.#push(hidden(said, line, masked))
  }

  #contentLine(content: Content, line: string): void {
    const { lines, size } = content
    const octets = utf8.encode(`${line}\r\n`)
    lines.push(octets)
    content.octets += octets.length
    if (size === undefined ? line !== "." : content.octets < size) return
    this.#content = undefined
    this.#settle()
    // A chunk may end within a line.
    const whole = Bytes.concat(lines).subarray(0, size)
    this.#push({
      _tag: "ContentSent",
      octets: whole.length,
      sha256: Crypto.createHash("sha256").update(whole).digest("hex"),
      ...this.#policy.content === "whole" ? { whole } : {}
    })
  }
}

/** A line that gives something away, whatever the redactor took it for. */
const hidden = (said: Said, line: string, masked: boolean): Said => {
  if (said._tag === "SentHidden") return masked ? { ...said, hidden: {} } : said
  const mechanism = /^AUTH[ \t]+[\w-]+$/i.test(line)
  return mechanism ? said : { _tag: "SentHidden", line: "", hidden: masked ? {} : { octets: utf8.encode(line).length } }
}

const modeOf = (events: ReadonlyArray<Recording.Event>): "plain" | "startTls" | "tls" => {
  const own = events.filter(({ connection }) => connection === 0)
  const handshake = own.findIndex(({ _tag }) => _tag === "HandshakeStarted")
  if (handshake === -1) return "plain"
  return own.slice(0, handshake).some(({ _tag }) => _tag === "Received") ? "startTls" : "tls"
}
