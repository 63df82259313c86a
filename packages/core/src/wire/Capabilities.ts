/**
 * What a server can do: its answer to EHLO (RFC 5321 §4.1.1.1), typed.
 */
import * as Schema from "effect/Schema"
import type { Reply } from "./Reply.ts"

/** Limits a server states for a session (RFC 9422). */
const Limits = Schema.Struct({
  mailMax: Schema.UndefinedOr(Schema.Int),
  rcptMax: Schema.UndefinedOr(Schema.Int),
  rcptDomainMax: Schema.UndefinedOr(Schema.Int)
})

/**
 * The extensions of a server. `keywords` holds every EHLO keyword, in upper case, with
 * its parameters as sent (unknown ones too); the other fields are those that this
 * library acts on.
 */
export interface Capabilities extends Schema.Schema.Type<typeof Capabilities> {}

/** The schema of {@link Capabilities}. */
export const Capabilities = Schema.Struct({
  /** The server's own name: the first word of the first line. */
  domain: Schema.String,
  /** False when only HELO was answered: then no extension may be used. */
  extended: Schema.Boolean,
  keywords: Schema.Record(Schema.String, Schema.Array(Schema.String)),
  /** SASL mechanisms (RFC 4954) in the server's order, upper case, from all `AUTH` and legacy `AUTH=` lines. */
  auth: Schema.Array(Schema.String),
  startTls: Schema.Boolean,
  pipelining: Schema.Boolean,
  eightBitMime: Schema.Boolean,
  smtpUtf8: Schema.Boolean,
  chunking: Schema.Boolean,
  enhancedStatusCodes: Schema.Boolean,
  dsn: Schema.Boolean,
  /** SIZE (RFC 1870): the largest message in octets; 0 when the server names no limit; undefined without the extension. */
  size: Schema.UndefinedOr(Schema.Int),
  /** LIMITS (RFC 9422); undefined without the extension. */
  limits: Schema.UndefinedOr(Limits)
})

/** True when the server offers the extension of this EHLO keyword, in any case of letters. */
export const has = (capabilities: Capabilities, keyword: string): boolean =>
  Object.hasOwn(capabilities.keywords, keyword.toUpperCase())

/** The parameters the server gave with a keyword, or undefined when it does not offer it. */
export const parameters = (capabilities: Capabilities, keyword: string): ReadonlyArray<string> | undefined =>
  has(capabilities, keyword) ? capabilities.keywords[keyword.toUpperCase()] : undefined

/** What is known of a server that only took HELO (RFC 5321 §4.1.1.1): nothing. */
export const fromHelo = (reply: Reply): Capabilities => read(reply.lines[0], [], false)

/**
 * Reads a positive answer to EHLO or LHLO. Never fails: a line that is not
 * `keyword *(SP parameter)` tells nothing and is passed over.
 *
 * @example
 * ```ts
 * import { Capabilities, Reply } from "@postern/core"
 *
 * const capabilities = Capabilities.fromEhlo(
 *   Reply.make(250, ["mx.example", "SIZE 10240000", "AUTH=LOGIN PLAIN", "8bitmime"])
 * )
 * console.log(capabilities.size, capabilities.auth) // 10240000 ["LOGIN", "PLAIN"]
 * ```
 */
export const fromEhlo = (reply: Reply): Capabilities => {
  const [greeting, ...lines] = reply.lines
  return read(greeting, lines, true)
}

/** The answer to EHLO without the lines of these keywords: for servers that offer what they cannot do. */
export const without = (reply: Reply, keywords: ReadonlyArray<string>): Reply => {
  if (keywords.length === 0) return reply
  const unwanted = new Set(keywords.map((keyword) => keyword.toUpperCase()))
  const [greeting, ...lines] = reply.lines
  return { ...reply, lines: [greeting, ...lines.filter((line) => !unwanted.has(keywordOf(line)))] }
}

const keywordOf = (line: string): string => (line.trim().split(/[ \t=]/, 1)[0] ?? "").toUpperCase()

const keywordPattern = /^[A-Za-z0-9][A-Za-z0-9-]*$/
// RFC 4422 §3.1. Looked at before letters are folded: other letters than these fold to A-Z too.
const mechanismPattern = /^[A-Za-z0-9_-]{1,20}$/

const read = (greeting: string, lines: ReadonlyArray<string>, extended: boolean): Capabilities => {
  const keywords: Record<string, ReadonlyArray<string>> = {}
  const auth = new Set<string>()
  for (const line of lines) {
    // `AUTH=LOGIN PLAIN` is what servers older than RFC 2554 say; some say both.
    const [word = "", ...values] = line.trim().replace(/^auth=/i, "AUTH ").split(/[ \t]+/)
    if (!keywordPattern.test(word)) continue
    const keyword = word.toUpperCase()
    keywords[keyword] = [...keywords[keyword] ?? [], ...values]
    if (keyword === "AUTH") {
      for (const value of values) if (mechanismPattern.test(value)) auth.add(value.toUpperCase())
    }
  }
  const offers = (keyword: string) => Object.hasOwn(keywords, keyword)
  return {
    domain: greeting.trim().split(/[ \t]+/, 1)[0] ?? "",
    extended,
    keywords,
    auth: [...auth],
    startTls: offers("STARTTLS"),
    pipelining: offers("PIPELINING"),
    eightBitMime: offers("8BITMIME"),
    smtpUtf8: offers("SMTPUTF8"),
    chunking: offers("CHUNKING"),
    enhancedStatusCodes: offers("ENHANCEDSTATUSCODES"),
    dsn: offers("DSN"),
    size: offers("SIZE") ? readSize(keywords["SIZE"]?.[0]) : undefined,
    limits: offers("LIMITS") ? readLimits(keywords["LIMITS"] ?? []) : undefined
  }
}

// At most 20 digits (RFC 1870 §4); `SIZE`, `SIZE 0` and anything unreadable state no limit.
const readSize = (value: string | undefined): number => {
  const size = value !== undefined && /^\d{1,20}$/.test(value) ? Number(value) : 0
  return Number.isSafeInteger(size) ? size : 0
}

const readLimits = (values: ReadonlyArray<string>): typeof Limits.Type => {
  const limit = (name: string): number | undefined => {
    const found = values.find((value) => value.toUpperCase().startsWith(`${name}=`))
    const number = found?.slice(name.length + 1) ?? ""
    // RFC 9422 §3: a positive number of up to six digits; others are to be ignored.
    return /^[1-9]\d{0,5}$/.test(number) ? Number(number) : undefined
  }
  return { mailMax: limit("MAILMAX"), rcptMax: limit("RCPTMAX"), rcptDomainMax: limit("RCPTDOMAINMAX") }
}
