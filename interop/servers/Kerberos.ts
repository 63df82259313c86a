/**
 * A Kerberos realm of its own (MIT's), and what a server and a client need to be in it.
 */
import { Effect, Path, type Scope } from "effect"
import * as Command from "../machine/Command.ts"
import * as Daemon from "../machine/Daemon.ts"
import * as Debian from "../machine/Debian.ts"
import { freePorts, type Ground, hostname, type Owner } from "../machine/Ground.ts"
import { account, type Needs } from "./Server.ts"

/** The key distribution centre, its tools, and the mechanisms of Cyrus SASL. */
export const packages = ["krb5-kdc", "krb5-admin-server", "krb5-user", "libsasl2-modules-gssapi-mit"]

type Environment = Readonly<Record<string, string>>

/** A realm, and environments of processes. */
export interface Realm {
  /** A server of the service `smtp`. */
  readonly server: Environment
  /** A client with a ticket of the account. */
  readonly client: Environment
  /** A client whose ticket for the service the server cannot read: it was made with a key that is no longer good. */
  readonly outdated: Environment
  /** A client without a ticket. */
  readonly stranger: Environment
}

const name = "EXAMPLE.TEST"

// The client asks for the service at the host it connects to; a server looks for the one of its name.
const services = [`smtp/${hostname}`, "smtp/127.0.0.1"]

const login = (env: Record<string, string>) =>
  Command.run("kinit", [account.user], { env, input: `${account.password}\n` })

/** Sets a realm up and runs it until the scope ends. `user` is whom the server runs as. */
export const realm = Effect.fnUntraced(function*(
  here: Ground,
  user: Owner
): Effect.fn.Return<Realm, Debian.Unavailable | Command.CommandError | Daemon.DaemonError, Needs | Scope.Scope> {
  yield* Debian.installed(packages)
  const path = yield* Path.Path
  const [port = 0] = yield* freePorts(1)
  const at = yield* here.directory("realm")
  // The keys are the server's alone.
  const keys = yield* here.directory("realm/keys", user)
  const keytab = path.join(keys, "smtp")
  const log = path.join(at, "kdc.log")
  const config = yield* here.write(
    "realm/krb5.conf",
    `[libdefaults]
  default_realm = ${name}
  # Nothing asks DNS.
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  qualify_shortname = ""
  # The name by which the client connects is not the server's own.
  ignore_acceptor_hostname = true
  # The file for them would be in /var/tmp.
  default_rcache_name = none:
[realms]
  ${name} = {
    kdc = 127.0.0.1:${port}
  }
[domain_realm]
  .example.test = ${name}
  127.0.0.1 = ${name}
[logging]
  kdc = FILE:${log}
`
  )
  const profile = yield* here.write(
    "realm/kdc.conf",
    `[realms]
  ${name} = {
    database_name = ${at}/principal
    key_stash_file = ${at}/stash
    acl_file = ${at}/acl
    kdc_listen = 127.0.0.1:${port}
    kdc_tcp_listen = 127.0.0.1:${port}
  }
`
  )
  const env = { KRB5_CONFIG: config, KRB5_KDC_PROFILE: profile }
  const admin = (...args: ReadonlyArray<string>) => Command.run("kadmin.local", ["-r", name, ...args], { env })
  yield* Command.run("kdb5_util", ["-r", name, "-P", "only for tests on loopback", "create", "-s"], { env })
  yield* admin("add_principal", "-pw", account.password, account.user)
  for (const service of services) yield* admin("add_principal", "-randkey", service)
  yield* Daemon.start({
    name: "MIT Kerberos",
    command: "krb5kdc",
    args: ["-n", "-r", name, "-P", path.join(at, "kdc.pid")],
    env,
    answers: [port],
    log
  })
  const client = (file: string): Environment => ({ KRB5_CONFIG: config, KRB5CCNAME: `FILE:${path.join(at, file)}` })
  yield* login(client("outdated"))
  yield* Command.run("kvno", services, { env: client("outdated") })
  // Makes new keys.
  yield* admin("ktadd", "-k", keytab, ...services)
  yield* Command.run("chown", ["--recursive", `${user.uid}:${user.gid}`, keys])
  yield* Command.run("chmod", ["700", keys])
  yield* login(client("ticket"))
  return {
    server: { KRB5_CONFIG: config, KRB5_KTNAME: `FILE:${keytab}` },
    client: client("ticket"),
    outdated: client("outdated"),
    stranger: client("none")
  }
})

/** Runs an effect in an environment. The Kerberos library looks there each time it begins a context. */
export const inside = (environment: Environment) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = Object.keys(environment).map((name) => [name, process.env[name]] as const)
      Object.assign(process.env, environment)
      return before
    }),
    () => effect,
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )
