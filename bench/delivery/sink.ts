/**
 * A server that takes everything and keeps nothing: `sink.ts` listens on loopback, prints its
 * port, and runs until it is ended. As little work as a server can do, so that the client is
 * what is timed.
 */
import * as Net from "node:net"

const greeting = "220 sink ESMTP\r\n"
const ehlo = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"
const end = Buffer.from("\r\n.\r\n")

const server = Net.createServer({ noDelay: true }, (socket) => {
  let held: Buffer = Buffer.alloc(0)
  let content = false
  let chunk = 0
  socket.on("error", () => socket.destroy())
  socket.on("data", (bytes: Buffer) => {
    let input = held.length === 0 ? bytes : Buffer.concat([held, bytes])
    let replies = ""
    for (;;) {
      if (chunk > 0) {
        const taken = Math.min(chunk, input.length)
        chunk -= taken
        input = input.subarray(taken)
        if (chunk > 0) break
        replies += "250 2.0.0 Ok: queued\r\n"
        continue
      }
      if (content) {
        const at = input.indexOf(end)
        if (at === -1) {
          // The end may come in two.
          input = input.subarray(Math.max(0, input.length - end.length + 1))
          break
        }
        input = input.subarray(at + end.length)
        content = false
        replies += "250 2.0.0 Ok: queued\r\n"
        continue
      }
      const line = input.indexOf(10)
      if (line === -1) break
      const verb = input.toString("latin1", 0, 4).toUpperCase()
      if (verb === "EHLO") replies += ehlo
      else if (verb === "DATA") {
        replies += "354 go\r\n"
        content = true
      } else if (verb === "BDAT") {
        chunk = Number.parseInt(input.toString("latin1", 5, line), 10)
        if (chunk === 0) replies += "250 2.0.0 Ok: queued\r\n"
      } else if (verb === "QUIT") {
        socket.end(`${replies}221 bye\r\n`)
        return
      } else replies += "250 2.0.0 Ok\r\n"
      input = input.subarray(line + 1)
    }
    held = Buffer.from(input)
    if (replies !== "") socket.write(replies)
  })
  socket.write(greeting)
})
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as Net.AddressInfo).port}\n`))
