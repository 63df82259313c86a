/**
 * OAUTHBEARER (RFC 7628): a bearer token with a GS2 header, and the host and port it is
 * meant for.
 */
import * as Effect from "effect/Effect"
import type * as Mechanism from "./Mechanism.ts"
import { textOf } from "./Mechanism.ts"
import * as OAuth from "./OAuth.ts"

/** The mechanism. A refusal's JSON is answered by ^A (RFC 7628 §3.2.3), and told. */
export const oauthBearer: Mechanism.Mechanism = {
  name: "OAUTHBEARER",
  traits: { kind: "plaintext", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Token",
  client: (credentials, { host, port }) =>
    Effect.map(OAuth.check(credentials), ({ token, user }) => {
      const place = port === undefined ? `host=${host}` : `host=${host}\u0001port=${port}`
      return OAuth.sendMessage(`n,a=${saslname(user)},\u0001${place}\u0001auth=Bearer ${token}\u0001\u0001`, "\u0001")
    }),
  server: (context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: new Uint8Array(0), next: (response) => judge(context, response) }
      : judge(context, initialResponse)
}

// RFC 5801 §4: `=` first, or the escape of the comma would be escaped.
const saslname = (text: string): string => text.replaceAll("=", "=3D").replaceAll(",", "=2C")

const fromSaslname = (text: string): string => text.replaceAll("=2C", ",").replaceAll("=3D", "=")

// RFC 7628 §3.1: a GS2 header, then pairs, each ended by ^A, then one more.
const message = /^[ny],(?:a=([^,\u0001]*))?,\u0001((?:[A-Za-z]+=[^\u0001]*\u0001)*)\u0001$/

const judge = (context: Mechanism.ServerContext, response: Uint8Array): Mechanism.ServerStep => {
  const [, user = "", pairs = ""] = message.exec(textOf(response)) ?? []
  // RFC 9110 §11.1: the name of the scheme in any case of letters.
  const token = /(?:^|\u0001)auth=Bearer +([^\u0001]+)\u0001/i.exec(pairs)?.[1]
  return token === undefined
    ? { _tag: "Refused", problem: "the message is out of RFC 7628's grammar" }
    : OAuth.judge(context, fromSaslname(user), token)
}
