/**
 * "Relay denied" met, explained, and mended by authenticating.
 */
import { Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect } from "effect"
import { password, start, user } from "./server.ts"

const message = {
  from: "ann@example.org",
  to: "cat@elsewhere.example",
  content: "Subject: relayed\n\nHello, Cat.\n"
}

export const main = Effect.gen(function*() {
  const { ca, server } = yield* start()
  const options: SmtpClient.Options = { endpoint: `localhost:${server.port}`, security: "startTls", tls: { ca } }
  const anonymous = yield* SmtpClient.make(options)
  const authenticated = yield* SmtpClient.make({ ...options, credentials: Mechanism.password(user, password) })

  return yield* anonymous.send(message).pipe(
    Effect.map(() => ({ met: undefined, mended: undefined })),
    // One kind of reason, by its name; what it knows is typed.
    Effect.catchReason("SmtpError", "RelayDenied", (denied, error) =>
      Effect.gen(function*() {
        const met = { why: denied.why, advice: error.advice, reply: denied.reply.lines[0] }
        const receipt = yield* authenticated.send(message)
        return { met, mended: receipt.outcomes[0]?._tag }
      }))
  )
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))

if (import.meta.main) console.log(await Effect.runPromise(main))
