/**
 * What kind of server is simulated: everything optional, with a server that takes all
 * mail, offers STARTTLS and the usual extensions, and asks for no authentication.
 */
import type { Command, Mechanism, Reply } from "@postern/core"
import { Address } from "@postern/core"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Message, State } from "./ServerSession.ts"

/** What a reply is given to: the connection itself, a command, or the end of content. */
export type Turn =
  | { readonly _tag: "Greeting" }
  | Command.Command
  /** One for each recipient when the server speaks LMTP (RFC 2033 §4.2), and one in all otherwise. */
  | { readonly _tag: "Content"; readonly message: Message }

/**
 * Overrules the server: a reply to send in place of its own, `"drop"` to close the
 * connection without one, or undefined to let the server speak.
 *
 * The server goes on as if it had said so itself: what the command does is done where the
 * given reply and its own have the same first digit, and is not done otherwise. A 421
 * closes the connection, and a 334 or 354 waits for what it asks for in any case.
 */
export type Overrule = (turn: Turn, state: State) => Reply.Reply | "drop" | undefined

/** The server. Sizes are octets. */
export interface Config {
  /** Its own name; `mx.example` unless given. */
  readonly hostname?: string | undefined
  /** What it greets with instead of 220. After 421 it closes; after 554 it only waits for QUIT (RFC 5321 §3.1). */
  readonly greeting?: Reply.Reply | undefined
  /**
   * The lines of its EHLO reply, without STARTTLS and AUTH, which are in it where they hold.
   * What is not listed is not understood either. A bare `SIZE` gets the value of `maxSize`.
   * Unless given: {@link defaultExtensions}.
   */
  readonly extensions?: ReadonlyArray<string> | undefined
  /** `false`: it knows HELO only and answers EHLO with 502. */
  readonly ehlo?: boolean | undefined
  /** It speaks LMTP (RFC 2033): LHLO in place of EHLO and HELO, a reply for each recipient behind the content. */
  readonly lmtp?: boolean | undefined

  /** It offers STARTTLS; `true` unless given. */
  readonly startTls?: boolean | undefined
  /** TLS comes first, then the greeting (RFC 8314 §3.3). */
  readonly implicitTls?: boolean | undefined
  /** It takes nothing but EHLO, STARTTLS, NOOP and QUIT without TLS (RFC 3207 §4): 530 5.7.0. */
  readonly requireTls?: boolean | undefined
  /** It misbehaves: this text follows the 220 of STARTTLS in plaintext, in the same write. */
  readonly injectAfterStartTls?: string | undefined

  /** The mechanisms it offers, in order; none unless given. */
  readonly mechanisms?: ReadonlyArray<Mechanism.Mechanism<unknown>> | undefined
  /** Passwords by user name. */
  readonly accounts?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  /** Whether a bearer token is good for a user; none is, unless given. */
  readonly acceptsToken?: ((token: string, user: string | undefined) => boolean) | undefined
  /** Its clock, in milliseconds since the epoch, where a mechanism needs one; 0 unless given. */
  readonly now?: number | undefined
  /** It offers and takes AUTH without TLS; otherwise 538 5.7.11. */
  readonly authBeforeTls?: boolean | undefined
  /** It writes `AUTH=PLAIN` instead of `AUTH PLAIN`, as servers older than RFC 2554 do. */
  readonly legacyAuth?: boolean | undefined
  /** It takes no mail without AUTH (RFC 4954 §6): 530 5.7.0. */
  readonly requireAuth?: boolean | undefined

  /**
   * The domains it takes mail for from everybody. To any other it relays for the
   * authenticated: 554 5.7.1. Unless given it takes mail for all domains.
   */
  readonly localDomains?: ReadonlyArray<string> | undefined
  /** Recipients it does not know, as `local@domain`: 550 5.1.1. */
  readonly unknownUsers?: ReadonlyArray<string> | ((mailbox: string) => boolean) | undefined
  /** It refuses each pair of sender and recipient the first time: 450 4.7.1. */
  readonly greylist?: boolean | undefined
  /** The largest message; 10 MiB unless given. Never keeps more. */
  readonly maxSize?: number | undefined
  /** Recipients of one message; 100 unless given (RFC 5321 §4.5.3.1.8), then 452 4.5.3. */
  readonly maxRecipients?: number | undefined

  readonly reply?: Overrule | undefined
}

/** What a server offers unless told otherwise. */
export const defaultExtensions: ReadonlyArray<string> = [
  "PIPELINING",
  "SIZE",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
  "DSN",
  "CHUNKING"
]

/** A {@link Config} with nothing left open. */
export interface Settings {
  readonly hostname: string
  readonly greeting: Reply.Reply | undefined
  readonly extensions: ReadonlyArray<string>
  /** The keywords of `extensions` in upper case, and AUTH where there are mechanisms. */
  readonly keywords: ReadonlySet<string>
  readonly hello: ReadonlySet<"Ehlo" | "Helo" | "Lhlo">
  readonly lmtp: boolean
  readonly startTls: boolean
  readonly implicitTls: boolean
  readonly requireTls: boolean
  readonly injectAfterStartTls: string
  readonly mechanisms: ReadonlyArray<Mechanism.Mechanism<unknown>>
  readonly passwordOf: (user: string) => Redacted.Redacted<string> | undefined
  readonly acceptsToken: (token: string, user: string | undefined) => boolean
  readonly now: number
  readonly authBeforeTls: boolean
  readonly legacyAuth: boolean
  readonly requireAuth: boolean
  readonly isLocal: (domain: Address.Domain) => boolean
  readonly isUnknown: (mailbox: string) => boolean
  readonly greylist: boolean
  readonly maxSize: number
  readonly maxRecipients: number
  readonly reply: Overrule
}

/** Fills in what a config leaves open. */
export const settle = (config: Config): Settings => {
  const { accounts = {}, lmtp = false, localDomains, maxSize = 10_485_760, mechanisms = [], unknownUsers = [] } = config
  const extensions = (config.extensions ?? defaultExtensions).map((line) => line === "SIZE" ? `SIZE ${maxSize}` : line)
  const domains = localDomains && new Set(localDomains.map(domainOf))
  return {
    hostname: config.hostname ?? "mx.example",
    greeting: config.greeting,
    extensions,
    keywords: new Set([...extensions, ...mechanisms.length > 0 ? ["AUTH"] : []].map(keywordOf)),
    hello: new Set(lmtp ? ["Lhlo"] : config.ehlo === false ? ["Helo"] : ["Ehlo", "Helo"]),
    lmtp,
    startTls: config.startTls ?? true,
    implicitTls: config.implicitTls ?? false,
    requireTls: config.requireTls ?? false,
    injectAfterStartTls: config.injectAfterStartTls ?? "",
    mechanisms,
    passwordOf: (user) => Object.hasOwn(accounts, user) ? accounts[user] : undefined,
    acceptsToken: config.acceptsToken ?? (() => false),
    now: config.now ?? 0,
    authBeforeTls: config.authBeforeTls ?? false,
    legacyAuth: config.legacyAuth ?? false,
    requireAuth: config.requireAuth ?? false,
    isLocal: (domain) => domains === undefined || domains.has(domain),
    isUnknown: typeof unknownUsers === "function" ? unknownUsers : (mailbox) => unknownUsers.includes(mailbox),
    greylist: config.greylist ?? false,
    maxSize,
    maxRecipients: config.maxRecipients ?? 100,
    reply: config.reply ?? (() => undefined)
  }
}

const keywordOf = (line: string): string => (line.split(" ", 1)[0] ?? "").toUpperCase()

/** As it is written on the wire, so that `Bücher.example` in a config means what it says. */
const domainOf = (text: string): string => Result.getOrElse(Address.parseDomain(text), () => text)

/** Parameters of MAIL and RCPT and the extension that each belongs to. */
export const parameterOf: {
  readonly Mail: Readonly<Record<string, ReadonlyArray<string>>>
  readonly Rcpt: Readonly<Record<string, ReadonlyArray<string>>>
} = {
  Mail: {
    AUTH: ["AUTH"],
    BODY: ["8BITMIME", "BINARYMIME"],
    BY: ["DELIVERBY"],
    ENVID: ["DSN"],
    HOLDFOR: ["FUTURERELEASE"],
    HOLDUNTIL: ["FUTURERELEASE"],
    "MT-PRIORITY": ["MT-PRIORITY"],
    REQUIRETLS: ["REQUIRETLS"],
    RET: ["DSN"],
    SIZE: ["SIZE"],
    SMTPUTF8: ["SMTPUTF8"]
  },
  Rcpt: { NOTIFY: ["DSN"], ORCPT: ["DSN"], RRVS: ["RRVS"] }
}
