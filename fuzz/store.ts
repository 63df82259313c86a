/**
 * Where inputs are kept: in `corpus` those that reach something, in `crashes` those that did
 * harm once. A file's name is the beginning of its content's hash.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"

export type Folder = "corpus" | "crashes"

const here = import.meta.dirname

/** The targets that there are. */
export const targets: ReadonlyArray<string> = Fs.readdirSync(Path.join(here, "targets"))
  .map((file) => Path.basename(file, ".ts"))
  .toSorted()

export const fileOf = (target: string): string => Path.join(here, "targets", `${target}.ts`)

const namesIn = (path: string): ReadonlyArray<string> => Fs.existsSync(path) ? Fs.readdirSync(path).toSorted() : []

/** The inputs of a target by their files' names. */
export const read = (folder: Folder, target: string): ReadonlyMap<string, Uint8Array> => {
  const path = Path.join(here, folder, target)
  return new Map(namesIn(path).map((name) => [name, new Uint8Array(Fs.readFileSync(Path.join(path, name)))]))
}

/** Keeps an input; gives its file. */
export const write = (folder: Folder, target: string, input: Uint8Array): string => {
  const path = Path.join(here, folder, target)
  Fs.mkdirSync(path, { recursive: true })
  const file = Path.join(path, createHash("sha256").update(input).digest("hex").slice(0, 16))
  Fs.writeFileSync(file, input)
  return file
}

/** Keeps these inputs and no others. */
export const replace = (folder: Folder, target: string, inputs: ReadonlyArray<Uint8Array>): void => {
  const kept = new Set(inputs.map((input) => Path.basename(write(folder, target, input))))
  const path = Path.join(here, folder, target)
  for (const name of namesIn(path)) if (!kept.has(name)) Fs.unlinkSync(Path.join(path, name))
}
