/**
 * The content of a message as a transaction takes it, and the way it goes: DATA, or BDAT
 * where the server has CHUNKING.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Reason from "../outcome/Reason.ts"
import * as Capabilities from "../wire/Capabilities.ts"
import type * as Command from "../wire/Command.ts"
import * as Content from "../wire/Content.ts"
import type * as Expect from "../wire/Expect.ts"
import * as Said from "../wire/Said.ts"
import * as Program from "./Program.ts"
import type { Facts } from "./Session.ts"

/** What is known of content before it is sent; undefined where it is made on the way. */
export type Known = Partial<Content.Facts>

/** Content in memory, or made block by block while it is sent. */
export type Body =
  | {
    readonly _tag: "Octets"
    readonly octets: Uint8Array
    readonly facts: Content.Facts
    readonly dots: ReadonlyArray<number>
    readonly binary: boolean
  }
  | {
    readonly _tag: "Blocks"
    /** The next block; undefined at the end. */
    readonly next: Effect.Effect<Uint8Array | undefined, Reason.Reason>
    /** The first block, before any is taken. */
    readonly peek: Effect.Effect<Uint8Array | undefined, Reason.Reason>
    /** Lets go of where it comes from. */
    readonly release: Effect.Effect<void>
    readonly facts: Known
    readonly binary: boolean
  }
  /** Content that the server fetches itself, from where this says (RFC 4468). */
  | { readonly _tag: "Url"; readonly command: Command.Burl; readonly facts: Known; readonly binary: false }

/** How content goes to the server. */
export type Way = Content.Framing | "BURL"

/** The step that its replies answer. */
export const stepOf = (way: Way): "Content" | "Bdat" | "Burl" =>
  way === "DATA" ? "Content" : way === "BDAT" ? "Bdat" : "Burl"

/** Content in memory. Binary content is not text: its line ends are nobody's, and stay (RFC 3030 §3). */
export const octets = (octets: Uint8Array, binary = false): Body => {
  const { dots, facts } = Content.inspect(octets)
  return { _tag: "Octets", octets, facts: binary ? { ...facts, size: octets.length } : facts, dots, binary }
}

/** BDAT where it may be had, otherwise DATA. Fails where content cannot be sent that is binary, or the server's to fetch. */
export const way = (
  { capabilities, lmtp }: Pick<Facts, "capabilities" | "lmtp">,
  { _tag, binary }: Body
): Result.Result<Way, Reason.Of<"ExtensionMissing">> => {
  if (_tag === "Url") {
    return capabilities !== undefined && Capabilities.has(capabilities, "BURL") && lmtp !== true
      ? Result.succeed("BURL")
      : Result.fail(
        Reason.make("ExtensionMissing", { extension: "BURL", because: "the server is to fetch the content" })
      )
  }
  if (capabilities?.chunking === true) {
    if (!binary || Capabilities.has(capabilities, "BINARYMIME")) return Result.succeed("BDAT")
  } else if (!binary) {
    return Result.succeed("DATA")
  }
  const extension = capabilities?.chunking === true ? "BINARYMIME" : "CHUNKING"
  return Result.fail(Reason.make("ExtensionMissing", { extension, because: "the content is binary" }))
}

/** A chunk that holds all of it. */
export const chunk = (body: Body & { readonly _tag: "Octets" }, replies = 1): Said.Chunk =>
  Said.chunk(body.binary || body.facts.canonical ? body.octets : Content.normalize(body.octets), true, replies)

/** All of it as DATA carries it. */
export const data = (body: Body & { readonly _tag: "Octets" }, replies = 1): Said.Content =>
  Said.content(Content.inspectedBlocks(body.octets, body), replies)

/** Nothing, as DATA carries it: what a server gets that said 354 and took no recipient (RFC 2920 §3.1). */
export const nothing: Said.Content = Said.content(Content.blocks(new Uint8Array(0), "DATA"))

/**
 * Says content that is made on the way, as it comes, and gives the replies to its end.
 * Fails with the reason of its source, or with the first reply that refuses a chunk.
 */
export const stream = Program.fn(
  function*(body: Body & { readonly _tag: "Blocks" }, framing: Content.Framing, sevenBit: boolean, replies: number) {
    const encoder = Content.encoder(framing)
    const unfit = (): Reason.Reason | undefined => {
      const { eightBit, longestLine } = encoder.seen()
      if (sevenBit && eightBit) return missing("8BITMIME", "the content has octets above 127")
      return longestLine > Content.longestLine
        ? missing("BINARYMIME", `a line of the content has more than ${Content.longestLine} octets`)
        : undefined
    }
    let unheard = 0
    for (;;) {
      const made = yield* Program.result(Program.perform(body.next))
      const block = Result.isSuccess(made) ? made.success : undefined
      const octets = block === undefined || body.binary ? block : encoder.push(block)
      const problem = Result.isFailure(made) ? made.failure : unfit()
      if (problem !== undefined) {
        // After BDAT the server waits for a command: the transaction can be given up. After DATA it cannot.
        if (unheard > 0) yield* Program.settled(Program.converse([], ["Bdat"]))
        return yield* Program.fail(problem)
      }
      if (octets === undefined) break
      if (octets.length === 0) continue
      if (framing === "DATA") {
        yield* Program.converse([Said.part(octets)], [])
        continue
      }
      yield* Program.converse([Said.chunk(octets, false)], [])
      unheard++
      // One chunk is on its way while the next is made.
      if (unheard === 1) continue
      const refusal = yield* heardChunk
      unheard--
      if (refusal !== undefined) {
        yield* Program.settled(Program.converse([], ["Bdat"]))
        return [refusal]
      }
    }
    if (framing === "DATA") {
      return yield* Program.converse(
        [Said.content([encoder.end()], replies)],
        Array<Expect.Step>(replies).fill("Content")
      )
    }
    const last = Said.chunk(body.binary ? new Uint8Array(0) : encoder.end(), true, replies)
    if (unheard === 0) return yield* Program.converse([last], Said.steps(last))
    const heard = yield* Program.settled(Program.converse([last], ["Bdat", ...Said.steps(last)]))
    const [before, ...end] = Result.isSuccess(heard) ? heard.success : heard.failure.heard
    if (before !== undefined && before.code >= 400) return [before]
    if (Result.isSuccess(heard)) return end
    // Of the last chunk: without that nothing was taken.
    const { written } = heard.failure
    return yield* Program.fail({
      ...heard.failure,
      heard: end,
      written: before === undefined ? Math.max(0, written - 1) : written
    })
  }
)

const heardChunk = Program.gen(function*() {
  const heard = yield* Program.settled(Program.converse([], ["Bdat"]))
  if (Result.isFailure(heard)) return yield* Program.fail({ ...heard.failure, written: 0 })
  const [reply] = heard.success
  return reply !== undefined && reply.code >= 400 ? reply : undefined
})

const missing = (extension: string, because: string): Reason.Of<"ExtensionMissing"> =>
  Reason.make("ExtensionMissing", { extension, because })
