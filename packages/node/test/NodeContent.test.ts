import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import Fs, { appendFileSync, chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough, Readable } from "node:stream"
import { vi } from "vitest"
import { NodeContent } from "../src/index.ts"
import { eventually, turns } from "./support.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "postern-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const fileOf = (content: Uint8Array | string) =>
  Effect.map(folder, (path) => {
    const name = join(path, "message.eml")
    writeFileSync(name, content)
    return name
  })

const open = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("FS")).length

const block = 256 * 1024
const noise = (length: number) =>
  Buffer.alloc(length, Uint8Array.from({ length: 4093 }, (_, index) => (index * 2654435761) >>> 24))
const sha256 = (chunks: ReadonlyArray<Uint8Array>) =>
  chunks.reduce((hash, chunk) => hash.update(chunk), createHash("sha256")).digest("hex")

describe("file", () => {
  it.live.each([0, 1, block - 1, block, block + 1, 3 * block + 5])(
    "of %i octets, twice",
    (length) =>
      Effect.gen(function*() {
        const content = noise(length)
        const { size, stream } = yield* NodeContent.file(yield* fileOf(content))
        assert.strictEqual(size, length)
        for (let run = 0; run < 2; run++) {
          const blocks = yield* Stream.runCollect(stream)
          assert.strictEqual(sha256(blocks), sha256([content]))
          assert.strictEqual(blocks.length, Math.ceil(length / block))
        }
      })
  )

  it.live("keeps what was read before as it was", () =>
    Effect.gen(function*() {
      const content = noise(5 * block)
      const { stream } = yield* NodeContent.file(yield* fileOf(content))
      const seen: Array<readonly [Uint8Array, string]> = []
      yield* Stream.runForEach(stream, (chunk) => Effect.sync(() => seen.push([chunk, sha256([chunk])])))
      assert.isTrue(seen.every(([chunk, before]) => sha256([chunk]) === before))
    }))

  it.live("is read no faster than it is taken", () =>
    Effect.gen(function*() {
      const { stream } = yield* NodeContent.file(yield* fileOf(new Uint8Array(64 * block)))
      const read = vi.spyOn(Fs, "read")
      yield* Effect.addFinalizer(() => Effect.sync(() => read.mockRestore()))
      let taken = 0
      let ahead = 0
      yield* Stream.runForEach(stream, () =>
        Effect.andThen(
          turns(10),
          Effect.sync(() => {
            taken++
            ahead = Math.max(ahead, read.mock.calls.length - taken)
          })
        ))
      assert.strictEqual(taken, 64)
      assert.isAtLeast(read.mock.calls.length, 64)
      assert.isAtMost(ahead, 2)
    }))

  const problemOf = <A>(effect: Effect.Effect<A, NodeContent.ContentError>) =>
    Effect.map(Effect.flip(effect), ({ code, problem }) => [problem, code])

  it.live("that is none", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const missing = join(path, "missing")
      const error = yield* Effect.flip(NodeContent.file(missing))
      assert.strictEqual(
        error.message,
        `the content cannot be read: ENOENT: no such file or directory, stat '${missing}'`
      )
      assert.deepStrictEqual(yield* problemOf(NodeContent.file(missing)), ["NotFound", "ENOENT"])
      assert.deepStrictEqual(yield* problemOf(NodeContent.file(path)), ["NotAFile", "EISDIR"])
      assert.deepStrictEqual(yield* problemOf(NodeContent.file("/dev/null")), ["NotAFile", "EINVAL"])
      const file = yield* fileOf("x")
      assert.deepStrictEqual(yield* problemOf(NodeContent.file(join(file, "below"))), ["NotFound", "ENOTDIR"])
      assert.deepStrictEqual(yield* problemOf(NodeContent.file("a\0b")), ["Unreadable", "ERR_INVALID_ARG_VALUE"])
    }))

  it.live("that may not be read", () =>
    Effect.gen(function*() {
      const file = yield* fileOf("x")
      chmodSync(file, 0)
      // Root may read everything.
      const { stream } = yield* Effect.matchEffect(NodeContent.file(file), {
        onSuccess: Effect.succeed,
        onFailure: ({ code, problem }) => {
          assert.deepStrictEqual([problem, code], ["Unreadable", "EACCES"])
          return Effect.succeed({ stream: Stream.make(new Uint8Array(1)) })
        }
      })
      assert.lengthOf(yield* Stream.runCollect(stream), 1)
    }))

  it.live("that is gone, or another, by the time it is read", () =>
    Effect.gen(function*() {
      const file = yield* fileOf("x".repeat(1000))
      const { stream } = yield* NodeContent.file(file)
      appendFileSync(file, "y")
      assert.deepStrictEqual(yield* problemOf(Stream.runDrain(stream)), ["Unreadable", "ESTALE"])
      truncateSync(file, 999)
      assert.deepStrictEqual(yield* problemOf(Stream.runDrain(stream)), ["Unreadable", "ESTALE"])
      rmSync(file)
      assert.deepStrictEqual(yield* problemOf(Stream.runDrain(stream)), ["NotFound", "ENOENT"])
    }))

  it.live("that grows without end is given up at the first octet too many", () =>
    Effect.gen(function*() {
      const file = yield* fileOf(noise(block))
      const { stream } = yield* NodeContent.file(file)
      appendFileSync(file, noise(3 * block))
      let given = 0
      yield* Effect.flip(Stream.runForEach(stream, (chunk) => Effect.sync(() => given += chunk.length)))
      assert.strictEqual(given, block)
    }))

  it.live("is closed when the stream is left early", () =>
    Effect.gen(function*() {
      const { stream } = yield* NodeContent.file(yield* fileOf(noise(8 * block)))
      const first = yield* Stream.runCollect(Stream.take(stream, 1))
      assert.strictEqual(first[0]?.length, block)
      yield* eventually(() => open() === 0)
    }))
})

describe("readable", () => {
  it.live("gives bytes and strings", () =>
    Effect.gen(function*() {
      const source = Readable.from([Buffer.from("a\r\n"), "é", new Uint8Array([0xff])])
      const chunks = yield* Stream.runCollect(NodeContent.readable(source))
      assert.deepStrictEqual(Buffer.concat(chunks), Buffer.of(97, 13, 10, 0xc3, 0xa9, 0xff))
      assert.isTrue(source.destroyed)
    }))

  it.live("holds its source back", () =>
    Effect.gen(function*() {
      let made = 0
      const source = new Readable({
        highWaterMark: 4,
        read() {
          this.push(made++ < 1000 ? Buffer.from("x") : null)
        }
      })
      let taken = 0
      let ahead = 0
      yield* Stream.runForEach(NodeContent.readable(source), (chunk) =>
        Effect.andThen(
          turns(3),
          Effect.sync(() => {
            taken += chunk.length
            ahead = Math.max(ahead, made - taken)
          })
        ))
      assert.strictEqual(taken, 1000)
      assert.isAtMost(ahead, 5)
    }))

  it.live("destroys its source when it is left early, or interrupted while it waits", () =>
    Effect.gen(function*() {
      const plenty = Readable.from(Array.from({ length: 100 }, () => Buffer.from("x")))
      yield* Stream.runDrain(Stream.take(NodeContent.readable(plenty), 2))
      assert.isTrue(plenty.destroyed)
      const stalled = new PassThrough()
      const reader = yield* Effect.forkChild(Stream.runDrain(NodeContent.readable(stalled)), {
        startImmediately: true
      })
      yield* turns(5)
      yield* Fiber.interrupt(reader)
      assert.isTrue(stalled.destroyed)
    }))

  const failure = (source: Readable) =>
    Effect.map(Effect.flip(Stream.runDrain(NodeContent.readable(source))), ({ code, detail, problem }) => ({
      problem,
      code,
      detail
    }))

  it.live("fails as its source does, after what it gave", () =>
    Effect.gen(function*() {
      const source = new PassThrough()
      source.write("x")
      const seen: Array<string> = []
      const reader = yield* Effect.forkChild(
        Effect.flip(
          Stream.runForEach(NodeContent.readable(source), (chunk) => Effect.sync(() => seen.push(String(chunk))))
        ),
        { startImmediately: true }
      )
      yield* eventually(() => seen.length === 1)
      source.destroy(Object.assign(new Error("gone"), { code: "EIO" }))
      const error = yield* Fiber.join(reader)
      assert.deepInclude(error, { problem: "Unreadable", code: "EIO", detail: "gone" })
      assert.isTrue(source.destroyed)
    }))

  it.live("fails when its source failed, closed or ended before, or gives something else", () =>
    Effect.gen(function*() {
      const failed = new PassThrough().on("error", () => {})
      failed.destroy(new Error("gone"))
      assert.deepStrictEqual(yield* failure(failed), { problem: "Unreadable", code: "UNKNOWN", detail: "gone" })

      const before = "it was read to the end or closed before"
      const unread = { problem: "Unreadable", code: "UNKNOWN", detail: before } as const
      assert.deepStrictEqual(yield* failure(new PassThrough().destroy()), unread)

      const ended = Readable.from(["x"])
      ended.resume()
      yield* eventually(() => ended.readableEnded)
      assert.deepStrictEqual(yield* failure(ended), unread)

      const objects = yield* failure(Readable.from([{ a: 1 }]))
      assert.strictEqual(objects.detail, "it gives neither bytes nor strings but object")
    }))

  it.live("fails when its source is closed before its end", () =>
    Effect.gen(function*() {
      const source = new PassThrough()
      source.write("x")
      const reader = yield* Effect.forkChild(failure(source), { startImmediately: true })
      yield* turns(5)
      source.destroy()
      assert.strictEqual((yield* Fiber.join(reader)).code, "ERR_STREAM_PREMATURE_CLOSE")
    }))
})
