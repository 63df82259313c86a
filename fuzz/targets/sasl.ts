/**
 * Every mechanism, both sides, against whatever the other may say: nothing throws, no answer is
 * endless, no password goes where it does not belong, and who does not know it convinces nobody.
 */
import {
  Anonymous,
  CramMd5,
  DigestMd5,
  External,
  Gssapi,
  Login,
  Mechanism,
  Ntlm,
  OAuthBearer,
  Plain,
  Scram,
  XOAuth2
} from "@postern/core"
import { Deterministic, VirtualTime } from "@postern/testing"
import { Cause, Context, Effect, Exit, Layer, ManagedRuntime, Redacted } from "effect"
import { Kdf, SecureRandom } from "effect/crypto"
import * as Assert from "node:assert"
import { createHash } from "node:crypto"
import { pieces } from "../pieces.ts"

const secret = "tanstaaftanstaaf"
/** In no input, nor in the words of the sources: who convinces somebody of this one has found a hole. */
const unknown = createHash("sha256").update("unknown").digest("hex").slice(0, 24)

/** A context in which the first octet of a token says whether another follows, and wrapping is a prefix. */
const gss = Context.make(Gssapi.GssContext, {
  begin: () =>
    Effect.succeed({
      step: (token) => Effect.succeed({ token, complete: token?.[0] === 0x63 }),
      unwrap: (bytes) =>
        bytes[0] === 0x77
          ? Effect.succeed(bytes.subarray(1))
          : Effect.fail(Mechanism.saslError("mechanism", "nothing that was wrapped")),
      wrap: (bytes) => Effect.succeed(Uint8Array.of(0x77, ...bytes))
    })
})

/** Their places are part of the corpus: new ones come last. */
const mechanisms: ReadonlyArray<Mechanism.Mechanism> = [
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  DigestMd5.digestMd5,
  Ntlm.ntlm,
  Scram.scramSha1,
  Scram.scramSha256,
  Scram.scramSha512,
  XOAuth2.xoauth2,
  OAuthBearer.oauthBearer,
  External.external,
  Anonymous.anonymous,
  Scram.scramSha256Plus,
  Mechanism.provide(Gssapi.gssapi, gss),
  Mechanism.provide(Gssapi.gssSpnego, gss),
  Ntlm.msn
]

const channelBindings = [{ type: "tls-exporter", data: new Uint8Array(32) }] as const

const credentials = (mechanism: Mechanism.Mechanism, password: string): Mechanism.Credentials =>
  [
    Mechanism.password("tim", Redacted.make(password)),
    { _tag: "Token", user: "tim", token: Effect.succeed(Redacted.make(password)), renew: undefined } as const,
    { _tag: "Certificate", authorizationId: "tim" } as const,
    { _tag: "Anonymous", trace: "tim@example.org" } as const,
    { _tag: "Kerberos", authorizationId: "tim" } as const
  ].find((all) => mechanism.accepts(all)) ?? Mechanism.password("tim", Redacted.make(password))

// Deriving keys is what takes the time, and it is always the same few.
const derived = new Map<string, Uint8Array>()

const kdf = Layer.effect(
  Kdf.Kdf,
  Effect.map(Kdf.Kdf, (kdf) => ({
    derive: (algorithm, password, options) => {
      const hash = algorithm._tag === "Argon2id" ? "" : algorithm.hash.name
      const name = [hash, Buffer.from(password).toString("hex"), Buffer.from(options.salt).toString("hex")].join()
      const known = derived.get(name)
      if (known !== undefined) return Effect.succeed(known)
      // A server may ask for much work: that is known, and would only make the search slow.
      const less = algorithm._tag === "Pbkdf2" ? { ...algorithm, iterations: 4096 } : algorithm
      return Effect.tap(kdf.derive(less, password, options), (key) =>
        Effect.sync(() => {
          if (derived.size > 1000) derived.clear()
          derived.set(name, key)
        }))
    }
  }))
).pipe(Layer.provide(Deterministic.kdf))

// The same for every input, whatever ran before.
const runtime = ManagedRuntime.make(Layer.mergeAll(
  VirtualTime.layer(),
  Layer.succeed(SecureRandom.SecureRandom, SecureRandom.make((size) => new Uint8Array(size).fill(0x70))),
  kdf
))

/** RFC 4954 §4. */
const longestResponse = 12_288

/** Those whose server has to prove that it knows the password. */
const provesServer = new Set(["DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS"])

const asServer = (mechanism: Mechanism.Mechanism, password: string, messages: ReadonlyArray<Uint8Array>): void => {
  let step = mechanism.server({
    host: "mx.example",
    nonce: "postern.1",
    passwordOf: (user) => user === "tim" ? Redacted.make(password) : undefined,
    acceptsToken: (token, user) => token === password && user === "tim",
    now: 0,
    channelBindings,
    certificateIdentity: "tim"
  }, messages[0])
  for (const message of messages.slice(1)) {
    if (step._tag !== "Challenge") break
    step = step.next(message)
  }
  if (step._tag === "Challenge") Assert.ok(step.challenge.length <= longestResponse)
  if (step._tag !== "Accepted" || mechanism.name === "ANONYMOUS") return
  Assert.strictEqual(step.identity, "tim")
  Assert.ok(password === secret || mechanism.name === "EXTERNAL", "accepted without the password")
}

const asClient = (mechanism: Mechanism.Mechanism, password: string, messages: ReadonlyArray<Uint8Array>): void => {
  const { kind } = mechanism.traits
  const context = { host: "mx.example", secure: true, offered: [mechanism.name], channelBindings }
  const exit = runtime.runSyncExit(Effect.gen(function*() {
    let step = yield* mechanism.client(credentials(mechanism, password), context)
    for (const message of messages) {
      const response = step.response && Redacted.value(step.response)
      Assert.ok(response === undefined || response.length <= longestResponse)
      if (kind !== "plaintext" && response !== undefined) Assert.ok(!Mechanism.textOf(response).includes(unknown))
      if (step.next === undefined) break
      step = yield* step.next(message)
    }
    return step
  }))
  if (Exit.isFailure(exit)) {
    Assert.ok(!Exit.hasDies(exit), Cause.pretty(exit.cause))
    Assert.ok(!Cause.pretty(exit.cause).includes(unknown))
  } else if (password === unknown && provesServer.has(mechanism.name)) {
    Assert.ok(!exit.value.verified, "convinced by a server that does not know the password")
  }
}

/** The first octet chooses the mechanism; the second the side, and the password; the rest is what the other side says. */
export const fuzz = (input: Uint8Array): void => {
  const mechanism = mechanisms[(input[0] ?? 0) % mechanisms.length] ?? Plain.plain
  const choice = input[1] ?? 0
  const password = (choice & 2) === 0 ? secret : unknown
  const messages = pieces(input, 2).slice(0, 6)
  if ((choice & 1) === 1) asServer(mechanism, password, messages)
  else asClient(mechanism, password, messages)
}
