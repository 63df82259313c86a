/**
 * What XOAUTH2 and OAUTHBEARER share: a bearer token in a message, and a refusal that
 * comes as a challenge with JSON in it and wants one more response.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mechanism from "./Mechanism.ts"

// RFC 6750 §2.1: b64token, with `=` anywhere, as some issuers have it.
const tokenPattern = /^[A-Za-z0-9._~+/=-]+$/
// ^A separates the fields of both messages.
const controls = /[\u0000-\u001f\u007f]/

/** A user and a token that may be sent. */
export interface Checked {
  readonly user: string
  readonly token: string
}

/** Fetches the token, once, and checks both. */
export const check = Effect.fnUntraced(function*(
  credentials: Mechanism.Credentials
): Effect.fn.Return<Checked, Mechanism.SaslError> {
  if (credentials._tag !== "Token") {
    return yield* Effect.fail(Mechanism.saslError("wrong-credentials", "an OAuth token is needed"))
  }
  const { user } = credentials
  if (user === "") return yield* Effect.fail(Mechanism.saslError("empty-username", "the user name is empty"))
  if (controls.test(user) || !user.isWellFormed()) {
    return yield* Effect.fail(
      Mechanism.saslError("invalid-char-in-credentials", "a control character in the user name")
    )
  }
  const token = Redacted.value(yield* credentials.token)
  return tokenPattern.test(token)
    ? { user, token }
    : yield* Effect.fail(
      Mechanism.saslError("invalid-char-in-credentials", "the token is no bearer token (RFC 6750 §2.1)")
    )
})

/** The step that sends the message, and answers a refusal by `farewell` (nothing more may come). */
export const sendMessage = (message: string, farewell: string): Mechanism.ClientStep => ({
  response: Mechanism.secret(message),
  next: (challenge) =>
    Effect.succeed({
      response: Mechanism.secret(farewell),
      next: undefined,
      refusal: readRefusal(challenge),
      verified: false
    }),
  verified: true
})

/** The server's error: JSON of strings (RFC 7628 §3.2.2), at most this many octets of it. */
const longest = 4096

const readRefusal = (challenge: Uint8Array): string => {
  if (challenge.length === 0) return "the token was refused, without a word"
  if (challenge.length > longest) return `the token was refused, with ${challenge.length} octets of explanation`
  const text = Mechanism.textOf(challenge)
  const fields = parseObject(text)
  if (fields === undefined) return `the token was refused: ${JSON.stringify(text.slice(0, 200))}`
  const said = ["status", "scope", "schemes", "openid-configuration"].flatMap((name) => {
    const value = fields[name]
    return typeof value === "string" ? [`${name} ${JSON.stringify(value.slice(0, 200))}`] : []
  })
  return `the token was refused: ${said.length === 0 ? "no status was given" : said.join(", ")}`
}

const parseObject = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** A server's judgement: accepted, or the error challenge and, whatever is answered to it, the refusal. */
export const judge = (
  context: Mechanism.ServerContext,
  user: string,
  token: string
): Mechanism.ServerStep => {
  if (context.acceptsToken?.(token, user) === true) return { _tag: "Accepted", identity: user }
  return {
    _tag: "Challenge",
    challenge: new TextEncoder().encode(JSON.stringify({ status: "invalid_token", schemes: "bearer", scope: "mail" })),
    next: () => ({ _tag: "Refused", problem: "the token is not accepted" })
  }
}
