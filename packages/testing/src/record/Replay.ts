/**
 * Plays a recording again: a transport that answers as the server did, and holds the program
 * to what it said then. Time is virtual, so a session of an hour takes milliseconds, and
 * random octets are those of the recording, so that the same program says the same.
 */
import { Transport } from "@postern/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Departure } from "../script/Departure.ts"
import * as Deterministic from "../time/Deterministic.ts"
import { Key, KeyError } from "./Key.ts"
import type * as Recording from "./Recording.ts"
import { type Lenience, ReplayedWire } from "./ReplayedWire.ts"

export type { Lenience } from "./ReplayedWire.ts"

/** How strictly the program is held to the recording. */
export interface Options {
  /** The key of the recorder: what was said in AUTH is then compared, and sealed challenges can be answered. */
  readonly key?: Redacted.Redacted<string> | undefined
  /** What may differ; nothing unless given. */
  readonly lenient?: ReadonlyArray<Lenience> | undefined
  /** The seed of random octets that the recording does not have. */
  readonly seed?: string | number | undefined
  /**
   * `virtual` unless given: time passes when all wait, from when the recording began. `ambient`: the clock and the
   * scheduler of the program, for what waits outside of Effect.
   */
  readonly time?: "virtual" | "ambient" | undefined
}

/** What became of a replay. */
export class Replay extends Context.Service<Replay, {
  /** Fails with the first {@link Departure}, or where the program stopped before the recording ends. */
  readonly check: Effect.Effect<void, Departure>
}>()("@postern/testing/Replay") {}

/**
 * The recording as a transport, with its time and random octets. A program that departs from it
 * dies of a {@link Departure}, whatever it does about errors; `Replay.check` says so once more.
 * Fails with `KeyError` when the key is not that of the recording.
 */
export const layer = (
  recording: Recording.Recording,
  options: Options = {}
): Layer.Layer<Transport.Transport | Replay | SecureRandom.SecureRandom, KeyError> => {
  const start = recording.header.startedAt === undefined ? 0 : Date.parse(recording.header.startedAt)
  const replay = Layer.effectContext(Effect.gen(function*() {
    const key = yield* Effect.fromResult(keyOf(recording.header.policy, options.key))
    const player = new Player(recording, key, options.lenient ?? [], yield* Clock.Clock)
    const random = yield* SecureRandom.SecureRandom
    const recorded = SecureRandom.make((size) => player.random(size) ?? Effect.runSync(random.randomBytes(size)))
    return Context.make(Transport.Transport, { open: player.open }).pipe(
      Context.add(Replay, { check: player.check }),
      Context.add(SecureRandom.SecureRandom, recorded)
    )
  }))
  return Layer.provideMerge(
    replay,
    options.time === "ambient"
      ? Deterministic.random(options.seed)
      : Deterministic.layer({ start, seed: options.seed })
  )
}

/**
 * Runs a program against a recording: gives what the program gives where it goes the same way
 * to the end. Fails with the {@link Departure} otherwise, with `KeyError`, or as the program does.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { Recording, Replay } from "@postern/testing"
 * import { Effect, Result } from "effect"
 *
 * const send = Effect.gen(function*() {
 *   const client = yield* SmtpClient.SmtpClient
 *   return yield* client.send({ from: "ann@example.org", to: "ben@example.net", content: "Subject: x\n\nx\n" })
 * }).pipe(Effect.provide(SmtpClient.layer({ endpoint: "mail.example.org:587" })))
 *
 * export const again = (text: string) => Replay.run(Result.getOrThrow(Recording.decode(text)), send)
 * ```
 */
export const run = <A, E, R>(
  recording: Recording.Recording,
  program: Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<
  A,
  E | Departure | KeyError,
  Exclude<R, Transport.Transport | Replay | SecureRandom.SecureRandom>
> =>
  Effect.provide(
    Effect.flatMap(
      Effect.exit(program),
      (exit) => Effect.andThen(Effect.flatMap(Replay, ({ check }) => check), exit)
    ),
    layer(recording, options)
  )

const keyOf = (
  policy: Recording.Policy,
  secret: Redacted.Redacted<string> | undefined
): Result.Result<Key | undefined, KeyError> => {
  if (secret === undefined) return Result.succeed(undefined)
  return Result.flatMap(Key.make(secret), (key) =>
    policy.key === undefined || policy.key === key.check
      ? Result.succeed(key)
      : Result.fail(new KeyError({ problem: "another key" })))
}

/** All connections of one replay. */
class Player {
  readonly #key: Key | undefined
  readonly #policy: Recording.Policy
  readonly #lenient: ReadonlyArray<Lenience>
  readonly #clock: Clock.Clock
  readonly #start: bigint
  readonly #connections: ReadonlyArray<ReadonlyArray<Recording.Event>>
  readonly #random: Array<Recording.Hidden>
  readonly #wires: Array<ReplayedWire> = []
  #asked = 0
  #departure: Departure | undefined = undefined

  constructor(
    { events, header }: Recording.Recording,
    key: Key | undefined,
    lenient: ReadonlyArray<Lenience>,
    clock: Clock.Clock
  ) {
    const byConnection = Map.groupBy(events, ({ connection }) => connection)
    this.#connections = [...byConnection.keys()].toSorted((a, b) => a - b).map((connection) =>
      byConnection.get(connection) ?? []
    )
    this.#random = events.flatMap((event) => event._tag === "Random" ? [event.hidden] : [])
    this.#key = key
    this.#policy = header.policy
    this.#lenient = lenient
    this.#clock = clock
    this.#start = clock.monotonicTimeNanosUnsafe()
  }

  /** The next random octets of the recording, where it has so many, and the key is there. */
  random(size: number): Uint8Array | undefined {
    const hidden = this.#random.shift()
    if (hidden?.octets !== size || hidden.sealed === undefined) return undefined
    return this.#key === undefined ? undefined : Result.getOrUndefined(this.#key.unseal(hidden.sealed))
  }

  readonly check: Effect.Effect<void, Departure> = Effect.suspend(() => {
    const departure = this.#departure ?? this.#wires.map((wire) =>
      wire.unfinished()
    ).find((found) => found !== undefined)
      ?? this.#unasked()
    return departure === undefined ? Effect.void : Effect.fail(departure)
  })

  #unasked(): Departure | undefined {
    const next = this.#connections[this.#asked]?.find((event) => event._tag === "Connecting")
    return next === undefined ? undefined : new Departure({
      how: "it stops here, and the recording opens another connection",
      connection: this.#asked,
      event: 1,
      expected: `connects to ${next.host}:${next.port}`,
      actual: undefined,
      before: []
    })
  }

  readonly open = (peer: Transport.Peer): Effect.Effect<Transport.Wire, Transport.TransportError, Scope.Scope> =>
    Effect.suspend(() => {
      const connection = this.#asked++
      const wire = new ReplayedWire({
        connection,
        events: this.#connections[connection],
        key: this.#key,
        policy: this.#policy,
        lenient: this.#lenient,
        until: (at) => this.#until(at),
        depart: (departure) => {
          this.#departure ??= departure
          return Effect.die(departure)
        }
      })
      this.#wires.push(wire)
      return Effect.acquireRelease(wire.connect(peer), () => Effect.sync(() => wire.close()), { interruptible: true })
    })

  // Waits for a time of the recording; what is late already goes on at once.
  #until(at: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const passed = Number(this.#clock.monotonicTimeNanosUnsafe() - this.#start) / 1_000_000
      return at > passed ? this.#clock.sleep(Duration.millis(at - passed)) : Effect.void
    })
  }
}
