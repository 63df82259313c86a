/**
 * What a server does, as a value, however its client behaves: it says octets, lets time pass,
 * and comes to an end. Played as a transport it is what a client must survive.
 */
import { Reply, Transport } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { tlsFacts } from "../explore/Explore.ts"

/** One thing a server does. */
export type Act =
  /** A single read gives this. */
  | { readonly _tag: "Says"; readonly bytes: Uint8Array }
  | { readonly _tag: "Waits"; readonly milliseconds: number }

/** What it does in order, and what then. */
export interface Behaviour {
  readonly acts: ReadonlyArray<Act>
  /** `stalls`: nothing more comes, and the connection stays. */
  readonly end: "closes" | "resets" | "stalls"
  /** How handshakes go: what is refused, or plaintext spoken, ends the connection. */
  readonly tls: "agrees" | "refuses" | "speaks plaintext"
}

/**
 * Plays it on every connection, from its beginning. What the client writes is taken and passed
 * over; what it does not read does not come. Time passes on the clock of the client, which may
 * be virtual.
 *
 * @example
 * ```ts
 * import { SmtpClient, type SmtpError } from "@postern/core"
 * import { Arbitraries, Behaviour, VirtualTime } from "@postern/testing"
 * import { Effect } from "effect"
 * import * as fc from "fast-check"
 *
 * const open = Effect.scoped(Effect.flatMap(SmtpClient.SmtpClient, (client) => client.open)).pipe(
 *   Effect.provide(SmtpClient.layer({ endpoint: "mx.example:25", security: "plain", domain: "client.example" }))
 * )
 *
 * export const endsTyped = fc.asyncProperty(Arbitraries.hostileServer, (behaviour) =>
 *   open.pipe(
 *     Effect.catch((error: SmtpError.SmtpError) => Effect.succeed(error.message)),
 *     Effect.provide(Behaviour.layer(behaviour)),
 *     Effect.provide(VirtualTime.layer()),
 *     Effect.runPromise,
 *     (done) => done.then(() => {})
 *   ))
 * ```
 */
export const layer = (behaviour: Behaviour): Layer.Layer<Transport.Transport> =>
  Layer.succeed(Transport.Transport, { open: () => open(behaviour) })

const open = (behaviour: Behaviour) =>
  Effect.acquireRelease(
    Effect.sync(() => new Player(behaviour)),
    (player) => Effect.sync(() => player.finish({ _tag: "Closed" }))
  )

const failed = (reason: Transport.TransportProblem) => Effect.fail(new Transport.TransportError({ reason }))

const ends: { readonly [E in "closes" | "resets"]: Transport.TransportProblem } = {
  closes: { _tag: "Closed" },
  resets: { _tag: "Broken", code: "ECONNRESET", detail: "reset by peer" }
}

class Player implements Transport.Wire {
  readonly #behaviour: Behaviour
  #at = 0
  #end: Transport.TransportProblem | undefined

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour
  }

  finish(problem: Transport.TransportProblem): Transport.TransportProblem {
    return this.#end = problem
  }

  readonly read: Effect.Effect<Uint8Array, Transport.TransportError> = Effect.suspend(() => {
    const { acts, end } = this.#behaviour
    if (this.#end !== undefined) return failed(this.#end)
    const act = acts[this.#at]
    switch (act?._tag) {
      case "Says":
        this.#at++
        return act.bytes.length === 0 ? this.read : Effect.succeed(act.bytes)
      case "Waits":
        return Effect.flatMap(Effect.sleep(act.milliseconds), () => {
          this.#at++
          return this.read
        })
      case undefined:
        return end === "stalls" ? Effect.never : failed(this.finish(ends[end]))
    }
  })

  readonly write = (): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() =>
      this.#end === undefined ? Effect.void : failed({ _tag: "Broken", code: "EPIPE", detail: "broken pipe" })
    )

  readonly upgradeTls = ({ serverName }: Transport.TlsOptions) =>
    Effect.suspend((): Effect.Effect<Transport.TlsFacts, Transport.TransportError> => {
      if (this.#end !== undefined) return failed(this.#end)
      switch (this.#behaviour.tls) {
        case "agrees":
          return Effect.succeed({ ...tlsFacts, serverName })
        case "refuses":
          return failed(this.finish({ _tag: "HandshakeFailed", code: "ECONNRESET", detail: "refused" }))
        case "speaks plaintext": {
          const next = this.#behaviour.acts[this.#at]
          return failed(this.finish({ _tag: "NotTls", firstBytes: next?._tag === "Says" ? next.bytes : undefined }))
        }
      }
    })
}

/** As people read it: what is said between quotes, octets escaped, one act a line. */
export const render = ({ acts, end, tls }: Behaviour): string =>
  [
    ...acts.map((act) =>
      act._tag === "Says" ? `says "${Reply.escape(act.bytes, 1000)}"` : `waits ${act.milliseconds} ms`
    ),
    end,
    ...tls === "agrees" ? [] : [`(to TLS: ${tls})`]
  ].join("\n")

/** All that it says. */
export const said = ({ acts }: Behaviour): Uint8Array =>
  Bytes.concat(acts.flatMap((act) => act._tag === "Says" ? [act.bytes] : []))
