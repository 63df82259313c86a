/**
 * The SELECTION vectors over the real mechanisms: which is tried, and which next.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Authenticate,
  Capabilities,
  Choose,
  type Command,
  type Mechanism,
  Ntlm,
  Program,
  Reply,
  Said,
  Session
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Redacted } from "effect"
import selection from "../vectors/SELECTION.json" with { type: "json" }

interface Vector {
  readonly id: string
  readonly inputs: {
    readonly advertised: ReadonlyArray<string>
    readonly tls: string | null
    readonly credentials: string
    readonly enableNtlm?: boolean | undefined
    readonly tried?: string | undefined
    readonly reply?: string | undefined
  }
  readonly outcome: {
    readonly result: string
    readonly order?: ReadonlyArray<string> | undefined
    readonly mechanism?: string | null | undefined
  }
}

const vectors = selection.vectors as ReadonlyArray<Vector>
const bindings = [
  { type: "tls-exporter" as const, data: new Uint8Array(32) },
  { type: "tls-server-end-point" as const, data: new Uint8Array(32) }
]

const password: Mechanism.Password = {
  _tag: "Password",
  user: "ann",
  password: Redacted.make("pencil"),
  authorizationId: undefined
}
const token: Mechanism.Token = {
  _tag: "Token",
  user: "ann",
  token: Effect.succeed(Redacted.make("t")),
  renew: undefined
}

/** The names that AUTH commands were said with, where each is answered by what `answer` says of it. */
const tried = (
  { advertised, credentials }: Vector["inputs"],
  bound: boolean,
  answer: (mechanism: string, nth: number) => ReadonlyArray<Reply.Reply>
): ReadonlyArray<string> => {
  const session = new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", `AUTH ${advertised.join(" ")}`])),
    tls: { ...Explore.tlsFacts, channelBindings: bound ? bindings : [] },
    authenticated: undefined
  })
  let replies: Array<Reply.Reply> = []
  let nth = 0
  const program = Authenticate.authenticate(session, credentials === "oauth" ? token : password, Choose.standard)
  const { said } = Program.rehearse(program, (instruction) => {
    if (instruction._tag === "Perform") {
      return { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
    }
    const [command] = instruction._tag === "Exchange" ? instruction.say.filter(Said.isLine) : []
    if (command?._tag === "Auth") replies = [...answer(command.mechanism, nth++)]
    const reply = replies.shift()
    return reply && Program.replies(reply)
  })
  return said.flatMap(({ instruction }) => instruction._tag === "Exchange" ? instruction.say.filter(Said.isLine) : [])
    .filter((command: Command.Command) => command._tag === "Auth")
    .map((command) => command.mechanism)
}

const refused = Reply.make(535, "no", "5.7.8")
const cancelled = Reply.make(501, "cancelled", "5.7.0")

describe("SELECTION vectors over the real mechanisms", () => {
  for (const { id, inputs, outcome } of vectors) {
    if (outcome.result === "try-order") {
      it(id, () => {
        const context = {
          host: "mx.example",
          offered: inputs.advertised,
          secure: inputs.tls !== null,
          channelBindings: inputs.tls === null ? [] : bindings
        }
        // Who enables NTLM wants it tried behind the others, not only alone.
        const authenticator = inputs.enableNtlm === true
          ? Choose.followedBy(Choose.standard, Choose.inOrder(Ntlm.ntlm, Ntlm.msn))
          : Choose.standard
        const plan = authenticator(inputs.credentials === "oauth" ? token : password, context)
        assert.deepStrictEqual(plan.candidates.map(({ name }) => name), outcome.order)
      })
      continue
    }
    it(id, () => {
      assert.strictEqual(outcome.result, "next")
      // A form without binding is tried first where there is nothing to be bound to.
      const bound = inputs.tried?.endsWith("-PLUS") ?? false
      const [first, next] = tried(
        inputs,
        bound,
        (_mechanism, nth) => nth === 0 ? answered(inputs.reply ?? "") : [refused]
      )
      assert.strictEqual(first, inputs.tried)
      assert.strictEqual(next ?? null, outcome.mechanism)
    })
  }
})

/** What the server says to AUTH, as the vectors put it. */
const answered = (reply: string): ReadonlyArray<Reply.Reply> => {
  if (reply.startsWith("334 ")) return [Reply.make(334, btoa(reply.slice(4))), cancelled]
  // Nothing that this server says is a right answer to a client's nonce.
  if (reply.startsWith("client-abort")) return [Reply.make(334, btoa("r=x,s=c2FsdA==,i=4096")), cancelled]
  return [Reply.make(Number(reply.slice(0, 3)), "as the vector says", reply.slice(4))]
}
