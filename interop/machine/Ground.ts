/**
 * What a server stands on: a folder of its own, free ports, certificates made at start.
 */
import { Certificates } from "@postern/testing"
import { Effect, FileSystem, Path, Redacted, type Scope } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import { createServer } from "node:net"
import * as Command from "./Command.ts"
import type { CommandError } from "./Command.ts"

/** A folder, and how to put files into it. */
export interface Ground {
  readonly folder: string
  /** Writes a file under the folder and gives its whole path. */
  readonly write: (name: string, text: string, mode?: number) => Effect.Effect<string>
  /** Makes a folder under it, for a user where one is named, and gives its whole path. */
  readonly directory: (name: string, owner?: Owner) => Effect.Effect<string>
}

/** Numbers of a user and a group. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The numbers of a user of this machine. */
export const owner = (name: string): Effect.Effect<Owner, CommandError, ChildProcessSpawner.ChildProcessSpawner> =>
  Effect.map(
    Effect.all([Command.run("id", ["-u", name]), Command.run("id", ["-g", name])]),
    ([uid, gid]) => ({ uid: Number(uid), gid: Number(gid) })
  )

/** A folder, under another where that is named, until the scope ends. Others may pass through it. */
export const ground = Effect.fnUntraced(
  function*(
    name: string,
    under?: string
  ): Effect.fn.Return<Ground, never, FileSystem.FileSystem | Path.Path | Scope.Scope> {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* Effect.orDie(fs.makeTempDirectoryScoped({
      prefix: `postern-${name}-`,
      ...(under === undefined ? {} : { directory: under })
    }))
    yield* Effect.orDie(fs.chmod(folder, 0o755))
    return {
      folder,
      write: (name, text, mode = 0o644) =>
        Effect.gen(function*() {
          const file = path.join(folder, name)
          yield* fs.makeDirectory(path.dirname(file), { recursive: true })
          yield* fs.writeFileString(file, text)
          yield* fs.chmod(file, mode)
          return file
        }).pipe(Effect.orDie),
      directory: (name, owner) =>
        Effect.gen(function*() {
          const made = path.join(folder, name)
          yield* fs.makeDirectory(made, { recursive: true })
          if (owner !== undefined) yield* fs.chown(made, owner.uid, owner.gid)
          return made
        }).pipe(Effect.orDie)
    }
  }
)

/** The end of what a server logged, for failures. */
export const endOf = (log: string): Effect.Effect<string, never, FileSystem.FileSystem> =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.map(Effect.orElseSucceed(fs.readFileString(log), () => ""), (text) => text.slice(-6000))
  )

/** Ports of loopback that nobody listens at now. */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.forEach(
    Array.from({ length: count }),
    () =>
      Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
        const server = createServer()
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = address !== null && typeof address === "object" ? address.port : 0
          resume(Effect.succeed({ port, close: () => server.close() }))
        })
      }),
    // All are held until the last is found, so that none is found twice.
    { concurrency: "unbounded" }
  ).pipe(Effect.map((held) =>
    held.map(({ close, port }) => {
      close()
      return port
    })
  ))

/** A server's identity, and who vouches for it. */
export interface Identity {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

/** Identities that a client must take or refuse. */
export interface Identities {
  /** What the client trusts, PEM. */
  readonly ca: string
  readonly good: Identity
  readonly expired: Identity
  readonly wrongName: Identity
  readonly unknownAuthority: Identity
  /** For a client, in the name of `ann`. */
  readonly client: Identity
}

/** The name that servers go by. */
export const hostname = "mail.example.test"

const plain = ({ certificate, key }: Certificates.Issued): Identity => ({ certificate, key: Redacted.value(key) })

/** Made anew. */
export const identities: Effect.Effect<Identities, Certificates.CertificateError> = Effect.gen(function*() {
  const authority = yield* Certificates.authority("postern interop")
  const stranger = yield* Certificates.authority("somebody else")
  const names = { name: hostname, dns: [hostname] }
  const day = 24 * 60 * 60 * 1000
  const now = Date.now()
  return {
    ca: authority.certificate,
    good: plain(yield* authority.issue(names)),
    expired: plain(yield* authority.issue({ ...names, notBefore: now - 9 * day, notAfter: now - 2 * day })),
    wrongName: plain(yield* authority.issue({ name: "other.example.test", dns: ["other.example.test"] })),
    unknownAuthority: plain(yield* stranger.issue(names)),
    client: plain(yield* authority.issue({ name: "ann", use: "client" }))
  }
})
