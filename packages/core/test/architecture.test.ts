import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const root = Path.resolve(import.meta.dirname, "../../..")

const sources = (directory: string): ReadonlyArray<string> =>
  Fs.globSync("**/*.ts", { cwd: Path.join(root, directory) })
    .map((file) => Path.posix.join(directory, file.split(Path.sep).join("/")))
    .toSorted()

const read = (file: string): string => Fs.readFileSync(Path.join(root, file), "utf8")

/** Every module a text names, with examples in comments left out. */
const importsOf = (text: string): ReadonlyArray<Import> => {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, "")
  const statements = code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^"'`;=]*?\sfrom\s+)?"([^"]+)"/gm)
  const calls = code.matchAll(/\bimport\(\s*"([^"]+)"/g)
  return [
    ...Array.from(statements, ([, type, from]) => ({ from: from ?? "", typeOnly: type !== undefined })),
    ...Array.from(calls, ([, from]) => ({ from: from ?? "", typeOnly: false }))
  ]
}

const core = sources("packages/core/src")
const outer = [...sources("packages/node/src"), ...sources("packages/testing/src")]

/** What an import names, as a path from packages/core/src, or undefined when it leaves it for another package. */
const target = (file: string, from: string): string | undefined =>
  from.startsWith(".")
    ? Path.posix.relative("packages/core/src", Path.posix.join(Path.posix.dirname(file), from))
    : undefined

const wire = (path: string) => path.startsWith("wire/")
const outcome = (path: string) => path.startsWith("outcome/")
const sasl = (path: string) => path.startsWith("sasl/")
const dialogue = (path: string) => path.startsWith("dialogue/")

/** Who may import whom inside core: the first floor that fits a file rules it. */
const floors: ReadonlyArray<{
  readonly name: string
  readonly holds: (path: string) => boolean
  readonly allows: (path: string, typeOnly: boolean) => boolean
}> = [
  { name: "wire", holds: wire, allows: wire },
  { name: "outcome", holds: outcome, allows: (path) => outcome(path) || wire(path) },
  { name: "sasl", holds: sasl, allows: sasl },
  {
    name: "dialogue",
    holds: dialogue,
    allows: (path, typeOnly) =>
      dialogue(path) || wire(path) || outcome(path) || sasl(path) || (typeOnly && path === "run/Transport.ts")
  },
  { name: "run", holds: () => true, allows: () => true }
]

const violations = (file: string, text: string): ReadonlyArray<string> => {
  const path = Path.posix.relative("packages/core/src", file)
  const floor = floors.find(({ holds }) => holds(path))
  return importsOf(text).flatMap(({ from, typeOnly }) => {
    const to = target(file, from)
    return to === undefined || floor?.allows(to, typeOnly) === true ? [] : [`${path} (${floor?.name}) -> ${to}`]
  })
}

/** Modules that are no one's business outside their package. */
const hidden: Readonly<Record<string, ReadonlyArray<string>>> = {
  core: [
    "ChunkWindow",
    "DataWindow",
    "Des",
    "Dial",
    "Failure",
    "Flights",
    "Line",
    "LineEnds",
    "Md4",
    "Meter",
    "NtlmCrypto",
    "NtlmMessage",
    "NtlmServer",
    "OAuth",
    "OneTransaction",
    "Outbox",
    "Rehearsal",
    "SaslPrepTables",
    "ScramMessage",
    "SendAll",
    "SessionLog",
    "Slab",
    "Stepper",
    "Telemetry",
    "Watchdog",
    "WindowState"
  ],
  node: [
    "EncodedWord",
    "HeaderField",
    "MimePart",
    "NodeTls",
    "OwnDomain",
    "PoolEndpoints",
    "PoolLeases",
    "PoolMessage",
    "PoolOptions",
    "PoolRate",
    "PoolWindows",
    "TlsProblem"
  ],
  testing: [
    "AddressArbitraries",
    "AddressNumbers",
    "BehaviourArbitraries",
    "Characters",
    "Chunkings",
    "CommandArbitraries",
    "Connection",
    "Curl",
    "DataContent",
    "DigestArbitraries",
    "FaultyWire",
    "HostileReplies",
    "Law",
    "LineCutter",
    "LogSession",
    "LogShape",
    "MailKit",
    "MechanismLaws",
    "Messages",
    "Nearly",
    "Networks",
    "Nodemailer",
    "NtlmArbitraries",
    "PageEvents",
    "PageShell",
    "Pieces",
    "Redactor",
    "ReplayedWire",
    "ReplyArbitraries",
    "ReplyFaults",
    "ReplyParserLaws",
    "SaslArbitraries",
    "SaslMessages",
    "ScramArbitraries",
    "ScriptedWire",
    "ServerCommands",
    "ServerContent",
    "ServerDirectory",
    "ServerLimits",
    "ServerMechanisms",
    "ServerOffer",
    "ServerParameters",
    "ServerPolicy",
    "ServerSettings",
    "ServerTransaction",
    "ServerXclient",
    "SimulatedConfig",
    "Swaks",
    "Timers",
    "TransportLaws"
  ]
}

describe("architecture", () => {
  it.each(Object.entries(hidden))("%s: exports lists every public module, and nothing else", (name, modules) => {
    const manifest = JSON.parse(read(`packages/${name}/package.json`)) as {
      exports: Record<string, Record<string, string>>
    }
    const expected = sources(`packages/${name}/src`).flatMap((file) => {
      const module = Path.posix.basename(file, ".ts")
      const path = Path.posix.relative(`packages/${name}/src`, file).replace(/\.ts$/, "")
      const entry = {
        "@postern/source": `./src/${path}.ts`,
        types: `./dist/${path}.d.ts`,
        default: `./dist/${path}.js`
      }
      return modules.includes(module) ? [] : [[module === "index" ? "." : `./${module}`, entry] as const]
    })
    assert.deepStrictEqual(manifest.exports, Object.fromEntries(expected))
  })

  it("finds the sources", () => assert.isNotEmpty(core))

  it("arrows inside core point down", () => {
    assert.deepStrictEqual(core.flatMap((file) => violations(file, read(file))), [])
  })

  it("core imports effect's modules and small pure libraries, never Node", () => {
    const allowed = /^(?:\.{1,2}\/|effect\/|@noble\/hashes\/|tr46$)/
    const wrong = core.flatMap((file) =>
      importsOf(read(file)).filter(({ from }) => !allowed.test(from)).map(({ from }) => `${file} -> ${from}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("the other packages know core by its name only", () => {
    const wrong = outer.flatMap((file) => {
      const home = file.split("/").slice(0, 3).join("/") + "/"
      return importsOf(read(file))
        .filter(({ from }) =>
          from.startsWith(".")
            ? !Path.posix.join(Path.posix.dirname(file), from).startsWith(home)
            : from.startsWith("@postern/") && from !== "@postern/core"
        )
        .map(({ from }) => `${file} -> ${from}`)
    })
    assert.deepStrictEqual(wrong, [])
  })

  it("no file is longer than 450 lines", () => {
    const long = [...core, ...outer].filter((file) => read(file).trimEnd().split("\n").length > 450)
    assert.deepStrictEqual(long, [])
  })

  it("the check sees what it forbids", () => {
    const found = (file: string, text: string) => violations(`packages/core/src/${file}`, text)
    assert.deepStrictEqual(found("wire/A.ts", `import type { X } from "../dialogue/Hello.ts"`), [
      "wire/A.ts (wire) -> dialogue/Hello.ts"
    ])
    assert.deepStrictEqual(found("sasl/A.ts", `export * as Reply from "../wire/Reply.ts"`), [
      "sasl/A.ts (sasl) -> wire/Reply.ts"
    ])
    const multiline = `import {\n  TransportError,\n  Wire\n} from "../run/Transport.ts"`
    assert.lengthOf(found("dialogue/A.ts", multiline), 1)
    assert.lengthOf(found("dialogue/A.ts", multiline.replace("import", "import type")), 0)
    assert.lengthOf(found("dialogue/A.ts", `import type * as C from "../run/Connection.ts"`), 1)
    assert.lengthOf(found("dialogue/A.ts", `const x = import("../run/Connection.ts")`), 1)
    assert.lengthOf(found("run/A.ts", `import * as Hello from "../dialogue/Hello.ts"\nimport "./B.ts"`), 0)
    assert.deepStrictEqual(importsOf(`/** \nimport * as Fs from "node:fs"\n*/\nimport * as Net from "node:net"`), [
      { from: "node:net", typeOnly: false }
    ])
  })
})
