/**
 * What kind of server is simulated: everything optional, with a server that takes all
 * mail, offers STARTTLS and the usual extensions, and asks for no authentication.
 */
import type { Command, Mechanism, Reply } from "@postern/core"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { Limits } from "./ServerLimits.ts"
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

/** How long the server waits before a reply; there is no turn for a line that was no command. */
export type Delay = (reply: Reply.Reply, turn: Turn | undefined) => Duration.Input

/** The server. Sizes are octets; mailboxes are written `local@domain`. */
export interface Config {
  // What it is.

  /** Its own name; `mx.example` unless given. */
  readonly hostname?: string | undefined
  /** What it greets with instead of 220. After 421 it closes; after 554 it only waits for QUIT (RFC 5321 §3.1). */
  readonly greeting?: Reply.Reply | undefined
  /**
   * The lines of its EHLO reply, without STARTTLS and AUTH, which are in it where they hold.
   * What is not listed is not understood either. A bare `SIZE` gets the value of `maxSize`, a
   * bare `XCLIENT` all attributes; `REQUIRETLS` is shown over TLS only (RFC 8689 §2), and what
   * stands behind `BURL` to the authenticated, where there is authentication (RFC 4468 §3.1).
   * Unless given: {@link defaultExtensions}; {@link everyExtension} are all there are.
   */
  readonly extensions?: ReadonlyArray<string> | undefined
  /** `false`: it knows HELO only and answers EHLO with 502. */
  readonly ehlo?: boolean | undefined
  /** It speaks LMTP (RFC 2033): LHLO in place of EHLO and HELO, a reply for each recipient behind the content. */
  readonly lmtp?: boolean | undefined

  // How it takes commands.

  /**
   * It answers DATA with 354 also where all recipients were refused, and the content with 554 5.5.1,
   * as a server may (RFC 2920 §3.1). With LMTP it is 503 5.5.1 in any case (RFC 2033 §4.2).
   */
  readonly dataAnyway?: boolean | undefined
  /**
   * It refuses a command behind which more came in the same octets, where PIPELINING is not offered or
   * the command ends a group (RFC 2920 §3.1): 503 5.5.0. It matters then how octets are cut.
   */
  readonly strictPipelining?: boolean | undefined

  // TLS.

  /** It offers STARTTLS; `true` unless given. */
  readonly startTls?: boolean | undefined
  /** TLS comes first, then the greeting (RFC 8314 §3.3). */
  readonly implicitTls?: boolean | undefined
  /** It takes nothing but EHLO, STARTTLS, NOOP and QUIT without TLS (RFC 3207 §4): 530 5.7.0. */
  readonly requireTls?: boolean | undefined
  /** It misbehaves: this text follows the 220 of STARTTLS in plaintext, in the same write. */
  readonly injectAfterStartTls?: string | undefined

  // Authentication.

  /** Passwords by user name. */
  readonly accounts?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  /** Whether a bearer token is good for a user; none is, unless given. */
  readonly acceptsToken?: ((token: string, user: string | undefined) => boolean) | undefined
  /**
   * The mechanisms it offers, in order. Unless given, those that can check what it knows:
   * passwords where there are `accounts`, tokens where there is `acceptsToken`. `"all"` are
   * these and EXTERNAL and ANONYMOUS. One bound to the TLS channel is offered only where
   * there is something to bind to.
   */
  readonly mechanisms?: "all" | ReadonlyArray<Mechanism.Mechanism<unknown>> | undefined
  /** It offers and takes AUTH without TLS; otherwise 538 5.7.11. */
  readonly authBeforeTls?: boolean | undefined
  /** It writes `AUTH=PLAIN` instead of `AUTH PLAIN`, as servers older than RFC 2554 do. */
  readonly legacyAuth?: boolean | undefined
  /** It takes no mail without AUTH (RFC 4954 §6): 530 5.7.0. */
  readonly requireAuth?: boolean | undefined
  /**
   * Who is authenticated sends in their own name only: 553 5.7.1. `ann` owns `ann` at every
   * domain, `ann@example.org` that address; notices from `<>` are everybody's.
   */
  readonly ownSenderOnly?: boolean | undefined

  // What it knows.

  /**
   * What VRFY finds by a name: one mailbox, such as `Ann <ann@example.org>`, or several, and then it is
   * ambiguous (553 5.1.4). Other names are unknown: 550 5.1.1. Unless given it is sure of nothing: 252.
   */
  readonly users?: Readonly<Record<string, string | readonly [string, ...Array<string>]>> | undefined
  /** What EXPN finds by a name; other names are unknown: 550 5.1.1. Unless given there is no EXPN. */
  readonly lists?: Readonly<Record<string, readonly [string, ...Array<string>]>> | undefined
  /**
   * How many messages wait for a node of ETRN: a domain, `@domain` or `#queue`. Others are not
   * allowed: 459 4.7.1. Unless given every queue is started. `ETRN` has to be among the extensions.
   */
  readonly queues?: Readonly<Record<string, number>> | undefined
  /** What there is at URLs of BURL; at others there is nothing: 554 5.6.6. Text is sent as it is, in UTF-8. */
  readonly urls?: Readonly<Record<string, string | Uint8Array>> | undefined

  // Whom it takes mail for.

  /**
   * The domains it takes mail for from everybody. To any other it relays for the
   * authenticated and for `relayNetworks`: 554 5.7.1. Unless given it takes mail for all domains.
   */
  readonly localDomains?: ReadonlyArray<string> | undefined
  /** Clients it relays for: addresses, or networks such as `192.0.2.0/24`. */
  readonly relayNetworks?: ReadonlyArray<string> | undefined
  /** Recipients it does not know: 550 5.1.1. */
  readonly unknownUsers?: ReadonlyArray<string> | ((mailbox: string) => boolean) | undefined
  /** What it answers to RCPT for these recipients, before any other rule but the number of recipients. */
  readonly replies?: Readonly<Record<string, Reply.Reply>> | undefined
  /** Bounds of single mailboxes. */
  readonly mailboxes?: Readonly<Record<string, Bounds>> | undefined
  /**
   * It refuses each pair of sender and recipient at first: 450 4.7.1. With a `delay`, until so
   * much time has passed since; otherwise the next attempt will do.
   */
  readonly greylist?: boolean | { readonly delay: Duration.Input } | undefined

  // How much of it.

  /** The largest message; 10 MiB unless given, then 552 5.3.4. Never keeps more. */
  readonly maxSize?: number | undefined
  /** Recipients of one message; 100 unless given (RFC 5321 §4.5.3.1.8), then 452 4.5.3. */
  readonly maxRecipients?: number | undefined
  /** What it says in LIMITS, and keeps to (RFC 9422). */
  readonly limits?: Limits | undefined
  /** Messages on one connection, then 421 4.7.0. */
  readonly maxMessages?: number | undefined
  /** Connections at a time; 1,000 unless given, then 421 4.7.0. */
  readonly maxConnections?: number | undefined
  /** Messages that one client may send in a time, then 450 4.7.1. A client is a user or, without AUTH, an address. */
  readonly rateLimit?: { readonly messages: number; readonly per: Duration.Input } | undefined

  // How slowly, by the clock of who drives it.

  /** It waits so long before each reply. */
  readonly delay?: Duration.Input | Delay | undefined
  /**
   * It waits so long before the greeting, and turns away who speaks in the meantime: 554 5.5.1.
   */
  readonly greetingDelay?: Duration.Input | undefined
  /**
   * It waits so long before it refuses an AUTH or a recipient; the recipients of one
   * connection are refused at once up to the number of `patience`, which is 0 unless given.
   */
  readonly tarpit?: { readonly delay: Duration.Input; readonly patience?: number | undefined } | undefined
  /** A client that says nothing for so long is left: 421 4.4.2. Never, unless given. */
  readonly idleTimeout?: Duration.Input | undefined

  readonly reply?: Overrule | undefined
}

/** What fits into a mailbox, and for whom it is. */
export interface Bounds {
  /** Octets of all its messages. One that would never fit: 552 5.2.2; one that does not fit now: 452 4.2.2. */
  readonly quota?: number | undefined
  /** The largest message: 552 5.2.3. */
  readonly maxSize?: number | undefined
  /** Since when it has had its owner: RRVS with an earlier time is refused (RFC 7293 §5.1), 550 5.7.17. */
  readonly ownedSince?: Date | undefined
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

/** Lines of all extensions that it understands; LIMITS and EXPN come of `limits` and `lists`. */
export const everyExtension: ReadonlyArray<string> = [
  ...defaultExtensions,
  "BINARYMIME",
  "BURL imap",
  "DELIVERBY 60",
  "ETRN",
  "FUTURERELEASE 2592000 2100-01-01T00:00:00Z",
  "MT-PRIORITY",
  "REQUIRETLS",
  "RRVS",
  "XCLIENT"
]
