/**
 * Inputs of several pieces: 0xff, which no text in UTF-8 holds, stands between them.
 */
export const pieces = (input: Uint8Array, from: number): ReadonlyArray<Uint8Array> => {
  const all: Array<Uint8Array> = []
  for (let at = from; at <= input.length;) {
    const end = input.indexOf(0xff, at)
    all.push(input.subarray(at, end === -1 ? input.length : end))
    at = end === -1 ? input.length + 1 : end + 1
  }
  return all
}
