/**
 * An echo with faults, in virtual time.
 */
import { Transport } from "@postern/core"
import { Faults, VirtualTime } from "@postern/testing"
import { Clock, Effect, Result } from "effect"

export const utf8 = new TextEncoder()
export const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

export const facts: Transport.TlsFacts = {
  version: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  serverName: "mx.example",
  verifiedBy: "chain",
  certificate: undefined
}

/** A wire that gives back what is written, and what has arrived at its other side. */
export const echo = () => {
  const arrived: Array<string> = []
  let closed = false
  const inbox: Array<Uint8Array> = []
  let wake: (() => void) | undefined
  const wire: Transport.Wire = {
    read: Effect.suspend(() => {
      const bytes = inbox.shift()
      return bytes === undefined
        ? Effect.flatMap(
          Effect.callback<void>((resume) => {
            wake = () => resume(Effect.void)
          }),
          () => wire.read
        )
        : Effect.succeed(bytes)
    }),
    write: (bytes) =>
      Effect.sync(() => {
        arrived.push(text(bytes))
        inbox.push(bytes)
        wake?.()
      }),
    upgradeTls: () => Effect.succeed(facts)
  }
  const transport: Transport.Transport["Service"] = {
    open: () =>
      Effect.acquireRelease(Effect.succeed(wire), () =>
        Effect.sync(() => {
          closed = true
        }))
  }
  return { transport, arrived, isClosed: () => closed }
}

/** What a talk over an echo with faults comes to. */
export const over = <A>(plan: Faults.Plan, talk: (wire: Transport.Wire) => Effect.Effect<A, unknown>) => {
  const { arrived, isClosed, transport } = echo()
  return Effect.runPromise(
    Effect.gen(function*() {
      const wire = yield* Faults.wrap(transport, plan).open({ host: "mx.example", port: 25 })
      const result = yield* Effect.result(talk(wire))
      const closedWithin = isClosed()
      return { result, arrived, closedWithin, at: yield* Clock.currentTimeMillis }
    }).pipe(Effect.scoped, Effect.provide(VirtualTime.layer()))
  )
}

export const write = (words: string) => (wire: Transport.Wire) => wire.write(utf8.encode(words))
export const read = (wire: Transport.Wire) => Effect.map(wire.read, text)
export const upgrade = (wire: Transport.Wire) => wire.upgradeTls({ serverName: "mx.example" })
export const problem = (result: Result.Result<unknown, unknown>): string | undefined =>
  Result.isFailure(result) && result.failure instanceof Transport.TransportError
    ? result.failure.reason._tag
    : undefined
