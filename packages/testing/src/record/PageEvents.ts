/**
 * What a person wants to know about a recording, read out of its events: which reply answers
 * which command, how long each phase took, what was said within AUTH, and what went wrong.
 */
import { EnhancedStatus, Expect, Phase as CorePhase } from "@postern/core"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { Event, Hidden, Recording } from "./Recording.ts"

/** Where in a session something was said: core's phases, without the one that comes before any connection. */
export type Phase = Exclude<CorePhase.Phase, "input">

/** In the order in which most sessions have them. `idle`: nothing was asked, nothing owed. */
export const phases: ReadonlyArray<Phase> = CorePhase.Phase.literals.filter((phase) => phase !== "input")

/** A line of a reply that answers something, and what it says. */
export interface Answer {
  readonly code: number
  readonly status: EnhancedStatus.EnhancedStatus | undefined
  /** What it answers: `the greeting`, `to the content`, `to QUIT`. Undefined where nothing was asked. */
  readonly to: string | undefined
  /** What the code means at this step, where it means more there than its first digit tells. */
  readonly meaning: string | undefined
  /** The reply goes on in the next line. */
  readonly more: boolean
}

/** A line without its end. */
export interface Line {
  readonly text: string
  readonly answer?: Answer | undefined
}

/** One message of an exchange within AUTH. */
export interface SaslStep {
  /** That of the event. */
  readonly number: number
  readonly from: "client" | "server"
  readonly kind: "initial response" | "challenge" | "response" | "cancellation"
  readonly mechanism: string
  /** How many its side said before it within the exchange; an empty challenge that only lets the client begin is none. */
  readonly index: number | undefined
  readonly hidden?: Hidden | undefined
  /** What was decoded of it; octets where that is no text. */
  readonly shown?: string | Uint8Array | undefined
}

export interface Exchange {
  readonly mechanism: string
  readonly steps: Array<SaslStep>
  /** The reply at its end, and the event that has it. */
  outcome: { readonly code: number; readonly number: number } | undefined
}

/** An event with what its neighbours tell about it. */
export interface Entry {
  /** Counted from 1 through the whole recording. */
  readonly number: number
  readonly event: Event
  readonly phase: Phase
  /** Milliseconds since the event before it on the same connection. */
  readonly delta: number
  readonly lines: ReadonlyArray<Line>
  readonly steps: ReadonlyArray<SaslStep>
  /** It is a failure or a gap. A server that closes after QUIT is none. */
  readonly broken: boolean
}

/** Something that a reader should see at once, in the event of this number. */
export type Trouble =
  /** The last line of a reply, and what it refuses. */
  | { readonly number: number; readonly kind: "refusal"; readonly text: string; readonly to: string | undefined }
  | { readonly number: number; readonly kind: "failure"; readonly event: Failed }
  /** `doubt`: content was sent, and no reply to it came. */
  | { readonly number: number; readonly kind: "doubt" | "gap" }

export type Failed = Extract<Event, { readonly _tag: "Failed" }>

export interface Connection {
  readonly connection: number
  readonly entries: Array<Entry>
  readonly exchanges: Array<Exchange>
  readonly troubles: Array<Trouble>
  /** Milliseconds, and how many of them the client waited for the other side. */
  readonly spent: Map<Phase, { total: number; waited: number }>
  /** Messages that the server took. Over LMTP, one for each recipient. */
  accepted: number
}

/** Reads the events of every connection, in one pass. */
export const read = (recording: Recording): ReadonlyArray<Connection> => {
  const readers = new Map<number, Reader>()
  for (const [index, event] of recording.events.entries()) {
    let reader = readers.get(event.connection)
    if (reader === undefined) {
      reader = new Reader(event.connection)
      readers.set(event.connection, reader)
    }
    reader.take(event, index + 1)
  }
  return [...readers.values()].map((reader) => reader.end())
}

/** Octets as text, where they are UTF-8. */
export const textOf = (octets: Uint8Array): string | undefined => {
  try {
    return utf8.decode(octets)
  } catch {
    return undefined
  }
}

/** Whole lines; what is no UTF-8 has its octets in hexadecimal. */
export const linesOf = (octets: Uint8Array): Array<string> => {
  const text = textOf(octets)
    ?? Array.from(octets, (octet) => octet < 128 ? String.fromCharCode(octet) : `⟨${hex(octet)}⟩`).join("")
  const lines = text.split("\r\n")
  if (lines.at(-1) === "") lines.pop()
  else lines.push(`${lines.pop() ?? ""}${unfinished}`)
  return lines
}

/** Stands where the end of a line is missing. */
export const unfinished = "⟨no line end⟩"

/** What the client waits for. */
interface Awaited {
  readonly step: Expect.Step | undefined
  readonly phase: Phase
  readonly to: string
  /** A reply that says yes takes a message. */
  readonly takes: boolean
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const hex = (octet: number): string => octet.toString(16).toUpperCase().padStart(2, "0")

const greeting: Awaited = { step: "Greeting", phase: "greeting", to: "the greeting", takes: false }
const content: Awaited = { step: "Content", phase: "content", to: "to the content", takes: true }

const phaseOfVerb: Readonly<Record<string, Phase | undefined>> = Object.assign(Object.create(null), {
  EHLO: "hello",
  HELO: "hello",
  LHLO: "hello",
  STARTTLS: "tls",
  AUTH: "authentication",
  MAIL: "envelope",
  RCPT: "envelope",
  DATA: "content",
  BDAT: "content",
  QUIT: "quit"
})

// The first row of a verb: those of a response within AUTH come after it.
const stepOfVerb = new Map<string, Expect.Step>()
for (const [step, { verb }] of Object.entries(Expect.table)) {
  const word = verb.split(" ")[0] ?? ""
  if (!stepOfVerb.has(word)) stepOfVerb.set(word, step as Expect.Step)
}

const meaningOf = (step: Expect.Step | undefined, code: number): string | undefined =>
  code === 421 ? "the server ends the session" : step === undefined ? undefined : Expect.meaning(step, code)

/** Follows one connection. */
class Reader {
  readonly found: Connection
  #at: number | undefined = undefined
  #phase: Phase = "connect"
  #awaited: Array<Awaited> = [greeting]
  /** Those of `#awaited` that were answered. */
  #answered = 0
  #exchange: Exchange | undefined = undefined
  #said = { client: 0, server: 0 }
  #lmtp = false
  #recipients = 0
  #resting = false
  #quit = false
  #contentEvent: number | undefined = undefined

  constructor(connection: number) {
    this.found = { connection, entries: [], exchanges: [], troubles: [], spent: new Map(), accepted: 0 }
  }

  take(event: Event, number: number): void {
    const delta = Math.max(0, event.at - (this.#at ?? event.at))
    this.#at = event.at
    const before = this.#phase
    const lines: Array<Line> = []
    const steps: Array<SaslStep> = []
    let phase = this.#phaseOf(event)
    let waited = true
    switch (event._tag) {
      case "Sent":
        waited = false
        if (this.#resting) phase = "idle"
        this.#resting = false
        for (const text of linesOf(event.data)) {
          lines.push({ text })
          this.#command(text, number, steps)
        }
        break
      case "SentHidden":
        waited = false
        lines.push({ text: event.line })
        this.#secret(event.line, event.hidden, number, steps)
        break
      case "Received":
        for (const text of linesOf(event.data)) lines.push({ text, answer: this.#line(text, undefined, number, steps) })
        break
      case "ReceivedHidden":
        lines.push({ text: event.line, answer: this.#line(event.line, event.hidden, number, steps) })
        break
      case "ContentSent":
        waited = false
        this.#contentEvent = number
        break
      case "TlsEstablished":
        // What was owed before the handshake is owed no more.
        if (this.#answered > 0) this.#awaited = []
        this.#answered = 0
        break
      case "Failed":
        if (!this.#quit || event.problem._tag !== "Closed") this.found.troubles.push({ number, kind: "failure", event })
        break
      case "Truncated":
        this.found.troubles.push({ number, kind: "gap" })
        break
      case "Closed":
        phase = this.#resting ? "idle" : this.#quit ? "quit" : before
        waited = false
        break
      case "Random":
        waited = false
    }
    const spent = this.found.spent.get(phase) ?? { total: 0, waited: 0 }
    spent.total += delta
    if (waited) spent.waited += delta
    this.found.spent.set(phase, spent)
    const trouble = this.found.troubles.at(-1)
    const broken = trouble?.number === number && trouble.kind !== "refusal"
    this.found.entries.push({ number, event, phase, delta, lines, steps, broken })
    for (const step of steps) this.#exchange?.steps.push(step)
    if (this.#exchange?.outcome !== undefined) this.#exchange = undefined
  }

  end(): Connection {
    const owed = this.#awaited.slice(this.#answered).some(({ takes }) => takes)
    if (owed && this.#contentEvent !== undefined) {
      this.found.troubles.unshift({ number: this.#contentEvent, kind: "doubt" })
    }
    return this.found
  }

  #phaseOf(event: Event): Phase {
    switch (event._tag) {
      case "Connecting":
      case "Connected":
        return this.#phase = "connect"
      case "HandshakeStarted":
      case "TlsEstablished":
        return this.#phase = "tls"
      case "Received":
      case "ReceivedHidden":
        return this.#phase = this.#awaited[this.#answered]?.phase ?? this.#phase
      case "Sent": {
        const verb = /^[A-Za-z]{4,8}/.exec(textOf(event.data.subarray(0, 8)) ?? "")?.[0].toUpperCase() ?? ""
        return this.#phase = phaseOfVerb[verb] ?? this.#phase
      }
      case "SentHidden":
        return this.#phase = "authentication"
      case "ContentSent":
        return this.#phase = "content"
      case "Failed":
        return event.operation === "connect"
          ? "connect"
          : event.operation === "handshake"
          ? "tls"
          : this.#awaited[this.#answered]?.phase ?? this.#phase
      default:
        return this.#phase
    }
  }

  #command(text: string, number: number, steps: Array<SaslStep>): void {
    if (this.#exchange !== undefined) {
      this.#step(text === "*" ? "cancellation" : "response", number, steps, {})
      this.#awaited.push({
        step: "Auth",
        phase: "authentication",
        to: text === "*" ? "to the AUTH cancellation" : "to the AUTH response",
        takes: false
      })
      return
    }
    // A log may begin after the greeting.
    if (this.#awaited[this.#answered] === greeting) this.#answered++
    const verb = /^[A-Za-z]+/.exec(text)?.[0].toUpperCase() ?? ""
    if (verb === "LHLO") this.#lmtp = true
    if (verb === "MAIL") this.#recipients = 0
    if (verb === "QUIT") this.#quit = true
    // Its content comes after it; that of chunks before a last one of 0 octets came already.
    if (/^BDAT[ \t]+0*[1-9]/i.test(text)) this.#contentEvent = undefined
    if (verb === "AUTH") this.#begin(/^AUTH[ \t]+(\S+)/i.exec(text)?.[1] ?? "")
    this.#awaited.push({
      step: stepOfVerb.get(verb),
      phase: phaseOfVerb[verb] ?? this.#phase,
      to: `to ${text}`,
      takes: verb === "BDAT" && /[ \t]LAST[ \t]*$/i.test(text)
    })
  }

  #secret(line: string, hidden: Hidden, number: number, steps: Array<SaslStep>): void {
    const mechanism = /^AUTH[ \t]+(\S+)/i.exec(line)?.[1]
    if (mechanism !== undefined) this.#begin(mechanism)
    this.#step(mechanism === undefined ? "response" : "initial response", number, steps, { hidden })
    this.#awaited.push({
      step: "Auth",
      phase: "authentication",
      to: mechanism === undefined ? "to the AUTH response" : `to ${line.trim()}`,
      takes: false
    })
  }

  #begin(mechanism: string): void {
    this.#exchange = { mechanism, steps: [], outcome: undefined }
    this.#said = { client: 0, server: 0 }
    this.found.exchanges.push(this.#exchange)
  }

  #step(
    kind: SaslStep["kind"],
    number: number,
    steps: Array<SaslStep>,
    what: Pick<SaslStep, "hidden" | "shown">
  ): void {
    const from = kind === "challenge" ? "server" : "client"
    const none = kind === "cancellation" || (kind === "challenge" && what.shown === "")
    const mechanism = this.#exchange?.mechanism ?? ""
    // LOGIN's server asks for what comes next: the password, where AUTH brought the user name.
    const index = this.#said[/^LOGIN$/i.test(mechanism) ? "client" : from]
    steps.push({ number, from, kind, mechanism, index: none ? undefined : index, ...what })
    if (!none) this.#said[from]++
  }

  #line(text: string, hidden: Hidden | undefined, number: number, steps: Array<SaslStep>): Answer | undefined {
    const [, digits, separator = "", rest = ""] = /^(\d{3})(?:([ \t-])([^]*))?$/.exec(text) ?? []
    if (digits === undefined) return undefined
    const code = Number(digits)
    const awaited = this.#awaited[this.#answered]
    const more = separator === "-"
    const answer: Answer = {
      code,
      status: EnhancedStatus.fromText(code, rest),
      to: awaited?.to,
      meaning: meaningOf(awaited?.step, code),
      more
    }
    if (!more) this.#reply(answer, awaited, text, hidden, number, steps)
    return answer
  }

  #reply(
    { code, to }: Answer,
    awaited: Awaited | undefined,
    text: string,
    hidden: Hidden | undefined,
    number: number,
    steps: Array<SaslStep>
  ): void {
    if (awaited !== undefined) this.#answered++
    if (code >= 400) this.found.troubles.push({ number, kind: "refusal", text, to })
    if (awaited?.step === "Rcpt" && code < 300) this.#recipients++
    if (awaited?.step === "Data" && code === 354) {
      this.#contentEvent = undefined
      // LMTP answers once for each recipient (RFC 2033 §4.2).
      for (let i = 0; i < (this.#lmtp ? this.#recipients : 1); i++) this.#awaited.push(content)
    }
    if (awaited?.takes === true && code < 300) this.found.accepted++
    this.#resting = awaited?.takes === true || awaited?.step === "Noop" || awaited?.step === "Rset"
    if (this.#exchange === undefined) return
    if (code === 334) {
      const decoded = Base64.decode(text.slice(4))
      this.#step("challenge", number, steps, {
        hidden,
        shown: hidden === undefined ? Result.isSuccess(decoded) ? shown(decoded.success) : text.slice(4) : undefined
      })
    } else this.#exchange.outcome = { code, number }
  }
}

const shown = (octets: Uint8Array): string | Uint8Array => textOf(octets) ?? octets
