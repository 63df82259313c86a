/**
 * All that `@postern/core` takes from the platform besides ECMAScript: web-standard names that
 * browsers, Node, Bun, Deno and workers share. The compiler knows no other global here, so a use
 * of `Buffer`, `process` or `setTimeout` in core is a type error.
 */

interface TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
  encodeInto(input: string, into: Uint8Array): { readonly read: number; readonly written: number }
}
declare const TextEncoder: { new(): TextEncoder }

interface TextDecoder {
  decode(input?: Uint8Array, options?: { readonly stream?: boolean }): string
}
declare const TextDecoder: {
  new(label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }): TextDecoder
}

/** WHATWG URL: what an endpoint written as a URL is read with. */
declare const URL: {
  new(url: string): URL
  canParse(url: string): boolean
}
interface URL {
  readonly protocol: string
  readonly hostname: string
  readonly port: string
  readonly username: string
  readonly password: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
}

/** Effect hands it to promises it may interrupt. */
interface AbortSignal {
  readonly aborted: boolean
}

/** Web Crypto's source of random octets. */
declare const crypto: {
  getRandomValues<Bytes extends Uint8Array>(bytes: Bytes): Bytes
}
