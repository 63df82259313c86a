import { assert, describe, it } from "@effect/vitest"
import { Address, Command, CommandLine } from "@postern/core"
import { Redacted, Result } from "effect"
import vectors from "../vectors/SMTP-AUTH.json" with { type: "json" }

const refused = (...results: ReadonlyArray<Result.Result<unknown, Command.CommandError>>) => {
  for (const result of results) {
    assert.isTrue(Result.isFailure(result), JSON.stringify(result))
    if (Result.isFailure(result)) {
      assert.strictEqual(result.failure._tag, "CommandError")
      assert.isNotEmpty(result.failure.problem)
    }
  }
}

const accepted = <A>(result: Result.Result<A, Command.CommandError>): A =>
  Result.getOrThrowWith(result, (error) => new Error(error.problem))

describe("Command", () => {
  it("auth takes mechanism names (RFC 4422 §3.1), in any case of letters", () => {
    for (const name of ["PLAIN", "plain", "SCRAM-SHA-256-PLUS", "X_1", "A".repeat(20)]) {
      assert.strictEqual(accepted(Command.auth(name)).mechanism, name.toUpperCase())
    }
    refused(
      ...["", "A".repeat(21), "PLA IN", "PLAIN\r\nRSET", "PLÄIN", "A.B", "A=", "ı".repeat(3)].map((name) =>
        Command.auth(name)
      )
    )
  })

  it("auth tells no initial response from an empty one", () => {
    assert.isUndefined(accepted(Command.auth("EXTERNAL")).initialResponse)
    assert.isDefined(accepted(Command.auth("EXTERNAL", Redacted.make(new Uint8Array(0)))).initialResponse)
  })

  it("bdat takes whole numbers of octets", () => {
    for (const size of [0, 1, 1024, Number.MAX_SAFE_INTEGER]) {
      assert.strictEqual(accepted(Command.bdat(size, true)).size, size)
    }
    refused(...[-1, 0.5, NaN, Infinity, 2 ** 53].map((size) => Command.bdat(size, false)))
  })

  it("burl takes absolute URLs in ASCII (RFC 3986 §4.3)", () => {
    const imap = "imap://ann@imap.example/out;uidvalidity=1/;uid=25;urlauth=submit+ann:internal:91354a47"
    for (const url of [imap, "IMAP://[2001:db8::1]/a%20b", "http://a.example/?q=1", "urn:x:y"]) {
      assert.deepStrictEqual(accepted(Command.burl(url, true)), { _tag: "Burl", url, last: true })
    }
    refused(
      ...[
        "",
        "imap",
        "imap:",
        "/box",
        "//a/b",
        "imap://a b",
        "imap://a\r\nQUIT",
        "imap://a\0",
        "imap://bücher.example/"
      ]
        .map((url) => Command.burl(url, false)),
      ...["imap://a/#b", "imap://a/<b>", " imap://a/", "imap://a/\n", "1map://a/"].map((url) => Command.burl(url, true))
    )
  })

  it("free text has something in it, nothing around it, and no control character", () => {
    const makers: ReadonlyArray<
      (text: string) => Result.Result<{ readonly argument: string | undefined }, Command.CommandError>
    > = [
      Command.vrfy,
      Command.expn,
      Command.helpOn,
      Command.noopWith
    ]
    for (const make of makers) {
      for (const text of ["x", "Joe Blow", "a\tb", "用户"]) assert.strictEqual(accepted(make(text)).argument, text)
      refused(
        ...["", " ", " x", "x ", "x\n", "\tx", "x\r\nQUIT", "x\0", "x\u001b[2J", "x\u007f", "\ud800"].map((text) =>
          make(text)
        )
      )
    }
  })

  it("the name for vrfy and expn does not end like their parameter", () => {
    const makers: ReadonlyArray<
      (name: string, smtpUtf8?: boolean) => Result.Result<Command.Vrfy | Command.Expn, Command.CommandError>
    > = [Command.vrfy, Command.expn]
    for (const make of makers) {
      for (const name of ["SMTPUTF8", "x-SMTPUTF8", "SMTPUTF8 x"]) {
        for (const smtpUtf8 of [false, true]) {
          const { argument, smtpUtf8: parameter } = accepted(make(name, smtpUtf8))
          assert.deepStrictEqual([argument, parameter], [name, smtpUtf8])
        }
      }
      for (const name of ["ann SMTPUTF8", "ann\tsmtputf8", "SMTPUTF8 SMTPUTF8"]) {
        assert.isTrue(Result.isFailure(make(name)) && Result.isFailure(make(name, true)), name)
      }
    }
  })

  it("etrn takes one word", () => {
    for (const text of ["example.com", "@example.com", "#queue"]) {
      assert.strictEqual(accepted(Command.etrn(text)).argument, text)
    }
    refused(...["", "a b", "a\tb", "a\r\nRSET"].map(Command.etrn))
  })

  it("parameters are keywords with values (RFC 5321 §4.1.2)", () => {
    assert.deepStrictEqual(accepted(Command.parameter("size", "1024")), { keyword: "SIZE", value: "1024" })
    assert.deepStrictEqual(accepted(Command.parameter("SMTPUTF8")), { keyword: "SMTPUTF8", value: undefined })
    assert.deepStrictEqual(accepted(Command.parameter("X-é".slice(0, 2), "é")), { keyword: "X-", value: "é" })
    refused(
      ...["", "-X", "X Y", "X=Y", "X_Y", "É", "X\r\n"].map((keyword) => Command.parameter(keyword)),
      ...["", " ", "a b", "a=b", "a\0", "a\r\nRCPT TO:<x@y>", "\u007f", "\udc00"].map((value) =>
        Command.parameter("X", value)
      )
    )
  })

  it("xclient takes attributes, once each", () => {
    assert.deepStrictEqual(accepted(Command.xclient({ name: "mx.example", ADDR: "192.0.2.1" })).attributes, [
      { keyword: "NAME", value: "mx.example" },
      { keyword: "ADDR", value: "192.0.2.1" }
    ])
    refused(
      ...[{}, { "": "x" }, { "A B": "x" }, { "A\r\n": "x" }, { name: "a", NAME: "b" }, { X: "\ud800" }].map((it) =>
        Command.xclient(it as Record<string, string>)
      )
    )
  })
})

describe("xtext (RFC 3461 §4)", () => {
  for (const { id, inputs, outcome } of vectors.vectors) {
    if (inputs.mailbox === undefined || outcome.param === undefined) continue
    const { mailbox } = inputs
    it(id, () => {
      const encoded = Command.xtext(mailbox)
      assert.strictEqual(`AUTH=${encoded}`, outcome.param)
      assert.strictEqual(Command.fromXtext(encoded), mailbox)
      const from = Result.getOrThrow(Address.parse("e@example.com"))
      const line = CommandLine.render(Command.mail(from, [accepted(Command.parameter("AUTH", encoded))]))
      assert.strictEqual(line, `MAIL FROM:<e@example.com> ${outcome.param}`)
    })
  }

  it("the vectors were there", () => {
    assert.lengthOf(vectors.vectors.filter(({ id }) => id.startsWith("smtp-auth/xtext/")), 4)
  })

  const texts: ReadonlyArray<readonly [string, string]> = [
    ["", ""],
    ["a+b=c", "a+2Bb+3Dc"],
    ["\r\n\0", "+0D+0A+00"],
    ["é", "+C3+A9"],
    ["!~", "!~"]
  ]
  for (const [text, encoded] of texts) {
    it(`${JSON.stringify(text)} is ${JSON.stringify(encoded)}`, () => {
      assert.strictEqual(Command.xtext(text), encoded)
      assert.strictEqual(Command.fromXtext(encoded), text)
    })
  }

  it("what is no xtext gives nothing", () => {
    for (const text of ["a=b", "a b", "+", "+4", "+4g", "+0d", "é", "+FF", "a\r"]) {
      assert.isUndefined(Command.fromXtext(text), text)
    }
  })
})
