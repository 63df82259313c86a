/**
 * Every way to protect a connection, against a server for each: `startTls`,
 * `startTlsIfOffered`, `tls`, `plain`, and `auto`, which finds out.
 */
import { type Endpoint, Mechanism, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Effect } from "effect"
import { password, type Running, start, user } from "./server.ts"

const send = Effect.fn("send")(function*({ ca, server }: Running, security: Endpoint.Mode) {
  const client = yield* SmtpClient.make({
    endpoint: `localhost:${server.port}`,
    security,
    credentials: Mechanism.password(user, password),
    tls: { ca }
  })
  const { session } = yield* client.open
  yield* client.send({ from: "ann@example.org", to: "ben@example.org", content: "Subject: modes\n\nHello.\n" })
  const protection = session.facts.tls === undefined ? "plain text" : session.facts.tls.version
  return `${protection}, authenticated by ${session.facts.authenticated?.mechanism}`
}, Effect.scoped)

export const main = Effect.gen(function*() {
  const startTls = yield* start()
  const implicit = yield* start({ implicitTls: true })
  const noTls = yield* start({ startTls: false, authBeforeTls: true })
  return {
    startTls: yield* send(startTls, "startTls"),
    startTlsIfOffered: yield* send(startTls, "startTlsIfOffered"),
    tls: yield* send(implicit, "tls"),
    // No TLS to be had: the password is not sent in the clear, CRAM-MD5 proves it.
    plain: yield* send(noTls, "plain"),
    // The ports are unknown ones: TLS is tried first, then STARTTLS, never plain text.
    autoMeetsTls: yield* send(implicit, "auto"),
    autoMeetsStartTls: yield* send(startTls, "auto"),
    // The wrong mode is named, with the right one.
    mismatch: yield* Effect.flip(send(startTls, "tls")).pipe(Effect.map((error) => error.message)),
    refused: yield* Effect.flip(send(noTls, "startTls")).pipe(Effect.map((error) => error.message))
  }
}).pipe(Effect.scoped, Effect.provide(NodeTransport.layer))

if (import.meta.main) console.log(await Effect.runPromise(main))
