import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import { Mechanism, SmtpClient, Transport } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as Ground from "../machine/Ground.ts"
import { kinds } from "../servers/all.ts"
import { account, arrival, type Arrived, type Kind, type Server } from "../servers/Server.ts"
import { sends } from "./running.ts"

const latin1 = new TextDecoder("latin1")

/** When the server is killed, by what the client is about to write, or has just written. */
interface Moment {
  readonly name: string
  readonly at: RegExp
  readonly without?: ReadonlyArray<string>
}

const stepByStep = ["PIPELINING", "CHUNKING"]

const moments: ReadonlyArray<Moment> = [
  { name: "EHLO", at: /^EHLO/ },
  { name: "MAIL", at: /^MAIL/, without: stepByStep },
  { name: "RCPT", at: /^RCPT/, without: stepByStep },
  { name: "DATA", at: /^DATA/, without: stepByStep },
  { name: "content", at: /^x{70}/m, without: stepByStep },
  { name: "the last dot", at: /\r\n\.\r\n$/, without: stepByStep },
  { name: "pipelined DATA", at: /^MAIL/, without: ["CHUNKING"] },
  { name: "BDAT with its envelope", at: /^MAIL/ },
  { name: "QUIT", at: /^QUIT/ }
]

class SetUp extends Context.Service<SetUp, { readonly server: Server; readonly identities: Ground.Identities }>()(
  "@postern/interop/SetUp"
) {}

const setUp = (kind: Kind) =>
  Layer.effect(
    SetUp,
    Effect.gen(function*() {
      const identities = yield* Ground.identities
      return { identities, server: yield* kind.setUp({ identities }) }
    })
  )

/** Does `then` once, before or after the first write of that kind, and counts how often content was ended. */
const watching = (at: RegExp, when: "before" | "after", then: Effect.Effect<void>) => {
  const seen = { contents: 0, done: false }
  const watched = (wire: Transport.Wire): Transport.Wire => ({
    ...wire,
    read: wire.read,
    upgradeTls: (options) => wire.upgradeTls(options),
    write: (chunk) => {
      const text = latin1.decode(chunk)
      if (/\r\n\.\r\n$|^BDAT \d+ LAST/m.test(text)) seen.contents++
      const hit = !seen.done && at.test(text)
      if (!hit) return wire.write(chunk)
      seen.done = true
      return when === "before" ? Effect.andThen(then, wire.write(chunk)) : Effect.andThen(wire.write(chunk), then)
    }
  })
  const transport = Layer.effect(
    Transport.Transport,
    Effect.map(
      Transport.Transport,
      ({ open }) => ({ open: (...to: Parameters<typeof open>) => Effect.map(open(...to), watched) })
    )
  )
  return { seen, transport: Layer.provide(transport, NodeTransport.layer) }
}

const count = (mark: string, all: ReadonlyArray<Arrived>) =>
  all.filter(({ octets }) => latin1.decode(octets).includes(mark)).length

let letters = 0

const letter = () => {
  const mark = `X-Case: killed ${++letters}.`
  const content = `From: ann@example.test\r\n${mark}\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(700)}`
  return { mark, message: { from: "ann@example.test", to: "ben@example.test", content } }
}

const killed = Effect.fnUntraced(function*(moment: Moment, when: "before" | "after") {
  const { identities, server } = yield* SetUp
  const context = yield* Effect.context<NodeServices.NodeServices>()
  const life = yield* Scope.make()
  const daemon = yield* Scope.provide(server.run, life)
  const { seen, transport } = watching(moment.at, when, Effect.provide(daemon.kill, context))
  const { ports } = server
  const client = (transport: Layer.Layer<Transport.Transport>, without: ReadonlyArray<string>) =>
    Layer.provide(
      SmtpClient.layer({
        endpoint: `127.0.0.1:${ports.tls ?? ports.startTls}`,
        security: ports.tls === undefined ? "startTls" : "tls",
        tls: { ca: [identities.ca], serverName: Ground.hostname },
        credentials: Mechanism.password(account.user, Redacted.make(account.password)),
        domain: "client.example.test",
        without
      }),
      transport
    )

  const { mark, message } = letter()
  const exit = yield* Effect.exit(Effect.provide(sends(message), client(transport, moment.without ?? [])))
  assert.isTrue(seen.done, "it was killed")
  yield* Scope.close(life, Exit.void)

  // It comes back, with what it had taken.
  const after = letter()
  const all = yield* Effect.scoped(Effect.gen(function*() {
    yield* server.run
    yield* Effect.provide(sends(after.message), client(NodeTransport.layer, []))
    yield* arrival(server, (all) => count(after.mark, all) === 1)
    if (Exit.isSuccess(exit)) yield* arrival(server, (all) => count(mark, all) > 0)
    return yield* server.mailbox
  }))

  const copies = count(mark, all)
  assert.isAtMost(seen.contents, 1, "content goes out once at most")
  if (Exit.isSuccess(exit)) {
    assert.isAtLeast(copies, 1, "what was called sent is there")
    return "sent"
  }
  const error = Exit.isFailure(exit) ? exit.cause : undefined
  const { reason } = yield* Effect.flip(Effect.failCause(error ?? exit.cause))
  if (reason._tag === "InDoubt") return "in doubt"
  assert.strictEqual(copies, 0, `what was called not sent is not there: ${reason._tag}`)
  return "not sent"
})

describe("killed", () => {
  for (const kind of kinds) {
    layer(Layer.provideMerge(setUp(kind), NodeServices.layer), { excludeTestServices: true, timeout: "10 minutes" })(
      kind.name,
      (it) => {
        for (const moment of moments) {
          for (const when of ["before", "after"] as const) {
            it.effect(`${moment.name}: ${when}`, ({ task }) =>
              Effect.map(killed(moment, when), (outcome) => {
                task.meta.cell = outcome
                // Nothing is in doubt before a content is begun, nor behind the reply to it.
                const may = moment.name === "QUIT"
                  ? ["sent"]
                  : /last dot|DATA|BDAT|content/.test(moment.name)
                  ? ["in doubt", "not sent", "sent"]
                  : ["not sent"]
                assert.include(may, outcome)
              }))
          }
        }
      }
    )
  }
})
