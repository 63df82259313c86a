/** Replies, in any chunks: never throws, is bounded, and does not depend on the chunks. */
import { Reply } from "@postern/core"
import { Result } from "effect"
import * as Assert from "node:assert"

const limits: Reply.Limits = { ...Reply.defaultLimits, line: 200, lines: 20, bytes: 1000 }

const decode = (input: Uint8Array, size: number) => {
  const decoder = Reply.decoder(limits)
  const replies: Array<Reply.Reply> = []
  for (let at = 0; at < input.length; at += size) {
    decoder.push(input.subarray(at, at + size))
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return { replies, failure: next.failure }
      replies.push(next.success)
    }
  }
  return { replies, failure: undefined, held: Array.from(decoder.held()) }
}

export const fuzz = (input: Uint8Array): void => {
  const whole = decode(input, input.length + 1)
  Assert.deepStrictEqual(decode(input, 1), whole)
  Assert.deepStrictEqual(decode(input, 7), whole)
  for (const reply of whole.replies) {
    Assert.ok(reply.lines.length <= limits.lines)
    const again = decode(Reply.encode(reply), 5)
    Assert.deepStrictEqual(again.replies, [reply])
  }
}
