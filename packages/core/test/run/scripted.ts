/**
 * A `Transport` whose other side follows a script: what the client must write, octet for
 * octet, and what it then reads, or what breaks. A client that departs from the script
 * dies of an error that says how; it never waits for ever where the script does not say so.
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
  Transport
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Duration, Effect, Exit, Layer, Redacted, Result, type Scope } from "effect"

/** One step of a script. */
export type Step =
  /** The server says this, and the client reads all of it before it writes again. */
  | { readonly _tag: "Says"; readonly bytes: Uint8Array }
  /** The server says this though nobody asked: the client need not read it before it writes. */
  | { readonly _tag: "Interjects"; readonly bytes: Uint8Array }
  /** The client writes exactly this, in as many writes as it likes, the last of which ends here. */
  | { readonly _tag: "Hears"; readonly bytes: Uint8Array }
  /** Time passes before the server goes on. */
  | { readonly _tag: "Waits"; readonly duration: Duration.Input }
  /** A TLS handshake, which may fail. */
  | { readonly _tag: "Handshake"; readonly problem: Transport.TransportProblem | undefined }
  /** The end: reads give `problem` once all that was said is read; writes find nobody. */
  | { readonly _tag: "Ends"; readonly problem: Transport.TransportProblem }
  /** The server does nothing any more: reads, writes and handshakes never end. */
  | { readonly _tag: "Stalls" }

const utf8 = new TextEncoder()
const octets = (text: string | Uint8Array): Uint8Array => typeof text === "string" ? utf8.encode(text) : text
/** Lines with their CRLF. */
export const lines = (...all: ReadonlyArray<string>): string => all.map((line) => `${line}\r\n`).join("")

export const says = (...text: ReadonlyArray<string>): Step => ({ _tag: "Says", bytes: octets(lines(...text)) })
export const saysBytes = (bytes: string | Uint8Array): Step => ({ _tag: "Says", bytes: octets(bytes) })
export const interjects = (bytes: string | Uint8Array): Step => ({ _tag: "Interjects", bytes: octets(bytes) })
export const hears = (...text: ReadonlyArray<string>): Step => ({ _tag: "Hears", bytes: octets(lines(...text)) })
export const hearsBytes = (bytes: string | Uint8Array): Step => ({ _tag: "Hears", bytes: octets(bytes) })
export const waits = (duration: Duration.Input): Step => ({ _tag: "Waits", duration })
export const handshake = (problem?: Transport.TransportProblem): Step => ({ _tag: "Handshake", problem })
export const ends: Step = { _tag: "Ends", problem: { _tag: "Closed" } }
export const resets: Step = { _tag: "Ends", problem: { _tag: "Broken", code: "ECONNRESET", detail: "reset by peer" } }
export const stalls: Step = { _tag: "Stalls" }
/** A client that says QUIT and is answered. */
export const quits: ReadonlyArray<Step> = [hears("QUIT"), says("221 bye"), ends]

/** What was seen of the client. */
export interface Seen {
  /** Every write, as text. */
  readonly writes: Array<string>
  /** How often it connected. */
  opened: number
  /** How many of these connections it closed. */
  closed: number
  /** Scripts that were not followed to their end, as text. */
  readonly left: () => ReadonlyArray<string>
}

export interface Options {
  /** Cuts what the server says into what single reads give. */
  readonly chunk?: ((bytes: Uint8Array) => ReadonlyArray<Uint8Array>) | undefined
  /** What becomes of dialling; `"never"`: it takes for ever. */
  readonly dial?: Transport.TransportProblem | "never" | undefined
}

/** Octet by octet. */
export const single = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

/** A transport for as many connections as there are scripts, and what was seen on it. */
export const make = (scripts: ReadonlyArray<ReadonlyArray<Step>>, options: Options = {}) => {
  const wires: Array<ScriptedWire> = []
  const seen: Seen = {
    writes: [],
    opened: 0,
    closed: 0,
    left: () => wires.flatMap((wire) => wire.rest())
  }
  const dial = Effect.suspend(() => {
    if (options.dial === "never") return Effect.never
    if (options.dial !== undefined) return Effect.fail(new Transport.TransportError({ reason: options.dial }))
    const script = scripts[seen.opened++]
    if (script === undefined) {
      return departed(`it connects for the ${seen.opened}th time, and there is no script for that`)
    }
    const wire = new ScriptedWire(script, seen, options.chunk ?? ((bytes) => [bytes]))
    wires.push(wire)
    return Effect.succeed(wire)
  })
  const transport: Transport.Transport["Service"] = {
    open: () =>
      Effect.acquireRelease(dial, (wire) =>
        Effect.sync(() => {
          wire.open = false
          seen.closed++
        }), { interruptible: true })
  }
  return { seen, transport, layer: Layer.succeed(Transport.Transport, transport) }
}

const departed = (how: string): Effect.Effect<never> => Effect.die(new Error(`The client left the script: ${how}`))
const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

class ScriptedWire implements Transport.Wire {
  readonly script: ReadonlyArray<Step>
  readonly seen: Seen
  readonly chunk: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>
  at = 0
  open = true
  /** Octets of the `Hears` at hand that were written. */
  heard = 0
  /** What has arrived and was not read, and whether it must be before a write. */
  readonly inbox: Array<{ readonly bytes: Uint8Array; readonly asked: boolean }> = []

  constructor(script: ReadonlyArray<Step>, seen: Seen, chunk: Options["chunk"] & {}) {
    this.script = script
    this.seen = seen
    this.chunk = chunk
  }

  // The step at hand, once all that the server says before it has arrived.
  arrive(): Step | undefined {
    for (
      let step = this.script[this.at];
      step?._tag === "Says" || step?._tag === "Interjects";
      step = this.script[++this.at]
    ) {
      for (const bytes of this.chunk(step.bytes)) this.inbox.push({ bytes, asked: step._tag === "Says" })
    }
    return this.script[this.at]
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    if (!this.open) return failed({ _tag: "Closed" })
    const step = this.arrive()
    const next = this.inbox.shift()
    if (next !== undefined) return Effect.succeed(next.bytes)
    switch (step?._tag) {
      case "Ends":
        return failed(step.problem)
      case "Stalls":
        return Effect.never
      case "Waits":
        return Effect.flatMap(Effect.sleep(step.duration), () => {
          this.at++
          return this.read
        })
      default:
        return departed(`it reads where ${this.expected(step)}`)
    }
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      if (!this.open) return failed({ _tag: "Closed" })
      const step = this.arrive()
      this.seen.writes.push(text(bytes))
      const unread = this.inbox.find(({ asked }) => asked)
      if (unread !== undefined) return departed(`it writes ${quote(bytes)} and has not read ${quote(unread.bytes)}`)
      if (step?._tag === "Ends") return failed({ _tag: "Broken", code: "EPIPE", detail: "broken pipe" })
      if (step?._tag === "Stalls") return Effect.never
      if (step?._tag !== "Hears") return departed(`it writes ${quote(bytes)} where ${this.expected(step)}`)
      const wanted = step.bytes.subarray(this.heard, this.heard + bytes.length)
      if (text(wanted) !== text(bytes)) {
        return departed(`it writes ${quote(bytes)} where ${quote(step.bytes.subarray(this.heard))} is expected`)
      }
      this.heard += bytes.length
      if (this.heard === step.bytes.length) {
        this.heard = 0
        this.at++
      }
      return Effect.void
    })

  readonly upgradeTls = (_options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      const [first] = this.inbox
      const asked = this.script[this.at]
      if (asked?._tag === "Says" && first === undefined) return failed({ _tag: "NotTls", firstBytes: asked.bytes })
      const step = this.arrive()
      if (this.inbox.length > 0) {
        return failed({
          _tag: "PlaintextBuffered",
          bytes: utf8.encode(this.inbox.map(({ bytes }) => text(bytes)).join(""))
        })
      }
      switch (step?._tag) {
        case "Handshake":
          this.at++
          return step.problem === undefined ? Effect.succeed(Explore.tlsFacts) : failed(step.problem)
        case "Ends":
          return failed(step.problem)
        case "Stalls":
          return Effect.never
        default:
          return departed(`it begins a TLS handshake where ${this.expected(step)}`)
      }
    })

  expected(step: Step | undefined): string {
    if (step === undefined) return "the script is over"
    switch (step._tag) {
      case "Hears":
        return `${quote(step.bytes.subarray(this.heard))} is to be written`
      case "Waits":
        return `the server takes ${Duration.format(Duration.fromInputUnsafe(step.duration))} to answer`
      default:
        return `the script says ${step._tag}`
    }
  }

  // What a client owes to the script: all but the end, which need not be noticed.
  rest(): ReadonlyArray<string> {
    const unheard = this.script.slice(this.at).filter(({ _tag }) => _tag !== "Ends" && _tag !== "Stalls")
    const unread = this.inbox.filter(({ asked }) => asked).map(({ bytes }) => `unread ${quote(bytes)}`)
    return [...unread, ...unheard.map((step) => "bytes" in step ? `${step._tag} ${quote(step.bytes)}` : step._tag)]
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes)
const quote = (bytes: Uint8Array): string => JSON.stringify(text(bytes.subarray(0, 200)))

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
  const { layer, seen } = make([script], options)
  const events: Array<Transcript.Event> = []
  const observe = (event: Transcript.Event) => Effect.sync(() => void events.push(event))
  const result = yield* Connection.open({ peer, security: options.security ?? "plain", ...options, observe }).pipe(
    Effect.flatMap((connection) => Effect.provideService(use(connection), Program.Connection, connection)),
    Effect.scoped,
    Effect.provide(layer),
    Effect.result
  )
  const left = seen.left()
  if (left.length > 0) return yield* departed(`it did not come to ${left.join(", ")}`)
  if (seen.opened !== seen.closed) return yield* departed("it did not close the wire")
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
        "RCPT TO:<dan@d.example>"
      )
    ]],
    ["Rcpt", [says("250 sender ok", "250 ben ok")]],
    ["Data", [says("550 5.1.1 no such user", "250 dan ok"), hears("DATA")]],
    ["Content", [says("354 go ahead"), hearsBytes(content)]]
  ]
  return all.slice(0, all.findIndex(([name]) => name === answered) + 1).flatMap(([, steps]) => steps)
}
