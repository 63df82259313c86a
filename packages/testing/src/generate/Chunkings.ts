/**
 * Ways to cut octets into what single reads give.
 */
import * as fc from "fast-check"

/** A way to cut bytes into chunks: nothing lost, nothing moved; some chunks may be empty. */
export type Chunking = (bytes: Uint8Array) => ReadonlyArray<Uint8Array>

const cut = (sizes: ReadonlyArray<number>): Chunking => (bytes) => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    chunks.push(bytes.slice(at, at + size))
    at += size
  }
  return chunks
}

/**
 * Every way to cut: all at once (to which it shrinks), byte by byte, and in between; the sizes
 * repeat until the bytes are used up.
 */
export const chunking: fc.Arbitrary<Chunking> = fc.oneof(
  { withCrossShrink: true },
  fc.constant([Number.MAX_SAFE_INTEGER]),
  fc.constant([1]),
  fc.array(fc.oneof(fc.nat(4), fc.nat(100)), { minLength: 1, maxLength: 12 }).filter((sizes) =>
    sizes.some((size) => size > 0)
  )
).map((sizes) =>
  Object.assign(cut(sizes), {
    [fc.toStringMethod]: () => sizes[0] === Number.MAX_SAFE_INTEGER ? "all at once" : `chunks of ${sizes.join(", ")}`
  })
)
