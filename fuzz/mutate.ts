/**
 * Makes new inputs of old ones, the same for the same seed.
 */

/** Random numbers of a seed (xorshift): each below the limit it is asked with. */
export const random = (seed: number) => {
  let state = (seed | 0) === 0 ? 0x9e3779b9 : seed | 0
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % Math.max(1, below)
  }
}

const utf8 = new TextEncoder()

/**
 * What no literal of the sources holds, since they read it octet by octet or by regular
 * expression; chance alone does not find it. 0xff parts the messages of some targets.
 */
const tokens: ReadonlyArray<Uint8Array> = [
  Uint8Array.of(0xff),
  ...[
    "\r\n",
    "\r\n.\r\n",
    "\n",
    "\r",
    "\0",
    "\t",
    "\"",
    "\\",
    "\\\\",
    "<",
    ">",
    "@",
    "[",
    ":",
    ",",
    "=",
    "-",
    "220 ",
    "235 ",
    "250 ",
    "250-",
    "334 ",
    "354 ",
    "421 ",
    "535 ",
    "550 5.1.1 ",
    "2.0.0 ",
    "250 2.1.5 ok\r\n",
    "BDAT 5 LAST\r\n",
    "RCPTMAX=1",
    "=3D",
    "i=4096,",
    "c=biws,",
    "realm=\"",
    "nonce=\"",
    "[IPv6:::1]",
    "xn--",
    "é",
    "\u{1f4eb}",
    "\ufeff",
    "0",
    "-1",
    "4294967296",
    "99999999999999999999"
  ].map((token) => utf8.encode(token))
]

/** Longer inputs do not go. */
export const longest = 2048

/** An input made of `base`, with parts of `other` and of the dictionary. */
export const mutate = (
  base: Uint8Array,
  other: Uint8Array,
  words: ReadonlyArray<Uint8Array>,
  next: (below: number) => number
): Uint8Array => {
  let bytes: Array<number> = [...base]
  const from = (dictionary: ReadonlyArray<Uint8Array>) => dictionary[next(dictionary.length)] ?? []
  for (let times = 1 << next(4); times > 0; times--) {
    const at = next(bytes.length + 1)
    switch (next(10)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = next(256)
        break
      case 2:
        bytes.splice(at, 1 + next(8))
        break
      case 3:
        bytes.splice(at, next(bytes.length - at))
        break
      case 4:
        bytes.splice(at, 0, next(256))
        break
      case 5:
        bytes.splice(at, next(2) * next(4), ...from(tokens))
        break
      case 6:
        bytes.splice(at, next(2) * next(4), ...from(words))
        break
      case 7: {
        const begin = next(bytes.length)
        bytes.splice(at, 0, ...bytes.slice(begin, begin + 1 + next(32)))
        break
      }
      case 8: {
        const begin = next(other.length)
        bytes.splice(at, next(8), ...other.subarray(begin, begin + 1 + next(64)))
        break
      }
      case 9:
        bytes = [...bytes.slice(0, at), ...other.subarray(next(other.length + 1))]
    }
  }
  return Uint8Array.from(bytes.slice(0, longest))
}
