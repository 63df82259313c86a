/**
 * What a parser of SMTP replies owes (RFC 5321 §4.2), as laws.
 */
import { Reply } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import {
  type Chunking,
  chunking,
  hostileReplyBytes,
  nearly,
  replyFaults,
  strictReply
} from "../generate/Arbitraries.ts"
import { holds, type Law } from "./Law.ts"

/** A reply as any parser gives it. The texts are without code, separator and line end. */
export interface ParsedReply {
  readonly code: number
  readonly lines: ReadonlyArray<string>
}

/** A reply parser of any make: takes chunks as they arrive, gives replies, and `"error"` where it gives up. */
export type ParseReplies = (chunks: ReadonlyArray<Uint8Array>) => ReadonlyArray<ParsedReply | "error">

/** How hard it is tried. */
export interface ReplyParserOptions {
  /** Runs of each law; 200 unless given. */
  readonly runs?: number | undefined
  /** Octets of a line, or of a reply, that has no end, after which a parser is to have given up; 16 MiB unless given. */
  readonly patience?: number | undefined
}

// What no reading of the RFC, however generous, makes a reply of.
const never = nearly({
  "code changes": replyFaults["code changes"],
  "code missing": replyFaults["code missing"],
  "code of two digits": replyFaults["code of two digits"],
  "code of four digits": replyFaults["code of four digits"],
  "code with a letter": replyFaults["code with a letter"],
  "first digit out of range": replyFaults["first digit out of range"],
  "last line missing": replyFaults["last line missing"],
  "line end missing": replyFaults["line end missing"]
})

const shown = (read: ReadonlyArray<ParsedReply | "error">): string =>
  JSON.stringify(read.map((it) => it === "error" ? it : [it.code, ...it.lines]))

/**
 * The laws of a reply parser: it reads what is valid, one reply or several at once; it reads the
 * same however octets are cut, whatever they are; it never throws; it makes no reply of what
 * cannot be one; and it gives up on what has no end.
 *
 * @example
 * ```ts
 * import { Reply } from "@postern/core"
 * import { Laws } from "@postern/testing"
 *
 * const parse: Laws.ParseReplies = (chunks) => {
 *   const decoder = Reply.decoder()
 *   const found: Array<Laws.ParsedReply | "error"> = []
 *   for (const chunk of chunks) {
 *     decoder.push(chunk)
 *     for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
 *       if (next._tag === "Failure") return [...found, "error"]
 *       found.push(next.success)
 *     }
 *   }
 *   return found
 * }
 *
 * // In a test file: for (const law of laws) it(law.name, law.run)
 * export const laws = Laws.replyParser("Reply.decoder", parse)
 * ```
 */
export const replyParser = (
  name: string,
  parse: ParseReplies,
  { patience = 16 * 1024 * 1024, runs: numRuns = 200 }: ReplyParserOptions = {}
): ReadonlyArray<Law> => {
  const law = <A>(what: string, arbitrary: fc.Arbitrary<A>, check: (value: A, cut: Chunking) => void): Law => ({
    name: `${name}: ${what}`,
    run: async () => fc.assert(fc.property(arbitrary, chunking, check), { numRuns })
  })
  const endless = (what: string, chunk: string): Law => ({
    name: `${name}: gives up on ${what} without end`,
    run: async () => {
      const bytes = new TextEncoder().encode(chunk.repeat(Math.ceil(65_536 / chunk.length)))
      const read = parse(Array.from({ length: Math.ceil(patience / bytes.length) }, () => bytes))
      holds(read.includes("error"), `it still waits after ${patience} octets`)
    }
  })
  return [
    law("reads valid replies, in any chunks", fc.array(strictReply, { minLength: 1, maxLength: 3 }), (replies, cut) => {
      const [read, expected] = [parse(cut(Bytes.concat(replies.map(Reply.encode)))), replies].map(shown)
      holds(read === expected, `${expected} is read as ${read}`)
    }),
    law("reads the same however octets are cut, whatever they are", hostileReplyBytes, (bytes, cut) => {
      const [whole, parts] = [parse([bytes]), parse(cut(bytes))].map(shown)
      holds(whole === parts, `${whole} becomes ${parts}`)
    }),
    law("never throws", hostileReplyBytes, (bytes, cut) => {
      parse(cut(bytes))
    }),
    law("makes no reply of what cannot be one", never, ({ value, wrong }, cut) => {
      const read = parse(cut(value)).filter((it) => it !== "error")
      holds(read.length === 0, () => `${wrong}: "${Reply.escape(value)}" is read as ${shown(read)}`)
    }),
    endless("a line", "x"),
    endless("a reply", "250-x\r\n")
  ]
}
