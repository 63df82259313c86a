/**
 * A client over TCP and TLS, in one layer.
 */
import { SmtpClient, SmtpConfig, type SmtpError } from "@postern/core"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeTransport from "./NodeTransport.ts"
import { ownDomain } from "./OwnDomain.ts"

/**
 * The client over TCP. In EHLO it calls itself by this machine's name where that is a
 * full one. Fails with `InvalidInput` when an option is unusable.
 *
 * @example
 * ```ts
 * import { Mechanism, SmtpClient } from "@postern/core"
 * import { NodeSmtp } from "@postern/node"
 * import { Effect, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* SmtpClient.SmtpClient
 *   return yield* client.send({ from: "ann@example.org", to: "ben@example.net", content: "Subject: hi\n\nHello.\n" })
 * })
 *
 * export const main = program.pipe(Effect.provide(NodeSmtp.layer({
 *   endpoint: "mail.example.org:587",
 *   credentials: Mechanism.password("ann", Redacted.make("secret"))
 * })))
 * ```
 */
export const layer = (
  options: SmtpClient.Options,
  wayOut: NodeTransport.Options = {}
): Layer.Layer<SmtpClient.SmtpClient, SmtpError.SmtpError> =>
  Layer.provide(
    SmtpClient.layer({ ...options, domain: options.domain ?? ownDomain() }),
    NodeTransport.layerOptions(wayOut)
  )

/**
 * The client over TCP as the environment says (`SMTP_URL`, `SMTP_USER`, …: see
 * `SmtpConfig.config`). Fails with a `ConfigError`, or `InvalidInput`.
 */
export const layerConfig = (
  overrides: Partial<SmtpClient.Options> = {},
  wayOut: NodeTransport.Options = {}
): Layer.Layer<SmtpClient.SmtpClient, SmtpError.SmtpError | Config.ConfigError> => {
  const configured = Effect.map(
    SmtpConfig.config,
    ({ domain }) => SmtpClient.layerConfig({ ...overrides, domain: overrides.domain ?? domain ?? ownDomain() })
  )
  return Layer.provide(Layer.unwrap(configured), NodeTransport.layerOptions(wayOut))
}
