/**
 * A wire on which things go wrong at the places that a plan names.
 */
import { Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import type { Fault, Inserted, Plan, Side, TlsProblem } from "./Faults.ts"

type Tagged<T extends Fault["_tag"]> = Extract<Fault, { readonly _tag: T }>

/** What happens at a place between two octets. */
type Point = Tagged<"Cut" | "Stall" | "Delay" | "Insert" | "HalfClose">

const isPoint = (fault: Fault): fault is Point => "at" in fault && fault._tag !== "Corrupt"

const sideOf = (point: Point): Side => point._tag === "HalfClose" ? "sent" : point.side

const reset = { _tag: "Broken", code: "ECONNRESET", detail: "reset by a fault" } as const
const pipe = { _tag: "Broken", code: "EPIPE", detail: "nothing can be written any more" } as const

const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

const nothing = new Uint8Array(0)

/** What becomes of the octets of one side. */
class Course {
  /** How many have passed. */
  passed = 0
  /** What is still to happen, in order. */
  readonly points: Array<Point>
  readonly #corrupt: ReadonlyArray<Tagged<"Corrupt">>
  /** At most so many at a time. */
  readonly size: number
  readonly lag: number

  constructor(plan: Plan, side: Side) {
    this.points = plan.filter(isPoint).filter((point) => sideOf(point) === side).toSorted((a, b) => a.at - b.at)
    this.#corrupt = plan.filter((fault) => fault._tag === "Corrupt").filter((fault) => fault.side === side)
    const sizes = plan.map((fault) =>
      fault._tag === "Split" && fault.side === side || fault._tag === "SlowReader" && side === "sent"
        ? Math.max(1, fault.size)
        : Number.POSITIVE_INFINITY
    )
    this.size = Math.min(...sizes, Number.POSITIVE_INFINITY)
    this.lag = sum(plan.filter((fault) => fault._tag === "Lag").filter((fault) => fault.side === side))
  }

  /** What happens before the next octet. */
  get due(): Point | undefined {
    const [point] = this.points
    return point !== undefined && point.at <= this.passed ? point : undefined
  }

  /** As many of these octets as pass before anything happens. */
  next(bytes: Uint8Array): Uint8Array {
    const [point] = this.points
    const until = point === undefined ? bytes.length : point.at - this.passed
    const some = bytes.subarray(0, Math.min(until, this.size))
    const changes = this.#corrupt.filter(({ at }) => at >= this.passed && at < this.passed + some.length)
    if (changes.length === 0) return some
    const changed = new Uint8Array(some)
    for (const { at, xor } of changes) changed[at - this.passed] = (changed[at - this.passed] ?? 0) ^ xor
    return changed
  }
}

const sum = (faults: ReadonlyArray<{ readonly millis: number }>): number =>
  faults.reduce((all, { millis }) => all + millis, 0)

export class FaultyWire implements Transport.Wire {
  readonly #wire: Transport.Wire
  readonly #closeInner: Effect.Effect<void>
  readonly #sent: Course
  readonly #received: Course
  /** Milliseconds in which arrivals are collected; how long the server takes for each piece. */
  readonly #merge: number
  readonly #slow: number
  readonly #tls: TlsProblem | undefined
  /** What has arrived and was not read. */
  #held: Uint8Array = nothing
  #halfClosed = false
  #ended: "reset" | "close" | undefined = undefined

  constructor(wire: Transport.Wire, plan: Plan, closeInner: Effect.Effect<void>) {
    this.#wire = wire
    this.#closeInner = closeInner
    this.#sent = new Course(plan, "sent")
    this.#received = new Course(plan, "received")
    this.#merge = Math.max(...plan.map((fault) => fault._tag === "Merge" ? fault.millis : 0), 0)
    this.#slow = sum(plan.filter((fault) => fault._tag === "SlowReader"))
    this.#tls = plan.find((fault) => fault._tag === "TlsFailure")?.problem
  }

  /** What happens before the first octet. */
  readonly begin: Effect.Effect<void, Transport.TransportError> = Effect.suspend(() => {
    const { due } = this.#received
    return due?._tag === "Cut" ? this.#end(due.how) : this.#afterwards()
  })

  /** Behind its scope nothing works. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#held = nothing
    return this.#end("reset")
  })

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    const { due } = this.#received
    if (this.#ended !== undefined && (due !== undefined || this.#held.length === 0)) return this.#over("received")
    if (due?._tag === "Insert" && due.what.length > 0) return this.#give(octetsOf(due.what), 0, 1)
    if (due !== undefined) return Effect.andThen(this.#happen(this.#received, due), this.read)
    if (this.#held.length === 0) return Effect.andThen(this.#arrival(), this.read)
    const some = this.#received.next(this.#held)
    return this.#give(some, some.length, 0)
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    this.#sent.lag > 0 ? Effect.andThen(Effect.sleep(this.#sent.lag), this.#send(bytes)) : this.#send(bytes)

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      if (this.#ended !== undefined) return this.#over("received")
      const arrived = this.#received.due
      const plaintext = arrived?._tag === "Insert" ? octetsOf(arrived.what) : this.#held
      if (plaintext.length > 0) return this.#fail({ _tag: "PlaintextBuffered", bytes: plaintext })
      // A handshake goes both ways.
      for (const course of [this.#sent, this.#received]) {
        const { due } = course
        if (due !== undefined) return Effect.andThen(this.#happen(course, due), this.upgradeTls(options))
      }
      if (this.#halfClosed) return this.#fail(pipe)
      if (this.#tls === "silence") return Effect.never
      return this.#tls === undefined ? this.#wire.upgradeTls(options) : this.#fail(tlsProblem(this.#tls))
    })

  #send(bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> {
    return Effect.suspend(() => {
      if (bytes.length === 0) return Effect.void
      if (this.#ended !== undefined) return this.#over("sent")
      if (this.#halfClosed) return failed(pipe)
      const { due } = this.#sent
      if (due !== undefined) return Effect.andThen(this.#happen(this.#sent, due), this.#send(bytes))
      const some = this.#sent.next(bytes)
      this.#sent.passed += some.length
      const write = this.#wire.write(some)
      return (this.#slow > 0 ? Effect.andThen(Effect.sleep(this.#slow), write) : write).pipe(
        Effect.andThen(this.#afterwards()),
        Effect.andThen(this.#send(bytes.subarray(some.length)))
      )
    })
  }

  // A stall and a delay wait for the octet that they keep; the others happen as soon as those before it were sent.
  #afterwards(): Effect.Effect<void, Transport.TransportError> {
    return Effect.suspend(() => {
      const { due } = this.#sent
      if (due === undefined || due._tag === "Stall" || due._tag === "Delay" || this.#ended !== undefined) {
        return Effect.void
      }
      return Effect.andThen(this.#happen(this.#sent, due), this.#afterwards())
    })
  }

  // Takes what comes from the server. What is interrupted behind that has it held.
  #arrival(): Effect.Effect<void, Transport.TransportError> {
    const arrive = Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(this.#wire.read), (bytes) => {
        this.#held = Bytes.concat([this.#held, bytes])
      })
    )
    // An end that comes meanwhile is met by the next read.
    const more = Effect.ignore(Effect.timeoutOption(Effect.forever(arrive), this.#merge))
    const merged = this.#merge > 0 ? Effect.andThen(arrive, more) : arrive
    return this.#received.lag > 0 ? Effect.andThen(merged, Effect.sleep(this.#received.lag)) : merged
  }

  // With the last octets before a cut, the connection ends: the client's next write is not to reach the server.
  #give(bytes: Uint8Array, octets: number, points: number): Effect.Effect<Uint8Array, Transport.TransportError> {
    const course = this.#received
    const next = course.points[points]
    const cut = next?._tag === "Cut" && next.at <= course.passed + octets ? next : undefined
    const given = Effect.sync(() => {
      this.#held = this.#held.subarray(octets)
      course.passed += octets
      course.points.splice(0, points)
      return bytes
    })
    return cut === undefined ? given : Effect.andThen(this.#end(cut.how), given)
  }

  // A point is done with only when it is over: what interrupts it does not get past it.
  #happen(course: Course, point: Point): Effect.Effect<void, Transport.TransportError> {
    return Effect.andThen(this.#effect(course, point), Effect.sync(() => void course.points.shift()))
  }

  #effect(course: Course, point: Point): Effect.Effect<void, Transport.TransportError> {
    switch (point._tag) {
      case "Cut":
        return this.#end(point.how)
      case "Stall":
        return Effect.never
      case "Delay":
        return Effect.sleep(point.millis)
      case "Insert":
        return course === this.#sent ? this.#wire.write(octetsOf(point.what)) : Effect.void
      case "HalfClose":
        return Effect.sync(() => {
          this.#halfClosed = true
        })
    }
  }

  #end(how: "reset" | "close"): Effect.Effect<void> {
    return Effect.uninterruptible(Effect.suspend(() => {
      this.#ended ??= how
      return this.#closeInner
    }))
  }

  #fail(reason: Transport.TransportProblem): Effect.Effect<never, Transport.TransportError> {
    this.#held = nothing
    return Effect.andThen(this.#end(reason._tag === "Closed" ? "close" : "reset"), failed(reason))
  }

  #over(side: Side): Effect.Effect<never, Transport.TransportError> {
    return failed(this.#ended === "reset" ? reset : side === "received" ? { _tag: "Closed" } : pipe)
  }
}

const octetsOf = (what: Inserted): Uint8Array =>
  typeof what === "string" ? new TextEncoder().encode(what) : Uint8Array.from(what)

const tlsProblem = (problem: Exclude<TlsProblem, "silence">): Transport.TransportProblem => {
  switch (problem) {
    case "handshake":
      return { _tag: "HandshakeFailed", code: "ERR_SSL_NO_CIPHER_MATCH", detail: "failed by a fault" }
    case "not-tls":
      return { _tag: "NotTls", firstBytes: undefined }
    case "reset":
      return reset
    case "close":
      return { _tag: "Closed" }
    default:
      return { _tag: "CertificateRefused", problem, detail: "refused by a fault" }
  }
}
