/**
 * The decoder against a grammar written anew from RFC 5321 §4.2, over the whole text at once and
 * by regular expressions, with the leniencies that the decoder documents:
 *
 *     Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *     Reply-code = %x32-35 %x30-35 %x30-39
 *     textstring = 1*(%d09 / %d32-126)
 *
 * - a line may end with a bare LF
 * - nothing, a tab, or no blank at all may stand between code and text
 * - text may have octets above 127
 * - the second digit may be any: servers use 6 to 9 for codes of their own
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { chunking, hostileReplyBytes, reply } from "@postern/testing/Arbitraries"
import { Bytes, Result } from "effect"
import * as fc from "fast-check"

interface Read {
  readonly replies: ReadonlyArray<{ readonly code: number; readonly texts: ReadonlyArray<string> }>
  readonly end: "error" | "complete" | "incomplete"
}

// A character an octet, so that nothing is lost or made up.
const octets = (bytes: Uint8Array): string => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("")

const line = /^([2-5]\d\d)(?!\d)([ \t-]?)([\t\x20-\x7e\x80-\xff]*)\r?$/

const reference = (bytes: Uint8Array): Read => {
  const lines = octets(bytes).split("\n")
  const rest = lines.pop()
  const replies: Array<{ code: number; texts: Array<string> }> = []
  let open = false
  for (const text of lines) {
    const [, code = "", separator, body = ""] = line.exec(text) ?? []
    const current = replies.at(-1)
    if (code === "" || (open && current?.code !== Number(code))) {
      return { replies: open ? replies.slice(0, -1) : replies, end: "error" }
    }
    if (open) current?.texts.push(body)
    else replies.push({ code: Number(code), texts: [body] })
    open = separator === "-"
  }
  const unfinished = open || rest !== ""
  return { replies: open ? replies.slice(0, -1) : replies, end: unfinished ? "incomplete" : "complete" }
}

const ours = (chunks: ReadonlyArray<Uint8Array>): Read => {
  const decoder = Reply.decoder()
  const replies: Array<{ code: number; texts: ReadonlyArray<string> }> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return { replies, end: "error" }
      const { code } = next.success
      // What was taken out of the text as an enhanced status code is put back.
      const texts = octets(Reply.encode(next.success)).split("\r\n").slice(0, -1).map((text) => text.slice(4))
      replies.push({ code, texts })
    }
  }
  return { replies, end: decoder.isEmpty() ? "complete" : "incomplete" }
}

// Text that is no UTF-8 is read as Latin-1 and written as UTF-8: then only its ASCII can be compared.
const comparable = ({ end, replies }: Read) => ({
  end,
  replies: replies.map(({ code, texts }) => ({
    code,
    texts: texts.map((text) => text.replace(/[^\t\x20-\x7e]+/g, "?").trim())
  }))
})

const same = (bytes: Uint8Array, chunks: ReadonlyArray<Uint8Array>): void => {
  assert.deepStrictEqual(comparable(ours(chunks)), comparable(reference(bytes)))
}

describe("Reply.decoder and the reference grammar", () => {
  it("agree on valid replies, in any chunks", () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 4 }), chunking, (replies, chunk) => {
        const bytes = Bytes.concat(replies.map(Reply.encode))
        same(bytes, chunk(bytes))
        assert.strictEqual(reference(bytes).end, "complete")
      }),
      { numRuns: 1000 }
    )
  })

  it("agree on what is nearly one, or is something else, in any chunks", () => {
    const ends = new Set<string>()
    fc.assert(
      fc.property(hostileReplyBytes, chunking, (bytes, chunk) => {
        // Limits are no matter of the grammar.
        fc.pre(bytes.length < 10_000)
        same(bytes, chunk(bytes))
        ends.add(reference(bytes).end)
      }),
      { numRuns: 5000 }
    )
    assert.deepStrictEqual([...ends].toSorted(), ["complete", "error", "incomplete"])
  })

  it("agree on every line of up to five octets that matter", () => {
    const alphabet = [0x32, 0x35, 0x20, 0x2d, 0x09, 0x0d, 0x0a, 0x61, 0xe9, 0x00, 0x36]
    let tried = 0
    const grow = (bytes: ReadonlyArray<number>): void => {
      const whole = Uint8Array.from([0x32, 0x35, ...bytes, 0x0a])
      same(whole, [whole])
      tried++
      if (bytes.length < 4) { for (const octet of alphabet) grow([...bytes, octet]) }
    }
    grow([])
    assert.strictEqual(tried, 1 + 11 + 11 ** 2 + 11 ** 3 + 11 ** 4)
  })
})
