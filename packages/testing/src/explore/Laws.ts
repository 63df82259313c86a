/**
 * Contracts for those who write a mechanism, a transport or a reply parser of their own, as
 * data: any test runner takes them.
 */
import { Mechanism, Reply, Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { chunking, credentials, hostileReplyBytes, reply } from "../generate/Arbitraries.ts"

/** One law: `run` resolves where it holds, and rejects with what breaks it. */
export interface Law {
  readonly name: string
  readonly run: () => Promise<void>
}

const broken = (problem: string): never => {
  throw new Error(problem)
}

const holds = (condition: boolean, problem: string): void => {
  if (!condition) broken(problem)
}

// ---------------------------------------------------------------------------
// Mechanisms
// ---------------------------------------------------------------------------

/** What a mechanism is tried with. */
export interface MechanismOptions {
  /** Whether the server is to be given a password, or a token. Passwords unless given. */
  readonly with?: "password" | "token" | undefined
  /** Runs of each law; 50 unless given. */
  readonly runs?: number | undefined
}

const otherThan = (secret: string): string => secret === "another secret" ? "yet another one" : "another secret"

/**
 * The laws of a SASL mechanism (RFC 4422): it is accepted exactly where both sides have the same
 * secret; nothing that comes from the other side makes it throw; an altered message of a server
 * that proves itself is not believed; no secret stands in an error; a step taken twice gives the
 * same.
 *
 * @example
 * ```ts
 * import { CramMd5 } from "@postern/core"
 * import { Laws } from "@postern/testing"
 *
 * // In any test runner: for (const law of laws) it(law.name, law.run)
 * const laws = Laws.mechanism(CramMd5.cramMd5)
 * console.log(laws.map(({ name }) => name))
 * ```
 */
export const mechanism = (subject: Mechanism.Mechanism, options: MechanismOptions = {}): ReadonlyArray<Law> => {
  const numRuns = options.runs ?? 50
  const withToken = options.with === "token"
  const given = (known: Mechanism.Password): Mechanism.Credentials =>
    withToken
      ? { _tag: "Token", user: known.user, token: Effect.succeed(known.password), renew: undefined }
      : known
  const server = (known: Mechanism.Password, secret = Redacted.value(known.password)): Mechanism.ServerContext => ({
    host: "mx.example",
    nonce: "postern.laws",
    passwordOf: (user) => user === known.user ? Redacted.make(secret) : undefined,
    acceptsToken: (token) => token === secret,
    channelBindings: [{ type: "tls-exporter", data: new Uint8Array(32).fill(7) }],
    now: 0
  })
  const duel = (known: Mechanism.Password, context: Mechanism.ServerContext, alter?: Mechanism.Alter) =>
    Effect.runPromiseExit(Mechanism.duel(subject, given(known), context, alter))
  // Tokens are ASCII (RFC 6750 §2.1).
  const known = withToken
    ? credentials.map(({ user }) => Mechanism.password(user, Redacted.make("mF_9.B5f-4.1JqM")))
    // Others a mechanism may refuse to send: SASLprep has rules for them (RFC 4013).
    : credentials.filter(({ password, user }) => /^[ -~]+$/.test(user) && /^[ -~]+$/.test(Redacted.value(password)))
  const law = (name: string, check: (known: Mechanism.Password, seed: number) => Promise<void>): Law => ({
    name: `${subject.name}: ${name}`,
    run: () => fc.assert(fc.asyncProperty(known, fc.nat(), check), { numRuns })
  })
  const accepted = (exit: Exit.Exit<Mechanism.Duel, unknown>): boolean => Exit.isSuccess(exit) && exit.value.accepted
  const typed = (exit: Exit.Exit<unknown, unknown>): void =>
    holds(!Exit.isFailure(exit) || !Cause.hasDies(exit.cause), `it throws: ${String(exit)}`)
  return [
    {
      name: `${subject.name}: has a name that RFC 4422 §3.1 allows`,
      run: () =>
        Promise.resolve().then(() =>
          holds(/^[A-Z0-9_-]{1,20}$/.test(subject.name), `"${subject.name}" is no mechanism name`)
        )
    },
    law("is accepted where both sides have the same secret", async (known) => {
      const exit = await duel(known, server(known))
      typed(exit)
      holds(accepted(exit), `it is not: ${String(exit)}`)
    }),
    law("is refused where the server has another", async (known) => {
      const exit = await duel(known, server(known, otherThan(Redacted.value(known.password))))
      typed(exit)
      holds(!accepted(exit), "it is accepted")
    }),
    law("believes no server whose message was altered, if it has the server prove itself", async (known, seed) => {
      let changed = false
      const exit = await duel(known, server(known), (bytes, from) => {
        if (from !== "server" || bytes.length === 0) return bytes
        changed = true
        const altered = bytes.slice()
        const at = seed % altered.length
        altered[at] = (altered[at] ?? 0) ^ (1 << (seed % 7))
        return altered
      })
      typed(exit)
      const proves = subject.traits.kind === "mutual" || subject.traits.kind === "channel-bound"
      if (changed && proves) holds(!accepted(exit), "it is accepted")
    }),
    law("does not throw on whatever it is challenged with, and tells no secret", async (known, seed) => {
      const noise = fc.sample(fc.uint8Array({ maxLength: 60 }), { seed, numRuns: 4 })
      let turn = 0
      const exit = await duel(known, server(known), (bytes, from) => from === "server" ? noise[turn++] ?? bytes : bytes)
      typed(exit)
      const secret = Redacted.value(known.password)
      const shown = `${String(exit)} ${JSON.stringify(exit)}`
      holds(secret.length < 8 || !shown.includes(secret), "its error holds the secret")
    }),
    law("gives the same when a step is taken twice", async (known) => {
      const once = await duel(known, server(known))
      const twice = await duel(known, server(known))
      holds(accepted(once) === accepted(twice), "it does not")
    })
  ]
}

// ---------------------------------------------------------------------------
// Transports
// ---------------------------------------------------------------------------

/** The other side of a wire, in the hands of a test. */
export interface OtherSide {
  readonly say: (bytes: Uint8Array) => Effect.Effect<void>
  /** Closes in good order. */
  readonly close: Effect.Effect<void>
  /** All that has arrived by now, once so many octets have. */
  readonly heard: (octets: number) => Effect.Effect<Uint8Array>
}

/** A wire of the transport, with its other side. */
export type Pair = Effect.Effect<readonly [Transport.Wire, OtherSide], unknown, Scope.Scope>

const octets = fc.uint8Array({ minLength: 1, maxLength: 300 })

/**
 * The laws of a transport's wires: octets arrive, all of them and in order, in either direction;
 * no read is empty; an interrupted read loses nothing; the end of the other side is `Closed`; TLS
 * is not begun over plaintext that was not read.
 */
export const transport = (
  name: string,
  pair: Pair,
  options: { readonly runs?: number | undefined } = {}
): ReadonlyArray<Law> => {
  const numRuns = options.runs ?? 20
  const law = (
    what: string,
    check: (
      wire: Transport.Wire,
      other: OtherSide,
      bytes: Uint8Array,
      parts: ReadonlyArray<Uint8Array>
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ): Law => ({
    name: `${name}: ${what}`,
    run: () =>
      fc.assert(
        fc.asyncProperty(octets, chunking, (bytes, chunk) =>
          Effect.runPromise(Effect.scoped(Effect.flatMap(pair, ([wire, other]) =>
            check(
              wire,
              other,
              bytes,
              chunk(bytes).filter(({ length }) =>
                length > 0
              )
            ))))),
        { numRuns }
      )
  })
  const collect = (wire: Transport.Wire, size: number): Effect.Effect<Uint8Array, Transport.TransportError> => {
    const more = (
      all: ReadonlyArray<Uint8Array>,
      length: number
    ): Effect.Effect<Uint8Array, Transport.TransportError> =>
      length >= size ? Effect.succeed(Bytes.concat(all)) : Effect.flatMap(wire.read, (bytes) => {
        holds(bytes.length > 0, "a read is empty")
        return more([...all, bytes], length + bytes.length)
      })
    return more([], 0)
  }
  const same = (a: Uint8Array, b: Uint8Array): void =>
    holds(a.length === b.length && a.every((octet, i) => octet === b[i]), `${b.join(" ")} became ${a.join(" ")}`)
  const problemOf = (effect: Effect.Effect<unknown, Transport.TransportError>) =>
    Effect.map(Effect.result(effect), (result) => Result.isFailure(result) ? result.failure.reason._tag : "no failure")
  return [
    law("what is said can be read, all of it, in order", (wire, other, bytes, parts) =>
      Effect.gen(function*() {
        yield* Effect.forEach(parts, other.say, { discard: true })
        same(yield* collect(wire, bytes.length), bytes)
      })),
    law("what is written arrives, all of it, in order", (wire, other, bytes, parts) =>
      Effect.gen(function*() {
        yield* Effect.forEach(parts, wire.write, { discard: true })
        same(yield* other.heard(bytes.length), bytes)
      })),
    law("an interrupted read loses nothing", (wire, other, bytes) =>
      Effect.gen(function*() {
        const reading = yield* Effect.forkChild(wire.read, { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(reading)
        yield* other.say(bytes)
        same(yield* collect(wire, bytes.length), bytes)
      })),
    law(
      "the end of the other side comes behind all that it said, as Closed",
      (wire, other, bytes) =>
        Effect.gen(function*() {
          yield* other.say(bytes)
          yield* other.close
          same(yield* collect(wire, bytes.length), bytes)
          const end = yield* problemOf(wire.read)
          holds(end === "Closed", `it is ${end}`)
        })
    ),
    law("TLS is not begun over plaintext that was not read", (wire, other, bytes) =>
      Effect.gen(function*() {
        yield* other.say(bytes)
        // So that a handshake comes to an end in any case.
        yield* other.close
        const end = yield* problemOf(wire.upgradeTls({ serverName: "localhost" }))
        holds(end !== "no failure", "it is begun")
      }))
  ]
}

// ---------------------------------------------------------------------------
// Reply parsers
// ---------------------------------------------------------------------------

/** A reply parser of any make: takes chunks, gives replies as code and lines, or `"error"` from where it gives up. */
export type ParseReplies = (
  chunks: ReadonlyArray<Uint8Array>
) => ReadonlyArray<{ readonly code: number; readonly lines: ReadonlyArray<string> } | "error">

/**
 * The laws of a parser of SMTP replies (RFC 5321 §4.2): it reads what is valid, however it is cut,
 * and never throws.
 */
export const replyParser = (
  name: string,
  parse: ParseReplies,
  options: { readonly runs?: number } = {}
): ReadonlyArray<Law> => {
  const numRuns = options.runs ?? 200
  const law = (what: string, property: fc.IRawProperty<unknown>): Law => ({
    name: `${name}: ${what}`,
    run: () => Promise.resolve().then(() => fc.assert(property as fc.IProperty<unknown>, { numRuns }))
  })
  const shown = (value: unknown): string => JSON.stringify(value)
  return [
    law(
      "reads valid replies, in any chunks",
      fc.property(fc.array(reply, { minLength: 1, maxLength: 3 }), chunking, (replies, chunk) => {
        const read = parse(chunk(Bytes.concat(replies.map(Reply.encode))))
        const text = (found: (typeof read)[number]) => found === "error" ? found : [found.code, found.lines.join("\n")]
        // An enhanced status code is part of the text to parsers that know none.
        const expected = replies.map(({ code, lines, status }) => [
          code,
          lines.map((line) =>
            status === undefined ? line : `${status.class}.${status.subject}.${status.detail} ${line}`.trimEnd()
          )
            .join("\n")
        ])
        const bare = replies.map(({ code, lines }) => [code, lines.join("\n")])
        const got = read.map(text)
        holds(shown(got) === shown(expected) || shown(got) === shown(bare), `${shown(bare)} is read as ${shown(got)}`)
      })
    ),
    law(
      "reads the same however octets are cut, whatever they are",
      fc.property(hostileReplyBytes, chunking, (bytes, chunk) => {
        const [whole, cut] = [parse([bytes]), parse(chunk(bytes))]
        holds(shown(whole) === shown(cut), `${shown(whole)} becomes ${shown(cut)}`)
      })
    )
  ]
}
