/**
 * Servers that are libraries: a program beside this module runs one, by settings from a file.
 */
import { Effect, Path } from "effect"
import { randomUUID } from "node:crypto"
import { fileURLToPath } from "node:url"
import * as Daemon from "../machine/Daemon.ts"
import type { Unavailable } from "../machine/Debian.ts"
import { endOf, freePorts, ground, hostname } from "../machine/Ground.ts"
import * as Maildir from "./Maildir.ts"
import { account, domain, type Features, type Kind, localParts, named, type Needs } from "./Server.ts"

/** One of them. */
export interface Library {
  readonly name: string
  /** All of `ports` are opened. */
  readonly has: Features & { readonly size: number }
  /** What runs the program. */
  readonly command: string
  /** The file of the program; its argument is the file of its settings. */
  readonly program: string
  /** Sees to it that the library is there, and gives its version. */
  readonly installed: Effect.Effect<string, Unavailable, Needs>
}

/** The kind of server that it makes. */
export const kind = ({ command, has, installed, name, program }: Library): Kind => ({
  name,
  has,
  setUp: ({ identities, identity = identities.good, idle = 300 }) =>
    named(name)(Effect.gen(function*() {
      const path = yield* Path.Path
      const version = yield* installed
      const here = yield* ground(program.replace(/\W.*/, ""))
      const mail = yield* here.directory("mail")
      yield* here.directory("mail/tmp")
      yield* here.directory("mail/new")
      const log = path.join(here.folder, "log")
      const [startTls = 0, tls = 0, plain = 0, submission = 0, lmtp = 0] = yield* freePorts(5)
      const ports = { startTls, tls, plain, submission, lmtp }
      const token = randomUUID()
      const settings = {
        hostname,
        domain,
        user: account.user,
        password: account.password,
        token,
        unknown: localParts.unknown,
        later: localParts.later,
        size: has.size,
        idle,
        mail,
        log,
        ports,
        certificate: yield* here.write("server.pem", identity.certificate),
        key: yield* here.write("server.key", identity.key, 0o600),
        ca: yield* here.write("ca.pem", identities.ca)
      }
      const file = yield* here.write("settings.json", JSON.stringify(settings), 0o600)
      return {
        name,
        version,
        ports,
        token,
        run: named(name)(Daemon.start({
          name,
          command,
          args: [fileURLToPath(new URL(program, import.meta.url)), file],
          answers: Object.values(ports),
          log
        })),
        mailbox: Maildir.asStored(mail),
        log: endOf(log)
      }
    }))
})
