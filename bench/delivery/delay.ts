/**
 * A network of its own: `delay.ts PORT MILLISECONDS` listens on loopback, prints its port as JSON, and passes what
 * comes on to that port so much later, each way. It delays only: as many octets are on their way as were sent.
 */
import * as Net from "node:net"
import { performance } from "node:perf_hooks"
import type { Target } from "./work.ts"

const [port, milliseconds] = process.argv.slice(2).map(Number)

/** Passes octets on in order, each when it is due; timers have only whole milliseconds, and may come early. */
const later = (from: Net.Socket, to: Net.Socket): void => {
  const held: Array<{ readonly due: number; readonly pass: () => void }> = []
  let timed = false
  const pass = () => {
    timed = false
    for (let first = held[0]; first !== undefined && first.due <= performance.now(); first = held[0]) {
      held.shift()
      first.pass()
    }
    wait()
  }
  const wait = () => {
    const [first] = held
    if (timed || first === undefined) return
    timed = true
    setTimeout(pass, Math.max(0, first.due - performance.now()))
  }
  const hold = (pass: () => void) => {
    held.push({ due: performance.now() + (milliseconds ?? 0), pass })
    wait()
  }
  from.on("data", (bytes) => hold(() => to.write(bytes)))
  from.on("end", () => hold(() => to.end()))
  from.on("error", () => to.destroy())
}

const server = Net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const upstream = Net.connect({ port: port ?? 0, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
  later(client, upstream)
  later(upstream, client)
})
server.listen(0, "127.0.0.1", () => {
  const target: Target = { port: (server.address() as Net.AddressInfo).port }
  process.stdout.write(`${JSON.stringify(target)}\n`)
})
