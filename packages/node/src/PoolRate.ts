/**
 * How fast a pool may send. The one file that uses Effect's `RateLimiter`, which is not
 * one of its stable modules.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RateLimiter from "effect/persistence/RateLimiter"

/** So many messages in a time. */
export interface Rate {
  /** A whole number from 1. */
  readonly messages: number
  readonly per: Duration.Input
  /** Pools that share a store of limits and this key share the limit; the preferred server's `host:port` unless given. */
  readonly key?: string | undefined
}

/**
 * An effect that waits until another message may be sent. Messages are counted in the
 * `RateLimiter` of the context where there is one (over Redis, for several processes),
 * otherwise in one of the pool's own.
 */
export const make = Effect.fnUntraced(function*(
  rate: Rate,
  otherwise: string
): Effect.fn.Return<Effect.Effect<void>> {
  const given = yield* Effect.serviceOption(RateLimiter.RateLimiter)
  const limiter = Option.isSome(given)
    ? given.value
    : yield* Effect.provide(RateLimiter.make, RateLimiter.layerStoreMemory)
  const ask = {
    key: `@postern/node/SmtpPool:${rate.key ?? otherwise}`,
    limit: rate.messages,
    window: rate.per,
    onExceeded: "delay"
  } as const
  return limiter.consume(ask).pipe(
    Effect.flatMap(({ delay }) => Duration.isZero(delay) ? Effect.void : Effect.sleep(delay)),
    // A store that cannot be reached is no reason to send nothing.
    Effect.catch((error) => Effect.logWarning("smtp: the rate limit is not kept", error))
  )
})
