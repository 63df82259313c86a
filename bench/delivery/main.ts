/**
 * Messages per second against other clients: `npm run bench [-- --quick] [--json FILE] [--only TEXT]`.
 *
 * Clients take turns on one sink, each in a process of its own, so that whatever slows the
 * machine slows them all; a rate is the median of its rounds, a ratio the median of the
 * ratios of rounds. Peers are installed in `bench/` alone; one that is not there is named
 * and left out.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { content, type Timing, type Work, works } from "./work.ts"

const here = import.meta.dirname
const { values: flags } = parseArgs({
  options: { quick: { type: "boolean" }, json: { type: "string" }, only: { type: "string" } }
})
const rounds = flags.quick === true ? 3 : 5
const share = flags.quick === true ? 0.25 : 1

const node = (module: string) => (work: Work, port: number) =>
  [
    process.execPath,
    "--conditions=@postern/source",
    Path.join(here, "run-client.ts"),
    Path.join(here, module),
    JSON.stringify(work),
    String(port)
  ] as const

const clients: Readonly<Record<string, (work: Work, port: number) => ReadonlyArray<string>>> = {
  raw: node("clients/raw.ts"),
  nodemailer: node("clients/nodemailer.mjs"),
  postern: node("clients/postern.ts"),
  emailjs: node("clients/emailjs.mjs"),
  smtplib: (work, port) => ["python3", Path.join(here, "clients/python.py"), JSON.stringify(work), String(port)]
}

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
}

const time = async (client: string, work: Work, port: number): Promise<Timing | undefined> => {
  const [command = "", ...args] = clients[client]?.(work, port) ?? []
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], timeout: 120_000 })
  child.on("error", () => {})
  child.stdin.on("error", () => {})
  child.stdin.end(content(work))
  let out = ""
  let problem = ""
  child.stdout.on("data", (bytes) => out += bytes)
  child.stderr.on("data", (bytes) => problem += bytes)
  await ended(child).catch(() => {})
  try {
    return JSON.parse(out) as Timing
  } catch {
    process.stderr.write(
      `${client} cannot do "${work.name}": ${problem.trim().split("\n").at(-1) ?? "it was not found"}\n`
    )
    return undefined
  }
}

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

interface Row {
  readonly work: string
  readonly client: string
  readonly messagesPerSecond: number
  readonly cpuMicrosPerMessage: number
  readonly peakRssMiB: number
  readonly ratioToNodemailer: number
  readonly ratioToRaw: number
  /** The least and the largest ratio to nodemailer of a round. */
  readonly spread: readonly [number, number]
}

const rate = (timing: Timing | undefined): number =>
  timing === undefined ? Number.NaN : timing.messages / timing.seconds

const measure = async (work: Work, port: number): Promise<ReadonlyArray<Row>> => {
  const timings: Array<Record<string, Timing | undefined>> = []
  const able = new Set(Object.keys(clients))
  for (let round = 0; round < rounds; round++) {
    const timed: Record<string, Timing | undefined> = {}
    for (const client of able) {
      process.stderr.write(`\r\u001b[K${work.name}: round ${round + 1} of ${rounds}, ${client}`)
      timed[client] = await time(client, work, port)
      if (timed[client] === undefined) able.delete(client)
    }
    timings.push(timed)
  }
  process.stderr.write("\r\u001b[K")
  return [...able].map((client) => {
    const ratios = (peer: string) =>
      timings.map((timed) => rate(timed[client]) / rate(timed[peer])).filter((ratio) => !Number.isNaN(ratio))
    const toNodemailer = ratios("nodemailer")
    return {
      work: work.name,
      client,
      messagesPerSecond: median(timings.map((timed) => rate(timed[client]))),
      cpuMicrosPerMessage: median(
        timings.map((timed) => (timed[client]?.cpuMicros ?? Number.NaN) / (timed[client]?.messages ?? 1))
      ),
      peakRssMiB: median(timings.map((timed) => timed[client]?.peakRssMiB ?? Number.NaN)),
      ratioToNodemailer: median(toNodemailer),
      ratioToRaw: median(ratios("raw")),
      spread: [Math.min(...toNodemailer), Math.max(...toNodemailer)]
    }
  })
}

const shown = (row: Row): string =>
  [
    row.client.padEnd(12),
    row.messagesPerSecond.toFixed(row.messagesPerSecond < 100 ? 1 : 0).padStart(10),
    row.cpuMicrosPerMessage.toFixed(0).padStart(10),
    row.peakRssMiB.toFixed(0).padStart(8),
    row.ratioToNodemailer.toFixed(2).padStart(8),
    `${row.spread[0].toFixed(2)}-${row.spread[1].toFixed(2)}`.padStart(12),
    row.ratioToRaw.toFixed(2).padStart(8)
  ].join("")

const heading = `${"client".padEnd(12)}${"msg/s".padStart(10)}${"us CPU/msg".padStart(10)}${"MiB".padStart(8)}${
  "/nodem.".padStart(8)
}${"spread".padStart(12)}${"/raw".padStart(8)}`

const sink = spawn(process.execPath, [Path.join(here, "sink.ts")], { stdio: ["ignore", "pipe", "inherit"] })
try {
  const [port = "0"] = await once(createInterface(sink.stdout), "line") as [string]
  const rows: Array<Row> = []
  for (const work of works) {
    if (flags.only !== undefined && !work.name.includes(flags.only)) continue
    const some = { ...work, messages: Math.max(1, Math.round(work.messages * share)) }
    const measured = await measure(some, Number(port))
    rows.push(...measured)
    console.log(`\n${work.name}\n${heading}\n${measured.map(shown).join("\n")}`)
  }
  if (flags.json !== undefined) {
    Fs.writeFileSync(flags.json, `${JSON.stringify({ node: process.version, rounds, rows }, undefined, 2)}\n`)
  }
} finally {
  sink.kill()
}
