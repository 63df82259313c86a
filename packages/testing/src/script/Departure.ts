/**
 * Where a client left what a script, or a recording, has it say: what was expected, what came
 * instead, and what led there.
 */
import { Reply } from "@postern/core"
import * as Data from "effect/Data"

/** A client left its script. Printed, it is a diff to read in a test's output. */
export class Departure extends Data.TaggedError("Departure")<{
  /** In a few words: `it says something else`, `it stops here`, … */
  readonly how: string
  /** Which connection, counted from 0. */
  readonly connection: number
  /** Which event of that connection, counted from 1. */
  readonly event: number
  /** As text, octets escaped; undefined where nothing is. */
  readonly expected: string | undefined
  readonly actual: string | undefined
  /** The last things that were said, oldest first, with `C:` and `S:`. */
  readonly before: ReadonlyArray<string>
}> {
  override get message() {
    return render(this)
  }
}

/** Octets on one line of a diff: as they would be written in a string, shortened. */
export const quote = (octets: Uint8Array | string): string =>
  Reply.escape(typeof octets === "string" ? new TextEncoder().encode(octets) : octets, 240)

/** What led there is shown up to so many lines. */
export const shownBefore = 8

const render = (
  { actual, before, connection, event, expected, how }: Pick<
    Departure,
    "actual" | "before" | "connection" | "event" | "expected" | "how"
  >
): string => {
  const pointer = expected === undefined || actual === undefined ? undefined : firstDifference(expected, actual)
  return [
    `the client departs from the script at event ${event} of connection ${connection}: ${how}`,
    ...before.slice(-shownBefore).map((line) => `    ${line}`),
    ...expected === undefined ? [] : [`  - ${expected}`],
    ...actual === undefined ? [] : [`  + ${actual}`],
    ...pointer === undefined ? [] : [`    ${" ".repeat(pointer)}^`]
  ].join("\n")
}

const firstDifference = (a: string, b: string): number => {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}
