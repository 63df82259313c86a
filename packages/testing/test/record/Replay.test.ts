import { assert, describe, it } from "@effect/vitest"
import { Mechanism, type SmtpClient, type SmtpError, Transport } from "@postern/core"
import { Departure, Faults, Recorder, Recording, Replay, VirtualTime } from "@postern/testing"
import { Cause, Clock, Effect, Exit, Layer, Redacted, Result } from "effect"
import * as fc from "fast-check"
import { client, credentials, inMemory, key, message, send, server, using, withPassword } from "./support.ts"

/** Records a program against the server in memory, and what became of it. */
const record = <A, E, R>(
  program: Effect.Effect<A, E, R | SmtpClient.SmtpClient>,
  over: Layer.Layer<SmtpClient.SmtpClient, SmtpError.SmtpError, Transport.Transport>,
  options: Recorder.Options = {},
  config = server,
  delays?: Parameters<typeof inMemory>[1],
  faults: Faults.Plan = []
) =>
  Effect.runPromise(
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(program, over) as Effect.Effect<A, E>)
      const { recording } = yield* Recorder.Recorder
      return { exit, recording: yield* recording }
    }).pipe(
      Effect.provide(
        Recorder.layer(options).pipe(
          Layer.provide(Faults.layer(faults)),
          Layer.provide(inMemory(config, delays)),
          Layer.provideMerge(VirtualTime.layer())
        )
      )
    )
  )

const replay = <A, E>(
  recording: Recording.Recording,
  program: Effect.Effect<A, E, SmtpClient.SmtpClient>,
  over: Parameters<typeof record>[1],
  options: Replay.Options = {}
) => Effect.runPromise(Effect.exit(Replay.run(recording, Effect.provide(program, over), options)))

const departureOf = (exit: Exit.Exit<unknown, unknown>): Departure.Departure => {
  assert.isTrue(Exit.isFailure(exit))
  const error = Exit.isFailure(exit) ? Result.getOrUndefined(Cause.findError(exit.cause)) : undefined
  assert.instanceOf(error, Departure.Departure)
  return error as Departure.Departure
}

const patient = {
  Connect: "1 day",
  Handshake: "1 day",
  StartTls: "1 day",
  Quit: "1 day",
  Greeting: "1 day",
  Ehlo: "1 day",
  Mail: "1 day",
  Rcpt: "1 day",
  Data: "1 day",
  Content: "1 day",
  Bdat: "1 day"
} as const

const chunked = (cuts: ReadonlyArray<number>) => (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < bytes.length; at += cuts[i++ % cuts.length] ?? 1) {
    chunks.push(bytes.subarray(at, at + (cuts[i % cuts.length] ?? 1)))
  }
  return chunks
}

describe("Replay.run", () => {
  it.each(withPassword.map((mechanism) => [mechanism.name, mechanism] as const))(
    "%s: the same program goes the same way, with the key",
    async (_, mechanism) => {
      const { exit, recording } = await record(send(), using(mechanism), { key })
      assert.isTrue(Exit.isSuccess(exit))
      const text = Recording.encode(recording)
      const again = await replay(Result.getOrThrow(Recording.decode(text)), send(), using(mechanism), { key })
      assert.isTrue(Exit.isSuccess(again), String(again))
      if (Exit.isSuccess(again) && Exit.isSuccess(exit)) {
        assert.deepStrictEqual(again.value.outcomes, exit.value.outcomes)
        assert.deepStrictEqual(again.value.reply, exit.value.reply)
      }
    }
  )

  it("needs no key for PLAIN", async () => {
    const plain = using(withPassword[0] as Mechanism.Mechanism)
    const { recording } = await record(send(), plain)
    assert.isTrue(Exit.isSuccess(await replay(recording, send(), plain)))
  })

  const altered: ReadonlyArray<readonly [string, Partial<SmtpClient.Message>, string]> = [
    ["another recipient", { to: ["bob@b.example", "nobody@b.example"] }, "it says something else"],
    ["another sender", { from: "eve@a.example" }, "it says something else"],
    ["a recipient more", { to: [...message.to, "cat@c.example"] }, "it says something else"],
    ["other content", { content: "Subject: hello\n\nHallo.\n.dots\n" }, "it sends other content"],
    ["content of another size", { content: "Subject: hello\n\nHello!!\n.dots\n" }, "it says something else"],
    ["options", { dsn: { envelopeId: "x" } }, "it says something else"]
  ]
  it.each(altered)("tells %s", async (_, change, how) => {
    const plain = using(withPassword[0] as Mechanism.Mechanism)
    const { recording } = await record(send(), plain)
    assert.strictEqual(departureOf(await replay(recording, send(change), plain)).how, how)
  })

  it("tells another password by its key, and without one cannot", async () => {
    const other = Mechanism.password("tim", Redacted.make("tanstaaftanstaag"))
    const [plain, altered] = [credentials, other].map((as) => using(withPassword[0] as Mechanism.Mechanism, as))
    assert.isDefined(plain)
    assert.isDefined(altered)
    const { recording } = await record(send(), plain, { key })
    assert.include(departureOf(await replay(recording, send(), altered, { key })).how, "another secret")
    assert.isTrue(Exit.isSuccess(await replay(recording, send(), altered)))
  })

  it("shows where it departs, and what led there", async () => {
    const { recording } = await record(send(), client())
    const departure = departureOf(await replay(recording, send({ to: ["bob@b.example"] }), client()))
    assert.strictEqual(
      departure.message,
      [
        "the client departs from the script at event 11 of connection 0: it says something else",
        "    S: 250-SIZE 10485760\\r\\n",
        "    S: 250-8BITMIME\\r\\n",
        "    S: 250-SMTPUTF8\\r\\n",
        "    S: 250-ENHANCEDSTATUSCODES\\r\\n",
        "    S: 250-DSN\\r\\n",
        "    S: 250-CHUNKING\\r\\n",
        "    S: 250 AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-512\\r\\n",
        "    C: MAIL FROM:<ann@a.example> SIZE=33\\r\\n",
        "  - RCPT TO:<ben@b.example>\\r\\n",
        "  + RCPT TO:<bob@b.example>\\r\\n",
        "              ^"
      ].join("\n")
    )
  })

  it("tells a program that stops early, or connects once more", async () => {
    const twice = Effect.andThen(send(), send())
    const { recording } = await record(twice, client())
    assert.include(departureOf(await replay(recording, send(), client())).how, "another connection")
    const { recording: once } = await record(send(), client())
    assert.include(departureOf(await replay(once, twice, client())).how, "does not have")
    assert.include(departureOf(await replay(once, Effect.void as never, client())).how, "another connection")
  })

  it("tells a program that hangs up", async () => {
    const { recording } = await record(send(), client())
    const dials = Effect.scoped(
      Effect.flatMap(
        Transport.Transport,
        ({ open }) => Effect.flatMap(open({ host: "mx.example", port: 587 }), ({ read }) => read)
      )
    )
    const departure = departureOf(await Effect.runPromiseExit(Replay.run(recording, dials)))
    assert.include(departure.how, "the recording goes on")
    assert.strictEqual(departure.expected, "EHLO client.example\\r\\n")
    assert.deepStrictEqual(departure.before, ["S: 220 mx.example ESMTP\\r\\n"])
  })

  it("tells who speaks out of turn", async () => {
    const { recording } = await record(send(), client())
    const rushes = Effect.scoped(Effect.gen(function*() {
      const { open } = yield* Transport.Transport
      const { read, write } = yield* open({ host: "mx.example", port: 587 })
      yield* read
      yield* write(new TextEncoder().encode("EHLO client.example\r\nNOOP\r\n"))
    }))
    const departure = departureOf(await Effect.runPromiseExit(Replay.run(recording, rushes)))
    assert.strictEqual(departure.how, "it speaks out of turn")
    assert.strictEqual(departure.actual, "NOOP\\r\\n")
  })

  it("tells another order of recipients", async () => {
    const { recording } = await record(send(), client())
    const departure = departureOf(await replay(recording, send({ to: message.to.toReversed() }), client()))
    assert.strictEqual(departure.actual, "RCPT TO:<nobody@b.example>\\r\\n")
  })

  it("tells another host, another port, another name for TLS", async () => {
    const { recording } = await record(send(), client())
    for (const endpoint of ["mx.example:25", "mx2.example:587"]) {
      const other = client({ endpoint, tls: { serverName: "mx.example" } })
      assert.strictEqual(departureOf(await replay(recording, send(), other)).how, "it connects elsewhere")
    }
    const other = client({ tls: { serverName: "mx2.example" } })
    assert.strictEqual(departureOf(await replay(recording, send(), other)).how, "it asks for another server")
  })

  it("tells another mechanism, and without the key a secret of another length", async () => {
    const [plain, , , , , , scram] = withPassword
    assert.isDefined(plain)
    assert.isDefined(scram)
    const { recording } = await record(send(), using(plain))
    const mechanism = departureOf(await replay(recording, send(), using(scram)))
    assert.strictEqual(mechanism.how, "it says something else")
    assert.match(mechanism.expected ?? "", /^AUTH PLAIN </)
    assert.match(mechanism.actual ?? "", /^AUTH SCRAM-SHA-256 </)
    const longer = using(plain, Mechanism.password("tim", Redacted.make("tanstaaftanstaaf, and more")))
    assert.include(departureOf(await replay(recording, send(), longer)).how, "hidden")
  })

  it("tells another domain in EHLO, unless it may differ", async () => {
    const { recording } = await record(send(), client())
    const other = client({ domain: "other.example" })
    assert.strictEqual(departureOf(await replay(recording, send(), other)).how, "it says something else")
    assert.isTrue(Exit.isSuccess(await replay(recording, send(), other, { lenient: ["ehloDomain"] })))
  })

  it("lets header fields and boundaries differ in content recorded whole", async () => {
    const content = (id: string, body = "x") =>
      `Message-ID: <${id}@a.example>\nDate: ${id}\nContent-Type: multipart/mixed;\n boundary="${id}"\n\n--${id}\n\n${body}\n--${id}--\n`
    const lenient: ReadonlyArray<Replay.Lenience> = ["messageId", "date", "boundary"]
    const { recording } = await record(send({ content: content("first") }), client(), { content: "whole" })
    const other = send({ content: content("one that is longer") })
    assert.isTrue(Exit.isSuccess(await replay(recording, other, client(), { lenient })))
    departureOf(await replay(recording, other, client(), { lenient: ["messageId", "date"] }))
    departureOf(await replay(recording, send({ content: content("other", "y") }), client(), { lenient }))
  })

  it("lets the size of content differ with it, in MAIL and in nothing else", async () => {
    const { recording } = await record(send(), client())
    const longer = { content: "Subject: hello\n\nSomething longer.\n" }
    assert.isTrue(Exit.isSuccess(await replay(recording, send(longer), client(), { lenient: ["content"] })))
    departureOf(await replay(recording, send({ ...longer, from: "eve@a.example" }), client(), { lenient: ["content"] }))
  })

  it("shows where content differs that was recorded whole, however far in", async () => {
    const content = (end: string) => `Subject: long\n\n${"Hello, Ben.\n".repeat(200)}${end}\n`
    const { recording } = await record(send({ content: content("Yours, Ann") }), client(), { content: "whole" })
    const { message } = departureOf(await replay(recording, send({ content: content("Yours, Amy") }), client()))
    const [expected = "", actual = "", pointer = ""] = message.split("\n").slice(-3)
    assert.include(expected, "Yours, Ann")
    assert.include(actual, "Yours, Amy")
    assert.strictEqual(expected.slice(0, pointer.indexOf("^")), actual.slice(0, pointer.indexOf("^")).replace("+", "-"))
    assert.strictEqual(expected[pointer.indexOf("^")] ?? "", "n")
    assert.isBelow(expected.length, 260)
  })

  it("refuses another key at once", async () => {
    const { recording } = await record(send(), client(), { key })
    const exit = await replay(recording, send(), client(), { key: Redacted.make("x".repeat(32)) })
    assert.include(String(exit), "another key")
  })

  it("explains that SCRAM needs the key", async () => {
    const scram = using(withPassword[6] as Mechanism.Mechanism)
    const { recording } = await record(send(), scram)
    assert.include(departureOf(await replay(recording, send(), scram)).how, "key that it was recorded with")
  })

  it("repeats failures: a reset in the content, in doubt then and now", async () => {
    const tags: Array<string> = []
    for (const cut of [30, 60, 150, 185, 250]) {
      const { exit, recording } = await record(send(), client(), {}, server, {}, [Faults.cut("sent", cut)])
      const again = await replay(recording, send(), client())
      const tag = (result: typeof exit) =>
        Exit.isFailure(result)
          ? (Result.getOrThrow(Cause.findError(result.cause)) as SmtpError.SmtpError).reason._tag
          : "sent"
      assert.strictEqual(tag(again as typeof exit), tag(exit))
      tags.push(tag(exit))
    }
    assert.deepStrictEqual(tags, ["ConnectionLost", "InDoubt", "InDoubt", "InDoubt", "sent"])
  })

  it("plays an hour at once, by its own clock", async () => {
    const { recording } = await record(send(), client())
    const start = Date.parse("2026-03-01T10:00:00Z")
    const slow: Recording.Recording = {
      header: { ...recording.header, startedAt: "2026-03-01T10:00:00Z" },
      // Every reply took five minutes more.
      events: recording.events.map((event, i) => ({ ...event, at: i * 300_000 }))
    }
    const last = slow.events.findLast(({ _tag }) => _tag === "Received")?.at ?? 0
    assert.isAbove(last, 3_600_000)
    const exit = await replay(slow, Effect.andThen(send(), Clock.currentTimeMillis), client({ timeLimits: patient }))
    assert.deepStrictEqual(exit, Exit.succeed(start + last))
  })

  it("leaves time to the program where it is told so", async () => {
    const { recording } = await record(send(), client())
    const slow = { ...recording, events: recording.events.map((event, i) => ({ ...event, at: i * 1000 })) }
    const program = Effect.andThen(
      Replay.run(slow, Effect.provide(send(), client()), { time: "ambient" }),
      Clock.currentTimeMillis
    )
    const exit = await Effect.runPromiseExit(Effect.provide(program, VirtualTime.layer({ start: 5_000 })))
    const last = slow.events.findLast(({ _tag }) => _tag === "Received")?.at ?? 0
    assert.deepStrictEqual(exit, Exit.succeed(5_000 + last))
  })

  it("explains a recording that was truncated, or taken too early", async () => {
    const { recording } = await record(send(), client(), { events: 9 })
    assert.include(departureOf(await replay(recording, send(), client())).how, "truncated")
    const { recording: whole } = await record(send(), client())
    const early = { ...whole, events: whole.events.slice(0, 6) }
    assert.include(departureOf(await replay(early, send(), client())).how, "while the connection was open")
  })

  const large = send({ content: `Subject: large\n\n${"Hello, Ben.\n".repeat(30_000)}` })

  it("repeats content of several writes that breaks off in their midst, and one that is held up", async () => {
    for (const fault of [Faults.cut("sent", 200_000), Faults.stall("sent", 200_000)]) {
      const reason = Effect.map(Effect.flip(large), (error) => error.reason)
      const both = Effect.all([reason, Clock.currentTimeMillis])
      const { exit, recording } = await record(both, client(), {}, server, {}, [fault])
      assert.isTrue(Exit.isSuccess(exit), String(exit))
      assert.deepStrictEqual(await replay(recording, both, client()), exit)
    }
  })

  it("any honest session goes the same way, however it was cut", async () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", ".", "\n", " ", "\u00fc"), maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cuts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
          mechanism: fc.constantFrom(...withPassword),
          bodies: fc.array(word, { minLength: 1, maxLength: 3 }),
          to: fc.uniqueArray(fc.constantFrom("ben@b.example", "cat@c.example", "nobody@b.example"), { minLength: 1 }),
          addresses: fc.constantFrom<"kept" | "numbered">("kept", "numbered"),
          content: fc.constantFrom<"hashed" | "whole">("hashed", "whole")
        }),
        async ({ addresses, bodies, content, cuts, mechanism, to }) => {
          const program = Effect.forEach(bodies, (body) =>
            Effect.map(
              Effect.result(send({ to, content: `Subject: x\n\n${body}` })),
              (result) =>
                Result.isFailure(result) ? result.failure.reason._tag : result.success.outcomes.map(({ _tag }) => _tag)
            ))
          const { exit, recording } = await record(program, using(mechanism), { addresses, content, key }, server, {
            chunk: chunked(cuts)
          })
          const text = Recording.encode(recording)
          const again = await replay(Result.getOrThrow(Recording.decode(text)), program, using(mechanism), { key })
          assert.deepStrictEqual(again, exit)
          assert.isTrue(Exit.isSuccess(exit))
        }
      ),
      { numRuns: 40 }
    )
  })

  it("lets a time limit end what it ended then", async () => {
    const waits = Effect.map(
      Effect.result(send()),
      (result) => Result.isFailure(result) ? result.failure.reason : result
    )
    const both = Effect.all([waits, Clock.currentTimeMillis])
    for (const [at, tag] of [[300, "TimedOut"], [560, "InDoubt"]] as const) {
      const { exit, recording } = await record(both, client(), {}, server, {}, [Faults.stall("received", at)])
      const again = await replay(recording, both, client())
      assert.isTrue(Exit.isSuccess(exit))
      assert.include(String(exit), tag)
      if (Exit.isSuccess(again) && Exit.isSuccess(exit)) assert.deepStrictEqual(again.value, exit.value)
      else assert.fail(String(again))
    }
  })

  it("gives the same transcript each time", async () => {
    const scram = using(withPassword[6] as Mechanism.Mechanism)
    const { recording } = await record(send(), scram, { key })
    const transcripts = await Promise.all([1, 2].map(async () => {
      const exit = await replay(recording, send(), scram, { key })
      return Exit.isSuccess(exit) ? exit.value.transcript : exit
    }))
    assert.deepStrictEqual(transcripts[0], transcripts[1])
    assert.isNotEmpty(transcripts[0])
  })
})
