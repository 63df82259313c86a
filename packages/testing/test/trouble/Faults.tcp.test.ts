/**
 * Faults over sockets: what is cut is cut for the server as well.
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Certificates, Faults, TcpServer } from "@postern/testing"
import { Effect, Layer, Result } from "effect"

const message = { from: "ann@a.example", to: "ben@b.example", content: "Subject: x\n\nx\n" }

const send = (plan: Faults.Plan) =>
  Effect.gen(function*() {
    const authority = yield* Certificates.authority("Test CA")
    const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"], ip: ["127.0.0.1"] })
    const server = yield* TcpServer.make({ requireTls: true }, { tls })
    const smtp = SmtpClient.layer({
      endpoint: `localhost:${server.port}`,
      security: "startTls",
      domain: "client.example",
      tls: { ca: [authority.certificate] }
    }).pipe(
      Layer.provide(Faults.layer(plan)),
      Layer.provide(NodeTransport.layer)
    )
    const sent = yield* Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send(message)).pipe(
      Effect.provide(smtp),
      Effect.result
    )
    // The server hears of the end when its sockets do.
    while ((yield* server.open) > 0) yield* Effect.promise(() => new Promise(setImmediate))
    return [Result.isSuccess(sent) ? "sent" : sent.failure.reason._tag, (yield* server.inbox).length] as const
  }).pipe(Effect.scoped)

describe("Faults over sockets", () => {
  it.live("leave a message whole that is only split, merged and delayed", () =>
    Effect.gen(function*() {
      const plan = [
        Faults.split("sent", 7),
        Faults.split("received", 5),
        Faults.merge(1),
        Faults.delay("sent", 30, 1),
        Faults.lag("received", 1),
        Faults.slowReader(20, 1),
        Faults.slowConnect(1)
      ]
      assert.deepStrictEqual(yield* send(plan), ["sent", 1])
    }))

  it.live("cut before, within and behind TLS, in either direction", () =>
    Effect.gen(function*() {
      for (const how of ["reset", "close"] as const) {
        for (const side of ["sent", "received"] as const) {
          for (const at of [0, 10, 40, 80]) {
            // From octet 52 on the message is sent as a whole: a client cannot know how much of it arrived.
            const expected = side === "sent" && at > 52 ? "InDoubt" : "ConnectionLost"
            assert.deepStrictEqual(yield* send([Faults.cut(side, at, how)]), [expected, 0], `${side} ${at}`)
          }
        }
      }
    }))

  it.live("refuse the connection and fail the handshake", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* send([Faults.refuse()]), ["ConnectionFailed", 0])
      assert.deepStrictEqual(yield* send([Faults.tlsFailure("expired")]), ["CertificateRefused", 0])
    }))
})
