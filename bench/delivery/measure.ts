/**
 * Clients taking turns at a work, each in a process of its own that lives for all rounds, so that whatever slows the
 * machine slows them all. A rate is the median of its rounds, a ratio the median of the ratios of rounds.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type Talk, talk, talkToModule } from "./talk.ts"
import * as Sinks from "./sinks.ts"
import { type Ask, content, type Timing, type Work } from "./work.ts"

/** What is printed of a client and a work. */
export interface Row {
  readonly work: string
  readonly client: string
  readonly messagesPerSecond: number
  /** Of content, millions of octets. */
  readonly megabytesPerSecond: number
  readonly cpuMicrosPerMessage: number
  readonly peakRssMiB: number
  /** Connected, before the first message. */
  readonly idleRssMiB: number
  readonly ratioToNodemailer: number
  readonly ratioToRaw: number
  /** The least and the largest ratio of a round to nodemailer, and to raw. */
  readonly spread: readonly [number, number]
  readonly spreadToRaw: readonly [number, number]
}

interface Peer {
  /** The arguments are the work, where it goes to, how long to warm up, and a file with its content. */
  readonly start: (args: ReadonlyArray<string>) => Talk
  readonly can: (work: Work) => boolean
}

const inNode = (module: string, can: Peer["can"]): Peer => ({
  start: (args) => talkToModule("run-client.ts", module, ...args),
  can
})

const inPython = (script: string, can: Peer["can"]): Peer => ({
  start: (args) => talk("python3", ["-B", Path.join(import.meta.dirname, "clients", script), ...args]),
  can
})

/** What every client can do: one connection without TLS, replies awaited. */
const simple = (work: Work): boolean =>
  (work.way === "send" || work.way === "sendAll") && work.transfer === "DATA" && work.security === "plain"
  && work.delay === 0 && work.recipients < 1000

const peers: Readonly<Record<string, Peer>> = {
  raw: inNode("./clients/raw.ts", ({ way }) => way !== "decode"),
  nodemailer: inNode("./clients/nodemailer.mjs", () => true),
  postern: inNode("./clients/postern.ts", () => true),
  "smtp-source": inPython("smtp_source.py", simple),
  smtplib: inPython("smtplib_client.py", simple),
  emailjs: inNode("./clients/emailjs.mjs", simple)
}

export interface Options {
  readonly rounds: number
  /** Seconds. */
  readonly warmUp: number
  readonly ask: Ask
  readonly clients?: ReadonlyArray<string> | undefined
  readonly progress: (what: string) => void
}

/** The timings of each client that could do the work, by round. */
export const time = async (
  work: Work,
  { ask, clients = Object.keys(peers), progress, rounds, warmUp }: Options
): Promise<ReadonlyMap<string, ReadonlyArray<Timing>>> => {
  const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "bench-"))
  const file = Path.join(directory, "content")
  const able = clients.filter((client) => peers[client]?.can(work))
  if (simple(work)) Fs.writeFileSync(file, content(work))
  const sink = await Sinks.start(work)
  const args = [JSON.stringify(work), JSON.stringify(sink.target), String(warmUp), file]
  const started = new Map<string, Talk>()
  const timings = new Map<string, Array<Timing>>()
  const without = async (client: string, error: unknown) => {
    progress("")
    process.stderr.write(`${client} cannot do "${work.name}": ${(error as Error).message}\n`)
    timings.delete(client)
    const talk = started.get(client)
    started.delete(client)
    await talk?.end()
  }
  try {
    for (const client of able) {
      progress(`${work.name}: ${client} warms up`)
      const talk = peers[client]?.start(args)
      if (talk === undefined) continue
      started.set(client, talk)
      timings.set(client, [])
      await talk.hear().catch((error) => without(client, error))
    }
    for (let round = 0; round < rounds; round++) {
      for (const [client, { hear, say }] of started) {
        progress(`${work.name}: round ${round + 1} of ${rounds}, ${client}`)
        say(ask)
        await hear().then((timing) => timings.get(client)?.push(timing as Timing), (error) => without(client, error))
      }
    }
  } finally {
    progress("")
    await Promise.all([...started.values()].map(({ end }) => end()))
    await sink.end()
    Fs.rmSync(directory, { recursive: true })
  }
  return timings
}

export const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

const rate = (timing: Timing | undefined): number =>
  timing === undefined ? Number.NaN : timing.messages / timing.seconds

export const rows = (work: Work, timings: ReadonlyMap<string, ReadonlyArray<Timing>>): ReadonlyArray<Row> =>
  [...timings].map(([client, timed]) => {
    const ratios = (peer: string) => timed.map((timing, round) => rate(timing) / rate(timings.get(peer)?.[round]))
    const spread = (ratios: ReadonlyArray<number>) => [Math.min(...ratios), Math.max(...ratios)] as const
    const messagesPerSecond = median(timed.map(rate))
    return {
      work: work.name,
      client,
      messagesPerSecond,
      megabytesPerSecond: messagesPerSecond * work.size / 1e6,
      cpuMicrosPerMessage: median(timed.map(({ cpuMicros, messages }) => cpuMicros / messages)),
      peakRssMiB: Math.max(...timed.map(({ peakRssMiB }) => peakRssMiB)),
      idleRssMiB: median(timed.map(({ idleRssMiB }) => idleRssMiB)),
      ratioToNodemailer: median(ratios("nodemailer")),
      ratioToRaw: median(ratios("raw")),
      spread: spread(ratios("nodemailer")),
      spreadToRaw: spread(ratios("raw"))
    }
  })
