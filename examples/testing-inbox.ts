/**
 * A test of an application that sends mail: what it sent, and what it does about a recipient
 * that the server refuses. No socket, nothing to clean up, the same each time.
 */
import { SmtpClient } from "@postern/core"
import { SimulatedServer } from "@postern/testing"
import { Effect, Layer } from "effect"

/** The application: invites people, and tells who could not be invited. */
const invite = Effect.fn("invite")(function*(guests: ReadonlyArray<string>) {
  const client = yield* SmtpClient.SmtpClient
  const { outcomes } = yield* client.send({
    from: "ann@example.org",
    to: guests,
    content: "From: Ann <ann@example.org>\nSubject: A party\n\nOn Friday at eight.\n"
  })
  return outcomes.filter(({ _tag }) => _tag !== "Accepted").map(({ recipient }) => recipient)
})

const server = SimulatedServer.layer({ replies: { "cat@example.org": "550 5.1.1 No such user" } })

export const main = Effect.gen(function*() {
  const notInvited = yield* invite(["ben@example.org", "cat@example.org"])
  const { inbox } = yield* SimulatedServer.SimulatedServer
  const mail = yield* inbox.only({ subject: "A party" })
  return { notInvited, to: mail.envelope.to, from: mail.from?.name, text: mail.text }
}).pipe(Effect.provide(Layer.provideMerge(SmtpClient.layer({ endpoint: "mx.example:587" }), server)))

if (import.meta.main) console.log(await Effect.runPromise(main))
