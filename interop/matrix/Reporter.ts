/**
 * Prints the matrix at the end of the tests, and writes it into the documentation. In CI it
 * holds it against what is there instead: another matrix fails.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { Reporter, TestModule } from "vitest/node"
import * as Matrix from "./Matrix.ts"

const page = new URL("../../docs/interop.md", import.meta.url)
const [begin, end] = ["<!-- the matrix: written by npm run test:interop -->", "<!-- end of the matrix -->"]

const tried = (modules: ReadonlyArray<TestModule>): ReadonlyArray<Matrix.Tried> =>
  modules.flatMap((module) =>
    [...module.children.allTests()].flatMap((test): ReadonlyArray<Matrix.Tried> => {
      const server = test.parent
      const table = server.type === "suite" ? server.parent : undefined
      if (server.type !== "suite" || table?.type !== "suite") return []
      const { cell, version } = test.meta()
      return [{
        table: table.name,
        server: server.name,
        name: test.name,
        passed: test.result().state === "passed",
        cell,
        version
      }]
    })
  )

export default class implements Reporter {
  readonly #whole = process.argv.every((argument) => !/\.test\.ts$|^-t$|testNamePattern/.test(argument))

  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const all = tried(modules)
    const today = new Date().toISOString().slice(0, 10)
    const matrix = Matrix.markdown(all, today)
    process.stdout.write(`\n${matrix}\n\n`)
    // Of some of the tests there is no whole matrix.
    if (!this.#whole) return
    const text = readFileSync(page, "utf8")
    const from = text.indexOf(begin) + begin.length
    const to = text.indexOf(end)
    if (process.env["CI"] !== undefined) {
      const committed = Matrix.essence(text.slice(from, to))
      const now = Matrix.essence(matrix)
      if (committed === now) return
      process.stderr.write(`docs/interop.md has another matrix:\n${committed}\n\nnow it is\n${now}\n`)
      process.exitCode = 1
      return
    }
    writeFileSync(page, `${text.slice(0, from)}\n\n${matrix}\n\n${text.slice(to)}`)
  }
}
