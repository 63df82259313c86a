/**
 * Processes that say what they have to say in lines of JSON.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Path from "node:path"
import { createInterface } from "node:readline"

/** A process under way. */
export interface Talk {
  /** Its next line; fails with what it said on standard error when there is none. */
  readonly hear: () => Promise<unknown>
  readonly say: (what: unknown) => void
  /** Ends it, and waits for that. */
  readonly end: () => Promise<void>
  /** It has come to its end, and this is what it said on standard error. */
  readonly ended: Promise<Error>
}

/** One that says nothing for so long never will. */
const patience = 120_000

const running = new Set<ChildProcessWithoutNullStreams>()
process.once("exit", () => running.forEach((child) => child.kill()))

export const talk = (command: string, args: ReadonlyArray<string>): Talk => {
  const child: ChildProcessWithoutNullStreams = spawn(command, args)
  running.add(child)
  let problem = ""
  child.stderr.on("data", (bytes) => problem += bytes)
  child.stdin.on("error", () => {})
  const ended = new Promise<Error>((resolve) => {
    const end = () => {
      running.delete(child)
      const said = problem.trim().split("\n")
      resolve(new Error(said.find((line) => /^\w*Error\b/.test(line)) ?? said.at(-1)))
    }
    child.on("close", end)
    child.on("error", (error) => {
      problem += error.message
      end()
    })
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    hear: async () => {
      const timer = setTimeout(() => {
        problem ||= `it said nothing for ${patience / 1000} seconds`
        child.kill()
      }, patience)
      const line = await lines.next()
      clearTimeout(timer)
      if (line.done === true) throw await ended
      return JSON.parse(line.value)
    },
    say: (what) => child.stdin.write(`${JSON.stringify(what)}\n`),
    end: async () => {
      child.kill()
      await ended
    },
    ended
  }
}

/** A module of this directory in a process of its own. */
export const talkToModule = (module: string, ...args: ReadonlyArray<string>): Talk =>
  talk(process.execPath, ["--conditions=@postern/source", Path.join(import.meta.dirname, module), ...args])
