/** The `Clock` for what is no Effect: the simulated servers' waits, by the time of those that they serve. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Timers {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Does it after so many milliseconds, unless called off. */
  readonly after: (millis: number, then: () => void) => () => void
}

/** Those of the fiber's clock. */
export const timers: Effect.Effect<Timers> = Effect.contextWith((context) =>
  Effect.map(Clock.clockWith(Effect.succeed), (clock): Timers => {
    const fork = Effect.runForkWith(context)
    return {
      now: () => clock.currentTimeMillisUnsafe(),
      after: (millis, then) => {
        const sleeping = fork(Effect.andThen(Effect.sleep(millis), Effect.sync(then)))
        return () => sleeping.interruptUnsafe()
      }
    }
  })
)
