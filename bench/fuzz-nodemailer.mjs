// Another client's reply parser, fuzzed with our arbitraries: nodemailer's connection is greeted with what they make, and
// what it takes for a greeting is held against RFC 5321 §4.2 as our decoder reads it.
//
//   npm --prefix bench ci && node --conditions=@postern/source bench/fuzz-nodemailer.mjs
import { Reply } from "@postern/core"
import { hostileReplyBytes } from "@postern/testing/Arbitraries"
import * as fc from "fast-check"
import SMTPConnection from "nodemailer/lib/smtp-connection/index.js"
import { once } from "node:events"
import * as Net from "node:net"

let greeting = new Uint8Array(0)
const server = Net.createServer((socket) => {
  socket.on("error", () => {})
  socket.write(greeting)
  // Whatever the client says is agreed to; a client that says nothing is told so by the end.
  let heard = false
  socket.on("data", () => {
    heard = true
    socket.write("250 ok\r\n")
  })
  setTimeout(() => heard || socket.end(), 60).unref()
})
server.listen(0, "127.0.0.1")
await once(server, "listening")

const nodemailer = (bytes) =>
  new Promise((resolve) => {
    greeting = bytes
    const connection = new (SMTPConnection.default ?? SMTPConnection)({
      host: "127.0.0.1",
      port: server.address().port,
      ignoreTLS: true,
      greetingTimeout: 500
    })
    connection.once("error", (error) => resolve(`refused: ${error.message}`))
    connection.once("end", () => resolve("refused: end"))
    connection.connect((error) => {
      resolve(error ? `refused: ${error.message}` : "taken")
      connection.close()
    })
  })

const ours = (bytes) => {
  const decoder = Reply.decoder()
  decoder.push(bytes)
  const first = decoder.next()
  if (first === undefined) return "refused: incomplete"
  if (first._tag === "Failure") return `refused: ${first.failure.problem}`
  return first.success.code === 220 ? "taken" : `refused: ${first.success.code}`
}

const as220 = hostileReplyBytes.map((bytes) => Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll(/25[0-9]/g, "220"), "latin1"))

const seen = new Map()
for (let seed = 1; seed <= 12; seed++) {
  const property = fc.asyncProperty(as220, async (bytes) => {
    const [mine, theirs] = [ours(bytes), await nodemailer(bytes)]
    const kind = `ours ${mine.split(" ").slice(0, 4).join(" ")}, nodemailer ${theirs.split(":")[0]}`
    return mine.split(":")[0] === theirs.split(":")[0] || seen.has(kind)
  })
  const found = await fc.check(property, { seed, numRuns: 150, interruptAfterTimeLimit: 20_000 })
  if (found.counterexample === null) continue
  const [bytes] = found.counterexample
  const [mine, theirs] = [ours(bytes), await nodemailer(bytes)]
  seen.set(`ours ${mine.split(" ").slice(0, 4).join(" ")}, nodemailer ${theirs.split(":")[0]}`, true)
  console.log(`${JSON.stringify(Reply.escape(bytes))}\n  postern:    ${mine}\n  nodemailer: ${theirs}`)
}
server.close()
process.exit(0)
