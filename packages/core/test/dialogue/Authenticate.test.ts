/** AUTH by rehearsal: the exact lines a client writes, and what each answer comes to. */
import { assert, describe, it } from "@effect/vitest"
import { Authenticate, Choose, Command, CramMd5, Login, Mechanism, Plain, Program, Reason, Reply } from "@postern/core"
import { Effect, Redacted, Result } from "effect"
import {
  base64,
  everyMechanism,
  failure,
  password,
  plainTim,
  play,
  ready,
  reply,
  run,
  saying,
  succeeds,
  tim
} from "./authenticating.ts"

describe("an initial response", () => {
  it("goes with AUTH and names whom the session is authenticated as", () => {
    const { end, lines } = run(Plain.plain, ["235 2.7.0 welcome"])
    assert.deepStrictEqual(lines, [`AUTH PLAIN ${plainTim}\r\n`])
    assert.deepStrictEqual(succeeds(end), { identity: "tim", mechanism: "PLAIN" })
    const acting = run(Plain.plain, ["235 welcome"], Mechanism.password("tim", Redacted.make(password), "boss"))
    assert.deepStrictEqual(succeeds(acting.end), { identity: "boss", mechanism: "PLAIN" })
  })

  it("fills a line of 512 octets, CRLF included, and not one more", () => {
    const response = new Uint8Array(375).fill(1)
    const fits = run(saying("ABCD", response), ["235 welcome"])
    assert.deepStrictEqual(fits.lines, [`AUTH ABCD ${base64(response)}\r\n`])
    assert.strictEqual(fits.lines[0]?.length, 512)
    succeeds(fits.end)
    // The same response behind a name of one letter more.
    const exceeds = run(saying("ABCDE", response), ["334 ", "235 welcome"])
    assert.deepStrictEqual(exceeds.lines, ["AUTH ABCDE\r\n", `${base64(response)}\r\n`])
    succeeds(exceeds.end)
  })

  for (const [octets, inLine] of [[372, true], [373, false], [375, false], [376, false]] as const) {
    it(`of PLAIN: ${octets} octets go ${inLine ? "in the line" : "after the empty challenge"}`, () => {
      const credentials = Mechanism.password("u", Redacted.make("p".repeat(octets - 3)))
      const message = base64(`\0u\0${"p".repeat(octets - 3)}`)
      const { end, lines } = run(Plain.plain, inLine ? ["235 ok"] : ["334 ", "235 ok"], credentials)
      assert.deepStrictEqual(lines, inLine ? [`AUTH PLAIN ${message}\r\n`] : ["AUTH PLAIN\r\n", `${message}\r\n`])
      assert.isTrue(lines.slice(0, 1).every((line) => line.length <= 512))
      succeeds(end)
    })
  }

  it("that waits is sent once: the server's next challenge is the mechanism's", () => {
    const [first, second] = [new Uint8Array(400).fill(1), new Uint8Array(1)]
    const { end, lines } = run(saying("ABCD", first, second), ["334 ", "334 bmV4dA==", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH ABCD\r\n", `${base64(first)}\r\n`, `${base64(second)}\r\n`])
    succeeds(end)
  })

  it("of no octets is `=`, and an empty line where it answers a challenge", () => {
    const none = new Uint8Array(0)
    const { end, lines } = run(saying("EXTERNAL", none, none), ["334 ", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH EXTERNAL =\r\n", "\r\n"])
    succeeds(end)
  })
})

describe("a challenge", () => {
  it("of LOGIN need not be base64", () => {
    const { end, lines } = run(Login.login, ["334 Username:", "334 Your secret, please", "235 ok"])
    assert.deepStrictEqual(lines, ["AUTH LOGIN\r\n", `${base64("tim")}\r\n`, `${base64(password)}\r\n`])
    assert.deepStrictEqual(succeeds(end), { identity: "tim", mechanism: "LOGIN" })
  })

  it("of LOGIN is understood in base64 too: no password answers a prompt for a name", () => {
    for (const prompt of ["Password:", base64("Password:")]) {
      const { lines } = run(Login.login, [`334 ${prompt}`, "501 ok"])
      assert.deepStrictEqual(lines, ["AUTH LOGIN\r\n", "*\r\n"])
    }
  })

  it("on more than one line is refused", () => {
    for (const mechanism of [Plain.plain, Login.login, CramMd5.cramMd5]) {
      const { end, lines } = run(mechanism, ["334-\n334 "])
      assert.lengthOf(lines, 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "ProtocolViolation")
      if (reason._tag === "ProtocolViolation") assert.strictEqual(reason.step, "Auth")
    }
  })
})

const cancelled = (mechanism: string, detail: string): Reason.Reason =>
  Reason.make("AuthenticationFailed", {
    why: "exchange broken",
    attempts: [{ mechanism, outcome: "cancelled", reply: undefined, detail }]
  })

describe("`*` ends an exchange that cannot go on", () => {
  const mistaken: Mechanism.Mechanism = {
    ...Plain.plain,
    client: () =>
      Effect.succeed({
        response: undefined,
        next: () => Effect.fail(Mechanism.saslError("mechanism", "the moon is wrong")),
        verified: false
      })
  }
  const cases: ReadonlyArray<readonly [string, Mechanism.Mechanism, ReadonlyArray<string>, string, string]> = [
    [
      "a challenge that is no base64",
      CramMd5.cramMd5,
      ["334 <1@mx.example>"],
      "AUTH CRAM-MD5",
      "a challenge that is no base64"
    ],
    ["a challenge after the last response", Plain.plain, ["334 "], `AUTH PLAIN ${plainTim}`, "an unexpected challenge"],
    ["a challenge the mechanism does not take", mistaken, ["334 "], "AUTH PLAIN", "the moon is wrong"],
    ["an empty challenge of CRAM-MD5", CramMd5.cramMd5, ["334 "], "AUTH CRAM-MD5", "the challenge is empty"]
  ]
  for (const [name, mechanism, challenges, auth, detail] of cases) {
    it(`${name}: 501 ends it, and the session goes on`, () => {
      const program = Program.gen(function*() {
        const session = ready(everyMechanism)
        const tried = yield* Program.result(
          Authenticate.authenticate(session, tim, Choose.inOrder(mechanism, Login.login))
        )
        yield* session.send(Command.noop)
        return tried
      })
      const { end, lines } = play(program, [...challenges, "501 5.7.0 cancelled", "250 ok"])
      // No other mechanism is tried.
      assert.deepStrictEqual(lines, [`${auth}\r\n`, "*\r\n", "NOOP\r\n"])
      assert.deepStrictEqual(end, Result.succeed(Result.fail(cancelled(mechanism.name, detail))))
    })

    it(`${name}: a server that goes on violates the protocol`, () => {
      for (const answer of ["334 ", "334 bmV4dA==", "235 2.7.0 welcome", "250 ok", "354 go"]) {
        const { end, lines } = run(mechanism, [...challenges, answer])
        assert.deepStrictEqual(lines, [`${auth}\r\n`, "*\r\n"])
        const received = Reply.render(reply(answer))
        assert.deepStrictEqual(
          failure(end),
          Reason.make("ProtocolViolation", { step: "AuthCancel", expected: "501", received })
        )
      }
    })

    it(`${name}: any other refusal ends it too, 421 the session`, () => {
      for (const answer of ["500 what?", "535 5.7.8 no", "454 later"]) {
        assert.deepStrictEqual(failure(run(mechanism, [...challenges, answer]).end), cancelled(mechanism.name, detail))
      }
      assert.deepStrictEqual(
        failure(run(mechanism, [...challenges, "421 4.7.0 bye"]).end),
        Reason.make("ServiceClosing", { step: "AuthCancel", reply: reply("421 4.7.0 bye") })
      )
    })
  }
})

describe("235 before the exchange is complete", () => {
  const long = Mechanism.password("u", Redacted.make("p".repeat(400)))
  const cases: ReadonlyArray<readonly [string, Mechanism.Mechanism, ReadonlyArray<string>, Mechanism.Credentials]> = [
    ["LOGIN, nothing sent", Login.login, [], tim],
    ["LOGIN, the name sent", Login.login, ["334 VXNlcm5hbWU6"], tim],
    ["LOGIN, the name sent at once", Login.loginWithInitialResponse, [], tim],
    ["CRAM-MD5, nothing sent", CramMd5.cramMd5, [], tim],
    ["PLAIN, its message too long for the line", Plain.plain, [], long],
    ["a mechanism with one response more", saying("ABCD", new Uint8Array(1), new Uint8Array(1)), [], tim]
  ]
  for (const [name, mechanism, before, credentials] of cases) {
    it(name, () => {
      const welcome = reply("235 2.7.0 welcome")
      const { end, lines } = run(Choose.inOrder(mechanism, Plain.plain), [...before, "235 2.7.0 welcome"], credentials)
      assert.lengthOf(lines, before.length + 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "ServerNotVerified")
      if (reason._tag !== "ServerNotVerified") return
      assert.strictEqual(reason.mechanism, mechanism.name)
      assert.deepStrictEqual(
        reason.attempts.map(({ outcome, reply }) => ({ outcome, reply })),
        [{ outcome: "unverified", reply: welcome }]
      )
    })
  }
})

type Why = Reason.Of<"AuthenticationFailed">["why"]

describe("after a refusal", () => {
  const two = Choose.inOrder(Plain.plain, Login.login)
  // The last: where it answers a response to a challenge, and that is something else.
  const ends: ReadonlyArray<readonly [string, Why, Why?]> = [
    ["535 5.7.8 no", "bad credentials"],
    ["550 5.7.1 no", "bad credentials"],
    ["554 5.7.0 no", "bad credentials"],
    ["454 4.7.0 later", "temporary"],
    ["451 later", "temporary"],
    ["450 later", "temporary"],
    ["501 5.5.2 what?", "response refused"],
    ["500 5.5.6 too long", "no mechanism worked", "response refused"],
    ["502 what?", "no mechanism worked", "response refused"],
    ["503 not now", "no mechanism worked", "response refused"],
    ["530 5.7.0 STARTTLS first", "encryption required"]
  ]
  for (const [answer, why, whyLater = why] of ends) {
    it(`${answer.slice(0, 3)}: it stops, ${why}`, () => {
      const { end, lines } = run(two, [answer, "235 never"])
      assert.lengthOf(lines, 1)
      const reason = failure(end)
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      if (reason._tag !== "AuthenticationFailed") return
      assert.strictEqual(reason.why, why)
      assert.deepStrictEqual(reason.attempts.map(({ mechanism, outcome, reply }) => ({ mechanism, outcome, reply })), [
        { mechanism: "PLAIN", outcome: "refused", reply: reply(answer) }
      ])
      // The same after a challenge.
      const later = failure(
        run(Choose.inOrder(CramMd5.cramMd5, Plain.plain), [`334 ${base64("<1@h>")}`, answer, "235 never"]).end
      )
      assert.strictEqual(later._tag === "AuthenticationFailed" ? later.why : later._tag, whyLater)
    })
  }

  it("501 before anything was said for a mechanism: that is not available", () => {
    const { end, lines } = run(Choose.inOrder(Login.login), ["501 what is LOGIN?"])
    assert.deepStrictEqual(lines, ["AUTH LOGIN\r\n"])
    assert.deepInclude(failure(end), { _tag: "AuthenticationFailed", why: "no mechanism worked" })
  })

  const goesOn: ReadonlyArray<readonly [string, Why]> = [
    ["504 5.5.4 unknown", "no mechanism worked"],
    ["534 5.7.9 too weak", "no mechanism worked"],
    ["538 5.7.11 encrypt", "encryption required"],
    ["432 4.7.12 transition", "temporary"]
  ]
  for (const [answer, why] of goesOn) {
    it(`${answer.slice(0, 3)}: the next mechanism is tried, and the last one's end is ${why}`, () => {
      const next = run(two, [answer, "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"])
      assert.deepStrictEqual(next.lines.slice(0, 2), [`AUTH PLAIN ${plainTim}\r\n`, "AUTH LOGIN\r\n"])
      assert.deepStrictEqual(succeeds(next.end), { identity: "tim", mechanism: "LOGIN" })
      const reason = failure(run(two, [answer, answer]).end)
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      if (reason._tag !== "AuthenticationFailed") return
      assert.strictEqual(reason.why, why)
      assert.deepStrictEqual(reason.attempts.map(({ mechanism }) => mechanism), ["PLAIN", "LOGIN"])
    })
  }

  it("421 closes the session, whenever it comes", () => {
    const bye = "421 4.7.0 too many failures"
    assert.deepStrictEqual(
      failure(run(two, [bye]).end),
      Reason.make("ServiceClosing", { step: "Auth", reply: reply(bye) })
    )
    assert.deepStrictEqual(
      failure(run(Login.login, ["334 VXNlcm5hbWU6", bye]).end),
      Reason.make("ServiceClosing", { step: "AuthResponse", reply: reply(bye) })
    )
  })

  it("another yes than 235 is none", () => {
    for (const answer of ["250 ok", "220 ok", "200 ok", "354 go", "335 go"]) {
      const reason = failure(run(two, [answer, "235 never"]).end)
      assert.strictEqual(reason._tag, "ProtocolViolation", answer)
    }
  })

  it("three mechanisms are tried at most", () => {
    const four = Choose.inOrder(...["ONE", "TWO", "THREE", "FOUR"].map((name) => saying(name, new Uint8Array(1))))
    const { end, lines, unread } = run(four, ["504 no", "504 no", "504 no", "235 never"])
    assert.deepStrictEqual(lines, ["AUTH ONE AA==\r\n", "AUTH TWO AA==\r\n", "AUTH THREE AA==\r\n"])
    assert.strictEqual(unread, 1)
    const reason = failure(end)
    assert.lengthOf(reason._tag === "AuthenticationFailed" ? reason.attempts : [], 3)
  })
})

describe("before anything is said", () => {
  it("credentials that cannot be sent are refused", () => {
    const { end, lines } = run(Plain.plain, ["235 never"], Mechanism.password("", Redacted.make("p")))
    assert.lengthOf(lines, 0)
    assert.deepStrictEqual(
      failure(end),
      Reason.make("InvalidInput", { what: "the credentials", problem: "the user name is empty" })
    )
  })

  it("a mechanism without a name is refused", () => {
    for (const name of ["", "A B", "A\r\nRSET", "A".repeat(21)]) {
      const { end, lines } = run(() => ({ candidates: [saying(name, new Uint8Array(1))], unusable: [] }), ["235 never"])
      assert.lengthOf(lines, 0)
      const reason = failure(end)
      assert.strictEqual(reason._tag === "InvalidInput" ? reason.what : reason._tag, "the mechanism")
    }
  })
})
