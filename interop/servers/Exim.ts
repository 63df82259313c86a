/**
 * Exim 4.98 of Debian 13, with its own mechanisms and those of Cyrus SASL.
 */
import { Effect, FileSystem, type Scope } from "effect"
import * as Command from "../machine/Command.ts"
import * as Daemon from "../machine/Daemon.ts"
import type { Unavailable } from "../machine/Debian.ts"
import { endOf, freePorts, hostname } from "../machine/Ground.ts"
import * as Maildir from "./Maildir.ts"
import {
  account,
  domain,
  type Features,
  type Kind,
  localParts,
  named,
  type Needs,
  type Options,
  type Server
} from "./Server.ts"
import * as Trixie from "./Trixie.ts"

const { password, user } = account

const has: Features = {
  ports: ["tls", "plain", "submission"],
  mechanisms: [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "NTLM",
    "MSN",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "XOAUTH2",
    "OAUTHBEARER",
    "EXTERNAL"
  ],
  // Exim's own.
  ntlmVersion: 1,
  extensions: [
    "PIPELINING",
    "SIZE",
    "8BITMIME",
    "DSN",
    "CHUNKING",
    "SMTPUTF8",
    "PRDR",
    "LIMITS",
    "PIPECONNECT",
    "HELP"
  ],
  knowsRecipients: true,
  size: 1_000_000,
  idles: true,
  relays: "says why"
}

// Offered inside of TLS, and where there is none to be had.
const authenticators = (plain: number) => {
  const offered = `server_advertise_condition = \${if or{{def:tls_in_cipher}{eq{$received_port}{${plain}}}}}`
  const checked = (name: string, secret: string) => `\${if and{{eq{${name}}{${user}}}{eq{${secret}}{${password}}}}}`
  const secretOf = (name: string) => `\${if eq{${name}}{${user}}{${password}}fail}`
  const cyrus = (name: string) => `
${name.toLowerCase().replaceAll("-", "_")}:
  driver = cyrus_sasl
  public_name = ${name}
  server_realm = ${hostname}
  server_hostname = ${hostname}
  server_set_id = $auth1
  ${offered}
`
  const spa = (name: string) => `
${name.toLowerCase()}:
  driver = spa
  public_name = ${name}
  server_password = ${secretOf("$auth1")}
  server_set_id = $auth1
  ${offered}
`
  return `
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${checked("$auth2", "$auth3")}
  server_set_id = $auth2
  ${offered}

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${checked("$auth1", "$auth2")}
  server_set_id = $auth1
  ${offered}

cram_md5:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${secretOf("$auth1")}
  server_set_id = $auth1
  ${offered}

# Exim knows no tokens: it compares what the client says to what it should say.
xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  server_prompts = :
  server_condition = \${if eq{$auth1}{user=${user}\\x01auth=Bearer ${password}\\x01\\x01}}
  server_set_id = ${user}
  ${offered}

oauthbearer:
  driver = plaintext
  public_name = OAUTHBEARER
  server_prompts = :
  server_condition = \${if match{$auth1}{^n,a=${user},\\x01.*\\x01auth=Bearer ${password}\\x01\\x01\\$}}
  server_set_id = ${user}
  ${offered}

external:
  driver = external
  public_name = EXTERNAL
  server_param2 = \${certextract{subject,CN}{$tls_in_peercert}}
  server_condition = \${if or{{eq{$auth1}{}}{eq{$auth1}{$auth2}}}}
  server_set_id = $auth2
  server_advertise_condition = \${if eq{$tls_in_certificate_verified}{1}}
${spa("NTLM")}${spa("MSN")}${cyrus("DIGEST-MD5")}${cyrus("SCRAM-SHA-1")}${cyrus("SCRAM-SHA-256")}${
    cyrus("SCRAM-SHA-512")
  }`
}

const settings = (
  ports: { readonly startTls: number; readonly tls: number; readonly plain: number; readonly submission: number },
  idle: number,
  trusts: boolean
) => `
primary_hostname = ${hostname}
qualify_domain = ${domain}
domainlist local_domains = ${domain}
# Nothing here has a name to look up, and waiting for an answer takes seconds.
host_lookup =
rfc1413_query_timeout = 0s
disable_ipv6 = true
keep_environment =
add_environment = <; PATH=/usr/bin

local_interfaces = 127.0.0.1
daemon_smtp_ports = ${ports.startTls} : ${ports.tls} : ${ports.plain} : ${ports.submission}
tls_on_connect_ports = ${ports.tls}
tls_advertise_hosts = \${if eq{$received_port}{${ports.plain}}{}{*}}
tls_certificate = /srv/server.pem
tls_privatekey = /srv/server.key
tls_verify_certificates = /srv/ca.pem
tls_try_verify_hosts = *

spool_directory = /srv/spool
log_file_path = /srv/log/%s
pid_file_path = /srv/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
# Messages are all delivered as this one user, who then needs no help of root.
deliver_drop_privilege = true

message_size_limit = ${has.size}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
prdr_enable = true

# Twenty connections, ten commands of no message, and ten messages of a connection at once are not enough for tests.
smtp_accept_max = 300
# A connection over the backlog looks open to its client, and is never served.
smtp_connect_backlog = 300
smtp_accept_max_nonmail = 10000
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 10000
smtp_receive_timeout = ${idle}s

acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = data

begin acl
mail:
  deny
    condition = \${if and{{eq{$received_port}{${ports.submission}}}{!def:tls_in_cipher}}}
    message = 530 5.7.0 Must issue a STARTTLS command first
  accept

rcpt:
  deny
    domains = +local_domains
    local_parts = ${localParts.unknown}
    message = 550 5.1.1 No such mailbox here
  defer
    domains = +local_domains
    local_parts = ${localParts.later}
    message = 450 4.2.1 The mailbox is busy, come back later
  accept
    domains = +local_domains
  accept
    ${trusts ? "hosts = 127.0.0.1" : "authenticated = *"}
  deny
    message = 550 5.7.1 Relaying is for those who logged in

data:
  accept

begin routers
mailboxes:
  driver = accept
  domains = +local_domains
  transport = maildir
# Also what it has to say about messages that came from elsewhere.
elsewhere:
  driver = redirect
  data = :blackhole:

begin transports
maildir:
  driver = appendfile
  directory = /srv/mail
  maildir_format
  create_directory
  user = Debian-exim

begin authenticators
${authenticators(ports.plain)}
`

const setUp = Effect.fnUntraced(function*(
  name: string,
  { identities, identity = identities.good, idle = 300 }: Options,
  trusts: boolean
): Effect.fn.Return<Server, Unavailable | Command.CommandError, Needs | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const here = yield* Trixie.trixie("exim")
  const exim = Trixie.owner("Debian-exim")
  const [startTls = 0, tls = 0, plain = 0, submission = 0] = yield* freePorts(4)
  // Another file, named by -C, would have to be declared as trusted.
  yield* here.write("etc/exim4/exim4.conf", settings({ startTls, tls, plain, submission }, idle, trusts))
  for (const directory of ["srv/spool", "srv/log", "srv/mail"]) yield* here.directory(directory, exim)
  yield* here.write("srv/server.pem", identity.certificate)
  yield* Effect.orDie(fs.chown(yield* here.write("srv/server.key", identity.key, 0o600), exim.uid, exim.gid))
  yield* here.write("srv/ca.pem", identities.ca)
  const saslpasswd = here.inside("saslpasswd2", "-p", "-c", "-u", hostname, user)
  yield* Command.run(saslpasswd.command, saslpasswd.args, { input: `${password}\n` })
  yield* Effect.orDie(fs.chown(here.outside("etc/sasldb2"), exim.uid, exim.gid))
  const log = here.outside("srv/log/main")
  return {
    name,
    version: here.version("exim4-daemon-heavy"),
    ports: { startTls, tls, plain, submission, lmtp: undefined },
    run: named(name)(Daemon.start({
      name,
      // What was taken when it was killed is delivered by the queue runner, which comes every five seconds.
      ...here.inside("exim4", "-bdf", "-q5s"),
      answers: [startTls, tls, plain, submission],
      log
    })),
    mailbox: Maildir.messages(here.outside("srv/mail")),
    log: endOf(log)
  }
})

export const exim: Kind = {
  name: "Exim",
  has,
  setUp: (options) => named("Exim")(setUp("Exim", options, false))
}

/** Takes mail for anywhere from loopback, as what stands behind another server. */
export const forRelaying = (options: Options) => setUp("Exim", options, true)
