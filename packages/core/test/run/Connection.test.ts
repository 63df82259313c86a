import { assert, describe, it } from "@effect/vitest"
import {
  Address,
  Command,
  Connection,
  Content,
  Envelope,
  Program,
  type Reason,
  Said,
  Session,
  Transaction,
  Transcript
} from "@postern/core"
import { Data, Effect, Fiber, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import {
  failure,
  hears,
  hearsBytes,
  make,
  peer,
  quits,
  says,
  saysBytes,
  single,
  stalls,
  type Step,
  submission,
  success,
  talk,
  until,
  waits
} from "./scripted.ts"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const hello = Program.gen(function*() {
  const greeting = yield* Program.greeting
  const capabilities = yield* Program.send(Command.ehlo(domain))
  return new Session.Session("ready", {
    host: peer.host,
    greeting,
    capabilities,
    tls: undefined,
    authenticated: undefined
  })
})
const helloScript = (...extensions: ReadonlyArray<string>): ReadonlyArray<Step> => [
  says("220 hi"),
  hears("EHLO client.example"),
  says(...["mx.example", ...extensions].map((line, i) => `250${i < extensions.length ? "-" : " "}${line}`))
]

const recipients = (count: number) => Array.from({ length: count }, (_, i) => `r${i}@b.example`)
const envelope = (count: number) => Result.getOrThrow(Envelope.make({ from: "ann@a.example", to: recipients(count) }))
const deliver = (count: number) =>
  Program.gen(function*() {
    const session = yield* hello
    return yield* Transaction.deliver(session, envelope(count), new TextEncoder().encode("x"))
  })
const mail = "MAIL FROM:<ann@a.example>"
const rcpt = (address: string) => `RCPT TO:<${address}>`
const content: ReadonlyArray<Step> = [hearsBytes("x\r\n.\r\n"), says("250 queued"), ...quits]
const data: ReadonlyArray<Step> = [hears("DATA"), says("354 go"), ...content]

describe("PIPELINING", () => {
  it.effect("is forgotten with all else after XCLIENT: the session starts anew", () =>
    Effect.gen(function*() {
      const program = Program.gen(function*() {
        yield* hello
        yield* Program.send(Result.getOrThrow(Command.xclient({ ADDR: "192.0.2.1" })))
        return yield* Program.exchange(Command.rset, Command.noop)
      })
      const script = [
        ...helloScript("PIPELINING"),
        hears("XCLIENT ADDR=192.0.2.1"),
        says("220 hi again"),
        hears("RSET"),
        says("250 ok"),
        hears("NOOP"),
        says("250 ok"),
        ...quits
      ]
      const talked = yield* talk(script, (connection) => connection.run(program))
      assert.lengthOf(success(talked), 2)
    }))

  it.effect("the envelope and DATA are one write, their replies come as they like", () =>
    Effect.gen(function*() {
      for (const chunk of [undefined, single]) {
        const { result, seen } = yield* talk([
          ...helloScript("PIPELINING"),
          hears(mail, ...recipients(5).map(rcpt), "DATA"),
          says(...Array.from({ length: 6 }, () => "250 ok"), "354 go"),
          ...content
        ], (connection) =>
          connection.run(deliver(5)), { chunk })
        assert.isTrue(Result.isSuccess(result))
        assert.deepStrictEqual(
          seen.writes.map((write) =>
            write.split(" ")[0]
          ),
          ["EHLO", "MAIL", "x\r\n.\r\n", "QUIT\r\n"]
        )
      }
    }))

  it.effect("is not done where it is not offered: each command waits for the reply before", () =>
    Effect.gen(function*() {
      const talked = yield* talk([
        ...helloScript("SIZE 1000"),
        hears(`${mail} SIZE=3`),
        says("250 ok"),
        ...recipients(3).flatMap((address) => [hears(rcpt(address)), says("250 ok")]),
        ...data
      ], (connection) => connection.run(deliver(3)))
      success(talked)
      assert.lengthOf(talked.seen.writes, 8)
    }))

  it.effect("is forgotten when HELO follows", () =>
    Effect.gen(function*() {
      const talked = yield* talk([
        ...helloScript("PIPELINING"),
        hears("HELO client.example"),
        says("250 mx.example"),
        hears("RSET"),
        says("250 ok"),
        hears("RSET"),
        says("250 ok"),
        ...quits
      ], (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          yield* connection.run(Program.send(Command.helo(domain)))
          yield* connection.run(Program.exchange(Command.rset, Command.rset))
        }))
      success(talked)
    }))

  it.effect("nothing is said behind what RFC 2920 §3.1 has last, until it is answered", () =>
    Effect.gen(function*() {
      const talked = yield* talk([
        ...helloScript("PIPELINING"),
        hears("RSET", "NOOP"),
        says("250 ok", "250 ok"),
        hears("RSET", "VRFY ann"),
        says("250 ok", "252 perhaps"),
        hears("RSET"),
        says("250 ok"),
        ...quits
      ], (connection) =>
        Effect.andThen(
          connection.run(hello),
          connection.run(
            Program.exchange(
              Command.rset,
              Command.noop,
              Command.rset,
              Result.getOrThrow(Command.vrfy("ann")),
              Command.rset
            )
          )
        ))
      assert.deepStrictEqual(success(talked).map(({ _tag }) => _tag), Array<string>(5).fill("Success"))
    }))

  it.effect("at most 300 replies are waited for; as many as come, so many commands follow", () =>
    Effect.gen(function*() {
      const all = [mail, ...recipients(448).map(rcpt), "DATA"]
      const replies = all.map((line) =>
        line === "DATA" ? "354 go" : line === rcpt("r120@b.example") ? "550 no" : "250 ok"
      )
      const answers = (from: number, to: number) => says(...replies.slice(from, to))
      const talked = yield* talk([
        ...helloScript("PIPELINING"),
        hears(...all.slice(0, 300)),
        answers(0, 1),
        hears(...all.slice(300, 301)),
        answers(1, 101),
        hears(...all.slice(301, 401)),
        answers(101, 401),
        hears(...all.slice(401)),
        answers(401, all.length),
        ...content
      ], (connection) => connection.run(deliver(448)))
      const { outcomes } = success(talked)
      assert.deepStrictEqual(outcomes.flatMap(({ _tag, recipient }) => _tag === "Accepted" ? [] : [recipient]), [
        "<r120@b.example>"
      ])
    }))
})

describe("what the server waits for", () => {
  it.effect("content after 354, and no command: not in the next dialogue, not at the end", () =>
    Effect.gen(function*() {
      const data: ReadonlyArray<Step> = [...helloScript(), hears("DATA"), says("354 go")]
      const next = yield* talk(data, (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          yield* connection.run(Program.send(Command.data))
          yield* connection.run(Program.send(Command.noop))
        }))
      assert.deepStrictEqual<Reason.Reason>(failure(next).reason, {
        _tag: "OutOfSequence",
        step: "Noop",
        phase: "content"
      })
      // QUIT would be the first line of the content.
      success(
        yield* talk(
          data,
          (connection) => Effect.andThen(connection.run(hello), connection.run(Program.send(Command.data)))
        )
      )
    }))

  it.effect("a response after 334", () =>
    Effect.gen(function*() {
      const login = Result.getOrThrow(Command.auth("LOGIN"))
      const auth: ReadonlyArray<Step> = [...helloScript(), hears("AUTH LOGIN"), says("334 VXNlcm5hbWU6")]
      const next = yield* talk(auth, (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          yield* connection.run(Program.send(login))
          yield* connection.run(Program.send(Command.rset))
        }))
      assert.deepStrictEqual<Reason.Reason>(failure(next).reason, {
        _tag: "OutOfSequence",
        step: "Rset",
        phase: "response"
      })
      const cancelled = yield* talk([
        ...auth,
        hears("*"),
        says("501 cancelled"),
        hears("NOOP"),
        says("250 ok"),
        ...quits
      ], (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          yield* connection.run(Program.send(login))
          yield* connection.run(Program.exchange(Command.authCancel))
          yield* connection.run(Program.send(Command.noop))
        }))
      success(cancelled)
    }))

  it.effect("a handshake after the consent to it", () =>
    Effect.gen(function*() {
      const talked = yield* talk([...helloScript("STARTTLS"), hears("STARTTLS"), says("220 go")], (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          yield* connection.run(Program.send(Command.startTls))
          yield* connection.run(Program.send(Command.noop))
        }))
      assert.deepStrictEqual<Reason.Reason>(failure(talked).reason, {
        _tag: "OutOfSequence",
        step: "Noop",
        phase: "handshake"
      })
    }))

  it.effect("no content where nothing asked for it: its lines would be commands", () =>
    Effect.gen(function*() {
      const talked = yield* talk(helloScript(), (connection) =>
        Effect.andThen(
          connection.run(hello),
          connection.run(
            Program.converse([Said.content(Content.blocks(new TextEncoder().encode("MAIL FROM:<>\n"), "DATA"))], [
              "Content"
            ])
          )
        ))
      assert.deepStrictEqual<Reason.Reason>(failure(talked).reason, {
        _tag: "OutOfSequence",
        step: "Content",
        phase: "ready"
      })
    }))
})

describe("a command made by force", () => {
  const injected = "x>\r\nRCPT TO:<evil@b.example"
  const forced: ReadonlyArray<readonly [string, Said.Line]> = [
    ["a domain", Command.ehlo(`client.example\r\nMAIL FROM:<>` as Address.Domain)],
    ["an argument", { _tag: "Noop", argument: injected }],
    ["a bare LF", { _tag: "Vrfy", argument: "x\nRSET", smtpUtf8: false }],
    ["a bare CR", { _tag: "Vrfy", argument: "x\rRSET", smtpUtf8: false }],
    ["NUL", { _tag: "Vrfy", argument: "x\0", smtpUtf8: false }],
    ["a parameter", Command.mail(null, [{ keyword: "SIZE", value: "1\r\nDATA" }])],
    ["a mechanism", { _tag: "Auth", mechanism: "PLAIN\r\nNOOP", initialResponse: Redacted.make(new Uint8Array(1)) }]
  ]
  for (const [what, command] of forced) {
    it.effect(`${what}: never reaches the wire`, () =>
      Effect.gen(function*() {
        const talked = yield* talk(helloScript("PIPELINING"), (connection) =>
          Effect.andThen(connection.run(hello), connection.run(Program.exchange(Command.noop, command))))
        assert.deepStrictEqual<Reason.Reason>(failure(talked).reason, {
          _tag: "InvalidInput",
          what: "a command",
          problem: "it holds CR, LF or NUL"
        })
        assert.deepStrictEqual(talked.seen.writes, ["EHLO client.example\r\n"])
      }))
  }
})

describe("QUIT", () => {
  it.effect("is said once, when a session in good order ends, refusals included", () =>
    Effect.gen(function*() {
      const refused = yield* talk(
        [...helloScript(), hears("VRFY ann"), says("550 no such user"), ...quits],
        (connection) =>
          Effect.andThen(
            connection.run(hello),
            connection.run(Program.send({ _tag: "Vrfy", argument: "ann", smtpUtf8: false }))
          )
      )
      assert.strictEqual(failure(refused).reason._tag, "CommandRefused")
      assert.lengthOf(refused.seen.writes.filter((write) => write === "QUIT\r\n"), 1)
      const greeting = yield* talk([says("554 not for you"), ...quits], (connection) => connection.run(hello))
      assert.strictEqual(failure(greeting).reason._tag, "GreetingRefused")
    }))

  it.effect("is not said to a server that has not greeted", () =>
    Effect.gen(function*() {
      const { seen } = yield* talk([stalls], () => Effect.void)
      assert.lengthOf(seen.writes, 0)
    }))

  it.effect("whatever it is answered, the scope closes", () =>
    Effect.gen(function*() {
      for (
        const answer of [says("500 what?"), says("421 bye"), saysBytes("nonsense\r\n"), {
          _tag: "Ends",
          problem: { _tag: "Closed" }
        }] as const
      ) {
        success(yield* talk([...helloScript(), hears("QUIT"), answer], (connection) => connection.run(hello)))
      }
    }))

  it.effect("is not said a second time when a dialogue said it", () =>
    Effect.gen(function*() {
      success(
        yield* talk(
          [...helloScript(), hears("QUIT"), says("221 bye")],
          (connection) => Effect.andThen(connection.run(hello), connection.run(Program.send(Command.quit)))
        )
      )
    }))
})

describe("a Program's own errors and mistakes", () => {
  class Mine extends Data.TaggedError("Mine")<{ readonly n: number }> {}

  it.effect("an error of its own passes as it is, and the connection stays usable", () =>
    Effect.gen(function*() {
      const { layer } = make([[...helloScript(), hears("NOOP"), says("250 ok"), ...quits]])
      yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "plain" })
        const error = yield* Effect.flip(connection.run(Program.gen(function*() {
          yield* hello
          return yield* Program.fail(new Mine({ n: 1 }))
        })))
        assert.isTrue(error instanceof Mine)
        yield* connection.run(Program.send(Command.noop))
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))

  it.effect("one that dies leaves a connection on which nothing is said any more", () =>
    Effect.gen(function*() {
      const { layer, seen } = make([helloScript()])
      yield* Effect.gen(function*() {
        const connection = yield* Connection.open({ peer, security: "plain" })
        const exit = yield* Effect.exit(connection.run(Program.gen(function*() {
          yield* hello
          throw new Error("a mistake")
        })))
        assert.include(String(exit), "a mistake")
        const { reason } = yield* Effect.flip(connection.run(Program.send(Command.noop)))
        assert.strictEqual(reason._tag, "ConnectionLost")
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(seen.writes, ["EHLO client.example\r\n"])
    }))

  it.effect("what ended the connection is told again, but the doubt only about that delivery", () =>
    Effect.gen(function*() {
      const again = (script: ReadonlyArray<Step>) =>
        talk(
          script,
          (connection) =>
            Effect.andThen(Effect.ignore(connection.run(submission())), connection.run(Program.send(Command.noop)))
        )
      assert.strictEqual(failure(yield* again([...until("Mail"), says("421 bye")])).reason._tag, "ServiceClosing")
      const doubt = failure(yield* again([...until("Content"), { _tag: "Ends", problem: { _tag: "Closed" } }]))
      assert.strictEqual(doubt.reason._tag, "ConnectionLost")
      assert.strictEqual(doubt.retry, "now")
    }))
})

describe("the transcript", () => {
  it.effect("tells what was said in order, with the time, and content as its length; an observer sees the same", () =>
    Effect.gen(function*() {
      const [greeting, ...rest] = until("Content").slice(1)
      assert.strictEqual(greeting?._tag, "Hears")
      const script = [
        waits("1 second"),
        says("220 mx.example ESMTP"),
        hears("EHLO client.example"),
        waits("2500 millis"),
        ...rest,
        says("250 queued"),
        ...quits
      ]
      const observed: Array<Transcript.Event> = []
      const { layer } = make([script])
      const fiber = yield* Effect.gen(function*() {
        const observe = (event: Transcript.Event) => Effect.sync(() => void observed.push(event))
        const connection = yield* Connection.open({ peer, security: "startTls", observe })
        yield* connection.run(submission("Subject: hello\n\nHello.\n"))
        return yield* connection.transcript
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.forkChild)
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("2500 millis")
      const transcript = yield* Fiber.join(fiber)
      assert.deepStrictEqual(observed.slice(0, transcript.length), transcript)
      assert.deepStrictEqual(observed.slice(transcript.length).map(({ _tag }) => _tag), ["Sent", "Received"])
      assert.strictEqual(
        Transcript.render(transcript),
        [
          "     0.0 ms  -- connected to mx.example:25",
          "  1000.0 ms  S: 220 mx.example ESMTP",
          "  1000.0 ms  C: EHLO client.example",
          "  3500.0 ms  S: 250-mx.example",
          "  3500.0 ms  S: 250 STARTTLS",
          "  3500.0 ms  C: STARTTLS",
          "  3500.0 ms  S: 220 go ahead",
          "  3500.0 ms  -- TLSv1.3, TLS_AES_256_GCM_SHA384, server verified by chain",
          "  3500.0 ms  C: EHLO client.example",
          "  3500.0 ms  S: 250-mx.example",
          "  3500.0 ms  S: 250-PIPELINING",
          "  3500.0 ms  S: 250 AUTH PLAIN",
          "  3500.0 ms  C: AUTH PLAIN <redacted, 21 bytes>",
          "  3500.0 ms  S: 235 2.7.0 welcome",
          "  3500.0 ms  C: MAIL FROM:<ann@a.example>",
          "  3500.0 ms  C: RCPT TO:<ben@b.example>",
          "  3500.0 ms  C: RCPT TO:<cat@c.example>",
          "  3500.0 ms  C: RCPT TO:<dan@d.example>",
          "  3500.0 ms  C: DATA",
          "  3500.0 ms  S: 250 sender ok",
          "  3500.0 ms  S: 250 ben ok",
          "  3500.0 ms  S: 550 5.1.1 no such user",
          "  3500.0 ms  S: 250 dan ok",
          "  3500.0 ms  S: 354 go ahead",
          "  3500.0 ms  C: (29 octets of content)",
          "  3500.0 ms  S: 250 queued"
        ].join("\n")
      )
    }))

  it.effect("keeps the newest 256 events, and the observer sees all", () =>
    Effect.gen(function*() {
      const noops = 300
      const script = [
        ...helloScript(),
        ...Array.from({ length: noops }, (_, i) => [hears(`NOOP ${i}`), says(`250 ${i}`)]).flat(),
        ...quits
      ]
      const talked = yield* talk(script, (connection) =>
        Effect.gen(function*() {
          yield* connection.run(hello)
          for (let i = 0; i < noops; i++) {
            yield* connection.run(Program.send(Result.getOrThrow(Command.noopWith(`${i}`))))
          }
          return yield* connection.transcript
        }))
      const transcript = success(talked)
      assert.strictEqual(Transcript.kept, 256)
      assert.lengthOf(transcript, Transcript.kept)
      assert.strictEqual(transcript.map(Transcript.renderEvent).at(-1)?.trim(), "0.0 ms  S: 250 299")
      assert.lengthOf(talked.events, 1 + 3 + 2 * noops + 2)
    }))

  it.effect("an error carries it, and what a terminal would obey is shown as text", () =>
    Effect.gen(function*() {
      const title = "\u009b2J\u009d0;owned\u0007".replace("\u0007", "")
      const talked = yield* talk(
        [...helloScript(), hears("NOOP"), saysBytes(`550 no ${title}\r\n`), ...quits],
        (connection) => Effect.andThen(connection.run(hello), connection.run(Program.send(Command.noop)))
      )
      const error = failure(talked)
      assert.deepStrictEqual(error.transcript, talked.events.slice(0, error.transcript.length))
      for (const shown of [Transcript.render(error.transcript), error.message]) {
        assert.include(shown, "550 no \\x9b2J")
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
      }
      const event: Transcript.Event = { _tag: "Closed", at: 1, detail: "\u001b]0;x\u0007\r\n" }
      assert.strictEqual(Transcript.renderEvent(event), "     1.0 ms  -- closed: \\x1b]0;x\\x07\\x0d\\x0a")
      assert.strictEqual(
        Transcript.renderEvent({ _tag: "Sent", at: 1, line: "NOOP \u001b[2J" }),
        "     1.0 ms  C: NOOP \\x1b[2J"
      )
    }))
})
