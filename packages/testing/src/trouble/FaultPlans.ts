/**
 * Plans of faults that nobody thought of: generated, tried, and shrunk to the smallest that
 * still does harm.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import * as VirtualTime from "../time/VirtualTime.ts"
import * as Faults from "./Faults.ts"

const side = fc.constantFrom<Faults.Side>("sent", "received")
// Octets into a connection: most sessions of one short message have some hundreds in either direction.
const at = fc.oneof({ weight: 3, arbitrary: fc.nat(500) }, { weight: 1, arbitrary: fc.nat(5000) })
const millis = fc.constantFrom(1, 1000, 60_000, 600_000)

/** One fault; shrinks to an earlier place and a shorter time. */
export const fault: fc.Arbitrary<Faults.Fault> = fc.oneof(
  fc.tuple(side, at, fc.constantFrom("reset" as const, "close" as const)).map(([side, at, how]) =>
    Faults.cut(side, at, how)
  ),
  fc.tuple(side, at).map(([side, at]) => Faults.stall(side, at)),
  fc.tuple(side, at, millis).map(([side, at, millis]) => Faults.delay(side, at, millis)),
  fc.tuple(side, at, fc.integer({ min: 1, max: 255 })).map(([side, at, xor]) => Faults.corrupt(side, at, xor)),
  fc.tuple(side, at, fc.constantFrom("x", "\r\n", "250 ok\r\n", "421 bye\r\n", "\0")).map(([side, at, text]) =>
    Faults.insert(side, at, text)
  ),
  at.map((at) => Faults.halfClose(at)),
  fc.tuple(side, fc.integer({ min: 1, max: 50 })).map(([side, size]) => Faults.split(side, size)),
  millis.map((millis) => Faults.merge(millis)),
  fc.tuple(fc.integer({ min: 1, max: 100 }), millis).map(([size, millis]) => Faults.slowReader(size, millis)),
  fc.constantFrom("ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH").map((code) => Faults.refuse(code)),
  millis.map((millis) => Faults.slowConnect(millis)),
  fc.constantFrom<Faults.TlsProblem>("expired", "wrong-name", "unknown-ca", "handshake", "reset").map((problem) =>
    Faults.tlsFailure(problem)
  )
)

const on = ([fault, connection]: [Faults.Fault, number | undefined]): Faults.Fault =>
  connection === undefined ? fault : { ...fault, connection }

/** One to four faults on any connection; shrinks to the fewest. */
export const plan: fc.Arbitrary<Faults.Plan> = fc.array(
  fc.tuple(fault, fc.option(fc.nat(2), { nil: undefined })).map(on),
  { minLength: 1, maxLength: 4 }
)

/** The plan of a seed, always the same. */
export const fromSeed = (seed: number): Faults.Plan => fc.sample(plan, { seed, numRuns: 1 })[0] ?? []

/** A plan did harm. */
export class FaultFound extends Data.TaggedError("FaultFound")<{
  readonly seed: number
  /** The smallest plan that was found. */
  readonly plan: Faults.Plan
  /** The code that makes it. */
  readonly code: string
  /** What went wrong with it. */
  readonly problem: string
  /** Plans that did no harm before. */
  readonly runs: number
}> {
  override get message() {
    return `${this.problem}\n  with ${this.code}\n  found with seed ${this.seed} after ${this.runs} plans that did no harm`
  }
}

/** How long it is tried. */
export interface Options {
  /** Another seed, other plans; random unless given. */
  readonly seed?: number | undefined
  /** How many plans; 100 unless given. */
  readonly runs?: number | undefined
}

/**
 * Runs `property` with many plans, each in virtual time. It is to provide `Faults.layer(plan)`
 * over a server of its own, and to fail, or die, when something is wrong. Gives the number of
 * plans; fails with {@link FaultFound}.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { FaultPlans, Faults, InMemory } from "@postern/testing"
 * import { Effect, Layer, Result } from "effect"
 *
 * const message = { from: "ann@example.org", to: "ben@example.net", content: "Subject: x\n\nx\n" }
 *
 * // Whatever happens: what is said to be sent has arrived.
 * export const check = FaultPlans.check((plan) =>
 *   Effect.gen(function*() {
 *     const server = yield* InMemory.make({})
 *     const smtp = SmtpClient.layer({ endpoint: "mx.example:25", security: "plain" }).pipe(
 *       Layer.provide(Faults.layer(plan)),
 *       Layer.provide(server.layer)
 *     )
 *     const send = Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send(message))
 *     const sent = yield* Effect.result(Effect.provide(send, smtp))
 *     const arrived = yield* server.inbox
 *     if (Result.isSuccess(sent) && arrived.length !== 1) return yield* Effect.fail("it was said to be sent")
 *   })
 * )
 * ```
 */
export const check = <E>(
  property: (plan: Faults.Plan) => Effect.Effect<unknown, E>,
  options: Options = {}
): Effect.Effect<number, FaultFound> => {
  const { runs = 100, seed } = options
  const harm = Effect.fnUntraced(function*(plan: Faults.Plan) {
    const exit = yield* Effect.exit(Effect.provide(property(plan), VirtualTime.layer()))
    return Exit.isFailure(exit) ? Cause.pretty(exit.cause) : undefined
  })
  const harmless = fc.asyncProperty(
    plan,
    (plan) => Effect.runPromise(harm(plan)).then((problem) => problem === undefined)
  )
  return Effect.gen(function*() {
    const found = yield* Effect.promise(() =>
      fc.check(harmless, { numRuns: runs, ...seed === undefined ? {} : { seed } })
    )
    if (found.counterexample === null) return found.numRuns
    let [smallest] = found.counterexample
    // Generators shrink each fault; which of them are not needed at all is found out by leaving them out.
    for (const fault of smallest) {
      const without = smallest.filter((other) => other !== fault)
      if (without.length > 0 && (yield* harm(without)) !== undefined) smallest = without
    }
    return yield* Effect.fail(
      new FaultFound({
        seed: found.seed,
        plan: smallest,
        code: Faults.code(smallest),
        problem: (yield* harm(smallest)) ?? "it did harm once, and not again: it depends on more than the plan",
        runs: found.numRuns - 1
      })
    )
  })
}
