/**
 * Dovecot 2.3 as far as it knows who may log in: for its own services, and for Postfix.
 */
import { Effect, Path, type Scope } from "effect"
import { createHmac } from "node:crypto"
import * as Daemon from "../machine/Daemon.ts"
import { type Ground, hostname, owner } from "../machine/Ground.ts"
import { account, type Needs, type Options } from "./Server.ts"

/** Debian's. */
export const packages = ["dovecot-core", "dovecot-submissiond", "dovecot-lmtpd"]

/** Those of its authentication service, but EXTERNAL, which needs it to see the TLS connection itself. */
export const mechanisms: ReadonlyArray<string> = [
  "PLAIN",
  "LOGIN",
  "CRAM-MD5",
  "DIGEST-MD5",
  "SCRAM-SHA-1",
  "SCRAM-SHA-256",
  "ANONYMOUS",
  "XOAUTH2",
  "OAUTHBEARER"
]

/** What signs them. */
export const secret = "only for tests on loopback"

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token (JWT, HS256) that the servers of this module take for the account. */
export const token = (): string => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: "postern", sub: account.user, iat: now - 60, exp: now + 24 * 60 * 60 }
  const signed = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url(claims)}`
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`
}

/** The settings that all its services share, and the folder of its mailboxes. */
export const common = Effect.fnUntraced(function*(here: Ground, { identities, identity = identities.good }: Options) {
  const path = yield* Path.Path
  const nobody = yield* owner("nobody")
  yield* here.write("keys/default/HS256/default", Buffer.from(secret).toString("base64"))
  const oauth2 = yield* here.write(
    "oauth2.conf",
    [
      "introspection_mode = local",
      `local_validation_key_dict = fs:posix:prefix=${path.join(here.folder, "keys")}/`,
      "username_attribute = sub"
    ].join("\n") + "\n"
  )
  const certificate = yield* here.write("dovecot.pem", identity.certificate)
  const key = yield* here.write("dovecot.key", identity.key, 0o600)
  // Dovecot wants a list of revoked certificates behind the authority unless told not to.
  const ca = yield* here.write("dovecot-ca.pem", identities.ca)
  const mail = yield* here.directory("lmtp", nobody)
  return {
    mail,
    settings: `
base_dir = ${path.join(here.folder, "dovecot-run")}
log_path = ${path.join(here.folder, "dovecot.log")}
auth_verbose = yes
listen = 127.0.0.1
hostname = ${hostname}
ssl = yes
ssl_cert = <${certificate}
ssl_key = <${key}
ssl_ca = <${ca}
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_username_from_cert = yes
disable_plaintext_auth = no
auth_mechanisms = ${mechanisms.map((name) => name.toLowerCase()).join(" ")} external
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:${mail}/%u
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${oauth2}
}
passdb {
  driver = static
  mechanisms = external
  args = nopassword=y
}
passdb {
  driver = static
  args = password={PLAIN}${account.password}
}
userdb {
  driver = static
  args = uid=${nobody.uid} gid=${nobody.gid} home=${mail}/%u allow_all_users=yes
}
# After failures it would let an address wait for seconds.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`
  }
})

/** Runs it by a configuration. */
export const running = (name: string, config: string, log: string, answers: ReadonlyArray<number | string>) =>
  Daemon.start({ name, command: "dovecot", args: ["-F", "-c", config], answers, log })

/** What runs the authentication service at a Unix socket, for Postfix. */
export const authentication = Effect.fnUntraced(function*(
  here: Ground,
  options: Options,
  socket: string
) {
  const path = yield* Path.Path
  const { settings } = yield* common(here, options)
  const config = yield* here.write(
    "dovecot.conf",
    `protocols =
${settings}
service auth {
  unix_listener ${socket} {
    mode = 0666
  }
}
`
  )
  const run: Effect.Effect<Daemon.Daemon, Daemon.DaemonError, Needs | Scope.Scope> = running(
    "Dovecot's authentication",
    config,
    path.join(here.folder, "dovecot.log"),
    [socket]
  )
  return run
})
