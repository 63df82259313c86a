// nodemailer. One connection: its SMTPConnection, which is faster than its pool of one. Several: its pool. A
// connection for each message: its transport.
import { createTransport } from "nodemailer"
import SMTPConnection from "nodemailer/lib/smtp-connection"
import DataStream from "nodemailer/lib/smtp-connection/data-stream.js"
import { once } from "node:events"
import { Readable } from "node:stream"
import { replies } from "../replies.ts"
import { chunks, connections, content, password, recipients, sender, user } from "../work.ts"

const optionsOf = (work, { ca, port }) => ({
  host: "127.0.0.1",
  port,
  secure: work.security === "tls",
  ignoreTLS: work.security === "plain",
  requireTLS: work.security === "startTls",
  tls: { ca },
  ...(work.security === "startTls" ? { auth: { user, pass: password } } : {})
})

const envelopeOf = (work) => ({ from: sender, to: recipients(work) })

const kept = async (work, target) => {
  const connection = new SMTPConnection(optionsOf(work, target))
  await new Promise((resolve, reject) => {
    connection.once("error", reject)
    connection.connect(resolve)
  })
  const envelope = envelopeOf(work)
  const whole = work.way === "stream" ? undefined : content(work)
  const one = () =>
    new Promise((resolve, reject) =>
      connection.send(
        envelope,
        whole ?? Readable.from(chunks(work), { objectMode: false }),
        (error, info) => error || info.rejected.length > 0 ? reject(error ?? new Error("refused")) : resolve()
      )
    )
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) await one()
    },
    close: async () => connection.close()
  }
}

/** The transport with so many messages given to it at one time. */
const transporting = (work, options, atOnce) => {
  const transport = createTransport(options)
  const message = { envelope: envelopeOf(work), raw: content(work) }
  return {
    send: async (messages) => {
      let left = messages
      const some = async () => {
        for (; left > 0; left--) await transport.sendMail(message)
      }
      await Promise.all(Array.from({ length: atOnce }, some))
    },
    close: async () => transport.close()
  }
}

// As its connection does it: a Transform for each message.
const stuffing = (work) => {
  const octets = content(work)
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) {
        const stream = new DataStream()
        stream.on("data", () => {})
        stream.end(octets)
        await once(stream, "end")
      }
    },
    close: async () => {}
  }
}

// A connection that has no socket and waits for as many replies as come with a segment.
const decoding = (work) => {
  const connection = new SMTPConnection({})
  const { count, segments } = replies(work)
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) {
        await new Promise((resolve) => {
          let left = count
          const taken = () => {
            if (--left === 0) resolve()
          }
          let next = 0
          const feed = () => {
            if (next === segments.length) return
            const segment = segments[next++]
            for (let n = 0; n < segment.replies; n++) connection._responseActions.push(n === segment.replies - 1 ? () => { taken(); feed() } : taken)
            connection._onData(segment.bytes)
          }
          feed()
        })
      }
    },
    close: async () => {}
  }
}

export const make = async (work, target) => {
  switch (work.way) {
    case "decode":
      return decoding(work)
    case "stuff":
      return stuffing(work)
    case "connect":
      return transporting(work, optionsOf(work, target), 1)
    case "pool":
      return transporting(
        work,
        { ...optionsOf(work, target), pool: true, maxConnections: connections, maxMessages: Infinity },
        16 * connections
      )
    default:
      return kept(work, target)
  }
}
