import { assert, describe, it } from "@effect/vitest"
import { Scram, Transport } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Certificates, Deterministic, Recorder, Recording, Replay, TcpServer } from "@postern/testing"
import { Effect, Exit, Layer, Redacted } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { client, credentials, inMemory, key, message, send, server, using, withPassword } from "./support.ts"

const tags = ({ events }: Recording.Recording) => events.map(({ _tag }) => _tag)

const recorded = <A, E>(
  program: Effect.Effect<A, E, Transport.Transport | Recorder.Recorder>,
  options: Recorder.Options = {},
  config = server
) => Effect.runPromise(Effect.provide(program, Layer.provide(Recorder.layer(options), inMemory(config))))

const recording = Effect.flatMap(Recorder.Recorder, ({ recording }) => recording)

const dial = Effect.scoped(
  Effect.flatMap(
    Transport.Transport,
    ({ open }) => Effect.flatMap(open({ host: "mx.example", port: 25 }), ({ read }) => read)
  )
)

describe("Recorder.layer", () => {
  it("says where to, how, and under which policy", async () => {
    const { header } = await recorded(Effect.andThen(Effect.provide(send(), client()), recording), { note: "ticket 1" })
    assert.deepStrictEqual([header.endpoint, header.mode, header.note], [
      { host: "mx.example", port: 587 },
      "startTls",
      "ticket 1"
    ])
    assert.deepStrictEqual(header.policy, { addresses: "kept", content: "hashed" })
    const plain = await recorded(Effect.andThen(dial, recording), { key, addresses: "numbered" })
    assert.strictEqual(plain.header.mode, "plain")
    assert.lengthOf(plain.header.policy.key ?? "", 16)
  })

  it("has the events of a session in their order", async () => {
    const made = await recorded(Effect.andThen(Effect.provide(send(), client()), recording))
    const order = [
      "Connecting",
      "Connected",
      "Received",
      "Sent",
      "HandshakeStarted",
      "TlsEstablished",
      "ContentSent",
      "Closed"
    ]
    const first = order.map((tag) => tags(made).findIndex((found) => found === tag))
    assert.deepStrictEqual(first, first.toSorted((a, b) => a - b))
    assert.notInclude(first, -1)
    assert.isTrue(made.events.every(({ at }, i, all) => at >= (all[i - 1]?.at ?? 0)))
  })

  it("keeps content whole where it is asked to", async () => {
    const whole = async (extensions: ReadonlyArray<string>) => {
      const sending = Effect.andThen(Effect.provide(send(), client()), recording)
      const made = await recorded(sending, { content: "whole" }, { ...server, extensions })
      const content = made.events.find((event) => event._tag === "ContentSent")
      return content?._tag === "ContentSent" ? Buffer.from(content.whole ?? []).toString() : undefined
    }
    assert.strictEqual(await whole(["PIPELINING"]), "Subject: hello\r\n\r\nHello.\r\n..dots\r\n.\r\n")
    assert.strictEqual(await whole(["PIPELINING", "CHUNKING"]), "Subject: hello\r\n\r\nHello.\r\n.dots\r\n")
  })

  it("numbers addresses, and replays with them numbered", async () => {
    const made = await recorded(Effect.andThen(Effect.provide(send(), client()), recording), { addresses: "numbered" })
    const text = Recording.encode(made)
    for (const address of [message.from, ...message.to]) assert.notInclude(text, address)
    const exit = await Effect.runPromiseExit(Replay.run(made, Effect.provide(send(), client())))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })

  it("keeps the newest connections, and says where one has more than it keeps", async () => {
    const many = await recorded(Effect.andThen(Effect.repeat(dial, { times: 5 }), recording), { connections: 2 })
    assert.deepStrictEqual([...new Set(many.events.map(({ connection }) => connection))], [4, 5])
    const long = await recorded(Effect.andThen(Effect.provide(send(), client()), recording), { events: 5 })
    assert.deepStrictEqual(tags(long).slice(4), ["Received", "Truncated"])
  })

  it("keeps no more than 32 MiB of what was said on a connection", async () => {
    const line = new Uint8Array(60_000).fill(0x61)
    line.set([13, 10], line.length - 2)
    const flood = Effect.scoped(Effect.gen(function*() {
      const { open } = yield* Transport.Transport
      const wire = yield* open({ host: "mx.example", port: 25 })
      for (let i = 0; i < 600; i++) {
        yield* wire.write(line)
        yield* wire.read
      }
    }))
    const made = await recorded(Effect.andThen(flood, recording))
    const kept = made.events.reduce((sum, event) => sum + (event._tag === "Sent" ? event.data.length : 0), 0)
    assert.strictEqual(made.events.at(-1)?._tag, "Truncated")
    assert.isAtMost(kept, 32 * 1024 * 1024)
    assert.isAbove(kept, 31 * 1024 * 1024)
  })

  it("counts what is sealed, too", async () => {
    const challenge = new TextEncoder().encode(`334 ${"A".repeat(60_000)}\r\n`)
    const wire: Transport.Wire = {
      read: Effect.succeed(challenge),
      write: () => Effect.void,
      upgradeTls: () => Effect.never
    }
    const stub = Layer.succeed(Transport.Transport, { open: () => Effect.succeed(wire) })
    const program = Effect.scoped(Effect.gen(function*() {
      const { open } = yield* Transport.Transport
      const { read, write } = yield* open({ host: "mx.example", port: 25 })
      yield* read
      for (let i = 0; i < 500; i++) {
        yield* write(new TextEncoder().encode("AUTH SCRAM-SHA-1 biws\r\n"))
        yield* read
      }
      return yield* recording
    }))
    const made = await Effect.runPromise(Effect.provide(program, Layer.provide(Recorder.layer({ key }), stub)))
    assert.strictEqual(made.events.at(-1)?._tag, "Truncated")
  })

  it("numbers addresses on each connection anew: what is captured later replays too", async () => {
    const program = Effect.gen(function*() {
      const recorder = yield* Recorder.Recorder
      yield* Effect.provide(send({ from: "eve@e.example", to: "ben@b.example" }), client())
      return (yield* recorder.capture(Effect.provide(send(), client()))).recording
    })
    const made = await recorded(program, { addresses: "numbered" })
    assert.include(Recording.encode(made), "MAIL FROM:<address-1>")
    const exit = await Effect.runPromiseExit(Replay.run(made, Effect.provide(send(), client())))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })

  it("gives a captured effect the random octets that it took, though others take some", async () => {
    const scram = using(Scram.scramSha256)
    const program = Effect.gen(function*() {
      const recorder = yield* Recorder.Recorder
      const sends = Effect.provide(send(), scram)
      const [one] = yield* Effect.all([recorder.capture(sends), sends, sends], { concurrency: 3 })
      return one.recording
    })
    // All three are connected before the first of them says anything.
    const made = await Effect.runPromise(Effect.provide(
      program,
      Recorder.layer({ key }).pipe(
        Layer.provide(inMemory({ ...server, greetingDelay: "1 second" })),
        Layer.provideMerge(Deterministic.layer())
      )
    ))
    assert.isTrue(tags(made).includes("Random"))
    const exit = await Effect.runPromiseExit(Replay.run(made, Effect.provide(send(), scram), { key }))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })

  it("says which version of the package it is of", async () => {
    const { header } = await recorded(recording)
    assert.strictEqual(header.by, `${manifest.name} ${manifest.version}`)
  })

  it("gives an effect its own connections, whatever others do", async () => {
    const both = Effect.gen(function*() {
      const recorder = yield* Recorder.Recorder
      const [one] = yield* Effect.all([recorder.capture(dial), dial, dial], { concurrency: 3 })
      return one.recording
    })
    const made = await recorded(both)
    assert.lengthOf([...new Set(made.events.map(({ connection }) => connection))], 1)
  })

  it("hands over the recording of what fails, and of nothing else", async () => {
    const seen: Array<Recording.Recording> = []
    const keep = (made: Recording.Recording) => Effect.sync(() => void seen.push(made))
    const program = Effect.gen(function*() {
      const recorder = yield* Recorder.Recorder
      yield* recorder.whenFailing(Effect.provide(send(), client()), keep)
      assert.isEmpty(seen)
      return yield* Effect.flip(
        recorder.whenFailing(Effect.provide(send({ to: "nobody@b.example" }), client()), keep)
      )
    })
    assert.strictEqual((await recorded(program)).reason._tag, "RecipientsRefused")
    assert.lengthOf(seen, 1)
    assert.include(Recording.encode(seen[0] as Recording.Recording), "nobody@b.example")
  })

  it("shows nothing that arrived before a handshake, where it can be an echo", async () => {
    const bytes = new TextEncoder().encode("250 tanst")
    for (const reason of [{ _tag: "PlaintextBuffered", bytes }, { _tag: "NotTls", firstBytes: bytes }] as const) {
      const wire: Transport.Wire = {
        read: Effect.succeed(new TextEncoder().encode("220 hi\r\n")),
        write: () => Effect.void,
        upgradeTls: () => Effect.fail(new Transport.TransportError({ reason }))
      }
      const talk = (says: string) =>
        Effect.scoped(Effect.gen(function*() {
          const { open } = yield* Transport.Transport
          const wire = yield* open({ host: "mx.example", port: 25 })
          yield* wire.read
          yield* wire.write(new TextEncoder().encode(says))
          yield* Effect.flip(wire.upgradeTls({ serverName: "mx.example" }))
          return yield* recording
        })).pipe(
          Effect.provide(Layer.provide(
            Recorder.layer(),
            Layer.succeed(Transport.Transport, { open: () => Effect.succeed(wire) })
          )),
          Effect.map(Recording.encode),
          Effect.runPromise
        )
      assert.include(await talk("STARTTLS\r\n"), "250 tanst")
      assert.include(await talk("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"), "\"*********\"")
    }
  })

  it("refuses a key that is too short", async () => {
    const short = Layer.provide(Recorder.layer({ key: Redacted.make("short") }), inMemory())
    const exit = await Effect.runPromiseExit(Effect.provide(dial, short))
    assert.include(String(exit), "32 characters")
  })

  it("records sockets and real TLS, which replay without either", async () => {
    const smtp = (mechanism: number, host: string, port: number, ca: string) =>
      using(withPassword[mechanism] as (typeof withPassword)[number], credentials, {
        endpoint: `${host}:${port}`,
        tls: { ca: [ca], serverName: "localhost" }
      })
    const program = Effect.gen(function*() {
      const authority = yield* Certificates.authority("Test CA")
      const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"] })
      const { host, port } = yield* TcpServer.make(server, { tls })
      const over = smtp(7, host, port, authority.certificate)
      yield* Effect.provide(send(), over)
      return { over, made: yield* recording }
    })
    const { made, over } = await Effect.runPromise(
      Effect.provide(Effect.scoped(program), Layer.provide(Recorder.layer({ key }), NodeTransport.layer))
    )
    const established = made.events.find((event) => event._tag === "TlsEstablished")
    assert.strictEqual(established?._tag === "TlsEstablished" ? established.version : undefined, "TLSv1.3")
    // Bound to the channel: what it was bound by is sealed in the recording.
    const exit = await Effect.runPromiseExit(Replay.run(made, Effect.provide(send(), over), { key }))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })
})
