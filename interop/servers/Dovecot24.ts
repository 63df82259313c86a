/**
 * Dovecot 2.4 of Debian 13: submission in front of an Exim, with SCRAM bound to the TLS channel, and LMTP.
 */
import { Effect } from "effect"
import * as Daemon from "../machine/Daemon.ts"
import { endOf, freePorts, hostname, type Owner } from "../machine/Ground.ts"
import { secret, token } from "./DovecotAuthentication.ts"
import * as Exim from "./Exim.ts"
import * as Maildir from "./Maildir.ts"
import { account, type Features, type Kind, named } from "./Server.ts"
import * as Trixie from "./Trixie.ts"

const has: Features = {
  ports: ["tls", "lmtp"],
  mechanisms: [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "XOAUTH2",
    "OAUTHBEARER",
    "EXTERNAL"
  ],
  extensions: ["PIPELINING", "SIZE", "ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING", "BURL"],
  knowsRecipients: true,
  size: 1_000_000,
  idles: false,
  relays: false
}

const settings = (
  ports: { readonly startTls: number; readonly tls: number; readonly lmtp: number; readonly relay: number },
  mail: Owner
) => `
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols = submission lmtp
listen = 127.0.0.1
hostname = ${hostname}
log_path = /srv/dovecot.log
auth_verbose = yes

ssl = yes
ssl_server_cert_file = /srv/server.pem
ssl_server_key_file = /srv/server.key
ssl_server_ca_file = /srv/ca.pem
# Or it wants a list of revoked certificates behind the authority.
ssl_server_require_crl = no
ssl_server_request_client_cert = yes
auth_ssl_username_from_cert = yes

auth_mechanisms = ${has.mechanisms.join(" ").toLowerCase()}
auth_allow_cleartext = yes
auth_failure_delay = 0
oauth2 {
  introspection_mode = local
  username_attribute = sub
  oauth2_local_validation {
    dict fs {
      fs posix {
        prefix = /srv/keys/
      }
    }
  }
}
passdb oauth2 {
  mechanisms_filter = xoauth2 oauthbearer
}
passdb certificate {
  driver = static
  mechanisms_filter = external
  fields {
    nopassword = yes
  }
}
passdb static {
  password = {PLAIN}${account.password}
}
userdb static {
  fields {
    uid = ${mail.uid}
    gid = ${mail.gid}
    home = /srv/mail
  }
}
userdb_static_allow_all_users = yes
first_valid_uid = 1
mail_driver = maildir
mail_path = /srv/mail

submission_relay_host = 127.0.0.1
submission_relay_port = ${ports.relay}
submission_max_mail_size = ${has.size}
# One address is everybody here.
mail_max_userip_connections = 300

service submission-login {
  inet_listener submission {
    port = ${ports.startTls}
  }
  inet_listener submissions {
    port = ${ports.tls}
    ssl = yes
  }
}
service submission {
  process_limit = 300
}
service lmtp {
  inet_listener lmtp {
    listen = 127.0.0.1
    port = ${ports.lmtp}
  }
}
# After failures it would let an address wait for seconds.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`

export const dovecot: Kind = {
  name: "Dovecot 2.4",
  has,
  setUp: (options) =>
    named("Dovecot 2.4")(Effect.gen(function*() {
      const { identities, identity = identities.good } = options
      const relay = yield* Exim.forRelaying(options)
      const here = yield* Trixie.trixie("dovecot")
      const [startTls = 0, tls = 0, lmtp = 0] = yield* freePorts(3)
      const mail = Trixie.owner("mail")
      const log = here.outside("srv/dovecot.log")
      yield* here.write(
        "srv/dovecot.conf",
        settings({ startTls, tls, lmtp, relay: relay.ports.plain ?? 0 }, mail)
      )
      yield* here.write("srv/server.pem", identity.certificate)
      yield* here.write("srv/server.key", identity.key, 0o600)
      yield* here.write("srv/ca.pem", identities.ca)
      yield* here.write("srv/keys/default/HS256/default", Buffer.from(secret).toString("base64"))
      yield* here.directory("srv/mail", mail)
      return {
        name: "Dovecot 2.4",
        version: here.version("dovecot-submissiond"),
        ports: { startTls, tls, plain: undefined, submission: undefined, lmtp },
        token: token(),
        run: Effect.andThen(
          relay.run,
          named("Dovecot 2.4")(Daemon.start({
            name: "Dovecot 2.4",
            ...here.inside("dovecot", "-F", "-c", "/srv/dovecot.conf"),
            answers: [startTls, tls, lmtp],
            log
          }))
        ),
        mailbox: Effect.map(
          Effect.all([relay.mailbox, Maildir.messages(here.outside("srv/mail"))]),
          ([relayed, delivered]) => [...relayed, ...delivered]
        ),
        log: endOf(log)
      }
    }))
}
