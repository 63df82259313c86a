import { assert, describe, it } from "@effect/vitest"
import { Address, Expect, Hello, Program, Reply, Session } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const welcome = Reply.make(220, "mx.example ESMTP")
const greeted = new Session.Session("greeted", {
  host: "mx.example",
  greeting: welcome,
  capabilities: undefined,
  tls: undefined,
  authenticated: undefined
})
const hello = (...answers: ReadonlyArray<Reply.Reply>) =>
  Program.rehearse(Hello.hello(greeted, domain), answers.map((reply) => Program.replies(reply)))

describe("the greeting", () => {
  it("makes a session that knows where it is, and nothing else yet", () => {
    const { end } = Program.rehearse(Hello.greet("mx.example", Explore.tlsFacts), [Program.replies(welcome)])
    assert.isTrue(end !== undefined && Result.isSuccess(end))
    if (end === undefined || Result.isFailure(end)) return
    assert.strictEqual(end.success.phase, "greeted")
    const { authenticated, capabilities, greeting, host, tls } = end.success.facts
    assert.deepStrictEqual([host, greeting, capabilities, tls, authenticated], ["mx.example", welcome, undefined, Explore.tlsFacts, undefined])
  })

  it("may be a refusal", () => {
    for (const reply of [Reply.make(554, "no"), Reply.make(421, "later"), Reply.make(354, "what?")]) {
      const { end } = Program.rehearse(Hello.greet("mx.example", undefined), [Program.replies(reply)])
      assert.deepStrictEqual(end, Result.fail(Expect.refused("Greeting", reply)))
    }
  })
})

describe("EHLO", () => {
  it("tells the capabilities", () => {
    const { end, said } = hello(Reply.make(250, ["mx.example", "PIPELINING", "SIZE 1000", "AUTH PLAIN"]))
    assert.deepStrictEqual(Explore.linesSent(said), ["EHLO client.example"])
    const session = end === undefined ? undefined : Result.getOrUndefined(end)
    assert.strictEqual(session?.phase, "ready")
    assert.deepInclude(session?.facts.capabilities ?? {}, { extended: true, pipelining: true, size: 1000, auth: ["PLAIN"] })
    assert.strictEqual(session?.facts.greeting, welcome)
  })

  for (const code of [500, 501, 502, 504, 550]) {
    it(`refused by ${code}: HELO, which knows no extensions`, () => {
      const { end, said } = hello(Reply.make(code, "what?"), Reply.make(250, ["mx.example", "PIPELINING"]))
      assert.deepStrictEqual(Explore.linesSent(said), ["EHLO client.example", "HELO client.example"])
      const session = end === undefined ? undefined : Result.getOrUndefined(end)
      assert.deepInclude(session?.facts.capabilities ?? {}, { extended: false, pipelining: false, size: undefined, auth: [] })
    })
  }

  for (const code of [421, 450, 530, 554, 220 + 100]) {
    it(`answered by ${code}: that is about this client, not about the command`, () => {
      const reply = Reply.make(code, "no")
      const { end, said } = hello(reply, Reply.make(250, "mx.example"))
      assert.deepStrictEqual(end, Result.fail(Expect.refused("Ehlo", reply)))
      assert.lengthOf(said, 1)
    })
  }

  it("refused like HELO: the refusal that says most", () => {
    const [unknown, never, later] = [Reply.make(502, "what?"), Reply.make(550, "never"), Reply.make(450, "later")]
    assert.deepStrictEqual(hello(unknown, never).end, Result.fail(Expect.refused("Ehlo", unknown)))
    assert.deepStrictEqual(hello(unknown, later).end, Result.fail(Expect.refused("Helo", later)))
  })
})
