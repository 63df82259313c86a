/**
 * EXTERNAL (RFC 4422 appendix A): who one is was proved elsewhere, by the client
 * certificate of the TLS connection; the message only says whom to act for.
 */
import * as Effect from "effect/Effect"
import * as Mechanism from "./Mechanism.ts"

/**
 * The mechanism. Its place is that of a challenge: the handshake has the client prove
 * its key, and the server proves no more than its certificate did. It is used only with
 * `Certificate` credentials, over TLS.
 */
export const external: Mechanism.Mechanism = {
  name: "EXTERNAL",
  traits: { kind: "certificate", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Certificate",
  client: (credentials, context) => {
    if (credentials._tag !== "Certificate") {
      return Effect.fail(Mechanism.saslError("wrong-credentials", "a client certificate is needed"))
    }
    if (!context.secure) {
      return Effect.fail(Mechanism.saslError("wrong-credentials", "there is no TLS that a certificate was shown to"))
    }
    const authorizationId = credentials.authorizationId ?? ""
    return authorizationId.includes("\0") || !authorizationId.isWellFormed()
      ? Effect.fail(Mechanism.saslError("nul-in-credentials", "NUL or malformed text in the identity to act for"))
      : Effect.succeed({ response: Mechanism.secret(authorizationId), next: undefined, verified: true })
  },
  server: (context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: new Uint8Array(0), next: (response) => judge(context, response) }
      : judge(context, initialResponse)
}

const judge = (context: Mechanism.ServerContext, response: Uint8Array): Mechanism.ServerStep => {
  const identity = context.certificateIdentity
  if (identity === undefined) return { _tag: "Refused", problem: "no client certificate" }
  const authorizationId = Mechanism.textOf(response)
  return authorizationId === "" || authorizationId === identity
    ? { _tag: "Accepted", identity }
    : { _tag: "Refused", problem: "cannot assume the requested identity" }
}
