/**
 * CRAM-MD5 (RFC 2195): the client answers a challenge with its name and
 * HMAC-MD5(password, challenge). The server proves nothing.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { md5 } from "@noble/hashes/legacy.js"
import { bytesToHex } from "@noble/hashes/utils.js"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mechanism from "./Mechanism.ts"

const utf8 = new TextEncoder()

// Of the octets of the challenge as they came: not every challenge is text.
const digest = (password: Redacted.Redacted<string>, challenge: Uint8Array): string =>
  bytesToHex(hmac(md5, utf8.encode(Redacted.value(password)), challenge))

/** The mechanism. */
export const cramMd5: Mechanism.Mechanism = {
  name: "CRAM-MD5",
  traits: { kind: "challenge", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Password" && credentials.authorizationId === undefined,
  client: (credentials) =>
    Effect.map(Mechanism.checkPassword(credentials), ({ user, password }) => ({
      response: undefined,
      next: (challenge) =>
        challenge.length === 0
          // Its answer would be the same each time: replayable for ever.
          ? Effect.fail(Mechanism.saslError("empty-challenge", "the challenge is empty"))
          : Effect.succeed({
            response: Mechanism.secret(`${user} ${digest(password, challenge)}`),
            next: undefined,
            verified: true
          }),
      verified: false
    })),
  server: (context, initialResponse) => {
    if (initialResponse !== undefined) return { _tag: "Refused", problem: "CRAM-MD5 has no initial response" }
    const challenge = utf8.encode(`<${context.nonce}@${context.host}>`)
    return {
      _tag: "Challenge",
      challenge,
      next: (response) => judge(context, challenge, Mechanism.strictTextOf(response) ?? "")
    }
  }
}

const judge = (context: Mechanism.ServerContext, challenge: Uint8Array, response: string): Mechanism.ServerStep => {
  // A user name may hold blanks; the digest cannot.
  const at = response.lastIndexOf(" ")
  const user = response.slice(0, Math.max(0, at))
  const known = context.passwordOf(user)
  return known !== undefined && Mechanism.sameText(digest(known, challenge), response.slice(at + 1))
    ? { _tag: "Accepted", identity: user }
    : { _tag: "Refused", problem: "authentication credentials invalid" }
}
