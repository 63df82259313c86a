/**
 * What was said in a session, for people and errors: client and server lines with
 * their times. Secrets never enter: commands are kept as `CommandLine.render` shows
 * them, content as its length.
 */
import * as Schema from "effect/Schema"
import { make, printable, Reply } from "../wire/Reply.ts"

/** Milliseconds since the connection was asked for. */
const at = Schema.Finite

/** One event of a session. */
export const Event = Schema.Union([
  Schema.TaggedStruct("Connected", { at, host: Schema.String, port: Schema.Int }),
  Schema.TaggedStruct("Sent", { at, line: Schema.String }),
  Schema.TaggedStruct("Received", { at, reply: Reply }),
  Schema.TaggedStruct("ContentSent", { at, octets: Schema.Int }),
  Schema.TaggedStruct("TlsEstablished", {
    at,
    version: Schema.String,
    cipher: Schema.String,
    verifiedBy: Schema.String
  }),
  Schema.TaggedStruct("Closed", { at, detail: Schema.String })
])
/** One event of a session. */
export type Event = typeof Event.Type

/** The events of a session in order; long sessions keep the newest {@link kept}. */
export type Transcript = ReadonlyArray<Event>

/** How many events a session keeps. */
export const kept = 256

/** How many lines of a reply, and characters of a line, a transcript keeps: servers may send far more. */
const [keptLines, keptCharacters] = [64, 1024]

const short = (line: string): string => line.length > keptCharacters ? `${line.slice(0, keptCharacters)}…` : line

/** The reply as a transcript keeps it: cut where it is longer than anyone reads. */
export const shorten = (reply: Reply): Reply => {
  const [first, ...rest] = reply.lines
  if (rest.length < keptLines && reply.lines.every((line) => line.length <= keptCharacters)) return reply
  const more = rest.length < keptLines ? [] : [`… ${rest.length - keptLines + 1} more lines`]
  return { ...reply, lines: [short(first), ...rest.slice(0, keptLines - 1).map(short), ...more] }
}

/**
 * A challenge of SASL as a transcript keeps it, by its length alone: with a SCRAM server's
 * signature in a log, passwords could be guessed against it.
 */
export const challenge = ({ lines }: Reply): Reply => make(334, `<challenge, ${lines[0].length} characters>`)

/** One event as lines of text, `C:` before what the client sent and `S:` before what the server sent. */
export const renderEvent = (event: Event): string => {
  const time = `${event.at.toFixed(1).padStart(8)} ms  `
  switch (event._tag) {
    case "Connected":
      return `${time}-- connected to ${event.host}:${event.port}`
    case "Sent":
      return `${time}C: ${printable(event.line)}`
    case "Received":
      return event.reply.lines
        .map((line, i, all) =>
          `${time}S: ${event.reply.code}${i < all.length - 1 ? "-" : " "}${printable(line)}`.trimEnd()
        )
        .join("\n")
    case "ContentSent":
      return `${time}C: (${event.octets} octets of content)`
    case "TlsEstablished":
      return `${time}-- ${event.version}, ${event.cipher}, server verified by ${event.verifiedBy}`
    case "Closed":
      return `${time}-- closed: ${printable(event.detail)}`
  }
}

/** The session as text. */
export const render = (transcript: Transcript): string => transcript.map(renderEvent).join("\n")
