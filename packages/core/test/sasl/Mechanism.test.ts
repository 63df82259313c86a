import { assert, describe, it } from "@effect/vitest"
import { CramMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect, Redacted, Result } from "effect"

const raw = Redacted.make
const utf8 = new TextEncoder()
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const context: Mechanism.ClientContext = { host: "mx.example", offered: [], secure: true }
const tim = Mechanism.password("tim", raw("tanstaaf"))
const server: Mechanism.ServerContext = {
  host: "mx.example",
  nonce: "1",
  passwordOf: (user) => user === "tim" ? raw("tanstaaf") : undefined
}

/** What a client sends in answer to prompts, and the reason it ends with where it fails. */
const answers = (mechanism: Mechanism.Mechanism, ...prompts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const sent: Array<string> = []
  const note = (step: Mechanism.ClientStep) => {
    if (step.response !== undefined) sent.push(text(Redacted.value(step.response)))
    return step
  }
  const play = Effect.gen(function*() {
    let step = note(yield* mechanism.client(tim, context))
    for (const prompt of prompts) {
      if (step.next === undefined) return yield* Effect.fail(Mechanism.saslError("unexpected-challenge", ""))
      step = note(yield* step.next(utf8.encode(prompt)))
    }
  })
  const result = Effect.runSync(Effect.result(play))
  return Result.isFailure(result) ? [...sent, result.failure.reason] : sent
}

describe("Mechanism.checkPassword", () => {
  const cases: ReadonlyArray<readonly [string, Mechanism.Password, Mechanism.SaslError["reason"]]> = [
    ["NUL in the user name", Mechanism.password("a\0b", raw("p")), "nul-in-credentials"],
    ["NUL in the password", Mechanism.password("a", raw("p\0")), "nul-in-credentials"],
    ["NUL in the authorization identity", Mechanism.password("a", raw("p"), "\0"), "nul-in-credentials"],
    ["CR LF in the user name", Mechanism.password("a\r\nb", raw("p")), "control-char-in-credentials"],
    ["a tab in the authorization identity", Mechanism.password("a", raw("p"), "\t"), "control-char-in-credentials"],
    ["DEL in the user name", Mechanism.password("a\u007f", raw("p")), "control-char-in-credentials"],
    ["half a character in the user name", Mechanism.password("\ud800", raw("p")), "malformed-credentials"],
    ["half a character in the password", Mechanism.password("a", raw("\udc00")), "malformed-credentials"],
    ["no user name", Mechanism.password("", raw("p")), "empty-username"],
    ["no password", Mechanism.password("a", raw("")), "empty-password"]
  ]
  for (const [name, credentials, reason] of cases) {
    it(`refuses ${name}, in every mechanism, before anything is sent`, () => {
      for (const mechanism of [Plain.plain, Login.login, Login.loginWithInitialResponse, CramMd5.cramMd5]) {
        const result = Effect.runSync(Effect.result(mechanism.client(credentials, context)))
        assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, reason)
      }
    })
  }

  it("takes anything else as it is", () => {
    for (const [user, password] of [["first last", " "], ["DOMAIN\\user", "\r\n\t"], ["用户", "🔑é"]] as const) {
      const credentials = Mechanism.password(user, raw(password))
      assert.strictEqual(Effect.runSync(Mechanism.checkPassword(credentials)), credentials)
    }
  })
})

describe("Mechanism.sameText", () => {
  it("is equality", () => {
    const texts = ["", "a", "b", "aa", "ab", "é", "e\u0301", "aaa", "a\0"]
    for (const a of texts) {
      for (const b of texts) assert.strictEqual(Mechanism.sameText(a, b), a === b, JSON.stringify([a, b]))
    }
  })
})

describe("PLAIN", () => {
  it("its server takes the message after an empty challenge, or at once", () => {
    const message = utf8.encode("\0tim\0tanstaaf")
    const first = Plain.plain.server(server, undefined)
    assert.deepStrictEqual(first._tag === "Challenge" && first.challenge, new Uint8Array(0))
    assert.deepStrictEqual(first._tag === "Challenge" && first.next(message), { _tag: "Accepted", identity: "tim" })
    assert.deepStrictEqual(Plain.plain.server(server, message), { _tag: "Accepted", identity: "tim" })
  })

  for (
    const message of [
      "",
      "\0",
      "tim\0tanstaaf",
      "\0tim\0wrong",
      "\0tim\0tanstaaf\0",
      "\0\0tanstaaf",
      "boss\0tim\0tanstaaf",
      "\0tim\0",
      "\0Tim\0tanstaaf"
    ]
  ) {
    it(`its server refuses ${JSON.stringify(message)}`, () => {
      assert.strictEqual(Plain.plain.server(server, utf8.encode(message))._tag, "Refused")
    })
  }
})

describe("LOGIN", () => {
  const { login, loginWithInitialResponse } = Login

  const cases: ReadonlyArray<readonly [string, Mechanism.Mechanism, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["the usual prompts", login, ["Username:", "Password:"], ["tim", "tanstaaf"]],
    ["prompts that say nothing", login, ["", ""], ["tim", "tanstaaf"]],
    ["prompts in another language", login, ["Benutzer:", "Kennwort:"], ["tim", "tanstaaf"]],
    ["no password to a prompt for a name", login, ["Username:", "Username:"], ["tim", "login-prompt-mismatch"]],
    ["no name to a prompt for a password", login, ["Password:"], ["login-prompt-mismatch"]],
    ["blanks and case", login, ["  PASSWORD"], ["login-prompt-mismatch"]],
    ["nothing after the password", login, ["a", "b", "c"], ["tim", "tanstaaf", "unexpected-challenge"]],
    ["the name at once", loginWithInitialResponse, ["Password:"], ["tim", "tanstaaf"]],
    ["a server that ignores the name", loginWithInitialResponse, ["Username:", "Password:"], [
      "tim",
      "tim",
      "tanstaaf"
    ]],
    ["a server that asks for ever", loginWithInitialResponse, ["Username:", "Username:"], [
      "tim",
      "tim",
      "login-prompt-mismatch"
    ]]
  ]
  for (const [name, mechanism, prompts, sent] of cases) {
    it(name, () => assert.deepStrictEqual(answers(mechanism, ...prompts), sent))
  }
})

describe("CRAM-MD5", () => {
  it("its server takes no initial response", () => {
    assert.strictEqual(CramMd5.cramMd5.server(server, new Uint8Array(0))._tag, "Refused")
  })

  it("refuses an empty challenge, and a second one", () => {
    assert.deepStrictEqual(answers(CramMd5.cramMd5, ""), ["empty-challenge"])
    assert.deepStrictEqual(answers(CramMd5.cramMd5, "<1@x>", "<2@x>").slice(1), ["unexpected-challenge"])
  })

  for (
    const response of [
      "",
      " ",
      "tim",
      "tim ",
      "tim b913a602c7eda7a495b4e6e7334d3890",
      "b913a602c7eda7a495b4e6e7334d3890"
    ]
  ) {
    it(`its server refuses ${JSON.stringify(response)}`, () => {
      const first = CramMd5.cramMd5.server(server, undefined)
      assert.strictEqual(first._tag === "Challenge" && first.next(utf8.encode(response))._tag, "Refused")
    })
  }
})

describe("Mechanism.duel", () => {
  const accepting: Mechanism.Mechanism = { ...Plain.plain, server: () => ({ _tag: "Accepted", identity: "anyone" }) }

  it("does not take a server's word before the client is done", () => {
    const early = { ...accepting, client: Login.login.client }
    const duel = Effect.runSync(Mechanism.duel(early, tim, server))
    assert.deepStrictEqual([duel.accepted, duel.identity], [false, "anyone"])
    assert.isTrue(Effect.runSync(Mechanism.duel(accepting, tim, server)).accepted)
  })

  it("fails with a challenge too many", () => {
    const endless: Mechanism.Mechanism = {
      ...Plain.plain,
      server: function challenge(): Mechanism.ServerStep {
        return { _tag: "Challenge", challenge: new Uint8Array(0), next: challenge }
      }
    }
    const result = Effect.runSync(Effect.result(Mechanism.duel(endless, tim, server)))
    assert.strictEqual(Result.isFailure(result) ? result.failure.reason : undefined, "unexpected-challenge")
  })

  it("records what was said", () => {
    const { responses, challenges } = Effect.runSync(Mechanism.duel(Login.login, tim, server))
    assert.deepStrictEqual(responses.map(text), ["tim", "tanstaaf"])
    assert.deepStrictEqual(challenges.map(text), ["Username:", "Password:"])
  })
})
