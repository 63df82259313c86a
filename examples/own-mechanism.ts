/**
 * A mechanism of one's own: an object, client and server side by side, used without
 * registering it anywhere. (This one is for illustration: it hashes nothing.)
 */
import { Choose, Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect, Redacted } from "effect"
import { password, start, user } from "./server.ts"

export const backwards: Mechanism.Mechanism = {
  name: "X-BACKWARDS",
  traits: { kind: "plaintext", withoutTls: false, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Password",
  client: (credentials) =>
    Effect.map(Mechanism.checkPassword(credentials), ({ password, user }) => ({
      response: Mechanism.secret(`${user} ${reversed(Redacted.value(password))}`),
      next: undefined,
      verified: true
    })),
  server: (context, initialResponse) => {
    const [name = "", secret = ""] = Mechanism.textOf(initialResponse ?? new Uint8Array(0)).split(/ (.*)/s)
    const known = context.passwordOf(name)
    return known !== undefined && Mechanism.sameText(Redacted.value(known), reversed(secret))
      ? { _tag: "Accepted", identity: name }
      : { _tag: "Refused", problem: "authentication credentials invalid" }
  }
}

const reversed = (text: string): string => [...text].toReversed().join("")

export const main = Effect.gen(function*() {
  const { ca, server } = yield* start({ mechanisms: [backwards] })
  const client = yield* SmtpClient.make({
    endpoint: `localhost:${server.port}`,
    security: "startTls",
    credentials: Mechanism.password(user, password),
    authenticator: Choose.fallback(Choose.inOrder(backwards), Choose.standard),
    tls: { ca }
  })
  const { session } = yield* client.open
  return session.facts.authenticated
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))

if (import.meta.main) console.log(await Effect.runPromise(main))
