/**
 * The server side of one connection: what the pure machine wants done is done in its order
 * and its time, whatever moves the octets.
 */
import type { Command } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Pieces from "./Pieces.ts"
import * as ServerMachine from "./ServerMachine.ts"
import type { Site } from "./Site.ts"
import type { Timers } from "./Timers.ts"

/** What the server says at a time, and what comes then. */
export interface Said {
  readonly bytes: Uint8Array
  readonly next: "listen" | "handshake" | "close"
}

/** The server side of one connection; `say` is given what goes out. */
export class Connection {
  readonly site: Site
  readonly timers: Timers
  readonly client: string
  readonly commands: Array<Command.Command> = []
  state: ServerMachine.State
  isOpen = true
  say: (said: Said) => void = () => {}
  /** What is to be done, from `#next` on. */
  #pending: Array<ServerMachine.Action> = []
  #next = 0
  /** What came before the server could hear it. */
  #held = Pieces.empty
  #busy = false
  #stopWaiting: (() => void) | undefined = undefined
  #stopIdling: (() => void) | undefined = undefined
  #first: ReadonlyArray<ServerMachine.Action>

  constructor(site: Site, timers: Timers, client: string) {
    this.site = site
    this.timers = timers
    this.client = client
    const [state, actions] = ServerMachine.start(site.config, site.remember(timers.now()), client)
    this.state = state
    this.site.memory = state.memory
    this.#first = actions
  }

  /** Octets wait to be heard, so that whoever moves them had better wait with more. */
  get held(): number {
    return this.#held.length
  }

  /** Says the first words. */
  begin(): void {
    this.#advance([this.state, this.#first])
  }

  receive(bytes: Uint8Array): void {
    if (this.#busy && this.state.mode._tag !== "Greeting") {
      this.#held = Pieces.append(this.#held, bytes, Number.POSITIVE_INFINITY)
    } else {
      this.#interrupt()
      this.#advance(ServerMachine.receive(this.#current(), bytes))
    }
  }

  tlsEstablished(channel?: ServerMachine.Channel): void {
    this.#advance(ServerMachine.tlsEstablished(this.#current(), channel))
  }

  /** The server shuts down: whatever it was about to say stays unsaid, also where that was its last word. */
  shutDown(): void {
    this.#interrupt()
    const [state, actions] = ServerMachine.shutDown(this.#current())
    this.#advance([state, [...actions, { _tag: "Close" }]])
  }

  /** It is over, on whichever side; said twice it is the same. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#interrupt()
    this.#stopIdling?.()
    this.site.leave(this)
  }

  #current(): ServerMachine.State {
    return { ...this.state, memory: this.site.remember(this.timers.now()) }
  }

  #interrupt(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
    this.#pending = []
    this.#next = 0
  }

  #advance([state, actions]: ServerMachine.Step): void {
    this.state = state
    this.site.memory = state.memory
    for (const action of actions) this.#pending.push(action)
    this.#busy = true
    this.#stopIdling?.()
    this.#perform()
  }

  /** Does what is to be done until it has to wait, then hears what came meanwhile. */
  #perform(): void {
    const parts: Array<Uint8Array> = []
    let next: Said["next"] = "listen"
    let millis: number | undefined
    for (; this.#next < this.#pending.length && millis === undefined; this.#next++) {
      const action = this.#pending[this.#next]
      switch (action?._tag) {
        case "Wait":
          millis = action.millis
          break
        case "Send":
          parts.push(action.bytes)
          break
        case "Heard":
          this.commands.push(action.command)
          break
        case "Delivered":
          this.site.deliver(action.message)
          break
        case "StartTls":
          next = "handshake"
          break
        case "Close":
          next = "close"
          break
      }
    }
    if (this.#next === this.#pending.length) {
      this.#pending = []
      this.#next = 0
    }
    if (parts.length > 0 || next !== "listen") this.say({ bytes: Bytes.concat(parts), next })
    if (!this.isOpen) return
    if (millis !== undefined) {
      this.#stopWaiting = this.timers.after(millis, () => this.#waited())
    } else {
      this.#listen()
    }
  }

  #waited(): void {
    this.#stopWaiting = undefined
    if (this.#pending.length === 0) this.#advance(ServerMachine.waited(this.#current()))
    else this.#perform()
  }

  #listen(): void {
    this.#busy = false
    const { held } = this
    if (held > 0) {
      const bytes = Pieces.bytesOf(this.#held)
      this.#held = Pieces.empty
      this.receive(bytes)
      // Whoever waited to send more is told, also where the server had nothing to say.
      this.say({ bytes: new Uint8Array(0), next: "listen" })
      return
    }
    const { idleTimeout } = this.state.settings
    if (idleTimeout === undefined) return
    this.#stopIdling = this.timers.after(idleTimeout, () => this.#advance(ServerMachine.timedOut(this.#current())))
  }
}
