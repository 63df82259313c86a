/**
 * A wire on which things go wrong at the places that a plan names.
 */
import { Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Fault, Plan, Side, TlsProblem } from "./Faults.ts"

/** A fault at a place. */
type Point = Extract<Fault, { readonly at: number }>

/** What a place parts: octets that pass, and what happens then. */
type Part = Uint8Array | Point

const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

const reset = { _tag: "Broken", code: "ECONNRESET", detail: "reset by a fault" } as const
const pipe = { _tag: "Broken", code: "EPIPE", detail: "nothing can be written any more" } as const

const sideOf = (fault: Point): Side => fault._tag === "HalfClose" ? "sent" : fault.side

export class FaultyWire implements Transport.Wire {
  readonly #wire: Transport.Wire
  readonly #plan: Plan
  readonly #close: Effect.Effect<void>
  readonly #passed = { sent: 0, received: 0 }
  readonly #points: { readonly [S in Side]: Array<Point> }
  /** What was received and not read, in order. */
  readonly #inbox: Array<Part> = []
  #halfClosed = false
  #ended: "reset" | "close" | undefined = undefined

  constructor(wire: Transport.Wire, plan: Plan, close: Effect.Effect<void>) {
    this.#wire = wire
    this.#plan = plan
    this.#close = close
    const points = plan.filter((fault) => "at" in fault).toSorted((a, b) => a.at - b.at)
    const of = (side: Side) => points.filter((point) => sideOf(point) === side)
    this.#points = { sent: of("sent"), received: of("received") }
    this.#inbox.push(...this.#parts("received", new Uint8Array(0)))
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    const [part] = this.#inbox
    if (part === undefined) {
      if (this.#ended !== undefined) return this.#over("received")
      return Effect.flatMap(this.#arriving, (bytes) => {
        this.#inbox.push(...this.#parts("received", bytes))
        return this.read
      })
    }
    if (part instanceof Uint8Array) {
      this.#inbox.shift()
      return Effect.succeed(part)
    }
    // Not before it is over: an interrupted read loses nothing.
    return Effect.flatMap(this.#happen(part), () => {
      this.#inbox.shift()
      return this.read
    })
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() =>
      Effect.forEach(
        this.#parts("sent", bytes),
        (part) => part instanceof Uint8Array ? this.#put(part) : this.#happen(part),
        { discard: true }
      )
    )

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      if (this.#ended !== undefined) return this.#over("received")
      const failure = this.#plan.find((fault) => fault._tag === "TlsFailure")
      if (failure?._tag === "TlsFailure") {
        return Effect.andThen(this.#end("reset"), failed(tlsProblem(failure.problem)))
      }
      const held = this.#inbox.filter((part) => part instanceof Uint8Array)
      if (held.length > 0) return failed({ _tag: "PlaintextBuffered", bytes: Bytes.concat(held) })
      return this.#wire.upgradeTls(options)
    })

  /** What comes from the server, collected where a plan says so. */
  get #arriving(): Effect.Effect<Uint8Array, Transport.TransportError> {
    const merge = this.#plan.find((fault) => fault._tag === "Merge")
    if (merge?._tag !== "Merge") return this.#wire.read
    const more = (all: ReadonlyArray<Uint8Array>): Effect.Effect<Uint8Array> =>
      Effect.flatMap(
        // Its end is met by the next read.
        Effect.timeoutOption(Effect.option(this.#wire.read), merge.millis),
        (next) =>
          Option.isSome(Option.flatten(next))
            ? more([...all, Option.getOrThrow(Option.flatten(next))])
            : Effect.succeed(Bytes.concat(all))
      )
    return Effect.flatMap(this.#wire.read, (first) => more([first]))
  }

  #put(bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> {
    if (this.#ended !== undefined) return this.#over("sent")
    if (this.#halfClosed) return failed(pipe)
    const slow = this.#plan.find((fault) => fault._tag === "SlowReader")
    if (slow?._tag !== "SlowReader") return this.#wire.write(bytes)
    return Effect.forEach(
      pieces(bytes, slow.size),
      (piece) => Effect.andThen(Effect.sleep(slow.millis), this.#wire.write(piece)),
      { discard: true }
    )
  }

  // Cuts octets at the places where something happens, and into the sizes that may pass.
  #parts(side: Side, bytes: Uint8Array): ReadonlyArray<Part> {
    const parts: Array<Part> = []
    const from = this.#passed[side]
    const changed = new Uint8Array(bytes)
    let done = 0
    const points = this.#points[side]
    const to = from + bytes.length
    for (let point = points[0]; point !== undefined; point = points[0]) {
      // A change of an octet waits for the octet; all else happens as soon as those before it have passed.
      if (point._tag === "Corrupt" ? point.at >= to : point.at > to) break
      points.shift()
      // A point that was passed by is one of the same place as another.
      const at = Math.max(done, point.at - from)
      if (point._tag === "Corrupt") {
        changed[at] = (changed[at] ?? 0) ^ point.xor
        continue
      }
      if (at > done) parts.push(changed.subarray(done, at))
      done = at
      parts.push(point._tag === "Insert" ? new TextEncoder().encode(point.text) : point)
    }
    if (done < changed.length) parts.push(changed.subarray(done))
    this.#passed[side] = to
    const split = this.#plan.find((fault) => fault._tag === "Split" && fault.side === side)
    const size = split?._tag === "Split" ? split.size : Number.POSITIVE_INFINITY
    return parts.flatMap((part): ReadonlyArray<Part> => part instanceof Uint8Array ? pieces(part, size) : [part])
  }

  #happen(point: Point): Effect.Effect<void, Transport.TransportError> {
    switch (point._tag) {
      case "Cut":
        // The client's write was the last that arrived; it is told by what it does next.
        return Effect.andThen(this.#end(point.how), point.side === "received" ? this.#over("received") : Effect.void)
      case "Stall":
        return Effect.never
      case "Delay":
        return Effect.sleep(point.millis)
      case "HalfClose":
        this.#halfClosed = true
        return Effect.void
      case "Corrupt":
      case "Insert":
        return Effect.void
    }
  }

  #end(how: "reset" | "close"): Effect.Effect<void> {
    this.#ended ??= how
    return this.#close
  }

  #over(side: Side): Effect.Effect<never, Transport.TransportError> {
    return failed(this.#ended === "reset" ? reset : side === "received" ? { _tag: "Closed" } : pipe)
  }
}

const pieces = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> => {
  const all: Array<Uint8Array> = []
  const step = Math.max(1, size)
  for (let at = 0; at < bytes.length; at += step) all.push(bytes.subarray(at, at + step))
  return all
}

const tlsProblem = (problem: TlsProblem): Transport.TransportProblem => {
  switch (problem) {
    case "handshake":
      return { _tag: "HandshakeFailed", code: "ERR_SSL_NO_CIPHER_MATCH", detail: "failed by a fault" }
    case "reset":
      return reset
    default:
      return { _tag: "CertificateRefused", problem, detail: "refused by a fault" }
  }
}
