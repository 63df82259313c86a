/**
 * Many messages to servers of every kind: each result is its message's own, in order, and the
 * server has what was reported and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply, SmtpClient } from "@postern/core"
import { ScriptedServer, ServerMachine } from "@postern/testing"
import { Effect, Result, Stream } from "effect"
import { arrived, everyWay, exact, latin1, letter, letters, reported, sendAll, site, tag, type Way } from "./sending.ts"

const pipelined: ReadonlyArray<Way> = ["CHUNKING", "DATA"]

/** Refuses MAIL of `spammer`, and the content of `spam`. */
const noSpam = (): ServerMachine.Config["reply"] => {
  let sender: string | undefined
  return (turn) => {
    if (turn._tag === "Mail") sender = turn.reversePath?.localPart
    if (turn._tag === "Mail" && sender === "spammer") return Reply.make(550, "not you", "5.1.8")
    return (turn._tag === "Content" || turn._tag === "Bdat") && sender === "spam"
      ? Reply.make(554, "no spam", "5.6.0")
      : undefined
  }
}

/** What the client said on each connection, without the greeting of the session. */
const said = (sessions: ReadonlyArray<{ readonly commands: ReadonlyArray<{ readonly _tag: string }> }>) =>
  sessions.map(({ commands }) => commands.map(({ _tag }) => _tag).slice(1))

describe.each(everyWay)("sendAll by %s", (way) => {
  it.effect("sends them in order, on one connection, each to its own recipients", () =>
    Effect.gen(function*() {
      const { client, inbox, open, sessions } = yield* site(way)
      const messages = Array.from({ length: 250 }, (_, i) =>
        letter(i, {
          from: `from${i}@a.example`,
          to: i % 3 === 0 ? [`to${i}@b.example`, "all@b.example"] : `to${i}@b.example`
        }))
      const results = yield* sendAll(client, messages)
      assert.deepStrictEqual(
        results.map(({ message }) => message),
        messages
      )
      assert.isTrue(results.every(({ result }) => Result.isSuccess(result)))
      exact(results, yield* inbox)
      assert.deepStrictEqual(arrived(yield* inbox), reported(results), "in order")
      assert.lengthOf(yield* sessions, 1)
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("each has its own result, whatever the others' are", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* site(way, {
        extensions: ServerMachine.defaultExtensions.filter((line) => line !== "SMTPUTF8"),
        maxSize: 2000,
        unknownUsers: ["ghost@b.example", "nobody@b.example"],
        replies: { "later@b.example": Reply.make(450, "not now", "4.2.1") },
        reply: noSpam()
      })
      const kinds: ReadonlyArray<readonly [SmtpClient.Message, string]> = [
        [letter(0), "sent"],
        [letter(1, { from: "spammer@a.example" }), "SenderRefused"],
        [letter(2, { from: null }), "sent"],
        [letter(3, { to: "ghost@b.example" }), "RecipientsRefused"],
        [letter(4, { to: ["ghost@b.example", "nobody@b.example"] }), "RecipientsRefused"],
        [letter(5, { to: ["ghost@b.example", "cat@b.example"] }), "sent"],
        [letter(6, { to: "none" }), "InvalidInput"],
        [letter(7), "sent"],
        [letter(8, { from: "spam@a.example" }), "ContentRefused"],
        [letter(9, { to: "later@b.example" }), "TemporaryFailure"],
        [letter(10, { content: `Subject: 10\n\n${"large\n".repeat(500)}` }), "TooLarge"],
        [letter(11, { from: "jörg@a.example" }), "ExtensionMissing"],
        [letter(12, { to: [] }), "InvalidInput"],
        [letter(13, { to: ["cat@b.example", "dan@b.example"] }), "sent"],
        [letter(14, { from: "spammer@a.example", to: "ghost@b.example" }), "SenderRefused"],
        [letter(15, { requireTls: true }), "ExtensionMissing"],
        [letter(16), "sent"]
      ]
      // Each of them behind each other, and all of them many times.
      const mixed = kinds.flatMap((one) => kinds.flatMap((other) => [one, other]))
      const messages = mixed.map(([message], i) => ({
        ...message,
        content: typeof message.content === "string" ? message.content.replace(/^Subject: /, `Subject: ${i} `) : ""
      }))
      const results = yield* sendAll(client, messages)
      const wrong = results.flatMap((sent, i) =>
        tag(sent) === mixed[i]?.[1] ? [] : [`${i}: ${tag(sent)} and not ${mixed[i]?.[1]}`]
      )
      assert.deepStrictEqual(wrong, [])
      assert.deepStrictEqual(results.map(({ message }) => message), messages)
      exact(results, yield* inbox)
      assert.deepStrictEqual(arrived(yield* inbox), reported(results))
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("policies: any, all and each", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way, { unknownUsers: ["ghost@b.example"] })
      const to = ["ben@b.example", "ghost@b.example", "cat@b.example"]
      const good = ["ben@b.example", "cat@b.example"]
      const results = yield* sendAll(client, [
        letter(0, { to, policy: "any" }),
        letter(1, { to, policy: "all" }),
        letter(2, { to, policy: "each" }),
        letter(3, { to: good, policy: "all" }),
        letter(4, { to: good, policy: "each" }),
        letter(5, { to: "ghost@b.example", policy: "each" }),
        letter(6, { to: "ben@b.example", policy: "all" })
      ])
      const lone = "RecipientsRefused"
      assert.deepStrictEqual(results.map(tag), ["sent", lone, "sent", "sent", "sent", lone, "sent"])
      exact(results, yield* inbox)
      // An LMTP server hands each recipient its own.
      const together = way.startsWith("LMTP") ? [1, 1] : [2]
      assert.deepStrictEqual(
        (yield* inbox).map(({ forwardPaths }) => forwardPaths.length),
        [...together, 1, 1, ...together, 1, 1, 1]
      )
    }))

  it.effect("no message at all opens nothing; bad input alone is told", () =>
    Effect.gen(function*() {
      const { client, sessions } = yield* site(way)
      assert.deepStrictEqual(yield* sendAll(client, []), [])
      assert.lengthOf(yield* sessions, 0)
      const results = yield* sendAll(client, [letter(0, { to: "none" }), letter(1, { from: "\r\n" })])
      assert.deepStrictEqual(results.map(tag), ["InvalidInput", "InvalidInput"])
    }))

  it.effect("streams of content go between the others", () =>
    Effect.gen(function*() {
      const { client, inbox, sessions } = yield* site(way)
      const made = (text: string) => Stream.fromIterable(text.match(/[^]{1,3}/g) ?? []).pipe(Stream.encodeText)
      const messages = Array.from({ length: 9 }, (_, i) => {
        const plain = letter(i, { to: [`to${i}@b.example`, "all@b.example"] })
        return i % 3 === 1 ? { ...plain, content: made(`Subject: ${i}\n\nmade\n.`) } : plain
      })
      const results = yield* sendAll(client, messages)
      assert.deepStrictEqual(results.map(tag), messages.map(() => "sent"))
      const received = yield* inbox
      assert.deepStrictEqual(
        arrived(received),
        [..."012345678"].flatMap((i) => [`to${i}`, "all"].map((to) => `${i}: <ann@a.example> to <${to}@b.example>`))
      )
      for (const { content } of received) {
        const text = latin1(content)
        if (text.includes("made")) assert.match(text, /^Subject: [147]\r\n\r\nmade\r\n\.\r\n$/)
      }
      assert.lengthOf(yield* sessions, 1)
    }))
})

describe("where TLS is offered and not on", () => {
  it.effect("no content goes out before the server has shown that it takes mail", () =>
    Effect.gen(function*() {
      const messages = letters(3)
      const { ends, hears, hearsOctets, says } = ScriptedServer
      const envelope = ["MAIL FROM:<ann@a.example>", "RCPT TO:<ben@b.example>"]
      const refused = "530 5.7.0 Must issue a STARTTLS command first"
      const chunk = (subject: number) => {
        const octets = `Subject: ${subject}\r\n\r\nbody of ${subject}\r\n.\r\n..dots\r\n`
        return `BDAT ${octets.length} LAST\r\n${octets}`
      }
      const script = [
        says("220 mx.example ESMTP"),
        hears("EHLO client.example"),
        says("250-mx.example", "250-PIPELINING", "250-CHUNKING", "250 STARTTLS"),
        hears(...envelope),
        says(refused, refused),
        hears("RSET"),
        says("250 ok"),
        hears(...envelope),
        says("250 ok", "250 ok"),
        hearsOctets(chunk(1)),
        says("250 queued"),
        hearsOctets(`${envelope.join("\r\n")}\r\n${chunk(2)}`),
        says("250 ok", "250 ok", "250 queued"),
        hears("QUIT"),
        says("221 bye"),
        ends
      ]
      const results = yield* ScriptedServer.run(
        script,
        Effect.flatMap(
          SmtpClient.make({ endpoint: "mx.example:25", security: "plain", domain: "client.example" }),
          (client) => sendAll(client, messages)
        )
      )
      assert.deepStrictEqual(results.map(({ result }) => Result.isSuccess(result)), [false, true, true])
    }))
})

describe("limits that the server names", () => {
  it.effect.each(pipelined)("MAILMAX: further connections (%s)", (way) =>
    Effect.gen(function*() {
      const { client, inbox, open, sessions } = yield* site(way, { limits: { mailMax: 7 } })
      const messages = letters(30)
      const results = yield* sendAll(client, messages)
      assert.deepStrictEqual(results.map(tag), messages.map(() => "sent"))
      assert.deepStrictEqual(arrived(yield* inbox), reported(results))
      const mails = said(yield* sessions).map((tags) => tags.filter((each) => each === "Mail").length)
      assert.deepStrictEqual(mails, [7, 7, 7, 7, 2])
      assert.isTrue(said(yield* sessions).every((tags) => tags.at(-1) === "Quit"), "each ends in good order")
      assert.strictEqual(yield* open, 0)
    }))

  it.effect.each(pipelined)(
    "MAILMAX counts the transactions of a message that needs several (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* site(way, { limits: { mailMax: 4, rcptMax: 1 } })
        const to = ["ben@b.example", "cat@b.example", "dan@b.example"]
        const results = yield* sendAll(client, [0, 1, 2, 3].map((i) => letter(i, { to })))
        assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent", "sent"])
        exact(results, yield* inbox)
        assert.lengthOf(yield* inbox, 12)
      })
  )

  it.effect.each(pipelined)("RCPTMAX: further transactions (%s)", (way) =>
    Effect.gen(function*() {
      const { client, inbox, sessions } = yield* site(way, { limits: { rcptMax: 2 } })
      const to = Array.from({ length: 5 }, (_, i) => `to${i}@b.example`)
      const results = yield* sendAll(client, [letter(0), letter(1, { to }), letter(2)])
      assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent"])
      exact(results, yield* inbox)
      assert.deepStrictEqual(arrived(yield* inbox), reported(results))
      assert.deepStrictEqual((yield* inbox).map(({ forwardPaths }) => forwardPaths.length), [1, 2, 2, 1, 1])
      assert.lengthOf(yield* sessions, 1)
    }))

  it.effect.each(pipelined)("RCPTDOMAINMAX: as many domains as may be (%s)", (way) =>
    Effect.gen(function*() {
      const { client, inbox } = yield* site(way, { limits: { rcptDomainMax: 1 } })
      const to = ["ben@b.example", "cat@c.example", "dan@b.example"]
      const results = yield* sendAll(client, [letter(0), letter(1, { to }), letter(2, { to: "eve@e.example" })])
      assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent"])
      exact(results, yield* inbox)
      assert.lengthOf(reported(results), 5)
    }))

  it.effect.each(pipelined)("RCPTDOMAINMAX: what cannot be divided is not (%s)", (way) =>
    Effect.gen(function*() {
      const { client, inbox, sessions } = yield* site(way, { limits: { rcptDomainMax: 1 } })
      const made = (i: number) => Stream.encodeText(Stream.make(`Subject: ${i}\n\n`, "x\n"))
      const to = ["ben@b.example", "cat@c.example"]
      const results = yield* sendAll(client, [
        letter(0, { to, policy: "all" }),
        letter(1, { to, content: made(1) }),
        letter(2, { to: "ben@b.example", policy: "all" }),
        letter(3, { to: "cat@c.example", content: made(3) }),
        letter(4, { to: "ben@b.example" })
      ])
      // Where another session has room for all of it, it waits for that.
      const roomy = yield* site(way, { limits: { rcptDomainMax: 2 } })
      const whole = yield* sendAll(roomy.client, [
        letter(0),
        letter(1, { to: ["cat@c.example", "dan@d.example"], policy: "all" }),
        letter(2, { to, content: made(2) })
      ])
      assert.deepStrictEqual(whole.map(tag), ["sent", "sent", "sent"])
      assert.deepStrictEqual((yield* roomy.inbox).map(({ forwardPaths }) => forwardPaths.length), [1, 2, 2])
      assert.deepStrictEqual(results.map(tag), ["InvalidInput", "InvalidInput", "sent", "sent", "sent"])
      assert.deepStrictEqual((yield* inbox).map(({ content }) => /^Subject: (\d)/.exec(latin1(content))?.[1]), [
        "2",
        "3",
        "4"
      ])
      assert.lengthOf(yield* sessions, 3)
    }))

  it.effect.each(everyWay)(
    "too many recipients, found out by 452 4.5.3: another transaction (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* site(way, { maxRecipients: 2 })
        const to = Array.from({ length: 5 }, (_, i) => `to${i}@b.example`)
        const results = yield* sendAll(client, [letter(0), letter(1, { to }), letter(2)])
        assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent"])
        exact(results, yield* inbox)
        assert.lengthOf(reported(results), 7)
      })
  )

  it.effect.each(everyWay)(
    "too many recipients, of several messages on the way, one refused between them (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox, sessions } = yield* site(way, { maxRecipients: 2, unknownUsers: ["ghost@b.example"] })
        const many = (from: number) => Array.from({ length: 5 }, (_, i) => `to${from + i}@b.example`)
        const messages = [
          letter(0, { to: many(0) }),
          letter(1, { to: "ghost@b.example" }),
          letter(2, { to: many(3) }),
          letter(3),
          letter(4, { to: "ghost@b.example" })
        ]
        const results = yield* sendAll(client, messages)
        assert.deepStrictEqual(results.map(({ message }) => message), messages)
        assert.deepStrictEqual(results.map(tag), ["sent", "RecipientsRefused", "sent", "sent", "RecipientsRefused"])
        exact(results, yield* inbox)
        assert.lengthOf(reported(results), 11)
        assert.lengthOf(yield* sessions, 1)
      })
  )

  it.effect.each(everyWay)(
    "too many recipients, one of them twice: it gets the message twice, and not once more (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* site(way, { maxRecipients: 2 })
        const to = ["ben@b.example", "cat@b.example", "ben@b.example"]
        const results = yield* sendAll(client, [letter(0, { to }), letter(1)])
        assert.deepStrictEqual(results.map(tag), ["sent", "sent"])
        exact(results, yield* inbox)
        assert.lengthOf(reported(results), 4)
      })
  )

  it.effect.each(everyWay)(
    "messages of a connection, found out by 421: further connections (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox, sessions } = yield* site(way, { maxMessages: 3 })
        const messages = letters(10)
        const results = yield* sendAll(client, messages)
        assert.deepStrictEqual(results.map(tag), messages.map(() => "sent"))
        assert.deepStrictEqual(arrived(yield* inbox), reported(results))
        assert.isAtLeast((yield* sessions).length, 4)
      })
  )

  it.effect.each(pipelined)(
    "a message of several transactions that was not begun goes out on a further connection (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* site(way, { maxMessages: 2, limits: { rcptMax: 1 } })
        const to = ["ben@b.example", "cat@b.example"]
        const results = yield* sendAll(client, [letter(0), letter(1), letter(2, { to })])
        assert.deepStrictEqual(results.map(tag), ["sent", "sent", "sent"])
        exact(results, yield* inbox)
        assert.lengthOf(yield* inbox, 4)
      })
  )

  it.effect.each(everyWay)(
    "streams that were not begun go out on a further connection, too (%s)",
    (way) =>
      Effect.gen(function*() {
        const { client, inbox } = yield* site(way, { maxMessages: 1 })
        const messages = Array.from(
          { length: 4 },
          (_, i) => letter(i, { content: Stream.encodeText(Stream.make(`Subject: ${i}\n\n`, "x\n")) })
        )
        const results = yield* sendAll(client, messages)
        assert.deepStrictEqual(results.map(tag), messages.map(() => "sent"))
        assert.lengthOf(yield* inbox, 4)
      })
  )
})

describe("content that needs more", () => {
  it.effect.each(everyWay)(
    "binary goes with BINARYMIME as it is, and not otherwise (%s)",
    (way) =>
      Effect.gen(function*() {
        const octets = Uint8Array.from({ length: 600 }, (_, i) => i % 256)
        const messages = [letter(0), letter(1, { content: octets, binary: true }), letter(2)]
        const { client, inbox } = yield* site(way, {
          extensions: [...ServerMachine.defaultExtensions, "BINARYMIME"]
        })
        const results = yield* sendAll(client, messages)
        const chunked = way === "CHUNKING" || way === "CHUNKING without PIPELINING" || way === "LMTP"
        assert.deepStrictEqual(results.map(tag), ["sent", chunked ? "sent" : "ExtensionMissing", "sent"])
        if (chunked) assert.deepStrictEqual((yield* inbox)[1]?.content, octets)
        assert.lengthOf(yield* inbox, chunked ? 3 : 2)
      })
  )

  it.effect.each(everyWay)(
    "is converted where the server lacks what it needs, and not where it does not (%s)",
    (way) =>
      Effect.gen(function*() {
        let conversions = 0
        const convert = (content: Uint8Array) => {
          conversions++
          return latin1(content).includes("fails")
            ? Effect.fail("no way")
            : Effect.succeed(content.map((octet) => octet > 127 ? 63 : octet))
        }
        const { client, inbox } = yield* site(
          way,
          { extensions: ["PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"] },
          { convert }
        )
        const results = yield* sendAll(client, [
          letter(0),
          letter(1, { content: "Subject: 1\n\ncafé\n" }),
          letter(2, { content: "Subject: 2\n\ncafé fails\n" }),
          letter(3, { content: Uint8Array.of(0, 255), binary: true }),
          letter(4, { to: "bén@b.example" }),
          letter(5)
        ])
        assert.deepStrictEqual(results.map(tag), [
          "sent",
          "sent",
          "ContentUnavailable",
          "sent",
          "ExtensionMissing",
          "sent"
        ])
        assert.strictEqual(latin1((yield* inbox)[1]?.content ?? new Uint8Array()), "Subject: 1\r\n\r\ncaf??\r\n")
        assert.lengthOf(yield* inbox, 4)
        assert.isAtMost(conversions, 4)
      })
  )

  it.effect("is fetched by the server, among the others (BURL)", () =>
    Effect.gen(function*() {
      const burl = "imap://ann@imap.example/Drafts;UIDVALIDITY=1/;UID=20/;section=HEADER"
      for (const way of ["CHUNKING", "DATA", "neither PIPELINING nor CHUNKING"] as const) {
        const { client, inbox, sessions } = yield* site(way, {
          extensions: [...ServerMachine.defaultExtensions, "BURL imap imap://imap.example"],
          urls: { [burl]: "Subject: fetched\r\n\r\nx\r\n" }
        })
        const results = yield* sendAll(client, [
          letter(0),
          letter(1, { content: { burl } }),
          letter(2, { content: { burl: `${burl}/none` } }),
          letter(3, { content: { burl: "not a url" } }),
          letter(4)
        ])
        assert.deepStrictEqual(results.map(tag).map((each) => each === "sent"), [true, true, false, false, true], way)
        assert.deepStrictEqual(
          (yield* inbox).map(({ content }) => /^Subject: (.*)\r/.exec(latin1(content))?.[1]),
          ["0", "fetched", "4"],
          way
        )
        assert.lengthOf(yield* sessions, 1, way)
      }
    }))
})
