/**
 * User name and password are enough: the client sees what the server offers, takes the
 * strongest mechanism that the connection allows, and tells which one it was.
 */
import { Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect } from "effect"
import { password, start, user } from "./server.ts"

export const main = Effect.gen(function*() {
  const { ca, server } = yield* start()
  const client = yield* SmtpClient.make({
    endpoint: `localhost:${server.port}`,
    credentials: Mechanism.password(user, password),
    tls: { ca }
  })
  const receipt = yield* client.send({
    from: "ann@example.org",
    to: "cat@elsewhere.example",
    content: "Subject: hello\n\nHello, Cat.\n"
  })
  const { session } = yield* client.open
  return {
    outcome: receipt.outcomes[0]?._tag,
    authenticated: session.facts.authenticated,
    tls: session.facts.tls?.version
  }
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))

if (import.meta.main) console.log(await Effect.runPromise(main))
