/**
 * Time limits for what waits again and again: one sleep for many waits, each of which
 * would cost as much as all that is done for a reply.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

interface Waiting {
  readonly deadline: number
  readonly expire: () => void
}

/** Watches one wait at a time. */
export class Watchdog {
  readonly clock: Clock.Clock
  // Whoever prints a connection prints its fields.
  readonly #context: Context.Context<never>
  waiting: Waiting | undefined = undefined
  #sleeper: Fiber.Fiber<void> | undefined = undefined
  /** When the sleeper wakes. */
  wakes = 0

  constructor(clock: Clock.Clock, context: Context.Context<never>) {
    this.clock = clock
    this.#context = context
  }

  /** The effect, or `otherwise` when it takes longer. Without a sleep when it need not wait. */
  limit<A, E>(effect: Effect.Effect<A, E>, millis: number, otherwise: () => Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.withFiber((parent) => {
      const child = Effect.runForkWith(parent.context)(effect)
      const done = child.pollUnsafe()
      if (done !== undefined) return done
      return Effect.callback<A, E>((resume) => {
        const waiting: Waiting = {
          deadline: this.clock.currentTimeMillisUnsafe() + millis,
          expire: () => {
            stop()
            resume(Effect.flatMap(Fiber.interrupt(child), otherwise))
          }
        }
        const stop = child.addObserver((exit) => {
          this.disarm(waiting)
          resume(exit)
        })
        this.arm(waiting)
        return Effect.suspend(() => {
          this.disarm(waiting)
          stop()
          return Fiber.interrupt(child)
        })
      })
    })
  }

  arm(waiting: Waiting): void {
    this.waiting = waiting
    if (this.#sleeper !== undefined && this.wakes <= waiting.deadline) return
    const sleeper = this.#sleeper
    this.#sleeper = undefined
    sleeper?.interruptUnsafe()
    this.sleep(waiting.deadline)
  }

  disarm(waiting: Waiting): void {
    if (this.waiting === waiting) this.waiting = undefined
  }

  sleep(until: number): void {
    this.wakes = until
    const millis = Math.max(0, until - this.clock.currentTimeMillisUnsafe())
    const fiber = Effect.runForkWith(this.#context)(this.clock.sleep(Duration.millis(millis)))
    this.#sleeper = fiber
    fiber.addObserver(() => {
      if (this.#sleeper === fiber) this.wake()
    })
  }

  wake(): void {
    this.#sleeper = undefined
    const { waiting } = this
    if (waiting === undefined) return
    if (waiting.deadline > this.clock.currentTimeMillisUnsafe()) return this.sleep(waiting.deadline)
    this.waiting = undefined
    waiting.expire()
  }

  /** Ends the sleep. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const sleeper = this.#sleeper
    this.#sleeper = undefined
    this.waiting = undefined
    return sleeper === undefined ? Effect.void : Fiber.interrupt(sleeper)
  })
}
