/** This library, over its client and Node's sockets. */
import { Envelope, SmtpClient, Transaction } from "@postern/core"
import { NodeSmtp } from "@postern/node"
import { Effect, Exit, ManagedRuntime, Result, Scope } from "effect"
import { content, type Make, recipients } from "../work.ts"

export const make: Make = async (work, port) => {
  const runtime = ManagedRuntime.make(NodeSmtp.layer({ endpoint: `smtp://127.0.0.1:${port}`, security: "plain" }))
  const message = { from: "ann@example.org", to: recipients(work), content: new TextEncoder().encode(content(work)) }
  if (work.connection === "each") {
    return {
      send: (messages) =>
        runtime.runPromise(Effect.gen(function*() {
          const client = yield* SmtpClient.SmtpClient
          for (let i = 0; i < messages; i++) yield* client.send(message)
        })),
      close: () => runtime.dispose()
    }
  }
  const scope = await Effect.runPromise(Scope.make())
  const { connection, session } = await runtime.runPromise(
    Effect.flatMap(SmtpClient.SmtpClient, (client) => Scope.provide(client.open, scope))
  )
  const envelope = Result.getOrThrow(Envelope.make(message))
  return {
    send: (messages) =>
      runtime.runPromise(Effect.gen(function*() {
        for (let i = 0; i < messages; i++) {
          yield* connection.run(Transaction.deliver(session, envelope, message.content))
        }
      })),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  }
}
