/**
 * Plans of faults that nobody thought of: generated, tried, and shrunk to the smallest that
 * still does harm.
 */
import { Reason } from "@postern/core"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as fc from "fast-check"
import * as VirtualTime from "../time/VirtualTime.ts"
import * as Faults from "./Faults.ts"

const side = fc.constantFrom<Faults.Side>("sent", "received")
// Octets into a connection: most sessions of one short message have some hundreds in either direction, each as good.
const at = fc.oneof({ weight: 4, arbitrary: fc.noBias(fc.nat(500)) }, { weight: 1, arbitrary: fc.nat(5000) })
const millis = fc.constantFrom(1, 1000, 60_000, 600_000)
const what = fc.constantFrom<Faults.Inserted>(
  "x",
  "\r\n",
  "250 ok\r\n",
  "421 bye\r\n",
  "\0",
  [0xff],
  [0x16, 0x03, 0x01]
)
const problem = fc.constantFrom<Faults.TlsProblem>(
  ...Reason.CertificateRefused.fields.problem.literals,
  "handshake",
  "not-tls",
  "reset",
  "close",
  "silence"
)

const on = ([fault, connection]: [Faults.Fault, number | undefined]): Faults.Fault =>
  connection === undefined ? fault : { ...fault, connection }

/** One fault, on any connection or on one of the first three. */
export const fault: fc.Arbitrary<Faults.Fault> = fc.tuple(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(side, at, fc.constantFrom("reset" as const, "close" as const)).map((given) =>
        Faults.cut(...given)
      )
    },
    { weight: 4, arbitrary: fc.tuple(side, at).map((given) => Faults.stall(...given)) },
    fc.tuple(side, at, millis).map((given) => Faults.delay(...given)),
    fc.tuple(side, at, fc.integer({ min: 1, max: 255 })).map((given) => Faults.corrupt(...given)),
    fc.tuple(side, at, what).map((given) => Faults.insert(...given)),
    at.map((at) => Faults.halfClose(at)),
    fc.tuple(side, fc.integer({ min: 1, max: 50 })).map((given) => Faults.split(...given)),
    millis.map((millis) => Faults.merge(millis)),
    fc.tuple(side, millis).map((given) => Faults.lag(...given)),
    fc.tuple(fc.integer({ min: 1, max: 100 }), millis).map((given) => Faults.slowReader(...given)),
    fc.constantFrom("ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH").map((code) => Faults.refuse(code)),
    millis.map((millis) => Faults.slowConnect(millis)),
    problem.map((problem) => Faults.tlsFailure(problem))
  ),
  fc.option(fc.nat(2), { nil: undefined })
).map(on)

const several = fc.array(fault, { minLength: 1, maxLength: 4 })

// Arrays of fast-check shrink from their front alone.
class Plans extends fc.Arbitrary<Faults.Plan> {
  generate(random: fc.Random, bias: number | undefined): fc.Value<Faults.Plan> {
    return new fc.Value(several.generate(random, bias).value, undefined)
  }
  canShrinkWithoutContext(value: unknown): value is Faults.Plan {
    return Array.isArray(value)
  }
  shrink(plan: Faults.Plan): fc.Stream<fc.Value<Faults.Plan>> {
    return new fc.Stream(smaller(plan)).map((plan) => new fc.Value(plan, undefined))
  }
}

/** One to four faults; shrinks to the fewest, then to an earlier place and to smaller numbers. */
export const plan: fc.Arbitrary<Faults.Plan> = new Plans()

/** So many plans of a seed, always the same. */
const plans = (seed: number, count: number): ReadonlyArray<Faults.Plan> => fc.sample(plan, { seed, numRuns: count })

/** The plan of a seed, always the same. */
export const fromSeed = (seed: number): Faults.Plan => plans(seed, 1)[0] ?? []

/** A plan did harm. */
export class FaultFound extends Data.TaggedError("FaultFound")<{
  readonly seed: number
  /** The smallest plan that was found: each of its faults is needed, none can come one octet earlier. */
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
  /** How many plans; 300 unless given. */
  readonly runs?: number | undefined
  /** Virtual time after which a run has hung; a day unless given. */
  readonly limit?: Duration.Input | undefined
}

/**
 * Runs `property` with many plans, each in virtual time. It is to provide `Faults.layer(plan)`
 * over a server of its own, and to fail, or die, when something is wrong; it is wrong too when
 * it does not end. Gives the number of plans; fails with {@link FaultFound}.
 *
 * It is for servers in memory: virtual time does not wait for sockets.
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
export const check = Effect.fnUntraced(function*<E>(
  property: (plan: Faults.Plan) => Effect.Effect<unknown, E>,
  options: Options = {}
): Effect.fn.Return<number, FaultFound> {
  const { limit = "1 day", runs = 300, seed = yield* Random.nextIntBetween(0, 2 ** 31) } = options
  const hung = `it did not end within ${Duration.format(Duration.fromInputUnsafe(limit))}`
  // What goes wrong with a plan, if anything does.
  const harm = Effect.fnUntraced(function*(plan: Faults.Plan) {
    const run = Effect.timeoutOrElse(property(plan), { duration: limit, orElse: () => Effect.fail(hung) })
    const exit = yield* Effect.exit(Effect.provide(run, VirtualTime.layer()))
    return Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)
  })
  for (const [tried, plan] of plans(seed, runs).entries()) {
    const problem = yield* harm(plan)
    if (problem === undefined) continue
    const found = yield* shrink(plan, problem, harm)
    return yield* new FaultFound({ ...found, seed, code: Faults.code(found.plan), runs: tried })
  }
  return runs
})

interface Harmful {
  readonly plan: Faults.Plan
  readonly problem: string
}

/** Tries of a smaller plan; what has not become smallest by then is small enough. */
const patience = 1000

const shrink = Effect.fnUntraced(function*(
  plan: Faults.Plan,
  problem: string,
  harm: (plan: Faults.Plan) => Effect.Effect<string | undefined>
): Effect.fn.Return<Harmful> {
  let smallest: Harmful = { plan, problem }
  let candidates = smaller(plan)
  for (let tries = 0; tries < patience; tries++) {
    const next = candidates.next()
    if (next.done === true) break
    const problem = yield* harm(next.value)
    if (problem === undefined) continue
    smallest = { plan: next.value, problem }
    candidates = smaller(next.value)
  }
  return smallest
})

/** Plans with a fault less, then those with a smaller fault: the boldest first. */
function* smaller(plan: Faults.Plan): Generator<Faults.Plan> {
  if (plan.length > 1) { for (const i of plan.keys()) yield plan.toSpliced(i, 1) }
  for (const [i, fault] of plan.entries()) {
    for (const less of smallerFault(fault)) yield plan.toSpliced(i, 1, less)
  }
}

function* smallerFault(fault: Faults.Fault): Generator<Faults.Fault> {
  const { connection, ...everywhere } = fault
  if (connection !== undefined) yield everywhere
  for (const [name, least] of numbers) {
    const value: unknown = (fault as Record<string, unknown>)[name]
    if (typeof value !== "number") continue
    // To the least, half the way there, and so on down to a step of one.
    for (let step = value - least; step >= 1; step = Math.floor(step / 2)) yield { ...fault, [name]: value - step }
  }
}

/** What can be smaller, and its least value. */
const numbers = [["at", 0], ["millis", 0], ["size", 1], ["xor", 1], ["connection", 0]] as const
