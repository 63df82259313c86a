/**
 * A dialogue of one's own in ten lines: does the server know these users? It runs over a
 * connection as an Effect, and is rehearsed with no server as a value.
 */
import { Command, Program, Reply, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect, Result } from "effect"
import { start } from "./server.ts"

const verify = Program.fn(function*(name: string) {
  const vrfy = yield* Program.fromResult(Command.vrfy(name))
  const [found, help] = yield* Program.exchange(vrfy, Command.help)
  return {
    certain: Result.isSuccess(found) && found.success.certain,
    helpful: Result.isSuccess(help)
  }
})

/** Without a server: the same value, and answers. */
export const rehearsed = Program.rehearse(verify("ann"), [
  Program.replies(Reply.make(250, "Ann <ann@example.org>"), Reply.make(502, "no help here"))
])

/** With one. */
export const main = Effect.gen(function*() {
  const { ca, server } = yield* start()
  const client = yield* SmtpClient.make({ endpoint: `localhost:${server.port}`, security: "startTls", tls: { ca } })
  return yield* client.use(() => verify("ann"))
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))

if (import.meta.main) console.log(rehearsed.end, await Effect.runPromise(main))
