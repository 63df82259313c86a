/**
 * One simulated server with all its connections: what they share, and what a test wants to
 * know of them afterwards. `InMemory` and `TcpServer` move the octets.
 */
import type { Command } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { Connection } from "./Connection.ts"
import * as ServerMachine from "./ServerMachine.ts"
import type { Timers } from "./Timers.ts"

/** What happened on one connection. */
export interface Session {
  /** Every command that was understood, in order. */
  readonly commands: ReadonlyArray<Command.Command>
  /** The client's address. */
  readonly client: string
  readonly tls: boolean
  readonly identity: string | undefined
  readonly open: boolean
}

/** A server as a test sees it. All it has seen is kept until it is told to forget. */
export interface Observed {
  /** The messages taken so far, in order. */
  readonly inbox: Effect.Effect<ReadonlyArray<ServerMachine.Message>>
  /** The connections so far, in order. */
  readonly sessions: Effect.Effect<ReadonlyArray<Session>>
  /** How many connections are open. */
  readonly open: Effect.Effect<number>
  /** Waits until no connection is open. */
  readonly idle: Effect.Effect<void>
  /** Ends every connection with 421 4.3.2, and so greets new ones, until `resume`. */
  readonly shutDown: Effect.Effect<void>
  /** Takes connections again. */
  readonly resume: Effect.Effect<void>
  /** Empties the inbox, which is where mailboxes have room again. */
  readonly clear: Effect.Effect<void>
  /** Forgets everything: messages, sessions that are over, who was greylisted and who sent how much. */
  readonly reset: Effect.Effect<void>
  /** Waits until a message was taken that is not among these. */
  readonly arrival: (seen: ReadonlyArray<ServerMachine.Message>) => Effect.Effect<void>
}

/** A server at which connections arrive. */
export class Site {
  readonly config: ServerMachine.Config
  memory: ServerMachine.Memory = ServerMachine.noMemory
  #inbox: Array<ServerMachine.Message> = []
  #connections: Array<Connection> = []
  readonly #open = new Set<Connection>()
  readonly #idle = Latch.makeUnsafe(true)
  readonly #awaiting = new Set<() => void>()

  constructor(config: ServerMachine.Config) {
    this.config = config
  }

  /** A connection that has said nothing yet. */
  connect(timers: Timers, client: string): Connection {
    const connection = new Connection(this, timers, client)
    this.#connections.push(connection)
    this.#open.add(connection)
    this.#idle.closeUnsafe()
    return connection
  }

  leave(connection: Connection): void {
    this.#open.delete(connection)
    if (this.#open.size === 0) this.#idle.openUnsafe()
  }

  deliver(message: ServerMachine.Message): void {
    this.#inbox.push(message)
    for (const wake of this.#awaiting) wake()
  }

  /** What the server knows at this time. */
  remember(now: number): ServerMachine.Memory {
    return { ...this.memory, now, open: this.#open.size }
  }

  #forget(memory: Partial<ServerMachine.Memory>): void {
    this.#inbox = []
    this.memory = { ...this.memory, stored: new Map(), ...memory }
  }

  readonly observed: Observed = {
    inbox: Effect.sync(() => [...this.#inbox]),
    sessions: Effect.sync(() =>
      this.#connections.map(({ client, commands, isOpen, state }) => ({
        commands: [...commands],
        client,
        tls: state.tls,
        identity: state.identity,
        open: isOpen
      }))
    ),
    open: Effect.sync(() => this.#open.size),
    idle: this.#idle.await,
    shutDown: Effect.sync(() => {
      this.memory = { ...this.memory, accepting: false }
      // Not those that come while it does so: they are greeted with as much.
      const open = [...this.#open]
      for (const connection of open) connection.shutDown()
    }),
    resume: Effect.sync(() => {
      this.memory = { ...this.memory, accepting: true }
    }),
    clear: Effect.sync(() => this.#forget({})),
    reset: Effect.sync(() => {
      this.#forget({ greylisted: new Map(), taken: new Map() })
      this.#connections = [...this.#open]
    }),
    arrival: (seen) =>
      Effect.callback<void>((resume) => {
        const known = new Set(seen)
        const look = () => {
          if (this.#inbox.every((message) => known.has(message))) return
          this.#awaiting.delete(look)
          resume(Effect.void)
        }
        this.#awaiting.add(look)
        look()
        return Effect.sync(() => this.#awaiting.delete(look))
      })
  }
}
