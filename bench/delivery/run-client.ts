/**
 * One client, one work, in a process of its own: `run-client.ts <module> <work> <port>`
 * prints a {@link Timing} as JSON.
 */
import { performance } from "node:perf_hooks"
import type { Make, Timing, Work } from "./work.ts"

const [module = "", json = "{}", port = "0"] = process.argv.slice(2)
const work = JSON.parse(json) as Work
const { make } = await import(module) as { make: Make }
const client = await make(work, Number(port))
await client.send(1)
// Warm, but not for longer than a slow peer is timed.
const warm = performance.now() + 500
for (let i = 0; i < 10 && performance.now() < warm; i++) await client.send(Math.ceil(work.messages / 100))
const budget = 2
const batch = Math.max(1, Math.ceil(work.messages / 20))
let messages = 0
const cpu = process.cpuUsage()
const start = performance.now()
let seconds = 0
while (messages < work.messages && seconds < budget) {
  await client.send(batch)
  messages += batch
  seconds = (performance.now() - start) / 1000
}
const { system, user } = process.cpuUsage(cpu)
const timing: Timing = {
  messages,
  seconds,
  cpuMicros: system + user,
  peakRssMiB: process.resourceUsage().maxRSS / 1024
}
await client.close()
process.stdout.write(`${JSON.stringify(timing)}\n`)
process.exit(0)
