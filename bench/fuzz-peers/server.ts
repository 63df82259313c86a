/**
 * A server on loopback that answers MAIL with given octets, and looks at what its client makes
 * of them: whether it goes on, stops, or waits for more.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/** What a client did when it was answered. */
export type Deed = "goes on" | "stops" | "waits"

export interface Server {
  readonly port: number
  /** Answers the next client's MAIL with these chunks; gives what that client does then. */
  readonly answer: (chunks: ReadonlyArray<Uint8Array>) => Promise<Deed>
  readonly close: () => void
}

/** A client that says nothing for so long waits. */
const silence = 250

export const serve = async (): Promise<Server> => {
  let take: (socket: Net.Socket) => void = (socket) => socket.destroy()
  const server = Net.createServer({ noDelay: true }, (socket) => take(socket))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")

  const answer = (chunks: ReadonlyArray<Uint8Array>) =>
    new Promise<Deed>((resolve) => {
      take = (socket) => {
        take = (other) => other.destroy()
        let answered = false
        let timer: NodeJS.Timeout | undefined
        const done = (deed: Deed) => {
          clearTimeout(timer)
          resolve(deed)
          socket.destroy()
        }
        socket.on("error", () => done("stops"))
        socket.on("close", () => done("stops"))
        socket.on("end", () => done("stops"))
        socket.write("220 mx.example ESMTP\r\n")
        socket.on("data", async (bytes) => {
          const line = bytes.toString("latin1")
          if (answered) return done(/^(?:RCPT|DATA)/i.test(line) ? "goes on" : "stops")
          if (!/^MAIL/i.test(line)) return void socket.write("250 mx.example\r\n")
          answered = true
          for (const chunk of chunks) {
            socket.write(chunk)
            // A turn for each, so that they are read one by one.
            if (chunks.length > 1) await sleep(1)
          }
          timer = setTimeout(() => done("waits"), silence)
        })
      }
    })

  return { port: (server.address() as Net.AddressInfo).port, answer, close: () => server.close() }
}
