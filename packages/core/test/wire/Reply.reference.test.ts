/**
 * The decoder against a grammar written anew from RFC 5321 §4.2. The decoder goes octet by octet
 * and keeps state; the grammar is one regular expression over the whole text, made of the ABNF:
 *
 *     Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *     Reply-code = %x32-35 %x30-35 %x30-39
 *     textstring = 1*(%d09 / %d32-126)
 *
 * and of {@link leniencies}: all that the decoder takes besides. Limits, which are no matter of
 * grammar, come last.
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import * as Arbitraries from "@postern/testing/Arbitraries"
import { Bytes, Result } from "effect"
import * as fc from "fast-check"

/** What the ABNF does not have, and the decoder takes; each with the shortest text that needs it. */
const leniencies = {
  "a bare LF ends a line (RFC 5321 §2.3.8 wants CRLF)": "250 x\n",
  "the second digit is 6 to 9": "260 x\r\n",
  "a blank and no text (§4.2 asks clients to take it)": "250 \r\n",
  "a tab in place of the blank": "250\tx\r\n",
  "no blank between code and text": "250x\r\n",
  "text has octets above 127 (RFC 6531 §3.7.4 has UTF-8; others are read as Windows-1252)": "250 \u00e9\r\n"
} as const

type Leniency = keyof typeof leniencies

interface Grammar {
  readonly reply: RegExp
  /** Lines that a reply may begin with. */
  readonly begun: RegExp
  readonly code: RegExp
}

const grammarOf = (allowed: ReadonlySet<Leniency>): Grammar => {
  const may = (leniency: Leniency, wide: string, narrow: string) => allowed.has(leniency) ? wide : narrow
  const code = `[2-5]${may("the second digit is 6 to 9", "[0-9]", "[0-5]")}[0-9]`
  const end = `${may("a bare LF ends a line (RFC 5321 §2.3.8 wants CRLF)", "\r?", "\r")}\n`
  const above = may(
    "text has octets above 127 (RFC 6531 §3.7.4 has UTF-8; others are read as Windows-1252)",
    "\x80-\xff",
    ""
  )
  const char = `[\t\x20-\x7e${above}]`
  const rest = [
    ` ${char}+`,
    ...allowed.has("a blank and no text (§4.2 asks clients to take it)") ? [" "] : [],
    ...allowed.has("a tab in place of the blank") ? [`\t${char}*`] : [],
    // Text that begins with a digit would be one more digit of the code.
    ...allowed.has("no blank between code and text") ? [`(?![0-9\t -])${char}+`] : [],
    ""
  ].join("|")
  const further = `(?=(?<code>${code}))(?:\\k<code>-${char}*${end})*`
  return {
    reply: new RegExp(`${further}\\k<code>(?:${rest})${end}`, "y"),
    begun: new RegExp(`(?:${further})?`, "y"),
    code: new RegExp(`${code}(?![0-9])`, "y")
  }
}

interface Reading {
  readonly replies: ReadonlyArray<{ readonly code: number; readonly lines: ReadonlyArray<string> }>
  /** `waits` where there is something and more may come. */
  readonly end: "complete" | "waits" | Reply.ReplyError["problem"]
}

// A character an octet.
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("")

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// What the Encoding Standard calls latin1: 0x80 is a euro sign, and no control character.
const windows1252 = new TextDecoder("windows-1252")

const textOf = (octets: Uint8Array): string => {
  try {
    return utf8.decode(octets)
  } catch {
    return windows1252.decode(octets)
  }
}

const octets = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const at = (pattern: RegExp, text: string, index: number): string | undefined => {
  pattern.lastIndex = index
  return pattern.exec(text)?.[0]
}

const read = (grammar: Grammar, bytes: Uint8Array): Reading => {
  const text = latin1(bytes)
  const replies: Array<Reading["replies"][number]> = []
  let index = 0
  for (let whole = at(grammar.reply, text, 0); whole !== undefined; whole = at(grammar.reply, text, index)) {
    index += whole.length
    const lines = whole.split(/\r?\n/).slice(0, -1).map((line) => textOf(octets(line.slice(3).replace(/^[\t -]/, ""))))
    replies.push({ code: Number(whole.slice(0, 3)), lines })
  }
  const begun = at(grammar.begun, text, index) ?? ""
  const rest = text.slice(index + begun.length)
  if (!rest.includes("\n")) return { replies, end: begun === "" && rest === "" ? "complete" : "waits" }
  const code = at(grammar.code, rest, 0)
  const end = code === undefined
    ? "no reply code"
    : begun !== "" && !begun.startsWith(code)
    ? "code changed within a reply"
    : "control character"
  return { replies, end }
}

const ours = (chunks: ReadonlyArray<Uint8Array>, limits?: Reply.Limits): Reading => {
  const decoder = Reply.decoder(limits)
  const replies: Array<Reading["replies"][number]> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return { replies, end: next.failure.problem }
      const { code, lines } = next.success
      replies.push({ code, lines })
    }
  }
  return { replies, end: decoder.isEmpty() ? "complete" : "waits" }
}

const every = new Set(Object.keys(leniencies) as Array<Leniency>)
const generous = grammarOf(every)
const strict = grammarOf(new Set())

const unlimited: Reply.Limits = { line: 50_000, lines: 50_000, bytes: 1_000_000 }

const agree = (bytes: Uint8Array, chunks: ReadonlyArray<Uint8Array>): Reading["end"] => {
  const expected = read(generous, bytes)
  assert.deepStrictEqual(ours(chunks, unlimited), expected)
  return expected.end
}

describe("the grammar of RFC 5321 §4.2 alone", () => {
  it("has all that is valid", () => {
    fc.assert(
      fc.property(fc.array(Arbitraries.strictReply, { maxLength: 4 }), Arbitraries.chunking, (replies, cut) => {
        const bytes = Bytes.concat(replies.map(Reply.encode))
        const expected = { replies: replies.map(({ code, lines }) => ({ code, lines })), end: "complete" as const }
        assert.deepStrictEqual(read(strict, bytes), expected)
        assert.deepStrictEqual(ours(cut(bytes)), expected)
      }),
      { numRuns: 1000 }
    )
  })

  it.each(Object.entries(leniencies))("is wider in the decoder: %s", (leniency, text) => {
    const without = grammarOf(new Set([...every].filter((other) => other !== leniency)))
    assert.notStrictEqual(read(without, octets(text)).end, "complete")
    assert.strictEqual(agree(octets(text), [octets(text)]), "complete")
  })

  it("is wider in nothing else: what the decoder takes of it needs one of these", () => {
    fc.assert(
      fc.property(Arbitraries.nearlyReply, ({ value, wrong }) => {
        // No matters of the grammar.
        if (wrong === "line longer than 512 octets" || wrong === "enhanced status code of another class") return
        const taken = ours([value]).end === "complete"
        assert.notStrictEqual(read(strict, value).end, "complete", wrong)
        assert.strictEqual(read(generous, value).end === "complete", taken, wrong)
      }),
      { numRuns: 1000 }
    )
  })
})

describe("Reply.decoder and the grammar with its leniencies", () => {
  it("agree on replies, in any chunks", () => {
    fc.assert(
      fc.property(fc.array(Arbitraries.reply, { maxLength: 4 }), Arbitraries.chunking, (replies, cut) => {
        const bytes = Bytes.concat(replies.map(Reply.encode))
        assert.strictEqual(agree(bytes, cut(bytes)), "complete")
      }),
      { numRuns: 1000 }
    )
  })

  it("agree on what is nearly a reply, in any chunks", () => {
    const some = fc.array(Arbitraries.nearlyReply, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(some, Arbitraries.chunking, (all, cut) => {
        const bytes = Bytes.concat(all.map(({ value }) => value))
        agree(bytes, cut(bytes))
      }),
      { numRuns: 2000 }
    )
  })

  it("agree on what has no good will, in any chunks, and every end comes up", () => {
    const ends = new Set<string>()
    fc.assert(
      fc.property(Arbitraries.hostileReplyBytes, Arbitraries.chunking, (bytes, cut) => {
        fc.pre(bytes.length < unlimited.line)
        ends.add(agree(bytes, cut(bytes)))
      }),
      { numRuns: 5000 }
    )
    assert.sameMembers([...ends], [
      "complete",
      "waits",
      "no reply code",
      "code changed within a reply",
      "control character"
    ])
  })

  it("agree on every text of up to five of the octets that matter, behind a code and behind a line", () => {
    const alphabet = octets("25 -\t\r\na\0\u00c3\u00a9")
    let tried = 0
    const grow = (text: ReadonlyArray<number>): void => {
      for (const before of ["25", "251-\r\n25"]) {
        const bytes = Uint8Array.from([...octets(before), ...text, 10])
        agree(bytes, [bytes])
        tried++
      }
      if (text.length < 4) { for (const octet of alphabet) grow([...text, octet]) }
    }
    grow([])
    assert.strictEqual(tried, 2 * (1 + 11 + 11 ** 2 + 11 ** 3 + 11 ** 4))
  })
})

describe("limits", () => {
  const replies = fc.array(Arbitraries.strictReply, { minLength: 1, maxLength: 5 })
  const lengths = ({ lines }: Reply.Reply): ReadonlyArray<number> => lines.map((line) => line.length + 4)
  const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)

  const cases = [
    ["line", "line too long", (reply: Reply.Reply) => Math.max(...lengths(reply))],
    ["lines", "too many lines", (reply: Reply.Reply) => reply.lines.length],
    ["bytes", "reply too long", (reply: Reply.Reply) => sum(lengths(reply))]
  ] as const

  it.each(cases)("%s: all up to the first reply that has more, then the failure", (limit, problem, measure) => {
    fc.assert(
      fc.property(replies, fc.integer({ min: 1, max: 120 }), Arbitraries.chunking, (replies, most, cut) => {
        const first = replies.findIndex((reply) => measure(reply) > most)
        const { end, replies: taken } = ours(cut(Bytes.concat(replies.map(Reply.encode))), {
          ...Reply.defaultLimits,
          [limit]: most
        })
        assert.strictEqual(end, first === -1 ? "complete" : problem)
        assert.lengthOf(taken, first === -1 ? replies.length : first)
      })
    )
  })
})
