/**
 * Many messages sent to a simulated server, and what is reported of them held against what arrived.
 */
import { assert } from "@effect/vitest"
import { Address, SmtpClient, type SmtpError } from "@postern/core"
import { InMemory, type ServerMachine } from "@postern/testing"
import { Effect, Result, Stream } from "effect"

/** The ways that mail goes: whole messages in a window, envelopes behind content, one thing at a time, LMTP. */
export const ways = {
  "CHUNKING": { server: {}, options: {} },
  "DATA": { server: {}, options: { without: ["CHUNKING"] } },
  "neither PIPELINING nor CHUNKING": { server: {}, options: { without: ["CHUNKING", "PIPELINING"] } },
  "CHUNKING without PIPELINING": { server: {}, options: { without: ["PIPELINING"] } },
  "LMTP": { server: { lmtp: true }, options: { endpoint: "lmtp://mx.example" } },
  "LMTP without CHUNKING": { server: { lmtp: true }, options: { endpoint: "lmtp://mx.example", without: ["CHUNKING"] } }
} as const satisfies Readonly<
  Record<string, { readonly server: ServerMachine.Config; readonly options: Partial<SmtpClient.Options> }>
>
export type Way = keyof typeof ways
export const everyWay = Object.keys(ways) as ReadonlyArray<Way>

/** A server in memory and a client of it, each as the way and these say. */
export const site = Effect.fnUntraced(function*(
  way: Way,
  server: ServerMachine.Config = {},
  options: Partial<SmtpClient.Options> = {},
  memory: InMemory.Options = {}
) {
  const { [way]: usual } = ways
  const observed = yield* InMemory.make({ ...usual.server, ...server }, memory)
  const client = yield* SmtpClient.make({
    endpoint: "mx.example:25",
    security: "plain",
    domain: "client.example",
    ...usual.options,
    ...options
  }).pipe(Effect.provide(observed.layer))
  return { ...observed, client }
})

/** A message that can be told from others by its content. */
export const letter = (
  subject: number | string,
  more: Partial<SmtpClient.Message> = {}
): SmtpClient.Message => ({
  from: "ann@a.example",
  to: "ben@b.example",
  content: `Subject: ${subject}\n\nbody of ${subject}\n.\n..dots\n`,
  ...more
})

export const letters = (count: number): ReadonlyArray<SmtpClient.Message> =>
  Array.from({ length: count }, (_, i) => letter(i))

/** The results of all of them. */
export const sendAll = (
  client: SmtpClient.SmtpClient["Service"],
  messages: Iterable<SmtpClient.Message>
): Effect.Effect<ReadonlyArray<SmtpClient.Sent>, SmtpError.SmtpError> =>
  Stream.runCollect(client.sendAll(Stream.fromIterable(messages)))

/** `sent`, or why not. */
export const tag = ({ result }: SmtpClient.Sent): string =>
  Result.isSuccess(result) ? "sent" : result.failure.reason._tag

/** Octets as characters. */
export const latin1 = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1")

const subjectOf = (content: string): string => /^Subject: (.*)$/m.exec(content)?.[1]?.trim() ?? "none"

const shown = (from: string, subject: string, recipient: string): string => `${subject}: ${from} to ${recipient}`

const fromOf = ({ from }: SmtpClient.Message): string => typeof from === "string" ? `<${from}>` : "<>"

/** Who got what from whom, as the results have it: a line for each recipient, in order. */
export const reported = (
  results: ReadonlyArray<SmtpClient.Sent>,
  tags: ReadonlyArray<"Accepted" | "InDoubt"> = ["Accepted"]
): ReadonlyArray<string> =>
  results.flatMap(({ message, result }) => {
    const line = (recipient: string) =>
      shown(fromOf(message), typeof message.content === "string" ? subjectOf(message.content) : "made", recipient)
    if (Result.isSuccess(result)) {
      return result.success.outcomes.flatMap(({ _tag, recipient }) =>
        tags.includes(_tag as "Accepted") ? [line(recipient)] : []
      )
    }
    const { reason } = result.failure
    return reason._tag === "InDoubt" && tags.includes("InDoubt") ? reason.recipients.map(line) : []
  })

/** Who got what from whom, as the server has it, in the order of arrival. */
export const arrived = (inbox: ReadonlyArray<ServerMachine.Message>): ReadonlyArray<string> =>
  inbox.flatMap(({ content, forwardPaths, reversePath }) =>
    forwardPaths.map((path) =>
      shown(Address.formatReversePath(reversePath), subjectOf(latin1(content)), Address.formatForwardPath(path))
    )
  )

/** Text as it arrives: CRLF at each line's end. */
export const onTheWire = (content: string): string => {
  const text = content.replace(/\r\n|\r|\n/g, "\r\n")
  return text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`
}

/** What arrived is what was reported as accepted, in its order, each with its own content and nothing twice. */
export const exact = (
  results: ReadonlyArray<SmtpClient.Sent>,
  inbox: ReadonlyArray<ServerMachine.Message>
): void => {
  assert.deepStrictEqual(arrived(inbox).toSorted(), reported(results).toSorted(), "what arrived is what was reported")
  const contents = new Map(
    results.flatMap(({ message: { content } }) =>
      typeof content === "string" ? [[subjectOf(content), onTheWire(content)] as const] : []
    )
  )
  for (const { content } of inbox) {
    const text = latin1(content)
    assert.strictEqual(text, contents.get(subjectOf(text)), "the content is its own")
  }
}
