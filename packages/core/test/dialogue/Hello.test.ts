import { assert, describe, it } from "@effect/vitest"
import { Address, Capabilities, Expect, Hello, Program, Reply, Session } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))

const facts: Session.Facts = {
  host: "mx.example",
  port: 25,
  greeting: Reply.make(220, "mx.example ESMTP"),
  capabilities: undefined,
  tls: Explore.tlsFacts,
  authenticated: undefined
}

const greeted = new Session.Session("greeted", facts)

const hello = (...answers: ReadonlyArray<Reply.Reply>) => {
  const { end, pending, said } = Program.rehearse(
    Hello.hello(greeted, domain),
    answers.map((reply) => Program.replies(reply))
  )
  assert.isUndefined(pending)
  return { end, lines: Explore.linesSent(said) }
}

const ehlo = ["EHLO client.example"]
const both = ["EHLO client.example", "HELO client.example"]

describe("the greeting", () => {
  it("begins a session of which nothing else is known", () => {
    const greet = Hello.greet("mx.example", Explore.tlsFacts, 25)
    assert.deepStrictEqual(
      Program.rehearse(greet, [Program.replies(facts.greeting)]).end,
      Result.succeed(greeted)
    )
  })

  for (const code of [554, 421, 450, 354, 334]) {
    it(`${code} is a refusal`, () => {
      const reply = Reply.make(code, "no")
      assert.deepStrictEqual(
        Program.rehearse(Hello.greet("mx.example", undefined), [Program.replies(reply)]).end,
        Result.fail(Expect.refused("Greeting", reply))
      )
    })
  }
})

describe("EHLO", () => {
  it("gives a session that knows what the server can do", () => {
    const reply = Reply.make(250, ["mx.example", "SIZE 1000", "PIPELINING"])
    const { end, lines } = hello(reply)
    assert.deepStrictEqual(lines, ehlo)
    const capabilities = Capabilities.fromEhlo(reply)
    assert.deepStrictEqual(end, Result.succeed(new Session.Session("ready", { ...facts, capabilities })))
    assert.strictEqual(capabilities.size, 1000)
  })

  for (const code of [500, 501, 502, 503, 504, 550, 555, 599]) {
    it(`refused by ${code}: HELO is tried, and no extension is used then`, () => {
      const reply = Reply.make(250, ["mx.example", "SIZE 1000"])
      const { end, lines } = hello(Reply.make(code, "what?"), reply)
      assert.deepStrictEqual(lines, both)
      const capabilities = Capabilities.fromHelo(reply)
      assert.deepStrictEqual(end, Result.succeed(new Session.Session("ready", { ...facts, capabilities })))
      assert.isFalse(capabilities.extended)
      assert.isUndefined(capabilities.size)
    })
  }

  for (const code of [421, 450, 451, 454, 530, 554, 354, 334]) {
    it(`refused by ${code}: HELO is not tried`, () => {
      const reply = Reply.make(code, "not you, or not now")
      assert.deepStrictEqual(hello(reply), { end: Result.fail(Expect.refused("Ehlo", reply)), lines: ehlo })
    })
  }
})

describe("HELO refused after EHLO", () => {
  const unknown = Reply.make(502, "what?")

  for (const code of [500, 502, 504, 550, 554]) {
    it(`by ${code}: the refusal of EHLO is told`, () => {
      assert.deepStrictEqual(hello(unknown, Reply.make(code, "no")), {
        end: Result.fail(Expect.refused("Ehlo", unknown)),
        lines: both
      })
    })
  }

  // Otherwise "try later" would be told as "never".
  for (const code of [421, 450, 451, 354]) {
    it(`by ${code}: that is told`, () => {
      const reply = Reply.make(code, "not now")
      assert.deepStrictEqual(hello(unknown, reply), { end: Result.fail(Expect.refused("Helo", reply)), lines: both })
    })
  }
})
