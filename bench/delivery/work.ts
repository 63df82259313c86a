/**
 * The works that are timed, and what client processes and the one that asks them say to each other.
 */

/** Messages of one kind, and how they go. */
export interface Work {
  readonly name: string
  /** Octets of content, line ends and header fields included. */
  readonly size: number
  readonly recipients: number
  /**
   * `send`: one after another on a kept connection; `sendAll`: all of them on one connection as fast as it takes
   * them; `pool`: the same on four; `connect`: a connection for each; `stream`: content that is made while it is
   * sent. `decode` and `stuff` are no messages but the octets of one through a decoder of replies, and through
   * what doubles dots.
   */
  readonly way: "send" | "sendAll" | "pool" | "connect" | "stream" | "decode" | "stuff"
  readonly transfer: "DATA" | "CHUNKING"
  /** `startTls` goes with AUTH. */
  readonly security: "plain" | "tls" | "startTls"
  /** Milliseconds added to each round trip. */
  readonly delay: number
}

/** 1 KiB for one recipient, all on one plain connection, but for what is said. */
export const make = (name: string, some: Partial<Work> = {}): Work => ({
  name,
  size: 1024,
  recipients: 1,
  way: "sendAll",
  transfer: name.includes("CHUNKING") ? "CHUNKING" : "DATA",
  security: "plain",
  delay: 0,
  ...some
})

export const KiB = 1024
const MiB = 1024 * KiB

export const works: ReadonlyArray<Work> = [
  make("1KiB sendAll DATA"),
  make("1KiB sendAll CHUNKING"),
  make("1KiB send", { way: "send" }),
  make("64KiB sendAll DATA", { size: 64 * KiB }),
  make("64KiB sendAll CHUNKING", { size: 64 * KiB }),
  make("64KiB TLS sendAll DATA", { size: 64 * KiB, security: "tls" }),
  make("64KiB TLS sendAll CHUNKING", { size: 64 * KiB, security: "tls" }),
  make("1KiB TLS sendAll CHUNKING", { security: "tls" }),
  make("1KiB 50 recipients sendAll DATA", { recipients: 50 }),
  make("10MiB sendAll DATA", { size: 10 * MiB }),
  make("10MiB sendAll CHUNKING", { size: 10 * MiB }),
  make("10000 recipients send", { recipients: 10_000, way: "send" }),
  make("20ms 1KiB sendAll DATA", { delay: 20 }),
  make("20ms 1KiB sendAll CHUNKING", { delay: 20 }),
  make("1KiB new connection STARTTLS AUTH", { way: "connect", security: "startTls" }),
  make("1KiB pool of 4 DATA", { way: "pool" }),
  make("1KiB pool of 4 CHUNKING", { way: "pool" }),
  make("1GiB stream", { size: 1024 * MiB, way: "stream" }),
  make("reply decoding", { size: MiB, way: "decode" }),
  make("dot-stuffing", { size: MiB, way: "stuff" })
]

/** What is on its way at one time without a reply, where whole messages follow one another. */
export const window = { messages: 100, octets: 4 * MiB }

/** Those of a pool. */
export const connections = 4

export const user = "ann"
export const password = "correct horse"

/** Where a server listens on loopback, and what certificate to trust. */
export interface Target {
  readonly port: number
  readonly ca?: string | undefined
}

/** A client under way: `send` sends so many messages, and fails when the server did not take all of them. */
export interface Client {
  readonly send: (messages: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** What a module of a client exports as `make`: makes one that is connected, where a work keeps a connection. */
export type Make = (work: Work, target: Target) => Promise<Client>

/** What a client process is asked on its standard input, a line each: so many messages, or as many as take so long. */
export type Ask = { readonly messages: number } | { readonly seconds: number }

/** What it answers on its standard output. */
export interface Timing {
  readonly messages: number
  readonly seconds: number
  readonly cpuMicros: number
  readonly peakRssMiB: number
  /** Before the first message, connected. */
  readonly idleRssMiB: number
}

export const sender = "ann@example.org"

/** Where all messages of a work go. */
export const recipients = ({ recipients }: Work): ReadonlyArray<string> =>
  Array.from({ length: recipients }, (_, i) => `user${i}@example.net`)

const header = `From: ${sender}\r\nTo: user0@example.net\r\nSubject: bench\r\nMIME-Version: 1.0\r\n\r\n`
const line = `${"The quick brown fox jumps over the lazy dog. ".repeat(2).slice(0, 76)}\r\n`
const twenty = `${line.repeat(19)}.${line.slice(1)}`

/** The content of every message of a work: lines of 76 characters and CRLF, each twentieth begins with a dot. */
export const content = ({ size }: Work): Buffer => {
  const body = Buffer.alloc(Math.max(0, size - header.length - 2), twenty)
  // No line end in halves.
  for (let at = body.length - 1; at >= 0 && (body[at] === 13 || body[at] === 10); at--) body[at] = 0x78
  return Buffer.concat([Buffer.from(header), body, Buffer.from("\r\n")])
}

/** What a work that streams repeats until it has its size. */
export const chunk = Buffer.alloc(line.length * 840, twenty)

/** Content as a work that streams makes it. */
export function* chunks({ size }: Work): Generator<Buffer> {
  for (let left = size; left > 0; left -= chunk.length) yield left < chunk.length ? chunk.subarray(0, left) : chunk
}
