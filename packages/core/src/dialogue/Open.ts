/**
 * From a connection to a session that is ready for mail: TLS as the security asks,
 * greeting, EHLO, STARTTLS, AUTH.
 */
import * as Result from "effect/Result"
import * as Classify from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import type { TlsOptions } from "../run/Transport.ts"
import type { Authenticator } from "../sasl/Choose.ts"
import type * as Mechanism from "../sasl/Mechanism.ts"
import type * as Address from "../wire/Address.ts"
import { authenticate } from "./Authenticate.ts"
import { greet, hello } from "./Hello.ts"
import * as Program from "./Program.ts"
import type { Session } from "./Session.ts"
import { startTls } from "./StartTls.ts"

/**
 * How a connection is protected:
 * - `plain`: not at all; passwords are not sent in the clear all the same.
 * - `startTls`: STARTTLS, or nothing is sent (RFC 3207).
 * - `startTlsIfOffered`: STARTTLS where the server offers it. Whoever can alter the
 *   traffic can take the offer away.
 * - `tls`: TLS from the first byte (RFC 8314).
 */
export type Security = "plain" | "startTls" | "startTlsIfOffered" | "tls"

/** What a session is opened with. */
export interface Options<R = never> {
  readonly host: string
  readonly port?: number | undefined
  /** LMTP instead of SMTP (RFC 2033). */
  readonly lmtp?: boolean | undefined
  /** What this client calls itself in EHLO. */
  readonly domain: Address.Domain
  readonly security: Security
  readonly tls: TlsOptions
  readonly credentials?: Mechanism.Credentials | undefined
  readonly authenticator: Authenticator<R>
}

/**
 * Opens a session. Fails with `GreetingRefused`, `CommandRefused` (EHLO),
 * `TlsUnavailable`, all that `authenticate` fails with, or `ServiceClosing`.
 *
 * @example
 * ```ts
 * import { Address, Choose, Open, Program, Reply } from "@postern/core"
 * import { Result } from "effect"
 *
 * const open = Open.open({
 *   host: "mx.example",
 *   domain: Result.getOrThrow(Address.parseDomain("client.example")),
 *   security: "startTls",
 *   tls: { serverName: "mx.example" },
 *   authenticator: Choose.standard
 * })
 * // No server needed: what does it do when STARTTLS is not offered?
 * const rehearsal = Program.rehearse(open, [
 *   Program.replies(Reply.make(220, "mx.example ESMTP")),
 *   Program.replies(Reply.make(250, ["mx.example", "AUTH PLAIN"]))
 * ])
 * console.log(rehearsal.end) // Failure(TlsUnavailable)
 * ```
 */
export const open = Program.fn(function*<R>(options: Options<R>) {
  const tls = options.security === "tls" ? yield* Program.upgradeTls(options.tls) : undefined
  const greeted = yield* greet(options.host, tls, options.port, options.lmtp)
  const plain = yield* hello(greeted, options.domain)
  const secured = yield* secure(plain, options)
  return options.credentials === undefined
    ? secured
    : yield* authenticate(secured, options.credentials, options.authenticator)
})

const secure = Program.fn(function*(session: Session<"ready">, options: Options<unknown>) {
  const { security } = options
  if (security === "plain" || security === "tls") return session
  if (!session.known.startTlsOffered) {
    if (security === "startTlsIfOffered") return session
    return yield* Program.fail(Reason.make("TlsUnavailable", { reply: undefined }))
  }
  const upgraded = yield* Program.result(startTls(session, options.domain, options.tls))
  if (Result.isSuccess(upgraded)) return upgraded.success
  const refusal = upgraded.failure
  // Consent that is refused leaves the session as it was; all else is not about TLS any more.
  const unavailable = refusal._tag === "Refused" && refusal.step === "StartTls" && refusal.reply.code >= 400
    && refusal.reply.code !== 421
  if (unavailable && security === "startTlsIfOffered") return session
  return yield* Program.fail(refusal._tag === "Refused" ? Classify.refusal(session.known, refusal) : refusal)
})
