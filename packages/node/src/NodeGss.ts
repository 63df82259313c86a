/**
 * GSS-API contexts for the mechanisms GSSAPI and GSS-SPNEGO, on the library `kerberos`.
 *
 * `kerberos` is an optional peer dependency: it is loaded when a context is begun, and
 * needs the platform's Kerberos (`libkrb5-dev` where it has to be built).
 */
import { Gssapi, Mechanism } from "@postern/core"
import * as Context from "effect/Context"
import * as Base64 from "effect/encoding/Base64"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

// What is used of the library; its own types are there only where it is installed.
interface Client {
  readonly contextComplete: boolean
  readonly step: (token: string) => Promise<string | null>
  readonly unwrap: (bytes: string) => Promise<string>
  readonly wrap: (bytes: string, options: { readonly protect: boolean }) => Promise<string>
}

interface Library {
  readonly GSS_C_MUTUAL_FLAG: number
  readonly GSS_C_INTEG_FLAG: number
  readonly GSS_MECH_OID_KRB5: number
  readonly GSS_MECH_OID_SPNEGO: number
  readonly initializeClient: (
    service: string,
    options: { readonly mechOID: number; readonly gssFlag: number }
  ) => Promise<Client>
}

const failed = (what: string) => (cause: unknown): Mechanism.SaslError =>
  Mechanism.saslError("mechanism", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`)

// The name is not a literal, so that nobody's compiler or bundler looks for a library that may be missing.
const name: string = "kerberos"

const load: Effect.Effect<Library, Mechanism.SaslError> = Effect.tryPromise({
  try: async () => {
    const loaded = (await import(name)) as Library & { readonly default?: Library }
    return loaded.default ?? loaded
  },
  catch: failed("the optional dependency `kerberos` cannot be loaded; install it")
})

const decoded = (text: string): Effect.Effect<Uint8Array, Mechanism.SaslError> =>
  Effect.fromResult(
    Result.mapError(Base64.decode(text), () => Mechanism.saslError("mechanism", "the GSS-API library gave no base64"))
  )

const call = (what: string, run: () => Promise<string | null>) => Effect.tryPromise({ try: run, catch: failed(what) })

const gss = (client: Client): Gssapi.Gss => {
  return {
    step: (token) =>
      Effect.flatMap(
        call("the security context cannot be made", () => client.step(token === undefined ? "" : Base64.encode(token))),
        (ours) =>
          Effect.map(decoded(ours ?? ""), (bytes) => ({
            token: bytes.length === 0 ? undefined : bytes,
            complete: client.contextComplete
          }))
      ),
    unwrap: (bytes) =>
      Effect.flatMap(
        call("the server's message cannot be unwrapped", () => client.unwrap(Base64.encode(bytes))),
        (text) => decoded(text ?? "")
      ),
    // Not with the library's `user` option: it writes the answer itself, and reads past its end.
    wrap: (bytes) =>
      Effect.flatMap(
        call("the answer cannot be wrapped", () => client.wrap(Base64.encode(bytes), { protect: false })),
        (text) => decoded(text ?? "")
      )
  }
}

const context = Gssapi.GssContext.of({
  begin: Effect.fnUntraced(function*(service, mechanism, channelBinding) {
    if (channelBinding !== undefined) {
      return yield* Effect.fail(
        Mechanism.saslError("mechanism", "the library `kerberos` cannot be given channel bindings, which GS2 rests on")
      )
    }
    const library = yield* load
    const client = yield* Effect.tryPromise({
      try: () =>
        library.initializeClient(service, {
          mechOID: mechanism === "krb5" ? library.GSS_MECH_OID_KRB5 : library.GSS_MECH_OID_SPNEGO,
          gssFlag: library.GSS_C_MUTUAL_FLAG | library.GSS_C_INTEG_FLAG
        }),
      catch: failed("no security context can be begun")
    })
    return gss(client)
  })
})

/** Contexts of the platform's Kerberos identity (the ticket cache). Beginning one fails where there is none. */
export const layer: Layer.Layer<Gssapi.GssContext> = Layer.succeed(Gssapi.GssContext, context)

/**
 * GSSAPI with the platform's Kerberos.
 *
 * @example
 * ```ts
 * import { Choose } from "@postern/core"
 * import { NodeGss, NodeSmtp } from "@postern/node"
 *
 * export const smtp = NodeSmtp.layer({
 *   endpoint: "mail.example.org:587",
 *   credentials: { _tag: "Kerberos", authorizationId: undefined },
 *   authenticator: Choose.inOrder(NodeGss.gssapi)
 * })
 * ```
 */
export const gssapi: Mechanism.Mechanism = Mechanism.provide(Gssapi.gssapi, Context.make(Gssapi.GssContext, context))

/** GSS-SPNEGO with the platform's Kerberos. */
export const gssSpnego: Mechanism.Mechanism = Mechanism.provide(
  Gssapi.gssSpnego,
  Context.make(Gssapi.GssContext, context)
)
