import { assert, describe, it } from "@effect/vitest"
import { Choose, CramMd5, DigestMd5, Login, Mechanism, Ntlm, Plain, Reply, Scram, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Clock, Effect, Layer, Redacted, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Certificates, SimulatedServer, VirtualTime } from "../../src/index.ts"

const letter = { from: "ann@example.org", to: "ben@example.org", content: "Subject: hello\n\nHello, Ben.\n" }

const inMemory = (config: SimulatedServer.Config, options: Partial<SmtpClient.Options> = {}) =>
  Layer.provideMerge(
    SmtpClient.layer({ endpoint: "mx.example:587", ...options }),
    SimulatedServer.layer(config)
  )

const send = Effect.flatMap(SmtpClient.SmtpClient, (client) => client.send(letter))

const ann = Mechanism.password("ann", Redacted.make("secret"))

const scram = [
  [Scram.scramSha512, Scram.scramSha512Plus],
  [Scram.scramSha256, Scram.scramSha256Plus],
  [Scram.scramSha1, Scram.scramSha1Plus]
].flat()
const weaker = [Plain.plain, Login.login, CramMd5.cramMd5, DigestMd5.digestMd5, Ntlm.ntlm, Ntlm.msn]

describe("SimulatedServer.layer", () => {
  it.effect("takes mail and shows it", () =>
    Effect.gen(function*() {
      yield* send
      const { host, inbox, sessions } = yield* SimulatedServer.SimulatedServer
      const mail = yield* inbox.only({ to: "ben@example.org" })
      assert.deepStrictEqual([mail.subject, mail.text], ["hello", "Hello, Ben.\n"])
      assert.deepStrictEqual(mail.envelope, { from: "ann@example.org", to: ["ben@example.org"] })
      assert.strictEqual(host, "mx.example")
      assert.lengthOf(yield* sessions, 1)
    }).pipe(Effect.provide(inMemory({}))))

  for (const mechanism of [...scram, ...weaker]) {
    it.live(`with accounts, ${mechanism.name} works without more ado`, () =>
      Effect.gen(function*() {
        const client = yield* SmtpClient.SmtpClient
        yield* client.send(letter)
        const { inbox } = yield* SimulatedServer.SimulatedServer
        assert.strictEqual((yield* inbox.received)[0]?.identity, "ann")
      }).pipe(Effect.provide(inMemory({ accounts: { ann: "secret" }, requireAuth: true }, {
        credentials: ann,
        authenticator: Choose.inOrder(mechanism)
      }))))
  }

  it.live("a wrong password is refused, whatever the mechanism", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(send)
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
    }).pipe(Effect.provide(inMemory({ accounts: { ann: Redacted.make("other") } }, { credentials: ann }))))

  it.effect("refuses as the table says", () =>
    Effect.gen(function*() {
      const client = yield* SmtpClient.SmtpClient
      const { inbox } = yield* SimulatedServer.SimulatedServer
      const receipt = yield* client.send({ ...letter, to: ["ben@example.org", "cat@example.org", "dan@example.org"] })
      const replyTo = (it: (typeof receipt.outcomes)[number]) =>
        it._tag === "Accepted" ? it.forward : it._tag === "InDoubt" ? undefined : it.reply
      assert.deepStrictEqual(
        receipt.outcomes.map((it) => [it._tag, Reply.render(replyTo(it) ?? assert.fail())]),
        [
          ["Refused", "550 5.1.1 No such user"],
          ["Deferred", "450 4.2.1 Mailbox busy / 4.2.1 Try again"],
          ["Accepted", "250 2.1.5 Ok"]
        ]
      )
      assert.deepStrictEqual((yield* inbox.only()).envelope.to, ["dan@example.org"])
    }).pipe(Effect.provide(inMemory({
      replies: {
        "ben@example.org": "550 5.1.1 No such user",
        "cat@example.org": "450-4.2.1 Mailbox busy\n450 4.2.1 Try again"
      }
    }))))
})

describe("a config that cannot be meant so", () => {
  const rows: ReadonlyArray<readonly [SimulatedServer.Config, string, string]> = [
    [{ replies: { "ben@example.org": "no" } }, "replies[\"ben@example.org\"]", "no"],
    [{ replies: { "ben@example.org": "354 go on" } }, "replies[\"ben@example.org\"]", "354 go on"],
    [{ replies: { "ben@example.org": "550-unfinished" } }, "replies[\"ben@example.org\"]", "550-unfinished"],
    [{ replies: { "ben@example.org": "550 a\n550 b" } }, "replies[\"ben@example.org\"]", "550 a\n550 b"],
    [{ replies: { "ben@example.org": "" } }, "replies[\"ben@example.org\"]", ""],
    [{ replies: { "ben": "550 no" } }, "replies", "ben"],
    [{ mailboxes: { "ben@": {} } }, "mailboxes", "ben@"],
    [{ unknownUsers: ["@example.org"] }, "unknownUsers", "@example.org"],
    [{ localDomains: ["example org"] }, "localDomains", "example org"],
    [{ hostname: "mx\r\n220 evil" }, "hostname", "mx\r\n220 evil"],
    [{ relayNetworks: ["10.0.0.1/8"] }, "relayNetworks", "10.0.0.1/8"],
    [{ relayNetworks: ["localhost"] }, "relayNetworks", "localhost"],
    [{ urls: { "/out/;uid=1": "" } }, "urls", "/out/;uid=1"],
    [{ limits: { rcptMax: 0 } }, "limits.rcptMax", "0"],
    [{ limits: { mailMax: 1_000_000 } }, "limits.mailMax", "1000000"],
    [{ limits: { rcptDomainMax: 1.5 } }, "limits.rcptDomainMax", "1.5"],
    [{ greylist: { delay: "soon" as "1 second" } }, "greylist.delay", "soon"],
    [{ tarpit: { delay: "soon" as "1 second" } }, "tarpit.delay", "soon"],
    [{ rateLimit: { messages: 1, per: "soon" as "1 second" } }, "rateLimit.per", "soon"],
    [{ delay: "soon" as "1 second" }, "delay", "soon"],
    [{ greetingDelay: "soon" as "1 second" }, "greetingDelay", "soon"],
    [{ idleTimeout: "soon" as "1 second" }, "idleTimeout", "soon"]
  ]
  for (const [config, option, value] of rows) {
    it.effect(`${option}: ${JSON.stringify(value)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Layer.build(SimulatedServer.layer(config)))
        assert.deepStrictEqual([error._tag, error.option, error.value], ["ConfigError", option, value])
        assert.include(error.message, `${option}: ${JSON.stringify(value)}: `)
        assert.strictEqual((yield* Effect.flip(Layer.build(SimulatedServer.layerTcp(config))))._tag, "ConfigError")
      }).pipe(Effect.scoped))
  }

  it.effect("and one that can", () =>
    Layer.build(SimulatedServer.layer({
      hostname: "localhost",
      localDomains: ["Bücher.example", "[192.0.2.1]"],
      relayNetworks: ["10.0.0.0/8", "::1"],
      replies: { postmaster: "250 Ok", "ben@example.org": Reply.make(550, "no") },
      unknownUsers: () => false,
      urls: { "imap://imap.example/out/;uid=1": "Subject: x\r\n\r\n" },
      limits: { mailMax: 1, rcptMax: 999_999, rcptDomainMax: undefined },
      delay: () => 0,
      greylist: { delay: "1 minute" },
      idleTimeout: 60_000
    })).pipe(Effect.scoped))
})

describe("time", () => {
  it("greylisting passes in virtual time", () =>
    Effect.gen(function*() {
      const receipt = yield* Effect.retry(send, Schedule.spaced("1 minute"))
      const { inbox } = yield* SimulatedServer.SimulatedServer
      const [message] = yield* inbox.received
      assert.deepStrictEqual([receipt.outcomes[0]?._tag, message?.at], ["Accepted", 300_000])
      assert.strictEqual(yield* Clock.currentTimeMillis, 300_000)
    }).pipe(
      Effect.provide([inMemory({ greylist: { delay: "5 minutes" } }), VirtualTime.layer()]),
      Effect.runPromise
    ))

  it("a server that is too slow behind the content leaves the client in doubt", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(send)
      assert.strictEqual(error.reason._tag, "InDoubt")
    }).pipe(
      Effect.provide([inMemory({ delay: (_, turn) => turn?._tag === "Bdat" ? "1 hour" : 0 }), VirtualTime.layer()]),
      Effect.runPromise
    ))

  it("a server that is too slow runs into the client's time limit", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(send)
      assert.strictEqual(error.reason._tag, "TimedOut")
      assert.isBelow(yield* Clock.currentTimeMillis, 86_400_000)
    }).pipe(
      Effect.provide([inMemory({ delay: "1 day" }), VirtualTime.layer()]),
      Effect.runPromise
    ))
})

describe("SimulatedServer.layerTcp", () => {
  const exchange = Effect.gen(function*() {
    const { ca, host, port } = yield* SimulatedServer.SimulatedServer
    const client = yield* SmtpClient.make({
      endpoint: `${host}:${port}`,
      security: ca === undefined ? "plain" : "startTls",
      tls: { ca },
      credentials: ann
    })
    return yield* client.send(letter)
  })

  it.live("has a certificate made on the fly", () =>
    Effect.gen(function*() {
      yield* exchange
      const { idle, inbox } = yield* SimulatedServer.SimulatedServer
      const { received } = yield* inbox.only()
      assert.deepStrictEqual([received.tls, received.identity], [true, "ann"])
      yield* idle
    }).pipe(
      Effect.scoped,
      Effect.provide([NodeTransport.layer, SimulatedServer.layerTcp({ accounts: { ann: "secret" } })])
    ))

  it.effect("a certificate that holds in real time, whatever the server's clock", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      const { ca, port } = yield* SimulatedServer.SimulatedServer
      const subject = yield* Effect.callback<string>((resume) => {
        const socket = Tls.connect({ host: "127.0.0.1", port, ca: [...ca ?? []] }, () => {
          resume(Effect.succeed(socket.getPeerX509Certificate()?.subjectAltName ?? ""))
          socket.destroy()
        })
        socket.once("error", (error) => resume(Effect.die(error)))
      })
      assert.strictEqual(
        subject,
        "DNS:localhost, DNS:mx.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"
      )
    }).pipe(Effect.provide([
      SimulatedServer.layerTcp({ implicitTls: true, hostname: "mx.test" }),
      TestClock.layer()
    ])))

  it.live("without TLS there is AUTH all the same", () =>
    Effect.gen(function*() {
      yield* exchange
      const { idle, inbox } = yield* SimulatedServer.SimulatedServer
      const { received } = yield* inbox.only()
      assert.deepStrictEqual([received.tls, received.identity], [false, "ann"])
      yield* idle
    }).pipe(
      Effect.scoped,
      Effect.provide([
        NodeTransport.layer,
        SimulatedServer.layerTcp({ accounts: { ann: "secret" }, mechanisms: "all" }, { tls: false })
      ])
    ))

  it.live("with a certificate of one's own", () =>
    Effect.gen(function*() {
      const tls = yield* Certificates.selfSigned({ name: "localhost", dns: ["localhost"] })
      const { ca, host, port } = yield* SimulatedServer.SimulatedServer.pipe(
        Effect.provide(SimulatedServer.layerTcp({}, { tls }))
      )
      assert.deepStrictEqual([ca, host, port > 0], [undefined, "127.0.0.1", true])
    }))
})

/** A program that knows nothing of Effect: says these lines, one after each reply, and gives what it heard. */
const say = (port: number, ...lines: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    const left = [...lines]
    let heard = ""
    socket.on("data", (chunk) => {
      heard += chunk.toString()
      if (!/^\d{3} .*\r\n$/m.test(chunk.toString())) return
      const line = left.shift()
      if (line === undefined) socket.end()
      else socket.write(`${line}\r\n`)
    })
    socket.once("error", reject)
    socket.once("close", () => resolve(heard))
  })

const send1 = [
  "EHLO c.example",
  "MAIL FROM:<a@b.example>",
  "RCPT TO:<c@d.example>",
  "DATA",
  "Subject: x\r\n\r\nhi\r\n."
]

describe("SimulatedServer.start", () => {
  it("starts, takes mail, is asked, and stops", async () => {
    const server = await SimulatedServer.start()
    assert.strictEqual(server.url, `smtp://127.0.0.1:${server.port}`)
    assert.match(server.ca?.[0] ?? "", /^-----BEGIN CERTIFICATE-----/)
    const waiting = server.waitForMessage({ subject: "x" })
    await say(server.port, ...send1, "QUIT")
    const mail = await waiting
    assert.deepStrictEqual([mail.text, mail.envelope.to], ["hi\n", ["c@d.example"]])
    assert.lengthOf(await server.messages(), 1)
    assert.deepStrictEqual((await server.sessions()).map(({ client, commands }) => [client, commands.length]), [
      ["127.0.0.1", 5]
    ])
    await server.close()
    await server.close()
    const refused = await say(server.port).catch((error: NodeJS.ErrnoException) => error.code)
    assert.strictEqual(refused, "ECONNREFUSED")
  })

  it("forgets between tests", async () => {
    await using server = await SimulatedServer.start({ greylist: true })
    await say(server.port, ...send1)
    await say(server.port, ...send1)
    assert.lengthOf(await server.messages(), 1)
    await server.reset()
    await say(server.port, ...send1)
    assert.lengthOf(await server.messages(), 0)
  })

  it("shuts down and comes back", async () => {
    await using server = await SimulatedServer.start()
    await server.shutDown()
    assert.match(await say(server.port), /^421 4\.3\.2 .*\r\n$/)
    await server.resume()
    assert.match(await say(server.port, "QUIT"), /^220 .*\r\n221 .*\r\n$/)
  })

  it("says smtps where TLS comes first", async () => {
    await using server = await SimulatedServer.start({ implicitTls: true })
    assert.strictEqual(server.url, `smtps://127.0.0.1:${server.port}`)
  })

  it("rejects with what was wrong", async () => {
    const reasonOf = (promise: Promise<unknown>) => promise.then(() => undefined, (error: Error) => error)
    await using server = await SimulatedServer.start()
    const config = await reasonOf(SimulatedServer.start({ replies: { "a@b.example": "x" } }))
    assert.instanceOf(config, SimulatedServer.ConfigError)
    assert.match((await reasonOf(SimulatedServer.start({}, { port: server.port })))?.message ?? "", /EADDRINUSE/)
    const missing = await reasonOf(server.waitForMessage({ to: "ben@example.org" }, { within: 0 }))
    assert.strictEqual(
      missing?.message,
      "no message with to \"ben@example.org\" came within 0; nothing has arrived"
    )
  })
})
