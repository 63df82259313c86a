import { assert, describe, it } from "@effect/vitest"
import { Address, Capabilities, Expect, Program, Reply, Session, StartTls } from "@postern/core"
import { Explore } from "@postern/testing"
import { Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const ready = new Session.Session("ready", {
  host: "mx.example",
  greeting: Reply.make(220, "mx.example"),
  capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", "STARTTLS", "PIPELINING", "AUTH PLAIN"])),
  tls: undefined,
  authenticated: { identity: "ann", mechanism: "CRAM-MD5" }
})
const upgrade = (...answers: ReadonlyArray<Program.Answer>) =>
  Program.rehearse(StartTls.startTls(ready, domain, { serverName: "mx.example" }), answers)
const go = Program.replies(Reply.make(220, "go"))

describe("STARTTLS", () => {
  it("consent, handshake, EHLO: what was known before is known no more", () => {
    const { end, said } = upgrade(go, Program.tls(Explore.tlsFacts), Program.replies(Reply.make(250, ["mx.example", "SIZE 1000"])))
    assert.deepStrictEqual(said.map(({ instruction }) => instruction._tag), ["Exchange", "UpgradeTls", "Exchange"])
    assert.deepStrictEqual(Explore.linesSent(said), ["STARTTLS", "EHLO client.example"])
    const session = end === undefined ? undefined : Result.getOrUndefined(end)
    assert.strictEqual(session?.phase, "ready")
    assert.deepInclude(session?.facts.capabilities ?? {}, { startTls: false, pipelining: false, auth: [], size: 1000 })
    assert.deepInclude(session?.facts ?? {}, { tls: Explore.tlsFacts, authenticated: undefined, host: "mx.example" })
    assert.deepInclude(session?.known ?? {}, { encrypted: true, authenticated: false, identity: undefined })
  })

  it("no handshake without consent", () => {
    for (const code of [421, 454, 501, 502, 503, 354]) {
      const reply = Reply.make(code, "no")
      const { end, said } = upgrade(Program.replies(reply))
      assert.deepStrictEqual(end, Result.fail(Expect.refused("StartTls", reply)))
      assert.lengthOf(said, 1)
    }
  })

  it("nothing but EHLO or HELO follows the handshake, and its refusal is the end", () => {
    const reply = Reply.make(554, "not you")
    assert.deepStrictEqual(upgrade(go, Program.tls(Explore.tlsFacts), Program.replies(reply)).end, Result.fail(Expect.refused("Ehlo", reply)))
  })

  it("goes on to the same end on every path, and hands over the options it was given", () => {
    const { ended, truncated, unended } = Explore.paths(StartTls.startTls(ready, domain, { serverName: "mx.example" }), Explore.everyCode())
    assert.deepStrictEqual([truncated, unended.length], [false, 0])
    for (const { end, said } of ended) {
      const at = said.findIndex(({ instruction }) => instruction._tag === "UpgradeTls")
      if (Result.isSuccess(end)) assert.strictEqual(at, 1)
      const before = Explore.linesSent(at === -1 ? said : said.slice(0, at))
      assert.deepStrictEqual(before, ["STARTTLS"])
      const { instruction } = said[at] ?? {}
      if (instruction?._tag === "UpgradeTls") assert.deepStrictEqual(instruction.options, { serverName: "mx.example" })
    }
  })
})
