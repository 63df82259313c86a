/**
 * What the content of a message may come from, and the body it becomes: memory, or a
 * stream that is pulled block by block while it is sent.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "../dialogue/Body.ts"
import * as Reason from "../outcome/Reason.ts"
import * as Command from "../wire/Command.ts"
import { blockSize } from "../wire/Content.ts"

/** A web `ReadableStream`. */
export interface Readable {
  readonly getReader: () => unknown
}

/** Content that comes piece by piece: an Effect `Stream`, a Node `Readable` or other async iterable, a web `ReadableStream`. */
export type Pieces = Stream.Stream<Uint8Array, unknown> | AsyncIterable<Uint8Array | string> | Readable

/** Pieces of which the size is known: the server can refuse what is too large before it is sent (RFC 1870). */
export interface Sized {
  readonly stream: Pieces
  /** Octets, with line ends as they are sent (CRLF). */
  readonly size: number
}

/** Content that the server fetches itself: the URL is one that it may read (RFC 4468, RFC 4467). */
export interface Remote {
  readonly burl: string
}

/** Content as it stands (header fields, empty line, body): octets, text (sent as UTF-8), or pieces. */
export type Source = Uint8Array | string | Pieces | Sized | Remote

const utf8 = new TextEncoder()

/** The body of a transaction for content in memory in memory; undefined for pieces. */
export const inMemory = (source: Source, binary: boolean): Body.Body | undefined => {
  if (source instanceof Uint8Array) return Body.octets(source, binary)
  return typeof source === "string" ? Body.octets(utf8.encode(source), binary) : undefined
}

/** The body of a transaction. Pieces are pulled when they are sent, and only once; they are released with the scope. */
export const body = (
  source: Source,
  binary: boolean
): Effect.Effect<Body.Body, Reason.Of<"InvalidInput">, Scope.Scope> => {
  const octets = inMemory(source, binary)
  if (octets !== undefined) return Effect.succeed(octets)
  if (isRemote(source)) {
    return Effect.fromResult(Result.mapBoth(Command.burl(source.burl, true), {
      onSuccess: (command): Body.Body => ({ _tag: "Url", command, facts: {}, binary: false }),
      onFailure: ({ problem }) => Reason.make("InvalidInput", { what: "the URL of the content", problem })
    }))
  }
  const sized = isSized(source) ? source : undefined
  const stream = streamOf(sized === undefined ? source as Pieces : sized.stream)
  const facts = sized === undefined ? {} : { size: sized.size }
  return Effect.map(
    Effect.flatMap(Effect.scope, Scope.fork),
    (scope): Body.Body => {
      const release = Scope.close(scope, Exit.void)
      return { _tag: "Blocks", ...peekable(blocks(stream, scope)), release, facts, binary }
    }
  )
}

const isRemote = (source: Source): source is Remote => typeof source === "object" && "burl" in source

const isSized = (source: Source): source is Sized =>
  typeof source === "object" && "stream" in source && "size" in source && typeof source.size === "number"

const streamOf = (pieces: Pieces): Stream.Stream<Uint8Array, unknown> => {
  if (Stream.isStream(pieces)) return pieces as Stream.Stream<Uint8Array, unknown>
  const read: Stream.Stream<Uint8Array | string, unknown> = Symbol.asyncIterator in pieces
    ? Stream.fromAsyncIterable(pieces as AsyncIterable<Uint8Array | string>, (error) => error)
    : Stream.fromReadableStream<Uint8Array, unknown>({ evaluate: () => pieces as never, onError: (error) => error })
  return Stream.map(read, (piece: Uint8Array | string) => typeof piece === "string" ? utf8.encode(piece) : piece)
}

// The next block each time, of pieces joined up to the size of a block. What holds the stream open is released at its
// end, or with the first failure.
const blocks = (
  stream: Stream.Stream<Uint8Array, unknown>,
  scope: Scope.Closeable
): Effect.Effect<Uint8Array | undefined, Reason.Reason> => {
  let pull: Effect.Effect<ReadonlyArray<Uint8Array>, unknown> | undefined
  let waiting: Array<Uint8Array> = []
  const more: Effect.Effect<Uint8Array | undefined, Reason.Reason> = Effect.suspend(() => {
    const piece = waiting.pop()
    if (piece !== undefined) return Effect.succeed(piece)
    const pulling = pull ?? Effect.flatMap(Scope.provide(Stream.toPull(stream), scope), (made) => pull = made)
    return Effect.matchCauseEffect(pulling, {
      onSuccess: (pieces) => {
        waiting = cut(pieces).toReversed()
        return more
      },
      onFailure: (cause) => {
        const ended = Pull.isDoneCause(cause)
        return Effect.andThen(
          Scope.close(scope, ended ? Exit.void : Exit.failCause(cause)),
          ended
            ? Effect.succeed(undefined)
            : Cause.hasInterrupts(cause)
            ? Effect.interrupt
            : Effect.fail(Reason.make("ContentUnavailable", { detail: problem(cause) }))
        )
      }
    })
  })
  return more
}

// The first block may be looked at before it is taken.
const peekable = (more: Effect.Effect<Uint8Array | undefined, Reason.Reason>) => {
  let first: { readonly block: Uint8Array | undefined } | undefined
  return {
    peek: Effect.suspend(() =>
      first !== undefined ? Effect.succeed(first.block) : Effect.map(more, (block) => {
        first = { block }
        return block
      })
    ),
    next: Effect.suspend(() => {
      if (first === undefined) return more
      const { block } = first
      first = undefined
      return Effect.succeed(block)
    })
  }
}

const problem = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

// Small pieces together make a block, large ones several.
const cut = (pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const blocks: Array<Uint8Array> = []
  let some: Array<Uint8Array> = []
  let length = 0
  const flush = (): void => {
    if (length > 0) blocks.push(joined(some, length))
    some = []
    length = 0
  }
  for (const piece of pieces) {
    if (length + piece.length > blockSize) flush()
    if (piece.length < blockSize) {
      some.push(piece)
      length += piece.length
      continue
    }
    for (let at = 0; at < piece.length; at += blockSize) blocks.push(piece.subarray(at, at + blockSize))
  }
  flush()
  return blocks
}

const joined = (pieces: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined) return only
  const out = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}
