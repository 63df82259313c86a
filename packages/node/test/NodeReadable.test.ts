/**
 * A Node `Readable` as the content of a message: the octets arrive, it is held back, and destroyed
 * in every case.
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient } from "@postern/core"
import { Effect, Stream } from "effect"
import { PassThrough, Readable } from "node:stream"
import { createGzip, gunzipSync } from "node:zlib"
import { narrow } from "../../core/test/run/narrow.ts"

const latin1 = (octets: Uint8Array | undefined) => Buffer.from(octets ?? []).toString("latin1")

const ways = { CHUNKING: [], DATA: ["CHUNKING"] } as const

const make = Effect.fnUntraced(function*(way: keyof typeof ways, most = Number.POSITIVE_INFINITY) {
  const server = yield* narrow(most)
  const client = yield* SmtpClient.make({ endpoint: "mx.example:25", security: "plain", without: ways[way] }).pipe(
    Effect.provide(server.layer)
  )
  return { ...server, client }
})

const message = (content: SmtpClient.Message["content"]): SmtpClient.Message => ({
  from: "ann@a.example",
  to: "ben@b.example",
  content
})

describe.each(["CHUNKING", "DATA"] as const)("a Readable by %s", (way) => {
  it.live("arrives as it is: text, octets, through other streams", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* make(way)
      const through = new PassThrough()
      const text = "0123456789abcd\r\n".repeat(30_000)
      Readable.from([Buffer.from(text.slice(0, 100_001)), Buffer.from(text.slice(100_001))]).pipe(through)
      const zipped = Readable.from([Buffer.from("x\n".repeat(1000))]).pipe(createGzip()).setEncoding("base64")
      yield* client.send(message(Readable.from(["Subject: x\n\n", "é\n", ".\n"])))
      yield* client.send(message(through))
      yield* client.send(message(Readable.from([])))
      // Read by its characters, four of which are three octets, it would be one long line.
      const lines = Readable.from((async function*() {
        let rest = ""
        for await (const part of zipped) {
          rest += String(part)
          while (rest.length >= 76) {
            yield `${rest.slice(0, 76)}\n`
            rest = rest.slice(76)
          }
        }
        yield rest
      })())
      yield* client.send(message(lines))
      const received = (yield* inbox).map(({ content }) => content)
      assert.deepStrictEqual(received.slice(0, 3).map((each) => Buffer.from(each).toString()), [
        "Subject: x\r\n\r\né\r\n.\r\n",
        text,
        ""
      ])
      const unzipped = gunzipSync(Buffer.from(latin1(received[3]).replaceAll("\r\n", ""), "base64")).toString()
      assert.strictEqual(unzipped, "x\n".repeat(1000))
    }))

  it.live("is held back by a server that takes no more, and destroyed when the sending is interrupted", () =>
    Effect.gen(function*() {
      const { client, full, open } = yield* make(way, 500_000)
      let read = 0
      const source = new Readable({
        highWaterMark: 65_536,
        read() {
          read++
          this.push(Buffer.from("0123456789abcd\r\n".repeat(4096)))
        }
      })
      assert.strictEqual(yield* Effect.raceFirst(full, client.send(message(source))), "full")
      assert.isAtMost(read, 20)
      assert.isTrue(source.destroyed)
      assert.strictEqual(yield* open, 0)
    }))

  it.live("that fails, or is destroyed, delivers nothing", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* make(way)
      const failing = new Readable({
        read() {
          this.push("x\n".repeat(100_000))
          this.destroy(new Error("no such file"))
        }
      })
      const { reason } = yield* Effect.flip(client.send(message(failing)))
      assert.deepStrictEqual(reason, { _tag: "ContentUnavailable", detail: "no such file" })
      const cut = new PassThrough()
      cut.write("x\n")
      setImmediate(() => cut.destroy())
      const closed = yield* Effect.flip(client.send(message(cut)))
      assert.strictEqual(closed.reason._tag, "ContentUnavailable")
      assert.lengthOf(yield* inbox, 0)
      assert.strictEqual(yield* open, 0)
    }))

  it.live("of a message among many", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* make(way)
      const messages = Array.from({ length: 30 }, (_, i) =>
        message(i % 4 === 0 ? Readable.from([`Subject: ${i}\n\n`, "made\n"]) : `Subject: ${i}\n\nx\n`))
      const results = yield* Stream.runCollect(client.sendAll(Stream.fromIterable(messages)))
      assert.isTrue(results.every(({ result }) =>
        result._tag === "Success"
      ))
      assert.deepStrictEqual(
        (yield* inbox).map(({ content }) => Number(/^Subject: (\d+)/.exec(latin1(content))?.[1])),
        messages.map((_, i) => i)
      )
    }))
})
