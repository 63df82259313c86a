/**
 * What a pool is to be like, and whether that can be.
 */
import { Reason, type SmtpClient, SmtpError } from "@postern/core"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as PoolLeases from "./PoolLeases.ts"
import type { Rate } from "./PoolRate.ts"

/** The preferred server, and how the pool is to behave. */
export interface Options extends SmtpClient.Options {
  /**
   * Servers to use, in this order, while those before them cannot be reached. Each has
   * options of its own: credentials are not handed on.
   */
  readonly fallbacks?: ReadonlyArray<SmtpClient.Options> | undefined
  /** How long a server that could not be reached is left in peace, each time anew: 1, 2, 4 … 32 seconds. */
  readonly backOff?: Schedule.Schedule<unknown, number> | undefined
  /** Connections that stay open when there is nothing to do; 0 unless given. */
  readonly min?: number | undefined
  /** The most connections at a time, to all servers together; 4 unless given. */
  readonly max?: number | undefined
  /** Connections beyond `min` are closed when they were idle for so long (at the latest, twice as long); 1 minute unless given. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Messages on one connection, 100 unless given. A server's MAILMAX (RFC 9422) is kept in any case. */
  readonly messagesPerConnection?: number | undefined
  /** How fast to send; as fast as it goes, unless given. */
  readonly rate?: Rate | undefined
  /**
   * When to send a message again that failed, of those where that is safe: not refused for
   * good, and not in doubt. Unless given, three times, after about 1, 2 and 4 seconds, what
   * failed on the way; what the server refused for now is left to the caller, as minutes
   * have to pass. `Schedule.recurs(0)` never does.
   */
  readonly retry?: Schedule.Schedule<unknown, SmtpError.SmtpError> | undefined
  /** Sends again also what may have been delivered: it may arrive twice. */
  readonly retryInDoubt?: boolean | undefined
  /** How long messages under way may take when the layer's scope closes, before they are cut off; 30 seconds unless given. */
  readonly drainWithin?: Duration.Input | undefined
}

/** What is wrong with something that was given. */
export const invalid = (what: string, problem: string): SmtpError.SmtpError =>
  new SmtpError.SmtpError({ reason: Reason.make("InvalidInput", { what, problem }), phase: "input", transcript: [] })

/** The options that are numbers and times, with what holds where they are not given. */
export interface Settings extends PoolLeases.Options {
  readonly drainWithin: Duration.Duration
}

/** Fails with `InvalidInput`. */
export const settle = (options: Options): Result.Result<Settings, SmtpError.SmtpError> =>
  Result.gen(function*() {
    const { max = 4, messagesPerConnection = 100, min = 0, rate } = options
    const whole = (what: string, value: number, from: number) =>
      Number.isInteger(value) && value >= from
        ? Result.succeed(value)
        : Result.fail(invalid(what, `it is a whole number from ${from}, not ${value}`))
    const duration = (what: string, given: Duration.Input) =>
      Result.fromOption(Duration.fromInput(given), () => invalid(what, "it is no duration, such as \"1 minute\""))
    if (rate !== undefined) {
      yield* whole("rate.messages", rate.messages, 1)
      yield* duration("rate.per", rate.per)
    }
    return {
      max: yield* whole("max", max, 1),
      min: min > max ? yield* Result.fail(invalid("min", "it is more than max")) : yield* whole("min", min, 0),
      messagesPerConnection: yield* whole("messagesPerConnection", messagesPerConnection, 1),
      idleTimeout: yield* duration("idleTimeout", options.idleTimeout ?? "1 minute"),
      drainWithin: yield* duration("drainWithin", options.drainWithin ?? "30 seconds")
    }
  })
