/**
 * Time that passes only when nothing else can happen: a program that sleeps an hour, or
 * waits for a time limit, is done at once, and at the same instant each time.
 *
 * Nobody has to advance it. It knows that every fiber waits, since it is also the scheduler
 * of the fibers it is given to. What waits outside of Effect (a socket, a Web Crypto
 * promise) is not seen: time may pass such a program by.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"

/** When it starts. */
export interface Options {
  /** Milliseconds since the epoch; 0 unless given. */
  readonly start?: number | undefined
}

/**
 * A clock and the scheduler that moves it. A layer of time that is built twice makes two
 * clocks.
 *
 * @example
 * ```ts
 * import { VirtualTime } from "@postern/testing"
 * import { Clock, Effect } from "effect"
 *
 * const hour = Effect.andThen(Effect.sleep("1 hour"), Clock.currentTimeMillis)
 * Effect.runPromise(Effect.provide(hour, VirtualTime.layer())).then(console.log) // 3600000, at once
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.effectContext(Effect.sync(() => {
    const time = new VirtualTime(options.start ?? 0)
    return Context.make(Clock.Clock, time).pipe(Context.add(Scheduler.Scheduler, time.scheduler))
  }))

interface Sleeper {
  readonly until: bigint
  readonly wake: () => void
}

const million = 1_000_000n

class VirtualTime implements Clock.Clock {
  readonly #start: bigint
  #now: bigint
  /** In the order in which they wake; those of one instant in the order in which they fell asleep. */
  #sleepers: Array<Sleeper> = []
  /** Batches of tasks that the scheduler has not run. */
  #pending = 0
  #looking = false

  readonly scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler("async", (run) => {
    this.#pending++
    const timer = setImmediate(() => {
      this.#pending--
      run()
      this.#look()
    })
    return () => {
      this.#pending--
      clearImmediate(timer)
    }
  })

  constructor(start: number) {
    this.#start = BigInt(Math.round(start * 1_000_000))
    this.#now = this.#start
  }

  currentTimeMillisUnsafe = (): number => Number(this.#now / million)
  currentTimeNanosUnsafe = (): bigint => this.#now
  monotonicTimeNanosUnsafe = (): bigint => this.#now - this.#start
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(this.currentTimeMillisUnsafe)
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(this.currentTimeNanosUnsafe)
  readonly monotonicTimeNanos: Effect.Effect<bigint> = Effect.sync(this.monotonicTimeNanosUnsafe)

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    if (!Duration.isFinite(duration)) return Effect.never
    return Effect.callback<void>((resume) => {
      const nanos = Duration.toNanosUnsafe(duration)
      const sleeper: Sleeper = { until: this.#now + (nanos > 0n ? nanos : 0n), wake: () => resume(Effect.void) }
      const later = this.#sleepers.findIndex(({ until }) => until > sleeper.until)
      this.#sleepers.splice(later === -1 ? this.#sleepers.length : later, 0, sleeper)
      this.#look()
      return Effect.sync(() => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
      })
    })
  }

  // Two turns of the event loop: what a promise resolved has its turn before time does.
  #look(): void {
    if (this.#looking || this.#sleepers.length === 0) return
    this.#looking = true
    setImmediate(() =>
      setImmediate(() => {
        this.#looking = false
        if (this.#pending === 0) this.#advance()
      })
    )
  }

  #advance(): void {
    const next = this.#sleepers.shift()
    if (next === undefined) return
    this.#now = next.until
    next.wake()
    this.#look()
  }
}
