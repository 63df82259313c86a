/**
 * The simulated server on real sockets, `node:net` and `node:tls`, for tests of transports
 * and of programs that cannot be given one.
 */
import { ChannelBinding } from "@postern/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type * as ServerMachine from "./ServerMachine.ts"
import type { Connection, Said } from "./Connection.ts"
import { type Observed, Site } from "./Site.ts"
import { type Timers, timers } from "./Timers.ts"

/** The server's certificate and what it asks of clients; all PEM. */
export interface TlsOptions {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
  /** Asks clients for a certificate and refuses those without one that this authority has issued. */
  readonly clientAuthority?: string | undefined
  /** Unless given, Node's own bounds. */
  readonly minVersion?: Tls.SecureVersion | undefined
  readonly maxVersion?: Tls.SecureVersion | undefined
}

/** Where it listens, and with what. */
export interface Options {
  /** `127.0.0.1` unless given. */
  readonly host?: string | undefined
  /** Any free port unless given. */
  readonly port?: number | undefined
  /** Without it there is neither STARTTLS nor implicit TLS. */
  readonly tls?: TlsOptions | undefined
}

/** A listening server. */
export interface TcpServer extends Observed {
  readonly host: string
  readonly port: number
}

/** The server could not be started. */
export class TcpServerError extends Data.TaggedError("TcpServerError")<{
  readonly reason: "cannot listen" | "no certificate" | "bad certificate"
  readonly detail: string
}> {
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/**
 * Listens until the scope closes, and then destroys every connection. Its time is the
 * `Clock` of the fiber that makes it. `startTls` of the
 * config is on where there is a certificate, unless it says otherwise. Fails with
 * `TcpServerError`.
 *
 * @example
 * ```ts
 * import { Certificates, TcpServer } from "@postern/testing"
 * import { Effect } from "effect"
 *
 * export const server = Effect.gen(function*() {
 *   const authority = yield* Certificates.authority("Test CA")
 *   const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"], ip: ["127.0.0.1"] })
 *   return yield* TcpServer.make({ requireTls: true }, { tls })
 * })
 * ```
 */
export const make = Effect.fnUntraced(function*(
  config: ServerMachine.Config,
  options: Options = {}
): Effect.fn.Return<TcpServer, TcpServerError, Scope.Scope> {
  const { host = "127.0.0.1", port = 0, tls } = options
  if (tls === undefined && (config.startTls === true || config.implicitTls === true)) {
    return yield* new TcpServerError({
      reason: "no certificate",
      detail: "startTls and implicitTls need the option tls"
    })
  }
  const time = yield* timers
  const site = new Site({ ...config, startTls: config.startTls ?? tls !== undefined })
  const handshakes = tls === undefined ? undefined : yield* makeHandshakes(tls)
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    serve(socket, site, time, handshakes)
  })
  yield* Effect.acquireRelease(
    listen(server, host, port),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
  return { ...site.observed, host, port: (server.address() as Net.AddressInfo).port }
})

const listen = (server: Net.Server, host: string, port: number): Effect.Effect<void, TcpServerError> =>
  Effect.callback((resume) => {
    const refused = (error: Error) =>
      resume(Effect.fail(new TcpServerError({ reason: "cannot listen", detail: error.message })))
    server.once("error", refused)
    try {
      server.listen({ host, port }, () => resume(Effect.void))
    } catch (error) {
      refused(error as Error)
    }
  })

/** Makes TLS sockets out of connected ones; what is said to a socket after a failure is nothing. */
type Handshakes = (socket: Net.Socket, established: (secure: Tls.TLSSocket) => void) => void

/**
 * One `tls.Server` for all handshakes, that never listens: unlike a bare `TLSSocket` it
 * enforces what is asked of client certificates.
 */
const makeHandshakes = Effect.fnUntraced(function*(
  { certificate, clientAuthority, key, maxVersion, minVersion }: TlsOptions
): Effect.fn.Return<Handshakes, TcpServerError> {
  const server = yield* Effect.try({
    try: () =>
      Tls.createServer({
        cert: certificate,
        key: Redacted.value(key),
        ...(clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true }),
        ...(minVersion === undefined ? {} : { minVersion }),
        ...(maxVersion === undefined ? {} : { maxVersion })
      }),
    catch: (error) => new TcpServerError({ reason: "bad certificate", detail: (error as Error).message })
  })
  const waiting = new Map<string, (secure: Tls.TLSSocket) => void>()
  server.on("secureConnection", (secure) => waiting.get(nameOf(secure))?.(secure))
  server.on("tlsClientError", (_, secure) => secure.destroy())
  return (socket, established) => {
    const name = nameOf(socket)
    waiting.set(name, established)
    socket.once("close", () => waiting.delete(name))
    server.emit("connection", socket)
  }
})

/** A TLS socket does not tell which socket it was made of, but has the same client. */
const nameOf = ({ remoteAddress, remotePort }: Net.Socket): string => `${remoteAddress} ${remotePort}`

const serve = (socket: Net.Socket, site: Site, time: Timers, handshakes: Handshakes | undefined): void => {
  const connection = site.connect(time, socket.remoteAddress ?? "")
  // Whatever breaks a connection ends it; it is no fault of the server.
  socket.on("error", ignore)
  socket.once("close", () => connection.end())
  const secure = () =>
    handshakes?.(socket, (secured) => {
      // Of an error behind the handshake Node only tells.
      secured.on("error", () => secured.destroy())
      // A TLS socket that broke leaves the one below it open.
      secured.once("close", () => socket.destroy())
      converse(secured, connection, ignore)
      connection.tlsEstablished(channelOf(secured))
    })
  if (site.config.implicitTls === true) {
    connection.say = () => socket.destroy()
    secure()
  } else {
    converse(socket, connection, secure)
  }
  connection.begin()
}

/** The server's view of the channel: what the client can be bound to, and whom its certificate names. */
const channelOf = (secure: Tls.TLSSocket): ServerMachine.Channel => {
  const own = secure.getX509Certificate()
  const endPoint = own && ChannelBinding.serverEndPoint(new Uint8Array(own.raw))
  return {
    channelBindings: [
      ...secure.getProtocol() === "TLSv1.3" ? [exporter(secure)] : [],
      ...endPoint === undefined ? [] : [endPoint]
    ],
    certificateIdentity: secure.authorized
      ? /^CN=(.*)$/m.exec(secure.getPeerX509Certificate()?.subject ?? "")?.[1]
      : undefined
  }
}

const exporter = (secure: Tls.TLSSocket): ChannelBinding.ChannelBinding => ({
  type: "tls-exporter",
  data: new Uint8Array(secure.exportKeyingMaterial(32, ChannelBinding.exporterLabel, Buffer.alloc(0)))
})

const ignore = (): void => {}

/** Speaks and listens until the connection ends or `handshake` has its turn. */
const converse = (socket: Net.Socket, connection: Connection, handshake: () => void): void => {
  let over = false
  // What cannot be heard or answered now stays with the kernel, and with the client.
  const flow = (): void => {
    if (over) return
    if (connection.held > 0 || socket.writableNeedDrain) socket.pause()
    else socket.resume()
  }
  connection.say = ({ bytes, next }: Said): void => {
    over ||= next !== "listen"
    if (next === "handshake") {
      socket.pause()
      // Not before the 220 is out: the TLS socket writes past this one.
      socket.write(bytes, (error) => {
        if (!error) handshake()
      })
    } else if (next === "close") {
      if (bytes.length > 0) socket.write(bytes)
      socket.destroySoon()
    } else {
      if (bytes.length > 0) socket.write(bytes)
      flow()
    }
  }
  socket.on("drain", flow)
  socket.on("data", (bytes: Uint8Array) => {
    connection.receive(bytes)
    flow()
  })
}
