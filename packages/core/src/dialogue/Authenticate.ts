/**
 * AUTH (RFC 4954): a mechanism's octets framed for SMTP, and what is done after each
 * answer of the server.
 *
 * A refused password ends it: trying the next mechanism with the same password locks
 * accounts. Only "not this mechanism" (504, 534, 538, and 432 for PLAIN) leads to the
 * next one.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import type { Authenticator } from "../sasl/Choose.ts"
import * as Mechanism from "../sasl/Mechanism.ts"
import * as Command from "../wire/Command.ts"
import * as Expect from "../wire/Expect.ts"
import { render, type Reply } from "../wire/Reply.ts"
import * as Program from "./Program.ts"
import { Session } from "./Session.ts"

/** RFC 4954 §9: servers may hang up after three failures. */
const mostAttempts = 3

/** No mechanism needs half of these; a server that goes on asking is not followed. */
const mostChallenges = 16

/** The AUTH line with its CRLF may have 512 octets (RFC 4954 §4, RFC 5321 §4.5.3.1.4). */
const lineLimit = 512

/** What came of one mechanism. */
type Verdict =
  | { readonly _tag: "Accepted" }
  /** `ran`: it answers what the mechanism said. `said`: what the server's last challenge said of it, in words. */
  | { readonly _tag: "Refused"; readonly reply: Reply; readonly ran: boolean; readonly said: string | undefined }
  | { readonly _tag: "Cancelled"; readonly trouble: Mechanism.SaslError }
  | { readonly _tag: "Unverified"; readonly reply: Reply }

/**
 * Authenticates a session. Fails with `NoUsableMechanism` when credentials are given
 * and nothing can carry them, `AuthenticationFailed` with every attempt and its reply,
 * `ServerNotVerified`, `InvalidInput` for credentials no mechanism may send, or
 * `ServiceClosing`.
 */
export const authenticate = Program.fn(function*<R>(
  session: Session<"ready">,
  credentials: Mechanism.Credentials,
  authenticator: Authenticator<R>
) {
  const offered = session.facts.capabilities?.auth ?? []
  const { host, port, tls } = session.facts
  let context: Mechanism.ClientContext = {
    host,
    port,
    offered,
    secure: tls !== undefined,
    channelBindings: tls?.channelBindings
  }
  const { candidates, unusable } = authenticator(credentials, context)
  if (candidates.length === 0) {
    const { startTlsOffered } = session.known
    // What is not offered needs no explanation.
    const explained = unusable.filter(({ mechanism }) => offered.includes(mechanism))
    return yield* Program.fail(Reason.make("NoUsableMechanism", { offered, unusable: explained, startTlsOffered }))
  }
  const attempts: Array<Reason.Attempt> = []
  let using = credentials
  let remaining = candidates
  while (attempts.length < mostAttempts) {
    const [mechanism, ...others] = remaining
    if (mechanism === undefined) break
    const verdict = yield* attempt(mechanism, using, context)
    if (verdict._tag === "Accepted") {
      const authenticated = { identity: Mechanism.identityOf(credentials), mechanism: mechanism.name }
      return new Session("ready", { ...session.facts, authenticated })
    }
    attempts.push(toAttempt(mechanism.name, verdict))
    const renewed = withNewToken(using, verdict)
    const rebound = withNextBinding(context, verdict)
    if (renewed !== undefined) {
      using = renewed
    } else if (rebound !== undefined) {
      context = rebound
    } else {
      if (isUnproved(verdict)) {
        return yield* Program.fail(Reason.make("ServerNotVerified", { mechanism: mechanism.name, attempts }))
      }
      const why = verdict._tag === "Refused" ? judge(verdict) : "exchange broken"
      if (why !== "try the next") return yield* Program.fail(Reason.make("AuthenticationFailed", { why, attempts }))
      remaining = others
    }
  }
  const codes = new Set(attempts.map(({ reply }) => reply?.code))
  const why = codes.has(538) ? "encryption required" : codes.has(432) ? "temporary" : "no mechanism worked"
  return yield* Program.fail(Reason.make("AuthenticationFailed", { why, attempts }))
})

// The server said yes too early, or gave a proof that is none: somebody may be in its place.
const isUnproved = (verdict: Verdict): boolean =>
  verdict._tag === "Unverified"
  || (verdict._tag === "Cancelled" && verdict.trouble.reason === "server-signature-mismatch")

// A refused token may only be old: one more try, where its source can give another.
const withNewToken = (credentials: Mechanism.Credentials, verdict: Verdict): Mechanism.Credentials | undefined =>
  credentials._tag === "Token" && credentials.renew !== undefined && verdict._tag === "Refused"
    && verdict.reply.code === 535
    ? { ...credentials, token: credentials.renew, renew: undefined }
    : undefined

// A server that does not know this type of binding may know the other; going on without one is what an attacker wants.
const withNextBinding = (context: Mechanism.ClientContext, verdict: Verdict): Mechanism.ClientContext | undefined => {
  const [, ...others] = context.channelBindings ?? []
  return verdict._tag === "Cancelled" && verdict.trouble.reason === "unsupported-channel-binding-type"
      && others.length > 0
    ? { ...context, channelBindings: others }
    : undefined
}

// What a refusal of AUTH means for the other mechanisms (RFC 4954 §6).
const judge = (
  { ran, reply: { code } }: Extract<Verdict, { readonly _tag: "Refused" }>
): Reason.Of<"AuthenticationFailed">["why"] | "try the next" => {
  if (code === 504 || code === 534 || code === 538 || code === 432) return "try the next"
  if (code < 500) return "temporary"
  if (code === 530) return "encryption required"
  if (code > 503) return "bad credentials"
  return ran ? "response refused" : "no mechanism worked"
}

const toAttempt = (mechanism: string, verdict: Exclude<Verdict, { readonly _tag: "Accepted" }>): Reason.Attempt => {
  switch (verdict._tag) {
    case "Refused":
      return {
        mechanism,
        outcome: "refused",
        reply: verdict.reply,
        detail: verdict.said ?? Expect.meaning("Auth", verdict.reply.code) ?? "refused"
      }
    case "Cancelled":
      return { mechanism, outcome: "cancelled", reply: undefined, detail: verdict.trouble.detail }
    case "Unverified":
      return {
        mechanism,
        outcome: "unverified",
        reply: verdict.reply,
        detail: "the server said yes before the exchange was complete"
      }
  }
}

const attempt = Program.fn(function*<R>(
  mechanism: Mechanism.Mechanism<R>,
  credentials: Mechanism.Credentials,
  context: Mechanism.ClientContext
) {
  const started = yield* Program.result(Program.perform(mechanism.client(credentials, context)))
  if (Result.isFailure(started)) {
    const { detail } = started.failure
    return yield* Program.fail(Reason.make("InvalidInput", { what: "the credentials", problem: detail }))
  }
  let step = started.success
  const initial = step.response !== undefined && fitsLine(mechanism.name, step.response) ? step.response : undefined
  // A response that the line has no room for waits for the server's empty challenge.
  let waiting = initial === undefined ? step.response : undefined
  const auth = yield* Program.fromResult(Result.mapError(Command.auth(mechanism.name, initial), invalidName))
  let [answer] = yield* Program.exchange(auth)
  for (let turn = 0;; turn++) {
    if (Result.isFailure(answer)) return yield* refused(answer.failure, initial !== undefined, step.refusal)
    if (answer.success._tag === "Accepted") {
      const complete = step.verified && waiting === undefined
      return verdict(complete ? { _tag: "Accepted" } : { _tag: "Unverified", reply: answer.success.reply })
    }
    if (waiting === undefined) {
      const challenge = decodeChallenge(answer.success.text, mechanism.traits.anyChallenge)
      if (step.next === undefined || challenge === undefined || turn === mostChallenges) {
        return yield* cancel(
          step.next !== undefined && challenge === undefined
            ? Mechanism.saslError("bad-base64", "a challenge that is no base64")
            : Mechanism.saslError("unexpected-challenge", "an unexpected challenge")
        )
      }
      const next = yield* Program.result(Program.perform(step.next(challenge)))
      if (Result.isFailure(next)) return yield* cancel(next.failure)
      step = next.success
    }
    const response = waiting ?? step.response ?? Redacted.make(new Uint8Array(0))
    waiting = undefined
    const [following] = yield* Program.exchange(Command.authResponse(response))
    answer = following
  }
})

const verdict = (verdict: Verdict): Verdict => verdict

const invalidName = ({ problem }: Command.CommandError): Reason.Of<"InvalidInput"> =>
  Reason.make("InvalidInput", { what: "the mechanism", problem })

const refused = (
  refusal: Expect.Refused,
  initial: boolean,
  said: string | undefined
): Program.Program<Verdict, Reason.Reason> => {
  const { reply, step } = refusal
  if (reply.code < 400 || reply.code === 421) return Program.fail(Classify.refusal(nothingKnown, refusal))
  // 500, 502 and 503 to AUTH are about the command, with an initial response too; 501 is about what stands behind it.
  const ran = step === "AuthResponse" || (initial && reply.code === 501)
  return Program.succeed(verdict({ _tag: "Refused", reply, ran, said }))
}

// Enough for the rules that are not about the envelope.
const nothingKnown: Classify.Known = {
  encrypted: false,
  authOffered: [],
  startTlsOffered: false,
  authenticated: false,
  identity: undefined
}

// `*` is answered by 501 (RFC 4954 §4); a server that goes on is not understood any more.
const cancel = Program.fn(function*(trouble: Mechanism.SaslError) {
  const [answer] = yield* Program.exchange(Command.authCancel)
  const refusal = Result.merge(answer)
  if (refusal.reply.code === 421) return yield* Program.fail(Classify.refusal(nothingKnown, refusal))
  if (refusal.reply.code < 400) {
    const received = render(refusal.reply)
    return yield* Program.fail(Reason.make("ProtocolViolation", { step: "AuthCancel", expected: "501", received }))
  }
  return verdict({ _tag: "Cancelled", trouble })
})

const fitsLine = (name: string, response: Redacted.Redacted<Uint8Array>): boolean =>
  "AUTH ".length + name.length + 1 + 4 * Math.ceil(Redacted.value(response).length / 3) + 2 <= lineLimit

const utf8 = new TextEncoder()

const decodeChallenge = (text: string, any: boolean): Uint8Array | undefined => {
  const bytes = Base64.decode(text)
  if (Result.isSuccess(bytes)) return bytes.success
  return any ? utf8.encode(text) : undefined
}
