/**
 * Results as pictures: `node bench/plot.ts FILE…` makes docs/performance/ratios.svg of what `npm run bench -- --json FILE`
 * wrote, and docs/performance/growth.svg of what it wrote with `--linear`. Colours are such as can be read on light
 * and on dark ground.
 */
import * as ECharts from "echarts"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Point } from "./delivery/growth.ts"
import type { Row } from "./delivery/measure.ts"

const colours: Readonly<Record<string, string>> = {
  postern: "#2f9e6e",
  nodemailer: "#d9822b",
  raw: "#8a94a6",
  "smtp-source": "#4c8dd6",
  smtplib: "#b26bc9"
}
const ink = "#808a96"
const faint = "rgba(128, 138, 150, 0.3)"
const text = { color: ink, fontFamily: "sans-serif" }
const axis = {
  nameTextStyle: text,
  axisLabel: text,
  axisLine: { show: true, lineStyle: { color: ink } },
  splitLine: { lineStyle: { color: faint } }
}

const render = (width: number, height: number, option: ECharts.EChartsCoreOption): string => {
  const chart = ECharts.init(null, null, { renderer: "svg", ssr: true, width, height })
  chart.setOption({ animation: false, backgroundColor: "transparent", textStyle: text, ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/** Each work's rates as multiples of nodemailer's. */
const ratios = (rows: ReadonlyArray<Row>): string => {
  const works = [...new Set(rows.map(({ work }) => work))]
  const clients = Object.keys(colours).filter((client) =>
    client !== "nodemailer" && rows.some((row) => row.client === client)
  )
  const ratio = (work: string, client: string) =>
    rows.find((row) => row.work === work && row.client === client)?.ratioToNodemailer ?? null
  return render(900, 80 + works.length * 48, {
    grid: { left: 250, right: 40, top: 40, bottom: 40 },
    legend: { data: clients, textStyle: text, top: 0 },
    xAxis: { ...axis, type: "log", min: 0.1, name: "times nodemailer", nameLocation: "middle", nameGap: 24 },
    yAxis: {
      ...axis,
      type: "category",
      inverse: true,
      data: works,
      splitLine: { show: false },
      axisTick: { show: false }
    },
    series: clients.map((client, i) => ({
      name: client,
      type: "bar",
      barGap: "0%",
      itemStyle: { color: colours[client] },
      data: works.map((work) => ratio(work, client)),
      label: {
        show: true,
        position: "right",
        color: ink,
        fontSize: 10,
        formatter: ({ value }: { readonly value: number | null }) =>
          value === null ? "" : value < 10 ? value.toPrecision(2) : value.toFixed(0)
      },
      ...(i > 0 ? {} : {
        markLine: {
          silent: true,
          symbol: "none",
          lineStyle: { color: colours["nodemailer"], type: "solid" },
          label: { show: false },
          data: [{ xAxis: 1 }]
        }
      })
    }))
  })
}

const names: Readonly<Record<Point["grows"], string>> = {
  recipients: "recipients of a message",
  messages: "messages on one connection",
  octets: "octets of a message"
}

/** Cost against what grows, both logarithmic: what is linear rises by one decade with each. */
const growth = (points: ReadonlyArray<Point>): string => {
  const panels = Object.keys(names) as ReadonlyArray<Point["grows"]>
  const clients = [...new Set(points.map(({ client }) => client))]
  const logarithmic = { ...axis, type: "log" }
  return render(1000, 360, {
    legend: { data: clients, textStyle: text, top: 0 },
    grid: panels.map((_, i) => ({ left: 60 + i * 320, width: 250, top: 60, bottom: 50 })),
    xAxis: panels.map((panel, gridIndex) => ({
      ...logarithmic,
      gridIndex,
      name: names[panel],
      nameLocation: "middle",
      nameGap: 28,
      ...(panel === "octets" ? { logBase: 8, min: 512, max: 2 ** 27 } : {}),
      axisLabel: { ...text, hideOverlap: true, formatter: panel === "octets" ? size : compact }
    })),
    yAxis: panels.map((_, gridIndex) => ({
      ...logarithmic,
      gridIndex,
      name: gridIndex === 0 ? "milliseconds" : "",
      axisLabel: { ...text, formatter: compact }
    })),
    series: panels.flatMap((panel, at) =>
      clients.map((client) => ({
        name: client,
        type: "line",
        xAxisIndex: at,
        yAxisIndex: at,
        itemStyle: { color: colours[client] },
        lineStyle: { color: colours[client], width: 2 },
        symbol: "circle",
        symbolSize: 6,
        data: points.filter((point) => point.grows === panel && point.client === client)
          .map(({ amount, seconds }) => [amount, seconds * 1000])
      }))
    )
  })
}

const compact = (value: number): string => value.toLocaleString("en")

const size = (octets: number): string =>
  octets < 2 ** 10 ? String(octets) : octets < 2 ** 20 ? `${octets / 2 ** 10} KiB` : `${octets / 2 ** 20} MiB`

const directory = Path.join(import.meta.dirname, "../docs/performance")
Fs.mkdirSync(directory, { recursive: true })
for (const file of process.argv.slice(2)) {
  const { points, rows } = JSON.parse(Fs.readFileSync(file, "utf8")) as {
    readonly rows?: ReadonlyArray<Row>
    readonly points?: ReadonlyArray<Point>
  }
  if (rows !== undefined) Fs.writeFileSync(Path.join(directory, "ratios.svg"), ratios(rows))
  if (points !== undefined) Fs.writeFileSync(Path.join(directory, "growth.svg"), growth(points))
}
