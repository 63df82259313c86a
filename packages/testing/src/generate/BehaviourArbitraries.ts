/**
 * Generators of whole servers: some without any good will, and some that are honest, and odd.
 */
import { Expect, Reply } from "@postern/core"
import * as fc from "fast-check"
import type * as InMemory from "../server/InMemory.ts"
import { defaultExtensions } from "../server/ServerConfig.ts"
import type * as ServerMachine from "../server/ServerMachine.ts"
import { domain } from "./AddressArbitraries.ts"
import { type Act, type Behaviour, render } from "./Behaviour.ts"
import { word } from "./Characters.ts"
import { chunking } from "./Chunkings.ts"
import { hostileReplyBytes } from "./HostileReplies.ts"
import { ehloReply, reply, replyText } from "./ReplyArbitraries.ts"
import { nearlyReply } from "./ReplyFaults.ts"

const speech: fc.Arbitrary<Uint8Array> = fc.oneof(
  { withCrossShrink: true },
  fc.constantFrom(
    ...["220 mx.example", "250 ok", "250 AUTH PLAIN LOGIN", "354 go ahead", "334 ", "235 ok", "221 bye", "550 no"]
      .map((line) => new TextEncoder().encode(`${line}\r\n`))
  ),
  reply.map(Reply.encode),
  ehloReply.map(Reply.encode),
  nearlyReply.map(({ value }) => value),
  hostileReplyBytes
)

const says: fc.Arbitrary<ReadonlyArray<Act>> = fc.tuple(speech, chunking).map(([bytes, cut]) =>
  cut(bytes).map((bytes) => ({ _tag: "Says", bytes }))
)

// Up to an hour: longer than any client should wait.
const waits: fc.Arbitrary<ReadonlyArray<Act>> = fc.nat(3_600_000).map((milliseconds) => [{
  _tag: "Waits",
  milliseconds
}])

/**
 * A server that says whatever comes to its mind, in any chunks and at any time, whatever it is
 * asked; then it closes, resets, or falls silent. Shrinks to one that closes at once.
 */
export const hostileServer: fc.Arbitrary<Behaviour> = fc.record({
  acts: fc.array(fc.oneof({ weight: 8, arbitrary: says }, { weight: 1, arbitrary: waits }), { maxLength: 12 })
    .map((all) => all.flat()),
  end: fc.constantFrom("closes" as const, "resets" as const, "stalls" as const),
  tls: fc.constantFrom("agrees" as const, "refuses" as const, "speaks plaintext" as const)
}).map((behaviour) => Object.assign(behaviour, { [fc.toStringMethod]: () => render(behaviour) }))

/** A server of `InMemory` or `TcpServer`: what it is, and how its octets come. */
export interface OddServer {
  readonly config: ServerMachine.Config
  readonly options: InMemory.Options
}

// It refuses one step, whoever asks. A yes that is not its own would be a lie.
const refusal = fc.oneof(
  { withCrossShrink: true },
  ...(["Mail", "Rcpt", "Data", "Content", "Rset", "Quit", "StartTls"] as const).map((step) => {
    const codes = [...Object.keys(Expect.table[step].no), "459", "599"].map(Number)
    const texts = fc.array(replyText, { minLength: 1, maxLength: 4 })
    return fc.tuple(fc.constantFrom(...codes), texts).map(([code, texts]) => ({ step, reply: Reply.make(code, texts) }))
  })
).map((refusal): ServerMachine.Config["reply"] =>
  Object.assign(({ _tag }: { readonly _tag: string }) => _tag === refusal.step ? refusal.reply : undefined, {
    [fc.toStringMethod]: () => `${refusal.step}: ${Reply.render(refusal.reply)}`
  })
)

/**
 * A server that keeps to the protocol, in ways that are rare: many lines where one would do,
 * extensions in any order and spelling or none, refusals, replies
 * cut anywhere. Shrinks to the server that is simulated unless told otherwise.
 */
export const oddServer: fc.Arbitrary<OddServer> = fc.record({
  config: fc.record({
    hostname: domain,
    greeting: fc.tuple(domain, fc.array(replyText, { maxLength: 3 }), fc.constantFrom(220, 220, 220, 421, 554))
      .map(([domain, texts, code]) => Reply.make(code, [domain, ...texts])),
    extensions: fc.tuple(fc.shuffledSubarray([...defaultExtensions]), fc.array(word, { maxLength: 2 }), fc.boolean())
      .map(([known, unknown, lower]) =>
        [...known, ...unknown.map((word) => `X${word}`)].map((line) => lower ? line.toLowerCase() : line)
      ),
    ehlo: fc.constantFrom(true, true, true, false),
    startTls: fc.boolean(),
    requireTls: fc.boolean(),
    legacyAuth: fc.boolean(),
    authBeforeTls: fc.boolean(),
    maxSize: fc.constantFrom(10_000, 100, 1),
    maxRecipients: fc.integer({ min: 1, max: 5 }),
    greylist: fc.boolean(),
    delay: fc.nat(120_000),
    reply: refusal
  }, { requiredKeys: [] }),
  options: fc.record({ chunk: chunking }, { requiredKeys: [] })
})
