// emailjs: its SMTPClient keeps one connection and sends one message after another. It composes each message itself.
import { Message, SMTPClient } from "emailjs"
import { content, recipients } from "../work.ts"

export const make = async (work, port) => {
  const client = new SMTPClient({ host: "127.0.0.1", port, ssl: false, tls: false, timeout: 60_000 })
  const text = content(work).split("\r\n\r\n").slice(1).join("\r\n\r\n")
  const to = recipients(work).join(", ")
  return {
    send: async (messages) => {
      for (let i = 0; i < messages; i++) {
        await client.sendAsync(new Message({ from: "ann@example.org", to, subject: "bench", text }))
      }
    },
    close: async () => client.smtp.close(true)
  }
}
