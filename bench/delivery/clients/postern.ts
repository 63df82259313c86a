/**
 * This library, over its client and Node's sockets. A message counts when its result is a success.
 */
import { Content, Mechanism, Reply, SmtpClient } from "@postern/core"
import { NodeSmtp, SmtpPool } from "@postern/node"
import { Effect, Exit, ManagedRuntime, Redacted, Result, Scope, Stream } from "effect"
import { replies } from "../replies.ts"
import * as Work from "../work.ts"

const options = (work: Work.Work, { ca, port }: Work.Target): SmtpClient.Options => ({
  endpoint: `127.0.0.1:${port}`,
  security: work.security,
  tls: ca === undefined ? {} : { ca: [ca] },
  ...(work.security === "startTls"
    ? { credentials: Mechanism.password(Work.user, Redacted.make(Work.password)) }
    : {})
})

const messageOf = (work: Work.Work): SmtpClient.Message => ({
  from: Work.sender,
  to: Work.recipients(work),
  content: work.way === "stream" ? streamed(work) : new Uint8Array(Work.content(work))
})

const streamed = (work: Work.Work): Stream.Stream<Uint8Array> =>
  Stream.suspend(() => Stream.fromIterable(Work.chunks(work), { chunkSize: 1 }))

type Send = (messages: number) => Effect.Effect<void, unknown>

// On one connection that is kept; where the client is a pool, on several.
const all = ({ sendAll }: Pick<SmtpClient.Opened, "sendAll">, message: SmtpClient.Message): Send => (messages) =>
  sendAll(Stream.fromIterable(Array.from({ length: messages }, () => message))).pipe(
    Stream.runFold(() => 0, (taken, { result }) => Result.isSuccess(result) ? taken + 1 : taken),
    Effect.flatMap((taken) => taken === messages ? Effect.void : Effect.die(`${messages - taken} were not taken`))
  )

const oneByOne = (send: Effect.Effect<unknown, unknown>): Send => (messages) =>
  Effect.gen(function*() {
    for (let i = 0; i < messages; i++) yield* send
  })

const pooling = (work: Work.Work, target: Work.Target) =>
  SmtpPool.layerTcp({
    ...options(work, target),
    max: Work.connections,
    messagesPerConnection: Number.MAX_SAFE_INTEGER
  })

const sending = (work: Work.Work) =>
  Effect.gen(function*() {
    const message = messageOf(work)
    const client = yield* SmtpClient.SmtpClient
    switch (work.way) {
      case "connect":
        return oneByOne(client.send(message))
      case "send":
      case "stream":
        return oneByOne((yield* client.open).send(message))
      case "sendAll":
        return all(yield* client.open, message)
      default:
        return all(client, message)
    }
  })

const delivering: Work.Make = async (work, target) => {
  // The pool serves as the client, too.
  const runtime = ManagedRuntime.make<SmtpClient.SmtpClient, unknown>(
    work.way === "pool" ? pooling(work, target) : NodeSmtp.layer(options(work, target))
  )
  const scope = await Effect.runPromise(Scope.make())
  const send = await runtime.runPromise(Scope.provide(sending(work), scope))
  return {
    send: (messages) => runtime.runPromise(send(messages)),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  }
}

const octets = async (run: () => void): Promise<Work.Client> => ({
  send: async (messages) => {
    for (let i = 0; i < messages; i++) run()
  },
  close: async () => {}
})

const stuffing = (work: Work.Work) => {
  const content = new Uint8Array(Work.content(work))
  return () => {
    Content.encodeData(content)
  }
}

const decoding = (work: Work.Work) => {
  const { count, segments } = replies(work)
  return () => {
    const decoder = Reply.decoder()
    let decoded = 0
    for (const { bytes } of segments) {
      decoder.push(bytes)
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        if (Result.isFailure(next)) throw new Error(next.failure.problem)
        decoded++
      }
    }
    if (decoded !== count) throw new Error(`${decoded} replies of ${count}`)
  }
}

export const make: Work.Make = (work, target) => {
  switch (work.way) {
    case "decode":
      return octets(decoding(work))
    case "stuff":
      return octets(stuffing(work))
    default:
      return delivering(work, target)
  }
}
