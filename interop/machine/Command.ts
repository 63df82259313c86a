/**
 * Programs that do something and end.
 */
import { Data, Effect, Stream } from "effect"
import { ChildProcess, type ChildProcessSpawner } from "effect/process"

/** A program could not be run, or ended with another code than 0. */
export class CommandError extends Data.TaggedError("CommandError")<{
  readonly command: string
  readonly detail: string
}> {
  override get message() {
    return `${this.command}: ${this.detail}`
  }
}

/** How it is run. */
export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly input?: string
}

const kept = 20_000

/** Runs a program to its end and gives what it printed. Fails with the end of it when the code is not 0. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  { cwd, env, input }: Options = {}
): Effect.Effect<string, CommandError, ChildProcessSpawner.ChildProcessSpawner> =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* ChildProcess.make(command, [...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...env },
      extendEnv: true,
      stdin: input === undefined ? "ignore" : Stream.make(new TextEncoder().encode(input))
    })
    const printed = yield* Stream.mkString(Stream.decodeText(child.all))
    const code = yield* child.exitCode
    if (code === 0) return printed
    return yield* Effect.fail(
      new CommandError({ command: [command, ...args].join(" "), detail: `ended with ${code}\n${printed.slice(-kept)}` })
    )
  })).pipe(
    Effect.catchTag(
      "PlatformError",
      (error) => Effect.fail(new CommandError({ command: [command, ...args].join(" "), detail: error.message }))
    )
  )
