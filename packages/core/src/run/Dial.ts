/**
 * From a client's options to a session that is ready for mail: options held against one
 * another, and the mode of TLS found out where it is `auto`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { open as openSession, type Security } from "../dialogue/Open.ts"
import type { Session } from "../dialogue/Session.ts"
import * as Transaction from "../dialogue/Transaction.ts"
import * as Reason from "../outcome/Reason.ts"
import type { SmtpError } from "../outcome/SmtpError.ts"
import * as Choose from "../sasl/Choose.ts"
import * as Mechanism from "../sasl/Mechanism.ts"
import * as Address from "../wire/Address.ts"
import * as Connections from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import type { Meter } from "./Meter.ts"
import type { Watch } from "./SessionLog.ts"
import type { Options } from "./SmtpClient.ts"
import type { TimeLimits } from "./TimeLimits.ts"
import type { TlsOptions, Transport } from "./Transport.ts"

/** What a client calls itself that was not told a name. */
const defaultDomain = "[127.0.0.1]"

/** Options that were found usable. */
export interface Settings {
  readonly options: Options
  readonly endpoint: Endpoint.Endpoint
  readonly domain: Address.Domain
  readonly tls: TlsOptions
  readonly credentials: Mechanism.Credentials | undefined
}

/** Holds options against one another. */
export const settle = (options: Options): Result.Result<Settings, Reason.Of<"InvalidInput">> =>
  Result.gen(function*() {
    const given = typeof options.endpoint === "string"
      ? yield* Endpoint.parse(options.endpoint, options.security)
      : options.endpoint
    const endpoint = { ...given, mode: options.security ?? given.mode }
    const domain = yield* Result.mapError(
      Address.parseDomain(options.domain ?? defaultDomain),
      ({ problem }) => Reason.make("InvalidInput", { what: "the domain for EHLO", problem })
    )
    const fromUrl = endpoint.user === undefined || endpoint.password === undefined
      ? undefined
      : Mechanism.password(endpoint.user, endpoint.password)
    const half = fromUrl === undefined && (endpoint.user !== undefined || endpoint.password !== undefined)
    if (half && options.credentials === undefined) {
      return yield* Result.fail(
        Reason.make("InvalidInput", { what: "the endpoint", problem: "it names a user or a password, and not both" })
      )
    }
    const tls = { ...options.tls, serverName: options.tls?.serverName ?? endpoint.host }
    return { options, endpoint, domain, tls, credentials: options.credentials ?? fromUrl }
  })

/** A session that is ready for mail, and what is counted on its connection. */
export interface Dialled {
  readonly session: Session<"ready">
  readonly connection: Connections.Live
  readonly meter: Meter
  /** What the session still takes. */
  readonly budget: Transaction.Budget
}

/** A server that is silent, in `auto`, may wait for TLS: after this it is asked that way. */
const silence = "15 seconds" as const

// One attempt to hold a session; when it does not come about its connection closes at once.
const openWith = Effect.fnUntraced(function*(
  settings: Settings,
  security: Security,
  timeLimits: TimeLimits | undefined,
  meter: Meter,
  watch: Watch | undefined
): Effect.fn.Return<Dialled, SmtpError, Scope.Scope | Transport> {
  const { credentials, domain, endpoint, options, tls } = settings
  const { host, port } = endpoint
  const authenticator = options.authenticator ?? Choose.standard
  const scope = yield* Scope.fork(yield* Effect.scope)
  const opening = Effect.gen(function*() {
    const connection = yield* Connections.open({
      peer: { host, port },
      security,
      timeLimits,
      without: options.without,
      observe: options.observe,
      watch,
      meter
    })
    const session = yield* connection.run(
      openSession({ host, port, domain, security, tls, credentials, authenticator, lmtp: endpoint.protocol === "lmtp" })
    )
    return { session, connection, meter, budget: Transaction.budget(session) }
  })
  return yield* Scope.provide(opening, scope).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
})

/**
 * Opens a session in the mode that the endpoint says. With `auto` it is the other mode of
 * TLS where the server shows, or seems, to speak that one.
 */
export const dial = (
  settings: Settings,
  meter: Meter,
  watch: Watch | undefined
): Effect.Effect<Dialled, SmtpError, Scope.Scope | Transport> => {
  const { timeLimits } = settings.options
  const [first, second] = Endpoint.securities(settings.endpoint)
  if (second === undefined) return openWith(settings, first, timeLimits, meter, watch)
  const probing = first === "tls" || timeLimits?.Greeting !== undefined
    ? timeLimits
    : { ...timeLimits, Greeting: silence }
  return Effect.catch(openWith(settings, first, probing, meter, watch), (error) => {
    const silent = error.reason._tag === "TimedOut" && error.reason.step === "Greeting" && first !== "tls"
    if (error.reason._tag === "TlsModeMismatch") return openWith(settings, second, timeLimits, meter, watch)
    return silent
      // If that is no TLS port either, the silence is the better explanation.
      ? Effect.catch(
        openWith(settings, second, timeLimits, meter, watch),
        (other) => Effect.fail(showsTls(other) ? other : error)
      )
      : Effect.fail(error)
  })
}

// A certificate came, or more than the handshake.
const showsTls = ({ phase, reason }: SmtpError): boolean =>
  reason._tag === "CertificateRefused" || (phase !== "connect" && phase !== "tls")
