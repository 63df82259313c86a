/**
 * The directives of DIGEST-MD5: `name=token` and `name="quoted"`, separated by commas
 * (RFC 2831 §7.1).
 */
import * as Result from "effect/Result"
import * as Mechanism from "./Mechanism.ts"

/** Octets of a challenge, at most (RFC 2831 §2.1.1). */
const longest = 2047

/** Directives in order, names in lower case, values without quotes. */
export type Directives = ReadonlyArray<readonly [name: string, value: string]>

/** Tokens where RFC 2831 §2.1.2 has no quotes. */
const unquoted: ReadonlySet<string> = new Set(["nc", "qop", "response", "charset"])

/** Writes directives, quoting what is to be quoted. */
export const format = (directives: Directives): string =>
  directives.map(([name, value]) => `${name}=${unquoted.has(name) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`)
    .join(",")

const blank = "[ \\t\\r\\n]*"
const directive = new RegExp(
  `${blank}([!-'*+.0-9A-Z^-z|~-]+)${blank}=${blank}(?:"((?:[^"\\\\]|\\\\[^])*)"|([!#-'*+.0-9A-Z^-z|~/-]+))${blank}(,|$)`,
  "y"
)

/** Reads directives; undefined when the octets are none. Empty elements of the list are passed over. */
export const parse = (bytes: Uint8Array): Directives | undefined => {
  if (bytes.length > longest) return undefined
  const text = Mechanism.textOf(bytes)
  const found: Array<readonly [string, string]> = []
  for (let at = 0; at < text.length;) {
    const skipped = /[, \t\r\n]*/y
    skipped.lastIndex = at
    skipped.test(text)
    at = skipped.lastIndex
    if (at === text.length) break
    directive.lastIndex = at
    const match = directive.exec(text)
    if (match === null) return undefined
    const value = match[2] === undefined ? match[3] ?? "" : match[2].replace(/\\([^])/g, "$1")
    found.push([(match[1] ?? "").toLowerCase(), value])
    at = directive.lastIndex
  }
  return found
}

/** What a client needs of the first challenge. */
export interface Challenge {
  readonly realms: ReadonlyArray<string>
  readonly nonce: string
  /** The server speaks UTF-8. */
  readonly charset: boolean
}

const fail = (reason: Mechanism.Trouble, detail: string) => Result.fail(Mechanism.saslError(reason, detail))

/** Reads the first challenge, as strictly as RFC 2831 §2.1.1 asks. */
export const readChallenge = (bytes: Uint8Array): Result.Result<Challenge, Mechanism.SaslError> => {
  if (bytes.length > longest) return fail("challenge-too-long", "the challenge has 2048 octets or more")
  const directives = parse(bytes)
  if (directives === undefined) return fail("bad-challenge", "the challenge is no list of directives")
  const all = (name: string) => directives.filter(([found]) => found === name).map(([, value]) => value)
  const [nonce, ...nonces] = all("nonce")
  if (nonce === undefined || nonce === "" || nonces.length > 0) {
    return fail("bad-challenge", "the challenge has not exactly one nonce")
  }
  const algorithm = all("algorithm")
  if (algorithm.length !== 1 || algorithm[0]?.toLowerCase() !== "md5-sess") {
    return fail("bad-challenge", "the algorithm is not md5-sess")
  }
  const charset = all("charset")
  if (charset.length > 1 || (charset[0] ?? "utf-8").toLowerCase() !== "utf-8") {
    return fail("bad-challenge", "the charset is not utf-8")
  }
  for (const name of ["maxbuf", "stale"]) {
    if (all(name).length > 1) return fail("bad-challenge", `the challenge has two ${name}`)
  }
  const qops = all("qop").flatMap((value) => value.toLowerCase().split(/[ \t]*,[ \t]*/))
  if (qops.length > 0 && !qops.includes("auth")) return fail("unsupported-qop", "the server wants a security layer")
  return Result.succeed({ realms: all("realm"), nonce, charset: charset.length === 1 })
}
