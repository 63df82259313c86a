/**
 * GSSAPI (RFC 4752) and GSS-SPNEGO: tokens of a GSS-API context until it is complete,
 * then agreement, within that context, on no security layer.
 *
 * The tokens are the platform's business and come from a {@link GssContext}; what is
 * done with them is here. Channel binding is not part of RFC 4752 (§5).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Mechanism from "./Mechanism.ts"

/** One security context under way (RFC 2743). */
export interface Gss {
  /** Takes the server's token (none at first) and gives ours; `complete` when no more is expected. */
  readonly step: (
    token: Uint8Array | undefined
  ) => Effect.Effect<{ readonly token: Uint8Array | undefined; readonly complete: boolean }, Mechanism.SaslError>
  /** What was wrapped by the other side. Fails when it was altered. */
  readonly unwrap: (bytes: Uint8Array) => Effect.Effect<Uint8Array, Mechanism.SaslError>
  /** Wraps with integrity and without confidentiality, as RFC 4752 §3.1 asks. */
  readonly wrap: (bytes: Uint8Array) => Effect.Effect<Uint8Array, Mechanism.SaslError>
}

/** Begins security contexts: `packages/node` gives it on the library `kerberos`, a test by hand. */
export class GssContext extends Context.Service<GssContext, {
  /**
   * Begins one with a service, such as `smtp@mail.example.org`, by Kerberos or by
   * negotiation. `channelBinding` is the application data of GSS-API channel bindings;
   * where it is given it must be used, or the beginning fail.
   */
  readonly begin: (
    service: string,
    mechanism: "krb5" | "spnego",
    channelBinding?: Uint8Array
  ) => Effect.Effect<Gss, Mechanism.SaslError>
}>()("@postern/core/GssContext") {}

/** Whom Kerberos credentials act for; nothing for oneself. Fails for other credentials. */
export const identityToActFor = (credentials: Mechanism.Credentials): Effect.Effect<string, Mechanism.SaslError> => {
  if (credentials._tag !== "Kerberos") {
    return Effect.fail(Mechanism.saslError("wrong-credentials", "a Kerberos identity of the platform is needed"))
  }
  const { authorizationId = "" } = credentials
  return authorizationId.includes("\0") || !authorizationId.isWellFormed()
    ? Effect.fail(Mechanism.saslError("nul-in-credentials", "NUL or malformed text in the identity to act for"))
    : Effect.succeed(authorizationId)
}

type Step = Mechanism.ClientStep<GssContext>

const make = (name: string, underlying: "krb5" | "spnego"): Mechanism.Mechanism<GssContext> => ({
  name,
  traits: { kind: "mutual", withoutTls: true, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Kerberos",
  client: Effect.fnUntraced(function*(credentials, { host }) {
    const authorizationId = yield* identityToActFor(credentials)
    const gss = yield* (yield* GssContext).begin(`smtp@${host}`, underlying)
    return yield* exchange(gss, underlying, authorizationId, undefined)
  }),
  server: () => ({ _tag: "Refused", problem: "there is no Kerberos realm here" })
})

/** GSSAPI: Kerberos. */
export const gssapi: Mechanism.Mechanism<GssContext> = make("GSSAPI", "krb5")

/** GSS-SPNEGO: what the two sides negotiate, usually Kerberos. A server may end it with the context, or offer layers as GSSAPI does. */
export const gssSpnego: Mechanism.Mechanism<GssContext> = make("GSS-SPNEGO", "spnego")

// RFC 4752 §3.1: when no token is left to send, an empty response asks for the server's
// offer. Microsoft's GSS-SPNEGO ends with the context, which is mutual.
const exchange = (
  gss: Gss,
  underlying: "krb5" | "spnego",
  authorizationId: string,
  token: Uint8Array | undefined
): Effect.Effect<Step, Mechanism.SaslError> =>
  Effect.map(gss.step(token), (ours) => {
    const response = Redacted.make(ours.token ?? new Uint8Array(0))
    const next = (challenge: Uint8Array) =>
      ours.complete ? agree(gss, authorizationId, challenge) : exchange(gss, underlying, authorizationId, challenge)
    return { response, next, verified: ours.complete && underlying === "spnego" }
  })

/** The mask of the offer that stands for no security layer. */
const noLayer = 1

const agree = Effect.fnUntraced(function*(
  gss: Gss,
  authorizationId: string,
  challenge: Uint8Array
): Effect.fn.Return<Step, Mechanism.SaslError> {
  const offer = yield* gss.unwrap(challenge)
  const [mask = 0, ...size] = offer
  if (offer.length !== 4) {
    return yield* Effect.fail(
      Mechanism.saslError("bad-security-layer-offer", `the offer has ${offer.length} octets, not 4`)
    )
  }
  if ((mask & noLayer) === 0) {
    return yield* Effect.fail(Mechanism.saslError("no-acceptable-security-layer", "the server wants a security layer"))
  }
  if (mask === noLayer && size.some((octet) => octet !== 0)) {
    return yield* Effect.fail(Mechanism.saslError("bad-security-layer-offer", "no layer is offered, and a size for it"))
  }
  const answer = yield* gss.wrap(Uint8Array.from([noLayer, 0, 0, 0, ...new TextEncoder().encode(authorizationId)]))
  return { response: Redacted.make(answer), next: undefined, verified: true }
})
