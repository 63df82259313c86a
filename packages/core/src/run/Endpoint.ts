/**
 * Where a server is and how to talk to it there: read from a URL, from `host:port`, or
 * from the old `host port`.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Security } from "../dialogue/Open.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Address from "../wire/Address.ts"

/**
 * A {@link Security}, or `auto`: by port, STARTTLS on 25, 587 and 2525, TLS from the
 * first byte on 465 and every other; where the server turns out to speak the other one,
 * the session goes on in that. Never in plain text.
 */
export type Mode = Security | "auto"

/** A server: where it is, how it is spoken to, and who one is there when the URL said so. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly mode: Mode
  /** LMTP (RFC 2033) where it says so, otherwise SMTP. */
  readonly protocol?: "smtp" | "lmtp" | undefined
  readonly user: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
}

/** The port when none is named: 587 for STARTTLS and `auto` (RFC 6409), 465 for TLS (RFC 8314), 25 for plain text. */
export const defaultPort = (mode: Mode): number => mode === "tls" ? 465 : mode === "plain" ? 25 : 587

/** The modes in words, for configuration: the first spelling is the usual one. */
const modes: Readonly<Record<string, Mode>> = {
  auto: "auto",
  plain: "plain",
  none: "plain",
  starttls: "startTls",
  starttlsifoffered: "startTlsIfOffered",
  tls: "tls",
  ssl: "tls"
}

/** Reads a mode by name, in any case of letters. Fails with `InvalidInput`. */
export const parseMode = (text: string): Result.Result<Mode, Reason.Of<"InvalidInput">> => {
  const name = text.trim().toLowerCase().replace(/[-_ ]/g, "")
  const mode = Object.hasOwn(modes, name) ? modes[name] : undefined
  return mode === undefined
    ? invalid("the security", `it is one of auto, plain, startTls, startTlsIfOffered, tls; not ${JSON.stringify(text)}`)
    : Result.succeed(mode)
}

const schemes: Readonly<Record<string, Mode>> = {
  "smtp:": "auto",
  "smtps:": "tls",
  "smtp+starttls:": "startTls",
  "lmtp:": "plain"
}

/** The usual port of LMTP servers; RFC 2033 §5 only asks that it is not 25. */
const lmtpPort = 24

/**
 * Reads an endpoint. `smtp://` is `auto`, `smtps://` is `tls`, `smtp+starttls://` is
 * `startTls`, `lmtp://` is LMTP in plain text; user and password of a URL are percent-encoded. `mode` overrides. Fails
 * with `InvalidInput`, which never shows the password.
 *
 * @example
 * ```ts
 * import { Endpoint } from "@postern/core"
 *
 * Endpoint.parse("smtp://ann:secret@mail.example:587")
 * Endpoint.parse("smtps://mail.example")
 * Endpoint.parse("mail.example:2525")
 * Endpoint.parse("[2001:db8::1]:25", "plain")
 * Endpoint.parse("mail.example 25")
 * ```
 */
export const parse = (text: string, mode?: Mode): Result.Result<Endpoint, Reason.Of<"InvalidInput">> =>
  text.includes("://") ? parseUrl(text.trim(), mode) : parseHostPort(text.trim(), mode)

const invalid = (what: string, problem: string) => Result.fail(Reason.make("InvalidInput", { what, problem }))

const parseUrl = (text: string, override: Mode | undefined): Result.Result<Endpoint, Reason.Of<"InvalidInput">> => {
  if (!URL.canParse(text)) {
    return invalid("the URL", "it is not scheme://user:password@host:port with special characters percent-encoded")
  }
  const url = new URL(text)
  const mode = override ?? schemes[url.protocol]
  if (schemes[url.protocol] === undefined || mode === undefined) {
    return invalid("the URL", `its scheme is smtp, smtps, smtp+starttls or lmtp, not ${url.protocol.slice(0, -1)}`)
  }
  if (url.search !== "" || url.hash !== "" || (url.pathname !== "" && url.pathname !== "/")) {
    return invalid("the URL", "it ends after the port: a path, query or fragment has no meaning here")
  }
  return Result.gen(function*() {
    // The host of a URL with a scheme of its own comes percent-encoded too.
    const host = yield* percentDecoded(url.hostname, "host")
    const user = yield* percentDecoded(url.username, "user name")
    const password = yield* percentDecoded(url.password, "password")
    const lmtp = url.protocol === "lmtp:"
    const port = url.port === "" ? lmtp ? lmtpPort : undefined : url.port
    const endpoint = yield* make(host ?? "", port, mode, user, password)
    return lmtp ? { ...endpoint, protocol: "lmtp" as const } : endpoint
  })
}

const percentDecoded = (text: string, part: string): Result.Result<string | undefined, Reason.Of<"InvalidInput">> => {
  if (text === "") return Result.succeed(undefined)
  return Result.try({
    try: () => decodeURIComponent(text),
    catch: () => Reason.make("InvalidInput", { what: "the URL", problem: `its ${part} is not percent-encoded UTF-8` })
  })
}

const hostPort = /^(?:\[([^\]]*)\]|([^\s:[\]]*))(?:(?::|\s+)(\d+))?$/

const parseHostPort = (text: string, mode: Mode = "auto"): Result.Result<Endpoint, Reason.Of<"InvalidInput">> => {
  const match = hostPort.exec(text)
  if (match !== null) return make(match[1] ?? match[2] ?? "", match[3], mode)
  // An IPv6 address without brackets has no port.
  return isIpv6(text)
    ? make(text, undefined, mode)
    : invalid("the endpoint", "it is a URL, host:port, or host and port with a blank between")
}

/** Makes an endpoint of its parts. Fails with `InvalidInput`. */
export const make = (
  host: string,
  port: string | number | undefined,
  mode: Mode,
  user?: string,
  password?: string
): Result.Result<Endpoint, Reason.Of<"InvalidInput">> =>
  Result.gen(function*() {
    const number = port === undefined ? defaultPort(mode) : Number(port)
    if (!Number.isInteger(number) || number < 1 || number > 65_535) {
      return yield* invalid("the port", `it is a number from 1 to 65535, not ${JSON.stringify(String(port))}`)
    }
    const secret = password === undefined ? undefined : Redacted.make(password)
    return { host: yield* hostName(host), port: number, mode, user, password: secret }
  })

// Names of hosts are wider than the domains of mail: `_`, single labels and a dot at the end are in use.
const namePattern = /^(?=.{1,253}$)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/i

const hostName = (given: string): Result.Result<string, Reason.Of<"InvalidInput">> => {
  const host = given.replace(/^\[(.*)\]$/, "$1")
  if (namePattern.test(host)) return Result.succeed(host.toLowerCase())
  if (isIpv6(host)) return Result.succeed(host)
  return Result.mapError(
    Address.parseDomain(host),
    ({ problem }) => Reason.make("InvalidInput", { what: "the host", problem })
  )
}

// With its zone where it has one (RFC 4007 §11).
const isIpv6 = (host: string): boolean => {
  const [, address] = /^([0-9a-f:.]+)(?:%[\w.~-]+)?$/i.exec(host) ?? []
  return address !== undefined && URL.canParse(`http://[${address}]`)
}

const startTlsPorts: ReadonlySet<number> = new Set([25, 587, 2525])

/** The securities to try in order: one, or for `auto` two. */
export const securities = ({ mode, port }: Endpoint): readonly [Security, ...Array<Security>] =>
  mode !== "auto" ? [mode] : startTlsPorts.has(port) ? ["startTls", "tls"] : ["tls", "startTls"]
