/**
 * The server of a work: Postfix's smtp-sink for small messages, ours for large ones and where it is about CHUNKING,
 * TLS or AUTH; behind a delay where the work has one.
 */
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { talk, talkToModule } from "./talk.ts"
import type { Options } from "./sink.ts"
import type { Target, Work } from "./work.ts"

const smtpSink = "/usr/sbin/smtp-sink"
const hasSmtpSink = Fs.existsSync(smtpSink)
if (!hasSmtpSink) process.stderr.write(`${smtpSink} is not there (apt-get install postfix): the sink in Node is used\n`)

export interface Sink {
  readonly target: Target
  readonly end: () => Promise<unknown>
}

const startSmtpSink = async (): Promise<Sink> => {
  // It cannot choose a port by itself.
  const free = Net.createServer().listen(0, "127.0.0.1")
  await once(free, "listening")
  const { port } = free.address() as Net.AddressInfo
  free.close()
  await once(free, "close")
  // As root it wants to be somebody else.
  const as = process.getuid?.() === 0 ? ["-u", "nobody"] : []
  const { end, ended } = talk(smtpSink, [...as, "-a", `127.0.0.1:${port}`, "128"])
  for (;;) {
    const listening = await Promise.race([connects(port), ended])
    if (listening instanceof Error) throw listening
    if (listening) return { target: { port }, end }
    await sleep(20)
  }
}

const connects = async (port: number): Promise<boolean> => {
  const socket = Net.connect({ port, host: "127.0.0.1" })
  const connected = await once(socket, "connect").then(() => true, () => false)
  socket.destroy()
  return connected
}

/** It looks at each octet for itself: with more content or more recipients it would be what is timed. */
const suits = ({ recipients, security, size, transfer }: Work): boolean =>
  transfer === "DATA" && security === "plain" && size <= 1024 && recipients === 1

const startSink = async (work: Work): Promise<Sink> => {
  if (hasSmtpSink && suits(work)) return startSmtpSink()
  const { security, transfer } = work
  const options: Options = { chunking: transfer === "CHUNKING", security }
  const sink = talkToModule("sink.ts", JSON.stringify(options))
  return { target: await sink.hear() as Target, end: sink.end }
}

export const start = async (work: Work): Promise<Sink> => {
  const sink = await startSink(work)
  if (work.delay === 0) return sink
  const delay = talkToModule("delay.ts", String(sink.target.port), String(work.delay / 2))
  const { port } = await delay.hear() as Target
  return { target: { ...sink.target, port }, end: () => Promise.all([delay.end(), sink.end()]) }
}
