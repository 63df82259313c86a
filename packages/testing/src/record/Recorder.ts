/**
 * Records whatever goes over a transport, for tests and in production: secrets never enter a
 * recording, and its size is bounded.
 */
import { Transport } from "@postern/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Key, type KeyError } from "./Key.ts"
import * as Recording from "./Recording.ts"
import { Redactor, type Said } from "./Redactor.ts"

/** What is kept. */
export interface Options {
  /** `hashed` unless given: content as its length and SHA-256. `whole`: up to 10 MiB of each as it was. */
  readonly content?: Recording.Policy["content"] | undefined
  /** `kept` unless given; `numbered` replaces addresses outside of content by numbers, on each connection anew. */
  readonly addresses?: Recording.Policy["addresses"] | undefined
  /**
   * A secret of at least 32 characters. With it a replay can check what a client says in AUTH, and sessions with
   * SCRAM or DIGEST-MD5 can be replayed at all.
   */
  readonly key?: Redacted.Redacted<string> | undefined
  /** Stands in the header. */
  readonly note?: string | undefined
  /** The newest connections are kept, so many; 16 unless given. */
  readonly connections?: number | undefined
  /**
   * Events of one connection, 4,096 unless given. One that has more, or more than 32 MiB of data, is kept up to there
   * and marked as truncated.
   */
  readonly events?: number | undefined
}

/** What became of an effect, and what went over the wire for it. */
export interface Captured<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly recording: Recording.Recording
}

/** The recorder that {@link layer} puts around a transport. */
export class Recorder extends Context.Service<Recorder, {
  /** The connections kept until now. */
  readonly recording: Effect.Effect<Recording.Recording>
  /** Runs an effect, and gives the connections that it opened, whatever others do meanwhile. */
  readonly capture: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Captured<A, E>, never, R>
  /**
   * Hands the recording of an effect that fails to `use`, before it fails.
   *
   * @example
   * ```ts
   * import { Recorder, Recording } from "@postern/testing"
   * import { SmtpClient } from "@postern/core"
   * import { Effect } from "effect"
   *
   * export const careful = Effect.gen(function*() {
   *   const client = yield* SmtpClient.SmtpClient
   *   const recorder = yield* Recorder.Recorder
   *   const send = client.send({ from: "ann@example.org", to: "ben@example.net", content: "Subject: x\n\nx\n" })
   *   return yield* recorder.whenFailing(send, (recording) => Effect.logError(Recording.encode(recording)))
   * })
   * ```
   */
  readonly whenFailing: <A, E, R, R2>(
    effect: Effect.Effect<A, E, R>,
    use: (recording: Recording.Recording) => Effect.Effect<unknown, never, R2>
  ) => Effect.Effect<A, E, R | R2>
}>()("@postern/testing/Recorder") {}

/**
 * Records what goes over the transport below. It also gives the program its random octets, so
 * that a replay with the key can give them once more. Fails with `KeyError` when the key is too
 * short.
 *
 * @example
 * ```ts
 * import { NodeTransport } from "@postern/node"
 * import { Recorder } from "@postern/testing"
 * import { Layer } from "effect"
 *
 * export const recorded = Layer.provide(Recorder.layer({ note: "ticket 4711" }), NodeTransport.layer)
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Transport.Transport | Recorder | SecureRandom.SecureRandom, KeyError, Transport.Transport> =>
  Layer.effectContext(Effect.gen(function*() {
    const inner = yield* Transport.Transport
    const key = options.key === undefined ? undefined : yield* Effect.fromResult(Key.make(options.key))
    const clock = yield* Clock.Clock
    const random = yield* Effect.serviceOption(SecureRandom.SecureRandom)
    const keeper = new Keeper(options, key, clock)
    const given = Option.getOrElse(
      random,
      () => SecureRandom.make((size) => crypto.getRandomValues(new Uint8Array(size)))
    )
    const recorded: SecureRandom.SecureRandom["Service"] = {
      ...given,
      randomBytes: (size) => Effect.tap(given.randomBytes(size), (octets) => keeper.random(octets))
    }
    return Context.make(Transport.Transport, { open: (peer) => keeper.open(inner, peer) }).pipe(
      Context.add(SecureRandom.SecureRandom, recorded),
      Context.add(Recorder, keeper.recorder)
    )
  }))

/** The connections of the effect that is being captured. */
const Capturing = Context.Reference<Set<number> | undefined>("@postern/testing/Recorder/Capturing", {
  defaultValue: () => undefined
})

type Bare<E> = E extends unknown ? Omit<E, "at" | "connection"> : never

/** What is kept of one connection. */
interface Kept {
  readonly events: Array<Recording.Event>
  octets: number
  truncated: boolean
}

/** Stands in the header; a test holds it against the package's version. */
const by = "@postern/testing 0.1.0"

/** Octets of data that are kept of one connection. */
const mostOctets = 33_554_432

/** All that one recorder keeps. */
class Keeper {
  readonly #options: Options
  readonly #key: Key | undefined
  readonly #clock: Clock.Clock
  readonly #start: bigint
  readonly #startedAt: string
  readonly #kept = new Map<number, Kept>()
  #asked = 0

  constructor(options: Options, key: Key | undefined, clock: Clock.Clock) {
    this.#options = options
    this.#key = key
    this.#clock = clock
    this.#start = clock.monotonicTimeNanosUnsafe()
    this.#startedAt = new Date(clock.currentTimeMillisUnsafe()).toISOString()
  }

  readonly recorder: Recorder["Service"] = {
    recording: Effect.sync(() => this.#recording(() => true)),
    capture: (effect) =>
      Effect.suspend(() => {
        const connections = new Set<number>()
        return Effect.map(
          Effect.exit(Effect.provideService(effect, Capturing, connections)),
          (exit) => ({ exit, recording: this.#recording((connection) => connections.has(connection)) })
        )
      }),
    whenFailing: (effect, use) =>
      Effect.flatMap(
        this.recorder.capture(effect),
        ({ exit, recording }) => Exit.isSuccess(exit) ? exit : Effect.andThen(use(recording), exit)
      )
  }

  open(
    inner: Transport.Transport["Service"],
    peer: Transport.Peer
  ): Effect.Effect<Transport.Wire, Transport.TransportError, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const connection = this.#asked++
      const capturing = yield* Capturing
      capturing?.add(connection)
      this.#begin(connection)
      this.keep(connection, { _tag: "Connecting", host: peer.host, port: peer.port })
      const wire = yield* Effect.tapError(
        inner.open(peer),
        ({ reason }) =>
          Effect.sync(() => this.keep(connection, { _tag: "Failed", operation: "connect", problem: reason }))
      )
      this.keep(connection, { _tag: "Connected" })
      const recorded = new RecordedWire(
        this,
        connection,
        wire,
        new Redactor({
          policy: this.#policy,
          key: this.#key
        })
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => recorded.closed()))
      return recorded
    })
  }

  keep(connection: number, event: Bare<Recording.Event>): void {
    const kept = this.#kept.get(connection)
    if (kept === undefined || kept.truncated) return
    const at = Number(this.#clock.monotonicTimeNanosUnsafe() - this.#start) / 1_000_000
    kept.octets += sizeOf(event)
    kept.truncated = kept.events.length >= (this.#options.events ?? 4096) || kept.octets > mostOctets
    kept.events.push(
      kept.truncated
        ? { _tag: "Truncated", at, connection, events: kept.events.length }
        : { ...event, at, connection } as Recording.Event
    )
  }

  /** Nobody says what they are for: as a rule for the connection that was opened last, by the effect that is captured. */
  random(octets: Uint8Array): Effect.Effect<void> {
    return Effect.map(Capturing, (capturing) => {
      const connection = capturing === undefined ? this.#asked - 1 : [...capturing].at(-1)
      this.keep(connection ?? this.#asked - 1, { _tag: "Random", hidden: this.sealed(octets) })
    })
  }

  /** Whether anything more of it will be kept. */
  keeps(connection: number): boolean {
    return this.#kept.get(connection)?.truncated === false
  }

  sealed(octets: Uint8Array): Recording.Hidden {
    return { octets: octets.length, ...this.#key === undefined ? {} : { sealed: this.#key.seal(octets) } }
  }

  get #policy(): Recording.Policy {
    return {
      addresses: this.#options.addresses ?? "kept",
      content: this.#options.content ?? "hashed",
      ...this.#key === undefined ? {} : { key: this.#key.check }
    }
  }

  #begin(connection: number): void {
    this.#kept.set(connection, { events: [], octets: 0, truncated: false })
    const oldest = this.#kept.keys().next()
    if (this.#kept.size > (this.#options.connections ?? 16) && oldest.done !== true) this.#kept.delete(oldest.value)
  }

  #recording(wanted: (connection: number) => boolean): Recording.Recording {
    const events = [...this.#kept].flatMap(([connection, { events }]) => wanted(connection) ? events : [])
      .toSorted((a, b) => a.at - b.at)
    const first = events.find((event) => event._tag === "Connecting")
    return {
      header: {
        format: "postern-recording",
        version: Recording.version,
        by,
        startedAt: this.#startedAt,
        ...first === undefined
          ? {}
          : { endpoint: { host: first.host, port: first.port }, mode: modeOf(events, first.connection) },
        policy: this.#policy,
        ...this.#options.note === undefined ? {} : { note: this.#options.note }
      },
      events
    }
  }
}

const sizeOf = (event: Bare<Recording.Event>): number => {
  switch (event._tag) {
    case "Sent":
    case "Received":
      return event.data.length
    case "SentHidden":
    case "ReceivedHidden":
      return event.line.length + (event.hidden.sealed?.length ?? 0)
    case "ContentSent":
      return event.whole?.length ?? 0
    default:
      return 0
  }
}

const modeOf = (events: ReadonlyArray<Recording.Event>, connection: number): "plain" | "startTls" | "tls" => {
  const own = events.filter((event) => event.connection === connection)
  const handshake = own.findIndex(({ _tag }) => _tag === "HandshakeStarted")
  if (handshake === -1) return "plain"
  return own.slice(0, handshake).some(({ _tag }) => _tag === "Received") ? "startTls" : "tls"
}

class RecordedWire implements Transport.Wire {
  readonly #keeper: Keeper
  readonly #connection: number
  readonly #wire: Transport.Wire
  readonly #redactor: Redactor

  constructor(keeper: Keeper, connection: number, wire: Transport.Wire, redactor: Redactor) {
    this.#keeper = keeper
    this.#connection = connection
    this.#wire = wire
    this.#redactor = redactor
    this.read = Effect.tap(
      this.#watch("read", wire.read),
      (bytes) => Effect.sync(() => this.#follow((redactor) => redactor.received(bytes)))
    )
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError>

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      this.#follow((redactor) => redactor.sent(bytes))
      return this.#watch("write", this.#wire.write(bytes))
    })

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      this.#follow((redactor) => redactor.flush())
      this.#keep({ _tag: "HandshakeStarted", serverName: options.serverName })
      return Effect.tap(this.#watch("handshake", this.#wire.upgradeTls(options)), (facts) =>
        Effect.sync(() => {
          this.#redactor.tlsEstablished()
          const { certificate, channelBindings = [], cipher, serverName, verifiedBy, version } = facts
          this.#keep({
            _tag: "TlsEstablished",
            version,
            cipher,
            serverName,
            verifiedBy,
            ...certificate === undefined ? {} : { certificate },
            channelBindings: channelBindings.map(({ data, type }) => ({ type, hidden: this.#keeper.sealed(data) }))
          })
        }))
    })

  closed(): void {
    this.#follow((redactor) => redactor.flush())
    this.#keep({ _tag: "Closed" })
  }

  #watch<A>(
    operation: "read" | "write" | "handshake",
    effect: Effect.Effect<A, Transport.TransportError>
  ): Effect.Effect<A, Transport.TransportError> {
    return Effect.tapError(effect, ({ reason }) =>
      Effect.sync(() => {
        this.#follow((redactor) => redactor.flush())
        this.#keep({ _tag: "Failed", operation, problem: this.#shown(reason) })
      }))
  }

  // What had arrived before a handshake may be an echo.
  #shown(problem: Transport.TransportProblem): Transport.TransportProblem {
    switch (problem._tag) {
      case "NotTls":
        return { ...problem, firstBytes: problem.firstBytes && this.#redactor.unread(problem.firstBytes) }
      case "PlaintextBuffered":
        return { ...problem, bytes: this.#redactor.unread(problem.bytes) }
      default:
        return problem
    }
  }

  // Not where nothing is kept of it any more: a connection may live on for long.
  #follow(say: (redactor: Redactor) => ReadonlyArray<Said>): void {
    if (!this.#keeper.keeps(this.#connection)) return
    for (const said of say(this.#redactor)) this.#keep(said)
  }

  #keep(event: Bare<Recording.Event>): void {
    this.#keeper.keep(this.#connection, event)
  }
}
