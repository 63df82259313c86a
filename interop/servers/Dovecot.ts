/**
 * Dovecot 2.3: its submission service, in front of a Postfix, and its LMTP service.
 */
import { Effect, Path } from "effect"
import * as Debian from "../machine/Debian.ts"
import { endOf, freePorts, ground } from "../machine/Ground.ts"
import { common, mechanisms, packages, running, token } from "./DovecotAuthentication.ts"
import * as Maildir from "./Maildir.ts"
import * as Postfix from "./Postfix.ts"
import { type Features, type Kind, named } from "./Server.ts"

const has: Features = {
  ports: ["tls", "lmtp"],
  mechanisms: [...mechanisms.filter((name) => name !== "ANONYMOUS"), "EXTERNAL"],
  extensions: ["PIPELINING", "SIZE", "ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING", "BURL"],
  knowsRecipients: true,
  size: 1_000_000,
  idles: false,
  relays: false
}

/** Submission and LMTP. */
export const submission: Kind = {
  name: "Dovecot",
  has,
  setUp: (options) =>
    named("Dovecot")(Effect.gen(function*() {
      yield* Debian.installed(packages)
      const relay = yield* Postfix.forRelaying(options)
      const here = yield* ground("dovecot")
      const path = yield* Path.Path
      const { mail, settings } = yield* common(here, options)
      const [startTls = 0, tls = 0, lmtp = 0] = yield* freePorts(3)
      const log = path.join(here.folder, "dovecot.log")
      const config = yield* here.write(
        "dovecot.conf",
        `protocols = submission lmtp
${settings}
submission_relay_host = 127.0.0.1
submission_relay_port = ${relay.ports.plain}
submission_max_mail_size = 1000000
# The messages of a connection that was killed go out all the same, and the next may begin at once.
mail_max_userip_connections = 200
service submission-login {
  inet_listener submission {
    port = ${startTls}
  }
  inet_listener submissions {
    port = ${tls}
    ssl = yes
  }
}
service submission {
  process_limit = 200
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtp}
  }
}
`
      )
      return {
        name: "Dovecot",
        version: Debian.upstream((yield* Debian.version("dovecot-core")) ?? ""),
        ports: { startTls, tls, plain: undefined, submission: undefined, lmtp },
        token: token(),
        run: Effect.andThen(relay.run, named("Dovecot")(running("Dovecot", config, log, [startTls, tls, lmtp]))),
        mailbox: Effect.map(
          Effect.all([relay.mailbox, Maildir.messages(mail)]),
          ([relayed, delivered]) => [...relayed, ...delivered]
        ),
        log: endOf(log)
      }
    }))
}
