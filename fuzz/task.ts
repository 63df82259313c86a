/**
 * What the main thread and a worker tell each other.
 */

/** What a worker is started with. */
export interface Task {
  readonly module: string
  readonly edges: number
  readonly seed: number
  readonly corpus: ReadonlyArray<Uint8Array>
  readonly milliseconds: number
  /** The input that is running: its length, then its octets. Its first word counts the runs. */
  readonly shared: SharedArrayBuffer
}

/** What a worker tells. */
export type News =
  | { readonly _tag: "Progress"; readonly runs: number; readonly covered: number; readonly corpus: number }
  | { readonly _tag: "New"; readonly input: Uint8Array }
  | { readonly _tag: "Crash"; readonly input: Uint8Array; readonly problem: string }
  | { readonly _tag: "Done"; readonly runs: number; readonly covered: number; readonly corpus: number }

/** Octets of input that the shared memory holds. */
export const sharedSize = 8192
