/**
 * Postfix, with mailboxes for `example.test`, and Dovecot or Cyrus SASL behind its AUTH.
 */
import { Effect, FileSystem, Path, type Scope } from "effect"
import type { CommandError } from "../machine/Command.ts"
import * as Command from "../machine/Command.ts"
import * as Daemon from "../machine/Daemon.ts"
import * as Debian from "../machine/Debian.ts"
import { endOf, freePorts, type Ground, ground, hostname, owner } from "../machine/Ground.ts"
import * as Dovecot from "./DovecotAuthentication.ts"
import * as Kerberos from "./Kerberos.ts"
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

/** Who asks for the password. */
interface Backend {
  /** Lines of `main.cf` that say so. */
  readonly settings: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  /** What has to run before Postfix. */
  readonly before: Effect.Effect<unknown, Daemon.DaemonError | CommandError, Needs | Scope.Scope>
}

const packages = ["postfix", "libsasl2-modules", "sasl2-bin"]
const answers = "postfix postfix/main_mailer_type select No configuration\n"

// Only who logged in may send elsewhere: 127.0.0.1 is nobody special.
const asking = (type: string, path: string) => [
  "mynetworks =",
  "smtpd_sasl_auth_enable = yes",
  `smtpd_sasl_type = ${type}`,
  `smtpd_sasl_path = ${path}`,
  "smtpd_sasl_security_options =",
  "smtpd_sasl_tls_security_options ="
]

// Plain names for the services, none in a chroot; smtpd is added.
const services = [
  "pickup unix n - n 60 1 pickup",
  "cleanup unix n - n - 0 cleanup",
  "qmgr unix n - n 300 1 qmgr",
  "tlsmgr unix - - n 1000? 1 tlsmgr",
  "rewrite unix - - n - - trivial-rewrite",
  "bounce unix - - n - 0 bounce",
  "defer unix - - n - 0 bounce",
  "trace unix - - n - 0 bounce",
  "verify unix - - n - 1 verify",
  "proxymap unix - - n - - proxymap",
  "error unix - - n - - error",
  "discard unix - - n - - discard",
  "virtual unix - n n - - virtual",
  "anvil unix - - n - 1 anvil",
  "postlog unix-dgram n - n - 1 postlogd"
]

const smtpd = (port: number, settings: Readonly<Record<string, string>> = {}): string =>
  [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    ...Object.entries(settings).map(([name, value]) => `  -o ${name}=${value}`)
  ].join("\n")

const features = (mechanisms: ReadonlyArray<string>): Features => ({
  ports: ["tls", "plain", "submission"],
  mechanisms,
  extensions: ["PIPELINING", "SIZE", "ETRN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"],
  knowsRecipients: true,
  size: 1_000_000,
  idles: true,
  relays: "says why"
})

// Those below give it a name and a backend.
const setUp = Effect.fnUntraced(function*(
  name: string,
  here: Ground,
  { identities, identity = identities.good, idle = 300 }: Options,
  backend: Backend
): Effect.fn.Return<Server, Debian.Unavailable | CommandError, Needs> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const config = path.join(here.folder, "postfix")
  const queue = yield* here.directory("queue")
  const postfix = yield* owner("postfix")
  const data = yield* here.directory("data", postfix)
  const nobody = yield* owner("nobody")
  const mail = yield* here.directory("mail", nobody)
  const log = path.join(here.folder, "postfix.log")
  // What looks after the queue at start writes here as the user postfix.
  yield* here.write("postfix.log", "")
  yield* Effect.orDie(fs.chown(log, postfix.uid, postfix.gid))
  const certificate = yield* here.write("server.pem", identity.certificate)
  const key = yield* here.write("server.key", identity.key, 0o600)
  const ca = yield* here.write("ca.pem", identities.ca)
  const recipients = yield* here.write(
    "recipients",
    [
      `/^${localParts.later}@/ 450 4.2.1 The mailbox is busy, come back later`,
      `/^${localParts.unknown}@/ 550 5.1.1 No such mailbox here`
    ].join("\n") + "\n"
  )
  const transport = yield* here.write("transport", `/@${domain}$/ virtual:\n/./ discard:\n`)
  const [startTls = 0, tls = 0, plain = 0, submission = 0] = yield* freePorts(4)

  yield* here.write(
    "postfix/main.cf",
    [
      "compatibility_level = 3.6",
      `queue_directory = ${queue}`,
      `data_directory = ${data}`,
      "daemon_directory = /usr/lib/postfix/sbin",
      "command_directory = /usr/sbin",
      `maillog_file = ${log}`,
      `maillog_file_prefixes = ${here.folder}`,
      `myhostname = ${hostname}`,
      "inet_interfaces = 127.0.0.1",
      "inet_protocols = ipv4",
      "smtpd_banner = $myhostname ESMTP",
      // Nothing leaves the machine, nothing asks DNS.
      "mydestination =",
      "alias_maps =",
      "alias_database =",
      "local_recipient_maps =",
      "default_transport = discard:",
      "relay_transport = discard:",
      "smtpd_client_port_logging = yes",
      "smtpd_peername_lookup = no",
      "disable_dns_lookups = yes",
      "smtp_host_lookup = native",
      `virtual_mailbox_domains = ${domain}`,
      `virtual_mailbox_base = ${mail}`,
      "virtual_mailbox_maps = static:inbox/",
      `virtual_uid_maps = static:${nobody.uid}`,
      `virtual_gid_maps = static:${nobody.gid}`,
      "virtual_minimum_uid = 1",
      "virtual_mailbox_limit = 0",
      `transport_maps = regexp:${transport}`,
      "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
      `smtpd_recipient_restrictions = check_recipient_access regexp:${recipients}, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination`,
      "smtpd_delay_reject = yes",
      "message_size_limit = 1000000",
      "smtpd_recipient_limit = 1000",
      // What the tests do wrong on purpose must not slow the next one.
      "smtpd_error_sleep_time = 0",
      "smtpd_hard_error_limit = 200",
      "smtpd_client_connection_count_limit = 0",
      "smtpd_client_connection_rate_limit = 0",
      "smtpd_client_auth_rate_limit = 0",
      "default_process_limit = 60",
      `smtpd_timeout = ${idle}s`,
      "smtpd_tls_security_level = may",
      `smtpd_tls_cert_file = ${certificate}`,
      `smtpd_tls_key_file = ${key}`,
      `smtpd_tls_CAfile = ${ca}`,
      "smtpd_tls_ask_ccert = yes",
      "smtpd_tls_auth_only = yes",
      ...backend.settings
    ].join("\n") + "\n"
  )
  yield* here.write(
    "postfix/master.cf",
    [
      smtpd(startTls),
      smtpd(tls, { smtpd_tls_wrappermode: "yes" }),
      smtpd(plain, { smtpd_tls_security_level: "none", smtpd_tls_auth_only: "no" }),
      smtpd(submission, { smtpd_tls_security_level: "encrypt" }),
      ...services
    ].join("\n") + "\n"
  )
  return {
    name,
    version: Debian.upstream((yield* Debian.version("postfix")) ?? ""),
    ports: { startTls, tls, plain, submission, lmtp: undefined },
    run: named(name)(Effect.gen(function*() {
      yield* backend.before
      // Of a master that was killed; it would keep the next from starting.
      yield* Effect.orDie(fs.remove(path.join(queue, "pid", "master.pid"), { force: true }))
      return yield* Daemon.start({
        name,
        command: "postfix",
        args: ["-c", config, "start-fg"],
        env: { ...backend.environment },
        answers: [startTls, tls, plain, submission],
        log
      })
    })),
    mailbox: Maildir.messages(mail),
    log: endOf(log)
  }
})

const cyrusHas = features([
  "PLAIN",
  "LOGIN",
  "CRAM-MD5",
  "DIGEST-MD5",
  "NTLM",
  "SCRAM-SHA-1",
  "SCRAM-SHA-256",
  "SCRAM-SHA-512",
  "ANONYMOUS",
  "GSSAPI",
  "GSS-SPNEGO"
])

/** With Dovecot's authentication service. */
export const withDovecot: Kind = {
  name: "Postfix with Dovecot",
  has: features(Dovecot.mechanisms),
  setUp: (options) =>
    named("Postfix with Dovecot")(Effect.gen(function*() {
      yield* Debian.installed([...packages, ...Dovecot.packages], answers)
      const here = yield* ground("postfix-dovecot")
      const path = yield* Path.Path
      yield* here.directory("queue/private", yield* owner("postfix"))
      const dovecot = yield* Dovecot.authentication(here, options, path.join(here.folder, "queue/private/auth"))
      return yield* setUp("Postfix with Dovecot", here, options, {
        settings: asking("dovecot", "private/auth"),
        before: dovecot
      }).pipe(Effect.map((server) => ({ ...server, token: Dovecot.token() })))
    }))
}

/** With Cyrus SASL and its own database, and with Kerberos. */
export const withCyrus: Kind = {
  name: "Postfix with Cyrus SASL",
  has: cyrusHas,
  setUp: (options) =>
    named("Postfix with Cyrus SASL")(Effect.gen(function*() {
      yield* Debian.installed(packages, answers)
      const here = yield* ground("postfix-cyrus")
      const path = yield* Path.Path
      const fs = yield* FileSystem.FileSystem
      const database = path.join(here.folder, "sasldb2")
      yield* Command.run("saslpasswd2", ["-f", database, "-p", "-c", "-u", "localhost", account.user], {
        input: `${account.password}\n`
      })
      yield* Effect.orDie(fs.chown(database, (yield* owner("postfix")).uid, 0))
      // Debian's looks for it beside main.cf.
      yield* here.write(
        "postfix/sasl/smtpd.conf",
        ["pwcheck_method: auxprop", "auxprop_plugin: sasldb", `sasldb_path: ${database}`].join("\n") + "\n"
      )
      const realm = yield* Kerberos.realm(here, yield* owner("postfix"))
      const server = yield* setUp("Postfix with Cyrus SASL", here, options, {
        settings: [
          ...asking("cyrus", "smtpd"),
          "smtpd_sasl_local_domain = localhost",
          // Postfix clears its environment but for these.
          `import_environment = ${Object.keys(realm.server).join(" ")} MAIL_CONFIG`
        ],
        environment: realm.server,
        before: Effect.void
      })
      return { ...server, realm }
    }))
}

/** Without authentication: takes mail for anywhere from loopback, as what stands behind another server. */
export const forRelaying = Effect.fnUntraced(function*(options: Options) {
  yield* Debian.installed(packages, answers)
  const settings = ["mynetworks = 127.0.0.0/8"]
  return yield* setUp("Postfix", yield* ground("postfix"), options, {
    settings,
    before: Effect.void
  })
})
