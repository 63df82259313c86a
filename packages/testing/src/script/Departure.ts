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

const escaped = (octets: Uint8Array | string, limit: number): string =>
  Reply.escape(typeof octets === "string" ? new TextEncoder().encode(octets) : octets, limit)

/** Octets on one line of what led there: as they would be written in a string, shortened. */
export const quote = (octets: Uint8Array | string): string => escaped(octets, 240)

/** The same for what is compared: the difference may be far from the beginning. */
export const exactly = (octets: Uint8Array | string): string => escaped(octets, 1_048_576)

/** What led there is shown up to so many lines. */
export const shownBefore = 8

/** Characters of what is compared that are shown, the first difference among them. */
const widest = 240

const render = (
  { actual, before, connection, event, expected, how }: Pick<
    Departure,
    "actual" | "before" | "connection" | "event" | "expected" | "how"
  >
): string => {
  const pointer = expected === undefined || actual === undefined ? undefined : firstDifference(expected, actual)
  const from = pointer === undefined || pointer <= widest / 2 ? 0 : pointer - widest / 4
  const shown = (text: string) =>
    `${from === 0 ? "" : "…"}${text.slice(from, from + widest)}${text.length > from + widest ? "…" : ""}`
  return [
    `the client departs from the script at event ${event} of connection ${connection}: ${how}`,
    ...before.slice(-shownBefore).map((line) => `    ${line}`),
    ...expected === undefined ? [] : [`  - ${shown(expected)}`],
    ...actual === undefined ? [] : [`  + ${shown(actual)}`],
    ...pointer === undefined ? [] : [`    ${" ".repeat(pointer - from + (from === 0 ? 0 : 1))}^`]
  ].join("\n")
}

const firstDifference = (a: string, b: string): number => {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}
