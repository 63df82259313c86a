import { Envelope, SmtpClient, Transaction } from "@postern/core"
import { NodeTransport, SmtpPool } from "@postern/node"
import { SimulatedServer } from "@postern/testing"
import { Effect, Result } from "effect"
const m = { from: "ann@a.example", to: "ben@b.example", content: "Subject: x\n\n" + "x".repeat(1000) + "\n" }
const n = 4000
const p = Effect.gen(function*() {
  const { host, port, reset } = yield* SimulatedServer.SimulatedServer
  for (let round = 0; round < 3; round++) {
    yield* Effect.scoped(Effect.gen(function*() {
      const client = yield* SmtpClient.make({ endpoint: `${host}:${port}`, security: "plain" })
      const conns = yield* Effect.forEach([1,2,3,4], () => client.open)
      const t = performance.now()
      const env = Result.getOrThrow(Envelope.make(m)), bytes = new TextEncoder().encode(m.content)
      yield* Effect.forEach(conns, ({ connection, session }) => Effect.gen(function*() { for (let i = 0; i < n / 4; i++) yield* connection.run(Transaction.deliver(session, env, bytes)) }), { concurrency: 4 })
      console.log("by hand", Math.round(n / (performance.now() - t) * 1000))
    }))
    yield* reset
    yield* Effect.scoped(Effect.gen(function*() {
      const pool = yield* SmtpPool.make({ endpoint: `${host}:${port}`, security: "plain", max: 4, messagesPerConnection: 100000 })
      const t = performance.now()
      yield* Effect.forEach(Array.from({ length: n }), () => pool.send(m), { concurrency: 8, discard: true })
      console.log("pool", Math.round(n / (performance.now() - t) * 1000))
    }))
    yield* reset
  }
}).pipe(Effect.provide([NodeTransport.layer, SimulatedServer.layerTcp({ maxMessages: 1000000 }, { tls: false })]))
await Effect.runPromise(p)
process.exit(0)
