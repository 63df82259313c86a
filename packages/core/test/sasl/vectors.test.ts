/**
 * Published and generated exchanges of each mechanism, octet for octet. What a vector
 * says about SMTP around them (base64, `*`, the final reply, the length of the command
 * line) is Authenticate's and is not tested here.
 */
import { assert, describe, it } from "@effect/vitest"
import { CramMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import cramMd5 from "../vectors/CRAM-MD5.json" with { type: "json" }
import login from "../vectors/LOGIN.json" with { type: "json" }
import plain from "../vectors/PLAIN.json" with { type: "json" }
import { type Message, octets } from "./support.ts"

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly username: string
    readonly password: string | null
    readonly authzid?: string | null | undefined
    readonly initialResponse?: boolean | undefined
    readonly challenge?: string | null | undefined
  }
  readonly exchange: ReadonlyArray<Message>
  readonly outcome: { readonly result: string; readonly reason?: string | undefined }
}

const files: ReadonlyArray<
  readonly [Mechanism.Mechanism, { readonly count: number; readonly vectors: ReadonlyArray<Vector> }]
> = [
  [Plain.plain, plain],
  [Login.login, login],
  [CramMd5.cramMd5, cramMd5]
]

/** What a mechanism gets of a server's line: what base64 says, or, for prompts that are none, the text as it stands. */
const challengeOf = (mechanism: Mechanism.Mechanism, message: Message): Uint8Array => {
  if (message.raw === undefined) return octets(message.base64 ?? "")
  assert.isTrue(mechanism.traits.anyChallenge)
  return new TextEncoder().encode(message.raw.slice("334 ".length))
}

const credentialsOf = ({ username, password, authzid }: Vector["inputs"]) =>
  Mechanism.password(username, Redacted.make(password ?? ""), authzid ?? undefined)

const context: Mechanism.ClientContext = { host: "mx.example", offered: ["PLAIN", "LOGIN", "CRAM-MD5"], secure: true }

/** What the client sends in answer to the server's messages. */
const play = Effect.fnUntraced(function*(mechanism: Mechanism.Mechanism, vector: Vector) {
  const sent: Array<Uint8Array> = []
  const note = (step: Mechanism.ClientStep) => {
    if (step.response !== undefined) sent.push(Redacted.value(step.response))
    return step
  }
  let step = note(yield* mechanism.client(credentialsOf(vector.inputs), context))
  // An empty challenge only asks for the response that there already is.
  const challenges = vector.exchange.filter(({ from }) => from === "server")
    .slice(step.response !== undefined && vector.inputs.initialResponse === false ? 1 : 0)
  for (const message of challenges) {
    if (step.next === undefined) return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", "one too many"))
    step = note(yield* step.next(challengeOf(mechanism, message)))
  }
  return { sent, verified: step.verified }
})

/** Runs the server of a mechanism over what the client of the vector sent. */
const serve = (
  mechanism: Mechanism.Mechanism,
  vector: Vector,
  passwordOf: Mechanism.ServerContext["passwordOf"] = (user) =>
    user === vector.inputs.username ? Redacted.make(vector.inputs.password ?? "") : undefined
) => {
  const [, nonce = "n", host = "h"] = /^<(.*)@(.*)>$/.exec(vector.inputs.challenge ?? "") ?? []
  const responses = vector.exchange.filter(({ from }) => from === "client").map(({ base64 }) => octets(base64 ?? ""))
  const initial = vector.exchange[0]?.from === "client" ? responses.shift() : undefined
  const challenges: Array<Uint8Array> = []
  let end = mechanism.server({ host, nonce, passwordOf }, initial)
  for (const response of responses) {
    if (end._tag !== "Challenge") break
    challenges.push(end.challenge)
    end = end.next(response)
  }
  return { challenges, end }
}

for (const [usual, { count, vectors }] of files) {
  describe(`${usual.name} vectors`, () => {
    it("are all here", () => assert.lengthOf(vectors, count))

    for (const vector of vectors) {
      const { id, exchange, outcome } = vector
      const mechanism = usual === Login.login && vector.inputs.initialResponse === true
        ? Login.loginWithInitialResponse
        : usual
      // A challenge that is no base64 is refused before a mechanism sees it: dialogue/Authenticate.vectors.test.ts.
      if (outcome.reason === "bad-base64") continue
      if (outcome.result === "parse-only") {
        it(`${id}: its secret was not published; server`, () => {
          const asked: Array<string> = []
          const { challenges, end } = serve(mechanism, vector, (user) => void asked.push(user))
          assert.deepStrictEqual(challenges, [octets(exchange[0]?.base64 ?? "")])
          assert.deepStrictEqual(asked, [vector.inputs.username])
          assert.strictEqual(end._tag, "Refused")
        })
        continue
      }
      if (outcome.result === "client-refuse" || outcome.result === "client-abort") {
        it(`${id}: ${outcome.reason}`, () => {
          const result = Effect.runSync(Effect.result(play(mechanism, vector)))
          assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, outcome.reason)
        })
        continue
      }
      it(`${id}: client`, () => {
        assert.include(["success", "server-reject"], outcome.result)
        const { sent, verified } = Effect.runSync(play(mechanism, vector))
        assert.deepStrictEqual(
          sent,
          exchange.filter(({ from }) => from === "client").map(({ base64 }) => octets(base64 ?? ""))
        )
        assert.isTrue(verified)
      })
      // This server makes challenges of its own form only, and lets nobody act for somebody else.
      if (outcome.result !== "success" || (vector.inputs.challenge === null)) continue
      const { authzid, username } = vector.inputs
      it(`${id}: server`, () => {
        const { end } = serve(mechanism, vector)
        if (authzid && authzid !== username) {
          assert.deepStrictEqual(end, { _tag: "Refused", problem: "not authorized to the requested identity" })
        } else {
          assert.deepStrictEqual(end, { _tag: "Accepted", identity: username })
        }
      })
    }
  })
}
