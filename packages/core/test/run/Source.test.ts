/**
 * Content from everywhere: the same octets arrive, no more of it is pulled than can be written, it is
 * let go in every case, and one that fails delivers nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient } from "@postern/core"
import { ServerMachine, VirtualTime } from "@postern/testing"
import { Effect, Fiber, Queue, Result, Stream } from "effect"
import * as fc from "fast-check"
import { chunking } from "../../../testing/src/generate/Arbitraries.ts"
import { narrow } from "./narrow.ts"
import { latin1, letter, onTheWire, sendAll, site, tag, type Way } from "./sending.ts"

const ways: ReadonlyArray<Way> = ["CHUNKING", "DATA", "neither PIPELINING nor CHUNKING", "LMTP"]

async function* iterated(pieces: ReadonlyArray<Uint8Array | string>) {
  for (const piece of pieces) yield piece
}

const web = (pieces: ReadonlyArray<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    }
  })

const sources: Readonly<Record<string, (pieces: ReadonlyArray<Uint8Array>) => SmtpClient.Message["content"]>> = {
  "an Effect stream": (pieces) => Stream.fromIterable(pieces, { chunkSize: 3 }),
  "an Effect stream of single pieces": (pieces) => Stream.rechunk(Stream.fromIterable(pieces), 1),
  "an async iterable": iterated,
  "a web stream": web,
  "a stream with its size": (pieces) => ({
    stream: iterated(pieces),
    size: onTheWire(latin1(Buffer.concat(pieces))).length
  })
}

const soup = fc.array(
  fc.constantFrom("\r\n", "\r", "\n", ".", "\r\n.\r\n", "\n.\n", "x", "word ", "\0", "\t", "\xff", "\xe9"),
  { maxLength: 60 }
).map((parts) => Buffer.from(`\n${parts.join("")}`, "latin1"))

describe.each(ways)("content by %s", (way) => {
  it.each(Object.entries(sources))("of %s is what the octets would be, however it is cut", (_, source) =>
    fc.assert(
      fc.asyncProperty(soup, chunking, (octets, cut) =>
        Effect.runPromise(Effect.gen(function*() {
          const { client, inbox } = yield* site(way)
          yield* client.send({ from: null, to: "ben@b.example", content: octets })
          yield* client.send({ from: null, to: "ben@b.example", content: source(cut(octets)) })
          const [whole, made] = (yield* inbox).map(({ content }) => latin1(content))
          assert.strictEqual(whole, onTheWire(latin1(octets)))
          assert.strictEqual(made, whole)
        }))),
      { numRuns: 25, seed: 5321 }
    ))

  it.effect("of text in pieces, of nothing, of empty pieces, of large ones", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way)
      const large = "0123456789abcd\r\n".repeat(20_000)
      const contents = [
        iterated(["Subject: x\n", "", "\né", "\n"]),
        iterated([]),
        Stream.empty,
        Stream.make(new Uint8Array(0), new Uint8Array(0)),
        web([]),
        Stream.make(Buffer.from(large)),
        Stream.fromIterable(large.match(/[^]{1,1000}/g) ?? []).pipe(Stream.encodeText)
      ]
      for (const content of contents) yield* client.send({ from: null, to: "ben@b.example", content })
      assert.deepStrictEqual((yield* inbox).map(({ content }) => latin1(content)), [
        latin1(Buffer.from("Subject: x\r\n\r\né\r\n")),
        "",
        "",
        "",
        "",
        large,
        large
      ])
    }))

  it.effect("that fails delivers nothing, and tells why", () =>
    Effect.gen(function*() {
      const text = Stream.encodeText(Stream.make("Subject: x\n\n", "x\n"))
      const failing: Readonly<Record<string, SmtpClient.Message["content"]>> = {
        "at once": Stream.fail(new Error("no such file")),
        "later": Stream.concat(text, Stream.fail(new Error("no such file"))),
        "after much": Stream.concat(
          Stream.fromIterable(Array.from({ length: 40 }, () => Buffer.from("line\n".repeat(5000)))),
          Stream.fail("no such file")
        ),
        "by a defect": Stream.concat(text, Stream.die(new Error("no such file"))),
        "as an iterable": (async function*() {
          yield "x\n"
          throw new Error("no such file")
        })(),
        "as a web stream": new ReadableStream<Uint8Array>({
          start: (controller) => {
            controller.enqueue(Buffer.from("x\n"))
            controller.error(new Error("no such file"))
          }
        })
      }
      for (const [what, content] of Object.entries(failing)) {
        const { client, inbox, open, sessions } = yield* site(way)
        const error = yield* Effect.flip(client.send({ from: null, to: "ben@b.example", content }))
        assert.deepStrictEqual(error.reason, { _tag: "ContentUnavailable", detail: "no such file" }, what)
        assert.lengthOf(yield* inbox, 0, what)
        assert.strictEqual(yield* open, 0, what)
        const said = (yield* sessions)[0]?.commands.map(({ _tag }) => _tag) ?? []
        // After DATA nothing may be said any more; after BDAT the transaction can be given up.
        const chunked = way === "CHUNKING" || way === "LMTP"
        const begun = said.includes("Mail")
        assert.strictEqual(said.includes("Rset"), begun && chunked, `${what}: ${said}`)
        assert.strictEqual(said.includes("Quit"), !begun || chunked, `${what}: ${said}`)
      }
    }))

  it.effect("that fails is no reason not to send the others", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way)
      const failing = () => Stream.concat(Stream.encodeText(Stream.make("x\n")), Stream.fail(new Error("gone")))
      const made = (i: number) => Stream.encodeText(Stream.make(`Subject: ${i}\n\n`, "made\n"))
      const results = yield* sendAll(client, [
        letter(0),
        letter(1, { content: failing() }),
        letter(2),
        letter(3, { content: failing() }),
        letter(4, { content: made(4) }),
        letter(5, { content: failing() }),
        letter(6, { content: failing() }),
        letter(7, { content: made(7) })
      ])
      const gone = "ContentUnavailable"
      assert.deepStrictEqual(results.map(tag), ["sent", gone, "sent", gone, "sent", gone, gone, "sent"])
      assert.deepStrictEqual(
        (yield* inbox).map(({ content }) => /^Subject: (\d)/.exec(latin1(content))?.[1]),
        ["0", "2", "4", "7"]
      )
    }))

  it.effect("is let go when its message is settled, not when the last of them is", () =>
    Effect.gen(function*() {
      const { client } = yield* site(way, { unknownUsers: ["ghost@b.example"], maxSize: 100_000 })
      const held = new Set<number>()
      const watched = (i: number, text: string, end: Stream.Stream<Uint8Array, string> = Stream.empty) =>
        Stream.unwrap(Effect.sync(() => {
          held.add(i)
          return Stream.concat(Stream.encodeText(Stream.make(`Subject: ${i}\n\n`, text)), end)
        })).pipe(Stream.ensuring(Effect.sync(() => void held.delete(i))))
      const endless = Stream.fromEffectRepeat(Effect.sync(() => Buffer.from("line\n".repeat(1000))))
      const messages = [
        letter(0, { content: watched(0, "x\n") }),
        letter(1, { content: watched(1, "x\n", Stream.fail("gone")) }),
        letter(2, { to: "ghost@b.example", content: watched(2, "x\n") }),
        letter(3, { content: watched(3, "x\n", Stream.take(endless, 200)) }),
        letter(4, { to: "none", content: watched(4, "x\n") }),
        letter(5)
      ]
      const seen: Array<readonly [string, ReadonlyArray<number>]> = []
      yield* Stream.runForEach(
        // Each message comes when the one before is settled.
        client.sendAll(Stream.rechunk(Stream.fromIterable(messages), 1)),
        (sent) => Effect.sync(() => void seen.push([tag(sent), [...held].filter((i) => i < seen.length)]))
      )
      assert.deepStrictEqual(seen.map(([tag]) => tag), [
        "sent",
        "ContentUnavailable",
        "RecipientsRefused",
        "TooLarge",
        "InvalidInput",
        "sent"
      ])
      assert.deepStrictEqual(seen.map(([, held]) => held), seen.map(() => []))
      assert.deepStrictEqual([...held], [])
    }))

  it.effect("with octets above 127 for a server without 8BITMIME is not sent", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way, { extensions: ["PIPELINING", "CHUNKING", "SIZE"] })
      const content = Stream.fromIterable([Buffer.from("Subject: x\n\n"), Buffer.from("caf\xe9\n", "latin1")])
      const error = yield* Effect.flip(client.send({ from: null, to: "ben@b.example", content }))
      assert.deepInclude(error.reason, { _tag: "ExtensionMissing", extension: "8BITMIME" })
      assert.lengthOf(yield* inbox, 0)
      assert.strictEqual(yield* open, 0)
      const results = yield* sendAll(client, [
        letter(0, { content: Stream.rechunk(Stream.fromIterable([Buffer.from("x\n"), Uint8Array.of(200)]), 1) }),
        letter(1)
      ])
      assert.deepStrictEqual(results.map(tag), ["ExtensionMissing", "sent"])
    }))

  it.effect("whose size is known to be too large is not sent, and at most its beginning is looked at", () =>
    Effect.gen(function*() {
      let pulled = 0
      const { client, inbox } = yield* site(way, { maxSize: 1000 })
      const stream = Stream.sync(() => {
        pulled++
        return Buffer.from("x\n")
      })
      const error = yield* Effect.flip(
        client.send({ from: null, to: "ben@b.example", content: { stream, size: 1001 } })
      )
      assert.deepInclude(error.reason, { _tag: "TooLarge", size: 1001, limit: 1000 })
      assert.isAtMost(pulled, 1)
      yield* client.send({ from: null, to: "ben@b.example", content: { stream, size: 3 } })
      assert.lengthOf(yield* inbox, 1)
    }))

  it.effect("for nobody is not read on, and refused content is let go at once", () =>
    Effect.gen(function*() {
      let pulled = 0
      let released = 0
      const watched = Stream.fromEffectRepeat(Effect.sync(() => {
        pulled++
        return Buffer.from("line\n".repeat(1000))
      })).pipe(Stream.take(1000), Stream.ensuring(Effect.sync(() => void released++)))
      const { client, inbox, open } = yield* site(way, { unknownUsers: ["ghost@b.example"], maxSize: 100_000 })
      yield* Effect.flip(client.send({ from: null, to: "ghost@b.example", content: watched }))
      assert.isAtMost(pulled, 1)
      assert.strictEqual(released, pulled, "let go where it was looked at")
      pulled = 0
      released = 0
      const error = yield* Effect.flip(client.send({ from: null, to: "ben@b.example", content: watched }))
      assert.strictEqual(error.reason._tag, "TooLarge")
      assert.strictEqual(released, 1)
      if (way === "CHUNKING" || way === "LMTP") assert.isBelow(pulled, 100)
      assert.lengthOf(yield* inbox, 0)
      assert.strictEqual(yield* open, 0)
    }))
})

describe.each(["CHUNKING", "DATA"] as const)("content that is made on the way, by %s", (way) => {
  const client = SmtpClient.make({
    endpoint: "mx.example:25",
    security: "plain",
    ...way === "DATA" ? { without: ["CHUNKING"] } : {}
  })

  it.effect("is pulled no faster than it is written, and let go when it is interrupted", () =>
    Effect.gen(function*() {
      const { full, layer, open, seen } = yield* narrow(1_000_000)
      const block = Buffer.from("0123456789abcd\r\n".repeat(4096))
      let pulled = 0
      let released = 0
      const content = Stream.fromEffectRepeat(Effect.sync(() => {
        pulled++
        return block
      })).pipe(Stream.ensuring(Effect.sync(() => void released++)))
      const fiber = yield* Effect.forkChild(
        Effect.flatMap(client, (client) => client.send({ from: null, to: "ben@b.example", content })).pipe(
          Effect.provide(layer)
        )
      )
      yield* full
      assert.isAbove(pulled, 10)
      assert.isAtMost(pulled, Math.ceil(seen.written / block.length) + 3)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(released, 1)
      assert.strictEqual(yield* open, 0)
    }))

  it("of an iterable: its return is called when the sending ends, whatever the end is", () =>
    Effect.gen(function*() {
      const { full, layer } = yield* narrow(400_000)
      let returned = 0
      async function* endless() {
        try {
          for (;;) yield "0123456789abcd\r\n".repeat(4096)
        } finally {
          returned++
        }
      }
      const sending = Effect.flatMap(client, (client) =>
        client.send({ from: null, to: "ben@b.example", content: endless() }))
      assert.strictEqual(yield* Effect.raceFirst(full, Effect.provide(sending, layer)), "full")
      assert.strictEqual(returned, 1)
    }).pipe(Effect.runPromise))

  it("of a web stream: it is cancelled when the sending ends", () =>
    Effect.gen(function*() {
      const { full, layer } = yield* narrow(400_000)
      let cancelled = 0
      let pulled = 0
      const endless = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          pulled++
          controller.enqueue(Buffer.from("0123456789abcd\r\n".repeat(4096)))
        },
        cancel: () => void cancelled++
      })
      const sending = Effect.flatMap(client, (client) =>
        client.send({ from: null, to: "ben@b.example", content: endless }))
      assert.strictEqual(yield* Effect.raceFirst(full, Effect.provide(sending, layer)), "full")
      assert.isAtMost(pulled, 12)
      assert.strictEqual(cancelled, 1)
    }).pipe(Effect.runPromise))

  it("that comes slowly does not end in a time limit of the server's replies", () =>
    Effect.gen(function*() {
      const { inbox, layer } = yield* narrow(Number.POSITIVE_INFINITY)
      const lines = yield* Queue.unbounded<Uint8Array>()
      for (let i = 0; i < 30; i++) yield* Queue.offer(lines, Buffer.from(`line ${i}\n`))
      const content = Stream.take(
        Stream.fromEffectRepeat(Effect.andThen(Effect.sleep("2 minutes"), Queue.take(lines))),
        30
      )
      const sent = yield* Effect.flatMap(client, (client) => client.send({ from: null, to: "ben@b.example", content }))
        .pipe(Effect.provide(layer), Effect.result)
      assert.isTrue(Result.isSuccess(sent))
      assert.lengthOf(latin1((yield* inbox)[0]?.content ?? new Uint8Array()).split("\r\n"), 31)
    }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise))
})

describe("binary content that is made on the way", () => {
  it.effect("arrives as it is", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site("CHUNKING", {
        extensions: [...ServerMachine.defaultExtensions, "BINARYMIME"]
      })
      const octets = Uint8Array.from({ length: 1000 }, (_, i) => i % 256)
      const pieces = Array.from({ length: 100 }, (_, i) => octets.subarray(i * 10, i * 10 + 10))
      yield* client.send({ from: null, to: "ben@b.example", content: Stream.fromIterable(pieces), binary: true })
      yield* client.send({
        from: null,
        to: "ben@b.example",
        content: Stream.rechunk(Stream.fromIterable(pieces), 1),
        binary: true
      })
      for (const { content } of yield* inbox) assert.deepStrictEqual(new Uint8Array(content), octets)
      assert.lengthOf(yield* inbox, 2)
    }))

  it.effect("needs SMTPUTF8 for what its header has, as text does", () =>
    Effect.gen(function*() {
      const extensions = [...ServerMachine.defaultExtensions.filter((each) => each !== "SMTPUTF8"), "BINARYMIME"]
      const { client, inbox } = yield* site("CHUNKING", { extensions })
      const content = Stream.encodeText(Stream.make("Subject: grüße\r\n\r\n", "x\r\n"))
      const { reason } = yield* Effect.flip(client.send({ from: null, to: "ben@b.example", content, binary: true }))
      assert.isTrue(reason._tag === "ExtensionMissing" && reason.extension === "SMTPUTF8")
      assert.lengthOf(yield* inbox, 0)
    }))
})
