/**
 * A session that is kept open for several messages: after each it can be used again, or says that it
 * cannot; and the progress of a message as a stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Content, Program, Reply, SmtpClient, Transport } from "@postern/core"
import { Faults, InMemory, ScriptedServer, type ServerMachine, VirtualTime } from "@postern/testing"
import { Cause, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { arrived, everyWay, latin1, letter, site, type Way } from "./sending.ts"

const outcome = <A>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }>) =>
  Effect.match(effect, { onSuccess: () => "sent", onFailure: ({ reason }) => reason._tag })

const busy = ({ maxMessages }: ServerMachine.Config = {}): ServerMachine.Config => ({
  unknownUsers: ["ghost@b.example"],
  maxMessages,
  maxSize: 10_000
})

describe.each(everyWay)("a session by %s", (way) => {
  it.effect("is usable behind a message that was sent, and one that was refused", () =>
    Effect.gen(function*() {
      const { client, inbox, open, sessions } = yield* site(way, busy())
      const failing = Stream.concat(
        Stream.rechunk(Stream.encodeText(Stream.make("x\n", "x\n", "x\n")), 1),
        Stream.fail("gone")
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const { send, usable } = yield* client.open
        assert.isTrue(yield* usable)
        const kinds: ReadonlyArray<readonly [SmtpClient.Message, string]> = [
          [letter(0), "sent"],
          [letter(1, { to: "ghost@b.example" }), "RecipientsRefused"],
          [letter(2, { to: ["ghost@b.example", "cat@b.example"], policy: "all" }), "RecipientsRefused"],
          [letter(3, { to: "none" }), "InvalidInput"],
          [letter(4, { content: "x\n".repeat(10_000) }), "TooLarge"],
          [letter(5, { content: Stream.encodeText(Stream.make("Subject: 5\n\n", "x\n")) }), "sent"],
          [letter(6, { to: ["ghost@b.example", "cat@b.example"] }), "sent"]
        ]
        for (const [message, expected] of kinds) {
          assert.strictEqual(yield* outcome(send(message)), expected)
          assert.isTrue(yield* usable, expected)
        }
        // Given up in the middle of its content: a chunk can be taken back, and DATA cannot.
        const chunked = way.startsWith("CHUNKING") || way === "LMTP"
        assert.strictEqual(yield* outcome(send(letter(7, { content: failing }))), "ContentUnavailable")
        assert.strictEqual(yield* usable, chunked)
        assert.strictEqual(yield* outcome(send(letter(8))), chunked ? "sent" : "OutOfSequence")
      }))
      const subjects = (yield* inbox).map(({ content }) => /^Subject: (\d)/.exec(latin1(content))?.[1])
      assert.deepStrictEqual(subjects.slice(0, 3), ["0", "5", "6"])
      assert.lengthOf(yield* sessions, 1)
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("receipts name their own message's replies", () =>
    Effect.gen(function*() {
      const { client } = yield* site(way)
      yield* Effect.scoped(Effect.gen(function*() {
        const { send } = yield* client.open
        for (const i of [1, 2, 3]) {
          const { outcomes, reply } = yield* send(letter(i))
          assert.include(reply.lines[0], `queued as ${i}`)
          assert.deepStrictEqual(outcomes.map(({ recipient }) => recipient), ["<ben@b.example>"])
        }
      }))
    }))

  it.effect("interrupted anywhere: usable and in a known state, or not usable", () =>
    Effect.gen(function*() {
      for (let slow = 0; slow < 9; slow++) {
        let replies = 0
        let slowness = Number.POSITIVE_INFINITY
        const { client, inbox, open } = yield* site(way, { delay: () => replies++ === slowness ? "1 hour" : 0 })
        yield* Effect.scoped(Effect.gen(function*() {
          const { send, usable } = yield* client.open
          slowness = replies + slow
          const fiber = yield* Effect.forkChild(send(letter(1, { from: "amy@a.example", to: "dan@b.example" })))
          for (let i = 0; i < 200; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          slowness = Number.POSITIVE_INFINITY
          const before = arrived(yield* inbox)
          assert.isAtMost(before.length, 1)
          if (yield* usable) {
            yield* send(letter(2))
            const after = arrived(yield* inbox).slice(before.length)
            assert.deepStrictEqual(after, ["2: <ann@a.example> to <ben@b.example>"])
          } else {
            const error = yield* Effect.flip(send(letter(2)))
            assert.include(["ConnectionLost", "OutOfSequence"], error.reason._tag)
            yield* TestClock.adjust("2 hours")
            const after = arrived(yield* inbox)
            assert.isTrue(after.every((line) => line === "1: <amy@a.example> to <dan@b.example>"), String(after))
            assert.isAtMost(after.length, 1)
          }
        }))
        assert.strictEqual(yield* open, 0)
      }
    }))

  it.effect("that the server ended in the meantime cannot be used", () =>
    Effect.gen(function*() {
      const { client, shutDown } = yield* site(way)
      yield* Effect.scoped(Effect.gen(function*() {
        const { send, usable } = yield* client.open
        yield* send(letter(0))
        assert.isTrue(yield* usable)
        yield* shutDown
        assert.isFalse(yield* usable)
        assert.isFalse(yield* usable)
        assert.notStrictEqual(yield* outcome(send(letter(1))), "sent")
      }))
    }))
})

describe("usable", () => {
  const { ends, hears, interjects, resets, says } = ScriptedServer
  const begin: ReadonlyArray<ScriptedServer.Step> = [
    says("220 mx.example ESMTP"),
    hears("EHLO client.example"),
    says("250 mx.example")
  ]
  const probe = (steps: ReadonlyArray<ScriptedServer.Step>) =>
    Effect.gen(function*() {
      const server = ScriptedServer.make([[...begin, ...steps]])
      const seen = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* SmtpClient.make({
          endpoint: "mx.example:25",
          security: "plain",
          domain: "client.example"
        })
        const { connection, usable } = yield* client.open
        const before = yield* usable
        return [before, yield* usable, (yield* connection.transcript).at(-1)?._tag]
      })).pipe(Effect.provide(server.layer))
      return { seen, writes: server.seen.writes, check: server.check }
    })

  it.effect("is false once the server has closed, or reset", () =>
    Effect.gen(function*() {
      for (const end of [ends, resets]) {
        const { seen, writes } = yield* probe([end])
        assert.deepStrictEqual(seen.slice(0, 2), [false, false])
        assert.lengthOf(writes, 1, "no QUIT")
      }
    }))

  it.effect("is false once the server has said something unasked", () =>
    Effect.gen(function*() {
      for (const said of ["421 4.4.2 idle too long\r\n", "250 ok\r\n", "2", "\0"]) {
        const { seen, writes } = yield* probe([interjects(said), ends])
        assert.deepStrictEqual(seen.slice(0, 2), [false, false], said)
        assert.lengthOf(writes, 1, `no QUIT after ${said}`)
      }
    }))

  it.effect("is true where nothing happened, and looking changes nothing", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site("CHUNKING")
      yield* Effect.scoped(Effect.gen(function*() {
        const { send, usable } = yield* client.open
        for (let i = 0; i < 5; i++) {
          assert.isTrue(yield* usable)
          assert.isTrue(yield* usable)
          yield* send(letter(i))
        }
      }))
      assert.lengthOf(yield* inbox, 5)
    }))

  it.effect("is false after a 421, a loss, or a dialogue that died", () =>
    Effect.gen(function*() {
      const { client } = yield* site("CHUNKING", { maxMessages: 1 })
      yield* Effect.scoped(Effect.gen(function*() {
        const { send, usable } = yield* client.open
        yield* send(letter(0))
        assert.strictEqual(yield* outcome(send(letter(1))), "ServiceClosing")
        assert.isFalse(yield* usable)
      }))
      const { client: other } = yield* site("CHUNKING")
      yield* Effect.scoped(Effect.gen(function*() {
        const { connection, usable } = yield* other.open
        const exit = yield* Effect.exit(connection.run(Program.gen(function*() {
          yield* Program.succeed(1)
          throw new Error("a mistake")
        })))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.isFalse(yield* usable)
      }))
    }))
})

describe.each(["CHUNKING", "DATA", "LMTP"] as const satisfies ReadonlyArray<Way>)("progress by %s", (way) => {
  const size = (content: string) => {
    const octets = new TextEncoder().encode(content)
    return way === "DATA" ? Content.encodeData(octets).length : Content.normalize(octets).length
  }

  it.effect("of content rises to what goes over the wire, and the receipt comes last", () =>
    Effect.gen(function*() {
      for (const content of ["", "x", ".\n.\n", "line\n".repeat(20_000), `\n${".é\n".repeat(100_000)}`]) {
        for (const source of [content, Stream.rechunk(Stream.encodeText(Stream.make(content)), 1)]) {
          const { client, inbox, open } = yield* site(way)
          const steps = yield* Stream.runCollect(
            client.sendWithProgress({ from: null, to: "ben@b.example", content: source })
          )
          const octets = steps.flatMap((step) => step._tag === "Content" ? [step.octets] : [])
          assert.deepStrictEqual(octets, octets.toSorted((a, b) => a - b), "it does not fall")
          assert.strictEqual(octets.at(-1) ?? 0, size(content), `${content.length}`)
          assert.strictEqual(steps.at(-1)?._tag, "Done")
          assert.lengthOf(steps.filter(({ _tag }) => _tag === "Done"), 1)
          assert.isTrue(steps.some((step) => step._tag === "Event" && step.event._tag === "Received"))
          assert.lengthOf(yield* inbox, 1)
          assert.strictEqual(yield* open, 0)
        }
      }
    }))

  it.effect("reaches a slow reader in the end", () =>
    Effect.gen(function*() {
      const { client } = yield* site(way)
      let count = 0
      let last: SmtpClient.Message | string = ""
      yield* Stream.runForEach(
        client.sendWithProgress(letter(0, { content: "line\n".repeat(1_000_000) })),
        (step) =>
          Effect.gen(function*() {
            count++
            last = step._tag
            for (let i = 0; i < 50; i++) yield* Effect.yieldNow
          })
      )
      assert.strictEqual(last, "Done")
      assert.isAtMost(count, 200)
    }))

  it.effect("fails as the sending does, and ends it where nobody reads on", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way, busy())
      const run = (message: SmtpClient.Message) => Stream.runDrain(client.sendWithProgress(message))
      assert.strictEqual(yield* outcome(run(letter(0, { to: "ghost@b.example" }))), "RecipientsRefused")
      assert.strictEqual(yield* outcome(run(letter(0, { to: "none" }))), "InvalidInput")
      assert.strictEqual(yield* open, 0)
      const some = yield* Stream.runCollect(Stream.take(client.sendWithProgress(letter(1)), 2))
      assert.lengthOf(some, 2)
      assert.strictEqual(yield* open, 0)
      const slow = Stream.concat(Stream.encodeText(Stream.make("x\n")), Stream.never)
      const fiber = yield* Effect.forkChild(run(letter(2, { content: slow })))
      for (let i = 0; i < 200; i++) yield* Effect.yieldNow
      assert.strictEqual(yield* open, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* open, 0)
      assert.isAtMost((yield* inbox).length, 1)
    }))
})

describe("what is written and what is told", () => {
  it("agree at every moment: no more is told than was written or is about to be", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({})
      const transport = Faults.wrap(server.transport, [Faults.slowReader(70_000, 1000)])
      const client = yield* SmtpClient.make({ endpoint: "mx.example:25", security: "plain" }).pipe(
        Effect.provideService(Transport.Transport, transport)
      )
      const times = new Map<number, number>()
      yield* Stream.runForEach(
        client.sendWithProgress({ from: null, to: "ben@b.example", content: "line\n".repeat(200_000) }),
        (step) =>
          Effect.sync(() => {
            if (step._tag === "Content") times.set(step.octets, step.octets)
          })
      )
      assert.isAbove(times.size, 5)
    }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise))

  it.effect("a refused reply to RSET does not hide why", () =>
    Effect.gen(function*() {
      const { client } = yield* site("DATA", {
        ...busy(),
        reply: ({ _tag }) => _tag === "Rset" ? Reply.make(500, "what?") : undefined
      })
      assert.strictEqual(yield* outcome(client.send(letter(0, { to: "ghost@b.example" }))), "RecipientsRefused")
    }))
})
