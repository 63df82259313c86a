/**
 * The simulated server as a `Transport` without sockets: deterministic, in the time of the
 * fibers that use it, and able to break where a test wants it to.
 */
import { type ChannelBinding, Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as ServerMachine from "./ServerMachine.ts"
import type { Connection, Said } from "./Connection.ts"
import { type Observed, Site } from "./Site.ts"
import { type Timers, timers } from "./Timers.ts"

/** How the connections behave. */
export interface Options {
  /** The address that clients come from; `127.0.0.1` unless given. */
  readonly client?: string | undefined
  /** Cuts what the server says in one go into what single reads give; empty parts are left out. */
  readonly chunk?: ((bytes: Uint8Array) => ReadonlyArray<Uint8Array>) | undefined
}

/** A server in memory. */
export interface InMemory extends Observed {
  /** Opens connections to it, whatever the peer, in the time of the fiber that does. */
  readonly transport: Transport.Transport["Service"]
  readonly layer: Layer.Layer<Transport.Transport>
}

/**
 * A server that its connections share.
 *
 * @example
 * ```ts
 * import { InMemory } from "@postern/testing"
 * import { Effect } from "effect"
 *
 * export const greeting = Effect.gen(function*() {
 *   const server = yield* InMemory.make({ hostname: "mx.example.org" })
 *   const wire = yield* server.transport.open({ host: "mx.example.org", port: 25 })
 *   return new TextDecoder().decode(yield* wire.read) // 220 mx.example.org ESMTP
 * })
 * ```
 */
export const make = (config: ServerMachine.Config, options: Options = {}): Effect.Effect<InMemory> =>
  Effect.sync(() => {
    const site = new Site(config)
    const transport: InMemory["transport"] = { open: () => open(site, options) }
    return { ...site.observed, transport, layer: Layer.succeed(Transport.Transport, transport) }
  })

const open = (site: Site, options: Options): Effect.Effect<Transport.Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(timers, (timers) => new MemoryWire(site, timers, options)),
    (wire) => Effect.sync(() => wire.close())
  )

/** Bytes that may lie unread, or unheard, before the server takes no more, as with a socket whose buffers are full. */
const WINDOW = 262_144

/** Both ends of a simulated handshake have the same: mechanisms can be bound to it. */
const channelBindings: ReadonlyArray<ChannelBinding.ChannelBinding> = [
  { type: "tls-exporter", data: new Uint8Array(32).fill(0x5a) },
  { type: "tls-server-end-point", data: new Uint8Array(32).fill(0xa5) }
]

/** What a TLS server says to plaintext: a fatal handshake_failure alert (RFC 8446 §6). */
const alert = new Uint8Array([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])

class MemoryWire implements Transport.Wire {
  readonly #options: Options
  readonly #connection: Connection
  /** What the client has not read, from `#next` on. */
  #unread: Array<Uint8Array> = []
  #next = 0
  #unreadBytes = 0
  /** Why nothing more comes behind what is unread. */
  #end: Transport.TransportProblem | undefined = undefined
  #handshake = false
  /** A reader and a writer may wait at the same time. */
  readonly #waiting = new Set<() => void>()

  constructor(site: Site, timers: Timers, options: Options) {
    this.#options = options
    this.#connection = site.connect(timers, options.client ?? "127.0.0.1")
    this.#handshake = this.#connection.state.settings.implicitTls
    this.#connection.say = (said) => this.#hear(said)
    this.#connection.begin()
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    const bytes = this.#unread[this.#next]
    if (bytes === undefined) return this.#end === undefined ? this.#later(this.read) : fail(this.#end)
    this.#next++
    if (this.#next === this.#unread.length) {
      this.#unread = []
      this.#next = 0
    }
    this.#unreadBytes -= bytes.length
    this.#notify()
    return Exit.succeed(bytes)
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      if (this.#end !== undefined) {
        return fail({ _tag: "Broken", code: "EPIPE", detail: "nothing can be written after its end" })
      }
      if (Math.max(this.#unreadBytes, this.#connection.held) > WINDOW) return this.#later(this.write(bytes))
      if (bytes.length > 0) this.#deliver(bytes)
      return Exit.void
    })

  readonly upgradeTls = (options: Transport.TlsOptions): Effect.Effect<Transport.TlsFacts, Transport.TransportError> =>
    Effect.suspend(() => {
      const buffered = Bytes.concat(this.#unread.slice(this.#next))
      const problem = this.#tlsProblem(buffered)
      if (problem !== undefined) {
        this.close()
        return fail(problem)
      }
      this.#handshake = false
      const certificateIdentity = options.client === undefined ? undefined : "client"
      this.#connection.tlsEstablished({ channelBindings, certificateIdentity })
      return Exit.succeed<Transport.TlsFacts>({
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        serverName: options.serverName,
        verifiedBy: options.fingerprint === undefined ? "chain" : "fingerprint",
        certificate: undefined,
        channelBindings
      })
    })

  #tlsProblem(buffered: Uint8Array): Transport.TransportProblem | undefined {
    // A server that speaks first in plaintext has been misread as a TLS server, not broken into.
    if (!this.#handshake && this.#end === undefined) {
      return { _tag: "NotTls", firstBytes: buffered.length > 0 ? buffered : undefined }
    }
    if (buffered.length > 0) return { _tag: "PlaintextBuffered", bytes: buffered }
    return this.#end
  }

  close(): void {
    this.#unread = []
    this.#next = 0
    this.#unreadBytes = 0
    this.#finish({ _tag: "Broken", code: "ERR_STREAM_DESTROYED", detail: "it was closed on this side" })
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#handshake) this.#hear({ bytes: alert, next: "close" })
    else this.#connection.receive(bytes)
  }

  #hear({ bytes, next }: Said): void {
    if (this.#end !== undefined) return
    const { chunk } = this.#options
    for (const part of chunk === undefined ? [bytes] : chunk(bytes)) {
      if (part.length === 0) continue
      this.#unread.push(part)
      this.#unreadBytes += part.length
    }
    if (next === "handshake") this.#handshake = true
    if (next === "close") this.#finish({ _tag: "Closed" })
    this.#notify()
  }

  #finish(reason: Transport.TransportProblem): void {
    this.#end ??= reason
    this.#connection.end()
    this.#notify()
  }

  #notify(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Tries again when something has changed. */
  #later<A>(again: Effect.Effect<A, Transport.TransportError>): Effect.Effect<A, Transport.TransportError> {
    return Effect.flatMap(
      Effect.callback<void>((resume) => {
        const wake = () => resume(Effect.void)
        this.#waiting.add(wake)
        return Effect.sync(() => this.#waiting.delete(wake))
      }),
      () => again
    )
  }
}

const fail = (reason: Transport.TransportProblem) => Exit.fail(new Transport.TransportError({ reason }))
