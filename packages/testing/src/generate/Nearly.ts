/**
 * What is nearly right: one thing is wrong, and it is known what.
 */
import * as fc from "fast-check"

/** A value in which one thing is wrong. */
export interface Nearly<A, Wrong extends string = string> {
  readonly wrong: Wrong
  readonly value: A
}

/** A generator for each thing that can be wrong, by its name. */
export type Faults<A, Wrong extends string = string> = Readonly<Record<Wrong, fc.Arbitrary<A>>>

/**
 * One of these faults, labelled. A counterexample shrinks towards the faults that come first.
 *
 * @example
 * ```ts
 * import { Arbitraries } from "@postern/testing"
 *
 * // Only these two.
 * const { "line end LF": lf, "code changes": changes } = Arbitraries.replyFaults
 * export const some = Arbitraries.nearly({ "line end LF": lf, "code changes": changes })
 * ```
 */
export const nearly = <A, Wrong extends string>(faults: Faults<A, Wrong>): fc.Arbitrary<Nearly<A, Wrong>> =>
  fc.oneof(
    { withCrossShrink: true },
    ...Object.keys(faults).map((name) => {
      const wrong = name as Wrong
      return faults[wrong].map((value) => ({ wrong, value }))
    })
  )
