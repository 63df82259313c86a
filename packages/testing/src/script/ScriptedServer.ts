/**
 * A server that says exactly what a script says, octet for octet, and holds the client to its
 * part. Nothing of a script is optional: a client that departs from it dies of a `Departure`,
 * and never waits for ever where the script does not say so.
 */
import { Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Departure } from "./Departure.ts"
import { ScriptedWire } from "./ScriptedWire.ts"

/** One step of a script. */
export type Step =
  /** The server says this, and the client reads all of it before it writes again. */
  | { readonly _tag: "Says"; readonly bytes: Uint8Array }
  /** The server says this though nobody asked: the client need not read it before it writes. */
  | { readonly _tag: "Interjects"; readonly bytes: Uint8Array }
  /** The client writes exactly this, in as many writes as it likes, the last of which ends here. */
  | { readonly _tag: "Hears"; readonly bytes: Uint8Array }
  /** Time passes before the server goes on: on the clock of the program, which may be virtual. */
  | { readonly _tag: "Waits"; readonly duration: Duration.Input }
  /** A TLS handshake, which may fail. */
  | { readonly _tag: "Handshake"; readonly problem: Transport.TransportProblem | undefined }
  /** The end: reads give `problem` once all that was said is read; writes find nobody. */
  | { readonly _tag: "Ends"; readonly problem: Transport.TransportProblem }
  /** The server does nothing any more: reads, writes and handshakes never end. */
  | { readonly _tag: "Stalls" }

/** What is said on one connection, in order. */
export type Script = ReadonlyArray<Step>

const utf8 = new TextEncoder()
const octets = (text: string | Uint8Array): Uint8Array => typeof text === "string" ? utf8.encode(text) : text
const lines = (all: ReadonlyArray<string>): Uint8Array => utf8.encode(all.map((line) => `${line}\r\n`).join(""))

/** The server says these lines. */
export const says = (...text: ReadonlyArray<string>): Step => ({ _tag: "Says", bytes: lines(text) })
/** The server says these octets. */
export const saysOctets = (bytes: string | Uint8Array): Step => ({ _tag: "Says", bytes: octets(bytes) })
/** The server says these octets though nobody asked. */
export const interjects = (bytes: string | Uint8Array): Step => ({ _tag: "Interjects", bytes: octets(bytes) })
/** The client says these lines. */
export const hears = (...text: ReadonlyArray<string>): Step => ({ _tag: "Hears", bytes: lines(text) })
/** The client says these octets. */
export const hearsOctets = (bytes: string | Uint8Array): Step => ({ _tag: "Hears", bytes: octets(bytes) })
/** Time passes. */
export const waits = (duration: Duration.Input): Step => ({ _tag: "Waits", duration })
/** TLS begins, or fails to. */
export const handshake = (problem?: Transport.TransportProblem): Step => ({ _tag: "Handshake", problem })
/** The server closes the connection in good order. */
export const ends: Step = { _tag: "Ends", problem: { _tag: "Closed" } }
/** The connection breaks. */
export const resets: Step = { _tag: "Ends", problem: { _tag: "Broken", code: "ECONNRESET", detail: "reset by peer" } }
/** Nothing happens any more. */
export const stalls: Step = { _tag: "Stalls" }

/** What was seen of the client. */
export interface Seen {
  /** Every write, as text of one character an octet. */
  readonly writes: ReadonlyArray<string>
  /** How often it connected, and how many of these connections it closed. */
  readonly opened: number
  readonly closed: number
}

/** A server with its scripts. */
export interface ScriptedServer {
  readonly transport: Transport.Transport["Service"]
  readonly layer: Layer.Layer<Transport.Transport>
  /** Of now, whenever it is looked at. */
  readonly seen: Seen
  /** Fails where the client departed from its script, or has not come to its end. */
  readonly check: Effect.Effect<void, Departure>
}

/** How the connections behave. */
export interface Options {
  /** Cuts what the server says into what single reads give. */
  readonly chunk?: ((bytes: Uint8Array) => ReadonlyArray<Uint8Array>) | undefined
  /** What becomes of dialling; `"never"`: it takes for ever. */
  readonly dial?: Transport.TransportProblem | "never" | undefined
}

/** A server for as many connections as there are scripts. */
export const make = (scripts: ReadonlyArray<Script>, options: Options = {}): ScriptedServer => {
  const wires: Array<ScriptedWire> = []
  const writes: Array<string> = []
  let opened = 0
  let departure: Departure | undefined
  const depart = (found: Departure) => {
    departure ??= found
    return Effect.die(found)
  }
  const dial = Effect.suspend((): Effect.Effect<ScriptedWire, Transport.TransportError> => {
    if (options.dial === "never") return Effect.never
    if (options.dial !== undefined) return Effect.fail(new Transport.TransportError({ reason: options.dial }))
    const connection = opened++
    const script = scripts[connection]
    if (script === undefined) {
      return depart(
        new Departure({
          how: "there is no script for another connection",
          connection,
          event: 1,
          expected: undefined,
          actual: "connects",
          before: []
        })
      )
    }
    const wire = new ScriptedWire(connection, script, options.chunk ?? ((bytes) => [bytes]), writes, depart)
    wires.push(wire)
    return Effect.succeed(wire)
  })
  const open = (): Effect.Effect<Transport.Wire, Transport.TransportError, Scope.Scope> =>
    Effect.acquireRelease(dial, (wire) => Effect.sync(() => wire.close()), { interruptible: true })
  const transport = { open }
  return {
    transport,
    layer: Layer.succeed(Transport.Transport, transport),
    seen: {
      writes,
      get opened() {
        return opened
      },
      get closed() {
        return wires.filter((wire) => wire.isClosed).length
      }
    },
    check: Effect.suspend(() => {
      const found = departure ?? wires.map((wire) => wire.unfinished()).find((found) => found !== undefined)
      return found === undefined ? Effect.void : Effect.fail(found)
    })
  }
}

/** The first connection follows the first script, and so on. */
export const layer = (...scripts: ReadonlyArray<Script>): Layer.Layer<Transport.Transport> =>
  Layer.suspend(() => make(scripts).layer)

/**
 * Runs a program against a script, or several, one for each connection. Gives what the program
 * gives when it has followed them to their ends; fails with the {@link Departure} otherwise, or
 * as the program does.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { ScriptedServer } from "@postern/testing"
 * import { Effect } from "effect"
 *
 * const { ends, hears, says } = ScriptedServer
 * const probe = Effect.scoped(Effect.flatMap(SmtpClient.SmtpClient, (client) => client.open)).pipe(
 *   Effect.provide(SmtpClient.layer({ endpoint: "mx.example:25", security: "plain", domain: "client.example" }))
 * )
 *
 * export const probed = ScriptedServer.run([
 *   says("220 mx.example ESMTP"),
 *   hears("EHLO client.example"),
 *   says("250 mx.example"),
 *   hears("QUIT"),
 *   says("221 bye"),
 *   ends
 * ], probe)
 * ```
 */
export const run = <A, E, R>(
  script: Script | ReadonlyArray<Script>,
  program: Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<A, E | Departure, Exclude<R, Transport.Transport>> =>
  Effect.suspend(() => {
    const server = make(isOne(script) ? [script] : script, options)
    return Effect.flatMap(
      Effect.exit(Effect.provide(program, server.layer)),
      (exit) => Effect.andThen(server.check, exit)
    )
  })

const isOne = (script: Script | ReadonlyArray<Script>): script is Script => script.every((step) => !Array.isArray(step))

/** A line of a written script that is none. */
export class ScriptError extends Data.TaggedError("ScriptError")<{
  /** Counted from 1. */
  readonly line: number
  readonly problem: string
}> {
  override get message() {
    return `line ${this.line} of the script: ${this.problem}`
  }
}

/**
 * Reads a script as people write one: `S: ` before what the server says, `C: ` before what the
 * client does, `-- ` before `tls`, `wait` with a duration, `close`, `reset` or `stall`. Empty lines
 * and those that begin with `#` are passed over. Fails with the first line that is none of these.
 *
 * @example
 * ```ts
 * import { ScriptedServer } from "@postern/testing"
 *
 * const script = ScriptedServer.parse(`
 *   S: 220 mx.example ESMTP
 *   C: EHLO client.example
 *   -- wait 30 seconds
 *   S: 421 4.3.2 closing
 *   -- close
 * `)
 * ```
 */
export const parse = (text: string): Result.Result<Script, ScriptError> => {
  const script: Array<Step> = []
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trimStart()
    if (line === "" || line.startsWith("#")) continue
    const [, mark, rest = ""] = /^(S:|C:|--) ?(.*)$/.exec(line) ?? []
    const step = mark === "S:" ? says(rest) : mark === "C:" ? hears(rest) : mark === "--" ? stage(rest) : undefined
    if (step === undefined) {
      const problem = `${
        JSON.stringify(line)
      } begins with none of "S: ", "C: ", "-- " (and tls, wait, close, reset, stall)`
      return Result.fail(new ScriptError({ line: index + 1, problem }))
    }
    script.push(step)
  }
  return Result.succeed(joined(script))
}

const stages: Readonly<Record<string, Step>> = { tls: handshake(), close: ends, reset: resets, stall: stalls }

const stage = (text: string): Step | undefined => {
  const [, wait] = /^wait (\d+ \w+)$/.exec(text.trim()) ?? []
  if (wait === undefined) return Object.hasOwn(stages, text.trim()) ? stages[text.trim()] : undefined
  const duration = Duration.fromInput(wait as Duration.Input)
  return duration._tag === "Some" ? waits(duration.value) : undefined
}

// Lines that follow one another are said in one go, as a server with pipelined commands does.
const joined = (script: Script): Script => {
  const all: Array<Step> = []
  for (const step of script) {
    const last = all.at(-1)
    if (last !== undefined && "bytes" in last && "bytes" in step && last._tag === step._tag) {
      all[all.length - 1] = { _tag: last._tag, bytes: Bytes.concat([last.bytes, step.bytes]) }
    } else {
      all.push(step)
    }
  }
  return all
}
