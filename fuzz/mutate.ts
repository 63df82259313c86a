/**
 * Makes new inputs of old ones, the same for the same seed.
 */

/** Random numbers of a seed (xorshift). */
export const random = (seed: number) => {
  let state = (seed | 0) === 0 ? 0x9e3779b9 : seed | 0
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % Math.max(1, below)
  }
}

/** Words that protocols consist of: chance alone does not find them. */
const words = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "-",
  "=",
  ",",
  "<",
  ">",
  "@",
  ":",
  ";",
  "\"",
  "\\",
  "[",
  "]",
  ".",
  "250 ",
  "250-",
  "220 ",
  "235 ",
  "334 ",
  "354 ",
  "421 ",
  "535 ",
  "550 5.1.1 ",
  "2.0.0 ",
  "EHLO ",
  "STARTTLS",
  "AUTH ",
  "AUTH=",
  "PLAIN",
  "LOGIN",
  "SCRAM-SHA-256",
  "SIZE 1000",
  "PIPELINING",
  "8BITMIME",
  "SMTPUTF8",
  "CHUNKING",
  "LIMITS RCPTMAX=1",
  "MAIL FROM:<",
  "RCPT TO:<",
  "DATA",
  "BDAT 5 LAST",
  "QUIT",
  "RSET",
  "r=",
  "s=",
  "i=4096",
  "v=",
  "e=",
  "n,,",
  "c=biws",
  "p=",
  "realm=\"",
  "nonce=\"",
  "qop=\"auth\"",
  "algorithm=md5-sess",
  "charset=utf-8",
  "rspauth=",
  "NTLMSSP\0",
  "IPv6:",
  "postmaster",
  "xn--",
  "é",
  "\u{1f4eb}",
  "\ufeff",
  "99999999999999999999",
  "-1",
  "0",
  "user=",
  "auth=Bearer ",
  "{\"_tag\":\""
].map((word) => new TextEncoder().encode(word))

const longest = 4096

/** An input made of `base`, and of `other` where they are joined. */
export const mutate = (base: Uint8Array, other: Uint8Array, next: (below: number) => number): Uint8Array => {
  let bytes: Array<number> = [...base]
  const times = 1 << next(4)
  for (let i = 0; i < times; i++) {
    const at = next(bytes.length + 1)
    switch (next(9)) {
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
        bytes.splice(at, 0, next(256))
        break
      case 4:
      case 5:
        bytes.splice(at, next(2) * next(4), ...words[next(words.length)] ?? [])
        break
      case 6: {
        const from = next(bytes.length)
        bytes.splice(at, 0, ...bytes.slice(from, from + 1 + next(32)))
        break
      }
      case 7: {
        const from = next(other.length)
        bytes.splice(at, next(8), ...other.subarray(from, from + 1 + next(64)))
        break
      }
      case 8:
        bytes = [...bytes.slice(0, at), ...other.subarray(next(other.length + 1))]
    }
  }
  return Uint8Array.from(bytes.slice(0, longest))
}
