/**
 * All that `@postern/core` takes from the platform besides ECMAScript: web-standard names that
 * browsers, Node, Bun, Deno and workers share. The compiler knows no other global here, so a use
 * of `Buffer`, `process` or `setTimeout` in core is a type error.
 */

interface TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
}
declare const TextEncoder: { new(): TextEncoder }

interface TextDecoder {
  decode(input?: Uint8Array, options?: { readonly stream?: boolean }): string
}
declare const TextDecoder: {
  new(label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }): TextDecoder
}

/** Effect hands it to promises it may interrupt. */
interface AbortSignal {
  readonly aborted: boolean
}

interface CryptoKey {
  readonly type: string
}
declare const crypto: {
  getRandomValues<Bytes extends Uint8Array>(bytes: Bytes): Bytes
  readonly subtle: {
    importKey(
      format: "raw",
      key: Uint8Array,
      algorithm: "PBKDF2",
      extractable: false,
      usages: ReadonlyArray<"deriveBits">
    ): Promise<CryptoKey>
    deriveBits(
      algorithm: {
        readonly name: "PBKDF2"
        readonly hash: string
        readonly salt: Uint8Array
        readonly iterations: number
      },
      key: CryptoKey,
      bits: number
    ): Promise<ArrayBuffer>
  }
}
