/**
 * Servers that offer anything, messages that ask for anything, and what passes between them.
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

// ---------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------

export interface Server {
  readonly extensions: ReadonlyArray<string>
  readonly limits: ServerMachine.Limits | undefined
  readonly maxSize: number
  readonly maxRecipients: number
  readonly protocol: "EHLO" | "HELO" | "LHLO"
  readonly tls: "none" | "not used" | "startTls" | "implicit"
  readonly auth: "none" | "not used" | "used"
  readonly dataAnyway: boolean
  /** What the client is not to use. */
  readonly without: ReadonlyArray<string>
}

export const url = "imap://files.example/INBOX/;uid=20/;urlauth=submit+ann:internal:91354a473744909de610943775f92038"

const sizes = [400, 3000, 10_485_760] as const
export const latest = "2030-01-01T00:00:00Z"

const lines: ReadonlyArray<fc.Arbitrary<string>> = [
  fc.constant("PIPELINING"),
  fc.constantFrom("SIZE", "SIZE", "SIZE 0"),
  fc.constant("8BITMIME"),
  fc.constant("SMTPUTF8"),
  fc.constant("ENHANCEDSTATUSCODES"),
  fc.constant("DSN"),
  fc.constant("CHUNKING"),
  fc.constant("BINARYMIME"),
  fc.constantFrom("BURL imap", "BURL imap imap://files.example", "BURL"),
  fc.constantFrom("DELIVERBY", "DELIVERBY 60", "DELIVERBY 3600"),
  fc.constantFrom(`FUTURERELEASE 3600 ${latest}`, `FUTURERELEASE 2592000 2100-01-01T00:00:00Z`),
  fc.constantFrom("MT-PRIORITY", "MT-PRIORITY STANAG4406", "MT-PRIORITY MIXER"),
  fc.constant("REQUIRETLS"),
  fc.constant("RRVS"),
  fc.constant("ETRN"),
  fc.constantFrom("XCLIENT", "XCLIENT NAME ADDR", "XCLIENT PORT"),
  fc.constantFrom("X-ODD 1=2 3", "HELP")
]

const extensions = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(...lines) },
  { weight: 3, arbitrary: fc.tuple(...lines).chain((all) => fc.shuffledSubarray(all)) },
  // All but some.
  {
    weight: 3,
    arbitrary: fc.tuple(...lines).chain((all) =>
      fc.subarray(all, { maxLength: 3 }).map((some) => all.filter((line) => !some.includes(line)))
    )
  }
).chain((all) =>
  fc.constantFrom<ReadonlyArray<string>>(
    all,
    all.map((line) => / |SIZE|XCLIENT/.test(line) ? line : line.toLowerCase())
  )
)

const rarely = <A>(value: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> => fc.option(value, { freq: 4, nil: undefined })

const server: fc.Arbitrary<Server> = fc.record({
  extensions,
  limits: rarely(fc.record({
    mailMax: rarely(fc.integer({ min: 1, max: 3 })),
    rcptMax: rarely(fc.integer({ min: 1, max: 5 })),
    rcptDomainMax: rarely(fc.integer({ min: 1, max: 3 }))
  })),
  maxSize: fc.constantFrom(...sizes, 10_485_760, 10_485_760),
  maxRecipients: fc.constantFrom(100, 100, 100, 3),
  protocol: fc.oneof(
    { weight: 12, arbitrary: fc.constant("EHLO" as const) },
    { weight: 1, arbitrary: fc.constant("HELO" as const) },
    { weight: 2, arbitrary: fc.constant("LHLO" as const) }
  ),
  tls: fc.constantFrom("none", "not used", "startTls", "implicit"),
  auth: fc.constantFrom("none", "none", "not used", "used"),
  dataAnyway: fc.boolean(),
  without: fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    fc.subarray(["CHUNKING", "PIPELINING", "8BITMIME", "DSN", "SIZE"], { minLength: 1, maxLength: 2 })
  )
}).map((it) => ({
  ...it,
  // HELO offers neither.
  tls: it.protocol === "HELO" && it.tls === "startTls" ? "none" : it.tls,
  auth: it.auth === "used" && (it.protocol === "HELO" || it.tls === "none" || it.tls === "not used") ? "none" : it.auth
}))

// ---------------------------------------------------------------------------
// Messages
// ---------------------------------------------------------------------------

export type Options = Omit<SmtpClient.Message, "from" | "to" | "content" | "policy" | "binary">

export interface Party {
  readonly local: "r" | "ü" | "ghost" | "with blank "
  readonly domain: "a.example" | "b.example" | "bücher.example" | "[192.0.2.1]"
  readonly notify?: "never" | ReadonlyArray<"success" | "failure" | "delay"> | undefined
  readonly originalRecipient?: string | undefined
  readonly validSince?: Date | undefined
}

export interface Letter {
  readonly from: "ann" | "änne" | "spammer" | null
  readonly to: ReadonlyArray<Party>
  readonly content: Uint8Array
  readonly binary: boolean
  readonly source:
    | { readonly _tag: "octets" | "text" | "burl" }
    | { readonly _tag: "stream" | "sized"; readonly pieces: Chunking; readonly apart: boolean }
  readonly policy: "any" | "all" | "each"
  readonly options: Options
  /** What nobody could send, in place of the option of that name. */
  readonly nonsense: Partial<Options> | undefined
}

const notify = fc.oneof(
  fc.constant("never" as const),
  fc.subarray(["success", "failure", "delay"] as const, { minLength: 1 })
)

const party: fc.Arbitrary<Party> = fc.record({
  local: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom("r" as const, "r" as const, "with blank " as const) },
    { weight: 1, arbitrary: fc.constantFrom("ü" as const, "ghost" as const, "ghost" as const) }
  ),
  domain: fc.constantFrom("a.example", "a.example", "b.example", "bücher.example", "[192.0.2.1]"),
  notify: fc.option(notify, { freq: 8, nil: undefined }),
  originalRecipient: fc.option(fc.constantFrom("old+tag=1@c.example", "jörg@c.example", "a b\\c@c.example"), {
    freq: 12,
    nil: undefined
  }),
  validSince: fc.option(fc.constantFrom(new Date("2020-02-29T23:59:59.999Z"), new Date(0)), {
    freq: 20,
    nil: undefined
  })
})

const options: fc.Arbitrary<Options> = fc.record({
  dsn: rarely(fc.record({
    return: fc.constantFrom("full", "headers", undefined),
    envelopeId: fc.constantFrom("QQ314159", "a+b=c d", undefined),
    notify: fc.option(notify, { nil: undefined })
  })),
  requireTls: fc.option(fc.boolean(), { freq: 8, nil: undefined }),
  deliverBy: rarely(fc.record({
    seconds: fc.constantFrom(1, 59, 60, 3600, 999_999_999),
    otherwise: fc.constantFrom("return", "notify"),
    trace: fc.constantFrom(true, false, undefined)
  })),
  priority: rarely(fc.integer({ min: -9, max: 9 })),
  hold: rarely(fc.constantFrom(
    { for: 1 },
    { for: 3600 },
    { for: 3601 },
    { until: new Date("2026-05-06T07:08:09.123Z") },
    { until: new Date("2042-01-01T00:00:00Z") }
  )),
  submitter: rarely(fc.constantFrom(null, "ann@a.example", "e+mc2=x@a.example", "\"a b\"@a.example")),
  optional: fc.oneof(
    fc.constant(undefined),
    fc.constant(["DSN", "DELIVERBY", "MT-PRIORITY", "AUTH", "RRVS"] as const),
    fc.subarray(["DSN", "DELIVERBY", "MT-PRIORITY", "AUTH", "RRVS"] as const)
  )
})

const nonsense: fc.Arbitrary<Partial<Options>> = fc.constantFrom<Partial<Options>>(
  { deliverBy: { seconds: 0, otherwise: "return" } },
  { deliverBy: { seconds: 1.5, otherwise: "notify" } },
  { dsn: { envelopeId: "ü" } },
  { dsn: { envelopeId: "+".repeat(34) } },
  { dsn: { envelopeId: "" } },
  { priority: 10 },
  { hold: { for: 0 } },
  { hold: { until: new Date(Number.NaN) } },
  { submitter: "nobody" }
)

const soup = fc.array(
  fc.constantFrom("\r\n", "\n", "\r", ".", "\r\n.", "\r\n.\r\n", "word ", "QUIT\r\n", "\t", "RSET\n"),
  { maxLength: 20 }
).map((parts) => parts.join(""))

const body = fc.oneof(
  { weight: 6, arbitrary: soup },
  fc.tuple(soup, fc.constantFrom("Gr\xc3\xbc\xc3\x9fe", "\xff\xfe", "\x80"), soup).map((parts) => parts.join("")),
  fc.tuple(soup, fc.constantFrom(998, 999, 1500), soup).map(([a, length, b]) => `${a}\n${"y".repeat(length)}\n${b}`),
  fc.tuple(soup, fc.constantFrom(999, 5000), soup).map(([a, length, b]) => `${a}\n${"\xe9".repeat(length)}\n${b}`),
  // More than a block, and what is special far behind.
  fc.tuple(fc.constantFrom(66_000, 140_000), fc.constantFrom("", "\xe9", "z".repeat(1200)), soup)
    .map(([length, odd, b]) => `${".line\r\n".repeat(length / 7)}${odd}${b}`)
)

const content = fc.tuple(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant("Subject: hello\r\n") },
    fc.constant("Subject: Gr\xc3\xbc\xc3\x9fe\r\n")
  ),
  fc.oneof({ weight: 8, arbitrary: fc.constant("\r\n") }, fc.constant("")),
  body
).map(([header, empty, body]) => octetsOf(`${header}${empty}${body}`))
  .map((bytes) =>
    Object.assign(bytes, {
      [fc.toStringMethod]: () => `${bytes.length} octets ${JSON.stringify(textOf(bytes.subarray(0, 200)))}`
    })
  )

const source: fc.Arbitrary<Letter["source"]> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ _tag: "octets" as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ _tag: "text" as const }, { _tag: "burl" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ _tag: fc.constantFrom("stream", "sized"), pieces: chunking, apart: fc.boolean() })
  }
)

const letter: fc.Arbitrary<Letter> = fc.record({
  from: fc.oneof(
    { weight: 8, arbitrary: fc.constant("ann" as const) },
    { weight: 1, arbitrary: fc.constantFrom(null, "änne" as const, "spammer" as const) }
  ),
  to: fc.oneof(
    { weight: 4, arbitrary: fc.array(party, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(party, { minLength: 1, maxLength: 12 }) }
  ),
  content,
  binary: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
  source,
  policy: fc.constantFrom("any", "any", "any", "all", "each"),
  options: fc.oneof({ weight: 1, arbitrary: fc.constant({}) }, { weight: 2, arbitrary: options }),
  nonsense: fc.option(nonsense, { freq: 20, nil: undefined })
}).map((it): Letter => {
  // Text is UTF-8, and not all of the octets are.
  const isText = Buffer.from(it.content).toString("utf8").includes("\ufffd") === false
  const source = it.source._tag === "text" && !isText ? { _tag: "octets" as const } : it.source
  return { ...it, source, binary: it.binary && source._tag !== "burl" }
})

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

/** Octets as characters of the same number, and back. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** The address of a recipient: it tells which message it is of, and which of its recipients. */
export const addressOf = ({ domain, local }: Party, i: number, j: number): string =>
  local.includes(" ") ? `"${local}${i}-${j}"@${domain}` : `${local}${i}-${j}@${domain}`

export const asked = ({ nonsense, options }: Letter): Options => ({ ...options, ...nonsense })

const messageOf = (letter: Letter, i: number): SmtpClient.Message => ({
  ...asked(letter),
  from: letter.from === null ? null : `${letter.from}${i}@client.example`,
  to: letter.to.map(({ notify, originalRecipient, validSince, ...party }, j) => ({
    mailbox: addressOf({ ...party }, i, j),
    notify,
    originalRecipient,
    validSince
  })),
  policy: letter.policy,
  binary: letter.binary,
  content: contentOf(letter)
})

const contentOf = ({ binary, content, source }: Letter): SmtpClient.Message["content"] => {
  switch (source._tag) {
    case "octets":
      return content
    case "text":
      return Buffer.from(content).toString("utf8")
    case "burl":
      return { burl: url }
    case "stream":
    case "sized": {
      const whole = Stream.fromIterable(content.length > 5000 ? [content] : source.pieces(content))
      const stream = source.apart ? Stream.rechunk(whole, 1) : whole
      return source._tag === "stream" ? stream : { stream, size: binary ? content.length : normalized(content).length }
    }
  }
}

/** Content as the server must get it: every CR, LF and CRLF a CRLF, one at the end. Slow and plain. */
export const normalized = (content: Uint8Array): Uint8Array => {
  const text = textOf(content).replace(/\r\n|\r|\n/g, "\r\n")
  return octetsOf(text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`)
}

// ---------------------------------------------------------------------------
// What passes
// ---------------------------------------------------------------------------

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
