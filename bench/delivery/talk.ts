/**
 * Processes that say what they have to say in lines of JSON.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Path from "node:path"
import { createInterface } from "node:readline"

/** A process under way. */
export interface Talk {
  /** Its next line; fails with the last it said on standard error when there is none. */
  readonly hear: () => Promise<unknown>
  readonly say: (what: unknown) => void
  /** Ends it, and waits for that. */
  readonly end: () => Promise<void>
}

export const talk = (command: string, args: ReadonlyArray<string>): Talk => {
  const child: ChildProcessWithoutNullStreams = spawn(command, args)
  let problem = ""
  child.stderr.on("data", (bytes) => problem += bytes)
  child.stdin.on("error", () => {})
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve())
    child.on("error", (error) => {
      problem += error.message
      resolve()
    })
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    hear: async () => {
      const line = await lines.next()
      if (line.done !== true) return JSON.parse(line.value)
      await ended
      const said = problem.trim().split("\n")
      throw new Error(said.find((line) => /^\w*Error\b/.test(line)) ?? said.at(-1))
    },
    say: (what) => child.stdin.write(`${JSON.stringify(what)}\n`),
    end: async () => {
      child.kill()
      await ended
    }
  }
}

/** A module of this directory in a process of its own. */
export const talkToModule = (module: string, ...args: ReadonlyArray<string>): Talk =>
  talk(process.execPath, ["--conditions=@postern/source", Path.join(import.meta.dirname, module), ...args])
