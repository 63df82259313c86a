import { Message, SMTPClient } from "emailjs"
import manifest from "../../package.json" with { type: "json" }

export const peer = {
  name: "emailjs",
  version: manifest.dependencies.emailjs,
  send: async (port) => {
    const client = new SMTPClient({ host: "127.0.0.1", port, ssl: false, tls: false, timeout: 2000 })
    const message = new Message({ from: "a@b.example", to: "c@d.example", subject: "x", text: "x" })
    await client.sendAsync(message).catch((error) => error)
    client.smtp.close(true)
  }
}
