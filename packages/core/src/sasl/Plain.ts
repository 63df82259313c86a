/**
 * PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`, in one message.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mechanism from "./Mechanism.ts"

/** The mechanism. Strings go out as they are given: RFC 4616 §2 leaves preparation to the server. */
export const plain: Mechanism.Mechanism = {
  name: "PLAIN",
  traits: { kind: "plaintext", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Password",
  client: (credentials) =>
    Effect.map(Mechanism.checkPassword(credentials), ({ authorizationId, user, password }) => ({
      response: Mechanism.secret(`${authorizationId ?? ""}\0${user}\0${Redacted.value(password)}`),
      next: undefined,
      verified: true
    })),
  server: (context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: new Uint8Array(0), next: (response) => judge(context, response) }
      : judge(context, initialResponse)
}

const judge = (context: Mechanism.ServerContext, message: Uint8Array): Mechanism.ServerStep => {
  const [authorizationId, user, password, ...more] = Mechanism.strictTextOf(message)?.split("\0") ?? []
  if (authorizationId === undefined || user === undefined || password === undefined || more.length > 0) {
    return { _tag: "Refused", problem: "the message is not [authzid] NUL authcid NUL passwd" }
  }
  const known = context.passwordOf(user)
  if (known === undefined || !Mechanism.sameText(Redacted.value(known), password)) {
    return { _tag: "Refused", problem: "authentication credentials invalid" }
  }
  // This server lets nobody act for somebody else.
  return authorizationId === "" || authorizationId === user
    ? { _tag: "Accepted", identity: user }
    : { _tag: "Refused", problem: "not authorized to the requested identity" }
}
