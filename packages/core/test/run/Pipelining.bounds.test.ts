/**
 * What is on its way at a time is bounded: neither side waits for ever for the other to read (RFC 2920
 * §3.1).
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient, Transport } from "@postern/core"
import { InMemory, ScriptedServer, VirtualTime } from "@postern/testing"
import { Effect, Layer, Stream } from "effect"
import { hearsBytes, lines, says, stalls } from "./scripted.ts"
import { exact, latin1, letters, sendAll, tag } from "./sending.ts"

const message: SmtpClient.Message = { from: "ann@a.example", to: "ben@b.example", content: "Subject: 1\n" }

/** A server that answers, as `answers` says, and counts what it has not answered. */
const counting = (answer: (line: string) => string, rules: { readonly most: number; readonly atOnce?: boolean }) => {
  const seen = { outstanding: 0, most: 0, replies: 0, deadlock: false }
  let unread = ""
  let buffer = ""
  let content = false
  const waiting = new Set<() => void>()
  const wake = () => {
    const all = [...waiting]
    waiting.clear()
    for (const each of all) each()
  }
  const later = <A>(again: Effect.Effect<A, Transport.TransportError>): Effect.Effect<A, Transport.TransportError> =>
    Effect.flatMap(
      Effect.callback<void>((resume) => {
        const go = () => resume(Effect.void)
        waiting.add(go)
        return Effect.sync(() => void waiting.delete(go))
      }),
      () => again
    )
  // It does not read on while nobody reads what it says.
  const handle = () => {
    for (;;) {
      if (unread.length > rules.most) return
      const end = buffer.indexOf(content ? "\r\n.\r\n" : "\r\n")
      if (end === -1) return
      const line = buffer.slice(0, end)
      buffer = buffer.slice(end + (content ? 5 : 2))
      const reply = answer(content ? "." : line)
      content = !content && line === "DATA" && reply.startsWith("354")
      seen.replies++
      unread += reply
    }
  }
  const wire: Transport.Wire = {
    read: Effect.suspend(function read(): Effect.Effect<Uint8Array, Transport.TransportError> {
      if (unread === "") return later(Effect.suspend(read))
      const octets = new TextEncoder().encode(unread)
      seen.outstanding -= unread.split("\r\n").length - 1
      unread = ""
      handle()
      wake()
      return Effect.succeed(octets)
    }),
    write: (octets) =>
      Effect.suspend(function write(): Effect.Effect<void, Transport.TransportError> {
        if (buffer.length > rules.most) return later(Effect.suspend(write))
        const text = latin1(octets)
        buffer += text
        if (!content) seen.outstanding += text.split("\r\n").length - 1
        seen.most = Math.max(seen.most, seen.outstanding)
        handle()
        wake()
        return Effect.void
      }),
    upgradeTls: () => Effect.die("no TLS here")
  }
  unread = "220 mx.example ESMTP\r\n"
  const transport = Transport.Transport.of({ open: () => Effect.succeed(wire) })
  return { seen, layer: Layer.succeed(Transport.Transport, transport) }
}

const polite = (line: string): string =>
  line.startsWith("EHLO")
    ? "250-mx.example\r\n250 PIPELINING\r\n"
    : line === "DATA"
    ? "354 go\r\n"
    : line === "QUIT"
    ? "221 bye\r\n"
    : `250 ${"x".repeat(400)}\r\n`

/** Replies that are as long as most are. */
const brief = (line: string): string => {
  const reply = polite(line)
  return reply.length > 400 ? "250 2.1.5 Ok\r\n" : reply
}

describe("many recipients", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => `to${i}@b.example`)

  // 300 replies fit into the room that sockets have, long ones as well.
  it.each(
    [[4500, "brief", brief], [130_000, "long", polite]] as const
  )(
    "do not block a wire with room for %i octets in either direction and %s replies",
    (most, _, answer) =>
      Effect.gen(function*() {
        const { layer, seen } = counting(answer, { most })
        const client = yield* SmtpClient.make({
          endpoint: "mx.example:25",
          security: "plain",
          domain: "client.example"
        })
          .pipe(Effect.provide(layer))
        const { outcomes } = yield* client.send({ ...message, to: many })
        assert.lengthOf(outcomes, many.length)
        assert.isTrue(outcomes.every(({ _tag }) => _tag === "Accepted"))
        assert.isAtMost(seen.most, 300)
      }).pipe(Effect.timeout("1 day"), Effect.provide(VirtualTime.layer()), Effect.runPromise)
  )

  it("are asked for in groups of 300 at most, to a server that answers only when all of a group is there", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({ maxRecipients: 20_000 })
      const sizes: Array<number> = []
      const watched: Transport.Transport["Service"] = {
        open: (peer) =>
          Effect.map(server.transport.open(peer), (wire) => ({
            ...wire,
            write: (octets) => {
              sizes.push(latin1(octets).split("\r\n").length - 1)
              return wire.write(octets)
            },
            read: wire.read,
            upgradeTls: wire.upgradeTls
          }))
      }
      const client = yield* SmtpClient.make({ endpoint: "mx.example:25", security: "plain" }).pipe(
        Effect.provideService(Transport.Transport, watched)
      )
      const { outcomes } = yield* client.send({ ...message, to: many })
      assert.isTrue(outcomes.every(({ _tag }) => _tag === "Accepted"))
      assert.isAtMost(Math.max(...sizes), 301)
      assert.isAbove(Math.max(...sizes), 100)
      assert.lengthOf((yield* server.inbox)[0]?.forwardPaths ?? [], many.length)
    }).pipe(Effect.timeout("1 day"), Effect.provide(VirtualTime.layer()), Effect.runPromise))
})

describe("many messages", () => {
  it.each([100, 4096])(
    "do not block a wire with room for %i octets in either direction",
    (most) =>
      Effect.gen(function*() {
        const { layer, seen } = counting(polite, { most })
        const client = yield* SmtpClient.make({
          endpoint: "mx.example:25",
          security: "plain",
          domain: "client.example"
        })
          .pipe(Effect.provide(layer))
        const results = yield* sendAll(client, letters(300))
        assert.isTrue(results.every((sent) => tag(sent) === "sent"))
        assert.isAtMost(seen.most, 300)
      }).pipe(Effect.timeout("1 day"), Effect.provide(VirtualTime.layer()), Effect.runPromise)
  )

  it("a window of whole messages has at most 300 replies outstanding", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({})
      const seen = { outstanding: 0, most: 0 }
      const watched: Transport.Transport["Service"] = {
        open: (peer) =>
          Effect.map(server.transport.open(peer), (wire) => ({
            write: (octets) => {
              seen.outstanding += latin1(octets).match(/^(?:EHLO|MAIL|RCPT|BDAT|RSET|QUIT)\b/gm)?.length ?? 0
              seen.most = Math.max(seen.most, seen.outstanding)
              return wire.write(octets)
            },
            read: Effect.tap(wire.read, (octets) =>
              Effect.sync(() => {
                seen.outstanding -= latin1(octets).match(/^\d{3} .*\r\n/gm)?.length ?? 0
              })),
            upgradeTls: wire.upgradeTls
          }))
      }
      const client = yield* SmtpClient.make({ endpoint: "mx.example:25", security: "plain" }).pipe(
        Effect.provideService(Transport.Transport, watched)
      )
      const results = yield* Stream.runCollect(client.sendAll(Stream.fromIterable(letters(1000))))
      exact(results, yield* server.inbox)
      assert.isAtMost(seen.most, 301)
      assert.isAbove(seen.most, 100)
    }).pipe(Effect.timeout("1 day"), Effect.provide(VirtualTime.layer()), Effect.runPromise))

  it("a silent server is left after the time limit, with as many as are on their way", () =>
    Effect.gen(function*() {
      const one = `${lines("MAIL FROM:<ann@a.example>", "RCPT TO:<ben@b.example>")}BDAT 12 LAST\r\nSubject: 1\r\n`
      const server = ScriptedServer.make([[
        says("220 mx.example ESMTP"),
        hearsBytes("EHLO client.example\r\n"),
        says("250-mx.example", "250-PIPELINING", "250 CHUNKING"),
        hearsBytes(`${one}RSET\r\n${one}`),
        stalls
      ]])
      const client = yield* SmtpClient.make({ endpoint: "mx.example:25", security: "plain", domain: "client.example" })
        .pipe(Effect.provide(server.layer))
      assert.deepStrictEqual((yield* sendAll(client, [message, message])).map(tag), ["InDoubt", "InDoubt"])
    }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise))
})
