/**
 * A law, and how one is broken.
 */

/** One law: `run` resolves where it holds, and rejects with what breaks it: the smallest case that was found. */
export interface Law {
  readonly name: string
  readonly run: () => Promise<void>
}

/** Throws what is wrong unless the condition holds. */
export const holds = (condition: boolean, problem: string | (() => string)): void => {
  if (!condition) throw new Error(typeof problem === "string" ? problem : problem())
}
