/** Small proxies on loopback: what each is asked for is noted, and told to go on or to fail. */
import type { Scope } from "effect"
import { Effect } from "effect"
import * as Net from "node:net"
import { serve, type Server } from "./support.ts"

export interface Proxy extends Server {
  /** What clients asked for, as text. */
  readonly asked: Array<string>
}

/** Goes on to the port, whatever the name. What the server says first is joined to the answer, unless it waits. */
const onward = (socket: Net.Socket, { port, waits = false }: Onward, answer: Uint8Array) => {
  const server = Net.connect(port, "127.0.0.1")
  socket.on("close", () => server.destroy())
  server.on("error", () => socket.destroy()).on("close", () => socket.end())
  const go = (first: Uint8Array) => {
    socket.write(first)
    server.pipe(socket)
    socket.pipe(server)
  }
  if (waits) {
    server.once("connect", () => go(answer))
  } else {
    server.once("data", (greeting) => go(Buffer.concat([answer, greeting])))
  }
}

interface Onward {
  /** The port of the server to go on to. */
  readonly port: number
  /** The server says nothing before the client does. */
  readonly waits?: boolean | undefined
}

export interface SocksOptions extends Partial<Onward> {
  /** What is to be said: the method and the status of authentication, and the reply, in place of success. */
  readonly method?: Uint8Array | undefined
  readonly status?: Uint8Array | undefined
  readonly reply?: Uint8Array | undefined
}

export const reply = (code: number) => Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0)

/** SOCKS5 as in RFC 1928 and 1929, every message of the client in one segment. */
export const socks = (options: SocksOptions): Effect.Effect<Proxy, never, Scope.Scope> => {
  const asked: Array<string> = []
  const proxy = serve((socket) => {
    const next = (then: (message: Buffer) => void) => socket.once("data", then)
    const request = (message: Buffer) => {
      const [, , , type, length = 0] = message
      const host = type === 3 ? message.toString("latin1", 5, 5 + length) : message.subarray(4, -2).join(".")
      asked.push(`${host} ${message.readUInt16BE(message.length - 2)}`)
      const { port, waits } = options
      if (options.reply === undefined && port !== undefined) {
        return onward(socket, { port, waits }, reply(0))
      }
      socket.write(options.reply ?? reply(1))
    }
    next((greeting) => {
      asked.push(`methods ${greeting.subarray(2).join()}`)
      const method = options.method ?? Uint8Array.of(5, greeting.includes(2, 2) ? 2 : 0)
      socket.write(method)
      next(
        method[1] !== 2 ? request : (credentials) => {
          const length = credentials[1] ?? 0
          const [user, password] = [credentials.subarray(2, 2 + length), credentials.subarray(3 + length)]
          asked.push(`${user.toString()}:${password.toString()}`)
          socket.write(options.status ?? Uint8Array.of(1, 0))
          next(request)
        }
      )
    })
  })
  return Effect.map(proxy, (proxy) => ({ ...proxy, asked }))
}

/** CONNECT: `answer` instead of success, `port` is where it goes on to. */
export const connect = (
  options: Onward | { readonly answer: string },
  wrap: (onSocket: (socket: Net.Socket) => void) => (socket: Net.Socket) => void = (onSocket) => onSocket
): Effect.Effect<Proxy, never, Scope.Scope> => {
  const asked: Array<string> = []
  const proxy = serve(wrap((socket) => {
    socket.once("data", (request) => {
      asked.push(...request.toString("latin1").split("\r\n"))
      if ("port" in options) {
        return onward(socket, options, Buffer.from("HTTP/1.1 200 OK\r\n\r\n"))
      }
      socket.write(options.answer)
    })
  }))
  return Effect.map(proxy, (proxy) => ({ ...proxy, asked }))
}
