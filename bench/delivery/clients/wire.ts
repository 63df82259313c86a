/**
 * A socket by hand: octets that go out together are one write, replies are counted and not read.
 */
import { once } from "node:events"
import type * as Net from "node:net"
import * as Tls from "node:tls"

/** What is smaller than this is copied together; what is larger goes out as it stands. */
const copied = 16_384

export class Wire {
  socket: Net.Socket
  /** Replies that have not come. */
  owed = 0
  /** A waiter wakes when no more than this are owed. */
  enough = 0
  wake: (() => void) | undefined = undefined
  fail: (error: Error) => void = () => {}
  problem: Error | undefined = undefined
  /** How far the line being read has come, and whether another one follows it. */
  column = 0
  more = false
  /** Octets put since `start` that are not written. */
  buffer = Buffer.allocUnsafe(4 * copied)
  start = 0
  end = 0

  constructor(socket: Net.Socket) {
    this.socket = this.listen(socket)
  }

  listen(socket: Net.Socket): Net.Socket {
    return socket.on("data", this.take).on("error", this.ended).on("close", this.ended)
  }

  ended = (error: unknown): void => {
    this.problem ??= error instanceof Error ? error : new Error("the server closed the connection")
    this.fail(this.problem)
  }

  // A line that is no continuation ends a reply.
  take = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; at++) {
      const octet = bytes[at] ?? 0
      if (octet === 10) {
        this.column = 0
        if (!this.more) this.owed--
      } else {
        if (this.column === 0 && octet > 0x33) this.ended(new Error(`refused: ${bytes.subarray(at)}`))
        if (this.column === 3) this.more = octet === 0x2d
        this.column++
      }
    }
    if (this.owed < 0) this.ended(new Error("a reply too many"))
    if (this.owed <= this.enough) this.wake?.()
  }

  put(octets: string | Uint8Array): void {
    const small = octets.length < copied
    if (!small || octets.length > this.buffer.length - this.end) this.write()
    if (!small) {
      this.socket.cork()
      this.socket.write(octets, "latin1")
      return
    }
    if (octets.length > this.buffer.length - this.end) {
      this.buffer = Buffer.allocUnsafe(4 * copied)
      this.start = 0
      this.end = 0
    }
    if (typeof octets === "string") this.buffer.write(octets, this.end, "latin1")
    else this.buffer.set(octets, this.end)
    this.end += octets.length
  }

  write(): void {
    if (this.end === this.start) return
    this.socket.write(this.buffer.subarray(this.start, this.end))
    this.start = this.end
  }

  /** Writes what was put, which gets so many replies. */
  send(replies: number): void {
    this.owed += replies
    this.write()
    while (this.socket.writableCorked > 0) this.socket.uncork()
  }

  /** Waits until no more replies than this are owed. */
  replies(enough = 0): Promise<void> | undefined {
    if (this.problem !== undefined) throw this.problem
    if (this.owed <= enough) return undefined
    this.enough = enough
    return new Promise((resolve, reject) => {
      this.wake = resolve
      this.fail = reject
    })
  }

  ask(octets: string, replies = 1): Promise<void> | undefined {
    this.put(octets)
    this.send(replies)
    return this.replies()
  }

  async drained(): Promise<void> {
    if (this.socket.writableNeedDrain) await once(this.socket, "drain")
  }

  async upgrade(options: Tls.ConnectionOptions): Promise<void> {
    this.socket.off("data", this.take)
    this.socket = this.listen(Tls.connect({ socket: this.socket, ...options }))
    await once(this.socket, "secureConnect")
  }

  close(): void {
    this.fail = () => {}
    this.socket.destroy()
  }
}
