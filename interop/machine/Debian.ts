/**
 * Debian packages: those of this machine, and whole programs of another release beside it.
 */
import { Data, Effect, FileSystem, Path } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import * as Command from "./Command.ts"

/** A program cannot be had here. */
export class Unavailable extends Data.TaggedError("Unavailable")<{
  readonly packages: ReadonlyArray<string>
  readonly detail: string
}> {
  override get message() {
    return `${this.packages.join(" ")} cannot be had: ${this.detail}`
  }
}

type Needs = ChildProcessSpawner.ChildProcessSpawner | FileSystem.FileSystem | Path.Path

const quiet = { DEBIAN_FRONTEND: "noninteractive" }

/** The version of an installed package, undefined where it is not installed. */
export const version = (
  name: string
): Effect.Effect<string | undefined, never, ChildProcessSpawner.ChildProcessSpawner> =>
  Command.run("dpkg-query", ["--show", "--showformat=${db:Status-Status} ${Version}", name]).pipe(
    Effect.map((text) => text.startsWith("installed ") ? text.slice("installed ".length) : undefined),
    Effect.orElseSucceed(() => undefined)
  )

/** 3.7.11 of 3.7.11-0+deb12u1. */
export const upstream = (version: string): string => version.replace(/^\d+:/, "").replace(/[-+~].*$/, "")

const isRoot = Effect.sync(() => process.getuid?.() === 0)

/**
 * Installs those that are missing, and keeps their services from starting. Where nobody
 * may install, it fails and says what to install.
 */
export const installed = Effect.fnUntraced(function*(
  packages: ReadonlyArray<string>,
  answers = ""
): Effect.fn.Return<void, Unavailable, Needs> {
  const missing: Array<string> = []
  for (const name of packages) if ((yield* version(name)) === undefined) missing.push(name)
  if (missing.length === 0) return
  const failed = (detail: string) => new Unavailable({ packages: missing, detail })
  if (!(yield* isRoot)) {
    return yield* Effect.fail(
      failed(`install them as root: apt-get install --no-install-recommends ${missing.join(" ")}`)
    )
  }
  yield* Effect.gen(function*() {
    if (answers !== "") yield* Command.run("debconf-set-selections", [], { input: answers })
    yield* Command.run("apt-get", ["update"], { env: quiet })
    yield* withoutServices(
      Command.run("apt-get", ["install", "--yes", "--no-install-recommends", ...missing], { env: quiet })
    )
  }).pipe(Effect.mapError((error) => failed(error.message)))
})

const policy = "/usr/sbin/policy-rc.d"

// What a package would start at once is not started: the tests start their own, elsewhere.
const withoutServices = <A, E, R>(install: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    if (yield* Effect.orElseSucceed(fs.exists(policy), () => true)) return yield* install
    return yield* Effect.acquireUseRelease(
      Effect.orDie(fs.writeFileString(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 })),
      () => install,
      () => Effect.orDie(fs.remove(policy))
    )
  })

/** A release of Debian, unpacked in a folder of its own, to run programs in with `chroot`. */
export interface Beside {
  readonly root: string
  /** Versions of the packages that were asked for. */
  readonly versions: Readonly<Record<string, string>>
}

const mirror = "http://deb.debian.org/debian"
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

/**
 * Unpacks packages of a release, with all they depend on down to the C library, into a
 * folder that stays for the next run. apt downloads them, so that they are verified. They need not get along with each other, nor with
 * this machine: nothing of them is configured, and their programs run under `chroot`.
 */
export const beside = Effect.fnUntraced(function*(
  release: string,
  packages: ReadonlyArray<string>,
  folder: string
): Effect.fn.Return<Beside, Unavailable, Needs> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const failed = (detail: string) => new Unavailable({ packages, detail: `${detail} (of Debian ${release})` })
  if (!(yield* isRoot)) return yield* Effect.fail(failed("chroot needs root"))
  const root = path.join(folder, "root")
  const apt = path.join(folder, "apt")
  const done = path.join(folder, `${packages.toSorted().join("+")}.json`)
  return yield* Effect.gen(function*() {
    if (yield* fs.exists(done)) return { root, versions: JSON.parse(yield* fs.readFileString(done)) }
    for (const name of ["lists/partial", "cache/archives/partial"]) {
      yield* fs.makeDirectory(path.join(apt, name), { recursive: true })
    }
    yield* fs.makeDirectory(root, { recursive: true })
    yield* fs.writeFileString(path.join(apt, "sources.list"), `deb [signed-by=${keyring}] ${mirror} ${release} main\n`)
    yield* fs.writeFileString(path.join(apt, "status"), "")
    const options = [
      `Dir::State::lists=${apt}/lists`,
      `Dir::State::status=${apt}/status`,
      `Dir::Cache=${apt}/cache`,
      `Dir::Etc::sourcelist=${apt}/sources.list`,
      "Dir::Etc::sourceparts=-",
      "Dir::Etc::preferencesparts=-",
      // The user that apt would download as may not write here.
      "APT::Sandbox::User=root"
    ].flatMap((option) => ["-o", option])
    const download = ["install", "--download-only", "--yes", "--no-install-recommends"]
    yield* Command.run("apt-get", [...options, "update"], { env: quiet })
    // One at a time: they may conflict.
    for (const name of ["base-files", "dash", "coreutils", ...packages]) {
      yield* Command.run("apt-get", [...options, ...download, name], { env: quiet })
    }
    const debs = path.join(apt, "cache/archives")
    const names = (yield* fs.readDirectory(debs)).filter((name) => name.endsWith(".deb"))
    // base-files brings the links (/lib to usr/lib) that the others write through.
    for (
      const name of names.toSorted((a, b) => Number(b.startsWith("base-files")) - Number(a.startsWith("base-files")))
    ) {
      yield* Command.run("dpkg-deb", ["--extract", path.join(debs, name), root])
    }
    const versions = Object.fromEntries(packages.map((name) => {
      const file = names.find((file) => file.startsWith(`${name}_`)) ?? ""
      return [name, decodeURIComponent(file.split("_")[1] ?? "")]
    }))
    yield* fs.writeFileString(done, JSON.stringify(versions))
    return { root, versions }
  }).pipe(Effect.mapError((error) => failed(error.message)))
})
