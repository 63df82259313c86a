import { assert, describe, it } from "@effect/vitest"
import { Address, Choose, Command, Open, Program, Said } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const probe = Program.gen(function*() {
  yield* Program.send(Command.rset)
  return yield* Program.send(Command.noop)
})

const menu = Explore.everyClass()

describe("Explore.check", () => {
  it("counts the dialogues that keep the law", () => {
    assert.deepStrictEqual(Explore.check(probe, menu, () => {}), Result.succeed(9))
  })

  it("goes through all ways to open a connection", () => {
    const open = Open.open({
      host: "mx.example",
      domain: Result.getOrThrow(Address.parseDomain("client.example")),
      security: "startTls",
      tls: { serverName: "mx.example" },
      authenticator: Choose.standard
    })
    const secure = Explore.assert(open, menu, ({ said }) => {
      const lines = Explore.linesSent(said)
      const tls = said.findIndex(({ instruction }) => instruction._tag === "UpgradeTls")
      const auth = lines.findIndex((line) => line.startsWith("AUTH"))
      return auth === -1 || tls !== -1 ? undefined : "it authenticates without TLS"
    })
    assert.isAbove(secure, 20)
  })

  it("shows the shortest dialogue that breaks it, and how many do", () => {
    const checked = Explore.check(probe, menu, ({ end }) => Result.isFailure(end) ? "it was refused" : undefined)
    assert.isTrue(Result.isFailure(checked))
    if (Result.isSuccess(checked)) return
    const { broken, message, paths, problem } = checked.failure
    assert.deepStrictEqual({ broken, paths, problem }, { broken: 8, paths: 9, problem: "it was refused" })
    assert.strictEqual(message, "it was refused\n  C: RSET\n  S: 451 4.3.0 not now\n(the shortest of 8 of 9 dialogues)")
  })

  it("shows the only one", () => {
    const checked = Explore.check(probe, menu, ({ end }) => Result.isSuccess(end) ? "it ends well" : undefined)
    assert.strictEqual(
      Result.isFailure(checked) ? checked.failure.message : "",
      "it ends well\n  C: RSET\n  S: 250 yes\n  C: NOOP\n  S: 250 yes\n(1 of 9 dialogues)"
    )
  })

  it("takes assertions for laws", () => {
    const checked = Explore.check(probe, menu, ({ said }) => assert.lengthOf(said, 1))
    assert.strictEqual(Result.isFailure(checked) ? checked.failure.broken : 0, 5)
  })

  it("a dialogue that does not end breaks every law", () => {
    const endless: Program.Program<void> = Program.gen(function*() {
      while (true) yield* Program.exchange(Command.noop)
    })
    const checked = Explore.check(endless, menu, () => {}, { mostSteps: 3 })
    assert.isTrue(Result.isFailure(checked))
    if (Result.isFailure(checked)) {
      assert.strictEqual(checked.failure.problem, "a dialogue does not end")
      assert.strictEqual(checked.failure.dialogue.split("\n").length, 6)
      // Of five answers to each NOOP the 421 ends it.
      assert.strictEqual(checked.failure.broken, 4 ** 3)
      assert.strictEqual(checked.failure.paths, 4 ** 3 + 4 ** 2 + 4 + 1)
    }
  })

  it("more dialogues than it may go through are no proof", () => {
    const checked = Explore.check(probe, menu, () => {}, { mostPaths: 3 })
    assert.strictEqual(
      Result.isFailure(checked) ? checked.failure.message : "",
      "there are more dialogues than were gone through (3)"
    )
    const found = Explore.check(probe, menu, () => "no", { mostPaths: 3 })
    assert.strictEqual(Result.isFailure(found) ? found.failure.broken : 0, 3)
  })
})

describe("Explore.assert", () => {
  it("gives the number of dialogues", () => assert.strictEqual(Explore.assert(probe, menu, () => {}), 9))

  it("throws what any runner can show", () => {
    assert.throws(() => Explore.assert(probe, menu, () => "no"), Explore.LawBroken, /^no\n {2}C: RSET\n {2}S: /)
  })
})

describe("Explore.render", () => {
  it("shows content, TLS and effects, and hides what is secret", () => {
    const program = Program.gen(function*() {
      yield* Program.greeting
      yield* Program.upgradeTls({ serverName: "mx.example" })
      yield* Program.converse([Said.content([new TextEncoder().encode("Subject: x\r\n\r\n.\r\n")])], ["Content"])
      yield* Program.exchange(Command.noop, Command.quit)
    })
    const { ended } = Explore.paths(program, menu)
    assert.strictEqual(
      Explore.render(ended[0]?.said ?? []),
      "  S: 220 yes\n  -- TLS\n  C: (content, 17 octets)\n  S: 250 yes\n  C: NOOP\n  C: QUIT\n  S: 250 yes\n  S: 221 yes"
    )
  })
})
