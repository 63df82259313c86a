/**
 * A server in memory behind a wire that takes no more at some point, as one does whose reader is slow.
 */
import { Transport } from "@postern/core"
import { InMemory } from "@postern/testing"
import { Deferred, Effect, Layer } from "effect"

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/**
 * The wire takes no more once so many octets were `written`. `full` comes when it was asked to, and
 * after that there was time enough to read ahead, for one who does.
 */
export const narrow = Effect.fnUntraced(function*(most: number) {
  const server = yield* InMemory.make({})
  const refused = yield* Deferred.make<"full">()
  const seen = { written: 0 }
  const transport: Transport.Transport["Service"] = {
    open: (peer) =>
      Effect.map(server.transport.open(peer), (wire) => ({
        read: wire.read,
        upgradeTls: wire.upgradeTls,
        write: (octets) =>
          Effect.suspend(() => {
            if (seen.written >= most) return Effect.andThen(Deferred.succeed(refused, "full"), Effect.never)
            seen.written += octets.length
            return wire.write(octets)
          })
      }))
  }
  const turns = Effect.forEach(Array.from({ length: 50 }), () => turn, { discard: true })
  const full = Effect.tap(Deferred.await(refused), () => turns)
  return { ...server, seen, full, layer: Layer.succeed(Transport.Transport, transport) }
})
