/**
 * Replies as a server sends them to many messages, in the segments in which they come.
 */
import type { Work } from "./work.ts"

export interface Segment {
  readonly bytes: Buffer
  /** How many replies end in it. */
  readonly replies: number
}

const message = [
  "250 2.0.0 Ok\r\n",
  "250 2.1.0 Ok\r\n",
  "250 2.1.5 Ok\r\n",
  "354 End data with <CR><LF>.<CR><LF>\r\n",
  "250-2.0.0 Thank you,\r\n250 2.0.0 Ok: queued as 4bXk2P6zTqz9t2\r\n"
].join("")

/** A segment over Ethernet. It mostly ends within a line. */
const segmentSize = 1448

export const replies = ({ size }: Work): { readonly count: number; readonly segments: ReadonlyArray<Segment> } => {
  const all = Buffer.from(message.repeat(Math.floor(size / message.length)))
  const segments: Array<Segment> = []
  let count = 0
  for (let at = 0; at < all.length; at += segmentSize) {
    const bytes = all.subarray(at, at + segmentSize)
    let replies = 0
    for (let lf = bytes.indexOf(10); lf !== -1; lf = bytes.indexOf(10, lf + 1)) {
      const start = all.lastIndexOf(10, at + lf - 1) + 1
      if (all[start + 3] !== 0x2d) replies++
    }
    segments.push({ bytes, replies })
    count += replies
  }
  return { count, segments }
}
