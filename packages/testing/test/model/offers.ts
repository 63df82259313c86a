/**
 * Any messages to any server, and what passes between them.
 */
import {
  Address,
  Choose,
  Inquiry,
  Mechanism,
  type Outcome,
  Plain,
  Program,
  type Reason,
  SmtpClient
} from "@postern/core"
import { Reply, Transaction, Transport } from "@postern/core"
import { InMemory, type ServerMachine, VirtualTime } from "@postern/testing"
import { Effect, Layer, Redacted, Result, Stream } from "effect"
import * as fc from "fast-check"
import { type Chunking, chunking } from "../../src/generate/Arbitraries.ts"
import { type Dialogue, dialogueOf, type Passed } from "./wire.ts"
import { type Letter, letter, messageOf } from "./anyLetter.ts"
import { type Server, server, url } from "./anyServer.ts"

export interface Case {
  readonly server: Server
  readonly letters: ReadonlyArray<Letter>
  readonly route: "send" | "opened" | "sendAll" | "behalf"
  readonly chunk: Chunking
}

export const anyCase: fc.Arbitrary<Case> = fc.record({
  server,
  letters: fc.array(letter, { minLength: 1, maxLength: 4 }),
  route: fc.constantFrom("send", "opened", "opened", "sendAll", "sendAll", "behalf"),
  chunk: chunking
})

export type Told = Result.Result<Outcome.Delivery, Reason.Reason>

export interface Seen {
  /** In the order of the letters; undefined where one was not sent since the connection took no more. */
  readonly told: ReadonlyArray<Told | undefined>
  readonly dialogues: ReadonlyArray<Dialogue>
  readonly inbox: ReadonlyArray<ServerMachine.Message>
}

const configOf = ({ server }: Case, remote: Uint8Array): ServerMachine.Config => ({
  hostname: "mx.example",
  strictPipelining: true,
  extensions: server.extensions,
  limits: server.limits,
  maxSize: server.extensions.includes("SIZE 0") ? 10_485_760 : server.maxSize,
  maxRecipients: server.maxRecipients,
  ehlo: server.protocol !== "HELO",
  lmtp: server.protocol === "LHLO",
  dataAnyway: server.dataAnyway,
  startTls: server.tls === "startTls" || server.tls === "not used",
  implicitTls: server.tls === "implicit",
  accounts: { ann: Redacted.make("secret") },
  mechanisms: server.auth === "none" ? [] : [Plain.plain],
  unknownUsers: (mailbox) => mailbox.startsWith("ghost"),
  urls: { [url]: remote },
  reply: (turn) =>
    turn._tag === "Mail" && turn.reversePath?.localPart.startsWith("spammer") === true
      ? Reply.make(550, "not you", "5.1.8")
      : undefined
})

/** Plays it. */
export const play = (one: Case): Promise<Seen> =>
  Effect.gen(function*() {
    const { chunk, letters, route, server } = one
    const remote = letters.find(({ source }) => source._tag === "burl")?.content ?? new Uint8Array(0)
    const site = yield* InMemory.make(configOf(one, remote), { chunk })
    const passed: Array<Array<Passed>> = []
    const transport: Transport.Transport["Service"] = {
      open: (peer) =>
        Effect.map(site.transport.open(peer), (wire): Transport.Wire => {
          const octets: Array<Passed> = []
          passed.push(octets)
          return {
            read: Effect.tap(wire.read, (bytes) => Effect.sync(() => void octets.push({ way: "read", bytes }))),
            write: (bytes) =>
              Effect.suspend(() => {
                octets.push({ way: "wrote", bytes: bytes.slice() })
                return wire.write(bytes)
              }),
            upgradeTls: wire.upgradeTls
          }
        })
    }
    const client = yield* SmtpClient.make({
      endpoint: server.protocol === "LHLO" ? "lmtp://mx.example" : "mx.example:25",
      security: server.tls === "startTls" ? "startTls" : server.tls === "implicit" ? "tls" : "plain",
      domain: "client.example",
      credentials: server.auth === "used" ? Mechanism.password("ann", Redacted.make("secret")) : undefined,
      authenticator: Choose.standard,
      without: server.without
    }).pipe(Effect.provideService(Transport.Transport, transport))
    const told: Array<Told | undefined> = []
    const tell = (result: Result.Result<Outcome.Delivery, { readonly reason: Reason.Reason }>) =>
      void told.push(Result.mapError(result, ({ reason }) => reason))
    const messages = letters.map(messageOf)
    switch (route) {
      case "send":
        for (const message of messages) tell(yield* Effect.result(client.send(message)))
        break
      case "opened":
        yield* Effect.scoped(Effect.flatMap(
          client.open,
          Effect.fnUntraced(function*(opened) {
            for (const message of messages) {
              if (yield* opened.usable) tell(yield* Effect.result(opened.send(message)))
              else told.push(undefined)
            }
          })
        ))
        break
      case "sendAll":
        yield* Stream.runForEach(
          client.sendAll(Stream.fromIterable(messages)),
          ({ result }) => Effect.sync(() => tell(result))
        )
        break
      case "behalf":
        yield* client.use(Effect.fnUntraced(function*(session) {
          const connection = yield* Program.Connection
          yield* connection.run(Inquiry.verify(session, "ann"))
          yield* Effect.result(connection.run(Inquiry.startQueue(session, "#queue")))
          const attributes = { NAME: "far.example", ADDR: "192.0.2.7" }
          const domain = Result.getOrThrow(Address.parseDomain("far.example"))
          const behalf = yield* Effect.result(connection.run(Inquiry.behalf(session, attributes, domain)))
          const now = Result.isSuccess(behalf) ? behalf.success : session
          const [message] = messages
          if (message === undefined) return
          tell(
            yield* Effect.result(Effect.scoped(
              Effect.flatMap(SmtpClient.ready({})(message), (made) => connection.run(Transaction.send(now, made)))
            ))
          )
        }))
        for (const _ of messages.slice(1)) told.push(undefined)
        break
    }
    return {
      told,
      dialogues: passed.map((octets) => dialogueOf(octets, server.protocol === "LHLO")),
      inbox: yield* site.inbox
    }
  }).pipe(Effect.provide(Layer.fresh(VirtualTime.layer())), Effect.runPromise)
