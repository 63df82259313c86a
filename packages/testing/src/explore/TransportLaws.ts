/**
 * What every transport owes (`Transport.Wire`), as laws.
 */
import type { Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { chunking } from "../generate/Arbitraries.ts"
import { holds, type Law } from "./Law.ts"

/** The other side of a wire, in the hands of a test. */
export interface OtherSide {
  readonly say: (bytes: Uint8Array) => Effect.Effect<void>
  /** All that has arrived by now, once so many octets have. */
  readonly heard: (octets: number) => Effect.Effect<Uint8Array>
  /** Closes in good order. */
  readonly close: Effect.Effect<void>
  /** Breaks the connection, where that can be done. */
  readonly reset?: Effect.Effect<void> | undefined
}

/** A wire of the transport, with its other side. The wire closes with the scope. */
export type Pair = Effect.Effect<readonly [Transport.Wire, OtherSide], unknown, Scope.Scope>

/** How hard it is tried, and with what. */
export interface TransportOptions {
  /** Runs of each law; 20 unless given. */
  readonly runs?: number | undefined
  /** What does not end in this time never will; two seconds unless given. */
  readonly patience?: Duration.Input | undefined
  /** What the other side can say: octets in parts. Any, unless given. */
  readonly says?: fc.Arbitrary<ReadonlyArray<Uint8Array>> | undefined
  /** What the other side can hear. Any, unless given. */
  readonly hears?: fc.Arbitrary<ReadonlyArray<Uint8Array>> | undefined
}

const parts = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), chunking)
  .map(([bytes, cut]) => cut(bytes).filter(({ length }) => length > 0))

const same = (got: Uint8Array, sent: Uint8Array): void =>
  holds(
    got.length === sent.length && got.every((octet, i) => octet === sent[i]),
    () => `${sent.length} octets [${sent.join(" ")}] became ${got.length}: [${got.join(" ")}]`
  )

/**
 * The laws of a transport's wires. Octets arrive, all of them and in order, in either direction; no
 * read gives nothing; an interrupted read loses nothing; the end in good order is `Closed`, any
 * other is `Broken`, and each stays what it is; TLS is not begun over plaintext that was not read;
 * nothing works, or hangs, once the scope has closed.
 *
 * @example
 * ```ts
 * import { Laws } from "@postern/testing"
 *
 * // Opens a wire of the transport, to a server of the test's own.
 * declare const pair: Laws.Pair
 *
 * // In a test file: for (const law of laws) it(law.name, law.run)
 * export const laws = () => Laws.transport("MyTransport", pair)
 * ```
 */
export const transport = (name: string, pair: Pair, options: TransportOptions = {}): ReadonlyArray<Law> => {
  const { hears = parts, patience = "2 seconds", runs: numRuns = 20, says = parts } = options
  // Shrinking what hangs takes its patience each time.
  const parameters = { numRuns, interruptAfterTimeLimit: 30_000 }

  const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.timeoutOrElse(effect, { duration: patience, orElse: () => Effect.die(new Error("it does not end")) })

  /** What an effect of the wire ends with. */
  const endOf = (effect: Effect.Effect<unknown, Transport.TransportError>): Effect.Effect<string> =>
    Effect.map(
      inTime(Effect.result(effect)),
      (result) => Result.isSuccess(result) ? "success" : result.failure.reason._tag
    )

  /** Reads until so many octets have come. */
  const collect = Effect.fnUntraced(function*(
    wire: Transport.Wire,
    size: number,
    before: Uint8Array = new Uint8Array(0)
  ) {
    let all = before
    while (all.length < size) {
      const bytes = yield* inTime(wire.read)
      holds(bytes.length > 0, "a read gives nothing")
      all = Bytes.concat([all, bytes])
    }
    return all
  })

  const law = (
    what: string,
    speech: fc.Arbitrary<ReadonlyArray<Uint8Array>>,
    check: (
      wire: Transport.Wire,
      other: OtherSide,
      parts: ReadonlyArray<Uint8Array>,
      bytes: Uint8Array
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ): Law => ({
    name: `${name}: ${what}`,
    run: () =>
      fc.assert(
        fc.asyncProperty(speech, (parts) =>
          Effect.runPromise(
            Effect.scoped(Effect.flatMap(pair, ([wire, other]) => check(wire, other, parts, Bytes.concat(parts))))
          )),
        parameters
      )
  })
  return [
    law("what is said can be read, all of it, in order", says, (wire, other, parts, bytes) =>
      Effect.gen(function*() {
        yield* Effect.forEach(parts, other.say, { discard: true })
        same(yield* collect(wire, bytes.length), bytes)
      })),
    law("what is written arrives, all of it, in order", hears, (wire, other, parts, bytes) =>
      Effect.gen(function*() {
        yield* Effect.forEach(parts, (part) => inTime(wire.write(part)), { discard: true })
        same(yield* inTime(other.heard(bytes.length)), bytes)
      })),
    law("an interrupted read loses nothing", says, (wire, other, parts, bytes) =>
      Effect.gen(function*() {
        let read = new Uint8Array(0)
        for (const part of parts) {
          const reading = yield* Effect.forkChild(wire.read, { startImmediately: true })
          // Before anything comes, or while it does; what a read gave that had ended by then is not lost.
          if (part.length % 2 === 0) yield* other.say(part)
          for (let turns = part.length % 3; turns > 0; turns--) yield* Effect.yieldNow
          yield* Fiber.interrupt(reading)
          if (part.length % 2 === 1) yield* other.say(part)
          const exit = yield* Fiber.await(reading)
          if (Exit.isSuccess(exit)) read = Bytes.concat([read, exit.value])
        }
        same(yield* collect(wire, bytes.length, read), bytes)
      })),
    law(
      "the end in good order comes behind all that was said, is Closed, and stays",
      says,
      (wire, other, parts, bytes) =>
        Effect.gen(function*() {
          yield* Effect.forEach(parts, other.say, { discard: true })
          yield* other.close
          same(yield* collect(wire, bytes.length), bytes)
          for (const time of ["first", "second"]) {
            const end = yield* endOf(wire.read)
            holds(end === "Closed", `the ${time} read behind the end says ${end}`)
          }
        })
    ),
    law(
      "TLS is not begun over plaintext that was not read, and closes the wire",
      says,
      (wire, other, parts) =>
        Effect.gen(function*() {
          yield* Effect.forEach(parts, other.say, { discard: true })
          // So that a handshake comes to an end in any case.
          yield* other.close
          const end = yield* endOf(wire.upgradeTls({ serverName: "localhost" }))
          holds(end !== "success", "it is begun")
          const read = yield* endOf(wire.read)
          holds(read === "Closed" || read === "Broken", `a read behind it says ${read}`)
        })
    ),
    {
      name: `${name}: everything fails once the scope has closed`,
      run: () =>
        fc.assert(
          fc.asyncProperty(hears, (parts) =>
            Effect.runPromise(Effect.gen(function*() {
              const [wire] = yield* Effect.scoped(pair)
              const effects = [wire.read, wire.write(Bytes.concat(parts)), wire.upgradeTls({ serverName: "localhost" })]
              for (const [index, effect] of effects.entries()) {
                const end = yield* endOf(effect)
                const which = ["read", "write", "upgradeTls"][index]
                holds(end === "Closed" || end === "Broken", `${which} says ${end}`)
              }
            }))),
          parameters
        )
    },
    law("a read that waits ends when the other side does", says, (wire, other) =>
      Effect.gen(function*() {
        const reading = yield* Effect.forkChild(endOf(wire.read), { startImmediately: true })
        yield* other.close
        const end = yield* Fiber.join(reading)
        holds(end === "Closed", `it says ${end}`)
      })),
    law("a connection that breaks is Broken, and stays", says, (wire, other) =>
      Effect.gen(function*() {
        if (other.reset === undefined) return
        const reading = yield* Effect.forkChild(endOf(wire.read), { startImmediately: true })
        yield* other.reset
        const ends = [yield* Fiber.join(reading), yield* endOf(wire.read)]
        holds(ends.every((end) => end === "Broken"), `it says ${ends.join(", then ")}`)
      }))
  ]
}
