/**
 * One client and one work in a process of their own: `run-client.ts MODULE WORK TARGET SECONDS` warms up that long,
 * and then answers each `Ask` on its standard input with a `Timing`.
 */
import { performance } from "node:perf_hooks"
import { createInterface } from "node:readline"
import type { Ask, Make, Target, Timing, Work } from "./work.ts"

const [module = "", workJson = "{}", targetJson = "{}", warmUpSeconds = "0"] = process.argv.slice(2)
const work = JSON.parse(workJson) as Work
const { make } = await import(module) as { readonly make: Make }
const client = await make(work, JSON.parse(targetJson) as Target)

const peakRssMiB = () => process.resourceUsage().maxRSS / 1024
const idleRssMiB = peakRssMiB()

const time = async (messages: number): Promise<Timing> => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await client.send(messages)
  const seconds = (performance.now() - start) / 1000
  const { system, user } = process.cpuUsage(cpu)
  return { messages, seconds, cpuMicros: system + user, peakRssMiB: peakRssMiB(), idleRssMiB }
}

/** So long; gives how many messages go in a second in the end. */
const warmUp = async (seconds: number): Promise<number> => {
  const start = performance.now()
  for (let messages = 1;;) {
    const timing = await time(messages)
    if (performance.now() - start >= seconds * 1000) return messages / timing.seconds
    if (timing.seconds < seconds / 4) messages *= 2
  }
}

const answer = (said: unknown) => process.stdout.write(`${JSON.stringify(said)}\n`)

// One stream is long enough to be warm for most of it.
const rate = work.way === "stream" ? 0 : await warmUp(Number(warmUpSeconds))
answer("ready")
for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line) as Ask
  answer(await time("messages" in ask ? ask.messages : Math.max(1, Math.round(rate * ask.seconds))))
}
await client.close()
process.exit(0)
