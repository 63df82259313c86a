/**
 * The limit: sockets by hand with the wire behaviour of the library (the envelope in one
 * write, then DATA, then the content), and no more reading of replies than counting them.
 */
import * as Net from "node:net"
import { content, type Make, recipients, type Work } from "../work.ts"

class Raw {
  readonly socket: Net.Socket
  waiting = 0
  wake: () => void = () => {}

  constructor(port: number) {
    this.socket = Net.connect({ port, host: "127.0.0.1", noDelay: true })
    this.socket.on("data", (bytes: Buffer) => {
      // A line that is no continuation ends a reply.
      for (let at = 0, end = bytes.indexOf(10, at); end !== -1; at = end + 1, end = bytes.indexOf(10, at)) {
        if (bytes[at + 3] !== 0x2d) this.waiting--
      }
      if (this.waiting <= 0) this.wake()
    })
  }

  replies(count: number): Promise<void> {
    this.waiting += count
    return this.waiting <= 0 ? Promise.resolve() : new Promise((resolve) => {
      this.wake = resolve
    })
  }

  say(bytes: string | Uint8Array, replies: number): Promise<void> {
    this.socket.write(bytes)
    return this.replies(replies)
  }
}

const wire = (work: Work) => {
  const to = recipients(work)
  return {
    envelope: `MAIL FROM:<ann@example.org>\r\n${to.map((mailbox) => `RCPT TO:<${mailbox}>\r\n`).join("")}`,
    replies: 1 + to.length,
    content: new TextEncoder().encode(`${content(work).replaceAll("\r\n.", "\r\n..")}.\r\n`)
  }
}

export const make: Make = async (work, port) => {
  const { content, envelope, replies } = wire(work)
  const open = async () => {
    const raw = new Raw(port)
    await raw.replies(1)
    await raw.say("EHLO client.example\r\n", 1)
    return raw
  }
  const message = async (raw: Raw) => {
    await raw.say(envelope, replies)
    await raw.say("DATA\r\n", 1)
    await raw.say(content, 1)
  }
  const kept = work.connection === "kept" ? await open() : undefined
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) {
        const raw = kept ?? await open()
        await message(raw)
        if (kept === undefined) {
          await raw.say("QUIT\r\n", 1)
          raw.socket.destroy()
        }
      }
    },
    close: async () => {
      kept?.socket.destroy()
    }
  }
}
