/**
 * What goes wrong on networks, as data: a plan of faults that wraps any transport. A plan is
 * compared by value, shrinks to a smaller one, and prints as the code that makes it again.
 *
 * Places are counted in octets from the beginning of a connection: of those that the client
 * sent, or of those that it received.
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
    /** The connection ends once so many octets have passed: by a reset, or in good order. */
    | { readonly _tag: "Cut"; readonly side: Side; readonly at: number; readonly how: "reset" | "close" }
    /** Nothing passes any more, though the connection stays open. */
    | { readonly _tag: "Stall"; readonly side: Side; readonly at: number }
    /** What follows comes later. */
    | { readonly _tag: "Delay"; readonly side: Side; readonly at: number; readonly millis: number }
    /** The octet there is changed: `xor` is 1 to 255. */
    | { readonly _tag: "Corrupt"; readonly side: Side; readonly at: number; readonly xor: number }
    /** Text that nobody said comes in between. */
    | { readonly _tag: "Insert"; readonly side: Side; readonly at: number; readonly text: string }
    /** The client cannot send any more, and still receives. */
    | { readonly _tag: "HalfClose"; readonly at: number }
    /** At most so many octets pass at a time. */
    | { readonly _tag: "Split"; readonly side: Side; readonly size: number }
    /** What is received within so many milliseconds comes at once. */
    | { readonly _tag: "Merge"; readonly millis: number }
    /** The server takes so many octets each so many milliseconds. */
    | { readonly _tag: "SlowReader"; readonly size: number; readonly millis: number }
    /** The connection does not come about. */
    | { readonly _tag: "Refuse"; readonly code: string }
    /** The connection takes so long to come about. */
    | { readonly _tag: "SlowConnect"; readonly millis: number }
    /** The TLS handshake fails. */
    | { readonly _tag: "TlsFailure"; readonly problem: TlsProblem }
  )

/** How a TLS handshake fails. */
export type TlsProblem = "expired" | "wrong-name" | "unknown-ca" | "handshake" | "reset"

/** Several at once. */
export type Plan = ReadonlyArray<Fault>

type Place = { readonly connection?: number | undefined }

/** Ends the connection once so many octets have passed. */
export const cut = (side: Side, at: number, how: "reset" | "close" = "reset", place: Place = {}): Fault => ({
  _tag: "Cut",
  side,
  at,
  how,
  ...place
})

/** Lets nothing pass once so many octets have. */
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

/** Puts text there that nobody said. */
export const insert = (side: Side, at: number, text: string, place: Place = {}): Fault => ({
  _tag: "Insert",
  side,
  at,
  text,
  ...place
})

/** Lets the client send no more once it has sent so many octets. */
export const halfClose = (at: number, place: Place = {}): Fault => ({ _tag: "HalfClose", at, ...place })

/** Lets at most so many octets pass at a time. */
export const split = (side: Side, size: number, place: Place = {}): Fault => ({ _tag: "Split", side, size, ...place })

/** Collects what is received within so many milliseconds. */
export const merge = (millis: number, place: Place = {}): Fault => ({ _tag: "Merge", millis, ...place })

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
  const wire = yield* Scope.provide(inner.open(peer), scope)
  return new FaultyWire(wire, plan, Scope.close(scope, Exit.void))
})

/** The code that makes a plan again. */
export const code = (plan: Plan): string => `Faults.layer([${plan.map(faultCode).join(", ")}])`

const faultCode = (fault: Fault): string => {
  const name = `${fault._tag[0]?.toLowerCase()}${fault._tag.slice(1)}`
  const place = fault.connection === undefined ? [] : [{ connection: fault.connection }]
  const args = (values: ReadonlyArray<unknown>) =>
    [...values, ...place].map((value) =>
      typeof value === "object" && value !== null ? `{ connection: ${fault.connection} }` : JSON.stringify(value)
    ).join(", ")
  return `Faults.${name}(${args(argumentsOf(fault))})`
}

const argumentsOf = (fault: Fault): ReadonlyArray<unknown> => {
  switch (fault._tag) {
    case "Cut":
      return [fault.side, fault.at, fault.how]
    case "Stall":
      return [fault.side, fault.at]
    case "Delay":
      return [fault.side, fault.at, fault.millis]
    case "Corrupt":
      return [fault.side, fault.at, fault.xor]
    case "Insert":
      return [fault.side, fault.at, fault.text]
    case "HalfClose":
      return [fault.at]
    case "Split":
      return [fault.side, fault.size]
    case "Merge":
    case "SlowConnect":
      return [fault.millis]
    case "SlowReader":
      return [fault.size, fault.millis]
    case "Refuse":
      return [fault.code]
    case "TlsFailure":
      return [fault.problem]
  }
}
