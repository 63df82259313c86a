/**
 * XOAUTH2 (Google's and Microsoft's documentation; no RFC): a bearer token, sent before
 * OAUTHBEARER was a standard and still the only form some providers take.
 */
import * as Effect from "effect/Effect"
import type * as Mechanism from "./Mechanism.ts"
import { textOf } from "./Mechanism.ts"
import * as OAuth from "./OAuth.ts"

/** The mechanism. A refusal's JSON is answered by an empty response, and told. */
export const xoauth2: Mechanism.Mechanism = {
  name: "XOAUTH2",
  traits: { kind: "plaintext", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Token",
  client: (credentials) =>
    Effect.map(
      OAuth.check(credentials),
      ({ token, user }) => OAuth.sendMessage(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`, "")
    ),
  server: (context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: new Uint8Array(0), next: (response) => judge(context, response) }
      : judge(context, initialResponse)
}

const judge = (context: Mechanism.ServerContext, response: Uint8Array): Mechanism.ServerStep => {
  const match = /^user=([^\u0001]*)\u0001auth=Bearer ([^\u0001]*)\u0001\u0001$/.exec(textOf(response))
  return match === null
    ? { _tag: "Refused", problem: "the message is not user=…, auth=Bearer …" }
    : OAuth.judge(context, match[1] ?? "", match[2] ?? "")
}
