/**
 * One simulated server with all its connections: what they share, and what a test wants to
 * know of them afterwards. `InMemory` and `TcpServer` move the octets.
 */
import type { Command } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as ServerMachine from "./ServerMachine.ts"

/** What happened on one connection. */
export interface Session {
  /** Every command that was understood, in order. */
  readonly commands: ReadonlyArray<Command.Command>
  readonly tls: boolean
  readonly identity: string | undefined
  readonly open: boolean
}

/** What a server has seen. All of it is kept as long as the server itself. */
export interface Observed {
  /** The messages taken so far, in order. */
  readonly inbox: Effect.Effect<ReadonlyArray<ServerMachine.Message>>
  /** The connections so far, in order. */
  readonly sessions: Effect.Effect<ReadonlyArray<Session>>
  /** How many connections are open. */
  readonly open: Effect.Effect<number>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
}

/** What the server says at a time, and what comes then. */
export interface Said {
  readonly bytes: Uint8Array
  readonly next: "listen" | "handshake" | "close"
}

/** The server side of one connection. */
export class Connection {
  readonly site: Site
  readonly commands: Array<Command.Command> = []
  state: ServerMachine.State
  isOpen = true

  constructor(site: Site, state: ServerMachine.State) {
    this.site = site
    this.state = state
  }

  receive(bytes: Uint8Array): Said {
    return this.advance(ServerMachine.receive({ ...this.state, memory: this.site.memory }, bytes))
  }

  tlsEstablished(channel?: ServerMachine.Channel): Said {
    return this.advance(ServerMachine.tlsEstablished({ ...this.state, memory: this.site.memory }, channel))
  }

  advance([state, actions]: ServerMachine.Step): Said {
    this.state = state
    this.site.memory = state.memory
    const parts: Array<Uint8Array> = []
    let next: Said["next"] = "listen"
    for (const action of actions) {
      switch (action._tag) {
        case "Send":
          parts.push(action.bytes)
          break
        case "Heard":
          this.commands.push(action.command)
          break
        case "Delivered":
          this.site.inbox.push(action.message)
          break
        case "StartTls":
          next = "handshake"
          break
        case "Close":
          next = "close"
          break
      }
    }
    return { bytes: Bytes.concat(parts), next }
  }

  /** It is over, on whichever side; said twice it is the same. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.site.leave()
  }
}

/** A server at which connections arrive. */
export class Site {
  readonly config: ServerMachine.Config
  readonly inbox: Array<ServerMachine.Message> = []
  readonly connections: Array<Connection> = []
  memory: ServerMachine.Memory = ServerMachine.noMemory
  #open = 0
  readonly #idle = Latch.makeUnsafe(true)

  constructor(config: ServerMachine.Config) {
    this.config = config
  }

  connect(): readonly [Connection, Said] {
    const step = ServerMachine.start(this.config, this.memory)
    const connection = new Connection(this, step[0])
    this.connections.push(connection)
    this.#open++
    this.#idle.closeUnsafe()
    return [connection, connection.advance(step)]
  }

  leave(): void {
    this.#open--
    if (this.#open === 0) this.#idle.openUnsafe()
  }

  readonly observed: Observed = {
    inbox: Effect.sync(() => [...this.inbox]),
    sessions: Effect.sync(() =>
      this.connections.map(({ commands, isOpen, state }) => ({
        commands: [...commands],
        tls: state.tls,
        identity: state.identity,
        open: isOpen
      }))
    ),
    open: Effect.sync(() => this.#open),
    idle: this.#idle.await
  }
}
