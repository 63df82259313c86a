/**
 * A server that takes everything and keeps nothing: `sink.ts OPTIONS` listens on loopback, prints its port and the
 * certificate to trust as JSON, and runs until it is ended. As little work as a server can do, so that the client
 * is what is timed: replies to what came together leave together, content is looked at for its end alone.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Target } from "./work.ts"

/** What it offers. */
export interface Options {
  readonly chunking: boolean
  readonly security: "plain" | "tls" | "startTls"
}

const { chunking, security } = JSON.parse(process.argv[2] ?? "{}") as Options

const greeting = Buffer.from("220 sink ESMTP\r\n")
const starting = Buffer.from("220 2.0.0 Ready to start TLS\r\n")
const authenticated = Buffer.from("235 2.7.0 Authentication successful\r\n")
const challenge = Buffer.from("334 \r\n")
const go = Buffer.from("354 End data with <CR><LF>.<CR><LF>\r\n")
const bye = Buffer.from("221 2.0.0 Bye\r\n")
const ok = Buffer.from("250 2.0.0 Ok\r\n")
/** Most replies are this one, and many leave at once, often with that to DATA after them. */
const many = 4096
const oks = Buffer.alloc(ok.length * many, ok)
const oksAndGo = Buffer.concat([oks, go])

const capabilities = (secured: boolean): Buffer => {
  const words = ["sink", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
  if (chunking) words.push("CHUNKING")
  if (security === "startTls") words.push(secured ? "AUTH PLAIN" : "STARTTLS")
  return Buffer.from(words.map((word, i) => `250${i < words.length - 1 ? "-" : " "}${word}\r\n`).join(""))
}

/** RFC 5321 §4.1.1.4: the CRLF before it belongs to the content, or to DATA when there is none. */
const end = Buffer.from("\r\n.\r\n")

/** First letters of the verbs that are not simply agreed to. */
const A = 0x41
const B = 0x42
const D = 0x44
const E = 0x45
const Q = 0x51
const S = 0x53

class Session {
  readonly socket: Net.Socket
  readonly capabilities: Buffer
  /** The beginning of a line that has not come to its end. */
  held: Buffer | undefined = undefined
  /** Octets of BDAT to come. */
  chunk = 0
  /** Octets of `end` seen, while content comes. */
  matched = -1
  authenticating = false
  /** Positive replies that have not left. */
  positive = 0

  constructor(socket: Net.Socket, secured: boolean) {
    this.socket = socket
    this.capabilities = capabilities(secured)
  }

  greet(): this {
    this.socket.write(greeting)
    return this
  }

  start(): void {
    this.socket.on("data", this.take).on("error", () => this.socket.destroy())
  }

  take = (bytes: Buffer): void => {
    this.socket.cork()
    for (let at = 0; at < bytes.length;) {
      if (this.chunk > 0) at = this.skip(bytes, at)
      else if (this.matched >= 0) at = this.content(bytes, at)
      else at = this.line(bytes, at)
    }
    this.flush()
    this.socket.uncork()
  }

  skip(bytes: Buffer, at: number): number {
    const skipped = Math.min(this.chunk, bytes.length - at)
    this.chunk -= skipped
    if (this.chunk === 0) this.positive++
    return at + skipped
  }

  content(bytes: Buffer, from: number): number {
    let at = from
    // An end that came in halves.
    while (this.matched > 0 && this.matched < end.length && at < bytes.length) this.match(bytes[at++])
    if (this.matched === 0) {
      const found = bytes.indexOf(end, at)
      if (found === -1) {
        for (at = Math.max(at, bytes.length - end.length + 1); at < bytes.length; at++) this.match(bytes[at])
        return at
      }
      at = found + end.length
      this.matched = end.length
    }
    if (this.matched === end.length) {
      this.matched = -1
      this.positive++
    }
    return at
  }

  match(octet: number | undefined): void {
    if (octet === end[this.matched]) this.matched++
    else this.matched = octet === 13 ? 1 : 0
  }

  line(bytes: Buffer, at: number): number {
    const lf = bytes.indexOf(10, at)
    const next = lf === -1 ? bytes.length : lf + 1
    if (lf === -1 || this.held !== undefined) {
      const part = bytes.subarray(at, next)
      this.held = this.held === undefined ? Buffer.from(part) : Buffer.concat([this.held, part])
    }
    if (lf === -1) return next
    if (this.held === undefined) this.command(bytes, at, next)
    else {
      const line = this.held
      this.held = undefined
      this.command(line, 0, line.length)
    }
    return next
  }

  command(bytes: Buffer, at: number, next: number): void {
    if (this.authenticating) {
      this.authenticating = false
      return this.reply(authenticated)
    }
    switch ((bytes[at] ?? 0) & 0xdf) {
      case B:
        for (let i = at + 5; i < next; i++) {
          const digit = (bytes[i] ?? 0) - 0x30
          if (digit < 0 || digit > 9) break
          this.chunk = this.chunk * 10 + digit
        }
        if (this.chunk === 0) this.positive++
        return
      case D:
        this.matched = 2
        if (this.positive > many) this.flush()
        this.socket.write(oksAndGo.subarray((many - this.positive) * ok.length))
        this.positive = 0
        return
      case E:
        return this.reply(this.capabilities)
      case A:
        // AUTH PLAIN with its response or without.
        this.authenticating = next - at <= "AUTH PLAIN\r\n".length
        return this.reply(this.authenticating ? challenge : authenticated)
      case S:
        this.reply(starting)
        this.socket.uncork()
        this.socket.off("data", this.take)
        secure?.emit("connection", this.socket)
        return
      case Q:
        this.reply(bye)
        this.socket.end()
        return
    }
    this.positive++
  }

  reply(bytes: Buffer): void {
    this.flush()
    this.socket.write(bytes)
  }

  flush(): void {
    while (this.positive > 0) {
      const some = Math.min(this.positive, many)
      this.socket.write(oks.subarray(0, some * ok.length))
      this.positive -= some
    }
  }
}

const issued = security === "plain" ? undefined : await (await import("./certificate.ts")).issue()
const secure = issued && Tls.createServer({ cert: issued.cert, key: issued.key, noDelay: true }, (socket) => {
  const session = new Session(socket, true)
  if (security === "tls") session.greet()
  session.start()
})
secure?.on("tlsClientError", () => {})
const plain = Net.createServer({ noDelay: true }, (socket) => new Session(socket, false).greet().start())
const server = security === "tls" && secure !== undefined ? secure : plain
server.listen(0, "127.0.0.1", () => {
  const target: Target = { port: (server.address() as Net.AddressInfo).port, ca: issued?.ca }
  process.stdout.write(`${JSON.stringify(target)}\n`)
})
