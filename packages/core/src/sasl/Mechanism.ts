/**
 * What a SASL mechanism is (RFC 4422): client and server of an exchange of octets. It
 * knows nothing of SMTP, base64 or sockets; `dialogue/Authenticate` frames it.
 *
 * A mechanism is a value and needs no registration. One's own is written like those
 * here: an object of this interface, in one file.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ChannelBinding } from "./ChannelBinding.ts"

/**
 * What a mechanism rests on, which decides its place in the automatic order and where
 * it may be used:
 * - `channel-bound`: both sides prove the secret, over this very TLS channel.
 * - `mutual`: both sides prove the secret and neither sees it.
 * - `plaintext`: the server receives the secret; only over verified TLS.
 * - `challenge`: the client proves the secret, the server proves nothing.
 * - `certificate`: the client has proved its key in the TLS handshake; only over TLS.
 * - `last-resort`: weak or unsafe; only when the server offers nothing better.
 */
export type Kind = "channel-bound" | "mutual" | "plaintext" | "challenge" | "certificate" | "last-resort"

/** Facts about a mechanism. */
export interface Traits {
  readonly kind: Kind
  /** A `plaintext` mechanism that the caller allows without TLS, by name. */
  readonly withoutTls: boolean
  /** Takes a challenge that is not base64, as it stands: LOGIN's prompts are text for people. */
  readonly anyChallenge: boolean
}

/** What a client is given besides credentials. */
export interface ClientContext {
  /** The server's name and port, for mechanisms that name the service. */
  readonly host: string
  readonly port?: number | undefined
  /** All mechanisms the server offers: some must know whether a stronger one was. */
  readonly offered: ReadonlyArray<string>
  /** TLS is on, and the server's identity was verified. */
  readonly secure: boolean
  /** What the TLS channel can be bound by, the type to prefer first; empty without TLS. */
  readonly channelBindings?: ReadonlyArray<ChannelBinding> | undefined
}

/** A user name and password; `authorizationId` when acting for somebody else (RFC 4422 §2). */
export interface Password {
  readonly _tag: "Password"
  readonly user: string
  readonly password: Redacted.Redacted<string>
  readonly authorizationId: string | undefined
}

/**
 * An OAuth 2.0 bearer token of a user. It is fetched when a mechanism asks for it;
 * `renew` gives another one when the server refused that, and is asked once.
 */
export interface Token {
  readonly _tag: "Token"
  readonly user: string
  readonly token: Effect.Effect<Redacted.Redacted<string>, SaslError>
  readonly renew: Effect.Effect<Redacted.Redacted<string>, SaslError> | undefined
}

/** The client certificate of the TLS connection; `authorizationId` when acting for somebody else. */
export interface Certificate {
  readonly _tag: "Certificate"
  readonly authorizationId: string | undefined
}

/** Nobody in particular; `trace` is an address or a word for the server's log (RFC 4505). */
export interface Anonymous {
  readonly _tag: "Anonymous"
  readonly trace: string | undefined
}

/** The Kerberos identity that the platform holds; `authorizationId` when acting for somebody else. */
export interface Kerberos {
  readonly _tag: "Kerberos"
  readonly authorizationId: string | undefined
}

/** What someone authenticates with. Its kind decides which mechanisms come into question. */
export type Credentials = Password | Token | Certificate | Anonymous | Kerberos

/** Whom credentials are for, as far as they tell. */
export const identityOf = (credentials: Credentials): string => {
  switch (credentials._tag) {
    case "Password":
      return credentials.authorizationId ?? credentials.user
    case "Token":
      return credentials.user
    case "Certificate":
      return credentials.authorizationId ?? "(client certificate)"
    case "Anonymous":
      return "anonymous"
    case "Kerberos":
      return credentials.authorizationId ?? "(Kerberos principal)"
  }
}

/**
 * Credentials of a user name and password.
 *
 * @example
 * ```ts
 * import { Mechanism } from "@postern/core"
 * import { Redacted } from "effect"
 *
 * const credentials = Mechanism.password("ann@example.org", Redacted.make("correct horse"))
 * console.log(JSON.stringify(credentials)) // the password is "<redacted>"
 * ```
 */
export const password = (
  user: string,
  password: Redacted.Redacted<string>,
  authorizationId?: string
): Password => ({ _tag: "Password", user, password, authorizationId })

/** Why an exchange cannot begin or go on. Plain data; never holds a secret. */
export interface SaslError {
  readonly _tag: "SaslError"
  readonly reason: Trouble
  readonly detail: string
}

/** The kinds of trouble an exchange can be in; mechanisms of one's own use `mechanism`. */
export type Trouble =
  // Credentials that cannot be used.
  | "wrong-credentials"
  | "empty-username"
  | "empty-password"
  | "nul-in-credentials"
  | "control-char-in-credentials"
  | "invalid-char-in-credentials"
  | "malformed-credentials"
  | "prep-failed"
  | "prep-empty"
  | "trace-too-long"
  | "token"
  // Challenges that cannot be answered.
  | "empty-challenge"
  | "bad-base64"
  | "bad-challenge"
  | "challenge-too-long"
  | "unexpected-challenge"
  | "login-prompt-mismatch"
  | "unsupported-qop"
  | "bad-server-first"
  | "bad-server-final"
  | "bad-salt"
  | "bad-iteration-count"
  | "iteration-count-too-low"
  | "iteration-count-too-high"
  | "nonce-mismatch"
  | "nonce-not-extended"
  | "unsupported-extension"
  | "unsupported-channel-binding-type"
  | "server-error"
  | "type2-truncated"
  | "type2-bad-signature"
  | "type2-bad-type"
  | "type2-bad-offset"
  | "type2-bad-av"
  | "bad-security-layer-offer"
  | "no-acceptable-security-layer"
  // The server did not prove itself.
  | "server-signature-mismatch"
  | "mechanism"

/** Makes a {@link SaslError}; mechanisms of one's own use the reason `mechanism`. */
export const saslError = (reason: SaslError["reason"], detail: string): SaslError => ({
  _tag: "SaslError",
  reason,
  detail
})

/**
 * One step of a client. A step is a value: taken twice it does the same twice.
 */
export interface ClientStep<out R = never> {
  /** What to send; `undefined` (wait for the server) is not the same as no octets. */
  readonly response: Redacted.Redacted<Uint8Array> | undefined
  /** Takes the next challenge; `undefined` when no further challenge is acceptable. */
  readonly next: ((challenge: Uint8Array) => Effect.Effect<ClientStep<R>, SaslError, R>) | undefined
  /**
   * The server's challenge said that it refuses, in these words (an OAuth error); what
   * is sent now only ends the exchange, and no success may follow.
   */
  readonly refusal?: string | undefined
  /** A success may be believed now: all was sent, and the server has proved what this mechanism has it prove. */
  readonly verified: boolean
}

/** What a server is given: secrets by user name, and a value that is new for each exchange. */
export interface ServerContext {
  readonly host: string
  readonly nonce: string
  readonly passwordOf: (user: string) => Redacted.Redacted<string> | undefined
  /** Whether a token is good for a user (undefined: whoever it names). */
  readonly acceptsToken?: ((token: string, user: string | undefined) => boolean) | undefined
  /** Whom the client's certificate names; undefined without one. */
  readonly certificateIdentity?: string | undefined
  readonly channelBindings?: ReadonlyArray<ChannelBinding> | undefined
  /** Milliseconds since the epoch. */
  readonly now?: number | undefined
}

/** One step of a server. */
export type ServerStep =
  | { readonly _tag: "Challenge"; readonly challenge: Uint8Array; readonly next: (response: Uint8Array) => ServerStep }
  | { readonly _tag: "Accepted"; readonly identity: string }
  | { readonly _tag: "Refused"; readonly problem: string }

/** A SASL mechanism. `R` is what its client needs from the environment. */
export interface Mechanism<out R = never> {
  /** Its registered name, upper case (RFC 4422 §3.1). */
  readonly name: string
  readonly traits: Traits
  /** True for credentials of the kind it takes. */
  readonly accepts: (credentials: Credentials) => boolean
  /** Begins the client's side. Fails when the credentials cannot be used. */
  readonly client: (credentials: Credentials, context: ClientContext) => Effect.Effect<ClientStep<R>, SaslError, R>
  /** Begins the server's side, with the initial response where there was one. */
  readonly server: (context: ServerContext, initialResponse: Uint8Array | undefined) => ServerStep
}

/** The mechanism, usable without TLS although it sends the secret in the clear. The caller says so by name. */
export const allowWithoutTls = <R>(mechanism: Mechanism<R>): Mechanism<R> => ({
  ...mechanism,
  traits: { ...mechanism.traits, withoutTls: true }
})

/** The mechanism with what it needs given: it can be used like those that need nothing. */
export const provide = <R>(mechanism: Mechanism<R>, context: Context.Context<R>): Mechanism => {
  const follow = (step: ClientStep<R>): ClientStep => {
    const { next } = step
    return {
      ...step,
      next: next && ((challenge) => Effect.provideContext(Effect.map(next(challenge), follow), context))
    }
  }
  return {
    ...mechanism,
    client: (credentials, given) =>
      Effect.provideContext(Effect.map(mechanism.client(credentials, given), follow), context)
  }
}

const controls = /[\u0001-\u001f\u007f]/

const fail = (reason: Trouble, detail: string) => Effect.fail(saslError(reason, detail))

/**
 * Checks credentials as every mechanism that takes a password must (RFC 4422 §2,
 * RFC 4616 §2): a user name, no NUL, no control characters in names, well-formed text,
 * a password.
 */
export const checkPassword = (credentials: Credentials): Effect.Effect<Password, SaslError> => {
  if (credentials._tag !== "Password") return fail("wrong-credentials", "a user name and password are needed")
  const secret = Redacted.value(credentials.password)
  const names = [credentials.user, credentials.authorizationId ?? ""]
  if ([...names, secret].some((text) => text.includes("\0"))) {
    return fail("nul-in-credentials", "NUL in user name or password")
  }
  if (names.some((name) => controls.test(name))) {
    return fail("control-char-in-credentials", "a control character in the user name")
  }
  if (![...names, secret].every((text) => text.isWellFormed())) {
    return fail("malformed-credentials", "user name or password is no well-formed text")
  }
  if (credentials.user === "") return fail("empty-username", "the user name is empty")
  if (secret === "") return fail("empty-password", "the password is empty")
  return Effect.succeed(credentials)
}

const utf8 = new TextEncoder()
const fromUtf8 = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true })
const fromStrictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Octets of a text, marked as a secret. */
export const secret = (text: string): Redacted.Redacted<Uint8Array> => Redacted.make(utf8.encode(text))

/** The text of octets, U+FFFD for what is no UTF-8: for prompts, which people read. */
export const textOf = (bytes: Uint8Array): string => fromUtf8.decode(bytes)

/** The text of octets, undefined where they are no UTF-8: for names and secrets, of which no two may look the same. */
export const strictTextOf = (bytes: Uint8Array): string | undefined => {
  try {
    return fromStrictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Compares without telling by its duration where the difference is. */
export const sameText = (a: string, b: string): boolean => {
  const [x, y] = [utf8.encode(a), utf8.encode(b)]
  let difference = x.length ^ y.length
  for (let i = 0; i < x.length; i++) difference |= (x[i] ?? 0) ^ (y[i % Math.max(1, y.length)] ?? 0)
  return difference === 0
}

/** The end of a {@link duel}. */
export interface Duel {
  readonly accepted: boolean
  readonly identity: string | undefined
  /** What the client sent, in order. */
  readonly responses: ReadonlyArray<Uint8Array>
  /** What the server sent, in order. */
  readonly challenges: ReadonlyArray<Uint8Array>
}

/** Octets on their way between the two sides; `alter` may change them, to see that it is noticed. */
export type Alter = (bytes: Uint8Array, from: "client" | "server", turn: number) => Uint8Array

/**
 * Plays a mechanism against itself, with no SMTP in between. It accepts only when the
 * server accepts and the client's last step is verified. Fails as the client does.
 *
 * @example
 * ```ts
 * import { CramMd5, Mechanism } from "@postern/core"
 * import { Effect, Redacted } from "effect"
 *
 * const duel = Mechanism.duel(CramMd5.cramMd5, Mechanism.password("tim", Redacted.make("tanstaaf")), {
 *   host: "mx.example",
 *   nonce: "1896.697170952",
 *   passwordOf: (user) => user === "tim" ? Redacted.make("tanstaaf") : undefined
 * })
 * console.log(Effect.runSync(duel).accepted) // true
 * ```
 */
export const duel = Effect.fnUntraced(function*<R>(
  mechanism: Mechanism<R>,
  credentials: Credentials,
  server: ServerContext,
  alter: Alter = (bytes) => bytes
): Effect.fn.Return<Duel, SaslError, R> {
  const responses: Array<Uint8Array> = []
  const challenges: Array<Uint8Array> = []
  let client = yield* mechanism.client(credentials, { host: server.host, offered: [mechanism.name], secure: true })
  const respond = (): Uint8Array | undefined => {
    if (client.response === undefined) return undefined
    const bytes = alter(Redacted.value(client.response), "client", responses.length)
    responses.push(bytes)
    return bytes
  }
  let step = mechanism.server(server, respond())
  while (step._tag === "Challenge") {
    const challenge = alter(step.challenge, "server", challenges.length)
    challenges.push(challenge)
    if (client.next === undefined) {
      return yield* Effect.fail(saslError("unexpected-challenge", "a challenge came after the last step"))
    }
    client = yield* client.next(challenge)
    step = step.next(respond() ?? new Uint8Array(0))
  }
  const accepted = step._tag === "Accepted" && client.verified
  return { accepted, identity: step._tag === "Accepted" ? step.identity : undefined, responses, challenges }
})
