/**
 * What the main thread and a worker tell each other.
 */
import type { Harm } from "./Search.ts"

/** What a worker is started with. */
export interface Task {
  /** The bundled target. */
  readonly module: string
  readonly edges: number
  readonly words: ReadonlyArray<string>
  readonly seed: number
  readonly corpus: ReadonlyArray<Uint8Array>
  readonly milliseconds: number
  readonly shared: SharedArrayBuffer
}

/** How far a worker is. */
export interface Stand {
  readonly runs: number
  readonly covered: number
  readonly corpus: number
}

/** What a worker tells. */
export type News =
  | { readonly _tag: "Progress"; readonly stand: Stand }
  | { readonly _tag: "Harm"; readonly harm: Harm }
  | { readonly _tag: "Done"; readonly stand: Stand; readonly cover: ReadonlyArray<Uint8Array> }

/** Inputs that the repository keeps of a target. */
export const mostKept = 60

const sharedOctets = 8192

/** Memory in which a worker says what it runs: it cannot be asked when it hangs. */
export const shared = (memory = new SharedArrayBuffer(8 + sharedOctets)) => {
  const header = new Int32Array(memory, 0, 2)
  const octets = new Uint8Array(memory, 8)
  return {
    memory,
    /** This input is the next one to run. */
    announce: (input: Uint8Array): void => {
      octets.set(input.subarray(0, sharedOctets))
      Atomics.store(header, 1, Math.min(input.length, sharedOctets))
      Atomics.add(header, 0, 1)
    },
    /** How many were announced. */
    count: (): number => Atomics.load(header, 0),
    /** The last of them. */
    input: (): Uint8Array => octets.slice(0, Atomics.load(header, 1))
  }
}
