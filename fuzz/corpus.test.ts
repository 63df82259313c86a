import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

const here = import.meta.dirname

const inputs = (folder: string, target: string): ReadonlyArray<readonly [string, Uint8Array]> => {
  const path = Path.join(here, folder, target)
  return Fs.existsSync(path)
    ? Fs.readdirSync(path).map((file) => [file, new Uint8Array(Fs.readFileSync(Path.join(path, file)))])
    : []
}

// What fuzzing found, harmful or only new, stays harmless.
describe("fuzz", () => {
  for (const file of Fs.readdirSync(Path.join(here, "targets"))) {
    const target = Path.basename(file, ".ts")
    it(`${target}: corpus and former crashes`, async () => {
      const { fuzz } = await import(`./targets/${file}`) as { fuzz: (input: Uint8Array) => unknown }
      const all = [...inputs("corpus", target), ...inputs("crashes", target)]
      assert.isNotEmpty(all)
      for (const [name, input] of all) {
        try {
          await fuzz(input)
        } catch (cause) {
          throw new Error(`input ${name}`, { cause })
        }
      }
    })
  }
})
