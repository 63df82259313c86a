/**
 * What every SASL mechanism owes (RFC 4422), as laws.
 */
import { Mechanism } from "@postern/core"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import { saslMessage } from "../generate/Arbitraries.ts"
import * as Deterministic from "../time/Deterministic.ts"
import { holds, type Law } from "./Law.ts"

/** What a mechanism is tried with. */
export interface MechanismOptions<R = never> {
  /**
   * Credentials that it takes. Unless given: passwords, tokens, certificates or nobody in
   * particular, whatever it `accepts`; their texts are printable ASCII.
   */
  readonly credentials?: fc.Arbitrary<Mechanism.Credentials> | undefined
  /** A server that knows these credentials and no others, where the usual one will not do. */
  readonly server?: ((credentials: Mechanism.Credentials) => Mechanism.ServerContext) | undefined
  /** What its client needs of the environment. */
  readonly services?: Context.Context<R> | undefined
  /** Runs of each law; 50 unless given. */
  readonly runs?: number | undefined
}

// ---------------------------------------------------------------------------
// Credentials, and a server that knows them
// ---------------------------------------------------------------------------

const printable = (least: number): fc.Arbitrary<string> =>
  fc.string({ minLength: least, maxLength: 20 }).filter((text) => /^[!-~]+$/.test(text))

const token = (secret: string, user: string): Mechanism.Token => ({
  _tag: "Token",
  user,
  token: Effect.succeed(Redacted.make(secret)),
  renew: undefined
})

const kinds: ReadonlyArray<fc.Arbitrary<Mechanism.Credentials>> = [
  fc.tuple(printable(1), printable(8)).map(([user, secret]) => Mechanism.password(user, Redacted.make(secret))),
  fc.tuple(fc.base64String({ minLength: 8, maxLength: 40 }), printable(1)).map(([secret, user]) => token(secret, user)),
  fc.constant({ _tag: "Certificate", authorizationId: undefined }),
  fc.constant({ _tag: "Anonymous", trace: undefined }),
  fc.constant({ _tag: "Kerberos", authorizationId: undefined })
]

const secretOf = (credentials: Mechanism.Credentials): string | undefined => {
  switch (credentials._tag) {
    case "Password":
      return Redacted.value(credentials.password)
    case "Token":
      return Redacted.value(Effect.runSync(Effect.orDie(credentials.token)))
    default:
      return undefined
  }
}

/** The same, with another secret. */
const withSecret = (credentials: Mechanism.Credentials, secret: string): Mechanism.Credentials =>
  credentials._tag === "Password"
    ? { ...credentials, password: Redacted.make(secret) }
    : credentials._tag === "Token"
    ? token(secret, credentials.user)
    : credentials

const channelBindings = [
  { type: "tls-exporter", data: new Uint8Array(32).fill(7) },
  { type: "tls-server-end-point", data: new Uint8Array(32).fill(8) }
] as const

const knowing = (credentials: Mechanism.Credentials): Mechanism.ServerContext => ({
  host: "mx.example",
  nonce: "postern.laws",
  passwordOf: (user) => credentials._tag === "Password" && credentials.user === user ? credentials.password : undefined,
  acceptsToken: (given, user) =>
    credentials._tag === "Token" && given === secretOf(credentials)
    && (user === undefined || user === credentials.user),
  certificateIdentity: credentials._tag === "Certificate" ? "client" : undefined,
  channelBindings,
  now: 0
})

// ---------------------------------------------------------------------------
// Exchanges
// ---------------------------------------------------------------------------

interface Played {
  readonly accepted: boolean
  readonly identity: string | undefined
  /** A step before the last would have believed a success. */
  readonly early: boolean
}

const contextOf = ({ name }: Mechanism.Mechanism): Mechanism.ClientContext => ({
  host: "mx.example",
  port: 587,
  offered: [name],
  secure: true,
  channelBindings
})

// Mechanism.duel, with a channel to bind to and a look at each step.
const play = Effect.fnUntraced(function*(
  mechanism: Mechanism.Mechanism,
  credentials: Mechanism.Credentials,
  server: Mechanism.ServerContext,
  alter: Mechanism.Alter = (bytes) => bytes
): Effect.fn.Return<Played, Mechanism.SaslError> {
  let client = yield* mechanism.client(credentials, contextOf(mechanism))
  let turn = 0
  let early = false
  const respond = () => client.response && alter(Redacted.value(client.response), "client", turn)
  let step = mechanism.server(server, respond())
  while (step._tag === "Challenge") {
    early ||= client.verified
    if (client.next === undefined) {
      return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", "a challenge came after the last step"))
    }
    client = yield* client.next(alter(step.challenge, "server", turn++))
    step = step.next(respond() ?? new Uint8Array(0))
  }
  return {
    accepted: step._tag === "Accepted" && client.verified,
    identity: step._tag === "Accepted" ? step.identity : undefined,
    early
  }
})

/** The same random octets and the same time for each run of a seed. */
const run = <A, E>(effect: Effect.Effect<A, E>, seed: number): Promise<Exit.Exit<A, E>> =>
  Effect.runPromiseExit(Effect.provide(effect, Deterministic.layer({ seed })))

/** It ended as an Effect may: with a value, or with a SaslError. */
const typed = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  const { cause } = exit
  holds(!Cause.hasDies(cause), () => `it throws: ${Cause.pretty(cause)}`)
  const error = Cause.findErrorOption(cause)
  holds(
    error._tag === "Some" && typeof error.value === "object" && error.value !== null && "_tag" in error.value
      && error.value._tag === "SaslError",
    () => `it does not fail with a SaslError: ${Cause.pretty(cause)}`
  )
}

const succeeded = (exit: Exit.Exit<Played, unknown>): boolean => Exit.isSuccess(exit) && exit.value.accepted

const flip = (bytes: Uint8Array, seed: number): Uint8Array => {
  const out = bytes.slice()
  const at = seed % Math.max(1, out.length)
  if (at < out.length) out[at] = (out[at] ?? 0) ^ (1 << (seed % 8))
  return out
}

const utf8 = new TextEncoder()

/** The secret, as it is and in the encodings in which it travels. */
const spellings = (secret: string): ReadonlyArray<string> => {
  const bytes = utf8.encode(secret)
  // Without what padding changes.
  return [secret, Base64.encode(bytes).slice(0, Math.floor(bytes.length / 3) * 4), Hex.encode(bytes)]
}

const shown = (value: unknown): string => `${String(value)} ${JSON.stringify(value)} ${fc.stringify(value)}`

const silentAbout = (secret: string, value: unknown): void => {
  const text = shown(value)
  for (const spelling of spellings(secret)) holds(!text.includes(spelling), () => `it tells the secret: ${text}`)
}

/** What the other side may say that has no good will, or is of another mechanism. */
const noise = fc.array(fc.oneof(saslMessage, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 })

/** More challenges than any exchange has. */
const mostSteps = 64

/**
 * The laws of a mechanism. It is accepted where both sides have the same secret, and only there;
 * what has the other side prove itself believes nobody who did not, nor anything that was altered
 * on its way; whatever comes, either side ends, without throwing; no secret is told; a step taken
 * twice does the same twice.
 *
 * @example
 * ```ts
 * import { CramMd5 } from "@postern/core"
 * import { Laws } from "@postern/testing"
 *
 * // In a test file: for (const law of laws) it(law.name, law.run)
 * export const laws = Laws.mechanism(CramMd5.cramMd5, { runs: 100 })
 * ```
 */
export const mechanism = <R = never>(
  mechanism: Mechanism.Mechanism<R>,
  options: MechanismOptions<R> = {}
): ReadonlyArray<Law> => {
  const { runs: numRuns = 50, server = knowing } = options
  const subject: Mechanism.Mechanism = options.services === undefined
    // Without services its type says that it needs none.
    ? mechanism as Mechanism.Mechanism<unknown> as Mechanism.Mechanism
    : Mechanism.provide(mechanism, options.services)
  const taken = kinds.filter((kind) => fc.sample(kind, { numRuns: 1, seed: 1 }).every(subject.accepts))
  const others = kinds.filter((kind) => !taken.includes(kind))
  const own = options.credentials ?? (taken.length === 0 ? fc.constant(undefined) : fc.oneof(...taken))
  const provesBoth = subject.traits.kind === "mutual" || subject.traits.kind === "channel-bound"

  const law = (
    name: string,
    check: (credentials: Mechanism.Credentials, seed: number, noise: ReadonlyArray<Uint8Array>) => Promise<void>
  ): Law => ({
    name: `${subject.name}: ${name}`,
    run: () =>
      fc.assert(
        fc.asyncProperty(own, fc.nat(), noise, async (credentials, seed, noise) => {
          if (credentials === undefined) throw new Error("it accepts credentials of no kind: give it `credentials`")
          await check(credentials, seed, noise)
        }),
        { numRuns }
      )
  })

  const laws: ReadonlyArray<Law> = [
    {
      name: `${subject.name}: has a name as RFC 4422 §3.1 allows it`,
      run: async () => holds(/^[A-Z0-9_-]{1,20}$/.test(subject.name), `"${subject.name}" is no mechanism name`)
    },
    law("takes its credentials, and refuses others by a typed error", async (credentials, seed) => {
      holds(subject.accepts(credentials), "it does not accept its own credentials")
      const begun = await run(subject.client(credentials, contextOf(subject)), seed)
      typed(begun)
      holds(Exit.isSuccess(begun), () => `it does not begin: ${shown(begun)}`)
      for (const other of others.flatMap((kind) => fc.sample(kind, { numRuns: 1, seed }))) {
        const exit = await run(subject.client(other, contextOf(subject)), seed)
        typed(exit)
        holds(Exit.isFailure(exit), `it does not accept ${other._tag}, and begins with it`)
      }
    }),
    law("is accepted where both sides have the same secret", async (credentials, seed) => {
      const exit = await run(play(subject, credentials, server(credentials)), seed)
      typed(exit)
      holds(succeeded(exit), () => `it is not: ${shown(exit)}`)
      if (Exit.isSuccess(exit) && credentials._tag === "Password" && credentials.authorizationId === undefined) {
        holds(exit.value.identity === credentials.user, `as "${exit.value.identity}"`)
      }
    }),
    law("believes no server that has not proved itself", async (credentials, seed, challenges) => {
      const honest = await run(play(subject, credentials, server(credentials)), seed)
      if (!provesBoth) return
      holds(Exit.isSuccess(honest) && !honest.value.early, "it is verified before the server's last message")
      const impostor = await run(follow(subject, credentials, challenges), seed)
      typed(impostor)
      holds(Exit.isFailure(impostor) || !impostor.value.verified, "it is verified by a server that knows nothing")
    }),
    law("ends in a typed way when an octet is altered, and is not accepted where both sides prove themselves", async (
      credentials,
      seed
    ) => {
      const target = seed % 2 === 0 ? "server" : "client"
      let altered = false
      const exit = await run(
        play(subject, credentials, server(credentials), (bytes, from, turn) => {
          if (from !== target || turn !== (seed >> 1) % 3 || bytes.length === 0) return bytes
          altered = true
          return flip(bytes, seed >> 3)
        }),
        seed
      )
      typed(exit)
      if (altered && provesBoth) holds(!succeeded(exit), `an octet of the ${target} was altered, and it is accepted`)
    }),
    law("ends without throwing, whatever it is challenged with", async (credentials, seed, noise) => {
      const turned = (turn: number) => noise[turn % noise.length] ?? new Uint8Array(0)
      const endless = Array.from({ length: mostSteps }, (_, turn) => turned(turn))
      const exit = await run(follow(subject, credentials, endless), seed)
      typed(exit)
      holds(Exit.isFailure(exit) || exit.value.next === undefined, `it goes on after ${mostSteps} challenges`)
      // The same from the middle of an exchange.
      const from = seed % 3
      typed(
        await run(
          play(
            subject,
            credentials,
            server(credentials),
            (bytes, side, turn) => side === "server" && turn >= from ? turned(turn) : bytes
          ),
          seed
        )
      )
    }),
    law("tells no secret, in errors or in steps", async (credentials, seed, noise) => {
      const secret = "hunter2-hunter2-hunter2"
      // Secrets that cannot be used are told as little as others.
      for (const given of [secret, `${secret}\0`, `${secret}\ud800`, `\u00ad${secret}\u0007`]) {
        const known = withSecret(credentials, given)
        silentAbout(secret, await run(subject.client(known, contextOf(subject)), seed))
        silentAbout(secret, await run(follow(subject, known, noise), seed))
        silentAbout(secret, await run(play(subject, known, server(known)), seed))
      }
    }),
    law("does the same when a step is taken twice", async (credentials, seed) => {
      const begin = () => run(subject.client(credentials, contextOf(subject)), seed)
      let [one, two] = [await begin(), await begin()]
      same(one, two)
      if (Exit.isFailure(one)) return
      const first = one.value
      let step = subject.server(server(credentials), first.response && Redacted.value(first.response))
      let client = first
      while (step._tag === "Challenge" && client.next !== undefined) {
        const { next } = client
        const { challenge } = step
        ;[one, two] = [await run(next(challenge), seed), await run(next(challenge), seed)]
        same(one, two)
        if (Exit.isFailure(one)) return
        client = one.value
        step = step.next(client.response === undefined ? new Uint8Array(0) : Redacted.value(client.response))
      }
    })
  ]

  const ofSecrets: ReadonlyArray<Law> = [
    law("is refused where the server knows another secret, or nobody", async (credentials, seed) => {
      const secret = secretOf(credentials) ?? ""
      const other = withSecret(credentials, `${secret}x`)
      for (const known of [server(other), { ...server(other), passwordOf: () => undefined }]) {
        const exit = await run(play(subject, credentials, known), seed)
        typed(exit)
        holds(!succeeded(exit), "it is accepted")
      }
    }),
    law("has a server that takes any octets, and none of them for a proof", async (credentials, seed, responses) => {
      const initial = seed % 2 === 0 ? responses[0] : undefined
      let step = subject.server(server(credentials), initial)
      for (const response of initial === undefined ? responses : responses.slice(1)) {
        if (step._tag === "Challenge") step = step.next(response)
      }
      holds(step._tag !== "Accepted", "it accepts them")
    })
  ]

  return [
    ...laws,
    ...own === options.credentials
        || fc.sample(own, { numRuns: 5, seed: 1 }).some((it) => it !== undefined && secretOf(it) !== undefined)
      ? ofSecrets
      : []
  ]
}

/** The client's last step after it was challenged so, as far as it goes. */
const follow = Effect.fnUntraced(function*(
  mechanism: Mechanism.Mechanism,
  credentials: Mechanism.Credentials,
  challenges: ReadonlyArray<Uint8Array>
): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
  let step = yield* mechanism.client(credentials, contextOf(mechanism))
  for (const challenge of challenges) if (step.next !== undefined) step = yield* step.next(challenge)
  return step
})

const same = (
  one: Exit.Exit<Mechanism.ClientStep, Mechanism.SaslError>,
  two: Exit.Exit<Mechanism.ClientStep, Mechanism.SaslError>
): void => {
  const facts = (exit: typeof one) =>
    Exit.isFailure(exit) ? shown(exit) : JSON.stringify([
      exit.value.response && Array.from(Redacted.value(exit.value.response)),
      exit.value.verified,
      exit.value.refusal,
      exit.value.next === undefined
    ])
  typed(one)
  holds(facts(one) === facts(two), "the same step gave two things")
}
