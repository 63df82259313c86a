import { assert, describe, it } from "@effect/vitest"
import {
  Command,
  CramMd5,
  DigestMd5,
  Login,
  Mechanism,
  Ntlm,
  OAuthBearer,
  Plain,
  Program,
  Reply,
  Scram,
  Transport,
  XOAuth2
} from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Explore, Laws } from "@postern/testing"
import { Bytes, Effect, Redacted, Result } from "effect"
import * as Net from "node:net"

const failing = async (laws: ReadonlyArray<Laws.Law>): Promise<ReadonlyArray<string>> => {
  const broken: Array<string> = []
  for (const law of laws) {
    await law.run().catch(() => broken.push(law.name))
  }
  return broken
}

describe("Laws.mechanism", () => {
  for (
    const mechanism of [Plain.plain, Login.login, CramMd5.cramMd5, DigestMd5.digestMd5, Ntlm.ntlm, Scram.scramSha256]
  ) {
    for (const law of Laws.mechanism(mechanism, { runs: 10 })) it(law.name, law.run)
  }
  for (const mechanism of [XOAuth2.xoauth2, OAuthBearer.oauthBearer]) {
    for (const law of Laws.mechanism(mechanism, { runs: 10, with: "token" })) it(law.name, law.run)
  }

  it("catches a mechanism that accepts anyone, one that throws, one that tells, and a bad name", async () => {
    const { client, server } = Plain.plain
    assert.deepStrictEqual(
      await failing(
        Laws.mechanism({ ...Plain.plain, server: () => ({ _tag: "Accepted", identity: "tim" }) }, { runs: 5 })
      ),
      ["PLAIN: is refused where the server has another"]
    )
    assert.include(
      await failing(Laws.mechanism({
        ...Plain.plain,
        client: () => {
          throw new Error("oh")
        }
      }, { runs: 5 })),
      "PLAIN: is accepted where both sides have the same secret"
    )
    const telling: Mechanism.Mechanism = {
      ...Plain.plain,
      client: (credentials) =>
        Effect.fail(Mechanism.saslError(
          "mechanism",
          credentials._tag === "Password" ? `${Redacted.value(credentials.password)} is wrong` : ""
        )),
      server
    }
    assert.include(
      await failing(Laws.mechanism(telling, { runs: 20 })),
      "PLAIN: does not throw on whatever it is challenged with, and tells no secret"
    )
    assert.include(
      await failing(Laws.mechanism({ ...Plain.plain, name: "no name", client }, { runs: 5 })),
      "no name: has a name that RFC 4422 §3.1 allows"
    )
  })
})

/** A TCP server's side of one connection. */
const otherSide = (socket: Net.Socket): Laws.OtherSide => {
  const heard: Array<Uint8Array> = []
  let wake = () => {}
  socket.on("error", () => {})
  socket.on("data", (bytes: Uint8Array) => {
    heard.push(bytes)
    wake()
  })
  return {
    say: (bytes) => Effect.callback((resume) => void socket.write(bytes, () => resume(Effect.void))),
    close: Effect.sync(() => void socket.end()),
    heard: (octets) =>
      Effect.callback((resume) => {
        wake = () => {
          const all = Bytes.concat(heard)
          if (all.length >= octets) resume(Effect.succeed(all))
        }
        wake()
      })
  }
}

const tcp: Laws.Pair = Effect.gen(function*() {
  const server = yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer()
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  )
  const connected = new Promise<Net.Socket>((resolve) => server.once("connection", resolve))
  const { open } = yield* Effect.provide(Transport.Transport, NodeTransport.layer)
  const wire = yield* open({ host: "127.0.0.1", port: (server.address() as Net.AddressInfo).port })
  const socket = yield* Effect.promise(() => connected)
  yield* Effect.addFinalizer(() => Effect.sync(() => void socket.destroy()))
  return [wire, otherSide(socket)] as const
})

describe("Laws.transport", () => {
  for (const law of Laws.transport("NodeTransport", tcp, { runs: 10 })) it(law.name, law.run)

  it("catches a wire that turns octets around, loses them, or says nothing of the end", async () => {
    const altered = (change: (wire: Transport.Wire) => Partial<Transport.Wire>): Laws.Pair =>
      Effect.map(tcp, ([wire, other]) => [{ ...wire, ...change(wire) }, other] as const)
    const reversed = altered((wire) => ({ read: Effect.map(wire.read, (bytes) => bytes.toReversed()) }))
    assert.include(
      await failing(Laws.transport("it", reversed, { runs: 5 })),
      "it: what is said can be read, all of it, in order"
    )
    const empty = altered((wire) => ({ read: Effect.map(wire.read, (bytes) => bytes.subarray(bytes.length)) }))
    assert.include(
      await failing(Laws.transport("it", empty, { runs: 2 })),
      "it: what is said can be read, all of it, in order"
    )
    const broken = new Transport.TransportError({ reason: { _tag: "Broken", code: "X", detail: "x" } })
    const endless = altered((wire) => ({ read: Effect.mapError(wire.read, () => broken) }))
    assert.deepStrictEqual(
      await failing(Laws.transport("it", endless, { runs: 2 })),
      ["it: the end of the other side comes behind all that it said, as Closed"]
    )
  })
})

const parse: Laws.ParseReplies = (chunks) => {
  const decoder = Reply.decoder()
  const found: Array<{ code: number; lines: ReadonlyArray<string> } | "error"> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return [...found, "error"]
      found.push({ code: next.success.code, lines: next.success.lines })
    }
  }
  return found
}

describe("Laws.replyParser", () => {
  for (const law of Laws.replyParser("Reply.decoder", parse)) it(law.name, law.run)

  it("catches a parser that takes each chunk for itself, and one that loses lines", async () => {
    const forgetful: Laws.ParseReplies = (chunks) => chunks.flatMap((chunk) => parse([chunk]))
    assert.isNotEmpty(await failing(Laws.replyParser("it", forgetful)))
    const lossy: Laws.ParseReplies = (chunks) =>
      parse(chunks).map((found) => found === "error" ? found : { ...found, lines: found.lines.slice(-1) })
    assert.deepStrictEqual(await failing(Laws.replyParser("it", lossy)), ["it: reads valid replies, in any chunks"])
  })
})

describe("Explore.check", () => {
  const probe = Program.gen(function*() {
    yield* Program.send(Command.rset)
    return yield* Program.send(Command.noop)
  })

  it("counts the dialogues that keep the law", () => {
    assert.deepStrictEqual(Explore.check(probe, Explore.everyClass(), () => {}), Result.succeed(9))
  })

  it("prints the first that does not", () => {
    const checked = Explore.check(
      probe,
      Explore.everyClass(),
      ({ end }) => Result.isFailure(end) ? "it was refused" : undefined
    )
    assert.isTrue(Result.isFailure(checked))
    if (Result.isFailure(checked)) {
      assert.strictEqual(
        checked.failure.message,
        "it was refused\n  C: RSET\n  S: 250 yes\n  C: NOOP\n  S: 451 4.3.0 not now\n(after 1 dialogues that kept the law)"
      )
    }
  })

  it("takes assertions for laws, and bounds for a failure", () => {
    const asserting = Explore.check(probe, Explore.everyClass(), ({ said }) => assert.lengthOf(said, 1))
    assert.isTrue(Result.isFailure(asserting))
    const bounded = Explore.check(probe, Explore.everyClass(), () => {}, { mostSteps: 1 })
    assert.include(Result.isFailure(bounded) ? bounded.failure.problem : "", "does not end")
  })
})
