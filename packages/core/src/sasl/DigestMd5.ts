/**
 * DIGEST-MD5 (RFC 2831, made historic by RFC 6331): both sides prove the password by
 * MD5 digests over a challenge of directives. Without security layers: `qop=auth` only.
 */
import { md5 } from "@noble/hashes/legacy.js"
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js"
import * as Base64 from "effect/encoding/Base64"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Directives from "./DigestDirectives.ts"
import * as Mechanism from "./Mechanism.ts"
import { randomBytes } from "./SaslCrypto.ts"

/** What can be chosen. */
export interface Options {
  /** The realm to take where the server offers several; the first by default. */
  readonly realm?: string | undefined
}

const utf8 = new TextEncoder()
const octets = (text: string): Uint8Array => utf8.encode(text)

// RFC 2831 §2.1.2.1: text that ISO 8859-1 has is hashed in it, whatever is on the wire.
const hashed = (text: string, charset: boolean): Uint8Array =>
  charset && /^[\u0000-\u00ff]*$/.test(text) ? Uint8Array.from(text, (c) => c.charCodeAt(0)) : octets(text)

const hex = (bytes: Uint8Array): string => bytesToHex(md5(bytes))

interface Exchange {
  readonly user: string
  readonly realm: string
  readonly password: string
  readonly authorizationId: string | undefined
  readonly nonce: string
  readonly cnonce: string
  readonly uri: string
  readonly charset: boolean
}

// RFC 2831 §2.1.2.1; A2 of the server's proof has no method (§2.1.3).
const digest = (it: Exchange, method: "AUTHENTICATE" | ""): string => {
  const colon = octets(":")
  const secret = md5(
    concatBytes(
      hashed(it.user, it.charset),
      colon,
      hashed(it.realm, it.charset),
      colon,
      hashed(it.password, it.charset)
    )
  )
  const tail = it.authorizationId === undefined ? "" : `:${it.authorizationId}`
  const a1 = hex(concatBytes(secret, octets(`:${it.nonce}:${it.cnonce}${tail}`)))
  const a2 = hex(octets(`${method}:${it.uri}`))
  return hex(octets(`${a1}:${it.nonce}:00000001:${it.cnonce}:auth:${a2}`))
}

/** The mechanism with options. */
export const make = (options: Options = {}): Mechanism.Mechanism => ({
  name: "DIGEST-MD5",
  traits: { kind: "last-resort", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Password",
  client: (credentials, context) =>
    Effect.map(Mechanism.checkPassword(credentials), (checked) => ({
      response: undefined,
      next: (challenge) => respond(checked, context, options, challenge),
      verified: false
    })),
  server: (context, initialResponse) => {
    if (initialResponse !== undefined) return { _tag: "Refused", problem: "DIGEST-MD5 has no initial response" }
    const challenge = `realm="${context.host}",nonce="${context.nonce}",qop="auth",charset=utf-8,algorithm=md5-sess`
    return { _tag: "Challenge", challenge: octets(challenge), next: (response) => judge(context, response) }
  }
})

/** The mechanism: the first realm offered. */
export const digestMd5: Mechanism.Mechanism = make()

const respond = Effect.fnUntraced(function*(
  { authorizationId, password, user }: Mechanism.Password,
  context: Mechanism.ClientContext,
  options: Options,
  bytes: Uint8Array
): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
  const challenge = yield* Effect.fromResult(Directives.readChallenge(bytes))
  const { charset, nonce, realms } = challenge
  const offered = options.realm !== undefined && (realms.length === 0 || realms.includes(options.realm))
    ? options.realm
    : realms[0]
  const exchange: Exchange = {
    user,
    realm: offered ?? "",
    password: Redacted.value(password),
    authorizationId,
    nonce,
    cnonce: Base64.encode(yield* randomBytes(18)),
    uri: `smtp/${context.host}`,
    charset
  }
  const response = Directives.format([
    ["username", user],
    ...offered === undefined ? [] : [["realm", offered] as const],
    ["nonce", nonce],
    ["cnonce", exchange.cnonce],
    ["nc", "00000001"],
    ["qop", "auth"],
    ["digest-uri", exchange.uri],
    ["response", digest(exchange, "AUTHENTICATE")],
    ...charset ? [["charset", "utf-8"] as const] : [],
    ...authorizationId === undefined ? [] : [["authzid", authorizationId] as const]
  ])
  return { response: Mechanism.secret(response), next: (proof) => verify(exchange, proof), verified: false }
})

const verify = (exchange: Exchange, bytes: Uint8Array): Effect.Effect<Mechanism.ClientStep, Mechanism.SaslError> => {
  const directives = Directives.parse(bytes)
  const proof = directives?.find(([name]) => name === "rspauth")?.[1]
  return proof !== undefined && Mechanism.sameText(proof, digest(exchange, ""))
    ? Effect.succeed({ response: Redacted.make(new Uint8Array(0)), next: undefined, verified: true })
    : Effect.fail(
      Mechanism.saslError("server-signature-mismatch", "the server's rspauth does not prove that it knows the password")
    )
}

const refused = (problem: string): Mechanism.ServerStep => ({ _tag: "Refused", problem })

const judge = (context: Mechanism.ServerContext, bytes: Uint8Array): Mechanism.ServerStep => {
  const directives = new Map(Directives.parse(bytes) ?? [])
  const field = (name: string): string => directives.get(name) ?? ""
  const user = field("username")
  const known = context.passwordOf(user)
  const exchange: Exchange = {
    user,
    realm: field("realm"),
    password: known === undefined ? "" : Redacted.value(known),
    authorizationId: directives.get("authzid"),
    nonce: context.nonce,
    cnonce: field("cnonce"),
    uri: field("digest-uri"),
    charset: directives.has("charset")
  }
  if (
    field("nonce") !== context.nonce || field("nc") !== "00000001" || field("qop") !== "auth" || exchange.cnonce === ""
  ) {
    return refused("the response does not answer the challenge")
  }
  if (known === undefined || !Mechanism.sameText(digest(exchange, "AUTHENTICATE"), field("response"))) {
    return refused("authentication credentials invalid")
  }
  if (exchange.authorizationId !== undefined && exchange.authorizationId !== user) {
    return refused("not authorized to the requested identity")
  }
  return {
    _tag: "Challenge",
    challenge: octets(`rspauth=${digest(exchange, "")}`),
    next: (response) =>
      response.length === 0 ? { _tag: "Accepted", identity: user } : refused("an empty response was expected")
  }
}
