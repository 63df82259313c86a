import { it } from "@effect/vitest"
import { type SmtpClient, Transport } from "@postern/core"
import { InMemory, type ServerMachine, VirtualTime } from "@postern/testing"
import { Effect, Layer, type Scope } from "effect"
import { SmtpPool } from "../src/index.ts"

export const message = (name: string): SmtpClient.Message => ({
  from: "ann@a.example",
  to: `${name}@b.example`,
  content: `Subject: ${name}\n\nbody\n`
})

/** Who a server took mail for, in order. */
export const names = ({ inbox }: InMemory.InMemory) =>
  Effect.map(
    inbox,
    (messages) =>
      messages.flatMap(({ forwardPaths }) => forwardPaths.map((path) => path === "postmaster" ? path : path.localPart))
  )

/** Hosts, each a server of its own; `down` ones refuse to be connected to. */
export const network = (servers: Readonly<Record<string, InMemory.InMemory>>) => {
  const down = new Set<string>()
  const tried: Array<string> = []
  const transport: Transport.Transport["Service"] = {
    open: (peer) =>
      Effect.suspend(() => {
        tried.push(peer.host)
        const server = servers[peer.host]
        if (server !== undefined && !down.has(peer.host)) return server.transport.open(peer)
        const reason = { _tag: "ConnectFailed", ...peer, code: "ECONNREFUSED", detail: "nobody listens" } as const
        return Effect.fail(new Transport.TransportError({ reason }))
      })
  }
  return { down, tried, layer: Layer.succeed(Transport.Transport, transport) }
}

/** A pool for one server in memory, until the test's scope closes. */
export const pooled = Effect.fnUntraced(
  function*(server: ServerMachine.Config, options: Partial<SmtpPool.Options> = {}) {
    const memory = yield* InMemory.make(server)
    const pool = yield* SmtpPool.make({ endpoint: "mx.example:25", security: "plain", ...options }).pipe(
      Effect.provide(memory.layer)
    )
    return { ...memory, pool, names: names(memory) }
  }
)

/** A test in virtual time: it passes while the test sleeps, and while a pool is drained behind it. */
export const timed = <E>(name: string, test: () => Effect.Effect<unknown, E, Scope.Scope>) =>
  it(name, () => Effect.runPromise(test().pipe(Effect.scoped, Effect.provide(VirtualTime.layer()))))
