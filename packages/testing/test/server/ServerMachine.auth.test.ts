import { assert, describe, it } from "@effect/vitest"
import { CramMd5, Login, Mechanism, Plain, Reply } from "@postern/core"
import { Effect, Redacted } from "effect"
import * as Base64 from "effect/encoding/Base64"
import { ServerMachine } from "../../src/index.ts"
import { bytes, delivered, sent, talk, talkSecurely } from "./support.ts"

const config: ServerMachine.Config = {
  mechanisms: [CramMd5.cramMd5, Plain.plain, Login.login],
  accounts: { ann: Redacted.make("tanstaaf") },
  localDomains: ["example.org"]
}
const hello = "EHLO client.example"
const good = Base64.encode("\0ann\0tanstaaf")
const bad = Base64.encode("\0ann\0wrong")

describe("AUTH", () => {
  for (const mechanism of [Plain.plain, Login.login, Login.loginWithInitialResponse, CramMd5.cramMd5]) {
    it.effect(`${mechanism.name} over protocol lines`, () =>
      Effect.gen(function*() {
        const credentials = Mechanism.password("ann", Redacted.make("tanstaaf"))
        let client = yield* mechanism.client(credentials, {
          host: "mx.example",
          offered: [mechanism.name],
          secure: true
        })
        let { state } = talkSecurely(config, hello)
        let line = `AUTH ${mechanism.name}${
          client.response === undefined ? "" : ` ${Base64.encode(Redacted.value(client.response))}`
        }`
        for (;;) {
          const [next, actions] = ServerMachine.receive(state, bytes(`${line}\r\n`))
          state = next
          const [reply = ""] = sent(actions)
          if (!reply.startsWith("334")) {
            assert.strictEqual(reply, "235 2.7.0 Authentication successful")
            break
          }
          const challenge = Base64.decode(reply.slice(4))
          assert(challenge._tag === "Success" && client.next !== undefined)
          client = yield* client.next(challenge.success)
          line = Base64.encode(client.response === undefined ? "" : Redacted.value(client.response))
        }
        assert.isTrue(client.verified)
        const out = bytes("MAIL FROM:<a@example.net>\r\nRCPT TO:<out@elsewhere.example>\r\nDATA\r\n.\r\n")
        const [, actions] = ServerMachine.receive(state, out)
        assert.deepStrictEqual(sent(actions).map((reply) => reply.slice(0, 3)), ["250", "250", "354", "250"])
        assert.strictEqual(delivered(actions)[0]?.identity, "ann")
      }))
  }

  it("is offered over TLS only, unless the config says otherwise", () => {
    assert.notInclude(talk(config, hello).replies[0] ?? "", "AUTH")
    assert.deepStrictEqual(talk(config, hello, `AUTH PLAIN ${good}`).replies[1]?.slice(0, 10), "538 5.7.11")
    assert.include(talkSecurely(config, hello).replies[0] ?? "", "250 AUTH CRAM-MD5 PLAIN LOGIN")
    assert.include(talk({ ...config, authBeforeTls: true }, hello).replies[0] ?? "", "250 AUTH CRAM-MD5 PLAIN LOGIN")
    assert.include(
      talkSecurely({ ...config, legacyAuth: true }, hello).replies[0] ?? "",
      "250 AUTH=CRAM-MD5 PLAIN LOGIN"
    )
  })

  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["before EHLO", [`AUTH PLAIN ${good}`], ["503 5.5.1"]],
    ["after HELO", ["HELO client.example", `AUTH PLAIN ${good}`], ["250 mx.ex", "503 5.5.1"]],
    ["twice", [hello, `AUTH PLAIN ${good}`, `AUTH PLAIN ${good}`], ["250-mx.ex", "235 2.7.0", "503 5.5.1"]],
    ["during a transaction", [hello, "MAIL FROM:<>", `AUTH PLAIN ${good}`], ["250-mx.ex", "250 2.1.0", "503 5.5.1"]],
    ["an unknown mechanism", [hello, "AUTH GSSAPI"], ["250-mx.ex", "504 5.5.4"]],
    ["a wrong password", [hello, `AUTH PLAIN ${bad}`], ["250-mx.ex", "535 5.7.8"]],
    ["an unknown user", [hello, `AUTH PLAIN ${Base64.encode("\0__proto__\0x")}`], ["250-mx.ex", "535 5.7.8"]],
    ["cancelled", [hello, "AUTH PLAIN", "*", "NOOP"], ["250-mx.ex", "334", "501 5.7.0", "250 2.0.0"]],
    ["bad base64", [hello, "AUTH PLAIN", "?", "NOOP"], ["250-mx.ex", "334", "501 5.5.2", "250 2.0.0"]],
    ["bad base64 at once", [hello, "AUTH PLAIN ?", "NOOP"], ["250-mx.ex", "501 5.5.2", "250 2.0.0"]],
    ["an empty response", [hello, "AUTH PLAIN =", "NOOP"], ["250-mx.ex", "535 5.7.8", "250 2.0.0"]],
    ["too long a response", [hello, "AUTH PLAIN", "A".repeat(13_000), "NOOP"], [
      "250-mx.ex",
      "334",
      "500 5.5.6",
      "250 2.0.0"
    ]],
    ["as long as it may be", [hello, "AUTH PLAIN", "A".repeat(12_288)], ["250-mx.ex", "334", "535 5.7.8"]],
    ["at once, as long as it may be", [hello, `AUTH PLAIN ${"A".repeat(12_288)}`], ["250-mx.ex", "535 5.7.8"]],
    ["three failures", [hello, `AUTH PLAIN ${bad}`, `AUTH PLAIN ${bad}`, `AUTH PLAIN ${bad}`, "NOOP"], [
      "250-mx.ex",
      "535 5.7.8",
      "535 5.7.8",
      "421 4.7.0"
    ]]
  ]
  for (const [name, lines, expected] of rows) {
    it(name, () => {
      const { replies } = talkSecurely(config, ...lines)
      assert.deepStrictEqual(replies.map((reply) => reply.slice(0, 9)), [...expected])
    })
  }

  it("closes after three failures", () => {
    const { actions } = talkSecurely(config, hello, ...Array.from({ length: 3 }, () => `AUTH PLAIN ${bad}`))
    assert.strictEqual(actions.at(-1)?._tag, "Close")
  })

  it("a server without mechanisms does not know it", () => {
    assert.strictEqual(talkSecurely({}, hello, "AUTH PLAIN").replies[1]?.slice(0, 9), "502 5.5.1")
  })

  it("each exchange has a nonce of its own, the same in each run", () => {
    const challenges = () =>
      talkSecurely(config, hello, "AUTH CRAM-MD5", "*", "AUTH CRAM-MD5").replies.filter((reply) =>
        reply.startsWith("334")
      )
    assert.deepStrictEqual(challenges(), challenges())
    assert.strictEqual(new Set(challenges()).size, 2)
  })

  it("its parameter of MAIL is known where it is offered", () => {
    const line = "MAIL FROM:<a@example.net> AUTH=<>"
    assert.strictEqual(talkSecurely(config, hello, line).replies[1]?.slice(0, 9), "250 2.1.0")
    assert.strictEqual(talk(config, hello, line).replies[1]?.slice(0, 9), "555 5.5.4")
    assert.strictEqual(talkSecurely({}, hello, line).replies[1]?.slice(0, 9), "555 5.5.4")
  })

  it("tells nobody's secret", () => {
    const { actions } = talkSecurely(config, hello, "AUTH PLAIN", good)
    assert.notInclude(JSON.stringify(actions.filter(({ _tag }) => _tag === "Heard")), good)
  })

  it("a success that the mechanism does not know of makes nobody of the client", () => {
    const lying: ServerMachine.Config = {
      ...config,
      reply: (turn) => turn._tag === "AuthResponse" ? Reply.make(235, "Welcome") : undefined
    }
    const { replies, state } = talkSecurely(lying, hello, "AUTH PLAIN", bad, "NOOP")
    assert.deepStrictEqual(replies.slice(2), ["235 Welcome", "250 2.0.0 Ok"])
    assert.isUndefined(state.identity)
  })

  it("a challenge that the mechanism does not know of takes one response", () => {
    const asking: ServerMachine.Config = {
      ...config,
      reply: (turn) => turn._tag === "Auth" ? Reply.make(334, "bW9yZQ==") : undefined
    }
    const { replies } = talkSecurely(asking, hello, `AUTH PLAIN ${good}`, "QUIT", "NOOP")
    assert.deepStrictEqual(replies.slice(1).map((reply) => reply.slice(0, 3)), ["334", "535", "250"])
  })
})
