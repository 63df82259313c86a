import { assert, describe, it } from "@effect/vitest"
import { Address, Command, CommandLine } from "@postern/core"
import { Redacted, Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"
import * as Arbitraries from "@postern/testing/Arbitraries"

const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The line of a command, without its CRLF. */
const lineOf = (command: Command.Command): string => {
  const line = fromUtf8.decode(CommandLine.encode(command))
  assert.isTrue(line.endsWith("\r\n"))
  return line.slice(0, -2)
}

/** The command with secrets laid open, for comparison. */
const open = (command: Command.Command): unknown =>
  Object.fromEntries(
    Object.entries(command).map(([key, value]) => [key, Redacted.isRedacted(value) ? Redacted.value(value) : value])
  )

const within = (command: Command.Command) => command._tag === "AuthResponse" || command._tag === "AuthCancel"

const decode = (command: Command.Command, line: string) =>
  within(command) ? CommandLine.decodeAuth(line) : CommandLine.decode(line)

const hostile = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."AUTHMAILRCPTDEFROM:<>@=\"\\ \t\r\n\0.-+aé\u00a0\u2028") }),
  fc.tuple(
    Arbitraries.command,
    fc.nat(),
    fc.constantFrom("", "\r\n", "\n", "\0", "\"", "<", ">", "=", " ", "\ud800", "é")
  )
    .map(([command, seed, inserted]) => {
      const line = lineOf(command)
      const at = seed % (line.length + 1)
      return line.slice(0, at) + inserted + line.slice(at + (seed % 2))
    })
)

describe("CommandLine laws", () => {
  it("decode(encode(command)) is the command", () => {
    fc.assert(
      fc.property(Arbitraries.command, (command) => {
        const again = Result.getOrThrow(decode(command, lineOf(command)) as Result.Result<Command.Command>)
        assert.deepStrictEqual(open(again), open(command))
      }),
      { numRuns: 1000 }
    )
  })

  it("every kind of command is generated", () => {
    const seen = new Set(fc.sample(Arbitraries.command, { numRuns: 1000, seed: 1 }).map(({ _tag }) => _tag))
    assert.strictEqual(seen.size, 20)
  })

  it("a line has no CR, LF or NUL but its end", () => {
    fc.assert(
      fc.property(Arbitraries.command, (command) => assert.notMatch(lineOf(command), /[\r\n\0]/)),
      { numRuns: 1000 }
    )
  })

  it("case of letters and blanks around arguments do not matter", () => {
    fc.assert(fc.property(Arbitraries.command, fc.constantFrom(" ", "\t", "  \t "), (command, blanks) => {
      fc.pre(!within(command))
      const [verb = "", ...rest] = lineOf(command).split(" ")
      const line = [verb.toLowerCase() + (rest.length === 0 ? "" : blanks.slice(1)), ...rest].join(" ") + blanks
      const again = Result.getOrThrow(CommandLine.decode(line) as Result.Result<Command.Command>)
      assert.deepStrictEqual(open(again), open(command))
    }))
  })

  it("decode never throws, and what it gives can be encoded and read again", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const read of [CommandLine.decode, CommandLine.decodeAuth]) {
          const result = read(text)
          if (Result.isFailure(result)) {
            assert.include([500, 501], result.failure.code)
            assert.isNotEmpty(result.failure.problem)
          } else {
            assert.notMatch(lineOf(result.success), /[\r\n\0]/)
            const again = Result.getOrThrow(
              decode(result.success, lineOf(result.success)) as Result.Result<Command.Command>
            )
            assert.deepStrictEqual(open(again), open(result.success))
          }
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("no constructor takes CR, LF, NUL or half a character", () => {
    const injected = fc.tuple(fc.string(), fc.constantFrom("\r", "\n", "\0", "\r\nDATA\r\n", "\ud800"), fc.string())
      .map((parts) => parts.join("")).filter((text) => /[\r\n\0]/.test(text) || !text.isWellFormed())
    fc.assert(fc.property(injected, (text) => {
      const made: ReadonlyArray<Result.Result<unknown, unknown>> = [
        Command.auth(text),
        Command.vrfy(text),
        Command.expn(text),
        Command.helpOn(text),
        Command.noopWith(text),
        Command.etrn(text),
        Command.burl(`imap://a.example/${text}`, true),
        Command.parameter(text),
        Command.parameter("X", text),
        Command.xclient({ [text]: "x" }),
        Address.parse(`${text}@example.org`),
        Address.parseDomain(text)
      ]
      assert.isTrue(made.every(Result.isFailure))
    }))
  })

  it("XCLIENT values and xtext carry anything that is well-formed", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.match(Command.xtext(text), /^[!-~]*$/)
      assert.notMatch(Command.xtext(text), /=/)
      assert.strictEqual(Command.fromXtext(Command.xtext(text)), text)
      assert.notMatch(lineOf(Result.getOrThrow(Command.xclient({ NAME: text }))), /[\r\n\0]/)
    }))
  })

  it("no secret in what is shown", () => {
    const secret = fc.uint8Array({ minLength: 8, maxLength: 60 })
    fc.assert(fc.property(secret, (bytes) => {
      const raw = Buffer.from(bytes)
      const hidden = [
        raw.toString("latin1"),
        raw.toString("utf8"),
        raw.toString("base64"),
        raw.toString("hex"),
        bytes.join(","),
        bytes.join(", ")
      ]
      const secrets = Redacted.make(bytes)
      for (const command of [Result.getOrThrow(Command.auth("PLAIN", secrets)), Command.authResponse(secrets)]) {
        const shown = [
          CommandLine.render(command),
          JSON.stringify(command),
          String(command),
          inspect(command, { depth: Infinity, showHidden: true }),
          Object.values(command).map(String).join()
        ]
        for (const text of shown) for (const piece of hidden) assert.isFalse(text.includes(piece), text)
        assert.include(CommandLine.render(command), `<redacted, ${bytes.length} bytes>`)
        assert.include(lineOf(command), raw.toString("base64"))
      }
    }))
  })

  it("render shows the line of every other command", () => {
    fc.assert(fc.property(Arbitraries.command, (command) => {
      fc.pre(command._tag !== "AuthResponse" && command._tag !== "Auth")
      fc.pre(command._tag !== "Burl" || !command.url.includes("urlauth"))
      assert.strictEqual(CommandLine.render(command), lineOf(command))
    }))
  })

  it("mailboxes are read back from MAIL and RCPT with whatever parameters", () => {
    fc.assert(
      fc.property(
        Arbitraries.mailbox,
        fc.array(Arbitraries.parameter, { maxLength: 5 }),
        (mailbox, parameters) => {
          for (const command of [Command.mail(mailbox, parameters), Command.rcpt(mailbox, parameters)]) {
            assert.deepStrictEqual(
              Result.getOrThrow(CommandLine.decode(lineOf(command)) as Result.Result<Command.Command>),
              command
            )
          }
        }
      )
    )
  })
})
