/**
 * One connection of a replay: reads give what was received, and what is written must be what
 * was sent. Both sides are compared redacted.
 */
import { type ChannelBinding, Transport } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Departure, exactly, quote } from "../script/Departure.ts"
import type { Key } from "./Key.ts"
import type { Event, Hidden, Policy } from "./Recording.ts"
import { Redactor, type Said } from "./Redactor.ts"

/**
 * What may differ from the recording: the domain said in EHLO; header fields and boundaries of
 * content, compared where the recording has content whole; content altogether. Where content
 * may differ so may its size, in MAIL and in BDAT.
 */
export type Lenience = "ehloDomain" | "messageId" | "date" | "boundary" | "content"

/** What a wire is made of. */
export interface Script {
  readonly connection: number
  /** Undefined where the recording has no such connection. */
  readonly events: ReadonlyArray<Event> | undefined
  readonly key: Key | undefined
  readonly policy: Policy
  readonly lenient: ReadonlyArray<Lenience>
  readonly until: (at: number) => Effect.Effect<void>
  readonly depart: (departure: Departure) => Effect.Effect<never>
}

type FromClient =
  | { readonly _tag: "Line"; readonly octets: Uint8Array }
  | { readonly _tag: "Hidden"; readonly line: string; readonly hidden: Hidden }
  | {
    readonly _tag: "Content"
    readonly octets: number | undefined
    readonly sha256: string | undefined
    readonly whole: Uint8Array | undefined
  }

type Item =
  | { readonly _tag: "Client"; readonly at: number; readonly said: FromClient }
  | { readonly _tag: "Event"; readonly at: number; readonly event: Event }

const LF = 10

// A write may hold several lines, and be cut elsewhere in a replay: lines are what is compared.
const lines = (octets: Uint8Array): ReadonlyArray<FromClient> => {
  const found: Array<FromClient> = []
  for (let at = 0; at < octets.length;) {
    const end = octets.indexOf(LF, at)
    const next = end === -1 ? octets.length : end + 1
    found.push({ _tag: "Line", octets: octets.subarray(at, next) })
    at = next
  }
  return found
}

const fromClient = (said: Said | Event): ReadonlyArray<FromClient> | undefined => {
  switch (said._tag) {
    case "Sent":
      return lines(said.data)
    case "SentHidden":
      return [{ _tag: "Hidden", line: said.line, hidden: said.hidden }]
    case "ContentSent":
      return [{ _tag: "Content", octets: said.octets, sha256: said.sha256, whole: said.whole }]
    default:
      return undefined
  }
}

const items = (events: ReadonlyArray<Event>): ReadonlyArray<Item> =>
  events.flatMap((event): ReadonlyArray<Item> => {
    if (event._tag === "Connecting" || event._tag === "Connected" || event._tag === "Random") return []
    return fromClient(event)?.map((said) => ({ _tag: "Client", at: event.at, said }))
      ?? [{ _tag: "Event", at: event.at, event }]
  })

const latin1 = (octets: Uint8Array): string => new TextDecoder("latin1").decode(octets)

const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

export class ReplayedWire implements Transport.Wire {
  readonly #script: Script
  readonly #items: ReadonlyArray<Item>
  readonly #redactor: Redactor
  readonly #before: Array<string> = []
  #at = 0
  #open = false
  #departed = false

  constructor(script: Script) {
    this.#script = script
    this.#items = items(script.events ?? [])
    this.#redactor = new Redactor({ policy: script.policy, key: script.key })
  }

  /** Becomes of dialling what became of it then. */
  connect(peer: Transport.Peer): Effect.Effect<this, Transport.TransportError> {
    return Effect.suspend(() => {
      const { events, until } = this.#script
      const asked = events?.find((event) => event._tag === "Connecting")
      const connects = `connects to ${peer.host}:${peer.port}`
      if (events === undefined || asked === undefined) {
        return this.#depart("it opens a connection that the recording does not have", undefined, connects)
      }
      if (asked.host !== peer.host || asked.port !== peer.port) {
        return this.#depart("it connects elsewhere", `connects to ${asked.host}:${asked.port}`, connects)
      }
      const failure = events.find((event) => event._tag === "Failed" && event.operation === "connect")
      if (failure?._tag === "Failed") return Effect.andThen(until(failure.at), failed(problem(failure.problem)))
      const connected = events.find((event) => event._tag === "Connected")
      // Recorded as given up by the client: it never comes about.
      if (connected === undefined) return Effect.never
      return Effect.map(until(connected.at), () => {
        this.#open = true
        return this
      })
    })
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    if (!this.#open) return failed({ _tag: "Closed" })
    const item = this.#items[this.#at]
    if (item === undefined) {
      return this.#depart("the recording ends here: it was taken while the connection was open", undefined, "reads")
    }
    if (item._tag === "Client") {
      return this.#depart("it waits for the server, which had heard more by then", shown(item.said), "reads")
    }
    const { event } = item
    switch (event._tag) {
      case "Received":
        return this.#hear(event.at, event.data)
      case "ReceivedHidden": {
        const hidden = this.#unseal(event.hidden)
        return hidden === undefined
          ? this.#depart(
            "the recording hides what comes next: replay it with the key that it was recorded with",
            `${event.line}<${event.hidden.octets ?? "?"} octets, hidden>`,
            "reads"
          )
          : this.#hear(event.at, Buffer.concat([Buffer.from(event.line), hidden, Buffer.from("\r\n")]))
      }
      case "Failed":
        if (event.operation !== "read") return this.#depart("it reads", described(event), "reads")
        this.#at++
        return Effect.andThen(this.#script.until(event.at), failed(problem(event.problem)))
      case "Closed":
        // The client gave up waiting: so it shall.
        return Effect.never
      default:
        return this.#depart("it reads", described(event), "reads")
    }
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      if (!this.#open) return failed({ _tag: "Closed" })
      const departed = this.#compareAll(this.#redactor.sent(bytes))
        ?? (this.#breaksOff() ? this.#compareAll(this.#redactor.flush()) : undefined)
      if (departed !== undefined) return departed
      const item = this.#items[this.#at]
      if (item?._tag !== "Event") return Effect.void
      if (item.event._tag === "Failed" && item.event.operation === "write") {
        this.#at++
        return Effect.andThen(this.#script.until(item.at), failed(problem(item.event.problem)))
      }
      // It was the last that the client did: it may have been held up until it gave up.
      return item.event._tag === "Closed" ? this.#script.until(item.at) : Effect.void
    })

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      const [started, ended] = [this.#items[this.#at], this.#items[this.#at + 1]]
      const begins = `begins a TLS handshake with ${options.serverName}`
      if (started?._tag !== "Event" || started.event._tag !== "HandshakeStarted") {
        return this.#depart("it begins a TLS handshake", started && itemShown(started), begins)
      }
      if (started.event.serverName !== options.serverName) {
        return this.#depart("it asks for another server", described(started.event), begins)
      }
      this.#at += 1
      this.#before.push("-- TLS")
      const event = ended?._tag === "Event" ? ended.event : undefined
      switch (event?._tag) {
        case "TlsEstablished":
          this.#at++
          this.#redactor.tlsEstablished()
          return Effect.as(this.#script.until(event.at), {
            version: event.version,
            cipher: event.cipher,
            serverName: event.serverName,
            verifiedBy: event.verifiedBy,
            certificate: event.certificate,
            channelBindings: event.channelBindings.map(({ hidden, type }): ChannelBinding.ChannelBinding => ({
              type,
              data: this.#unseal(hidden) ?? new Uint8Array(hidden.octets ?? 0)
            }))
          })
        case "Failed":
          this.#at++
          return Effect.andThen(this.#script.until(event.at), failed(problem(event.problem)))
        default:
          return Effect.never
      }
    })

  close(): void {
    this.#open = false
  }

  /** What the recording has and the program did not come to: all but the end. */
  unfinished(): Departure | undefined {
    const next = this.#items.slice(this.#at).find((item) =>
      item._tag === "Client" || (item.event._tag !== "Closed" && item.event._tag !== "Failed")
    )
    if (next === undefined || this.#departed) return undefined
    return next._tag === "Event" && next.event._tag === "Truncated"
      ? this.#departure(truncated, undefined, "it stops")
      : this.#departure("it stops here, and the recording goes on", itemShown(next), undefined)
  }

  #hear(at: number, octets: Uint8Array): Effect.Effect<Uint8Array> {
    return Effect.map(this.#script.until(at), () => {
      this.#at++
      this.#redactor.received(octets)
      for (const line of latin1(octets).split(/(?<=\n)/)) this.#before.push(`S: ${quote(line)}`)
      return octets
    })
  }

  #unseal({ sealed }: Hidden): Uint8Array | undefined {
    const { key } = this.#script
    return key === undefined || sealed === undefined ? undefined : Result.getOrUndefined(key.unseal(sealed))
  }

  // Whether the client was cut off here, in the middle of a line or of content.
  #breaksOff(): boolean {
    const [item, next] = [this.#items[this.#at], this.#items[this.#at + 1]]
    if (item?._tag !== "Client" || next?._tag === "Client") return false
    const { pending } = this.#redactor
    return pending > 0 && pending === sizeOf(item.said)
  }

  #compareAll(all: ReadonlyArray<Said>): Effect.Effect<never> | undefined {
    for (const said of all.flatMap((said) => fromClient(said) ?? [])) {
      const departed = this.#compare(said)
      if (departed !== undefined) return departed
    }
    return undefined
  }

  #compare(said: FromClient): Effect.Effect<never> | undefined {
    const item = this.#items[this.#at]
    if (item?._tag !== "Client") {
      const expected = item === undefined ? undefined : itemShown(item)
      return this.#depart(item === undefined ? "it says more" : "it speaks out of turn", expected, shown(said))
    }
    const difference = this.#difference(item.said, said)
    if (difference !== undefined) return this.#depart(difference, ...contrast(item.said, said))
    this.#before.push(`C: ${shown(said)}`)
    this.#at++
    return undefined
  }

  #difference(expected: FromClient, actual: FromClient): string | undefined {
    const may = (lenience: Lenience) => this.#script.lenient.includes(lenience)
    const sized = (line: string) =>
      this.#script.lenient.every((lenience) => lenience === "ehloDomain")
        ? line
        : line.replace(/^(MAIL FROM:.*? SIZE=|BDAT )\d+/i, "$1")
    if (expected._tag === "Line" && actual._tag === "Line") {
      const [before, now] = [expected.octets, actual.octets].map((octets) =>
        sized(may("ehloDomain") ? latin1(octets).replace(/^(EHLO|HELO|LHLO) .*/i, "$1") : latin1(octets))
      )
      return before === now ? undefined : "it says something else"
    }
    if (expected._tag === "Hidden" && actual._tag === "Hidden") {
      const [before, now] = [expected.hidden, actual.hidden]
      if (expected.line !== actual.line) return "it says something else"
      if (before.octets !== undefined && before.octets !== now.octets) {
        return "it says something else where it is hidden"
      }
      return before.hash === undefined || now.hash === undefined || before.hash === now.hash
        ? undefined
        : "it says something else where it is hidden: another secret, or another nonce"
    }
    if (expected._tag === "Content" && actual._tag === "Content") {
      if (may("content") || expected.sha256 === undefined || expected.sha256 === actual.sha256) return undefined
      const header = this.#script.lenient.filter((lenience) => lenience !== "ehloDomain")
      if (header.length === 0) return "it sends other content"
      if (expected.whole === undefined || actual.whole === undefined) {
        return "it sends other content, of which the recording has the hash alone: record it whole, or let \"content\" differ"
      }
      return masked(expected.whole, header) === masked(actual.whole, header) ? undefined : "it sends other content"
    }
    return "it says something else"
  }

  #departure(how: string, expected: string | undefined, actual: string | undefined): Departure {
    return new Departure({
      how,
      connection: this.#script.connection,
      event: this.#at + 1,
      expected,
      actual,
      before: [...this.#before]
    })
  }

  #depart(how: string, expected: string | undefined, actual: string | undefined): Effect.Effect<never> {
    this.#departed = true
    const item = this.#items[this.#at]
    return this.#script.depart(
      item?._tag === "Event" && item.event._tag === "Truncated"
        ? this.#departure(truncated, undefined, actual)
        : this.#departure(how, expected, actual)
    )
  }
}

const problem = (recorded: Extract<Event, { readonly _tag: "Failed" }>["problem"]): Transport.TransportProblem =>
  recorded._tag === "NotTls" ? { _tag: "NotTls", firstBytes: recorded.firstBytes } : recorded

const truncated = "the recording was truncated here: record with a larger bound"

const sizeOf = (said: FromClient): number | undefined => {
  switch (said._tag) {
    case "Line":
      return said.octets.length
    case "Hidden":
      return undefined
    case "Content":
      return said.octets
  }
}

/** What differs, as a diff shows it. */
const contrast = (expected: FromClient, actual: FromClient): readonly [string, string] =>
  expected._tag === "Content" && actual._tag === "Content" && expected.whole !== undefined && actual.whole !== undefined
    ? [exactly(expected.whole), exactly(actual.whole)]
    : [shown(expected), shown(actual)]

const shown = (said: FromClient): string => {
  switch (said._tag) {
    case "Line":
      return exactly(said.octets)
    case "Hidden":
      return `${said.line}<${said.hidden.octets ?? "?"} octets, hidden${
        said.hidden.hash === undefined ? "" : `, ${said.hidden.hash.slice(0, 8)}…`
      }>`
    case "Content":
      return `<content: ${said.octets ?? "?"} octets, SHA-256 ${said.sha256?.slice(0, 8) ?? "?"}…>`
  }
}

const itemShown = (item: Item): string => item._tag === "Client" ? shown(item.said) : described(item.event)

const described = (event: Event): string => {
  switch (event._tag) {
    case "Received":
      return `the server says ${quote(event.data)}`
    case "ReceivedHidden":
      return `the server says ${event.line}<hidden>`
    case "HandshakeStarted":
      return `begins a TLS handshake with ${event.serverName}`
    case "Failed":
      return `the ${event.operation} fails: ${event.problem._tag}`
    default:
      return event._tag
  }
}

/** Content without what may differ. */
const masked = (content: Uint8Array, lenient: ReadonlyArray<Lenience>): string => {
  let text = latin1(content)
  const field = (name: string) => {
    text = text.replace(new RegExp(`^${name}:.*(?:\\r\\n[ \\t].*)*`, "im"), `${name}:`)
  }
  if (lenient.includes("messageId")) field("Message-ID")
  if (lenient.includes("date")) field("Date")
  if (lenient.includes("boundary")) {
    const boundaries = [...text.matchAll(/\bboundary="?([^"\r\n;]+)"?/gi)].map(([, boundary = ""]) => boundary)
    for (const [i, boundary] of boundaries.entries()) text = text.replaceAll(boundary, `boundary-${i}`)
  }
  return text
}
