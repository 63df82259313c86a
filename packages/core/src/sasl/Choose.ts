/**
 * Which mechanisms are tried, and in which order. An {@link Authenticator} is a function
 * from credentials and what is known of the connection to a {@link Plan}; combinators
 * make new ones out of it.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { anonymous } from "./Anonymous.ts"
import { cramMd5 } from "./CramMd5.ts"
import { digestMd5 } from "./DigestMd5.ts"
import { external } from "./External.ts"
import { login } from "./Login.ts"
import type * as Mechanism from "./Mechanism.ts"
import { msn, ntlm } from "./Ntlm.ts"
import { oauthBearer } from "./OAuthBearer.ts"
import { plain } from "./Plain.ts"
import { scramSha1, scramSha1Plus, scramSha256, scramSha256Plus, scramSha512, scramSha512Plus } from "./Scram.ts"
import { xoauth2 } from "./XOAuth2.ts"

/** Mechanisms to try in order, and why the others are not tried. */
export interface Plan<out R = never> {
  readonly candidates: ReadonlyArray<Mechanism.Mechanism<R>>
  readonly unusable: ReadonlyArray<{ readonly mechanism: string; readonly why: string }>
}

/** Plans how to authenticate. */
export type Authenticator<R = never> = (
  credentials: Mechanism.Credentials,
  context: Mechanism.ClientContext
) => Plan<R>

/** Why this mechanism cannot be used here; undefined when it can. */
const obstacle = (
  mechanism: Mechanism.Mechanism<unknown>,
  credentials: Mechanism.Credentials,
  context: Mechanism.ClientContext
): string | undefined => {
  if (!context.offered.includes(mechanism.name)) return "not offered by the server"
  if (!mechanism.accepts(credentials)) return "takes other credentials than those given"
  if (mechanism.traits.kind === "channel-bound" && !(context.secure && (context.channelBindings ?? []).length > 0)) {
    return "has no verified TLS channel to bind to"
  }
  if (mechanism.traits.kind === "plaintext" && !context.secure && !mechanism.traits.withoutTls) {
    return `would send the ${credentials._tag === "Token" ? "token" : "password"} without verified TLS`
  }
  if (mechanism.traits.kind === "certificate" && !context.secure) {
    return "has no verified TLS that a certificate was shown in"
  }
  return undefined
}

/**
 * The usable ones of these mechanisms, in exactly this order.
 *
 * @example
 * ```ts
 * import { Choose, CramMd5, Plain } from "@postern/core"
 *
 * const authenticator = Choose.inOrder(CramMd5.cramMd5, Plain.plain)
 * ```
 */
export const inOrder =
  <R = never>(...mechanisms: ReadonlyArray<Mechanism.Mechanism<R>>): Authenticator<R> => (credentials, context) => {
    const candidates: Array<Mechanism.Mechanism<R>> = []
    const unusable: Array<Plan["unusable"][number]> = []
    for (const mechanism of mechanisms) {
      const why = obstacle(mechanism, credentials, context)
      if (why === undefined) candidates.push(mechanism)
      else unusable.push({ mechanism: mechanism.name, why })
    }
    const known = new Set(mechanisms.map((mechanism) => mechanism.name))
    for (const name of context.offered) {
      if (!known.has(name)) unusable.push({ mechanism: name, why: "offered, but not among the mechanisms to use" })
    }
    return { candidates, unusable }
  }

const strength: Readonly<Record<Mechanism.Kind, number>> = {
  "channel-bound": 0,
  mutual: 1,
  plaintext: 2,
  challenge: 3,
  certificate: 3,
  "last-resort": 4
}

/**
 * The strongest first. PLAIN and LOGIN stand before CRAM-MD5 since they are tried only
 * over verified TLS, where CRAM-MD5 protects nothing more, and servers often offer it
 * for accounts that have no secret for it. Where a plaintext mechanism is allowed
 * without TLS it comes last. A channel-bound mechanism is tried alone: falling back
 * from it is what an attacker in between would want. The last resorts are tried only
 * when there is nothing else.
 */
export const automatic =
  <R = never>(...mechanisms: ReadonlyArray<Mechanism.Mechanism<R>>): Authenticator<R> => (credentials, context) => {
    const { candidates, unusable } = inOrder(...mechanisms)(credentials, context)
    const rank = ({ traits: { kind } }: Mechanism.Mechanism<R>) =>
      kind === "plaintext" && !context.secure ? strength.challenge + 0.5 : strength[kind]
    const ranked = candidates.toSorted((a, b) => rank(a) - rank(b))
    const best = ranked[0]?.traits.kind
    const kept = best === "channel-bound"
      ? ranked.filter(({ traits }) => traits.kind === "channel-bound")
      : best === "last-resort"
      ? ranked
      : ranked.filter(({ traits }) => traits.kind !== "last-resort")
    const left = ranked
      .filter((mechanism) => !kept.includes(mechanism))
      .map(({ name }) => ({ mechanism: name, why: "a stronger mechanism is usable" }))
    return { candidates: kept, unusable: [...unusable, ...left] }
  }

/**
 * The mechanisms of this library, in the automatic order. The kind of credentials decides
 * first: a token is never tried as a password. GSSAPI needs a `GssContext` and is named
 * by who wants it.
 */
export const standard: Authenticator = automatic(
  scramSha512Plus,
  scramSha256Plus,
  scramSha1Plus,
  scramSha512,
  scramSha256,
  scramSha1,
  plain,
  login,
  oauthBearer,
  xoauth2,
  cramMd5,
  external,
  ntlm,
  msn,
  digestMd5,
  anonymous
)

const restricted = <R>(
  authenticator: Authenticator<R>,
  keep: (name: string) => boolean,
  why: string
): Authenticator<R> =>
(credentials, context) => {
  // What may not be used is no reason against anything weaker.
  const { candidates, unusable } = authenticator(credentials, { ...context, offered: context.offered.filter(keep) })
  const dropped = context.offered.filter((name) => !keep(name))
  return {
    candidates: candidates.filter(({ name }) => keep(name)),
    unusable: [
      ...unusable.filter(({ mechanism }) => !dropped.includes(mechanism)),
      ...dropped.map((mechanism) => ({ mechanism, why }))
    ]
  }
}

const upper = (names: ReadonlyArray<string>): ReadonlyArray<string> => names.map((name) => name.toUpperCase())

/** Only the mechanisms of these names, as if the server offered no others. */
export const only = <R>(authenticator: Authenticator<R>, ...names: ReadonlyArray<string>): Authenticator<R> => {
  const allowed = upper(names)
  return restricted(authenticator, (name) => allowed.includes(name), `only ${allowed.join(", ")} may be used`)
}

/** All but the mechanisms of these names, as if the server did not offer them. */
export const exclude = <R>(authenticator: Authenticator<R>, ...names: ReadonlyArray<string>): Authenticator<R> => {
  const excluded = upper(names)
  return restricted(authenticator, (name) => !excluded.includes(name), "excluded by the caller")
}

/** The mechanisms of these names first, in this order, then the others. */
export const prefer = <R>(authenticator: Authenticator<R>, ...names: ReadonlyArray<string>): Authenticator<R> => {
  const preferred = upper(names)
  const place = ({ name }: Mechanism.Mechanism<R>) => {
    const at = preferred.indexOf(name)
    return at === -1 ? preferred.length : at
  }
  return (credentials, context) => {
    const plan = authenticator(credentials, context)
    return { ...plan, candidates: plan.candidates.toSorted((a, b) => place(a) - place(b)) }
  }
}

/** The second where the first has nothing to try. */
export const fallback =
  <R, R2>(first: Authenticator<R>, second: Authenticator<R2>): Authenticator<R | R2> => (credentials, context) => {
    const plan: Plan<R | R2> = first(credentials, context)
    return plan.candidates.length > 0 ? plan : second(credentials, context)
  }

/** The candidates of the first, then those of the second: a last resort behind the usual ones, say. */
export const followedBy =
  <R, R2>(first: Authenticator<R>, second: Authenticator<R2>): Authenticator<R | R2> => (credentials, context) => {
    const plan: Plan<R | R2> = first(credentials, context)
    const more = second(credentials, context)
    const names = new Set(plan.candidates.map(({ name }) => name))
    const candidates = [...plan.candidates, ...more.candidates.filter(({ name }) => !names.has(name))]
    const tried = new Set(candidates.map(({ name }) => name))
    return { candidates, unusable: plan.unusable.filter(({ mechanism }) => !tried.has(mechanism)) }
  }

/** Nothing without verified TLS, whatever the mechanism would allow. */
export const requireTls = <R>(authenticator: Authenticator<R>): Authenticator<R> => (credentials, context) => {
  const plan = authenticator(credentials, context)
  if (context.secure) return plan
  const dropped = plan.candidates.map(({ name }) => ({ mechanism: name, why: "TLS is required by the caller" }))
  return { candidates: [], unusable: [...plan.unusable, ...dropped] }
}

/** The same plans, with other credentials than those given: another realm, a user name in another form. */
export const mapCredentials = <R>(
  authenticator: Authenticator<R>,
  change: (credentials: Mechanism.Credentials) => Mechanism.Credentials
): Authenticator<R> =>
(credentials, context) => {
  const plan = authenticator(change(credentials), context)
  const changed = (mechanism: Mechanism.Mechanism<R>): Mechanism.Mechanism<R> => ({
    ...mechanism,
    client: (given, context) => mechanism.client(change(given), context)
  })
  return { ...plan, candidates: plan.candidates.map(changed) }
}

/** A message of an exchange, without what it says. */
export interface Observed {
  readonly mechanism: string
  readonly from: "client" | "server"
  readonly octets: number
}

/** The same plans, each message told as it passes: who sent it, and how long it was. */
export const observe = <R>(
  authenticator: Authenticator<R>,
  observer: (observed: Observed) => Effect.Effect<void>
): Authenticator<R> =>
(credentials, context) => {
  const plan = authenticator(credentials, context)
  return { ...plan, candidates: plan.candidates.map((mechanism) => observed(mechanism, observer)) }
}

const observed = <R>(
  mechanism: Mechanism.Mechanism<R>,
  observer: (observed: Observed) => Effect.Effect<void>
): Mechanism.Mechanism<R> => {
  const tell = (from: Observed["from"], bytes: Uint8Array) =>
    observer({ mechanism: mechanism.name, from, octets: bytes.length })
  const follow = (step: Mechanism.ClientStep<R>): Effect.Effect<Mechanism.ClientStep<R>> => {
    const { next } = step
    const told: Mechanism.ClientStep<R> = {
      ...step,
      next: next && ((challenge) => Effect.andThen(tell("server", challenge), Effect.flatMap(next(challenge), follow)))
    }
    return step.response === undefined
      ? Effect.succeed(told)
      : Effect.as(tell("client", Redacted.value(step.response)), told)
  }
  return {
    ...mechanism,
    client: (credentials, context) => Effect.flatMap(mechanism.client(credentials, context), follow)
  }
}
