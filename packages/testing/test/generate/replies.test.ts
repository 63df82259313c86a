import { assert, describe, it } from "@effect/vitest"
import { EnhancedStatus, Reply } from "@postern/core"
import { Arbitraries } from "@postern/testing"
import { Result } from "effect"
import * as fc from "fast-check"

/** What a decoder makes of octets: codes of replies, `waits` where it holds some, or the problem. */
const verdict = (bytes: Uint8Array): string => {
  const decoder = Reply.decoder()
  decoder.push(bytes)
  const out: Array<string> = []
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
    if (Result.isFailure(next)) return [...out, next.failure.problem].join(", ")
    out.push("reply")
  }
  return [...out, ...decoder.isEmpty() ? [] : ["waits"]].join(", ")
}

const verdicts: { readonly [F in Arbitraries.ReplyFault]: string } = {
  "line end LF": "reply",
  "line end CR": "control character",
  "line end CR CR LF": "control character",
  "line end missing": "waits",
  "last line missing": "waits",
  "code changes": "code changed within a reply",
  "code missing": "no reply code",
  "code of two digits": "no reply code",
  "code of four digits": "no reply code",
  "code with a letter": "no reply code",
  "first digit out of range": "no reply code",
  "second digit out of range": "reply",
  "blank before the code": "no reply code",
  "byte order mark before the code": "no reply code",
  "no blank behind the code": "reply",
  "tab behind the code": "reply",
  "underscore behind the code": "reply",
  "blank behind the code and no text": "reply",
  "empty line": "no reply code",
  "control character": "control character",
  "text in Latin-1": "reply",
  "line longer than 512 octets": "reply",
  "enhanced status code of another class": "reply"
}

describe("replies", () => {
  it.each(Object.entries(verdicts))("%s: %s", (fault, expected) => {
    fc.assert(fc.property(Arbitraries.replyFaults[fault as Arbitraries.ReplyFault], (bytes) => {
      assert.strictEqual(verdict(bytes), expected)
    }))
  })

  it("every fault has its verdict here, and comes up", () => {
    assert.sameMembers(Object.keys(Arbitraries.replyFaults), Object.keys(verdicts))
    const seen = new Set(fc.sample(Arbitraries.nearlyReply, { numRuns: 1000, seed: 1 }).map(({ wrong }) => wrong))
    assert.sameMembers([...seen], Object.keys(verdicts))
  })

  it("one thing is wrong: what is mended is valid", () => {
    const mend: Partial<Record<Arbitraries.ReplyFault, (text: string) => string>> = {
      "line end LF": (text) => text.replaceAll("\n", "\r\n"),
      "line end CR CR LF": (text) => text.replaceAll("\r\r", "\r"),
      "line end missing": (text) => `${text}\r\n`,
      "last line missing": (text) => `${text}${text.slice(0, 3)} x\r\n`,
      "blank before the code": (text) => text.slice(1),
      "tab behind the code": (text) => text.replace("\t", " ")
    }
    const grammar = /^(?:([2-5][0-5]\d)-[\t -~]*\r\n(?=\1))*[2-5][0-5]\d(?: [\t -~]+)?\r\n$/
    for (const [fault, mended] of Object.entries(mend)) {
      fc.assert(fc.property(Arbitraries.replyFaults[fault as Arbitraries.ReplyFault], (bytes) => {
        const text = new TextDecoder("latin1").decode(bytes)
        assert.notMatch(text, grammar)
        assert.match(mended(text), grammar)
      }))
    }
  })

  it("a strict reply is within the grammar of RFC 5321 §4.2", () => {
    fc.assert(fc.property(Arbitraries.strictReply, (reply) => {
      const text = new TextDecoder("latin1").decode(Reply.encode(reply))
      assert.match(text, /^(?:([2-5][0-5]\d)-[\t -~]*\r\n(?=\1))*[2-5][0-5]\d(?: [\t -~]+)?\r\n$/)
      assert.strictEqual(verdict(Reply.encode(reply)), "reply")
    }))
  })

  it("enhanced status codes are read where they are right", () => {
    fc.assert(fc.property(Arbitraries.enhancedStatus, fc.constantFrom("", " text", "\ttext"), (status, rest) => {
      const text = EnhancedStatus.format(status) + rest
      assert.deepStrictEqual(EnhancedStatus.fromText(status.class * 100, text), status)
    }))
  })

  it("enhanced status codes are text where they are nearly right", () => {
    fc.assert(fc.property(Arbitraries.nearlyEnhancedStatus, ({ value, wrong }) => {
      // RFC 3463 §2 forbids leading zeros; they are read all the same.
      if (wrong === "leading zero") return
      assert.isUndefined(EnhancedStatus.fromText(Number(`${value.trim()[0]}00`), value))
    }))
  })
})

describe("shrinking", () => {
  /** The smallest input that fails. */
  const smallest = <A>(arbitrary: fc.Arbitrary<A>, holds: (value: A) => boolean, seed = 7): A => {
    const { counterexample } = fc.check(fc.property(arbitrary, holds), { seed, numRuns: 20_000 })
    assert.isNotNull(counterexample)
    return counterexample?.[0] as A
  }
  const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

  it("a parser that loses replies of several lines: two lines", () => {
    for (let seed = 1; seed <= 5; seed++) {
      assert.deepStrictEqual(
        smallest(Arbitraries.reply, (reply) => reply.lines.length < 2, seed),
        Reply.make(250, ["", ""])
      )
    }
  })

  it("a parser that takes 5yz for 4yz: the shortest such reply", () => {
    const found = smallest(Arbitraries.strictReply, ({ code }) => code < 500)
    assert.strictEqual(text(Reply.encode(found)), "500  \r\n")
  })

  it("a parser that ends lines at LF alone: one line", () => {
    const found = smallest(Arbitraries.nearlyReply, ({ value }) => !/[^\r]\n/.test(text(value)))
    assert.deepStrictEqual({ ...found, value: text(found.value) }, { wrong: "line end LF", value: "250 a\n" })
  })

  it("octets are shown as text", () => {
    const { counterexample } = fc.check(fc.property(Arbitraries.nearlyReply, () => false), { seed: 1 })
    assert.strictEqual(fc.stringify(counterexample), `[{"wrong":"line end LF","value":octets("250 a\\n")}]`)
  })

  it("a parser that takes nothing at all: the first of the faults", () => {
    for (let seed = 1; seed <= 5; seed++) {
      assert.strictEqual(smallest(Arbitraries.nearlyReply, () => false, seed).wrong, "line end LF")
    }
  })

  it("a parser that dies of NUL: NUL", () => {
    assert.deepStrictEqual(
      [...smallest(Arbitraries.hostileReplyBytes, (bytes) => !bytes.includes(0))].filter((octet) => octet === 0),
      [0]
    )
  })

  it("a parser that loses what chunks part: all at once, or octet by octet", () => {
    const show = (chunking: Arbitraries.Chunking) => fc.stringify(chunking)
    assert.strictEqual(show(smallest(Arbitraries.chunking, () => false)), "all at once")
    assert.strictEqual(
      show(smallest(Arbitraries.chunking, (chunking) => chunking(new Uint8Array(9)).length < 9)),
      "chunks of 1"
    )
  })

  it("a server that forgets parameters: one parameter of one letter", () => {
    const found = smallest(Arbitraries.command, (command) => command._tag !== "Mail" || command.parameters.length === 0)
    assert.deepStrictEqual(
      found,
      { _tag: "Mail", reversePath: null, parameters: [{ keyword: "A", value: undefined }] } as unknown as typeof found
    )
  })
})
