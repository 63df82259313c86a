/**
 * Results for people.
 */
import type { Point } from "./growth.ts"
import type { Row } from "./measure.ts"
import type { Work } from "./work.ts"

/** Three digits that count. */
const number = (value: number): string =>
  Number.isNaN(value) ? "-" : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

const range = ([least, largest]: readonly [number, number]): string =>
  Number.isNaN(least) ? "-" : `${number(least)}-${number(largest)}`

const columns: ReadonlyArray<readonly [heading: string, width: number, (row: Row) => string]> = [
  ["msg/s", 10, (row) => number(row.messagesPerSecond)],
  ["MB/s", 9, (row) => number(row.megabytesPerSecond)],
  ["us CPU/msg", 12, (row) => number(row.cpuMicrosPerMessage)],
  ["MiB", 7, (row) => number(row.peakRssMiB)],
  ["idle", 7, (row) => number(row.idleRssMiB)],
  ["/nodemailer", 13, (row) => number(row.ratioToNodemailer)],
  ["spread", 12, (row) => range(row.spread)],
  ["/raw", 8, (row) => number(row.ratioToRaw)],
  ["spread", 12, (row) => range(row.spreadToRaw)]
]

const line = (client: string, cell: (column: (typeof columns)[number]) => string): string =>
  client.padEnd(12) + columns.map((column) => cell(column).padStart(column[1])).join("")

export const rows = ({ name }: Work, measured: ReadonlyArray<Row>): string =>
  [
    `\n${name}`,
    line("client", ([heading]) => heading),
    ...measured.map((row) => line(row.client, ([, , show]) => show(row)))
  ].join("\n")

export const point = ({ amount, client, grows, seconds }: Point): string =>
  `${client.padEnd(12)}${`${amount} ${grows}`.padStart(20)}${`${number(seconds * 1000)} ms`.padStart(14)}${
    `${number(seconds / amount * 1e9)} ns each`.padStart(18)
  }`
