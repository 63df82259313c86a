/**
 * One connection to a scripted server.
 */
import { Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { tlsFacts } from "../explore/Explore.ts"
import { Departure, exactly, quote } from "./Departure.ts"
import type { Script, Step } from "./ScriptedServer.ts"

const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

const latin1 = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes)

export class ScriptedWire implements Transport.Wire {
  readonly #connection: number
  readonly #script: Script
  readonly #chunk: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>
  readonly #writes: Array<string>
  readonly #die: (departure: Departure) => Effect.Effect<never>
  readonly #before: Array<string> = []
  #at = 0
  /** Octets of the `Hears` at hand that were written. */
  #heard = 0
  /** What has arrived and was not read, and whether it must be before a write. */
  #inbox: Array<{ readonly bytes: Uint8Array; readonly asked: boolean }> = []
  isClosed = false

  constructor(
    connection: number,
    script: Script,
    chunk: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>,
    writes: Array<string>,
    die: (departure: Departure) => Effect.Effect<never>
  ) {
    this.#connection = connection
    this.#script = script
    this.#chunk = chunk
    this.#writes = writes
    this.#die = die
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    if (this.isClosed) return failed({ _tag: "Closed" })
    const step = this.#arrive()
    const next = this.#inbox.shift()
    if (next !== undefined) {
      this.#before.push(`S: ${quote(next.bytes)}`)
      return Effect.succeed(next.bytes)
    }
    switch (step?._tag) {
      case "Ends":
        return failed(step.problem)
      case "Stalls":
        return Effect.never
      case "Waits":
        return Effect.flatMap(Effect.sleep(step.duration), () => {
          this.#at++
          return this.read
        })
      default:
        return this.#depart("it waits for the server", step, "reads")
    }
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      if (this.isClosed) return failed({ _tag: "Closed" })
      const step = this.#arrive()
      this.#writes.push(latin1(bytes))
      const unread = this.#inbox.find(({ asked }) => asked)
      if (unread !== undefined) {
        return this.#departed("it speaks, and has not read", `the server says ${quote(unread.bytes)}`, quote(bytes))
      }
      if (step?._tag === "Ends") return failed({ _tag: "Broken", code: "EPIPE", detail: "broken pipe" })
      if (step?._tag === "Stalls") return Effect.never
      if (step?._tag !== "Hears") {
        return this.#depart(step === undefined ? "it says more" : "it speaks out of turn", step, exactly(bytes))
      }
      const wanted = step.bytes.subarray(this.#heard, this.#heard + bytes.length)
      if (latin1(wanted) !== latin1(bytes)) return this.#depart("it says something else", step, exactly(bytes))
      this.#before.push(`C: ${quote(bytes)}`)
      this.#heard += bytes.length
      if (this.#heard === step.bytes.length) {
        this.#heard = 0
        this.#at++
      }
      return Effect.void
    })

  readonly upgradeTls = (_options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      const asked = this.#script[this.#at]
      if (asked?._tag === "Says" && this.#inbox.length === 0) {
        return failed({ _tag: "NotTls", firstBytes: asked.bytes })
      }
      const step = this.#arrive()
      if (this.#inbox.length > 0) {
        return failed({ _tag: "PlaintextBuffered", bytes: Bytes.concat(this.#inbox.map(({ bytes }) => bytes)) })
      }
      switch (step?._tag) {
        case "Handshake":
          this.#at++
          this.#before.push("-- TLS")
          return step.problem === undefined ? Effect.succeed(tlsFacts) : failed(step.problem)
        case "Ends":
          return failed(step.problem)
        case "Stalls":
          return Effect.never
        default:
          return this.#depart("it begins a TLS handshake", step, "TLS handshake")
      }
    })

  close(): void {
    this.isClosed = true
  }

  /** What the client owes to the script: all but the end, which need not be noticed. */
  unfinished(): Departure | undefined {
    const unread = this.#inbox.find(({ asked }) => asked)
    if (unread !== undefined) {
      return this.#departure("it stops here, and has not read", `the server says ${quote(unread.bytes)}`, undefined)
    }
    const rest = this.#script.slice(this.#at).find(({ _tag }) => _tag !== "Ends" && _tag !== "Stalls")
    return rest === undefined
      ? undefined
      : this.#departure("it stops here, and the script goes on", this.#shown(rest), undefined)
  }

  // The step at hand, once all that the server says before it has arrived.
  #arrive(): Step | undefined {
    for (
      let step = this.#script[this.#at];
      step?._tag === "Says" || step?._tag === "Interjects";
      step = this.#script[++this.#at]
    ) {
      for (const bytes of this.#chunk(step.bytes)) this.#inbox.push({ bytes, asked: step._tag === "Says" })
    }
    return this.#script[this.#at]
  }

  #shown(step: Step | undefined): string | undefined {
    switch (step?._tag) {
      case undefined:
        return undefined
      case "Hears":
        return exactly(step.bytes.subarray(this.#heard))
      case "Says":
      case "Interjects":
        return `the server says ${quote(step.bytes)}`
      case "Waits":
        return `the server waits ${Duration.format(Duration.fromInputUnsafe(step.duration))}`
      default:
        return step?._tag
    }
  }

  #departure(how: string, expected: string | undefined, actual: string | undefined): Departure {
    const before = [...this.#before]
    return new Departure({ how, connection: this.#connection, event: this.#at + 1, expected, actual, before })
  }

  #departed(how: string, expected: string | undefined, actual: string): Effect.Effect<never> {
    return this.#die(this.#departure(how, expected, actual))
  }

  #depart(how: string, step: Step | undefined, actual: string): Effect.Effect<never> {
    return this.#departed(how, this.#shown(step), actual)
  }
}
