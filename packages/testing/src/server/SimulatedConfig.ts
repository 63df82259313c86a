/**
 * A server's config as people write it: passwords and replies as text, everything checked
 * before the server starts.
 */
import { Address, Command, Reply } from "@postern/core"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Networks from "./Networks.ts"
import type * as ServerMachine from "./ServerMachine.ts"

/** As of the pure machine, but for what may be written as text. */
export interface Config extends Omit<ServerMachine.Config, "accounts" | "replies"> {
  /** Passwords by user name. Every mechanism that can check a password is offered, unless `mechanisms` are given. */
  readonly accounts?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /**
   * What it answers to RCPT for these recipients, before any other rule but the number of
   * recipients: `{ "ben@example.org": "550 5.1.1 No such user" }`. More lines than one are
   * written as on the wire, `550-` in front of all but the last.
   */
  readonly replies?: Readonly<Record<string, string | Reply.Reply>> | undefined
}

/** A config cannot be meant so. */
export class ConfigError extends Data.TaggedError("ConfigError")<{
  /** Where, for instance `replies["ben@example.org"]`. */
  readonly option: string
  readonly value: string
  readonly problem: string
}> {
  override get message() {
    return `${this.option}: ${JSON.stringify(this.value)}: ${this.problem}`
  }
}

/** Reads it. Fails with `ConfigError` for the first text that is not what it is to be. */
export const read = Effect.fnUntraced(function*(
  config: Config
): Effect.fn.Return<ServerMachine.Config, ConfigError> {
  const { accounts, replies = {}, ...others } = config
  if (config.hostname !== undefined) yield* domain("hostname", config.hostname)
  for (const name of config.localDomains ?? []) yield* domain("localDomains", name)
  for (const name of config.relayNetworks ?? []) yield* network(name)
  if (typeof config.unknownUsers === "object") {
    for (const name of config.unknownUsers) yield* mailbox("unknownUsers", name)
  }
  for (const name of Object.keys(config.mailboxes ?? {})) yield* mailbox("mailboxes", name)
  for (const url of Object.keys(config.urls ?? {})) {
    yield* demand("urls", url, Result.mapError(Command.burl(url, true), ({ problem }) => problem))
  }
  for (const [option, value] of Object.entries(config.limits ?? {})) {
    yield* demand(`limits.${option}`, String(value), limit(value))
  }
  for (const [option, value] of Object.entries(durations(config))) {
    if (value !== undefined && Option.isNone(Duration.fromInput(value))) {
      return yield* new ConfigError({ option, value: String(value), problem: "is no duration, such as \"5 minutes\"" })
    }
  }
  const table: Record<string, Reply.Reply> = {}
  for (const [name, given] of Object.entries(replies)) {
    yield* mailbox("replies", name)
    table[name] = typeof given === "string" ? yield* reply(`replies[${JSON.stringify(name)}]`, given) : given
  }
  return {
    ...others,
    replies: table,
    accounts: accounts && Object.fromEntries(
      Object.entries(accounts).map(([user, password]) => [
        user,
        typeof password === "string" ? Redacted.make(password) : password
      ])
    )
  }
})

const domain = (option: string, value: string): Effect.Effect<unknown, ConfigError> =>
  demand(option, value, Result.mapError(Address.parseDomain(value), ({ problem }) => problem))

const network = (value: string): Effect.Effect<unknown, ConfigError> =>
  demand("relayNetworks", value, Networks.parse(value))

/** The postmaster of the server itself has no domain. */
const mailbox = (option: string, value: string): Effect.Effect<unknown, ConfigError> =>
  value === "postmaster" ? Effect.void : demand(
    option,
    value,
    Result.mapError(Address.parse(value), ({ problem }) => problem)
  )

// RFC 9422 §3: a number of up to six digits.
const limit = (value: number | undefined): Result.Result<unknown, string> =>
  value === undefined || (Number.isInteger(value) && value > 0 && value < 1_000_000)
    ? Result.succeed(value)
    : Result.fail("is no number from 1 to 999999")

const demand = (
  option: string,
  value: string,
  read: Result.Result<unknown, string>
): Effect.Effect<unknown, ConfigError> =>
  Effect.fromResult(Result.mapError(read, (problem) => new ConfigError({ option, value, problem })))

const durations = (
  { delay, greetingDelay, greylist, idleTimeout, rateLimit, tarpit }: Config
): Readonly<Record<string, Duration.Input | undefined>> => ({
  "delay": typeof delay === "function" ? undefined : delay,
  greetingDelay,
  "greylist.delay": typeof greylist === "object" ? greylist.delay : undefined,
  idleTimeout,
  "rateLimit.per": rateLimit?.per,
  "tarpit.delay": tarpit?.delay
})

const reply = (option: string, value: string): Effect.Effect<Reply.Reply, ConfigError> =>
  Effect.suspend(() => {
    const decoder = Reply.decoder()
    decoder.push(new TextEncoder().encode(`${value}\n`))
    const decoded = decoder.next()
    return decoded !== undefined && Result.isSuccess(decoded) && decoder.isEmpty()
        && !Reply.isIntermediate(decoded.success)
      ? Effect.succeed(decoded.success)
      : Effect.fail(
        new ConfigError({
          option,
          value,
          problem: "is no reply to RCPT, such as \"550 5.1.1 No such user\""
        })
      )
  })
