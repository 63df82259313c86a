// nodemailer: its SMTPConnection where one connection is kept, its transport where each message has one.
import { createTransport } from "nodemailer"
import SMTPConnection from "nodemailer/lib/smtp-connection/index.js"
import { content, recipients } from "../work.ts"

export const make = async (work, port) => {
  const raw = Buffer.from(content(work))
  const envelope = { from: "ann@example.org", to: recipients(work) }
  const options = { host: "127.0.0.1", port, ignoreTLS: true, secure: false }
  if (work.connection === "each") {
    const transport = createTransport(options)
    return {
      send: async (messages) => {
        for (let i = 0; i < messages; i++) await transport.sendMail({ envelope, raw })
      },
      close: async () => transport.close()
    }
  }
  const connection = new (SMTPConnection.default ?? SMTPConnection)(options)
  await new Promise((resolve, reject) => {
    connection.once("error", reject)
    connection.connect(resolve)
  })
  const one = () =>
    new Promise((resolve, reject) => connection.send(envelope, raw, (error) => error ? reject(error) : resolve()))
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) await one()
    },
    close: async () => connection.close()
  }
}
