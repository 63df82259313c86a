/** Messages that ask for anything. */
import type { SmtpClient } from "@postern/core"
import { Stream } from "effect"
import * as fc from "fast-check"
import { type Chunking, chunking } from "../../src/generate/Arbitraries.ts"
import { rarely, url } from "./anyServer.ts"

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

export const letter: fc.Arbitrary<Letter> = fc.record({
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

/** Octets as characters of the same number, and back. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** The address of a recipient: it tells which message it is of, and which of its recipients. */
export const addressOf = ({ domain, local }: Party, i: number, j: number): string =>
  local.includes(" ") ? `"${local}${i}-${j}"@${domain}` : `${local}${i}-${j}@${domain}`

export const asked = ({ nonsense, options }: Letter): Options => ({ ...options, ...nonsense })

export const messageOf = (letter: Letter, i: number): SmtpClient.Message => ({
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
