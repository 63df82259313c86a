import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Inbox, InMemory, VirtualTime } from "../../src/index.ts"
import { bytes, text } from "./support.ts"

const peer = { host: "mx.example", port: 25 }

/** A server in memory, its inbox, and a way to hand it messages. */
const serve = Effect.gen(function*() {
  const server = yield* InMemory.make({ maxSize: 50_000_000 })
  const deliver = Effect.fnUntraced(function*(content: string, to: ReadonlyArray<string> = ["ben@example.org"]) {
    const wire = yield* server.transport.open(peer)
    const rcpts = to.map((recipient) => `RCPT TO:<${recipient}>\r\n`).join("")
    yield* wire.write(bytes(`EHLO c.example\r\nMAIL FROM:<ann@example.net>\r\n${rcpts}DATA\r\n${content}\r\n.\r\n`))
  }, Effect.scoped)
  return { server, inbox: Inbox.make(server), deliver }
})

const withSubject = (subject: string) => `Subject: ${subject}\r\n\r\nhi`
/** Nested beyond what is parsed. */
const unparsable = Array.from({ length: 300 }, (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}`)
  .join("\r\n")

const multipart = [
  "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>",
  "To: Team: ben@example.org, \"Cat, C.\" <cat@example.org>;, dan@example.org",
  "Cc: eve@example.org",
  "Reply-To: list@example.net",
  "Subject: =?utf-8?b?w6RwZmVs?=",
  "Message-ID: <1@example.net>",
  "X-Twice: one",
  "X-Twice: two",
  "Content-Type: multipart/mixed; boundary=outer",
  "",
  "--outer",
  "Content-Type: multipart/alternative; boundary=inner",
  "",
  "--inner",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "gr=C3=BCn",
  "--inner",
  "Content-Type: text/html; charset=utf-8",
  "",
  "<p>hello</p>",
  "--inner--",
  "--outer",
  "Content-Type: application/octet-stream; name=a.bin",
  "Content-Disposition: attachment; filename=a.bin",
  "Content-Transfer-Encoding: base64",
  "",
  "AAEC/w==",
  "--outer--"
].join("\r\n")

describe("a message, parsed", () => {
  it.effect("in all its parts", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* deliver(multipart, ["ben@example.org", "Postmaster"])
      const mail = yield* inbox.only()
      assert.deepStrictEqual(mail.envelope, { from: "ann@example.net", to: ["ben@example.org", "postmaster"] })
      assert.deepStrictEqual([mail.subject, mail.messageId], ["äpfel", "<1@example.net>"])
      assert.deepStrictEqual(mail.from, { name: "Jörg", address: "joerg@example.net" })
      assert.deepStrictEqual(mail.to, [
        { name: "", address: "ben@example.org" },
        { name: "Cat, C.", address: "cat@example.org" },
        { name: "", address: "dan@example.org" }
      ])
      assert.deepStrictEqual([mail.cc[0]?.address, mail.replyTo[0]?.address], ["eve@example.org", "list@example.net"])
      assert.deepStrictEqual([mail.text?.trim(), mail.html?.trim()], ["grün", "<p>hello</p>"])
      assert.deepStrictEqual(mail.attachments, [{
        filename: "a.bin",
        type: "application/octet-stream",
        disposition: "attachment",
        contentId: undefined,
        content: new Uint8Array([0, 1, 2, 255])
      }])
      assert.deepStrictEqual(mail.headers.filter(({ name }) => name === "x-twice").map(({ value }) => value), [
        "one",
        "two"
      ])
      assert.strictEqual(text(mail.received.content), `${multipart}\r\n`)
    }))

  it.effect("is parsed once", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* deliver(withSubject("x"))
      const [first] = yield* inbox.messages
      const [again] = yield* inbox.messages
      assert.strictEqual(again, first)
    }))

  it.effect("anything is some message, but for what is nested beyond reason", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* deliver("\u0000\r\n..\r\nno header: at all")
      assert.lengthOf(yield* inbox.messages, 1)
      yield* deliver(unparsable)
      const error = yield* Effect.flip(inbox.messages)
      assert.strictEqual(error._tag, "MimeError")
      assert.match(
        error.message,
        /^the message from <ann@example\.net> to <ben@example\.org> cannot be parsed: .*nesting/
      )
      assert.lengthOf(yield* inbox.received, 2)
    }))
})

describe("looking for messages", () => {
  it.effect("by criterion and by function", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* deliver(withSubject("one"))
      yield* deliver(withSubject("two"), ["cat@example.org", "Dan@Example.org"])
      const count = (criterion: Inbox.Criterion) =>
        Effect.match(inbox.only(criterion), { onFailure: ({ problem }) => problem, onSuccess: (mail) => mail.subject })
      assert.strictEqual(yield* count({ to: "dan@example.org" }), "two")
      assert.strictEqual(yield* count({ subject: "one" }), "one")
      const global = /^t/g
      assert.strictEqual(yield* count({ subject: global }), "two")
      assert.strictEqual(yield* count({ subject: global }), "two")
      assert.strictEqual(yield* count({ text: "h", to: "ben@example.org" }), "one")
      assert.strictEqual(yield* count(({ envelope }) => envelope.to.length === 2), "two")
      assert.strictEqual(
        yield* count({ from: "ANN@example.net" }),
        "there is not one message with from \"ANN@example.net\", but 2"
      )
      assert.strictEqual(yield* count({ subject: "on" }), "there is no message with subject \"on\"")
      assert.strictEqual(yield* count({ text: /^i/ }), "there is no message with text /^i/")
      assert.strictEqual(yield* count(() => false), "there is no message that meets the predicate")
      assert.deepStrictEqual((yield* inbox.to("cat@example.org")).map(({ subject }) => subject), ["two"])
    }))

  it.effect("a failure lists what did arrive", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      assert.strictEqual((yield* Effect.flip(inbox.only())).message, "there is no message; nothing has arrived")
      yield* inbox.none()
      yield* deliver(withSubject("one"))
      yield* deliver("hi", ["cat@example.org", "dan@example.org"])
      yield* deliver(unparsable)
      const error = yield* Effect.flip(inbox.only({ to: "eve@example.org", subject: /x/ }))
      const lines = error.message.split("\n")
      assert.deepStrictEqual(lines.slice(0, 3), [
        "there is no message with to \"eve@example.org\" and subject /x/; what has arrived:",
        "  1. from <ann@example.net> to <ben@example.org>: \"one\"",
        "  2. from <ann@example.net> to <cat@example.org>, <dan@example.org>: no subject"
      ])
      assert.match(lines[3] ?? "", /^ {2}3\. the message from .* cannot be parsed/)
      assert.strictEqual(
        (yield* Effect.flip(inbox.none({ subject: "one" }))).problem,
        "there is a message with subject \"one\", where none was wanted"
      )
      yield* inbox.none({ subject: "two" })
    }))
})

describe("waiting for a message", () => {
  it.effect("that is there takes no time", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* deliver(withSubject("x"))
      assert.strictEqual((yield* inbox.waitFor({ subject: "x" }, { within: 0 })).subject, "x")
    }))

  it.effect("that comes behind others, and after a message that cannot be parsed", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      const waiting = yield* Effect.forkChild(inbox.waitFor({ subject: "x" }), { startImmediately: true })
      yield* deliver(withSubject("w"))
      yield* deliver(unparsable)
      yield* inbox.clear
      yield* deliver(withSubject("x"))
      assert.strictEqual((yield* Fiber.join(waiting)).subject, "x")
    }))

  it("has an end, by the clock, which others do not put off", () =>
    Effect.gen(function*() {
      const { deliver, inbox } = yield* serve
      yield* Effect.forkChild(Effect.forever(Effect.andThen(deliver(withSubject("w")), Effect.sleep("3 seconds"))))
      const error = yield* Effect.flip(inbox.waitFor({ subject: "x" }, { within: "10 seconds" }))
      assert.strictEqual(error.problem, "no message with subject \"x\" came within 10s")
      assert.lengthOf(error.arrived, 4)
      assert.strictEqual(yield* Clock.currentTimeMillis, 10_000)
    }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise))

  it.effect("ends after four seconds unless told otherwise", () =>
    Effect.gen(function*() {
      const { inbox } = yield* serve
      const waiting = yield* Effect.forkChild(Effect.flip(inbox.waitFor()), { startImmediately: true })
      yield* TestClock.adjust("3999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiting)).message, "no message came within 4s; nothing has arrived")
    }))
})

describe("clearing", () => {
  it.effect("gives mailboxes room again, and reset forgets who was greylisted", () =>
    Effect.gen(function*() {
      const server = yield* InMemory.make({ greylist: true, mailboxes: { "ben@example.org": { quota: 4 } } })
      const attempt = Effect.gen(function*() {
        const wire = yield* server.transport.open(peer)
        yield* wire.write(
          bytes("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\nhi\r\n.\r\n")
        )
      }).pipe(Effect.scoped)
      const count = Effect.map(server.inbox, ({ length }) => length)
      const attempts: Array<number> = []
      for (const before of [Effect.void, Effect.void, Effect.void, server.clear, server.reset, Effect.void]) {
        yield* before
        yield* attempt
        attempts.push(yield* count)
      }
      assert.deepStrictEqual(attempts, [0, 1, 1, 1, 0, 1])
      assert.lengthOf(yield* server.sessions, 2)
    }))
})
