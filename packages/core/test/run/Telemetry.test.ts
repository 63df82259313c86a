import { assert, describe, it } from "@effect/vitest"
import {
  Choose,
  Command,
  CramMd5,
  Login,
  Mechanism,
  Plain,
  Program,
  Reply,
  Scram,
  SmtpClient,
  type Transport
} from "@postern/core"
import { InMemory, ScriptedServer, type ServerMachine, VirtualTime } from "@postern/testing"
import { Deferred, Effect, Exit, Fiber, type Layer, Metric, Redacted, Result, Stream, type Tracer } from "effect"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { metrics } from "../../src/run/Telemetry.ts"
import { traced } from "./traced.ts"

const { ends, hears, resets, says, stalls, waits } = ScriptedServer

interface Seen<A> {
  readonly exit: Exit.Exit<A, unknown>
  readonly spans: ReadonlyArray<Tracer.NativeSpan>
  /** A line for each series. */
  readonly metrics: ReadonlyArray<string>
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6

const stateOf = ({ state, type }: Metric.Metric.Snapshot): string =>
  type === "Histogram"
    ? `${(state as Metric.HistogramState).count} in ${round((state as Metric.HistogramState).sum)}`
    : String((state as Metric.CounterState<number>).count)

/** A series without the attributes that all have. */
const line = (metric: Metric.Metric.Snapshot): string => {
  const { "server.address": host, "server.port": port, unit, ...own } = metric.attributes ?? {}
  assert.deepStrictEqual([host, port], ["mx.example", "25"])
  assert.isString(unit)
  return [metric.id.replace("smtp.client.", ""), ...Object.values(own), stateOf(metric)].join(" ")
}

/** Names of attributes of spans, of all tests. */
const named = new Set<string>()

/** Runs in virtual time, with a tracer and a registry of its own. */
const seeing = <A, E>(effect: Effect.Effect<A, E>): Promise<Seen<A>> => {
  const { spans, tracer } = traced()
  return Effect.runPromise(
    Effect.gen(function*() {
      const exit = yield* Effect.exit(effect)
      for (const { attributes } of spans) for (const name of attributes.keys()) named.add(name)
      return { exit, spans, metrics: (yield* Metric.snapshot).map(line).toSorted() }
    }).pipe(
      Effect.withTracer(tracer),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provide(VirtualTime.layer())
    )
  )
}

const endpoint = "mx.example:25"

const client = (transport: Layer.Layer<Transport.Transport>, options: Partial<SmtpClient.Options> = {}) =>
  Effect.provide(SmtpClient.make({ endpoint, security: "plain", domain: "client.example", ...options }), transport)

const simulated = (config: ServerMachine.Config, options: Partial<SmtpClient.Options> = {}) =>
  Effect.flatMap(InMemory.make(config), ({ layer }) => client(layer, options))

const message: SmtpClient.Message = { from: "ann@a.example", to: "ben@b.example", content: "Subject: x\n\nx\n" }

const attributes = (span: Tracer.NativeSpan | undefined): Record<string, unknown> => {
  const { "network.protocol.name": protocol, "server.address": host, "server.port": port, ...own } = Object.fromEntries(
    span?.attributes ?? []
  )
  assert.deepStrictEqual([protocol, host, port, span?.kind], ["smtp", "mx.example", 25, "client"])
  return own
}

/** Series of the counters. */
const counts = ({ metrics }: Seen<unknown>): ReadonlyArray<string> =>
  metrics.filter((line) => !line.includes("duration"))

describe("telemetry of one message", () => {
  const password = Redacted.make("correct horse battery staple")
  const sending = Effect.flatMap(
    simulated(
      { mechanisms: [Plain.plain], accounts: { ann: password }, delay: "10 millis", greetingDelay: "1 second" },
      {
        credentials: Mechanism.password("ann", password),
        security: "startTls"
      }
    ),
    (client) => client.send({ ...message, to: ["ben@b.example", "cat@b.example"] })
  )

  it("is a span with that of opening inside", async () => {
    const { exit, spans } = await seeing(sending)
    assert.isTrue(Exit.isSuccess(exit))
    assert.deepStrictEqual(spans.map(({ name }) => name), ["SmtpClient.send", "SmtpClient.open"])
    const [send, open] = spans
    assert.deepStrictEqual(attributes(send), {
      "smtp.recipients": 2,
      "smtp.recipients.accepted": 2,
      "smtp.content.size": 17,
      "smtp.content.written": 17
    })
    assert.deepStrictEqual(attributes(open), {
      "tls.protocol.name": "tls",
      "tls.protocol.version": "1.3",
      "tls.cipher": "TLS_AES_256_GCM_SHA384"
    })
    assert.strictEqual(open?.parent._tag === "Some" ? open.parent.value.spanId : undefined, send?.spanId)
    assert.deepStrictEqual(
      open?.events.map(([name, at, what]) => [name, Number(at) / 1e6, what?.["smtp.phase"]]),
      [
        ["smtp.phase", 0, "connect"],
        ["smtp.phase", 0, "greeting"],
        ["smtp.phase", 1010, "hello"],
        ["smtp.phase", 1020, "tls"],
        ["smtp.phase", 1030, "hello"],
        ["smtp.phase", 1040, "authentication"]
      ]
    )
  })

  it("is counted, its time is that of its phases", async () => {
    assert.deepStrictEqual((await seeing(sending)).metrics, [
      "active_sessions 0",
      "bytes 17",
      "messages accepted 1",
      "operation.duration open 1 in 1.05",
      "operation.duration send 1 in 1.1",
      "phase.duration open authentication 1 in 0.01",
      "phase.duration open connect 1 in 0",
      "phase.duration open greeting 1 in 1.01",
      "phase.duration open hello 1 in 0.02",
      "phase.duration open tls 1 in 0.01",
      "phase.duration send content 1 in 0.01",
      "phase.duration send envelope 1 in 0.03",
      "recipients accepted 2",
      "sessions opened 1"
    ])
  })

  it("tells recipients by their outcomes", async () => {
    const seen = await seeing(Effect.flatMap(
      simulated({ unknownUsers: ["cat@b.example"] }),
      (client) => client.send({ ...message, to: ["ben@b.example", "cat@b.example"] })
    ))
    assert.deepStrictEqual(counts(seen), [
      "active_sessions 0",
      "bytes 17",
      "messages accepted 1",
      "recipients accepted 1",
      "recipients refused 1",
      "sessions opened 1"
    ])
    assert.include(attributes(seen.spans[0]), { "smtp.recipients.accepted": 1, "smtp.recipients.refused": 1 })
  })
})

/** A session without extensions that says what is expected until the server's answer to this. */
const until = (step: "Mail" | "Rcpt" | "Content"): ReadonlyArray<ScriptedServer.Step> => {
  const greeting = [says("220 mx.example"), hears("EHLO client.example"), says("250 mx.example")]
  const mail = [...greeting, hears("MAIL FROM:<ann@a.example>")]
  if (step === "Mail") return mail
  const rcpt = [...mail, says("250 ok"), hears("RCPT TO:<ben@b.example>")]
  if (step === "Rcpt") return rcpt
  return [...rcpt, says("250 ok"), hears("DATA"), says("354 go"), hears("Subject: x", "", "x", ".")]
}

const scripted = (...script: ReadonlyArray<ScriptedServer.Step>) => client(ScriptedServer.layer(script))

const quits = [hears("QUIT"), says("221 bye"), ends]

describe("telemetry of failures", () => {
  const sent = (client: Effect.Effect<SmtpClient.SmtpClient["Service"], unknown>) =>
    seeing(Effect.flatMap(client, (client) => client.send(message)))

  it("names the reason, the phase and the reply's code of a refusal", async () => {
    const seen = await sent(
      scripted(...until("Rcpt"), says("550 5.1.1 no such user"), hears("RSET"), says("250 ok"), ...quits)
    )
    assert.deepStrictEqual(attributes(seen.spans[0]), {
      "smtp.recipients": 1,
      "smtp.recipients.refused": 1,
      "smtp.content.size": 17,
      "error.type": "RecipientsRefused",
      "smtp.phase": "envelope"
    })
    assert.strictEqual(seen.spans[0]?.status._tag === "Ended" && Exit.isFailure(seen.spans[0].status.exit), true)
    assert.deepStrictEqual(counts(seen), [
      "active_sessions 0",
      "messages refused RecipientsRefused 1",
      "recipients refused 1",
      "sessions opened 1"
    ])
    assert.include(seen.metrics, "operation.duration send RecipientsRefused 1 in 0")
    const sender = await sent(simulated({
      reply: (turn) => turn._tag === "Mail" ? Reply.make(550, "not you", "5.1.8") : undefined
    }))
    assert.include(attributes(sender.spans[0]), { "error.type": "SenderRefused", "smtp.reply.code": 550 })
  })

  it("tells in doubt and deferred apart", async () => {
    const lost = await sent(scripted(...until("Content"), waits("3 seconds"), resets))
    assert.includeMembers(counts(lost).slice(), ["bytes 20", "messages in_doubt InDoubt 1", "recipients in_doubt 1"])
    assert.include(lost.metrics, "phase.duration send content 1 in 3")
    const later = await sent(scripted(...until("Content"), says("451 4.3.0 later"), ...quits))
    assert.includeMembers(counts(later).slice(), ["messages deferred TemporaryFailure 1", "recipients deferred 1"])
  })

  it("tells why no session was opened, and how long it took", async () => {
    const seen = await sent(scripted(says("220 mx.example"), hears("EHLO client.example"), stalls))
    assert.deepStrictEqual(seen.metrics, [
      "messages deferred TimedOut 1",
      "operation.duration open TimedOut 1 in 300",
      "operation.duration send TimedOut 1 in 300",
      "phase.duration open connect 1 in 0",
      "phase.duration open greeting 1 in 0",
      "phase.duration open hello 1 in 300",
      "recipients deferred 1",
      "sessions failed TimedOut 1"
    ])
    assert.deepStrictEqual(seen.spans.map((span) => attributes(span)["error.type"]), ["TimedOut", "TimedOut"])
  })

  it("tells of a connection that never comes about", async () => {
    const never = ScriptedServer.make([[]], { dial: "never" })
    assert.include((await sent(client(never.layer))).metrics, "phase.duration open connect 1 in 30")
  })

  it("counts input that cannot be sent", async () => {
    const seen = await seeing(Effect.flatMap(simulated({}), (client) => client.send({ ...message, to: "nobody" })))
    assert.deepStrictEqual(counts(seen), ["messages refused InvalidInput 1", "recipients refused 1"])
  })

  it("takes an interruption for no error", async () => {
    const seen = await sent(Effect.map(scripted(...until("Content"), stalls), (client) =>
      SmtpClient.SmtpClient.of({
        ...client,
        send: (message) => Effect.andThen(Effect.timeoutOption(client.send(message), "2 seconds"), Effect.interrupt)
      })))
    assert.includeMembers(counts(seen).slice(), ["messages abandoned 1", "recipients abandoned 1"])
    assert.include(seen.metrics, "operation.duration send 1 in 2")
    assert.include(seen.metrics, "phase.duration send content 1 in 2")
    assert.notProperty(attributes(seen.spans[0]), "error.type")
  })

  it("calls a defect of the caller's another error", async () => {
    const seen = await seeing(Effect.flatMap(
      simulated({ mechanisms: [Plain.plain] }, { observe: () => Effect.die(new Error("observer")) }),
      (client) => client.send(message)
    ))
    assert.includeMembers(counts(seen).slice(), ["messages abandoned _OTHER 1", "sessions failed _OTHER 1"])
  })
})

describe("telemetry of many messages", () => {
  const many = (count: number): ReadonlyArray<SmtpClient.Message> =>
    Array.from({ length: count }, (_, i) => ({ ...message, to: i % 10 === 3 ? ["cat@b.example"] : ["ben@b.example"] }))

  for (const without of [[], ["CHUNKING"], ["CHUNKING", "PIPELINING"]]) {
    it(`is one span and a count of each outcome, without ${without.join(", ") || "nothing"}`, async () => {
      const seen = await seeing(Effect.flatMap(
        simulated({ unknownUsers: ["cat@b.example"] }, { without }),
        (client) => Stream.runCollect(client.sendAll(Stream.fromIterable(many(200))))
      ))
      assert.deepStrictEqual(seen.spans.map(({ name }) => name), ["SmtpClient.sendAll", "SmtpClient.open"])
      const { "smtp.recipients.accepted": recipients, ...own } = attributes(seen.spans[0])
      assert.strictEqual(recipients, 180)
      assert.deepStrictEqual(own, {
        "smtp.messages.accepted": 180,
        "smtp.messages.refused": 20,
        "smtp.recipients.refused": 20
      })
      assert.deepStrictEqual(counts(seen).filter((line) => !line.startsWith("bytes")), [
        "active_sessions 0",
        "messages accepted 180",
        "messages refused RecipientsRefused 20",
        "recipients accepted 180",
        "recipients refused 20",
        "sessions opened 1"
      ])
    })
  }

  it("does not take the time that its messages took to come for that of a phase", async () => {
    const seen = await seeing(Effect.flatMap(
      simulated({ delay: "10 millis" }, { without: ["CHUNKING"] }),
      (client) =>
        Stream.runCollect(client.sendAll(
          Stream.fromIterable(many(3)).pipe(Stream.tap(() => Effect.sleep("1 minute")))
        ))
    ))
    const phases = seen.metrics.filter((line) => line.startsWith("phase.duration sendAll"))
    assert.deepStrictEqual(phases.map((line) => line.replace(/ in .*/, "")), [
      "phase.duration sendAll content 1",
      "phase.duration sendAll envelope 1"
    ])
    for (const line of phases) assert.isBelow(Number(line.replace(/.* in /, "")), 1)
    assert.isAbove(
      Number(seen.metrics.find((line) => line.includes("operation.duration sendAll"))?.replace(/.* in /, "")),
      180
    )
  })

  it("tells what was settled while it goes on", async () => {
    const seen = await seeing(Effect.gen(function*() {
      const more = yield* Deferred.make<void>()
      const client = yield* simulated({})
      const first = Stream.fromIterable(many(2))
      const rest = Stream.unwrap(Effect.as(Deferred.await(more), Stream.fromIterable(many(1))))
      const fiber = yield* Effect.forkChild(Stream.runCollect(client.sendAll(Stream.concat(first, rest))))
      yield* Effect.sleep("1 second")
      const meanwhile = (yield* Metric.snapshot).map(line)
      yield* Deferred.succeed(more, undefined)
      yield* Fiber.join(fiber)
      return meanwhile
    }))
    if (Exit.isFailure(seen.exit)) throw new Error(String(seen.exit.cause))
    assert.includeMembers(seen.exit.value.slice(), ["messages accepted 2", "active_sessions 1"])
    assert.include(seen.metrics, "messages accepted 3")
  })
})

describe("telemetry of a session that is kept", () => {
  it("has a span for each message, and counts what else is done on it", async () => {
    const seen = await seeing(Effect.gen(function*() {
      const client = yield* simulated({ delay: "10 millis" })
      const active = Effect.map(Metric.snapshot, (all) => all.map(line).filter((line) => line.startsWith("active")))
      const during = yield* Effect.scoped(Effect.gen(function*() {
        const { connection, count, send } = yield* client.open
        const { outcomes, reply } = yield* send(message)
        yield* Effect.sleep("1 hour")
        yield* connection.run(Program.send(Command.noop))
        yield* send(message)
        count(message, Result.succeed({ outcomes, reply }))
        return yield* active
      }))
      return [during, yield* active]
    }))
    if (Exit.isFailure(seen.exit)) throw new Error(String(seen.exit.cause))
    assert.deepStrictEqual(seen.exit.value, [["active_sessions 1"], ["active_sessions 0"]])
    const names = seen.spans.map(({ name }) => name)
    assert.deepStrictEqual(names, ["SmtpClient.open", "SmtpClient.send", "SmtpClient.send"])
    assert.includeMembers(seen.metrics.slice(), [
      "messages accepted 3",
      "phase.duration dialogue idle 1 in 0.01",
      "phase.duration send content 2 in 0.02",
      "phase.duration send envelope 2 in 0.04"
    ])
  })
})

describe("telemetry", () => {
  const page = readFileSync(new URL("../../../../docs/telemetry.md", import.meta.url), "utf8")

  it("never names addresses or secrets", async () => {
    const mechanisms = [Plain.plain, Login.login, CramMd5.cramMd5, Scram.scramSha256]
    const word = fc.stringMatching(/^[a-z]{9,14}$/)
    const ends = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...mechanisms),
        fc.record({ user: word, password: word, from: word, to: word, subject: word }),
        fc.boolean(),
        fc.constantFrom(undefined, "Auth", "Mail", "Rcpt", "Content"),
        async (mechanism, { from, password, subject, to, user }, right, refused) => {
          const seen = await seeing(Effect.flatMap(
            simulated({
              mechanisms: [mechanism],
              accounts: { [user]: Redacted.make(right ? password : `${password}x`) },
              reply: (turn) =>
                turn._tag === refused
                  ? Reply.make(550, `${user} ${password} <${from}@a.example> <${to}@b.example>`)
                  : undefined
            }, {
              credentials: Mechanism.password(user, Redacted.make(password)),
              authenticator: Choose.inOrder(mechanism),
              security: "startTls"
            }),
            (client) =>
              client.send({ from: `${from}@a.example`, to: `${to}@b.example`, content: `Subject: ${subject}\n\n` })
          ))
          const told = JSON.stringify([
            seen.metrics,
            seen.spans.map(({ attributes, events, name }) => [name, [...attributes], events])
          ], (_, it: unknown) => typeof it === "bigint" ? String(it) : it)
          assert.include(told, "mx.example")
          ends.add(`${attributes(seen.spans[0])["error.type"] ?? "sent"}`)
          for (const secret of [user, password, from, to, subject]) {
            assert.notInclude(told, secret)
            assert.notInclude(told, Buffer.from(secret).toString("base64").replace(/=+$/, "").slice(0, -1))
          }
        }
      ),
      { numRuns: 100 }
    )
    assert.includeMembers([...ends], ["sent", "AuthenticationFailed", "SenderRefused", "RecipientsRefused"])
  })

  it("is the table in docs/telemetry.md", () => {
    const rows = page.split("\n")
      .filter((line) => line.startsWith("| `smtp.client."))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
    assert.deepStrictEqual(
      rows,
      Object.values(metrics).map(({ attributes, description, instrument, name, unit }) => [
        `\`${name}\``,
        instrument,
        `\`${unit}\``,
        attributes.map((name) => `\`${name}\``).join(", "),
        description
      ])
    )
  })

  it("has no attribute that docs/telemetry.md does not name", () => {
    const known = new Set(Array.from(page.matchAll(/`([a-z_.]+)`/g), ([, name = ""]) => name))
    const isKnown = (name: string) =>
      known.has(name)
      || (known.has(name.replace(/\.[a-z_]+$/, ".accepted")) && known.has(name.replace(/^.*(?=\.)/, "")))
    assert.isAbove(named.size, 15)
    assert.deepStrictEqual([...named].filter((name) => !isKnown(name)), [])
  })
})
