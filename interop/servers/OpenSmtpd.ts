/**
 * OpenSMTPD 7.6 of Debian 13: a server without PIPELINING, CHUNKING and SMTPUTF8.
 */
import { Effect, FileSystem } from "effect"
import * as Command from "../machine/Command.ts"
import * as Daemon from "../machine/Daemon.ts"
import { endOf, freePorts, hostname } from "../machine/Ground.ts"
import * as Maildir from "./Maildir.ts"
import { account, domain, type Features, type Kind, localParts, named } from "./Server.ts"
import * as Trixie from "./Trixie.ts"

const has: Features = {
  ports: ["tls", "plain", "submission"],
  mechanisms: ["PLAIN", "LOGIN"],
  extensions: ["8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "DSN", "HELP"],
  knowsRecipients: true,
  size: 1_000_000,
  idles: false,
  relays: "says nothing"
}

const listens = (port: number, tls: string) =>
  `listen on 127.0.0.1 port ${port} ${tls} hostname "${hostname}" filter "recipients"`

const settings = (
  ports: { readonly startTls: number; readonly tls: number; readonly plain: number; readonly submission: number },
  hash: string
) => {
  const secured = `pki "server" auth-optional <accounts>`
  return `
pki "server" cert "/srv/server.pem"
pki "server" key "/srv/server.key"

table accounts { "${account.user}" = "${hash}" }
# Whoever it is for, it is delivered as the one user there is.
table mailboxes { "@" = "mail" }

# Rules cannot refuse for now, and with a mailbox for everyone nobody is unknown.
filter "unknown" phase rcpt-to match rcpt-to { "${localParts.unknown}@${domain}" } reject "550 5.1.1 No such mailbox here"
filter "later" phase rcpt-to match rcpt-to { "${localParts.later}@${domain}" } reject "450 4.2.1 The mailbox is busy, come back later"
filter "recipients" chain { "unknown", "later" }

smtp max-message-size "${has.size}"
smtp limit max-mails 10000
smtp limit max-rcpt 2000

${listens(ports.startTls, `tls ${secured}`)}
${listens(ports.tls, `smtps ${secured}`)}
${listens(ports.plain, "")}
${listens(ports.submission, `tls-require ${secured}`)}

action "keep" maildir "/srv/mail" virtual <mailboxes>
action "drop" mda "cat > /dev/null" virtual <mailboxes>

match from any for domain "${domain}" action "keep"
match from any auth for any action "drop"
`
}

export const openSmtpd: Kind = {
  name: "OpenSMTPD",
  has,
  setUp: ({ identities, identity = identities.good }) =>
    named("OpenSMTPD")(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const here = yield* Trixie.trixie("opensmtpd")
      const [startTls = 0, tls = 0, plain = 0, submission = 0] = yield* freePorts(4)
      const encrypt = here.inside("openssl", "passwd", "-6", account.password)
      const hash = (yield* Command.run(encrypt.command, encrypt.args)).trim()
      yield* here.write("srv/smtpd.conf", settings({ startTls, tls, plain, submission }, hash), 0o600)
      yield* here.write("srv/server.pem", identity.certificate)
      // For what it sends, which is nothing; without the file it does not start.
      yield* here.write("etc/ssl/certs/ca-certificates.crt", identities.ca)
      // Read by others than root it is refused.
      yield* here.write("srv/server.key", identity.key, 0o600)
      yield* here.directory("srv/mail", Trixie.owner("mail"))
      yield* Effect.orDie(fs.chmod(yield* here.directory("var/spool/smtpd"), 0o711))
      const log = here.outside("srv/smtpd.log")
      return {
        name: "OpenSMTPD",
        version: here.version("opensmtpd"),
        ports: { startTls, tls, plain, submission, lmtp: undefined },
        run: named("OpenSMTPD")(Daemon.start({
          name: "OpenSMTPD",
          // In the foreground it logs to where nobody else could read it.
          ...here.inside("sh", "-c", "exec smtpd -d -f /srv/smtpd.conf >> /srv/smtpd.log 2>&1"),
          answers: [startTls, tls, plain, submission],
          log
        })),
        mailbox: Maildir.messages(here.outside("srv/mail")),
        log: endOf(log)
      }
    }))
}
