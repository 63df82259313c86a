/**
 * A handful of messages by `sendAll`, each with a fate of its own, to a server that is troubled:
 * what is reported of them can be held against what the server has.
 */
import { assert } from "@effect/vitest"
import { Address, Reply, SmtpClient, type SmtpError, Transport } from "@postern/core"
import { Faults, InMemory, ServerMachine, VirtualTime } from "@postern/testing"
import { Clock, Effect, Exit, Layer, Result, Stream } from "effect"
import type { TimeLimits } from "@postern/core"

/** How they go. */
export type Framing = "DATA" | "BDAT" | "one by one" | "LMTP"
export const framings: ReadonlyArray<Framing> = ["DATA", "BDAT", "one by one", "LMTP"]

const letter = (i: number, from: string, ...to: ReadonlyArray<string>): SmtpClient.Message => ({
  from: `${from}@a.example`,
  to: to.map((each) => `${each}@b.example`),
  content: `Subject: ${i}\n\nbody of ${i}\n.\n`
})

/** What becomes of each where nothing befalls them. */
export const fates: ReadonlyArray<readonly [SmtpClient.Message, string]> = [
  [letter(0, "ann", "ben"), "sent"],
  [letter(1, "spammer", "ben"), "SenderRefused"],
  [letter(2, "amy", "ben", "ghost", "cat"), "sent"],
  [letter(3, "ann", "ghost"), "RecipientsRefused"],
  [letter(4, "eve", "dan"), "ContentRefused"],
  [{ ...letter(5, "ann", "ben"), to: "nobody" }, "InvalidInput"],
  [letter(6, "bob", "cat"), "sent"]
]

/** The reason of the sender's own, and what the server does of itself to it. */
export type Overrule = NonNullable<ServerMachine.Config["reply"]>

const usual = (): Overrule => {
  let sender: string | undefined
  return (turn) => {
    if (turn._tag === "Mail") sender = turn.reversePath?.localPart
    if (turn._tag === "Mail" && sender === "spammer") return Reply.make(550, "not you", "5.1.8")
    return (turn._tag === "Content" || turn._tag === "Bdat") && sender === "eve"
      ? Reply.make(554, "no spam", "5.6.0")
      : undefined
  }
}

/** What a trouble is made of. */
export interface Trouble {
  readonly plan?: Faults.Plan
  readonly overrule?: Overrule
  readonly server?: Partial<ServerMachine.Config>
  readonly chunk?: InMemory.Options["chunk"]
  readonly messages?: ReadonlyArray<SmtpClient.Message>
  readonly timeLimits?: TimeLimits.TimeLimits
}

/** What became of it. */
export interface Seen {
  readonly messages: ReadonlyArray<SmtpClient.Message>
  readonly results: ReadonlyArray<SmtpClient.Sent>
  /** Why the stream of results failed, where it did. */
  readonly failure: SmtpError.SmtpError | undefined
  readonly inbox: ReadonlyArray<ServerMachine.Message>
  readonly open: number
  readonly connections: number
  /** What was written and read on each connection. */
  readonly written: ReadonlyArray<string>
  readonly read: ReadonlyArray<string>
  readonly millis: number
}

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

/** Sends them. */
export const attempt = (framing: Framing, trouble: Trouble = {}): Promise<Seen> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const { chunk, messages = fates.map(([message]) => message), overrule, plan = [], server, timeLimits } = trouble
      const fallback = usual()
      const extensions = ServerMachine.defaultExtensions.filter((line) =>
        (framing === "BDAT" || framing === "LMTP" || line !== "CHUNKING")
        && (framing !== "one by one" || line !== "PIPELINING")
      )
      const site = yield* InMemory.make({
        hostname: "mx.example",
        extensions,
        lmtp: framing === "LMTP",
        unknownUsers: ["ghost@b.example"],
        ...server,
        reply: (turn, state) => {
          const own = fallback(turn, state)
          return overrule?.(turn, state) ?? own
        }
      }, { chunk })
      const written: Array<string> = []
      const read: Array<string> = []
      const faulty = Faults.wrap(site.transport, plan)
      const watched: typeof faulty = {
        open: (peer) =>
          Effect.map(faulty.open(peer), (wire) => {
            const at = written.push("") - 1
            read.push("")
            return {
              read: Effect.tap(wire.read, (bytes) =>
                Effect.sync(() => {
                  read[at] += text(bytes)
                })),
              write: (bytes) => {
                written[at] += text(bytes)
                return wire.write(bytes)
              },
              upgradeTls: wire.upgradeTls
            }
          })
      }
      const results: Array<SmtpClient.Sent> = []
      const layer = SmtpClient.layer({
        endpoint: framing === "LMTP" ? "lmtp://mx.example" : "mx.example:25",
        security: "plain",
        domain: "client.example",
        timeLimits
      })
      const exit = yield* Effect.flatMap(
        SmtpClient.SmtpClient,
        (client) =>
          Stream.runForEach(client.sendAll(Stream.fromIterable(messages)), (sent) =>
            Effect.sync(() => void results.push(sent)))
      ).pipe(
        Effect.provide(layer),
        Effect.provideService(Transport.Transport, watched),
        Effect.result,
        Effect.exit
      )
      if (Exit.isFailure(exit)) {
        throw new Error(`it died: ${JSON.stringify(exit.cause)}`)
      }
      return {
        messages,
        results,
        failure: Result.isFailure(exit.value) ? exit.value.failure : undefined,
        inbox: yield* site.inbox,
        open: yield* site.open,
        connections: written.length,
        written,
        read,
        millis: yield* Clock.currentTimeMillis
      }
    }).pipe(Effect.provide(Layer.fresh(VirtualTime.layer())))
  )

/** `sent`, or why not. */
export const tag = ({ result }: SmtpClient.Sent): string =>
  Result.isSuccess(result) ? "sent" : result.failure.reason._tag

const subjectOf = (content: string): string => /^Subject: (.*?)\r?$/m.exec(content)?.[1] ?? "none"

/** A line for each recipient to whom this may have happened. */
const those = (sent: SmtpClient.Sent, which: "Accepted" | "InDoubt"): ReadonlyArray<string> => {
  const { message: { content, from }, result } = sent
  const line = (recipient: string) =>
    `${subjectOf(String(content))}: ${from === null ? "<>" : `<${String(from)}>`} to ${recipient}`
  if (Result.isSuccess(result)) {
    return result.success.outcomes.flatMap(({ _tag, recipient }) => _tag === which ? [line(recipient)] : [])
  }
  const { reason } = result.failure
  return which === "InDoubt" && reason._tag === "InDoubt" ? reason.recipients.map(line) : []
}

const onTheWire = (content: string): string => content.replace(/\n/g, "\r\n")

/** What holds whatever happens. */
export const sound = (seen: Seen, what: string): void => {
  const { failure, inbox, messages, open, results } = seen
  assert.strictEqual(open, 0, `${what}: no connection is left`)
  // Settled once each, in order; all of them unless no connection could be had.
  assert.deepStrictEqual(
    results.map(({ message }) => message),
    messages.slice(0, results.length),
    `${what}: results come in order`
  )
  if (failure === undefined) assert.lengthOf(results, messages.length, `${what}: every message has its result`)
  const accepted = results.flatMap((sent) => those(sent, "Accepted"))
  const doubtful = new Set(results.flatMap((sent) => those(sent, "InDoubt")))
  const arrived = inbox.flatMap(({ content, forwardPaths, reversePath }) =>
    forwardPaths.map((path) =>
      `${subjectOf(text(content))}: ${Address.formatReversePath(reversePath)} to ${Address.formatForwardPath(path)}`
    )
  )
  assert.deepStrictEqual(arrived.filter((line, i) => arrived.indexOf(line) !== i), [], `${what}: nothing arrives twice`)
  assert.deepStrictEqual(accepted.filter((line) => !arrived.includes(line)), [], `${what}: accepted is what arrived`)
  assert.deepStrictEqual(
    arrived.filter((line) => !accepted.includes(line) && !doubtful.has(line)),
    [],
    `${what}: what arrived is accepted or in doubt`
  )
  const contents = new Map(messages.map(({ content }) => [subjectOf(String(content)), onTheWire(String(content))]))
  for (const { content } of inbox) {
    assert.strictEqual(text(content), contents.get(subjectOf(text(content))), `${what}: the content is its own`)
  }
  // In doubt is only what was written as a whole.
  for (const sent of results) {
    if (those(sent, "InDoubt").length === 0 || typeof sent.message.content !== "string") continue
    const content = onTheWire(String(sent.message.content))
    const framed = [`${content.replaceAll("\r\n.", "\r\n..")}.\r\n`, `LAST\r\n${content}`]
    assert.isTrue(
      seen.written.some((all) => framed.some((each) => all.includes(each))),
      `${what}: in doubt though not all of it was written`
    )
  }
  // Nothing is said to a server that ended the session.
  for (const [at, read] of seen.read.entries()) {
    if (/^421 .*\r\n/m.test(read)) assert.notMatch(seen.written[at] ?? "", /QUIT\r\n$/, `${what}: QUIT after 421`)
  }
}

/** Trouble on one connection: on the next one every message has its own fate, unless it is in doubt. */
export const recovered = (seen: Seen, what: string): void => {
  sound(seen, what)
  assert.isUndefined(seen.failure, what)
  const wrong = seen.results.flatMap((sent, i) => {
    const fate = fates[i]?.[1]
    return tag(sent) === fate || tag(sent) === "InDoubt" ? [] : [`${i}: ${tag(sent)} and not ${fate}`]
  })
  assert.deepStrictEqual(wrong, [], what)
}

/** The lengths of all that is sent and received where nothing befalls it. */
export const measure = async (framing: Framing) => {
  const whole = await attempt(framing)
  recovered(whole, "whole")
  assert.deepStrictEqual([whole.connections, whole.millis], [1, 0])
  assert.deepStrictEqual(whole.results.map(tag), fates.map(([, fate]) => fate))
  return { sent: whole.written[0]?.length ?? 0, received: whole.read[0]?.length ?? 0 }
}
