/**
 * What is said and not yet written, and what is written and not yet answered: gives the
 * octets that may go to the wire now, several commands and contents in one block where
 * the server has PIPELINING (RFC 2920).
 */
import * as Reason from "../outcome/Reason.ts"
import { blockSize } from "../wire/Content.ts"
import * as CommandLine from "../wire/CommandLine.ts"
import type * as Expect from "../wire/Expect.ts"
import * as Said from "../wire/Said.ts"
import { take } from "../wire/Slab.ts"
import type { Secrets } from "./Secrets.ts"
import type { SessionLog } from "./SessionLog.ts"

/** What the server waits for in place of a command: it would take one for that. */
export type Owed = "response" | "content" | "handshake"

/** A reply to come. */
export interface Expected {
  readonly step: Expect.Step
  /** The number of what it answers. */
  readonly item: number
  readonly said: Said.Said | undefined
}

/** What is to be written, with its line. */
interface Queued {
  readonly said: Said.Said
  readonly line: string
}

/**
 * Replies that may be outstanding when more is written: with more, both sides' buffers
 * could be full, each waiting for the other to read (RFC 2920 §3.1). Replies are at most
 * 512 octets long (RFC 5321 §4.5.3.1.5): these fit into the buffers that sockets have.
 */
const outstanding = 300

/** A block is not copied into another from this size on. */
const large = 16_384

/** What others may be said behind before it is answered; anything else is the last of its group (RFC 2920 §3.1). */
const goOn: ReadonlySet<Said.Said["_tag"]> = new Set<Said.Said["_tag"]>([
  "Mail",
  "Rcpt",
  "Rset",
  "Content",
  "Chunk",
  "Burl"
])

export class Outbox {
  readonly log: SessionLog
  readonly secrets: Secrets
  pipelining = false
  owed: Owed | undefined = undefined
  queue: Array<Queued> = []
  at = 0
  /** How many things were said, and of how many everything was given out. */
  said = 0
  given = 0
  /** The content under way, and a block of it that is next. */
  blocks: Iterator<Uint8Array> | undefined = undefined
  upcoming: Uint8Array | undefined = undefined
  octets = 0
  expected: Array<Expected> = []
  heard = 0
  /** Replies to what was given out that have not come. */
  awaited = 0
  closed = false

  constructor(log: SessionLog, secrets: Secrets) {
    this.log = log
    this.secrets = secrets
  }

  /** Queues it, or tells why it must not be said. */
  push(said: Said.Said): Reason.Reason | undefined {
    const line = lineOf(said)
    if (Said.isLine(said)) {
      this.expected.push({ step: said._tag, item: this.said, said })
    } else {
      for (const step of Said.steps(said)) this.expected.push({ step, item: this.said, said })
    }
    this.queue.push({ said, line })
    this.said++
    return isOneLine(line)
      ? undefined
      : Reason.make("InvalidInput", { what: "a command", problem: "it holds CR, LF or NUL" })
  }

  /** The reply that comes next. */
  get next(): Expected | undefined {
    return this.expected[this.heard]
  }

  /** True when everything was written whose reply is the next. */
  get asked(): boolean {
    const { next } = this
    return next !== undefined && next.item < this.given
  }

  /** Waits for nothing that was said until now. */
  abandon(): void {
    this.expected = []
    this.heard = 0
  }

  /** Takes the next reply for heard. */
  hear(): void {
    if (this.asked) this.awaited--
    this.heard++
    if (this.heard < this.expected.length && this.heard < Math.max(64, this.expected.length >>> 1)) return
    this.expected = this.expected.slice(this.heard)
    this.heard = 0
  }

  /** Octets to write now; undefined when a reply has to come first, or nothing is left. */
  take(): Uint8Array | Reason.Reason | undefined {
    const parts: Array<string | Uint8Array> = []
    let text = ""
    let length = 0
    const add = (octets: Uint8Array): void => {
      if (text !== "") parts.push(text)
      text = ""
      parts.push(octets)
      length += octets.length
    }
    while (length < blockSize) {
      const block = this.upcoming
      if (block !== undefined) {
        if (block.length >= large && length > 0) break
        this.advance()
        if (block.length >= large) return block
        add(block)
        continue
      }
      const queued = this.queue[this.at]
      if (queued === undefined || !this.open(queued.said)) break
      const { line, said } = queued
      const reason = this.forbids(said)
      if (reason !== undefined) return reason
      if (said._tag === "Content") {
        this.begin(said.blocks)
        continue
      }
      text += line
      length += line.length
      if (said._tag === "Chunk") {
        this.log.record({ _tag: "Sent", at: this.log.at(), line: line.slice(0, -2) })
        this.begin(slices(said.octets))
        continue
      }
      this.log.record({ _tag: "Sent", at: this.log.at(), line: shown(said, line) })
      this.secrets.learn(said)
      this.shift(said)
    }
    if (text !== "") parts.push(text)
    return parts.length === 0 ? undefined : join(parts, length)
  }

  begin(blocks: Iterable<Uint8Array>): void {
    this.blocks = blocks[Symbol.iterator]()
    this.advance()
  }

  // Looks for the block behind: with the last one all of the content is given out.
  advance(): void {
    const { upcoming } = this
    if (upcoming !== undefined) {
      this.octets += upcoming.length
      this.log.content(upcoming.length)
    }
    const step = this.blocks?.next()
    this.upcoming = step?.done === false ? step.value : undefined
    if (this.upcoming !== undefined) return
    this.blocks = undefined
    const said = this.queue[this.at]?.said
    if (said?._tag === "Chunk" || (said?._tag === "Content" && said.end)) {
      this.log.record({ _tag: "ContentSent", at: this.log.at(), octets: this.octets })
      this.octets = 0
    }
    if (said !== undefined) this.shift(said)
  }

  shift(said: Said.Said): void {
    this.given++
    this.awaited += said._tag === "Chunk" || said._tag === "Content" ? said.replies : 1
    if (this.owed !== "content" || (said._tag === "Content" && said.end)) this.owed = undefined
    this.closed = !goOn.has(said._tag)
    this.at++
    if (this.at < this.queue.length && this.at < Math.max(64, this.queue.length >>> 1)) return
    this.queue = this.queue.slice(this.at)
    this.at = 0
  }

  // Whether it may be written before the replies that are still to come.
  open(said: Said.Said): boolean {
    if (this.awaited === 0) return true
    if (!this.pipelining || this.closed) return false
    return this.awaited + (Said.isLine(said) ? 1 : said.replies) <= outstanding
  }

  // What the server would not take for what it is.
  forbids(said: Said.Said): Reason.Reason | undefined {
    const { owed } = this
    const fits = owed === undefined
      ? said._tag !== "Content"
      : owed === "content"
      ? said._tag === "Content"
      : owed === "response" && (said._tag === "AuthResponse" || said._tag === "AuthCancel")
    return fits ? undefined : Reason.make("OutOfSequence", {
      step: said._tag === "Chunk" ? "Bdat" : said._tag,
      phase: owed ?? "ready"
    })
  }
}

const lineOf = (said: Said.Said): string => {
  switch (said._tag) {
    case "Content":
      return "\r\n"
    case "Chunk":
      return `BDAT ${said.octets.length}${said.last ? " LAST" : ""}\r\n`
    default:
      return CommandLine.text(said)
  }
}

const shown = (said: Said.Line, line: string): string =>
  secretive.has(said._tag) ? CommandLine.render(said) : line.slice(0, -2)

// Their lines are not shown as they are.
const secretive: ReadonlySet<Said.Line["_tag"]> = new Set<Said.Line["_tag"]>(["Auth", "AuthResponse", "Burl"])

const slices = (octets: Uint8Array): Iterable<Uint8Array> =>
  octets.length <= blockSize ? [octets] : { [Symbol.iterator]: () => sliced(octets) }

function* sliced(octets: Uint8Array): Generator<Uint8Array, undefined> {
  for (let at = 0; at < octets.length; at += blockSize) yield octets.subarray(at, at + blockSize)
}

const utf8 = new TextEncoder()

const join = (parts: ReadonlyArray<string | Uint8Array>, length: number): Uint8Array => {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return typeof only === "string" ? utf8.encode(only) : only
  let out = take(length)
  let at = 0
  for (const part of parts) {
    if (typeof part === "string") {
      const { read, written } = utf8.encodeInto(part, out.subarray(at))
      at += written
      if (read === part.length) continue
      // Characters outside ASCII took more than one octet.
      const rest = utf8.encode(part.slice(read))
      out = larger(out, at, rest.length)
      out.set(rest, at)
      at += rest.length
    } else {
      if (out.length - at < part.length) out = larger(out, at, part.length)
      out.set(part, at)
      at += part.length
    }
  }
  return out.subarray(0, at)
}

const larger = (out: Uint8Array, length: number, more: number): Uint8Array<ArrayBuffer> => {
  const copy = new Uint8Array(out.length + more)
  copy.set(out.subarray(0, length))
  return copy
}

// Types forbid anything else; a value made by force must not reach the wire all the same.
const isOneLine = (line: string): boolean =>
  line.indexOf("\r") === line.length - 2 && line.indexOf("\n") === line.length - 1 && !line.includes("\0")
