/**
 * What a real server is to the tests.
 */
import { Data, Effect, type FileSystem, type Path, Schedule, type Scope } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import type { CommandError } from "../machine/Command.ts"
import type { Daemon, DaemonError } from "../machine/Daemon.ts"
import type { Unavailable } from "../machine/Debian.ts"
import type { Identities, Identity } from "../machine/Ground.ts"
import type { Realm } from "./Kerberos.ts"

/** What starting a server needs of Effect. */
export type Needs = ChildProcessSpawner.ChildProcessSpawner | FileSystem.FileSystem | Path.Path

/** A server cannot be had, or does not start. It fails the tests; it never skips them. */
export class ServerError extends Data.TaggedError("ServerError")<{
  readonly server: string
  readonly cause: Unavailable | DaemonError | CommandError
}> {
  override get message() {
    return `${this.server}: ${this.cause.message}`
  }
}

/** Who may log in everywhere, with what. Names and password are ASCII without blanks. */
export const account = { user: "ann", password: "correct-horse", wrong: "battery-staple" } as const

/** The domain whose mail is delivered into mailboxes. Elsewhere is relayed for those who logged in, and goes nowhere. */
export const domain = "example.test"

/** What the local parts of {@link domain} stand for, at the servers that know them. */
export const localParts = {
  /** Anything else is a mailbox. */
  unknown: "unknown",
  /** Refused for now, with a 4yz reply. */
  later: "later"
} as const

/** Ports of loopback by what is spoken there; undefined where a server does not have it. */
export interface Ports {
  /** SMTP for all, with STARTTLS offered; AUTH is offered inside of TLS, at least. */
  readonly startTls: number
  /** TLS from the first octet. */
  readonly tls: number | undefined
  /** No TLS is offered. */
  readonly plain: number | undefined
  /** Nothing but STARTTLS is taken before TLS. */
  readonly submission: number | undefined
  readonly lmtp: number | undefined
}

/** A message in a mailbox. */
export interface Arrived {
  /** What it came with: as stored, its line ends CRLF. */
  readonly octets: Uint8Array
}

/** What a kind of server can do: known before it runs, and tested. */
export interface Features {
  /** Ports it has besides `startTls`. */
  readonly ports: ReadonlyArray<Exclude<keyof Ports, "startTls">>
  /** Mechanisms that must work on `tls`, or after STARTTLS where there is no such port. */
  readonly mechanisms: ReadonlyArray<string>
  /** Which version of NTLM it knows. */
  readonly ntlmVersion?: 1 | 2
  /** Extensions by EHLO keyword that must be offered inside of TLS. */
  readonly extensions: ReadonlyArray<string>
  /** Refuses recipients that it does not know (`localParts.unknown`) and, for now, `localParts.later`. */
  readonly knowsRecipients: boolean
  /** The largest message in octets, undefined where there is no limit. */
  readonly size: number | undefined
  /** Ends idle connections after `Options.idle`. */
  readonly idles: boolean
  /** Relays for `elsewhere.test` once one has logged in, and refuses it before: with words that say so, or none. */
  readonly relays: "says why" | "says nothing" | false
}

/** A server as it was set up; it does not run yet. */
export interface Server {
  readonly name: string
  readonly version: string
  readonly ports: Ports
  /** Where GSSAPI is among its mechanisms. */
  readonly realm?: Realm
  /** What XOAUTH2 and OAUTHBEARER take; the password where it is not named. */
  readonly token?: string
  /** Runs it on its ports until the scope ends; may be done again after it was killed. It gives the daemon that speaks SMTP. */
  readonly run: Effect.Effect<Daemon, ServerError, Needs | Scope.Scope>
  /** All that is in its mailboxes by now, in no order. */
  readonly mailbox: Effect.Effect<ReadonlyArray<Arrived>, never, Needs>
  /** The end of its log, for failures. */
  readonly log: Effect.Effect<string, never, Needs>
}

/** How it is to be set up. */
export interface Options {
  readonly identities: Identities
  /** What it shows in TLS; the good one unless given. */
  readonly identity?: Identity
  /** Seconds after which it ends a connection that is idle; minutes unless given. For those of `idles`. */
  readonly idle?: number
}

/** A kind of server: sets one up on free ports and a folder of its own, which go with the scope. */
export interface Kind {
  readonly name: string
  readonly has: Features
  readonly setUp: (options: Options) => Effect.Effect<Server, ServerError, Needs | Scope.Scope>
}

/** Puts the name of the server to what keeps it from being there. */
export const named =
  (server: string) =>
  <A, R>(effect: Effect.Effect<A, Unavailable | DaemonError | CommandError, R>): Effect.Effect<A, ServerError, R> =>
    Effect.mapError(effect, (cause) => new ServerError({ server, cause }))

/** Waits until the mailbox holds what is looked for. Fails after 20 seconds with what is there instead. */
export const arrival = (
  server: Server,
  found: (all: ReadonlyArray<Arrived>) => boolean
): Effect.Effect<ReadonlyArray<Arrived>, NotArrived, Needs> =>
  Effect.flatMap(server.mailbox, (all) => found(all) ? Effect.succeed(all) : Effect.fail(new Missing(all.length))).pipe(
    Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 }),
    Effect.catch((missing) =>
      Effect.flatMap(
        server.log,
        (log) => Effect.fail(new NotArrived({ server: server.name, count: missing.count, log }))
      )
    )
  )

class Missing extends Data.TaggedError("Missing")<{ readonly count: number }> {
  constructor(count: number) {
    super({ count })
  }
}

/** What was sent is in no mailbox. */
export class NotArrived extends Data.TaggedError("NotArrived")<{
  readonly server: string
  readonly count: number
  readonly log: string
}> {
  override get message() {
    return `${this.server} has ${this.count} messages, not what was looked for\n${this.log}`
  }
}
