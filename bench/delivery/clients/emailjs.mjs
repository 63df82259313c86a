// emailjs: its SMTPClient sends one message after another on one connection, which it ends after a second without
// any; so each round has a client. It composes each message itself.
import { Message, SMTPClient } from "emailjs"
import { content, recipients, sender } from "../work.ts"

export const make = async (work, { port }) => {
  const text = content(work).toString("latin1").split("\r\n\r\n").slice(1).join("\r\n\r\n")
  const to = recipients(work).join(", ")
  return {
    send: async (messages) => {
      const client = new SMTPClient({ host: "127.0.0.1", port, ssl: false, tls: false, timeout: 60_000 })
      for (let i = 0; i < messages; i++) {
        await client.sendAsync(new Message({ from: sender, to, subject: "bench", text }))
      }
      client.smtp.close(true)
    },
    close: async () => {}
  }
}
