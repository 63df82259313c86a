import { assert, describe, it } from "@effect/vitest"
import { Address, Command, Expect, Reply } from "@postern/core"
import { Duration, Result } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"

const steps = Object.keys(Expect.table) as ReadonlyArray<Expect.Step>
const allCodes = Array.from({ length: 400 }, (_, i) => 200 + i)

/** The codes that mean yes at each step, as ranges. */
const yes: Readonly<Record<Expect.Step, (code: number) => boolean>> = {
  Greeting: (code) => code < 300 && code !== 221,
  Ehlo: (code) => code < 300,
  Helo: (code) => code < 300,
  Lhlo: (code) => code < 300,
  StartTls: (code) => code < 300,
  Auth: (code) => code === 235 || code === 334,
  AuthResponse: (code) => code === 235 || code === 334,
  AuthCancel: () => false,
  Mail: (code) => code < 300,
  Rcpt: (code) => code < 300,
  Data: (code) => code >= 300 && code < 400,
  Content: (code) => code < 300,
  Bdat: (code) => code < 300,
  Burl: (code) => code < 300,
  Rset: (code) => code < 300,
  Noop: (code) => code < 300,
  Vrfy: (code) => code < 300,
  Expn: (code) => code < 300,
  Help: (code) => code < 300,
  Quit: (code) => code < 300,
  Etrn: (code) => code < 300,
  Xclient: (code) => code < 300
}

describe("Expect.table", () => {
  it("has a row for every step", () => assert.deepStrictEqual(steps.toSorted(), Object.keys(yes).toSorted()))

  for (const step of steps) {
    const row = Expect.table[step]
    it(`${step}: codes, meanings, a time limit and a source`, () => {
      assert.isNotEmpty(row.verb)
      assert.match(row.source, /^(?:RFC \d+ §|Postfix)/)
      assert.isAbove(Duration.toMillis(row.timeLimit), 0)
      for (const [code, meaning] of Object.entries(row.yes)) {
        assert.match(code, /^[23]\d\d$/)
        assert.isNotEmpty(meaning)
        assert.isTrue(step === "AuthCancel" || yes[step](Number(code)))
        assert.strictEqual(Expect.meaning(step, Number(code)), meaning)
      }
      for (const [code, meaning] of Object.entries(row.no)) {
        assert.isFalse(yes[step](Number(code)))
        assert.isNotEmpty(meaning)
        assert.strictEqual(Expect.meaning(step, Number(code)), meaning)
      }
      assert.isUndefined(Expect.meaning(step, 299))
    })

    it(`${step}: yes or no for every code`, () => {
      const wrong = allCodes.filter((code) => Expect.isYes(step, Reply.make(code, "text")) !== yes[step](code))
      assert.deepStrictEqual(wrong, [])
    })
  }

  // RFC 5321 §4.5.3.2
  it("waits as long as RFC 5321 says", () => {
    const minutes = (step: Expect.Step) => Duration.toMillis(Expect.table[step].timeLimit) / 60_000
    assert.deepStrictEqual(
      [minutes("Greeting"), minutes("Mail"), minutes("Rcpt"), minutes("Data"), minutes("Content")],
      [5, 5, 5, 2, 10]
    )
  })

  it("a challenge is one line; a final yes may be several", () => {
    for (const step of ["Auth", "AuthResponse"] as const) {
      assert.isTrue(Expect.isYes(step, Reply.make(334, "YQ==")))
      assert.isFalse(Expect.isYes(step, Reply.make(334, ["YQ==", "Yg=="])))
      assert.isTrue(Expect.isYes(step, Reply.make(235, ["welcome", "back"])))
    }
  })
})

describe("Expect.read", () => {
  const ok = <A>(result: Result.Result<A, Expect.Refused>): A =>
    Result.getOrThrowWith(result, ({ reply }) => new Error(Reply.render(reply)))

  const domain = Result.getOrThrow(Address.parseDomain("client.example"))
  const vrfy = Result.getOrThrow(Command.vrfy("ann"))
  const expn = Result.getOrThrow(Command.expn("list"))
  const auth = Result.getOrThrow(Command.auth("LOGIN"))

  it("capabilities", () => {
    const reply = Reply.make(250, ["mx.example", "PIPELINING"])
    assert.isTrue(ok(Expect.read(Command.ehlo(domain), reply)).pipelining)
    assert.isTrue(ok(Expect.read(Command.lhlo(domain), reply)).pipelining)
    assert.isFalse(ok(Expect.read(Command.helo(domain), reply)).pipelining)
  })

  it("challenges, and the end of the exchange", () => {
    assert.deepStrictEqual(ok(Expect.read(auth, Reply.make(334, "VXNlcm5hbWU6"))), {
      _tag: "Challenge",
      text: "VXNlcm5hbWU6"
    })
    const reply = Reply.make(235, "ok", "2.7.0")
    assert.deepStrictEqual(ok(Expect.read(auth, reply)), { _tag: "Accepted", reply })
    assert.deepStrictEqual(
      Expect.read(auth, Reply.make(250, "ok")),
      Result.fail(Expect.refused("Auth", Reply.make(250, "ok")))
    )
  })

  it("what VRFY and EXPN found", () => {
    assert.deepStrictEqual(ok(Expect.read(vrfy, Reply.make(250, "Ann <ann@example.org>", "2.1.5"))), {
      certain: true,
      mailboxes: ["Ann <ann@example.org>"]
    })
    assert.deepStrictEqual(ok(Expect.read(vrfy, Reply.make(252, "who knows"))), { certain: false, mailboxes: [] })
    assert.deepStrictEqual(ok(Expect.read(expn, Reply.make(250, ["a@example.org", "b@example.org"]))), [
      "a@example.org",
      "b@example.org"
    ])
  })

  it("help, without enhanced status codes", () => {
    assert.deepStrictEqual(ok(Expect.read(Command.help, Reply.make(214, ["a", " b"], "2.0.0"))), ["a", "b"])
    assert.deepStrictEqual(ok(Expect.read(Command.help, Reply.make(214, [" a", "2.0.0 b"]))), [" a", "2.0.0 b"])
  })

  it("AuthCancel has no yes", () => {
    assert.isTrue(Result.isFailure(Expect.read(Command.authCancel, Reply.make(501, "cancelled"))))
    assert.isTrue(Result.isFailure(Expect.read(Command.authCancel, Reply.make(235, "welcome"))))
  })

  it("never throws; a no carries step and reply", () => {
    fc.assert(fc.property(Arbitraries.command, Arbitraries.reply, (command, reply) => {
      const result = Expect.read(command, reply)
      assert.strictEqual(Result.isSuccess(result), Expect.isYes(command._tag, reply))
      if (Result.isFailure(result)) assert.deepStrictEqual(result.failure, Expect.refused(command._tag, reply))
    }))
  })
})
