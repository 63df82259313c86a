/**
 * The works that are timed, and what comes of one. A client gets a work and the port of a
 * sink, sends that many messages, and says how long it took.
 */

/** So many messages of one kind. */
export interface Work {
  readonly name: string
  /** Octets of content, line ends and header fields included. */
  readonly size: number
  readonly recipients: number
  readonly messages: number
  /** A connection for all messages, or one for each. */
  readonly connection: "kept" | "each"
}

export const works: ReadonlyArray<Work> = [
  { name: "1KiB send", size: 1024, recipients: 1, messages: 4000, connection: "kept" },
  { name: "64KiB send", size: 65_536, recipients: 1, messages: 400, connection: "kept" },
  { name: "1KiB 50 recipients send", size: 1024, recipients: 50, messages: 400, connection: "kept" },
  { name: "10MiB send", size: 10_485_760, recipients: 1, messages: 4, connection: "kept" },
  { name: "1KiB connection each", size: 1024, recipients: 1, messages: 400, connection: "each" }
]

/** What a client says of one work. Warming up and connecting are not in it. */
export interface Timing {
  /** Those of the work, or as many as fitted into two seconds. */
  readonly messages: number
  readonly seconds: number
  readonly cpuMicros: number
  readonly peakRssMiB: number
}

/** A client under way: `send` sends so many messages. */
export interface Client {
  readonly send: (messages: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** Makes a client for a work and a port on loopback. */
export type Make = (work: Work, port: number) => Promise<Client>

/** Where all messages of a work go. */
export const recipients = ({ recipients }: Work): ReadonlyArray<string> =>
  Array.from({ length: recipients }, (_, i) => `user${i}@example.net`)

/** The content of every message of a work: lines of 76 characters and CRLF, some of which begin with a dot. */
export const content = ({ size }: Work): string => {
  const header = "From: ann@example.org\r\nTo: user0@example.net\r\nSubject: bench\r\nMIME-Version: 1.0\r\n\r\n"
  const line = `${"The quick brown fox jumps over the lazy dog. ".repeat(2).slice(0, 76)}\r\n`
  const dotted = `.${line.slice(1)}`
  let text = header
  for (let i = 0; text.length + line.length + 2 <= size; i++) text += i % 20 === 19 ? dotted : line
  return `${text}${"x".repeat(Math.max(0, size - text.length - 2))}\r\n`
}
