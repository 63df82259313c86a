/**
 * Messages as servers leave them in Maildir folders, and in folders of single files.
 */
import { Effect, FileSystem, Path } from "effect"
import type { Arrived } from "./Server.ts"

/** Every message under a folder, however deep; of a Maildir what is not complete (`tmp`) is left out. */
export const messages = (
  folder: string
): Effect.Effect<ReadonlyArray<Arrived>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(asStored(folder), (all) => all.map(({ octets }) => ({ octets: withCrlf(octets) })))

/** The same, of servers that store what came octet for octet. */
export const asStored = (
  folder: string
): Effect.Effect<ReadonlyArray<Arrived>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* Effect.orElseSucceed(fs.readDirectory(folder, { recursive: true }), () => [])
    const files = names.filter((name) => /(^|\/)(new|cur)\/[^/]+$/.test(name))
    return yield* Effect.forEach(
      files,
      (name) => Effect.map(fs.readFile(path.join(folder, name)), (octets) => ({ octets })),
      { concurrency: 16 }
    )
  }).pipe(Effect.orDie)

/** CRLF for each LF that stands alone: on disk lines end in LF. */
export const withCrlf = (octets: Uint8Array): Uint8Array =>
  Buffer.from(Buffer.from(octets).toString("latin1").replaceAll(/(?<!\r)\n/g, "\r\n"), "latin1")
