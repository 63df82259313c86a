/**
 * What a client says: commands, and the content that DATA and BDAT carry.
 */
import type * as Command from "./Command.ts"
import type * as Expect from "./Expect.ts"

/** BDAT with the octets that follow its line (RFC 3030 §2): they go to the wire untouched. */
export interface Chunk {
  readonly _tag: "Chunk"
  readonly octets: Uint8Array
  readonly last: boolean
  /** How many replies it gets: one; in LMTP the last one gets one for each accepted recipient. */
  readonly replies: number
}

/** Content after a 354, made safe by `Content.encoder`: the whole of it, or a part that another follows. */
export interface Content {
  readonly _tag: "Content"
  /** Taken block by block while it is written. */
  readonly blocks: Iterable<Uint8Array>
  /** The terminator is in it: replies follow. */
  readonly end: boolean
  readonly replies: number
}

/** A command that has all it needs in its line. */
export type Line = Exclude<Command.Command, Command.Bdat>

/** Anything a client can say. */
export type Said = Line | Chunk | Content

/** True for what has all it needs in its line. */
export const isLine = (said: Said): said is Line => said._tag !== "Chunk" && said._tag !== "Content"

/** A chunk of content, by BDAT. */
export const chunk = (octets: Uint8Array, last: boolean, replies = 1): Chunk => ({
  _tag: "Chunk",
  octets,
  last,
  replies
})

/** Content, or the last of it, with the terminator of DATA. */
export const content = (blocks: Iterable<Uint8Array>, replies = 1): Content => ({
  _tag: "Content",
  blocks,
  end: true,
  replies
})

/** A part of content that more will follow. */
export const part = (octets: Uint8Array): Content => ({ _tag: "Content", blocks: [octets], end: false, replies: 0 })

/** The steps whose replies it will get, in order. */
export const steps = (said: Said): ReadonlyArray<Expect.Step> => {
  switch (said._tag) {
    case "Chunk":
      return said.replies === 1 ? bdat : Array<Expect.Step>(said.replies).fill("Bdat")
    case "Content":
      return said.replies === 1 ? content1 : Array<Expect.Step>(said.replies).fill("Content")
    default:
      return [said._tag]
  }
}

const bdat: ReadonlyArray<Expect.Step> = ["Bdat"]
const content1: ReadonlyArray<Expect.Step> = ["Content"]
