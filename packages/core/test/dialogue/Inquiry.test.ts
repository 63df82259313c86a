/**
 * What a session can be asked besides taking mail, against a simulated server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Address, CommandLine, Envelope, Inquiry, Reply, SmtpClient, type SmtpError, Transaction } from "@postern/core"
import { InMemory, ServerMachine, VirtualTime } from "@postern/testing"
import { Effect, Result } from "effect"
import * as fc from "fast-check"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))

const asked = Effect.fnUntraced(function*(server: ServerMachine.Config, options: Partial<SmtpClient.Options> = {}) {
  const memory = yield* InMemory.make(server)
  const client = yield* SmtpClient.make({
    endpoint: "mx.example:25",
    security: "plain",
    domain: "client.example",
    ...options
  }).pipe(Effect.provide(memory.layer))
  const said = Effect.map(memory.sessions, (sessions) => sessions.flatMap(({ commands }) => commands))
  return { ...memory, client, said }
})

const reasonOf = <A, R>(effect: Effect.Effect<A, SmtpError.SmtpError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const envelope = Result.getOrThrow(Envelope.make({ from: "ann@a.example", to: "ben@b.example" }))
const content = new TextEncoder().encode("Subject: x\n\nx\n")

describe("verify", () => {
  const server: ServerMachine.Config = {
    users: { ann: "Ann <ann@a.example>", lee: ["Lee <lee@a.example>", "Leon <leon@a.example>"] }
  }

  it.effect("tells one mailbox, and that there are several, or none", () =>
    Effect.gen(function*() {
      const { client, open } = yield* asked(server)
      const of = (user: string) => client.use((session) => Inquiry.verify(session, user))
      assert.deepStrictEqual(yield* of("ann"), { certain: true, mailboxes: ["Ann <ann@a.example>"] })
      const several = yield* Effect.result(of("lee"))
      if (Result.isSuccess(several)) {
        assert.isFalse(several.success.certain)
      } else {
        const { reason } = several.failure
        assert.strictEqual(reason._tag === "CommandRefused" ? reason.reply.code : 0, 553)
      }
      assert.deepInclude(yield* reasonOf(of("eve")), { _tag: "CommandRefused", step: "Vrfy" })
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("is not certain where the server does not tell", () =>
    Effect.gen(function*() {
      const { client } = yield* asked({})
      assert.isFalse((yield* client.use((session) => Inquiry.verify(session, "ann"))).certain)
    }))

  it.effect("fails for now where that is what the server says, and as the connection does", () =>
    Effect.gen(function*() {
      const of = Effect.fnUntraced(function*(reply: Reply.Reply | "drop") {
        const { client } = yield* asked({ reply: ({ _tag }) => _tag === "Vrfy" ? reply : undefined })
        return yield* reasonOf(client.use((session) => Inquiry.verify(session, "ann")))
      })
      assert.strictEqual((yield* of(Reply.make(450, "not now")))._tag, "TemporaryFailure")
      assert.strictEqual((yield* of(Reply.make(502, "not here")))._tag, "CommandRefused")
      assert.strictEqual((yield* of(Reply.make(421, "closing")))._tag, "ServiceClosing")
      assert.strictEqual((yield* of("drop"))._tag, "ConnectionLost")
    }))

  it.effect("refuses what is no argument, and says nothing of it", () =>
    Effect.gen(function*() {
      const { client, said } = yield* asked(server)
      const bad = ["", " ", "ann\r\nRSET", "ann\0", " ann", "ann\n", "ann SMTPUTF8", "å\r\n"]
      for (const user of bad) {
        const verified = yield* reasonOf(client.use((session) => Inquiry.verify(session, user)))
        const expanded = yield* reasonOf(client.use((session) => Inquiry.expand(session, user)))
        assert.deepStrictEqual([verified._tag, expanded._tag], ["InvalidInput", "InvalidInput"], JSON.stringify(user))
      }
      assert.isTrue((yield* said).every(({ _tag }) => _tag === "Ehlo" || _tag === "Quit"))
    }))

  it("asks for what it was given and nothing else, or refuses it", () =>
    fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 30 }), (user) =>
        Effect.runPromise(Effect.gen(function*() {
          const { client, said } = yield* asked({ users: {} })
          const reason = yield* reasonOf(client.use((session) => Inquiry.verify(session, user)))
          const told = (yield* said).filter(({ _tag }) => _tag !== "Ehlo" && _tag !== "Quit")
          if (reason._tag === "InvalidInput") return assert.lengthOf(told, 0)
          assert.isAtMost(told.length, 1)
          for (const command of told) assert.strictEqual(command._tag, "Vrfy")
        }))),
      { numRuns: 100, seed: 1 }
    ))
})

describe("expand", () => {
  it.effect("tells the members of a list, or that there is none", () =>
    Effect.gen(function*() {
      const members = ["Ann <ann@a.example>", "ben@b.example"] as const
      const { client } = yield* asked({ lists: { all: members } })
      const of = (list: string) => client.use((session) => Inquiry.expand(session, list))
      assert.deepStrictEqual([...yield* of("all")], [...members])
      assert.deepInclude(yield* reasonOf(of("none")), { _tag: "CommandRefused", step: "Expn" })
      const { client: other } = yield* asked({})
      const reason = yield* reasonOf(other.use((session) => Inquiry.expand(session, "all")))
      assert.deepInclude(reason, { _tag: "CommandRefused", step: "Expn" })
    }))
})

describe("names beyond ASCII", () => {
  /** What both questions come to, and the lines that are said for it. */
  const about = Effect.fnUntraced(function*(name: string, ...extensions: ReadonlyArray<string>) {
    const { client, said } = yield* asked({ extensions, users: {}, lists: {} })
    const verified = yield* reasonOf(client.use((session) => Inquiry.verify(session, name)))
    const expanded = yield* reasonOf(client.use((session) => Inquiry.expand(session, name)))
    const lines = (yield* said).map(CommandLine.render).filter((line) => /^(?:VRFY|EXPN)/.test(line))
    return { lines, reasons: [verified, expanded] }
  })

  it.effect("are said where SMTPUTF8 is offered, with its parameter, as any name is there", () =>
    Effect.gen(function*() {
      for (const name of ["ann", "René", "rené@b.example"]) {
        const { lines } = yield* about(name, "SMTPUTF8")
        assert.deepStrictEqual(lines, [`VRFY ${name} SMTPUTF8`, `EXPN ${name} SMTPUTF8`])
      }
    }))

  it.effect("are not said where it is not offered, or not to be used", () =>
    Effect.gen(function*() {
      for (const name of ["René", "rené@b.example", "rené@bücher.example", "Bücher.example"]) {
        const { lines, reasons } = yield* about(name, "PIPELINING")
        assert.deepStrictEqual(lines, [])
        for (const reason of reasons) assert.deepInclude(reason, { _tag: "ExtensionMissing", extension: "SMTPUTF8" })
      }
      const { client } = yield* asked({ users: {} }, { without: ["SMTPUTF8"] })
      const reason = yield* reasonOf(client.use((session) => Inquiry.verify(session, "René")))
      assert.strictEqual(reason._tag, "ExtensionMissing")
    }))

  it.effect("are A-labels where they are the domain of a mailbox", () =>
    Effect.gen(function*() {
      const { lines } = yield* about("Ann@Bücher.example", "PIPELINING")
      assert.deepStrictEqual(lines, ["VRFY Ann@xn--bcher-kva.example", "EXPN Ann@xn--bcher-kva.example"])
      const both = yield* about("rené@bücher.example", "SMTPUTF8")
      assert.strictEqual(both.lines[0], "VRFY rené@xn--bcher-kva.example SMTPUTF8")
      const ascii = yield* about("Ann@B.Example", "PIPELINING")
      assert.strictEqual(ascii.lines[0], "VRFY Ann@B.Example")
    }))
})

describe("startQueue", () => {
  const server = {
    extensions: [...ServerMachine.defaultExtensions, "ETRN"],
    queues: { "a.example": 3, "b.example": 0 }
  }

  it.effect("tells what the server says of it", () =>
    Effect.gen(function*() {
      const { client } = yield* asked(server)
      const of = (node: string) => client.use((session) => Inquiry.startQueue(session, node))
      assert.strictEqual((yield* of("a.example")).code, 253)
      assert.strictEqual((yield* of("b.example")).code, 251)
      const reason = yield* reasonOf(of("c.example"))
      assert.strictEqual("reply" in reason && reason.reply !== undefined ? reason.reply.code : 0, 459)
      assert.strictEqual((yield* reasonOf(of("not a node")))._tag, "InvalidInput")
    }))

  it.effect("is not asked for where it is not offered", () =>
    Effect.gen(function*() {
      const { client, said } = yield* asked({})
      const reason = yield* reasonOf(client.use((session) => Inquiry.startQueue(session, "a.example")))
      assert.deepInclude(reason, { _tag: "ExtensionMissing", extension: "ETRN" })
      assert.isTrue((yield* said).every(({ _tag }) => _tag !== "Etrn"))
    }))
})

describe("behalf", () => {
  const server = { extensions: [...ServerMachine.defaultExtensions, "XCLIENT NAME ADDR LOGIN"] }

  it.effect("begins the session anew, as somebody else's, and mail goes on in it", () =>
    Effect.gen(function*() {
      const { client, inbox, said } = yield* asked(server)
      const delivery = yield* client.use((session) =>
        Effect.gen(function*() {
          const anew = yield* Inquiry.behalf(session, { NAME: "b.example", ADDR: "192.0.2.1" }, domain)
          assert.strictEqual(anew.facts.authenticated, undefined)
          assert.isTrue(anew.facts.capabilities?.pipelining)
          return yield* Transaction.deliver(anew, envelope, content)
        })
      )
      assert.strictEqual(delivery.outcomes[0]?._tag, "Accepted")
      const [message] = yield* inbox
      assert.deepStrictEqual(message?.xclient, { NAME: "b.example", ADDR: "192.0.2.1" })
      assert.deepStrictEqual((yield* said).map(({ _tag }) => _tag).slice(0, 3), ["Ehlo", "Xclient", "Ehlo"])
    }))

  it.effect("says only attributes that the server takes, however they are spelled", () =>
    Effect.gen(function*() {
      const { client, said } = yield* asked(server)
      const of = (attributes: Readonly<Record<string, string>>) =>
        reasonOf(client.use((session) => Effect.asVoid(Inquiry.behalf(session, attributes, domain))))
      assert.deepInclude(yield* of({ PORT: "25" }), { _tag: "ExtensionMissing", extension: "XCLIENT PORT" })
      assert.strictEqual((yield* of({}))._tag, "InvalidInput")
      assert.strictEqual((yield* of({ "NA ME": "x" }))._tag, "InvalidInput")
      assert.isTrue((yield* said).every(({ _tag }) => _tag !== "Xclient"))
      yield* client.use((session) => Inquiry.behalf(session, { name: "b.example" }, domain))
      assert.isTrue((yield* said).some(({ _tag }) => _tag === "Xclient"))
    }))

  it.effect("is not tried where it is not offered, and its refusal is told", () =>
    Effect.gen(function*() {
      const { client } = yield* asked({})
      const of = (client: SmtpClient.SmtpClient["Service"]) =>
        reasonOf(client.use((session) => Effect.asVoid(Inquiry.behalf(session, { NAME: "b.example" }, domain))))
      assert.deepInclude(yield* of(client), { _tag: "ExtensionMissing", extension: "XCLIENT" })
      const { client: unwilling } = yield* asked({
        ...server,
        reply: ({ _tag }) => _tag === "Xclient" ? Reply.make(550, "not you", "5.7.0") : undefined
      })
      assert.strictEqual((yield* of(unwilling))._tag, "CommandRefused")
    }))
})

describe("a session that was asked", () => {
  it.effect("takes mail all the same, behind each question", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* asked({
        extensions: [...ServerMachine.defaultExtensions, "ETRN"],
        lists: { all: ["ann@a.example"] }
      })
      yield* client.use((session) =>
        Effect.gen(function*() {
          yield* Inquiry.verify(session, "ann")
          yield* Transaction.deliver(session, envelope, content)
          yield* Inquiry.expand(session, "all")
          yield* Effect.flip(Inquiry.expand(session, "none"))
          yield* Transaction.deliver(session, envelope, content)
          yield* Inquiry.startQueue(session, "a.example")
          yield* Transaction.deliver(session, envelope, content)
        })
      )
      assert.lengthOf(yield* inbox, 3)
    }))

  it("waits for an answer no longer than the time limit of its step", () =>
    Effect.gen(function*() {
      const { client } = yield* asked(
        { delay: (_, turn) => turn?._tag === "Vrfy" ? "1 day" : 0 },
        { timeLimits: { Vrfy: "1 minute" } }
      )
      const reason = yield* reasonOf(client.use((session) => Inquiry.verify(session, "ann")))
      assert.deepInclude(reason, { _tag: "TimedOut", step: "Vrfy", limit: 60_000 })
    }).pipe(Effect.provide(VirtualTime.layer()), Effect.runPromise))
})
