/**
 * What goes wrong where commands are sent ahead of replies (RFC 2920 §3.1), one case at a time, on
 * a wire where every write is seen.
 */
import { assert, describe, it } from "@effect/vitest"
import { Command, Program, Reply, SmtpClient, type SmtpError } from "@postern/core"
import { ScriptedServer } from "@postern/testing"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { chunking } from "../../../testing/src/generate/Arbitraries.ts"
import { hears, hearsBytes, lines, says, saysBytes, single, type Step } from "./scripted.ts"
import { arrived, exact, letter, reported, sendAll, site, tag } from "./sending.ts"

const { ends } = ScriptedServer

const greets = (...extensions: ReadonlyArray<string>): ReadonlyArray<Step> => [
  says("220 mx.example ESMTP"),
  hears("EHLO client.example"),
  says(...["mx.example", ...extensions].map((line, i, all) => `250${i === all.length - 1 ? " " : "-"}${line}`))
]

const quits: ReadonlyArray<Step> = [hears("QUIT"), says("221 bye"), ends]

/** Runs a program with a client against scripts, one for each connection; all of them are followed to their ends. */
const scripted = Effect.fnUntraced(function*<A, E>(
  scripts: ReadonlyArray<ReadonlyArray<Step>>,
  use: (client: SmtpClient.SmtpClient["Service"]) => Effect.Effect<A, E>,
  options: ScriptedServer.Options = {}
) {
  const server = ScriptedServer.make(scripts, options)
  const result = yield* Effect.result(Effect.flatMap(
    SmtpClient.make({ endpoint: "mx.example:25", security: "plain", domain: "client.example" }),
    use
  )).pipe(Effect.provide(server.layer))
  yield* Effect.orDie(server.check)
  return { result, writes: server.seen.writes }
})

const text = (i: number) => `Subject: ${i}\n`
const message = (i: number, ...to: ReadonlyArray<string>): SmtpClient.Message => ({
  from: "ann@a.example",
  to: to.length === 0 ? "ben@b.example" : to,
  content: text(i)
})
const all = (...messages: ReadonlyArray<SmtpClient.Message>) => (client: SmtpClient.SmtpClient["Service"]) =>
  sendAll(client, messages)

const tags = <E>(result: Result.Result<ReadonlyArray<SmtpClient.Sent>, E>) =>
  Result.isSuccess(result) ? result.success.map(tag) : assert.fail(String(result.failure))

const mail = "MAIL FROM:<ann@a.example>"
const ben = "RCPT TO:<ben@b.example>"
const cat = "RCPT TO:<cat@b.example>"
const content = (i: number) => `Subject: ${i}\r\n.\r\n`
const chunk = (i: number) => `BDAT 12 LAST\r\nSubject: ${i}\r\n`

/** The second message is taken, by DATA. */
const takesSecond: ReadonlyArray<Step> = [
  hears(mail, ben, "DATA"),
  says("250 ok", "250 ok", "354 go ahead"),
  hearsBytes(content(2)),
  says("250 taken")
]

describe("DATA sent ahead", () => {
  it.effect("354 though every recipient was refused: a lone dot, and the session goes on", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING"),
        hears(mail, ben, "DATA"),
        says("250 ok", "550 5.1.1 no such user", "354 go ahead"),
        hearsBytes(".\r\n"),
        says("554 5.5.1 no valid recipients"),
        ...takesSecond,
        ...quits
      ]], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["RecipientsRefused", "sent"])
    }))

  it.effect("354 though every recipient was refused, and the lone dot is taken: nothing is sent all the same", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING"),
        hears(mail, ben, "DATA"),
        says("250 ok", "550 5.1.1 no such user", "354 go ahead"),
        hearsBytes(".\r\n"),
        says("250 ok"),
        ...quits
      ]], (client) => client.send(message(1)))
      assert.isTrue(
        Result.isFailure(result) && (result.failure as SmtpError.SmtpError).reason._tag === "RecipientsRefused"
      )
    }))

  it.effect("simulated: a server that says 354 anyway gets nothing of what it refused", () =>
    Effect.gen(function*() {
      const { client, inbox, sessions } = yield* site("DATA", { dataAnyway: true, unknownUsers: ["ghost@b.example"] })
      const results = yield* sendAll(
        client,
        Array.from({ length: 20 }, (_, i) => letter(i, { to: i % 3 === 1 ? "ghost@b.example" : "ben@b.example" }))
      )
      exact(results, yield* inbox)
      assert.lengthOf(yield* inbox, 13)
      assert.lengthOf(yield* sessions, 1)
    }))

  it.effect("DATA refused though a recipient was accepted: RSET, and the next", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING"),
        hears(mail, ben, "DATA"),
        says("250 ok", "250 ok", "451 4.3.0 not now"),
        hears("RSET"),
        says("250 ok"),
        ...takesSecond,
        ...quits
      ]], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["TemporaryFailure", "sent"])
    }))

  it.effect("MAIL refused, RCPT accepted, and 354: not a word more on that connection", () =>
    Effect.gen(function*() {
      const { result, writes } = yield* scripted([
        [
          ...greets("PIPELINING"),
          hears(mail, ben, "DATA"),
          says("550 5.1.8 not you", "250 ok", "354 go ahead")
        ],
        [
          ...greets("PIPELINING"),
          ...takesSecond,
          ...quits
        ]
      ], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["SenderRefused", "sent"])
      assert.notInclude(writes.join(""), "Subject: 1")
    }))

  it.effect("MAIL refused, and everything behind it: RSET, and the next", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING"),
        hears(mail, ben, "DATA"),
        says("550 5.1.8 not you", "503 5.5.1 need MAIL", "503 5.5.1 need RCPT"),
        hears("RSET"),
        says("250 ok"),
        ...takesSecond,
        ...quits
      ]], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["SenderRefused", "sent"])
    }))

  it.effect("the next envelope goes with the end of the content, and not before it", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING"),
        hears(mail, ben, "DATA"),
        says("250 ok", "250 ok", "354 go ahead"),
        hearsBytes(content(1) + lines(mail, ben, cat, "DATA")),
        says("250 taken", "250 ok", "250 ok", "450 later", "354 go ahead"),
        hearsBytes(content(2)),
        says("250 taken"),
        ...quits
      ]], all(message(1), message(2, "ben@b.example", "cat@b.example")))
      assert.deepStrictEqual(tags(result), ["sent", "sent"])
    }))

  it.effect("421 to the content: what rode along goes out on another connection, and so does this", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([
        [
          ...greets("PIPELINING"),
          hears(mail, ben, "DATA"),
          says("250 ok", "250 ok", "354 go ahead"),
          hearsBytes(content(1) + lines(mail, ben, "DATA")),
          says("421 4.3.2 closing"),
          ends
        ],
        [
          ...greets("PIPELINING"),
          hears(mail, ben, "DATA"),
          says("250 ok", "250 ok", "354 go ahead"),
          hearsBytes(content(1) + lines(mail, ben, "DATA")),
          says("250 taken", "250 ok", "250 ok", "354 go ahead"),
          hearsBytes(content(2)),
          says("250 taken"),
          ...quits
        ]
      ], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["sent", "sent"])
    }))
})

const windowed = (i: number) => lines(mail, ben) + chunk(i)

describe("whole messages sent ahead", () => {
  it.effect("one write for all of them, RSET between them", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING", "CHUNKING"),
        hearsBytes(`${windowed(1)}RSET\r\n${windowed(2)}RSET\r\n${windowed(3)}`),
        says("250 ok", "550 5.1.1 no", "554 5.5.1 no valid recipients"),
        says("250 reset", "250 ok", "250 ok", "552 5.3.4 too big"),
        says("250 reset", "250 ok", "250 ok", "250 taken"),
        ...quits
      ]], all(message(1), message(2), message(3)))
      assert.deepStrictEqual(tags(result), ["RecipientsRefused", "TooLarge", "sent"])
    }))

  it.effect("421 in the middle of a window: what is behind it goes out on another connection", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([
        [
          ...greets("PIPELINING", "CHUNKING"),
          hearsBytes(`${windowed(1)}RSET\r\n${windowed(2)}RSET\r\n${windowed(3)}`),
          says("250 ok", "250 ok", "250 taken"),
          says("421 4.7.0 enough"),
          ends
        ],
        [
          ...greets("PIPELINING", "CHUNKING"),
          hearsBytes(`${windowed(2)}RSET\r\n${windowed(3)}`),
          says("250 ok", "250 ok", "250 taken"),
          says("250 reset", "250 ok", "250 ok", "250 taken"),
          ...quits
        ]
      ], all(message(1), message(2), message(3)))
      assert.deepStrictEqual(tags(result), ["sent", "sent", "sent"])
    }))

  it.effect("an end without a reply in the middle of a window: what was written is in doubt", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([
        [
          ...greets("PIPELINING", "CHUNKING"),
          hearsBytes(`${windowed(1)}RSET\r\n${windowed(2)}RSET\r\n${windowed(3)}`),
          says("250 ok", "250 ok", "250 taken"),
          says("250 reset", "250 ok"),
          ends
        ]
      ], all(message(1), message(2), message(3)))
      assert.deepStrictEqual(tags(result), ["sent", "InDoubt", "InDoubt"])
    }))

  it.effect("a refused RSET, and content taken behind it: nobody knows who got that", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("PIPELINING", "CHUNKING"),
        hearsBytes(`${windowed(1)}RSET\r\n${windowed(2)}`),
        says("250 ok", "250 ok", "452 4.3.1 no room"),
        says("450 not now", "503 5.5.1 nested MAIL", "250 ok", "250 taken"),
        hears("RSET"),
        says("250 ok"),
        ...quits
      ]], all(message(1), message(2)))
      assert.deepStrictEqual(tags(result), ["TemporaryFailure", "InDoubt"])
    }))

  it.effect("a refused RSET: the content of the next must reach nobody it is not for", () =>
    Effect.gen(function*() {
      let resets = 0
      const { client, inbox } = yield* site("CHUNKING", {
        unknownUsers: ["ghost@b.example"],
        reply: ({ _tag }) => _tag === "Rset" && resets++ === 0 ? Reply.make(450, "later", "4.2.0") : undefined
      })
      // The policy lets a recipient be accepted, and then the transaction is given up.
      const results = yield* sendAll(client, [
        letter(0, { from: "amy@a.example", to: ["cat@b.example", "ghost@b.example"], policy: "all" }),
        letter(1),
        letter(2)
      ])
      const lines = arrived(yield* inbox)
      const known = reported(results, ["Accepted", "InDoubt"])
      assert.deepStrictEqual(lines.filter((line) => !known.includes(line)), [])
    }))
})

describe("replies", () => {
  const script: ReadonlyArray<Step> = [
    ...greets("PIPELINING", "SIZE 1000", "ENHANCEDSTATUSCODES"),
    hears("MAIL FROM:<ann@a.example> SIZE=12", ben, cat, "DATA"),
    saysBytes(
      lines(
        "250-2.1.0 sender",
        "250-2.1.0 is",
        "250 2.1.0 ok",
        "550-5.1.1 no",
        "550 5.1.1 such user",
        "250 2.1.5 ok",
        "354-go",
        "354 ahead"
      )
    ),
    hearsBytes(`${content(1)}${lines("MAIL FROM:<ann@a.example> SIZE=12", ben, "DATA")}`),
    saysBytes(lines("250-2.0.0 taken", "250 2.0.0 as 1", "250 ok", "250-ok", "250 ok", "354 go")),
    hearsBytes(content(2)),
    says("250 2.0.0 taken"),
    ...quits
  ]
  const expected = ["Refused", "Accepted"]
  const follow = (options: ScriptedServer.Options) =>
    Effect.gen(function*() {
      const { result } = yield* scripted(
        [script],
        all(message(1, "ben@b.example", "cat@b.example"), message(2)),
        options
      )
      const [first, second] = Result.getOrThrow(result)
      assert.deepStrictEqual(
        first !== undefined && Result.isSuccess(first.result)
          ? first.result.success.outcomes.map(({ _tag }) => _tag)
          : [],
        expected
      )
      assert.deepStrictEqual(
        first !== undefined && Result.isSuccess(first.result) ? first.result.success.reply.lines : [],
        ["2.0.0 taken", "2.0.0 as 1"]
      )
      assert.strictEqual(second && tag(second), "sent")
    })

  it.effect("of a group come all at once", () => follow({}))
  it.effect("of a group come one octet at a time", () => follow({ chunk: single }))
  it("of a group come cut and joined anywhere", () =>
    fc.assert(fc.asyncProperty(chunking, (chunk) => Effect.runPromise(follow({ chunk }))), { numRuns: 60, seed: 1 }))
})

describe("PIPELINING", () => {
  it.effect("that is gone after STARTTLS is not used, and what came before the handshake is not kept", () =>
    Effect.gen(function*() {
      const server = ScriptedServer.make([[
        says("220 mx.example ESMTP"),
        hears("EHLO client.example"),
        says("250-mx.example", "250-PIPELINING", "250-CHUNKING", "250 STARTTLS"),
        hears("STARTTLS"),
        says("220 go ahead"),
        ScriptedServer.handshake(),
        hears("EHLO client.example"),
        says("250 mx.example"),
        hears(mail),
        says("250 ok"),
        hears(ben),
        says("250 ok"),
        hears("DATA"),
        says("354 go"),
        hearsBytes(content(1)),
        says("250 taken"),
        ...quits
      ]])
      const results = yield* Effect.flatMap(
        SmtpClient.make({ endpoint: "mx.example:25", security: "startTls", domain: "client.example" }),
        all(message(1))
      ).pipe(Effect.provide(server.layer))
      yield* Effect.orDie(server.check)
      assert.deepStrictEqual(results.map(tag), ["sent"])
    }))

  it.effect("a reply that came before the handshake ends it: the EHLO behind it is never answered by that", () =>
    Effect.gen(function*() {
      const server = ScriptedServer.make([[
        says("220 mx.example ESMTP"),
        hears("EHLO client.example"),
        says("250-mx.example", "250-PIPELINING", "250 STARTTLS"),
        hears("STARTTLS"),
        says("220 go ahead", "250-mx.example", "250 AUTH PLAIN")
      ]])
      const error = yield* Effect.flip(Effect.flatMap(
        SmtpClient.make({ endpoint: "mx.example:25", security: "startTls", domain: "client.example" }),
        (client) => client.send(message(1))
      )).pipe(Effect.provide(server.layer))
      assert.strictEqual(error.reason._tag, "PlaintextInjected")
      assert.lengthOf(server.seen.writes, 2)
    }))

  it.effect("what has to be the last of a group is, whatever is said with it", () =>
    Effect.gen(function*() {
      const made = <A, E>(result: Result.Result<A, E>): A => Result.getOrThrow(result)
      const last: ReadonlyArray<readonly [Command.Command, string]> = [
        [Command.noop, "NOOP"],
        [made(Command.vrfy("ann")), "VRFY ann"],
        [made(Command.expn("all")), "EXPN all"],
        [Command.help, "HELP"],
        [made(Command.etrn("b.example")), "ETRN b.example"],
        [Command.data, "DATA"]
      ]
      for (const [command, line] of last) {
        const server = ScriptedServer.make([[
          ...greets("PIPELINING", "ETRN"),
          // Before it may stand what it wants, behind it nothing.
          hears("RSET", line),
          says("250 ok", "503 no"),
          hears("RSET", line),
          says("250 ok", "503 no"),
          hears("RSET"),
          says("250 ok"),
          ...quits
        ]])
        yield* Effect.scoped(Effect.gen(function*() {
          const client = yield* SmtpClient.make({
            endpoint: "mx.example:25",
            security: "plain",
            domain: "client.example"
          })
          const { connection } = yield* client.open
          const said = command as Exclude<Command.Command, Command.Bdat>
          yield* connection.run(Program.exchange(Command.rset, said, Command.rset, said, Command.rset))
        })).pipe(Effect.provide(server.layer))
        yield* Effect.orDie(server.check)
      }
    }))

  it.effect("is not used without being offered", () =>
    Effect.gen(function*() {
      const { result } = yield* scripted([[
        ...greets("CHUNKING"),
        hears(mail),
        says("250 ok"),
        hears(ben),
        says("250 ok"),
        hearsBytes(chunk(1)),
        says("250 taken"),
        hears(mail),
        says("250 ok"),
        hears(ben),
        says("550 no"),
        hears(cat),
        says("550 no"),
        hears("RSET"),
        says("250 ok"),
        ...quits
      ]], all(message(1), message(2, "ben@b.example", "cat@b.example")))
      assert.deepStrictEqual(tags(result), ["sent", "RecipientsRefused"])
    }))
})
