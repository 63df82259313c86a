import { assert, describe, it } from "@effect/vitest"
import { Command, Connection, Expect, Program, Reply } from "@postern/core"
import { Effect, Result } from "effect"

const ok = Reply.make(250, "OK")
const no = Reply.make(502, "not implemented", "5.5.1")

describe("a Program steps purely", () => {
  it("asks, reads the answer by the command's type, and ends", () => {
    const program = Program.send(Command.help)
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.replies(Reply.make(214, ["one", "two"]))]).end,
      Result.succeed(["one", "two"] as ReadonlyArray<string>)
    )
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.replies(no)]).end,
      Result.fail(Expect.refused("Help", no))
    )
  })

  it("stops at what it waits for when answers run out", () => {
    const program = Program.gen(function*() {
      yield* Program.send(Command.noop)
      yield* Program.send(Command.rset)
    })
    const { end, pending, said } = Program.rehearse(program, [Program.replies(ok)])
    assert.isUndefined(end)
    assert.deepStrictEqual(pending, { _tag: "Exchange", say: [Command.rset], hear: ["Rset"] })
    assert.lengthOf(said, 1)
  })

  it("gives the same value each time, from one Program value", () => {
    const program = Program.gen(function*() {
      let codes = 0
      for (let i = 0; i < 3; i++) codes += (yield* Program.send(Command.noop)).code
      return codes
    })
    const answers = [Program.replies(ok), Program.replies(ok), Program.replies(ok)]
    assert.deepStrictEqual(Program.rehearse(program, answers), Program.rehearse(program, answers))
    assert.deepStrictEqual(Program.rehearse(program, answers).end, Result.succeed(750))
  })

  it("exchanges: replies come back as a tuple, refusals as values", () => {
    const program = Program.exchange(Command.rset, Command.noop)
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.replies(ok, no)]).end,
      Result.succeed([Result.succeed(ok), Result.fail(Expect.refused("Noop", no))] as const)
    )
  })

  it("fails through nested Programs up to `result`, and goes on there", () => {
    const inner = Program.gen(function*() {
      yield* Program.send(Command.noop)
      return yield* Program.fail("inner" as const)
    })
    const program = Program.gen(function*() {
      const first = yield* Program.result(inner)
      const second = yield* Program.result(Program.succeed(1))
      return [first, second] as const
    })
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.replies(ok)]).end,
      Result.succeed([Result.fail("inner" as const), Result.succeed(1)] as const)
    )
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.replies(no)]).end,
      Result.succeed([Result.fail(Expect.refused("Noop", no)), Result.succeed(1)] as const)
    )
  })

  it("stays flat over ten thousand steps and nested generators", () => {
    const countdown = Program.fn(function*(n: number) {
      for (let i = n; i > 0; i--) yield* Program.succeed(i)
      yield* Program.send(Command.noop)
      return n
    })
    assert.deepStrictEqual(Program.rehearse(countdown(10_000), [Program.replies(ok)]).end, Result.succeed(10_000))
  })

  it("performs an Effect as an instruction, its failure being the Program's", () => {
    const program = Program.perform(Effect.fail("no token" as const))
    const { said } = Program.rehearse(program, (instruction) =>
      instruction._tag === "Perform"
        ? { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
        : undefined)
    assert.lengthOf(said, 1)
    assert.deepStrictEqual(
      Program.rehearse(program, [Program.performed(Result.fail("no token" as const))]).end,
      Result.fail("no token" as const)
    )
  })
})

describe("a Program is an Effect", () => {
  it.effect("runs over the Connection it is given", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const connection = Program.Connection.of({
        run: (program) => {
          const { end, said } = Program.rehearse(program, () => Program.replies(ok))
          seen.push(...said.map(({ instruction }) => instruction._tag))
          return end === undefined ? Effect.die("unended") : Effect.fromResult(end) as never
        }
      })
      const program = Effect.gen(function*() {
        const reply = yield* Program.send(Command.noop)
        return reply.code
      })
      assert.strictEqual(yield* Effect.provideService(program, Program.Connection, connection), 250)
      assert.deepStrictEqual(seen, ["Exchange"])
    }))

  it("is recognised as one", () => {
    assert.isTrue(Effect.isEffect(Program.send(Command.noop)))
    assert.isFunction(Connection.open)
  })
})
