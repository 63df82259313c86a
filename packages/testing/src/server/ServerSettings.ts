/** A config with nothing left open: what the simulated server goes by. */
import type { Mechanism, Reply } from "@postern/core"
import { Address } from "@postern/core"
import * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Networks from "./Networks.ts"
import { type Bounds, type Config, defaultExtensions, type Overrule, type Turn } from "./ServerConfig.ts"
import * as Limits from "./ServerLimits.ts"
import * as ServerMechanisms from "./ServerMechanisms.ts"
import { keywordOf } from "./ServerOffer.ts"
import * as Xclient from "./ServerXclient.ts"

/** A {@link Config} with nothing left open. Times are milliseconds. */
export interface Settings {
  readonly hostname: string
  readonly greeting: Reply.Reply | undefined
  readonly extensions: ReadonlyArray<string>
  /** The keywords of `extensions` in upper case, and AUTH where there are mechanisms. */
  readonly keywords: ReadonlySet<string>
  readonly hello: ReadonlySet<"Ehlo" | "Helo" | "Lhlo">
  readonly lmtp: boolean
  readonly dataAnyway: boolean
  readonly strictPipelining: boolean
  readonly startTls: boolean
  readonly implicitTls: boolean
  readonly requireTls: boolean
  readonly injectAfterStartTls: string
  readonly mechanisms: ReadonlyArray<Mechanism.Mechanism<unknown>>
  readonly passwordOf: (user: string) => Redacted.Redacted<string> | undefined
  readonly acceptsToken: (token: string, user: string | undefined) => boolean
  readonly authBeforeTls: boolean
  readonly legacyAuth: boolean
  readonly requireAuth: boolean
  readonly ownSenderOnly: boolean
  readonly users: ((name: string) => ReadonlyArray<string> | undefined) | undefined
  readonly lists: ((name: string) => ReadonlyArray<string> | undefined) | undefined
  readonly queues: ((node: string) => number | undefined) | undefined
  readonly urls: (url: string) => Uint8Array | undefined
  readonly isLocal: (domain: Address.Domain) => boolean
  readonly relaysFor: (client: string) => boolean
  readonly isUnknown: (mailbox: string) => boolean
  readonly replyTo: (mailbox: string) => Reply.Reply | undefined
  readonly boundsOf: (mailbox: string) => Bounds | undefined
  /** How long a pair is refused; undefined where none is. */
  readonly greylist: number | undefined
  readonly maxSize: number
  readonly maxRecipients: number
  readonly limits: Limits.Limits
  readonly maxMessages: number
  readonly maxConnections: number
  readonly rateLimit: { readonly messages: number; readonly per: number } | undefined
  readonly greetingDelay: number
  readonly delayOf: (reply: Reply.Reply, turn: Turn | undefined, refusedRecipients: number) => number
  readonly idleTimeout: number | undefined
  readonly reply: Overrule
}

/** Fills in what a config leaves open. */
export const settle = (config: Config): Settings => {
  const { accounts = {}, greylist = false, lmtp = false, maxSize = 10_485_760, rateLimit } = config
  const extensions = extensionsOf(config, maxSize)
  const mechanisms = mechanismsOf(config)
  const domains = config.localDomains && new Set(config.localDomains.map(domainOf))
  const networks = (config.relayNetworks ?? []).flatMap((text) => Result.getOrElse(toArray(text), () => []))
  return {
    hostname: config.hostname ?? "mx.example",
    greeting: config.greeting,
    extensions,
    keywords: new Set([...extensions, ...mechanisms.length > 0 ? ["AUTH"] : []].map(keywordOf)),
    hello: new Set(lmtp ? ["Lhlo"] : config.ehlo === false ? ["Helo"] : ["Ehlo", "Helo"]),
    lmtp,
    dataAnyway: config.dataAnyway ?? false,
    strictPipelining: config.strictPipelining ?? false,
    startTls: config.startTls ?? true,
    implicitTls: config.implicitTls ?? false,
    requireTls: config.requireTls ?? false,
    injectAfterStartTls: config.injectAfterStartTls ?? "",
    mechanisms,
    passwordOf: (user) => Object.hasOwn(accounts, user) ? accounts[user] : undefined,
    acceptsToken: config.acceptsToken ?? (() => false),
    authBeforeTls: config.authBeforeTls ?? false,
    legacyAuth: config.legacyAuth ?? false,
    requireAuth: config.requireAuth ?? false,
    ownSenderOnly: config.ownSenderOnly ?? false,
    users: config.users && byName(config.users, (found) => typeof found === "string" ? [found] : found),
    lists: config.lists && byName(config.lists, (members) => members),
    queues: config.queues && byName(config.queues, (waiting) => waiting),
    urls: byName(config.urls ?? {}, (bytes) => typeof bytes === "string" ? utf8.encode(bytes) : bytes, (url) => url),
    isLocal: (domain) => domains === undefined || domains.has(domain),
    relaysFor: (client) => Networks.include(networks, client),
    isUnknown: unknown(config.unknownUsers ?? []),
    replyTo: byMailbox(config.replies),
    boundsOf: byMailbox(config.mailboxes),
    greylist: greylist === false ? undefined : greylist === true ? 0 : Duration.toMillis(greylist.delay),
    maxSize,
    maxRecipients: config.maxRecipients ?? 100,
    limits: config.limits ?? {},
    maxMessages: config.maxMessages ?? Number.POSITIVE_INFINITY,
    maxConnections: config.maxConnections ?? 1000,
    rateLimit: rateLimit && { messages: rateLimit.messages, per: Duration.toMillis(rateLimit.per) },
    greetingDelay: Duration.toMillis(config.greetingDelay ?? 0),
    delayOf: delays(config),
    idleTimeout: config.idleTimeout === undefined ? undefined : Duration.toMillis(config.idleTimeout),
    reply: config.reply ?? (() => undefined)
  }
}

const extensionsOf = (
  { extensions = defaultExtensions, limits, lists }: Config,
  maxSize: number
): ReadonlyArray<string> => [
  ...extensions.map((line) =>
    line === "SIZE" ? `SIZE ${maxSize}` : line === "XCLIENT" ? `XCLIENT ${Xclient.names.join(" ")}` : line
  ),
  ...limits === undefined ? [] : [Limits.line(limits)],
  ...lists === undefined ? [] : ["EXPN"]
]

const utf8 = new TextEncoder()

/** A table by names in any case of letters, unless `spelled` says otherwise. */
const byName = <A, B>(
  table: Readonly<Record<string, A>>,
  read: (value: A) => B,
  spelled = (name: string) => name.toLowerCase()
): (name: string) => B | undefined => {
  const map = new Map(Object.entries(table).map(([name, value]) => [spelled(name), read(value)]))
  return (name) => map.get(spelled(name))
}

const mechanismsOf = ({ acceptsToken, accounts, mechanisms }: Config): Settings["mechanisms"] =>
  mechanisms === "all" ? ServerMechanisms.all : mechanisms ?? [
    ...accounts === undefined ? [] : ServerMechanisms.ofPasswords,
    ...acceptsToken === undefined ? [] : ServerMechanisms.ofTokens
  ]

const delays = ({ delay = 0, tarpit }: Config): Settings["delayOf"] => {
  const always = typeof delay === "function" ? delay : () => delay
  const pit = tarpit && { millis: Duration.toMillis(tarpit.delay), patience: tarpit.patience ?? 0 }
  return (reply, turn, refusedRecipients) => {
    const sticky = pit !== undefined && (isFailedAuth(reply, turn)
      || (turn?._tag === "Rcpt" && reply.code >= 400 && refusedRecipients > pit.patience))
    return Duration.toMillis(always(reply, turn)) + (sticky ? pit.millis : 0)
  }
}

const isFailedAuth = ({ code }: Reply.Reply, turn: Turn | undefined): boolean =>
  (turn?._tag === "Auth" || turn?._tag === "AuthResponse") && (code === 535 || code === 421)

/** As it is written on the wire, so that `Bücher.example` in a config means what it says. */
const domainOf = (text: string): string => Result.getOrElse(Address.parseDomain(text), () => text)

/** Likewise; the postmaster of the very server has no domain. */
const mailboxOf = (text: string): string =>
  Result.getOrElse(Result.map(Address.parse(text), Address.format), () => text)

const byMailbox = <A>(table: Readonly<Record<string, A>> = {}): (mailbox: string) => A | undefined => {
  const map = new Map(Object.entries(table).map(([mailbox, value]) => [mailboxOf(mailbox), value]))
  return (mailbox) => map.get(mailbox)
}

const unknown = (users: NonNullable<Config["unknownUsers"]>): (mailbox: string) => boolean => {
  if (typeof users === "function") return users
  const set = new Set(users.map(mailboxOf))
  return (mailbox) => set.has(mailbox)
}

// A config that is to be trusted has been checked by `SimulatedServer`; what is no network includes nobody.
const toArray = (text: string): Result.Result<ReadonlyArray<Networks.Network>, string> =>
  Result.map(Networks.parse(text), (network) => [network])
