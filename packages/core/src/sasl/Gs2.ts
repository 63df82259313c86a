/**
 * GS2-KRB5 and GS2-KRB5-PLUS (RFC 5801): Kerberos without a security layer, and, with
 * PLUS, bound to the TLS channel.
 *
 * A header says whether and how the channel is bound, and whom to act for; it is part of
 * the channel bindings that both sides authenticate, so nobody can change it on the way.
 */
import { concatBytes } from "@noble/hashes/utils.js"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type Gss, GssContext, identityToActFor } from "./Gssapi.ts"
import * as Mechanism from "./Mechanism.ts"

type Step = Mechanism.ClientStep<GssContext>

const utf8 = new TextEncoder()
const plus = "GS2-KRB5-PLUS"

const make = (name: string, bound: boolean): Mechanism.Mechanism<GssContext> => ({
  name,
  traits: { kind: bound ? "channel-bound" : "mutual", withoutTls: !bound, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Kerberos",
  client: Effect.fnUntraced(function*(credentials, { channelBindings = [], host, offered }) {
    const authorizationId = yield* identityToActFor(credentials)
    const [binding] = channelBindings
    if (bound && binding === undefined) {
      return yield* Effect.fail(
        Mechanism.saslError("unsupported-channel-binding-type", "there is no channel to bind to")
      )
    }
    // `y`: this client could bind, and was not offered to; a server that did offer notices.
    const flag = bound ? `p=${binding?.type}` : binding !== undefined && !offered.includes(plus) ? "y" : "n"
    const header = utf8.encode(`${flag},${authorizationId === "" ? "" : `a=${saslname(authorizationId)}`},`)
    const data = bound && binding !== undefined ? concatBytes(header, binding.data) : header
    const gss = yield* (yield* GssContext).begin(`smtp@${host}`, "krb5", data)
    const first = yield* gss.step(undefined)
    return follow(gss, concatBytes(header, withoutHeader(first.token ?? new Uint8Array(0))), first.complete)
  }),
  server: () => ({ _tag: "Refused", problem: "there is no Kerberos realm here" })
})

/** GS2-KRB5: Kerberos, not bound to the channel. */
export const gs2Krb5: Mechanism.Mechanism<GssContext> = make("GS2-KRB5", false)

/** GS2-KRB5-PLUS: Kerberos, bound to the channel. */
export const gs2Krb5Plus: Mechanism.Mechanism<GssContext> = make(plus, true)

// Mutual authentication is asked for, so a context that is complete has proved the server.
const follow = (gss: Gss, response: Uint8Array, complete: boolean): Step => ({
  response: Redacted.make(response),
  next: complete
    ? undefined
    : (challenge) =>
      Effect.map(gss.step(challenge), (ours) => follow(gss, ours.token ?? new Uint8Array(0), ours.complete)),
  verified: complete
})

const saslname = (text: string): string => text.replaceAll("=", "=3D").replaceAll(",", "=2C")

// RFC 5801 §4: the header of RFC 2743 §3.1 (0x60, length, the mechanism's OID) is left
// out; a token without one is announced by `F`, which Kerberos has no use for.
const withoutHeader = (token: Uint8Array): Uint8Array => {
  const [tag, size = 0] = token
  if (tag !== 0x60) return token
  const at = size < 0x80 ? 2 : 2 + size - 0x80
  const oid = token[at + 1]
  return token[at] === 6 && oid !== undefined ? token.subarray(at + 2 + oid) : token
}
