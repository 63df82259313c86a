/** Replies, in any chunks: never throws, is bounded, and does not depend on the chunks. */
import { Reply } from "@postern/core"
import { Result } from "effect"
import * as Assert from "node:assert"

const small: Reply.Limits = { line: 200, lines: 20, bytes: 1000 }

const decode = (
  input: Uint8Array,
  size: number,
  limits: Reply.Limits = small
): { readonly replies: ReadonlyArray<Reply.Reply>; readonly rest: string } => {
  const decoder = Reply.decoder(limits)
  const replies: Array<Reply.Reply> = []
  for (let at = 0; at < input.length; at += size) {
    decoder.push(input.subarray(at, at + size))
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return { replies, rest: `${next.failure.problem} ${next.failure.offending}` }
      replies.push(next.success)
    }
  }
  return { replies, rest: Reply.escape(decoder.held()) }
}

export const fuzz = (input: Uint8Array): void => {
  const whole = decode(input, input.length + 1)
  // As text: comparing structures takes longer than decoding.
  const text = JSON.stringify(whole)
  Assert.strictEqual(JSON.stringify(decode(input, 1)), text)
  Assert.strictEqual(JSON.stringify(decode(input, 7)), text)
  if (whole.replies.length === 0) return
  Assert.ok(whole.replies.every(({ lines }) => lines.length <= small.lines))
  // What was Latin-1 is written as UTF-8, which is longer.
  const written = Buffer.concat(whole.replies.map(Reply.encode))
  Assert.strictEqual(JSON.stringify(decode(written, 5, Reply.defaultLimits).replies), JSON.stringify(whole.replies))
}
