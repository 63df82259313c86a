/**
 * The limit: sockets by hand with the wire behaviour of this library. Each message's commands are made anew; its
 * content is at hand as it goes over the wire, dots doubled. Of what is no sending it copies the octets.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Work from "../work.ts"
import { Wire } from "./wire.ts"

/** Whether whole messages that follow one another each begin with RSET. */
const rset = true

interface Message {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly content: Buffer
}

const messageOf = (work: Work.Work, content: Buffer): Message => ({
  from: Work.sender,
  to: Work.recipients(work),
  content
})

/** Dots doubled, and the end. */
const stuffed = (content: Buffer): Buffer =>
  Buffer.from(`${content.toString("latin1").replaceAll("\r\n.", "\r\n..")}.\r\n`, "latin1")

const envelope = ({ from, to }: Message): string => {
  let lines = `MAIL FROM:<${from}>\r\n`
  for (const mailbox of to) lines += `RCPT TO:<${mailbox}>\r\n`
  return lines
}

const open = async (work: Work.Work, { ca, port }: Work.Target): Promise<Wire> => {
  const peer = { port, host: "127.0.0.1" }
  const wire = new Wire(
    work.security === "tls" ? Tls.connect({ ...peer, ca }).setNoDelay(true) : Net.connect({ ...peer, noDelay: true })
  )
  wire.send(1)
  await wire.replies()
  await wire.ask("EHLO client.example\r\n")
  return wire
}

type Send = (wire: Wire, messages: number) => Promise<void>

/** Two round trips for each: the envelope with DATA, the content. */
const oneByOne = (work: Work.Work): Send => {
  const message = messageOf(work, stuffed(Work.content(work)))
  return async (wire, messages) => {
    for (let i = 0; i < messages; i++) {
      await wire.ask(`${envelope(message)}DATA\r\n`, 2 + work.recipients)
      wire.put(message.content)
      wire.send(1)
      await wire.replies()
    }
  }
}

/** One round trip for each: the next envelope rides with the content (RFC 2920 §3.1). */
const riding = (work: Work.Work): Send => {
  const message = messageOf(work, stuffed(Work.content(work)))
  return async (wire, messages) => {
    for (let i = 0; i < messages; i++) {
      wire.put(`${envelope(message)}DATA\r\n`)
      wire.send((i === 0 ? 2 : 3) + work.recipients)
      await wire.replies()
      wire.put(message.content)
    }
    wire.send(1)
    await wire.replies()
  }
}

/** Whole messages one after another (RFC 3030), a window of them without a reply. */
const windows = (work: Work.Work): Send => {
  const message = messageOf(work, Work.content(work))
  const replies = (rset ? 3 : 2) + work.recipients
  const most = Math.min(Work.window.messages, Math.ceil(Work.window.octets / work.size))
  const together = Math.max(1, Math.min(most >> 1, Math.floor(65_536 / work.size)))
  return async (wire, messages) => {
    for (let left = messages; left > 0; left -= together) {
      const some = Math.min(left, together)
      for (let i = 0; i < some; i++) {
        wire.put(`${rset ? "RSET\r\n" : ""}${envelope(message)}BDAT ${message.content.length} LAST\r\n`)
        wire.put(message.content)
      }
      wire.send(some * replies)
      await wire.replies((most - together) * replies)
      await wire.drained()
    }
    await wire.replies()
  }
}

const streaming = (work: Work.Work): Send => {
  const message = messageOf(work, stuffed(Work.chunk).subarray(0, -3))
  return async (wire, messages) => {
    for (let i = 0; i < messages; i++) {
      await wire.ask(`${envelope(message)}DATA\r\n`, 2 + work.recipients)
      for (const { length } of Work.chunks(work)) {
        wire.put(message.content.subarray(0, length < Work.chunk.length ? length : undefined))
        wire.send(0)
        await wire.drained()
      }
      await wire.ask("\r\n.\r\n")
    }
  }
}

/** Every connection but the first resumes the TLS session of the one before. */
const connecting = (work: Work.Work, target: Work.Target): Work.Client => {
  const send = oneByOne(work)
  const auth = Buffer.from(`\0${Work.user}\0${Work.password}`).toString("base64")
  let session: Buffer | undefined
  const one = async () => {
    const wire = await open(work, target)
    await wire.ask("STARTTLS\r\n")
    const secured = wire.upgrade({ host: "127.0.0.1", ca: target.ca, session })
    wire.socket.on("session", (ticket: Buffer) => {
      session = ticket
    })
    await secured
    await wire.ask("EHLO client.example\r\n")
    await wire.ask(`AUTH PLAIN ${auth}\r\n`)
    await send(wire, 1)
    await wire.ask("QUIT\r\n")
    wire.close()
  }
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) await one()
    },
    close: async () => {}
  }
}

const copying = (work: Work.Work): Work.Client => {
  const content = new Uint8Array(Work.content(work))
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) content.slice()
    },
    close: async () => {}
  }
}

const sending = (work: Work.Work): Send => {
  if (work.way === "send") return oneByOne(work)
  if (work.way === "stream") return streaming(work)
  return work.transfer === "CHUNKING" ? windows(work) : riding(work)
}

export const make: Work.Make = async (work, target) => {
  if (work.way === "connect") return connecting(work, target)
  if (work.way === "stuff") return copying(work)
  const send = sending(work)
  const wires = await Promise.all(
    Array.from({ length: work.way === "pool" ? Work.connections : 1 }, () => open(work, target))
  )
  return {
    send: async (messages) => {
      const some = wires.slice(0, messages)
      const each = Math.floor(messages / some.length)
      const rest = messages % some.length
      await Promise.all(some.map((wire, i) => send(wire, i < rest ? each + 1 : each)))
    },
    close: async () => wires.forEach((wire) => wire.close())
  }
}
