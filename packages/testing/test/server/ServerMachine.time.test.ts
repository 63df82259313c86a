import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { ServerMachine } from "../../src/index.ts"
import { bytes, delivered, from, hello, sent, talk, to } from "./support.ts"

/** What the server does, in words: waits and the codes of replies. */
const course = (actions: ReadonlyArray<ServerMachine.Action>) =>
  actions.flatMap((action) =>
    action._tag === "Wait" ? [`wait ${action.millis}`] : action._tag === "Heard" ? [] : [
      action._tag === "Send" ? new TextDecoder().decode(action.bytes).slice(0, 3) : action._tag
    ]
  ).join(", ")

describe("a slow server", () => {
  it("waits before each reply, also to what is no command", () => {
    const { actions } = talk({ delay: "2 seconds" }, hello, "WHAT", "QUIT")
    assert.strictEqual(course(actions), "wait 2000, 220, wait 2000, 250, wait 2000, 500, wait 2000, 221, Close")
  })

  it("waits as the turn and the reply ask for", () => {
    const config: ServerMachine.Config = {
      delay: (reply, turn) => turn?._tag === "Content" ? "1 minute" : reply.code >= 500 ? 50 : 0
    }
    const { actions } = talk(config, hello, "WHAT", from, to, "DATA", "x", ".")
    assert.strictEqual(course(actions), "220, 250, wait 50, 500, 250, 250, 354, wait 60000, Delivered, 250")
  })

  it("its time goes on while it waits", () => {
    const { actions, state } = talk({ delay: 1000 }, hello, from, to, "DATA", "x", ".")
    assert.strictEqual(state.memory.now, 6000)
    assert.strictEqual(delivered(actions)[0]?.at, 6000)
  })
})

describe("a tarpit", () => {
  const config: ServerMachine.Config = {
    accounts: { ann: Redacted.make("secret") },
    authBeforeTls: true,
    unknownUsers: ["no@example.org"],
    tarpit: { delay: "5 seconds", patience: 1 }
  }
  const no = "RCPT TO:<no@example.org>"

  it("slows down who asks for recipients that are refused, after a while", () => {
    const { actions } = talk(config, hello, from, no, to, no, no, to)
    assert.strictEqual(course(actions), "220, 250, 250, 550, 250, wait 5000, 550, wait 5000, 550, 250")
    const { actions: again } = talk({ ...config, tarpit: { delay: 1 } }, hello, from, no)
    assert.strictEqual(course(again), "220, 250, 250, wait 1, 550")
  })

  it("slows down who guesses passwords, and nobody else", () => {
    const wrong = "AUTH PLAIN AGFubgB3cm9uZw=="
    const { actions } = talk(config, hello, wrong, "AUTH X", "AUTH LOGIN", "YW5u", "d3Jvbmc=", wrong)
    assert.strictEqual(
      course(actions),
      "220, 250, wait 5000, 535, 504, 334, 334, wait 5000, 535, wait 5000, 421, Close"
    )
    assert.strictEqual(course(talk(config, hello, "AUTH PLAIN AGFubgBzZWNyZXQ=").actions), "220, 250, 235")
  })

  it("comes on top of the delay of each reply", () => {
    const { actions } = talk({ ...config, delay: 10, tarpit: { delay: 5 } }, hello, from, no)
    assert.strictEqual(course(actions), "wait 10, 220, wait 10, 250, wait 10, 250, wait 15, 550")
  })
})

describe("a greeting that is waited for", () => {
  const config: ServerMachine.Config = { greetingDelay: "10 seconds" }

  it("comes when the time has passed", () => {
    const [state, actions] = ServerMachine.start(config)
    assert.strictEqual(course(actions), "wait 10000")
    const [greeted, greeting] = ServerMachine.waited(state)
    assert.deepStrictEqual(sent(greeting), ["220 mx.example ESMTP"])
    assert.deepStrictEqual(ServerMachine.waited(greeted), [greeted, []])
    assert.strictEqual(course(ServerMachine.receive(greeted, bytes("NOOP\r\n"))[1]), "250")
  })

  it("is for those who wait", () => {
    const [state] = ServerMachine.start(config)
    const [after, actions] = ServerMachine.receive(state, bytes("E"))
    assert.deepStrictEqual(sent(actions), ["554 5.5.1 mx.example Client spoke before the greeting"])
    assert.strictEqual(actions.at(-1)?._tag, "Close")
    assert.deepStrictEqual(ServerMachine.waited(after), [after, []])
  })

  it("comes behind the handshake with implicit TLS", () => {
    const [waiting, nothing] = ServerMachine.start({ ...config, implicitTls: true })
    assert.deepStrictEqual(nothing, [])
    assert.strictEqual(course(ServerMachine.tlsEstablished(waiting)[1]), "wait 10000")
  })
})

describe("the end that the server makes", () => {
  const timeout = "421 4.4.2 mx.example Timeout exceeded, closing connection"
  const down = "421 4.3.2 mx.example Service shutting down, closing transmission channel"

  it("comes with its reason, whatever the client was saying", () => {
    for (const lines of [[], [hello], [hello, from, to, "DATA", "half"], [hello, "AUTH"]]) {
      const { state } = talk({}, ...lines)
      assert.deepStrictEqual(sent(ServerMachine.timedOut(state)[1]), [timeout])
      const [after, actions] = ServerMachine.shutDown(state)
      assert.deepStrictEqual(sent(actions), [down])
      assert.strictEqual(actions.at(-1)?._tag, "Close")
      assert.deepStrictEqual(ServerMachine.shutDown(after), [after, []])
    }
  })

  it("comes without a word where TLS is waited for", () => {
    const { state } = talk({}, hello, "STARTTLS")
    assert.strictEqual(course(ServerMachine.timedOut(state)[1]), "Close")
  })
})
