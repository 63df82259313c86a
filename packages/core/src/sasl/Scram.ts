/**
 * SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither
 * sends it. The PLUS forms prove besides that they share one TLS channel, so that nobody
 * in between can pass the proofs on.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { pbkdf2 } from "@noble/hashes/pbkdf2.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { concatBytes } from "@noble/hashes/utils.js"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ChannelBinding } from "./ChannelBinding.ts"
import * as Mechanism from "./Mechanism.ts"
import * as SaslCrypto from "./SaslCrypto.ts"
import * as SaslPrep from "./SaslPrep.ts"
import * as ScramKeys from "./ScramKeys.ts"
import * as ScramMessage from "./ScramMessage.ts"

/** Which SCRAM, and how much work a server may ask of it. */
export interface Options {
  readonly hash: SaslCrypto.Hash
  /** Binds to the TLS channel: the `-PLUS` form. */
  readonly plus?: boolean | undefined
  /** Fewer iterations than this protect too little against guessing. By default 4096 (RFC 7677 §4). */
  readonly minIterations?: number | undefined
  /** More than this would keep the client busy (RFC 5802 §9). By default 1 000 000, a second or less. */
  readonly maxIterations?: number | undefined
}

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)

const base64 = (...parts: ReadonlyArray<Uint8Array>): string => Base64.encode(concatBytes(...parts))

/** ClientProof and ServerSignature over the AuthMessage (RFC 5802 §3), as base64. */
const prove = (hash: SaslCrypto.Hash, keys: Redacted.Redacted<ScramKeys.ScramKeys>, authMessage: Uint8Array) => {
  const { clientKey, serverKey } = Redacted.value(keys)
  const digest = ScramKeys.hashes[hash]
  const clientSignature = hmac(digest, digest(clientKey), authMessage)
  return {
    proof: base64(clientKey.map((octet, i) => octet ^ (clientSignature[i] ?? 0))),
    signature: base64(hmac(digest, serverKey, authMessage))
  }
}

/** The AuthMessage holds the server's message as it came. */
const authMessage = (clientFirstBare: string, serverFirst: Uint8Array, clientFinalWithoutProof: string): Uint8Array =>
  concatBytes(utf8.encode(`${clientFirstBare},`), serverFirst, utf8.encode(`,${clientFinalWithoutProof}`))

const prepare = (what: string, text: string): Effect.Effect<string, Mechanism.SaslError> =>
  Result.match(SaslPrep.query(text), {
    onFailure: (problem) =>
      Effect.fail(Mechanism.saslError("prep-failed", `SASLprep (RFC 4013) refuses the ${what}: ${problem} characters`)),
    onSuccess: (text) =>
      text === ""
        ? Effect.fail(Mechanism.saslError("prep-empty", `nothing is left of the ${what} after SASLprep (RFC 4013)`))
        : Effect.succeed(text)
  })

/** A user name and a password as SCRAM takes them. */
const credentialsFor = Effect.fnUntraced(function*(credentials: Mechanism.Credentials) {
  const { user, password, authorizationId } = yield* Effect.mapError(
    Mechanism.checkPassword(credentials),
    // Controls are among what SASLprep prohibits.
    (error) => error.reason === "control-char-in-credentials" ? { ...error, reason: "prep-failed" as const } : error
  )
  return {
    user: yield* prepare("user name", user),
    password: Redacted.make(yield* prepare("password", Redacted.value(password))),
    authorizationId
  }
})

/** What the client says of channel bindings (RFC 5802 §6), and what it binds to. */
const bindingFor = (
  plus: boolean,
  { channelBindings = [], offered }: Mechanism.ClientContext
): Effect.Effect<{ readonly flag: string; readonly data: Uint8Array }, Mechanism.SaslError> => {
  const binding = channelBindings[0]
  if (plus) {
    return binding === undefined
      ? Effect.fail(Mechanism.saslError("unsupported-channel-binding-type", "the connection has nothing to bind to"))
      : Effect.succeed({ flag: `p=${binding.type}`, data: binding.data })
  }
  // "y" tells the server that its offer of a PLUS form, if it made one, was taken out on the way.
  const stripped = binding !== undefined && !offered.some((name) => /^SCRAM-.*-PLUS$/.test(name))
  return Effect.succeed({ flag: stripped ? "y" : "n", data: nothing })
}

const client = (hash: SaslCrypto.Hash, plus: boolean, limits: ScramMessage.IterationLimits) =>
  Effect.fnUntraced(
    function*(
      credentials: Mechanism.Credentials,
      context: Mechanism.ClientContext
    ): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
      const { user, password, authorizationId } = yield* credentialsFor(credentials)
      const binding = yield* bindingFor(plus, context)
      const nonce = Base64.encode(yield* SaslCrypto.randomBytes(18))
      const identity = authorizationId === undefined || authorizationId === ""
        ? ""
        : `a=${ScramMessage.escapeName(authorizationId)}`
      const header = `${binding.flag},${identity},`
      const bare = `n=${ScramMessage.escapeName(user)},r=${nonce}`

      const final = Effect.fnUntraced(
        function*(serverFirst: Uint8Array): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
          const first = yield* Effect.fromResult(ScramMessage.readServerFirst(serverFirst, nonce, limits))
          const derive = yield* ScramKeys.Keys
          const keys = yield* derive(hash, password, first.salt, first.iterations)
          const withoutProof = `c=${base64(utf8.encode(header), binding.data)},r=${first.nonce}`
          const { proof, signature } = prove(hash, keys, authMessage(bare, serverFirst, withoutProof))
          return {
            response: Mechanism.secret(`${withoutProof},p=${proof}`),
            next: (serverFinal) => verify(serverFinal, signature),
            verified: false
          }
        }
      )
      return { response: Mechanism.secret(header + bare), next: final, verified: false }
    }
  )

/** The server proves itself with its signature; the answer to it is empty. */
const verify = Effect.fnUntraced(
  function*(
    serverFinal: Uint8Array,
    expected: string
  ): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
    const signature = yield* Effect.fromResult(ScramMessage.readServerFinal(serverFinal))
    if (!Mechanism.sameText(expected, signature)) {
      return yield* Effect.fail(
        Mechanism.saslError("server-signature-mismatch", "the server did not prove that it knows the password")
      )
    }
    return { response: Redacted.make(nothing), next: undefined, verified: true }
  }
)

const refused = (problem: string): Mechanism.ServerStep => ({ _tag: "Refused", problem })

/** Says why in the exchange, where the client can act on it, before it is refused. */
const refusedWith = (value: string): Mechanism.ServerStep => ({
  _tag: "Challenge",
  challenge: utf8.encode(`e=${value}`),
  next: () => refused(value)
})

const serverIterations = 4096

/** The data behind what the client says it binds to; undefined when this server cannot tell or does not want it. */
const boundTo = (
  plus: boolean,
  binding: ScramMessage.ClientFirst["binding"],
  channelBindings: ReadonlyArray<ChannelBinding>
): Uint8Array | undefined => {
  if (binding.flag !== "p") return plus ? undefined : nothing
  return plus ? channelBindings.find(({ type }) => type === binding.type)?.data : undefined
}

const answer = (
  hash: SaslCrypto.Hash,
  plus: boolean,
  context: Mechanism.ServerContext,
  message: Uint8Array
): Mechanism.ServerStep => {
  const first = ScramMessage.readClientFirst(message)
  if (first === undefined) return refused("the message is no client-first-message")
  const data = boundTo(plus, first.binding, context.channelBindings ?? [])
  if (data === undefined) {
    return first.binding.flag === "p"
      ? refusedWith("unsupported-channel-binding-type")
      : refused("a PLUS mechanism without channel binding")
  }

  // Salt and password of unknown users are as good as any, and the same work.
  const fromNonce = (text: string) => hmac(sha256, utf8.encode(context.nonce), utf8.encode(text))
  const salt = fromNonce(`salt ${first.user}`).slice(0, 16)
  const known = context.passwordOf(first.user)
  const prepared = known === undefined ? undefined : Result.getOrUndefined(SaslPrep.query(Redacted.value(known)))
  const password = prepared === "" ? undefined : prepared
  const secret = password === undefined ? fromNonce("password") : utf8.encode(password)
  const digest = ScramKeys.hashes[hash]
  const keys = ScramKeys.fromSalted(
    hash,
    pbkdf2(digest, secret, salt, { c: serverIterations, dkLen: digest.outputLen })
  )

  const nonce = first.nonce + base64(utf8.encode(context.nonce))
  const challenge = utf8.encode(`r=${nonce},s=${base64(salt)},i=${serverIterations}`)
  const next = (response: Uint8Array): Mechanism.ServerStep => {
    const final = ScramMessage.readClientFinal(response)
    if (final === undefined) return refused("the message is no client-final-message")
    if (final.nonce !== nonce) return refused("the nonce is not the one of this exchange")
    if (final.binding !== base64(utf8.encode(first.header), data)) return refusedWith("channel-bindings-dont-match")
    const { proof, signature } = prove(hash, keys, authMessage(first.bare, challenge, final.withoutProof))
    // The password that stands in for an unknown user's is no secret: anyone can prove it.
    if (!Mechanism.sameText(proof, final.proof) || password === undefined) {
      return refused("authentication credentials invalid")
    }
    // This server lets nobody act for somebody else.
    if (first.authorizationId !== undefined && first.authorizationId !== first.user) {
      return refused("not authorized to the requested identity")
    }
    return {
      _tag: "Challenge",
      challenge: utf8.encode(`v=${signature}`),
      next: (last) =>
        last.length === 0 ? { _tag: "Accepted", identity: first.user } : refused("the last response is not empty")
    }
  }
  return { _tag: "Challenge", challenge, next }
}

/**
 * A SCRAM mechanism. Its client fails with `prep-failed` or `prep-empty` when SASLprep
 * refuses the user name or the password; with `bad-server-first`, `nonce-mismatch`,
 * `iteration-count-too-low` and the like for what the server must not send; with
 * `server-error` when the server says that it refuses; with `server-signature-mismatch`
 * when it does not prove itself; and, with `plus`, with `unsupported-channel-binding-type`
 * when the channel cannot be bound to, or not by the first type in the context.
 *
 * @example
 * ```ts
 * import { Choose, Scram } from "@postern/core"
 *
 * // A server that asks for more work than usual.
 * const slow = Scram.scram({ hash: "SHA-1", maxIterations: 2_000_000 })
 * const authenticator = Choose.inOrder(slow)
 * ```
 */
export const scram = (
  { hash, plus = false, minIterations = 4096, maxIterations = 1_000_000 }: Options
): Mechanism.Mechanism => ({
  name: `SCRAM-${hash}${plus ? "-PLUS" : ""}`,
  traits: { kind: plus ? "channel-bound" : "mutual", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Password",
  client: client(hash, plus, { minIterations, maxIterations }),
  server: (context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: nothing, next: (response) => answer(hash, plus, context, response) }
      : answer(hash, plus, context, initialResponse)
})

/** SCRAM-SHA-1 (RFC 5802). */
export const scramSha1: Mechanism.Mechanism = scram({ hash: "SHA-1" })

/** SCRAM-SHA-1-PLUS (RFC 5802). */
export const scramSha1Plus: Mechanism.Mechanism = scram({ hash: "SHA-1", plus: true })

/** SCRAM-SHA-256 (RFC 7677). */
export const scramSha256: Mechanism.Mechanism = scram({ hash: "SHA-256" })

/** SCRAM-SHA-256-PLUS (RFC 7677). */
export const scramSha256Plus: Mechanism.Mechanism = scram({ hash: "SHA-256", plus: true })

/** SCRAM-SHA-512, as servers speak it; its specification is still a draft. */
export const scramSha512: Mechanism.Mechanism = scram({ hash: "SHA-512" })

/** SCRAM-SHA-512-PLUS. */
export const scramSha512Plus: Mechanism.Mechanism = scram({ hash: "SHA-512", plus: true })
