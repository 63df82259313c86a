/**
 * Debian 13, for servers that the machine's own release has not, or has only one of at a time.
 */
import { Effect, FileSystem, Path, type Scope, Semaphore } from "effect"
import { fileURLToPath } from "node:url"
import * as Command from "../machine/Command.ts"
import * as Debian from "../machine/Debian.ts"
import { type Ground, ground, type Owner } from "../machine/Ground.ts"
import type { Needs } from "./Server.ts"

/** All that is run of it; one folder holds them all. */
const packages = [
  "exim4-daemon-heavy",
  "opensmtpd",
  "dovecot-submissiond",
  "dovecot-lmtpd",
  // SCRAM for Exim, and what writes its passwords.
  "libsasl2-modules",
  "sasl2-bin"
]

const folder = fileURLToPath(new URL("../../.tmp/interop/trixie", import.meta.url))

/** Users that the servers run as. Nothing was configured, so there are none but these. */
const users = {
  root: { uid: 0, gid: 0 },
  nobody: { uid: 65_534, gid: 65_534 },
  mail: { uid: 64_001, gid: 64_001 },
  "Debian-exim": { uid: 64_002, gid: 64_002 },
  dovecot: { uid: 64_003, gid: 64_003 },
  dovenull: { uid: 64_004, gid: 64_004 },
  opensmtpd: { uid: 64_005, gid: 64_005 },
  opensmtpq: { uid: 64_006, gid: 64_006 }
} as const satisfies Record<string, Owner>

export const owner = (name: keyof typeof users): Owner => users[name]

/** A Debian of its own for one server: a ground whose folder is the root of what runs in it. */
export interface Trixie extends Ground {
  /** Upstream's version of one of the packages. */
  readonly version: (name: string) => string
  /** How a program of it is started; paths are as seen from inside. */
  readonly inside: (command: string, ...args: ReadonlyArray<string>) => {
    readonly command: string
    readonly args: ReadonlyArray<string>
  }
  /** Where a file is, seen from outside. */
  readonly outside: (name: string) => string
}

// Two at once would unpack into the same folder.
const alone = Semaphore.makeUnsafe(1)

/**
 * Several servers have places that no setting moves (OpenSMTPD its queue and its control
 * socket), so each gets a root of hard links: a tenth of a second, and no room.
 * What a package brought is one file for all of them, and not to be written to.
 */
export const trixie = Effect.fnUntraced(function*(
  name: string
): Effect.fn.Return<Trixie, Debian.Unavailable | Command.CommandError, Needs | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { root, versions } = yield* alone.withPermit(Debian.beside("trixie", packages, folder))
  const here = yield* ground(name, folder)
  yield* Command.run("cp", ["--archive", "--link", `${root}/.`, here.folder])
  // cp gave it the mode of the other one.
  yield* Effect.orDie(fs.chmod(here.folder, 0o755))
  const entries = Object.entries(users)
  yield* here.write(
    "etc/passwd",
    entries.map(([name, { gid, uid }]) => `${name}:x:${uid}:${gid}::/srv:/bin/sh\n`).join("")
  )
  yield* here.write("etc/group", entries.map(([name, { gid }]) => `${name}:x:${gid}:\n`).join(""))
  for (const [device, minor] of Object.entries({ null: "3", zero: "5", random: "8", urandom: "9" })) {
    yield* Command.run("mknod", ["--mode=666", path.join(here.folder, "dev", device), "c", "1", minor])
  }
  yield* Effect.orDie(fs.chmod(yield* here.directory("tmp"), 0o1777))
  yield* here.directory("srv")
  return {
    ...here,
    version: (name) => Debian.upstream(versions[name] ?? ""),
    inside: (command, ...args) => ({ command: "chroot", args: [here.folder, command, ...args] }),
    outside: (name) => path.join(here.folder, name)
  }
})
