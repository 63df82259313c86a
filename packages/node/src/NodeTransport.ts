/**
 * The {@link Transport.Transport} of Node: TCP over `node:net`, TLS over `node:tls`.
 *
 * Sockets stay in paused mode, so unread bytes have one place, the socket's own buffer,
 * which is bounded: Node stops reading from the kernel at 64 KiB and the peer's window closes.
 * What is written in one turn of the event loop goes to the kernel, or through TLS, as one.
 */
import { Transport } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as NodeProxy from "./NodeProxy.ts"
import * as NodeTls from "./NodeTls.ts"
import * as TlsProblem from "./TlsProblem.ts"

/** Which way out is taken over TCP. */
export interface TcpOptions {
  /** The local address to connect from, for hosts with several. */
  readonly localAddress?: string | undefined
  /** Only addresses of this family are dialled; otherwise IPv6 and IPv4 race (RFC 8305). */
  readonly family?: 4 | 6 | undefined
  /** The proxy to go through; `localAddress` and `family` are then for the way to it. */
  readonly proxy?: NodeProxy.Proxy | undefined
  readonly unix?: undefined
}

/** A server on this machine, as those of LMTP are: host and port only name it, in errors and for TLS. */
export interface UnixOptions {
  /** The path of the socket to connect to instead of TCP. */
  readonly unix: string
  readonly localAddress?: undefined
  readonly family?: undefined
  readonly proxy?: undefined
}

export type Options = TcpOptions | UnixOptions

/**
 * TCP and TLS with the given way out. A proxy that fails is `ConnectFailed` with what it answered
 * ({@link NodeProxy.through} says with which codes).
 *
 * @example
 * ```ts
 * import { NodeTransport } from "@postern/node"
 * import { Redacted } from "effect"
 *
 * export const FromSecondAddress = NodeTransport.layerOptions({ localAddress: "192.0.2.25", family: 4 })
 *
 * export const ToLmtp = NodeTransport.layerOptions({ unix: "/var/run/dovecot/lmtp" })
 *
 * export const ThroughProxy = NodeTransport.layerOptions({
 *   proxy: { kind: "socks5", host: "proxy.example", port: 1080, user: "ann", password: Redacted.make("secret") }
 * })
 * ```
 */
export const layerOptions = (options: Options): Layer.Layer<Transport.Transport> =>
  Layer.succeed(Transport.Transport, { open: (peer) => open(peer, options) })

/**
 * TCP and TLS as Node has them.
 *
 * @example
 * ```ts
 * import { Transport } from "@postern/core"
 * import { NodeTransport } from "@postern/node"
 * import { Effect } from "effect"
 *
 * const greeting = Effect.gen(function*() {
 *   const transport = yield* Transport.Transport
 *   const wire = yield* transport.open({ host: "mx.example.org", port: 25 })
 *   return yield* wire.read
 * })
 *
 * export const program = greeting.pipe(Effect.scoped, Effect.provide(NodeTransport.layer))
 * ```
 */
export const layer: Layer.Layer<Transport.Transport> = layerOptions({})

const open = (
  peer: Transport.Peer,
  options: Options
): Effect.Effect<Transport.Wire, Transport.TransportError, Scope.Scope> =>
  // Only the waiting may be interrupted, so that a socket is at every moment either in the scope or destroyed here.
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const socket = new Net.Socket().setNoDelay(true).setKeepAlive(true)
      return restore(reach(socket, peer, options)).pipe(
        Effect.onError(() => Effect.sync(() => socket.destroy())),
        Effect.flatMap((connected) =>
          Effect.acquireRelease(
            Effect.sync(() => new SocketWire(connected)),
            (wire) => Effect.sync(() => wire.close())
          )
        )
      )
    })
  )

/** The socket that leads to the peer: `socket` itself, or the TLS one over it that a proxy has. */
const reach = (
  socket: Net.Socket,
  peer: Transport.Peer,
  options: Options
): Effect.Effect<Net.Socket, Transport.TransportError> => {
  if (options.unix !== undefined) {
    return connect(socket, peer, { path: options.unix })
  }
  const { family, localAddress, proxy } = options
  const dial = ({ host, port }: Transport.Peer) =>
    connect(socket, { host, port }, {
      host,
      port,
      autoSelectFamily: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(family === undefined ? {} : { family })
    })
  return proxy === undefined ? dial(peer) : NodeProxy.through(proxy, peer, dial(proxy))
}

const connect = (
  socket: Net.Socket,
  peer: Transport.Peer,
  where: Net.SocketConnectOpts
): Effect.Effect<Net.Socket, Transport.TransportError> =>
  Effect.callback((resume) => {
    const fail = (error: Error) => resume(Effect.fail(connectFailed(peer, error)))
    // Stays on for good: what a socket reports with nobody listening ends the process.
    socket.on("error", fail)
    socket.once("connect", () => resume(Effect.succeed(socket)))
    try {
      socket.connect(where)
    } catch (cause) {
      // A port out of range, a local address that is none.
      fail(cause as Error)
    }
  })

const connectFailed = ({ host, port }: Transport.Peer, error: TlsProblem.NodeError) =>
  new Transport.TransportError({
    reason: {
      _tag: "ConnectFailed",
      host,
      port,
      code: TlsProblem.code(error),
      // A race of addresses fails with an error for each of them and no message of its own.
      detail: error instanceof AggregateError
        ? error.errors.map((each: Error) => each.message).join("; ")
        : TlsProblem.detail(error)
    }
  })

const fail = (reason: Transport.TransportProblem) => Exit.fail(new Transport.TransportError({ reason }))

/** Octets that may wait here for the kernel: what one turn writes is sent as one up to this, then a writer waits. */
const mark = 256 * 1024

const uncork = (socket: Net.Socket) => socket.uncork()

class SocketWire implements Transport.Wire {
  /** The TCP socket, and after `upgradeTls` the TLS socket over it. */
  #socket: Net.Socket
  /** Why nothing more comes, once that is known. What came before it is still read first. */
  #end: Transport.TransportProblem | undefined = undefined
  #wakeReader: (() => void) | undefined = undefined

  constructor(socket: Net.Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    const bytes: Uint8Array | null = this.#socket.read()
    if (bytes !== null) {
      return Exit.succeed(bytes)
    }
    return this.#end === undefined ? this.#readLater : fail(this.#end)
  })

  // The fibre takes the bytes itself, after it woke up: an interrupted one has taken none.
  // Here and below: a fibre may yield before it starts to wait, and what it waits for is then there already.
  readonly #readLater = Effect.flatMap(
    Effect.callback<void>((resume) => {
      if (this.#socket.readableLength > 0 || this.#end !== undefined) {
        return resume(Effect.void)
      }
      this.#wakeReader = () => resume(Effect.void)
      return Effect.sync(() => {
        this.#wakeReader = undefined
      })
    }),
    () => this.read
  )

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      const socket = this.#socket
      if (this.#end !== undefined || !socket.writable) {
        return this.#notWritable()
      }
      if (socket.writableCorked === 0) {
        socket.cork()
        process.nextTick(uncork, socket)
      }
      socket.write(bytes)
      if (socket.writableLength < mark) {
        return Exit.void
      }
      // A reader that keeps up takes it all at once, and the writer goes on without a pause.
      socket.uncork()
      return socket.writableLength < mark ? Exit.void : this.#drained
    })

  readonly #drained = Effect.callback<void, Transport.TransportError>((resume) => {
    const socket = this.#socket
    if (!socket.writableNeedDrain) {
      return resume(socket.destroyed || this.#end !== undefined ? this.#notWritable() : Exit.void)
    }
    const onDrain = () => settle(Exit.void)
    const onClose = () => settle(this.#notWritable())
    const stop = () => socket.off("drain", onDrain).off("close", onClose)
    const settle = (exit: Exit.Exit<void, Transport.TransportError>) => {
      stop()
      resume(exit)
    }
    socket.on("drain", onDrain).on("close", onClose)
    return Effect.sync(stop)
  })

  /** For a writer the end in good order is a broken connection, too. */
  #notWritable() {
    return fail(
      this.#end === undefined || this.#end._tag === "Closed"
        ? { _tag: "Broken", code: "EPIPE", detail: "nothing can be written after its end" }
        : this.#end
    )
  }

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      const early: Uint8Array | null = this.#socket.read()
      if (early !== null) {
        return fail({ _tag: "PlaintextBuffered", bytes: early })
      }
      if (this.#end !== undefined) {
        return fail(this.#end)
      }
      // What was written in this turn goes out before the handshake, as plaintext.
      this.#socket.uncork()
      this.#unlisten(this.#socket)
      return Effect.map(NodeTls.handshake(this.#socket, options), ({ facts, socket }) => {
        this.#socket = socket
        this.#listen(socket)
        return facts
      })
    }).pipe(Effect.onError(() => Effect.sync(() => this.close())))

  /**
   * Waits for no reader: what the kernel takes now is still sent, and over TLS a `close_notify`
   * (RFC 8446 §6.1). TLS has what it wrote last taken in the next turn, and only then what was written after it.
   */
  close() {
    const socket = this.#socket
    this.#finish({ _tag: "Broken", code: "ERR_STREAM_DESTROYED", detail: "it was closed on this side" })
    socket.read()
    socket.end()
    if (socket.writableLength === 0) {
      socket.destroy()
    } else {
      setImmediate(() => socket.destroy())
    }
  }

  #listen(socket: Net.Socket) {
    socket.on("readable", this.#wake).on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose)
    if (socket.errored !== null) {
      this.#onError(socket.errored)
    } else if (socket.readableEnded) {
      this.#onEnd()
    } else if (socket.destroyed) {
      this.#onClose()
    }
  }

  /** All but `error`, which is never left without a listener. */
  #unlisten(socket: Net.Socket) {
    socket.off("readable", this.#wake).off("end", this.#onEnd).off("close", this.#onClose)
  }

  readonly #onEnd = () => this.#finish({ _tag: "Closed" })
  readonly #onError = (error: Error) => this.#finish(TlsProblem.ofConnection(error))
  readonly #onClose = () => this.#finish({ _tag: "Broken", code: "ERR_STREAM_DESTROYED", detail: "it is gone" })

  #finish(reason: Transport.TransportProblem) {
    this.#end ??= reason
    this.#wake()
  }

  readonly #wake = () => {
    const wake = this.#wakeReader
    this.#wakeReader = undefined
    wake?.()
  }
}
