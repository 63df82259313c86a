import { assert, describe, it } from "@effect/vitest"
import {
  Command,
  Connection,
  Mechanism,
  Plain,
  Program,
  type Reason,
  Reply,
  SmtpClient,
  type SmtpError,
  Transport
} from "@postern/core"
import { Faults, InMemory, type ServerMachine } from "@postern/testing"
import { Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  ends,
  handshake,
  hears,
  interjects,
  make as makeScripted,
  quits,
  says,
  stalls,
  type Step,
  waits
} from "./scripted.ts"

const credentials = Mechanism.password("tim", Redacted.make("tanstaaftanstaaf"))
const message: SmtpClient.Message = {
  from: "ann@a.example",
  to: ["ben@b.example", "cat@c.example"],
  content: "Subject: x\n\nbody\n"
}

const simulated = Effect.fnUntraced(
  function*(server: ServerMachine.Config, options: Partial<SmtpClient.Options> = {}) {
    const memory = yield* InMemory.make(server)
    const client = yield* SmtpClient.make({ endpoint: "mx.example:587", ...options }).pipe(Effect.provide(memory.layer))
    return { ...memory, client }
  }
)

const reasonOf = <A, R>(effect: Effect.Effect<A, SmtpError.SmtpError, R>): Effect.Effect<Reason.Reason, A, R> =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("send", () => {
  it.effect("gives a receipt: the reply, each recipient's outcome, what was said", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* simulated({})
      const { outcomes, reply, transcript } = yield* client.send(message)
      assert.strictEqual(reply.code, 250)
      assert.deepStrictEqual(outcomes.map(({ _tag, recipient }) => [_tag, recipient]), [
        ["Accepted", "<ben@b.example>"],
        ["Accepted", "<cat@c.example>"]
      ])
      assert.deepStrictEqual(transcript.at(0)?._tag, "Connected")
      assert.deepStrictEqual(transcript.at(-1)?._tag, "Received")
      const [taken] = yield* inbox
      assert.strictEqual(new TextDecoder().decode(taken?.content), "Subject: x\r\n\r\nbody\r\n")
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("succeeds when one is accepted, and tells the others apart", () =>
    Effect.gen(function*() {
      const { client, inbox } = yield* simulated({ unknownUsers: ["ben@b.example"] })
      const { outcomes } = yield* client.send(message)
      assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), ["Refused", "Accepted"])
      const [refused] = outcomes
      assert.strictEqual(
        refused !== undefined && refused._tag !== "Accepted" ? refused.reason._tag : "",
        "RecipientsRefused"
      )
      assert.lengthOf((yield* inbox)[0]?.forwardPaths ?? [], 1)
    }))

  it.effect("fails with the reason when nobody is, and leaves nothing open", () =>
    Effect.gen(function*() {
      const { client, inbox, open } = yield* simulated({ localDomains: ["example.org"], mechanisms: [Plain.plain] })
      const error = yield* Effect.flip(client.send(message))
      assert.deepInclude(error.reason, { _tag: "RelayDenied", why: "not authenticated" })
      assert.strictEqual(error.phase, "envelope")
      assert.lengthOf(yield* inbox, 0)
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("authenticates, by the options or by the URL", () =>
    Effect.gen(function*() {
      const server = {
        mechanisms: [Plain.plain],
        accounts: { tim: Redacted.make("tanstaaftanstaaf") },
        requireAuth: true
      }
      for (const options of [{ credentials }, { endpoint: "smtp://tim:tanstaaftanstaaf@mx.example" }]) {
        const { client, sessions } = yield* simulated(server, options)
        yield* client.send(message)
        assert.strictEqual((yield* sessions)[0]?.identity, "tim")
      }
      const { client } = yield* simulated(server, {
        credentials: Mechanism.password("tim", Redacted.make("wrong, all of it"))
      })
      assert.deepInclude(yield* reasonOf(client.send(message)), {
        _tag: "AuthenticationFailed",
        why: "bad credentials"
      })
    }))

  it.effect("refuses bad input before anything is opened", () =>
    Effect.gen(function*() {
      const { client, sessions } = yield* simulated({})
      for (
        const bad of [
          { ...message, from: "ann" },
          { ...message, from: "ann@a.example\r\nRCPT TO:<evil@b.example>" },
          { ...message, to: [] },
          { ...message, to: ["ben@b.example", "cat@"] },
          { ...message, to: "ben@b.example, cat@c.example" }
        ]
      ) {
        const error = yield* Effect.flip(client.send(bad))
        assert.strictEqual(error.reason._tag, "InvalidInput")
        assert.deepStrictEqual([error.phase, error.fault, error.retry], ["input", "you", "never"])
        assert.lengthOf(error.transcript, 0)
      }
      assert.lengthOf(yield* sessions, 0)
    }))

  it.effect("refuses bad options when it is made, not when it sends", () =>
    Effect.gen(function*() {
      const { layer, sessions } = yield* InMemory.make({})
      for (
        const options of [
          { endpoint: "mx.example:0" },
          { endpoint: "" },
          { endpoint: "mx.example", domain: "not a domain" },
          { endpoint: "smtp://tim@mx.example" },
          { endpoint: "smtp://:tanstaaf@mx.example" }
        ]
      ) {
        const reason = yield* reasonOf(Effect.provide(SmtpClient.make(options), layer))
        assert.strictEqual(reason._tag, "InvalidInput", JSON.stringify(options))
      }
      assert.lengthOf(yield* sessions, 0)
    }))

  it.effect("may be interrupted anywhere: nothing stays open", () =>
    Effect.gen(function*() {
      // Silent after each number of octets in turn; 600 is more than it says in all.
      for (let silentAfter = 0; silentAfter < 600; silentAfter += 7) {
        const { open, sessions, transport } = yield* InMemory.make({})
        const client = yield* SmtpClient.make({ endpoint: "mx.example:587" }).pipe(
          Effect.provideService(Transport.Transport, Faults.wrap(transport, [Faults.stall("received", silentAfter)]))
        )
        const fiber = yield* Effect.forkChild(client.send(message), { startImmediately: true })
        yield* Effect.yieldNow
        const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        // Where only the answer to QUIT is missing, that is waited for.
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(interruption)
        assert.lengthOf(yield* sessions, 1)
        assert.strictEqual(yield* open, 0, `after ${silentAfter} octets`)
      }
    }))

  it.effect("many at once, each on a connection of its own", () =>
    Effect.gen(function*() {
      const { client, inbox, open, sessions } = yield* simulated({})
      yield* Effect.all(Array.from({ length: 20 }, () => client.send(message)), { concurrency: "unbounded" })
      assert.lengthOf(yield* inbox, 20)
      assert.lengthOf(yield* sessions, 20)
      assert.strictEqual(yield* open, 0)
    }))
})

describe("sessions of one's own", () => {
  it.effect("use: a Connection and a session for as long as the dialogue takes", () =>
    Effect.gen(function*() {
      const { client, open, sessions } = yield* simulated({})
      const found = yield* client.use((session) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* open, 1)
          const reply = yield* session.send(Command.noop)
          const again = yield* Program.send(Command.noop)
          return [session.facts.capabilities?.pipelining, reply.code, again.code]
        })
      )
      assert.deepStrictEqual(found, [true, 250, 250])
      assert.strictEqual(yield* open, 0)
      assert.deepStrictEqual((yield* sessions)[0]?.commands.map(({ _tag }) => _tag), [
        "Ehlo",
        "StartTls",
        "Ehlo",
        "Noop",
        "Noop",
        "Quit"
      ])
    }))

  it.effect("use: passes what the dialogue fails with", () =>
    Effect.gen(function*() {
      const { client, open } = yield* simulated({})
      assert.strictEqual(yield* Effect.flip(client.use(() => Effect.fail("mine" as const))), "mine")
      const vrfy = yield* Effect.flip(
        client.use((session) => session.send({ _tag: "Rcpt", forwardPath: "postmaster", parameters: [] } as never))
      )
      assert.strictEqual(vrfy.reason._tag, "OutOfSequence")
      assert.strictEqual(yield* open, 0)
    }))

  it.effect("open: ends with the scope", () =>
    Effect.gen(function*() {
      const { client, open, sessions } = yield* simulated({})
      const scope = yield* Scope.make()
      const { connection } = yield* Scope.provide(client.open, scope)
      yield* connection.run(Program.send(Command.noop))
      assert.strictEqual(yield* open, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* open, 0)
      assert.strictEqual((yield* sessions)[0]?.commands.at(-1)?._tag, "Quit")
    }))

  it.effect("open: one that does not come about closes at once, not with the scope", () =>
    Effect.gen(function*() {
      const { client, open, sessions } = yield* simulated({ greeting: Reply.make(554, "not you", "5.7.1") })
      yield* Effect.scoped(Effect.gen(function*() {
        assert.strictEqual((yield* reasonOf(client.open))._tag, "GreetingRefused")
        assert.strictEqual(yield* open, 0)
      }))
      assert.lengthOf(yield* sessions, 1)
    }))

  it.effect("layer: over any Transport; options that are no good fail the layer", () =>
    Effect.gen(function*() {
      const sent = SmtpClient.SmtpClient.pipe(Effect.flatMap((client) => client.send(message)))
      const { inbox, layer, open } = yield* InMemory.make({})
      yield* Effect.provide(sent, SmtpClient.layer({ endpoint: "mx.example" }).pipe(Layer.provide(layer)))
      assert.lengthOf(yield* inbox, 1)
      assert.strictEqual(yield* open, 0)
      const reason = yield* reasonOf(
        Effect.provide(sent, SmtpClient.layer({ endpoint: "mx.example:x" }).pipe(Layer.provide(layer)))
      )
      assert.strictEqual(reason._tag, "InvalidInput")
    }))
})

/** One connection after another, each with a script. */
const scripted = Effect.fnUntraced(function*(endpoint: string, ...scripts: ReadonlyArray<ReadonlyArray<Step>>) {
  const server = makeScripted(scripts)
  const client = yield* SmtpClient.make({ endpoint, domain: "client.example" }).pipe(
    Effect.provideService(Transport.Transport, server.transport)
  )
  const { check, seen } = server
  return { client, check, seen }
})

const inTheClear: ReadonlyArray<Step> = [
  says("220 mx.example"),
  hears("EHLO client.example"),
  says("250-mx.example", "250 STARTTLS"),
  hears("STARTTLS"),
  says("220 go"),
  handshake(),
  hears("EHLO client.example"),
  says("250 mx.example"),
  ...quits
]
const inTls: ReadonlyArray<Step> = [
  handshake(),
  says("220 mx.example"),
  hears("EHLO client.example"),
  says("250 mx.example"),
  ...quits
]
const alert: ReadonlyArray<Step> = [interjects(Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40)), ends]
const notTls: ReadonlyArray<Step> = [handshake({ _tag: "NotTls", firstBytes: new TextEncoder().encode("220 mx\r\n") })]

const done = ({ check, seen }: Pick<ReturnType<typeof makeScripted>, "check" | "seen">) => {
  Effect.runSync(check)
  assert.strictEqual(seen.closed, seen.opened)
}

describe("auto", () => {
  it.effect("takes the other mode where the server speaks that one", () =>
    Effect.gen(function*() {
      for (
        const [endpoint, ...scripts] of [["mx.example:587", alert, inTls], [
          "mx.example:465",
          notTls,
          inTheClear
        ]] as const
      ) {
        const it = yield* scripted(endpoint, ...scripts)
        const facts = yield* it.client.use(({ facts }) => Effect.succeed(facts))
        assert.isDefined(facts.tls)
        done(it)
      }
    }))

  it.effect("asks a silent server by TLS after a while", () =>
    Effect.gen(function*() {
      const it = yield* scripted("mx.example:587", [stalls], inTls)
      const fiber = yield* Effect.forkChild(it.client.use(({ facts }) => Effect.succeed(facts.tls)))
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(it.seen.opened, 1)
      yield* TestClock.adjust("1 second")
      assert.isDefined(yield* Fiber.join(fiber))
      done(it)
    }))

  it.effect("a server that is silent in both is called silent, not wrong about TLS", () =>
    Effect.gen(function*() {
      const it = yield* scripted("mx.example:587", [stalls], [stalls])
      const fiber = yield* Effect.forkChild(reasonOf(it.client.use(() => Effect.void)))
      yield* TestClock.adjust("15 seconds")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual<unknown>(yield* Fiber.join(fiber), { _tag: "TimedOut", step: "Greeting", limit: 15_000 })
      done(it)
    }))

  it.effect("waits as long as is configured", () =>
    Effect.gen(function*() {
      const { seen, transport } = makeScripted([[waits("50 seconds"), ...inTheClear]])
      const client = yield* SmtpClient.make({
        endpoint: "mx.example:587",
        domain: "client.example",
        timeLimits: { Greeting: "1 minute" }
      })
        .pipe(Effect.provideService(Transport.Transport, transport))
      const fiber = yield* Effect.forkChild(client.use(() => Effect.void))
      yield* TestClock.adjust("50 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(seen.opened, 1)
    }))

  it.effect("never goes on in plain text, and tries no third time", () =>
    Effect.gen(function*() {
      const noTls: ReadonlyArray<Step> = [
        says("220 mx.example"),
        hears("EHLO client.example"),
        says("250-mx.example", "250 SIZE"),
        ...quits
      ]
      const bare = yield* scripted("mx.example:587", noTls)
      assert.strictEqual((yield* reasonOf(bare.client.use(() => Effect.void)))._tag, "TlsUnavailable")
      done(bare)
      const both = yield* scripted("mx.example:465", notTls, noTls)
      assert.strictEqual((yield* reasonOf(both.client.use(() => Effect.void)))._tag, "TlsUnavailable")
      done(both)
      const never = yield* scripted("mx.example:587", alert, notTls)
      assert.strictEqual((yield* reasonOf(never.client.use(() => Effect.void)))._tag, "TlsModeMismatch")
      done(never)
      for (const { seen } of [bare, both, never]) {
        for (const write of seen.writes) assert.match(write, /^(?:EHLO client\.example|QUIT)\r\n$/)
      }
    }))

  it.effect("other failures are not a reason to try the other mode", () =>
    Effect.gen(function*() {
      for (const script of [[says("554 no"), ...quits], [ends], [says("421 later")], [says("garbage")]]) {
        const it = yield* scripted("mx.example:587", script)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(it.client.use(() => Effect.void))))
        done(it)
      }
      const refused = yield* scripted("mx.example:465", [
        handshake({ _tag: "CertificateRefused", problem: "expired", detail: "yesterday" })
      ])
      assert.strictEqual((yield* reasonOf(refused.client.use(() => Effect.void)))._tag, "CertificateRefused")
      done(refused)
    }))

  it.effect("is not done where one mode was asked for", () =>
    Effect.gen(function*() {
      const it = yield* scripted("smtps://mx.example:587", notTls)
      assert.strictEqual((yield* reasonOf(it.client.use(() => Effect.void)))._tag, "TlsModeMismatch")
      done(it)
    }))
})

describe("Connection.open", () => {
  it.effect("over a layer, with the types of a Transport only", () =>
    Effect.gen(function*() {
      const { layer, open } = yield* InMemory.make({})
      const reply = yield* Connection.open({ peer: { host: "mx.example", port: 25 }, security: "plain" }).pipe(
        Effect.flatMap(({ run }) => run(Program.greeting)),
        Effect.scoped,
        Effect.provide(layer)
      )
      assert.strictEqual(reply.code, 220)
      assert.strictEqual(yield* open, 0)
    }))
})
