/**
 * Message content from where Node has it: a file, or a `Readable`. Both are read as fast as
 * the content is sent and no faster.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import type { Readable } from "node:stream"
import * as TlsProblem from "./TlsProblem.ts"

/** What can be wrong with a source: a path leads nowhere, or to what is no file; or there is no reading it. */
export type ContentProblem = "NotFound" | "NotAFile" | "Unreadable"

/** Content could not be read; `code` is the platform's (`ENOENT`, `EACCES`, `EIO`, …). */
export class ContentError extends Data.TaggedError("ContentError")<{
  readonly problem: ContentProblem
  readonly code: string
  readonly detail: string
}> {
  override get message() {
    return `the content cannot be read: ${this.detail}`
  }
}

/** Content of known length. */
export interface FileContent {
  /** Opens the file when it is run, and closes it at the end: it may be run again. */
  readonly stream: Stream.Stream<Uint8Array, ContentError>
  /** Octets, as RFC 1870 has them when the file's lines already end in CRLF. */
  readonly size: number
}

/** Blocks large enough that a block's cost is that of its bytes. */
const blockSize = 256 * 1024

/**
 * The content of a file, in blocks of 256 KiB: a file of any size takes a few of them in
 * memory. Fails with `ContentError`: `NotFound`, `NotAFile` for a directory or device, `Unreadable`.
 * The stream fails with it, too, when the file is gone or unreadable by then, or is no
 * longer of the size it had.
 *
 * @example
 * ```ts
 * import { NodeContent } from "@postern/node"
 * import { Effect, Stream } from "effect"
 *
 * export const octets = Effect.gen(function*() {
 *   const { size, stream } = yield* NodeContent.file("message.eml")
 *   const read = yield* Stream.runFold(stream, () => 0, (sum, block) => sum + block.length)
 *   return read === size
 * })
 * ```
 */
export const file = Effect.fnUntraced(function*(path: string): Effect.fn.Return<FileContent, ContentError> {
  const stats = yield* Effect.tryPromise({ try: () => stat(path), catch: unreadable })
  if (!stats.isFile()) {
    const code = stats.isDirectory() ? "EISDIR" : "EINVAL"
    const what = stats.isDirectory() ? "a directory" : "a device, pipe or socket: `readable` takes its stream"
    return yield* new ContentError({ problem: "NotAFile", code, detail: `${path} is ${what}` })
  }
  const { size } = stats
  const stream = fromNode(() => createReadStream(path, { highWaterMark: blockSize }))
  return { size, stream: ofSize(stream, size, path) }
})

/** What a `SIZE` announced, and a last chunk's length, must hold: a file that is written to meanwhile is no message. */
const ofSize = (stream: Stream.Stream<Uint8Array, ContentError>, size: number, path: string) => {
  const changed = () =>
    new ContentError({ problem: "Unreadable", code: "ESTALE", detail: `${path} was changed meanwhile` })
  return Stream.suspend(() => {
    let read = 0
    const counted = Stream.mapEffect(stream, (block) => {
      read += block.length
      return read > size ? Effect.fail(changed()) : Effect.succeed(block)
    })
    return Stream.concat(counted, Stream.suspend(() => read === size ? Stream.empty : Stream.fail(changed())))
  })
}

/**
 * The content that a Node `Readable` gives, as bytes or as strings (sent as UTF-8). The
 * `Readable` is destroyed at the end, also when the stream is left early: the stream is run
 * once. Fails with `ContentError` (`Unreadable`) when the `Readable` fails, is closed before
 * its end, gives something else, or has ended before.
 *
 * @example
 * ```ts
 * import { NodeContent } from "@postern/node"
 * import { createReadStream } from "node:fs"
 * import { createGunzip } from "node:zlib"
 *
 * export const content = NodeContent.readable(createReadStream("message.eml.gz").pipe(createGunzip()))
 * ```
 */
export const readable = (readable: Readable): Stream.Stream<Uint8Array, ContentError> => fromNode(() => readable)

const fromNode = (open: () => Readable): Stream.Stream<Uint8Array, ContentError> =>
  Stream.unwrap(Effect.map(
    // An iterator that waits does not end its source when it is left; destroying the source ends both.
    Effect.acquireRelease(Effect.sync(open), (source) => Effect.sync(() => source.destroy())),
    (source) =>
      source.readableEnded || source.destroyed
        ? Stream.fail(unreadable(source.errored ?? new Error("it was read to the end or closed before")))
        : Stream.mapEffect(Stream.fromAsyncIterable<unknown, ContentError>(source, unreadable), toBytes)
  ))

const encoder = new TextEncoder()

const toBytes = (chunk: unknown): Effect.Effect<Uint8Array, ContentError> =>
  chunk instanceof Uint8Array
    ? Effect.succeed(chunk)
    : typeof chunk === "string"
    ? Effect.succeed(encoder.encode(chunk))
    : Effect.fail(unreadable(new TypeError(`it gives neither bytes nor strings but ${typeof chunk}`)))

const unreadable = (cause: unknown): ContentError => {
  const error: TlsProblem.NodeError = cause instanceof Error ? cause : new Error(String(cause))
  const code = TlsProblem.code(error)
  const problem = code === "ENOENT" || code === "ENOTDIR" ? "NotFound" : code === "EISDIR" ? "NotAFile" : "Unreadable"
  return new ContentError({ problem, code, detail: TlsProblem.detail(error) })
}
