import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"

/** What a decoder gives for chunks that arrive one by one: all replies, and the failure it ends in. */
const decodeAll = (chunks: ReadonlyArray<Uint8Array>, limits?: Reply.Limits): ReadonlyArray<unknown> => {
  const decoder = Reply.decoder(limits)
  const out: Array<Reply.Reply | Reply.ReplyError> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return [...out, next.failure]
      out.push(next.success)
    }
  }
  return out
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

const limits = fc.record({
  line: fc.integer({ min: 1, max: 120 }),
  lines: fc.integer({ min: 1, max: 5 }),
  bytes: fc.integer({ min: 1, max: 300 })
})

describe("Reply laws", () => {
  it("decode(encode(replies)) is the replies", () => {
    fc.assert(fc.property(fc.array(Arbitraries.reply, { maxLength: 5 }), Arbitraries.chunking, (replies, chunking) => {
      assert.deepStrictEqual(decodeAll(chunking(concat(replies.map(Reply.encode)))), replies)
    }))
  })

  it("the outcome does not depend on how the bytes are cut", () => {
    fc.assert(
      fc.property(
        Arbitraries.hostileReplyBytes,
        fc.option(limits, { nil: undefined }),
        Arbitraries.chunking,
        Arbitraries.chunking,
        (bytes, limits, one, other) => {
          const whole = decodeAll([bytes], limits)
          assert.deepStrictEqual(decodeAll(one(bytes), limits), whole)
          assert.deepStrictEqual(decodeAll(other(bytes), limits), whole)
        }
      ),
      { numRuns: 1000 }
    )
  })

  it("chunks may be pushed before anything is taken", () => {
    fc.assert(fc.property(Arbitraries.hostileReplyBytes, Arbitraries.chunking, (bytes, chunking) => {
      const decoder = Reply.decoder()
      for (const chunk of chunking(bytes)) decoder.push(chunk)
      const out: Array<unknown> = []
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        out.push(Result.merge(next))
        if (Result.isFailure(next)) break
      }
      assert.deepStrictEqual(out, decodeAll([bytes]))
    }))
  })

  it("pushing and taking may alternate in any way", () => {
    const bytes = fc.oneof(
      fc.array(Arbitraries.reply, { maxLength: 6 }).map((all) => concat(all.map(Reply.encode))),
      Arbitraries.hostileReplyBytes
    )
    fc.assert(
      fc.property(bytes, Arbitraries.chunking, fc.array(fc.nat(2), { minLength: 1 }), (bytes, chunking, takes) => {
        const decoder = Reply.decoder()
        const out: Array<unknown> = []
        const take = () => {
          const next = out.some((it) => typeof it === "object" && it !== null && "problem" in it)
            ? undefined
            : decoder.next()
          if (next !== undefined) out.push(Result.merge(next))
          return next
        }
        let pushed = 0
        chunking(bytes).forEach((chunk, turn) => {
          decoder.push(chunk)
          pushed += chunk.length
          for (let i = takes[turn % takes.length] ?? 0; i > 0; i--) take()
          if (decoder.isEmpty()) assert.deepStrictEqual(out, decodeAll([bytes.subarray(0, pushed)]))
        })
        while (take() !== undefined);
        assert.deepStrictEqual(out, decodeAll([bytes]))
      })
    )
  })

  it("after a failure it is always the same failure, whatever comes", () => {
    fc.assert(fc.property(Arbitraries.hostileReplyBytes, Arbitraries.reply, (bytes, reply) => {
      const decoder = Reply.decoder()
      decoder.push(bytes)
      let next = decoder.next()
      while (next !== undefined && Result.isSuccess(next)) next = decoder.next()
      fc.pre(next !== undefined)
      decoder.push(Reply.encode(reply))
      assert.strictEqual(decoder.next(), next)
      assert.strictEqual(decoder.next(), next)
    }))
  })

  it("replies are bounded, printable apart from text beyond ASCII, and valid by the schema", () => {
    fc.assert(fc.property(Arbitraries.hostileReplyBytes, limits, (bytes, limits) => {
      for (const it of decodeAll([bytes], limits) as ReadonlyArray<Reply.Reply | Reply.ReplyError>) {
        if ("problem" in it) {
          assert.match(it.offending, /^[ -~]*…?$/)
          assert.isAtMost(it.offending.length, 4 * Reply.offendingLength + 1)
        } else {
          assert.isTrue(it.code >= 200 && it.code <= 599)
          assert.isTrue(it.status === undefined || it.status.class === Math.floor(it.code / 100))
          assert.isAtMost(it.lines.length, limits.lines)
          for (const line of it.lines) {
            assert.notMatch(line, /[\u0000-\u0008\u000a-\u001f\u007f]/)
            assert.isAtMost(line.length, limits.line)
          }
        }
      }
    }))
  })

  it("nothing is held after whole replies, something before they are whole", () => {
    fc.assert(fc.property(Arbitraries.reply, fc.nat(), (reply, seed) => {
      const bytes = Reply.encode(reply)
      const at = 1 + seed % (bytes.length - 1)
      const decoder = Reply.decoder()
      assert.isTrue(decoder.isEmpty())
      decoder.push(bytes.subarray(0, at))
      assert.isUndefined(decoder.next())
      assert.isFalse(decoder.isEmpty())
      assert.deepStrictEqual(decoder.held(), bytes.slice(0, at))
      decoder.push(bytes.subarray(at))
      assert.deepStrictEqual(decoder.next(), Result.succeed(reply))
      assert.isTrue(decoder.isEmpty())
      assert.lengthOf(decoder.held(), 0)
    }))
  })

  it("make never lets a control character or half a character through", () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), fc.array(fc.string({ unit: "binary" })), (code, texts) => {
        const reply = Reply.make(code, [...texts, "\ud800", "a\r\n250 b"])
        assert.deepStrictEqual(decodeAll([Reply.encode(reply)]), [reply])
      })
    )
  })
})
