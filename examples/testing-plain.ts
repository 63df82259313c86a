/**
 * A test without Effect, as it may stand in vitest, jest or node:test: a server on a socket,
 * and a program that is given its address. This one speaks SMTP by hand; yours may use
 * whatever it likes.
 */
import { SimulatedServer } from "@postern/testing"
import * as Net from "node:net"

/** The program: sends a notice, and knows nothing of who listens. */
const notify = (port: number, recipient: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const left = [
      "EHLO client.example",
      "MAIL FROM:<alerts@example.org>",
      `RCPT TO:<${recipient}>`,
      "DATA",
      "From: Alerts <alerts@example.org>\r\nSubject: Disk full\r\n\r\nPlease look.\r\n.",
      "QUIT"
    ]
    const socket = Net.connect(port, "127.0.0.1")
    socket.setEncoding("utf8")
    socket.on("data", (text) => {
      const line = left.shift()
      if (/^[45]/.test(text.toString())) reject(new Error(text.toString().trim()))
      else if (line !== undefined) socket.write(`${line}\r\n`)
    })
    socket.once("error", reject)
    socket.once("close", resolve)
  })

export const main = async () => {
  await using server = await SimulatedServer.start({ unknownUsers: ["nobody@example.org"] }, { tls: false })
  await notify(server.port, "ben@example.org")
  const mail = await server.waitForMessage({ to: "ben@example.org" })
  const refused = await notify(server.port, "nobody@example.org").catch((error: Error) => error.message)
  const missing = await server.waitForMessage({ to: "nobody@example.org" }, { within: "10 millis" })
    .catch((error: Error) => error.message)
  return { subject: mail.subject, text: mail.text, refused, missing }
}

if (import.meta.main) console.log(await main())
