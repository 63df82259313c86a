import { assert, describe } from "@effect/vitest"
import { SmtpClient, type SmtpError, Transport } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Cause, Effect, Exit, Layer, Option, Scope } from "effect"
import { kinds } from "../servers/all.ts"
import { arrival } from "../servers/Server.ts"
import { having, mark, text } from "./letters.ts"
import { accountOptions, loggedIn, row, Running, sends, setUp } from "./running.ts"

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

/** Does `then` once, before or after the first write of that kind, and counts how often content was ended. */
const watching = (at: RegExp, when: "before" | "after", then: Effect.Effect<void>) => {
  const seen = { contents: 0, done: false }
  const watched = (wire: Transport.Wire): Transport.Wire => ({
    ...wire,
    read: wire.read,
    upgradeTls: (options) => wire.upgradeTls(options),
    write: (chunk) => {
      const said = text(chunk)
      if (/\r\n\.\r\n$|^BDAT \d+ LAST/m.test(said)) seen.contents++
      const hit = !seen.done && at.test(said)
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

const content = `${"x".repeat(70)}\r\n`.repeat(700)

const posted = () => {
  const own = mark()
  const whole = `From: ann@example.test\r\n${own}\r\n\r\n${content}`
  return { mark: own, message: { from: "ann@example.test", to: "ben@example.test", content: whole } }
}

type Fate = "sent" | "in doubt" | "not sent"

const fateOf = (exit: Exit.Exit<unknown, SmtpError.SmtpError>): Fate => {
  if (Exit.isSuccess(exit)) return "sent"
  const error = Cause.findErrorOption(exit.cause)
  assert.isTrue(Option.isSome(error), "it fails with an error")
  return Option.isSome(error) && error.value.reason._tag === "InDoubt" ? "in doubt" : "not sent"
}

// It comes back, with what it had taken.
const revived = Effect.fnUntraced(function*(fates: ReadonlyMap<string, Fate>) {
  const running = yield* Running
  const { server } = running
  const after = posted()
  yield* server.run
  yield* Effect.provide(sends(after.message), loggedIn(running))
  const sent = [...fates].filter(([, fate]) => fate === "sent").map(([mark]) => mark)
  return yield* arrival(server, (all) => [after.mark, ...sent].every((mark) => having(mark, all).length > 0))
}, Effect.scoped)

const killed = Effect.fnUntraced(function*(moment: Moment, when: "before" | "after", fates: Map<string, Fate>) {
  const running = yield* Running
  const life = yield* Scope.make()
  const daemon = yield* Scope.provide(running.server.run, life)
  const { seen, transport } = watching(moment.at, when, daemon.kill)
  const client = SmtpClient.layer(accountOptions(running, { without: moment.without ?? [] }))
  const { mark, message } = posted()
  const exit = yield* Effect.exit(Effect.provide(sends(message), Layer.provide(Layer.orDie(client), transport)))
  assert.isTrue(seen.done, "it was killed")
  yield* Scope.close(life, Exit.void)
  const fate = fateOf(exit)
  fates.set(mark, fate)
  assert.isAtMost(seen.contents, 1, "content goes out once at most")
  if (seen.contents === 0) assert.strictEqual(fate, "not sent", "nothing is in doubt whose end was not written")
  if (moment.name === "QUIT") assert.strictEqual(fate, "sent", "nothing is in doubt behind the reply")
  const all = yield* revived(new Map([[mark, fate]]))
  if (fate === "not sent") assert.isEmpty(having(mark, all), "what was called not sent is not there")
  return fate
})

describe("killed", () => {
  for (const kind of kinds) {
    const fates = new Map<string, Fate>()
    row(kind, (it) => {
      for (const moment of moments) {
        for (const when of ["before", "after"] as const) {
          it.effect(`${moment.name}: ${when}`, ({ task }) =>
            Effect.map(killed(moment, when, fates), (fate) => {
              task.meta.cell = fate
            }))
        }
      }

      it.effect("nothing comes late", () =>
        Effect.gen(function*() {
          // Exim looks after what it had taken every five seconds.
          const { server } = yield* Running
          yield* Effect.scoped(Effect.andThen(server.run, Effect.sleep("6 seconds")))
          const all = yield* revived(fates)
          for (const [mark, fate] of fates) if (fate === "not sent") assert.isEmpty(having(mark, all), mark)
          assert.strictEqual(fates.size, 2 * moments.length)
        }))
    }, setUp)
  }
})
