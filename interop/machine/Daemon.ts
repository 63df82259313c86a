/**
 * Programs that serve until they are ended: by their process ids and those of their children, never by name.
 */
import { Data, Deferred, Effect, FileSystem, type PlatformError, Schedule, type Scope, Stream } from "effect"
import { ChildProcess, type ChildProcessSpawner } from "effect/process"
import { connect } from "node:net"

/** A server did not come up, or was gone before its time. */
export class DaemonError extends Data.TaggedError("DaemonError")<{
  readonly name: string
  readonly detail: string
}> {
  override get message() {
    return `${this.name}: ${this.detail}`
  }
}

/** What to start. */
export interface Options {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: Record<string, string>
  /** Loopback ports that answer once it is up, or paths of sockets. */
  readonly answers: ReadonlyArray<number | string>
  /** A file that it logs to, whose end is shown when it fails. */
  readonly log?: string
}

/** A program that serves. */
export interface Daemon {
  /** Ends its process and all that descend from it at once, with no chance to clean up; done when they are gone. */
  readonly kill: Effect.Effect<void>
}

type Needs = ChildProcessSpawner.ChildProcessSpawner | FileSystem.FileSystem

/** Starts it and waits until it answers. It ends with the scope, and with all its children. */
export const start = Effect.fnUntraced(function*(
  { answers, args, command, env, log, name }: Options
): Effect.fn.Return<Daemon, DaemonError, Needs | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const tail: Array<string> = []
  const failed = (detail: string) =>
    Effect.gen(function*() {
      const logged = log === undefined ? "" : yield* Effect.orElseSucceed(fs.readFileString(log), () => "")
      return yield* Effect.fail(
        new DaemonError({ name, detail: `${detail}\n${tail.join("").slice(-4000)}${logged.slice(-4000)}` })
      )
    })

  const child = yield* Effect.catch(
    ChildProcess.make(command, [...args], { env: { ...env }, extendEnv: true, stdin: "ignore" }),
    (error: PlatformError.PlatformError) => failed(error.message)
  )
  const pid: number = child.pid
  yield* Effect.addFinalizer(() => end(fs, pid))
  yield* Effect.forkScoped(Effect.ignore(
    Stream.runForEach(Stream.decodeText(child.all), (text) =>
      Effect.sync(() => {
        tail.push(text)
        if (tail.length > 100) tail.shift()
      }))
  ))

  const gone = yield* Deferred.make<never, DaemonError>()
  yield* Effect.forkScoped(
    Effect.flatMap(
      Effect.exit(child.exitCode),
      () => Effect.flatMap(Effect.flip(failed("it ended")), (error) => Deferred.fail(gone, error))
    )
  )
  const up = Effect.forEach(answers, (at) => answersAt(at), { concurrency: "unbounded", discard: true })
  yield* Effect.raceFirst(up, Deferred.await(gone)).pipe(
    Effect.timeoutOrElse({
      duration: "40 seconds",
      orElse: () => failed(`nothing answers at ${answers.join(", ")} after 40 seconds`)
    })
  )
  return { kill: killAll(fs, pid) }
})

const answersAt = (at: number | string): Effect.Effect<void> =>
  Effect.orDie(Effect.retry(answered(at), Schedule.spaced("25 millis")))

const answered = (at: number | string): Effect.Effect<void, Error> =>
  Effect.callback((resume) => {
    const socket = typeof at === "number" ? connect(at, "127.0.0.1") : connect(at)
    socket.once("connect", () => {
      // Gone before the server can wonder who called.
      socket.destroy()
      resume(Effect.void)
    })
    socket.once("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => socket.destroy())
  })

interface Process {
  readonly pid: number
  readonly parent: number
  readonly zombie: boolean
}

// The name of a program may hold blanks and parentheses: what counts stands behind the last one.
const processes = (fs: FileSystem.FileSystem): Effect.Effect<ReadonlyArray<Process>> =>
  Effect.gen(function*() {
    const names = yield* fs.readDirectory("/proc")
    const read = yield* Effect.forEach(
      names.filter((name) => /^\d+$/.test(name)),
      (name) =>
        Effect.map(Effect.orElseSucceed(fs.readFileString(`/proc/${name}/stat`), () => ""), (stat) => {
          const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
          return { pid: Number(name), parent: Number(parent), zombie: stat === "" || state === "Z" }
        })
    )
    return read
  }).pipe(Effect.orDie)

const descendants = (all: ReadonlyArray<Process>, root: number): ReadonlyArray<number> => {
  const found = [root]
  for (const pid of found) {
    for (const { parent, pid: child } of all) if (parent === pid && !found.includes(child)) found.push(child)
  }
  return found
}

const signal = (pids: ReadonlyArray<number>, name: NodeJS.Signals) =>
  Effect.sync(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended by itself.
      }
    }
  })

const untilGone = (fs: FileSystem.FileSystem, pids: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.repeat(
    Effect.map(processes(fs), (all) => all.some(({ pid, zombie }) => !zombie && pids.includes(pid))),
    { schedule: Schedule.spaced("20 millis"), while: (left) => left }
  )

const killAll = (fs: FileSystem.FileSystem, root: number) =>
  Effect.gen(function*() {
    // Stopped first, so that none has a child while they are counted.
    yield* signal([root], "SIGSTOP")
    const pids = descendants(yield* processes(fs), root)
    yield* signal(pids, "SIGKILL")
    yield* untilGone(fs, pids)
  })

const end = (fs: FileSystem.FileSystem, root: number) =>
  Effect.gen(function*() {
    const pids = descendants(yield* processes(fs), root)
    yield* signal([root], "SIGTERM")
    yield* Effect.timeoutOption(untilGone(fs, [root]), "500 millis")
    yield* signal(pids, "SIGKILL")
    yield* untilGone(fs, pids)
  })
