/**
 * A client's options from the environment, through Effect's `Config`.
 */
import * as Config from "effect/Config"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Reason from "../outcome/Reason.ts"
import * as Choose from "../sasl/Choose.ts"
import * as Mechanism from "../sasl/Mechanism.ts"
import * as Endpoint from "./Endpoint.ts"
import type { Options } from "./SmtpClient.ts"

// A variable that is set to nothing is not set.
const text = (name: string): Config.Config<string | undefined> =>
  Config.String(name).pipe(Config.withDefault(""), Config.map((value) => value === "" ? undefined : value))

const secret = (name: string): Config.Config<Redacted.Redacted<string> | undefined> =>
  Config.Redacted(name).pipe(
    Config.withDefault(Redacted.make("")),
    Config.map((value) => Redacted.value(value) === "" ? undefined : value)
  )

/**
 * The options from configuration: `SMTP_URL`, or `SMTP_HOST` and `SMTP_PORT`; then
 * `SMTP_USER`, `SMTP_PASSWORD`, `SMTP_SECURITY` (`auto`, `plain`, `startTls`,
 * `startTlsIfOffered`, `tls`), `SMTP_AUTH` (`auto`, or mechanisms in order:
 * `CRAM-MD5,PLAIN`), `SMTP_DOMAIN` (for EHLO), `SMTP_CA` (PEM) and
 * `SMTP_FINGERPRINT`.
 */
export const config: Config.Config<{
  readonly url: Redacted.Redacted<string> | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly user: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly security: string | undefined
  readonly auth: string | undefined
  readonly domain: string | undefined
  readonly ca: string | undefined
  readonly fingerprint: string | undefined
}> = Config.all({
  url: secret("SMTP_URL"),
  host: text("SMTP_HOST"),
  port: Config.Port("SMTP_PORT").pipe(Config.withDefault(undefined)),
  user: text("SMTP_USER"),
  password: secret("SMTP_PASSWORD"),
  security: text("SMTP_SECURITY"),
  auth: text("SMTP_AUTH"),
  domain: text("SMTP_DOMAIN"),
  ca: text("SMTP_CA"),
  fingerprint: text("SMTP_FINGERPRINT")
})

/** The options that {@link config} describes. Fails with `InvalidInput`. */
export const toOptions = (settings: Config.Success<typeof config>): Result.Result<Options, Reason.Of<"InvalidInput">> =>
  Result.gen(function*() {
    const mode = settings.security === undefined ? undefined : yield* Endpoint.parseMode(settings.security)
    const endpoint = settings.url !== undefined
      ? yield* Endpoint.parse(Redacted.value(settings.url), mode)
      : settings.host === undefined
      ? yield* Result.fail(
        Reason.make("InvalidInput", { what: "the configuration", problem: "neither SMTP_URL nor SMTP_HOST is set" })
      )
      : yield* Endpoint.make(settings.host, settings.port, mode ?? "auto")
    const { ca, domain, fingerprint, password, user } = settings
    if ((user === undefined) !== (password === undefined)) {
      return yield* Result.fail(
        Reason.make("InvalidInput", {
          what: "the configuration",
          problem: "SMTP_USER and SMTP_PASSWORD belong together"
        })
      )
    }
    return {
      endpoint,
      security: mode,
      credentials: user === undefined || password === undefined ? undefined : Mechanism.password(user, password),
      authenticator: authConfig(settings.auth),
      tls: { ca: ca === undefined ? undefined : [ca], fingerprint },
      domain
    }
  })

const authConfig = (list: string | undefined): Choose.Authenticator | undefined =>
  list === undefined || list.trim() === "" || list.trim().toLowerCase() === "auto"
    ? undefined
    : namedInOrder(list.split(/[\s,]+/).filter((name) => name !== ""))

const namedInOrder = (names: ReadonlyArray<string>): Choose.Authenticator =>
  Choose.prefer(Choose.only(Choose.standard, ...names), ...names)
