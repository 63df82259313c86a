/**
 * Compiles every ```ts block of the docstrings and of the Markdown pages as a module of its own,
 * under the options of the repository. A block fenced as ```ts no-check is left out, and counted.
 */
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

interface Block {
  readonly file: string
  /** How many lines of the file come before the code. */
  readonly linesBefore: number
  readonly code: string
  readonly checked: boolean
}

const out = ".tmp/doc-examples"

const countLines = (text: string): number => text.split("\n").length - 1

const blocksIn = (file: string, text: string, linesBefore: number): ReadonlyArray<Block> =>
  Array.from(text.matchAll(/^ *```ts( no-check)?\n([\s\S]*?)^ *```$/gm), (match) => ({
    file,
    linesBefore: linesBefore + countLines(text.slice(0, match.index)) + 1,
    code: match[2] ?? "",
    checked: match[1] === undefined
  }))

const pages = globSync(["*.md", "docs/**/*.md", "{packages/*,examples}/*.md"], { exclude: ["**/node_modules/**"] })
  .flatMap((file) => blocksIn(file, readFileSync(file, "utf8"), 0))

const docstrings = globSync("packages/*/src/**/*.ts").flatMap((file) => {
  const source = readFileSync(file, "utf8")
  return Array.from(source.matchAll(/\/\*\*[\s\S]*?\*\//g)).flatMap(({ 0: comment, index }) =>
    blocksIn(file, comment.replaceAll(/^ *\* ?/gm, ""), countLines(source.slice(0, index)))
  )
})

const blocks = [...pages, ...docstrings]
const checked = blocks.filter((block) => block.checked)

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
for (const { code, file, linesBefore } of checked) {
  // Empty lines in front give the compiler's messages the line numbers of the page.
  const module = join(out, file, `${linesBefore}.ts`)
  mkdirSync(dirname(module), { recursive: true })
  writeFileSync(module, "\n".repeat(linesBefore) + code)
}
writeFileSync(
  join(out, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.test.json",
    // An example may name a value only to show it.
    compilerOptions: { noUnusedLocals: false },
    include: ["**/*.ts"]
  })
)

const skipped = blocks.length - checked.length
console.log(`doc examples: ${checked.length} compiled, ${skipped} skipped (no-check)`)

const compile = (command: string, ...args: ReadonlyArray<string>): void => {
  const { error, status, stdout } = spawnSync(command, args, { encoding: "utf8" })
  if (error !== undefined) throw error
  process.stdout.write(stdout.replaceAll(new RegExp(`^.*${out}/(.+)/\\d+\\.ts\\(`, "gm"), "$1("))
  if (status !== 0) process.exitCode = 1
}

if (checked.length > 0) {
  compile("tsc", "-p", out, "--pretty", "false")
  compile(
    "effect-tsgo",
    "diagnostics",
    "--project",
    join(out, "tsconfig.json"),
    "--format",
    "text",
    "--severity",
    "error"
  )
}
