import { Effect } from "effect"
import * as Net from "node:net"
import { TcpServer } from "@postern/testing"
const message = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\n"
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const server = yield* TcpServer.make({})
  const s = Net.connect({host: "127.0.0.1", port: server.port})
  s.on("data", (d) => console.log("A", String(d))).on("close", () => console.log("A close"))
  s.write(message + "QUIT\r\n")
  yield* Effect.sleep(300)
  console.log(yield* server.open)
  const t = Net.connect({host: "127.0.0.1", port: server.port})
  t.on("data", (d) => console.log("B", String(d))).on("close", () => console.log("B close"))
  t.once("data", () => { for (const line of message.split(/(?<=\n)/)) t.write(line) })
  yield* Effect.sleep(300)
  t.end("QUIT\r\n")
  yield* Effect.sleep(300)
  console.log(yield* server.open)
})))
