import type { Laws } from "@postern/testing"

/** What of these laws does not hold, without the name of what they are about. */
export const failing = async (laws: ReadonlyArray<Laws.Law>): Promise<ReadonlyArray<string>> => {
  const broken: Array<string> = []
  for (const { name, run } of laws) await run().catch(() => broken.push(name.replace(/^[^:]*: /, "")))
  return broken
}

/** The names alone. */
export const namesOf = (laws: ReadonlyArray<Laws.Law>): ReadonlyArray<string> =>
  laws.map(({ name }) => name.replace(/^[^:]*: /, ""))
