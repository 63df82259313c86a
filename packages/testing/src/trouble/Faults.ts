/**
 * What goes wrong on networks, as data: a plan of faults that wraps any transport. A plan is
 * compared by value, shrinks to a smaller one, and prints as the code that makes it again.
 *
 * Places are counted in octets from the beginning of a connection: of those that the client
 * sent, or of those that it received; as SMTP has them, without what TLS makes of them. At one
 * place faults happen in the order of the plan.
 */
import { Transport } from "@postern/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { FaultyWire } from "./FaultyWire.ts"

/** The direction, as the client sees it. */
export type Side = "sent" | "received"

/** One thing that goes wrong; on every connection, or on that with the number alone (from 0). */
export type Fault =
  & { readonly connection?: number | undefined }
  & (
    /** The connection ends as soon as so many octets have passed: by a reset, or in good order. */
    | { readonly _tag: "Cut"; readonly side: Side; readonly at: number; readonly how: "reset" | "close" }
    /** Nothing passes any more, though the connection stays open. */
    | { readonly _tag: "Stall"; readonly side: Side; readonly at: number }
    /** What follows comes later. */
    | { readonly _tag: "Delay"; readonly side: Side; readonly at: number; readonly millis: number }
    /** The octet there is changed: `xor` is 1 to 255. */
    | { readonly _tag: "Corrupt"; readonly side: Side; readonly at: number; readonly xor: number }
    /** What nobody said comes in between. */
    | { readonly _tag: "Insert"; readonly side: Side; readonly at: number; readonly what: Inserted }
    /** The client cannot send any more, and still receives; the server hears nothing more. */
    | { readonly _tag: "HalfClose"; readonly at: number }
    /** At most so many octets pass at a time. */
    | { readonly _tag: "Split"; readonly side: Side; readonly size: number }
    /** What arrives within so many milliseconds is received at once. */
    | { readonly _tag: "Merge"; readonly millis: number }
    /** Each read, or write, takes so many milliseconds longer. */
    | { readonly _tag: "Lag"; readonly side: Side; readonly millis: number }
    /** The server takes so many octets each so many milliseconds. */
    | { readonly _tag: "SlowReader"; readonly size: number; readonly millis: number }
    /** The connection does not come about. */
    | { readonly _tag: "Refuse"; readonly code: string }
    /** The connection takes so long to come about. */
    | { readonly _tag: "SlowConnect"; readonly millis: number }
    /** The TLS handshake fails. */
    | { readonly _tag: "TlsFailure"; readonly problem: TlsProblem }
  )

/** Text, as UTF-8, or octets. */
export type Inserted = string | ReadonlyArray<number>

/**
 * How a TLS handshake fails: the certificate is not accepted, the two do not agree
 * (`handshake`), the server does not speak TLS, ends the connection, or never answers (`silence`).
 */
export type TlsProblem = Transport.CertificateProblem | "handshake" | "not-tls" | "reset" | "close" | "silence"

/** Several at once. */
export type Plan = ReadonlyArray<Fault>

type Place = { readonly connection?: number | undefined }

/** Ends the connection as soon as so many octets have passed; all of them arrive. */
export const cut = (side: Side, at: number, how: "reset" | "close" = "reset", place: Place = {}): Fault => ({
  _tag: "Cut",
  side,
  at,
  how,
  ...place
})

/** Lets nothing pass once so many octets have: what comes behind them is never sent, or never read. */
export const stall = (side: Side, at: number, place: Place = {}): Fault => ({ _tag: "Stall", side, at, ...place })

/** Delays what follows so many octets, by so many milliseconds. */
export const delay = (side: Side, at: number, millis: number, place: Place = {}): Fault => ({
  _tag: "Delay",
  side,
  at,
  millis,
  ...place
})

/** Changes the octet there; `xor` is 1 to 255. */
export const corrupt = (side: Side, at: number, xor: number, place: Place = {}): Fault => ({
  _tag: "Corrupt",
  side,
  at,
  xor,
  ...place
})

/** Puts there what nobody said. */
export const insert = (side: Side, at: number, what: Inserted, place: Place = {}): Fault => ({
  _tag: "Insert",
  side,
  at,
  what,
  ...place
})

/** Lets the client send no more once it has sent so many octets. */
export const halfClose = (at: number, place: Place = {}): Fault => ({ _tag: "HalfClose", at, ...place })

/** Lets at most so many octets pass at a time. */
export const split = (side: Side, size: number, place: Place = {}): Fault => ({ _tag: "Split", side, size, ...place })

/** Collects what arrives within so many milliseconds of the first of it. */
export const merge = (millis: number, place: Place = {}): Fault => ({ _tag: "Merge", millis, ...place })

/** Makes each read, or write, take so many milliseconds longer. */
export const lag = (side: Side, millis: number, place: Place = {}): Fault => ({ _tag: "Lag", side, millis, ...place })

/** Has the server take so many octets each so many milliseconds. */
export const slowReader = (size: number, millis: number, place: Place = {}): Fault => ({
  _tag: "SlowReader",
  size,
  millis,
  ...place
})

/** Refuses the connection, with the platform's code. */
export const refuse = (code = "ECONNREFUSED", place: Place = {}): Fault => ({ _tag: "Refuse", code, ...place })

/** Takes so many milliseconds to connect. */
export const slowConnect = (millis: number, place: Place = {}): Fault => ({ _tag: "SlowConnect", millis, ...place })

/** Lets the TLS handshake fail. */
export const tlsFailure = (problem: TlsProblem, place: Place = {}): Fault => ({ _tag: "TlsFailure", problem, ...place })

/**
 * The transport below, with these faults.
 *
 * @example
 * ```ts
 * import { SmtpClient } from "@postern/core"
 * import { Faults, SimulatedServer } from "@postern/testing"
 * import { Layer } from "effect"
 *
 * // The connection is reset when the client has sent 100 octets.
 * export const broken = SmtpClient.layer({ endpoint: "mx.example:587" }).pipe(
 *   Layer.provide(Faults.layer([Faults.cut("sent", 100)])),
 *   Layer.provide(SimulatedServer.layer())
 * )
 * ```
 */
export const layer = (plan: Plan): Layer.Layer<Transport.Transport, never, Transport.Transport> =>
  Layer.effect(Transport.Transport, Effect.map(Transport.Transport, (inner) => wrap(inner, plan)))

/** As {@link layer}, for a transport at hand. Connections are counted from the wrapping on. */
export const wrap = (inner: Transport.Transport["Service"], plan: Plan): Transport.Transport["Service"] => {
  let connections = 0
  return {
    open: (peer) =>
      Effect.suspend(() => {
        const number = connections++
        return open(
          inner,
          peer,
          plan.filter(({ connection }) => connection === undefined || connection === number)
        )
      })
  }
}

// The wire below has a scope of its own: when it is cut, the server is to see it.
const open = Effect.fnUntraced(function*(inner: Transport.Transport["Service"], peer: Transport.Peer, plan: Plan) {
  for (const fault of plan) {
    if (fault._tag === "SlowConnect") yield* Effect.sleep(fault.millis)
    if (fault._tag === "Refuse") {
      const detail = `refused by a fault (${fault.code})`
      const reason = { _tag: "ConnectFailed", host: peer.host, port: peer.port, code: fault.code, detail } as const
      return yield* Effect.fail(new Transport.TransportError({ reason }))
    }
  }
  const scope = yield* Scope.fork(yield* Effect.scope)
  const wire = new FaultyWire(yield* Scope.provide(inner.open(peer), scope), plan, Scope.close(scope, Exit.void))
  yield* Effect.addFinalizer(() => wire.close)
  yield* wire.begin
  return wire
})

/**
 * The code that makes a plan again.
 *
 * @example
 * ```ts
 * import { Faults } from "@postern/testing"
 *
 * Faults.code([Faults.cut("sent", 100)]) // Faults.layer([Faults.cut("sent", 100, "reset")])
 * ```
 */
export const code = (plan: Plan): string => `Faults.layer([${plan.map(faultCode).join(", ")}])`

const faultCode = (fault: Fault): string => {
  const { _tag, connection, ...given } = fault
  const place = connection === undefined ? [] : [`{ connection: ${connection} }`]
  const values = parameters[_tag].map((name) => JSON.stringify((given as Record<string, unknown>)[name]))
  return `Faults.${_tag[0]?.toLowerCase()}${_tag.slice(1)}(${[...values, ...place].join(", ")})`
}

/** What each constructor takes, in its order. */
const parameters: { readonly [T in Fault["_tag"]]: ReadonlyArray<keyof Extract<Fault, { readonly _tag: T }>> } = {
  Cut: ["side", "at", "how"],
  Stall: ["side", "at"],
  Delay: ["side", "at", "millis"],
  Corrupt: ["side", "at", "xor"],
  Insert: ["side", "at", "what"],
  HalfClose: ["at"],
  Split: ["side", "size"],
  Merge: ["millis"],
  Lag: ["side", "millis"],
  SlowReader: ["size", "millis"],
  Refuse: ["code"],
  SlowConnect: ["millis"],
  TlsFailure: ["problem"]
}
