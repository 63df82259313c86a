import { Transport } from "@postern/core"
import { Effect, Queue, type Scope } from "effect"
import { createHash } from "node:crypto"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { NodeTransport } from "../src/index.ts"

export const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)
export const bytes = (text: string) => new TextEncoder().encode(text)

/** A server on loopback whose connections are taken by the test, one by one. */
export interface Server {
  readonly port: number
  readonly accept: Effect.Effect<Net.Socket>
  /** Sockets of it that are not closed yet. */
  readonly open: () => number
}

/** `onSocket` runs as soon as a client is there, for what must not wait for the test. */
export const serve = (onSocket: (socket: Net.Socket) => void = () => {}): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const accepted = yield* Queue.unbounded<Net.Socket>()
    const sockets = new Set<Net.Socket>()
    const server = Net.createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
      onSocket(socket)
      Queue.offerUnsafe(accepted, socket)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          sockets.forEach((socket) => socket.destroy())
          server.close(() => resume(Effect.void))
        })
    )
    return {
      port: (server.address() as Net.AddressInfo).port,
      accept: Queue.take(accepted),
      open: () => sockets.size
    }
  })

/** The server's side of a handshake on a connected socket, with Node's own rules for client certificates. */
export const secure =
  (options: Tls.TlsOptions, onSecure: (socket: Tls.TLSSocket) => void = () => {}) => (socket: Net.Socket): void => {
    Tls.createServer(options, (secured) => {
      secured.on("error", () => {})
      onSecure(secured)
    }).on("tlsClientError", () => {}).emit("connection", socket)
  }

/** A wire to the port that lasts as long as the test's scope. */
export const dial = (port: number, host = "127.0.0.1") =>
  Effect.flatMap(Transport.Transport, (transport) => transport.open({ host, port })).pipe(
    Effect.provide(NodeTransport.layer)
  )

/** Reads until so many bytes have come. */
export const readAll = Effect.fnUntraced(function*(wire: Transport.Wire, length: number) {
  const received = new Uint8Array(length)
  let at = 0
  while (at < length) {
    const chunk = yield* wire.read
    received.set(chunk, at)
    at += chunk.length
  }
  return received
})

/** The reason an effect fails for. */
export const reasonOf = <A>(effect: Effect.Effect<A, Transport.TransportError, Scope.Scope>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

/** Turns of the event loop, in which everything that loopback has ready is delivered. */
export const turns = (count: number) => Effect.forEach(Array.from({ length: count }), () => turn, { discard: true })

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Waits for a condition as long as the test may last. */
export const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.andThen(turn, eventually(holds))))

/** TCP sockets, of clients and of servers, that keep the process alive. */
export const handles = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

export const received = (socket: Net.Socket) =>
  Effect.callback<Uint8Array>((resume) => {
    socket.once("data", (chunk: Uint8Array) => resume(Effect.succeed(chunk)))
  })

export const closed = (socket: Net.Socket) => eventually(() => socket.destroyed)

/** The length of the pattern is prime, so pieces that are swapped or lost show. */
export const noise = (length: number): Uint8Array =>
  Buffer.alloc(length, Uint8Array.from({ length: 4093 }, (_, index) => (index * 2654435761) >>> 24))

export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
