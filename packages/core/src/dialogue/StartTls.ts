/**
 * STARTTLS (RFC 3207): consent, handshake, and EHLO again. What was known before is
 * forgotten (§4.2): an attacker may have said it.
 */
import type { TlsOptions } from "../run/Transport.ts"
import type * as Address from "../wire/Address.ts"
import * as Command from "../wire/Command.ts"
import { hello } from "./Hello.ts"
import * as Program from "./Program.ts"
import { Session } from "./Session.ts"

/**
 * Upgrades a session. Fails with the refusal when the server does not consent, or
 * refuses EHLO afterwards; a failed handshake ends the connection.
 */
export const startTls = Program.fn(function*(session: Session<"ready">, domain: Address.Domain, options: TlsOptions) {
  yield* session.send(Command.startTls)
  const tls = yield* Program.upgradeTls(options)
  const { greeting, host, lmtp, port } = session.facts
  const secured = new Session("greeted", {
    host,
    port,
    greeting,
    capabilities: undefined,
    tls,
    authenticated: undefined,
    ...(lmtp === undefined ? {} : { lmtp })
  })
  return yield* hello(secured, domain)
})
