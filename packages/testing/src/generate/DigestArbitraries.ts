/**
 * Generators of DIGEST-MD5's messages (RFC 2831 §2.1). Their digests are of the right form and
 * prove nothing.
 */
import * as fc from "fast-check"
import { domain } from "./AddressArbitraries.ts"
import { from, letters, octets, visible } from "./Characters.ts"
import { messages } from "./Messages.ts"

type Directive = readonly [name: string, value: string]

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`

const value = from(visible, { minLength: 1, maxLength: 16 })
const realm = fc.oneof(
  { withCrossShrink: true },
  fc.constantFrom("mx.example", "", "a \"quoted\" realm", "ré"),
  value
)
const nonce = from(`${letters}0123456789+/=`, { minLength: 1, maxLength: 24 })
const qop = fc.constantFrom("auth", "auth,auth-int", "auth-int, auth", "auth,auth-int,auth-conf", "AUTH", "auth,x-new")

const directives = fc.tuple(
  fc.array(realm.map((realm): Directive => ["realm", quoted(realm)]), { maxLength: 3 }),
  nonce.map((nonce): Directive => ["nonce", quoted(nonce)]),
  fc.option(qop.map((qop): Directive => ["qop", quoted(qop)])),
  fc.option(fc.constant<Directive>(["charset", "utf-8"])),
  fc.constant<Directive>(["algorithm", "md5-sess"]),
  fc.array(
    fc.constantFrom<Directive>(["maxbuf", "65536"], ["stale", "true"], ["cipher", "\"rc4,des\""], ["x-new", "1"]),
    {
      maxLength: 1
    }
  )
).map(([realms, nonce, qop, charset, algorithm, others]): ReadonlyArray<Directive> => [
  ...realms,
  nonce,
  ...qop === null ? [] : [qop],
  ...charset === null ? [] : [charset],
  algorithm,
  ...others
])

const write = (all: ReadonlyArray<Directive>, comma = ","): Uint8Array =>
  octets(all.map((parts) => parts.join("=")).join(comma))

const without = (name: string) => directives.map((all) => all.filter(([found]) => found !== name))

/** With these in place of those of the same name. */
const having = (...replaced: ReadonlyArray<Directive>) =>
  directives.map((all) => write([...all.filter(([found]) => found !== replaced[0]?.[0]), ...replaced]))

/** The first challenge, with one realm, several or none, and commas with and without blanks around them. */
export const digestChallenge = messages(
  fc.tuple(directives, fc.constantFrom(",", ", ", ",,", " ,\t")).map(([all, comma]) => write(all, comma)),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "no nonce": without("nonce").map((all) => write(all)),
    "empty nonce": having(["nonce", "\"\""]),
    "two nonces": having(["nonce", "\"a\""], ["nonce", "\"b\""]),
    "no algorithm": without("algorithm").map((all) => write(all)),
    "two algorithms": having(["algorithm", "md5-sess"], ["algorithm", "md5-sess"]),
    "other algorithm": having(["algorithm", "md5"]),
    "other charset": having(["charset", "iso-8859-1"]),
    "two charsets": having(["charset", "utf-8"], ["charset", "utf-8"]),
    "two maxbufs": having(["maxbuf", "1024"], ["maxbuf", "1024"]),
    "only security layers": having(["qop", "\"auth-int,auth-conf\""]),
    "qop without quotes": having(["qop", "auth,auth-int"]),
    "quotes not closed": directives.map((all) => octets(`${new TextDecoder().decode(write(all))},realm="x`)),
    "text behind quotes": having(["realm", "\"x\"y"]),
    "blanks in place of commas": directives.map((all) => write(all, " ")),
    "longer than 2047 octets": directives.map((all) => write([...all, ["x-new", quoted("x".repeat(2047))]])),
    "rspauth in place of it": from("0123456789abcdef", { minLength: 32, maxLength: 32 }).map((digest) =>
      octets(`rspauth=${digest}`)
    )
  }
)

const hex = from("0123456789abcdef", { minLength: 32, maxLength: 32 })

/** The server's last message; no proof here is the right one. */
export const digestProof = messages(hex.map((digest) => octets(`rspauth=${digest}`)), {
  "empty": fc.constant(new Uint8Array(0)),
  "no name": hex.map(octets),
  "digest too short": hex.map((digest) => octets(`rspauth=${digest.slice(1)}`)),
  "proof twice": hex.map((digest) => octets(`rspauth=${digest},rspauth=${digest}`)),
  "challenge again": directives.map((all) => write(all))
})

/** The client's response, as a server has to judge it. */
export const digestResponse = messages(
  fc.tuple(value, realm, nonce, nonce, domain, hex).map(([user, realm, nonce, cnonce, host, response]) =>
    write([
      ["username", quoted(user)],
      ["realm", quoted(realm)],
      ["nonce", quoted(nonce)],
      ["cnonce", quoted(cnonce)],
      ["nc", "00000001"],
      ["qop", "auth"],
      ["digest-uri", quoted(`smtp/${host}`)],
      ["response", response],
      ["charset", "utf-8"]
    ])
  ),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "nothing but a digest": hex.map((response) => octets(`response=${response}`)),
    "other nonce count": fc.tuple(value, nonce, hex).map(([user, nonce, response]) =>
      write([["username", quoted(user)], ["nonce", quoted(nonce)], ["nc", "00000002"], ["response", response]])
    )
  }
)
