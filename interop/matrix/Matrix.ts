/**
 * The tables of what worked with which server, from the names of the tests: table, server, and what was tried.
 */

/** A test, and what came of it. */
export interface Tried {
  readonly table: string
  readonly server: string
  /** `what: detail`; what has several details is one line, yes where all of them passed. */
  readonly name: string
  readonly passed: boolean
  /** What stands in its place instead of yes; the test has a line of its own then. */
  readonly cell: string | undefined
  readonly version: string | undefined
}

/** A table, its lines in the order of the tests. */
export interface Table {
  readonly name: string
  readonly servers: ReadonlyArray<string>
  readonly lines: ReadonlyArray<{ readonly name: string; readonly cells: ReadonlyArray<string> }>
}

const absent = "–"
const failed = "**no**"

const lineOf = ({ cell, name }: Tried): string => cell === undefined ? name.replace(/: .*$/, "") : name

/** The versions of the servers, in the order of the tests. */
export const versions = (all: ReadonlyArray<Tried>): ReadonlyMap<string, string> =>
  new Map(all.flatMap(({ server, version }) => version === undefined ? [] : [[server, version] as const]))

/** The tables. */
export const tables = (all: ReadonlyArray<Tried>): ReadonlyArray<Table> => {
  const shown = all.filter(({ version }) => version === undefined)
  const servers = [...new Set(all.map(({ server }) => server))]
  return [...new Set(shown.map(({ table }) => table))].map((name) => {
    const inside = shown.filter(({ table }) => table === name)
    const lines = [...new Set(inside.map(lineOf))].map((line) => ({
      name: line,
      cells: servers.map((server) => cell(inside.filter((tried) => tried.server === server && lineOf(tried) === line)))
    }))
    return { name, servers, lines }
  })
}

const cell = (tried: ReadonlyArray<Tried>): string => {
  const [first] = tried
  if (first === undefined) return absent
  if (tried.some(({ passed }) => !passed)) return failed
  return first.cell ?? (tried.length > 2 ? `yes (${tried.length})` : "yes")
}

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** As Markdown: servers beside each other, what was tried below each other. */
export const markdown = (all: ReadonlyArray<Tried>, date: string): string => {
  const known = versions(all)
  const drawn = tables(all).map(({ lines, name, servers }) =>
    [
      `### ${name.slice(0, 1).toUpperCase()}${name.slice(1)}`,
      "",
      row(["", ...servers]),
      row(["---", ...servers.map(() => "---")]),
      ...lines.map(({ cells, name }) => row([name.replaceAll("|", "\\|"), ...cells]))
    ].join("\n")
  )
  const list = [...known].map(([server, version]) => `${server} ${version}`).join(", ")
  return [`Run on ${date} with ${list}.`, ...drawn].join("\n\n")
}

/** What has to be the same from run to run: which things were tried, and which of them worked. */
export const essence = (markdown: string): string =>
  markdown
    .split("\n")
    .filter((line) => line.startsWith("|") || line.startsWith("#"))
    .map((line) =>
      line.split("|").map((cell, at) => {
        const text = cell.trim()
        return at < 2 || text === absent || text === failed || text === "" || /^-+$/.test(text)
          ? text.replace(/-+/, "-")
          : "yes"
      }).join("|")
    )
    .join("\n")
