/**
 * MD4 (RFC 1320), broken since 1995 and needed for one thing: NTLM keeps passwords as
 * their MD4. No platform offers it any more.
 */

interface Round {
  readonly mix: (x: number, y: number, z: number) => number
  readonly constant: number
  readonly shifts: readonly [number, number, number, number]
  /** The words of the block, in the order they are taken. */
  readonly words: ReadonlyArray<number>
}

// RFC 1320 §3.4.
const rounds: ReadonlyArray<Round> = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    constant: 0,
    shifts: [3, 7, 11, 19],
    words: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    constant: 0x5a827999,
    shifts: [3, 5, 9, 13],
    words: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    constant: 0x6ed9eba1,
    shifts: [3, 9, 11, 15],
    words: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15]
  }
]

const blockSize = 64

// One bit, zeros, and the length in bits, up to whole blocks (§3.1, §3.2).
const pad = (message: Uint8Array): DataView => {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / blockSize) * blockSize)
  padded.set(message)
  padded[message.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n, true)
  return view
}

/** The digest, 16 octets. */
export const md4 = (message: Uint8Array): Uint8Array => {
  const blocks = pad(message)
  const state = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476])
  for (let block = 0; block < blocks.byteLength; block += blockSize) {
    let [a = 0, b = 0, c = 0, d = 0] = state
    for (const { constant, mix, shifts, words } of rounds) {
      for (let step = 0; step < words.length; step++) {
        const word = blocks.getInt32(block + 4 * (words[step] ?? 0), true)
        const shift = shifts[step % 4] ?? 0
        const sum = a + mix(b, c, d) + word + constant
        const turned = (sum << shift) | ((sum | 0) >>> (32 - shift))
        // What the RFC writes as [ABCD], [DABC], [CDAB], [BCDA].
        const before = d
        d = c
        c = b
        b = turned
        a = before
      }
    }
    // Sums wrap at 32 bits.
    state.set([a, b, c, d].map((word, i) => word + (state[i] ?? 0)))
  }
  const digest = new DataView(new ArrayBuffer(16))
  state.forEach((word, i) => digest.setInt32(4 * i, word, true))
  return new Uint8Array(digest.buffer)
}
