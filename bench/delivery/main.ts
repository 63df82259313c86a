/**
 * Messages per second against other clients: `npm run bench [-- --quick] [--json FILE] [--only TEXT]`; with
 * `--linear` how cost grows with recipients, messages and octets.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import { parseArgs } from "node:util"
import * as Growth from "./growth.ts"
import * as Measure from "./measure.ts"
import * as Table from "./table.ts"
import { works } from "./work.ts"

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    linear: { type: "boolean", default: false },
    json: { type: "string" },
    only: { type: "string", default: "" }
  }
})

// So that what was started ends, too.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

const progress = (what: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${what}`)
  else if (what !== "") process.stderr.write(`${what}\n`)
}
const pace = flags.quick ? { rounds: 3, warmUp: 0.5, progress } : { rounds: 5, warmUp: 1, progress }

const bench = async (): Promise<ReadonlyArray<Measure.Row>> => {
  const ask = { seconds: flags.quick ? 0.25 : 0.6 }
  const rows: Array<Measure.Row> = []
  // The one that is named, or all that have the text in their name.
  const named = works.filter(({ name }) => name === flags.only)
  for (const work of named.length > 0 ? named : works.filter(({ name }) => name.includes(flags.only))) {
    // A stream takes as long as it takes.
    const rounds = work.way === "stream" && flags.quick ? 1 : pace.rounds
    const measured = Measure.rows(work, await Measure.time(work, { ...pace, rounds, ask }))
    rows.push(...measured)
    console.log(Table.rows(work, measured))
  }
  return rows
}

const growth = async (): Promise<ReadonlyArray<Growth.Point>> => {
  const points: Array<Growth.Point> = []
  for (const step of Growth.steps.filter(({ grows }) => grows.includes(flags.only))) {
    const measured = await Growth.measure(step, { ...pace, rounds: 3 })
    points.push(...measured)
    console.log(measured.map(Table.point).join("\n"))
  }
  return points
}

const result = {
  node: process.version,
  cpu: Os.cpus()[0]?.model.trim(),
  cores: Os.cpus().length,
  quick: flags.quick,
  ...(flags.linear ? { points: await growth() } : { rows: await bench() })
}
if (flags.json !== undefined) Fs.writeFileSync(flags.json, `${JSON.stringify(result, undefined, 2)}\n`)
