import { assert, describe, it } from "@effect/vitest"
import { Address, Envelope } from "@postern/core"
import { Result } from "effect"
import * as fc from "fast-check"
import * as Arbitraries from "@postern/testing/Arbitraries"

const made = (input: Envelope.Input): Envelope.Envelope =>
  Result.getOrThrowWith(Envelope.make(input), ({ field, problem }) => new Error(`${field}: ${problem}`))

const shown = (input: Envelope.Input): ReadonlyArray<string> => {
  const { reversePath, forwardPaths } = made(input)
  return [Address.formatReversePath(reversePath), ...forwardPaths.map(Address.formatForwardPath)]
}

const mailbox = (text: string) => Result.getOrThrow(Address.parse(text))

describe("Envelope", () => {
  it("takes text in the forms people write", () => {
    assert.deepStrictEqual(
      shown({
        from: "Ann <ann@Example.org>",
        to: ["<ben@example.net>", " eve@example.net ", "\"Doe, John\" <john@example.net>"]
      }),
      ["<ann@example.org>", "<ben@example.net>", "<eve@example.net>", "<john@example.net>"]
    )
  })

  it("takes one recipient alone, and mailboxes that were parsed before", () => {
    assert.deepStrictEqual(shown({ from: mailbox("a@b"), to: mailbox("c@d") }), ["<a@b>", "<c@d>"])
    assert.deepStrictEqual(shown({ from: "a@b", to: "c@d" }), ["<a@b>", "<c@d>"])
  })

  it("null, nothing and <> are the null reverse-path", () => {
    for (const from of [null, "", "<>"]) assert.isNull(made({ from, to: "a@b" }).reversePath)
  })

  it("postmaster alone is the server's own", () => {
    for (const to of ["postmaster", "Postmaster", "<POSTMASTER>", " postmaster "]) {
      assert.deepStrictEqual(made({ from: null, to }).forwardPaths, ["postmaster"])
    }
    assert.deepStrictEqual(shown({ from: null, to: "postmaster@a.example" }), ["<>", "<postmaster@a.example>"])
  })

  it("recipients stay in order, and twice where they were given twice", () => {
    assert.deepStrictEqual(shown({ from: null, to: ["b@x", "a@x", "b@x"] }), ["<>", "<b@x>", "<a@x>", "<b@x>"])
  })

  const wrong: ReadonlyArray<readonly [string, Envelope.Input, "from" | "to"]> = [
    ["no recipient", { from: "a@b", to: [] }, "to"],
    ["an empty recipient", { from: "a@b", to: "" }, "to"],
    ["an empty recipient among others", { from: "a@b", to: ["c@d", ""] }, "to"],
    ["the null path as recipient", { from: "a@b", to: "<>" }, "to"],
    ["two recipients in one string", { from: "a@b", to: "c@d, e@f" }, "to"],
    ["half of <postmaster>", { from: "a@b", to: "<postmaster" }, "to"],
    ["the other half", { from: "a@b", to: "postmaster>" }, "to"],
    ["postmaster as sender", { from: "postmaster", to: "c@d" }, "from"],
    ["no address as sender", { from: "ann", to: "c@d" }, "from"],
    ["a blank as sender", { from: " ", to: "c@d" }, "from"],
    ["an injection in the sender", { from: "a@b>\r\nRCPT TO:<x@y", to: "c@d" }, "from"],
    ["an injection in a recipient", { from: "a@b", to: ["c@d", "c@d\r\nDATA"] }, "to"],
    ["an injection in a display name", { from: "a@b", to: "x\r\nDATA <c@d>" }, "to"]
  ]
  for (const [name, input, field] of wrong) {
    it(`refuses ${name}`, () => {
      const result = Envelope.make(input)
      assert.isTrue(Result.isFailure(result))
      if (Result.isFailure(result)) {
        assert.strictEqual(result.failure.field, field)
        assert.isNotEmpty(result.failure.problem)
      }
    })
  }

  it("needs SMTPUTF8 where a local part does, and for nothing else", () => {
    assert.isFalse(Envelope.needsSmtpUtf8(made({ from: null, to: "postmaster" })))
    assert.isFalse(Envelope.needsSmtpUtf8(made({ from: "a@bücher.example", to: "b@例子.广告" })))
    assert.isTrue(Envelope.needsSmtpUtf8(made({ from: "é@b.example", to: "a@b" })))
    assert.isTrue(Envelope.needsSmtpUtf8(made({ from: null, to: ["a@b", "postmaster", "用户@b"] })))
  })

  it("law: any mailboxes, parsed or written out, make the same envelope", () => {
    fc.assert(
      fc.property(
        Arbitraries.mailbox,
        fc.array(Arbitraries.mailbox, { minLength: 1, maxLength: 4 }),
        (from, to) => {
          const envelope = made({ from, to })
          assert.deepStrictEqual(
            made({
              from: `<${Address.format(from)}>`,
              to: to.map((it) => `<${Address.format(it)}>`)
            }),
            envelope
          )
          assert.deepStrictEqual<ReadonlyArray<Address.ForwardPath>>(envelope.forwardPaths, to)
        }
      )
    )
  })

  it("law: never throws, and lets nothing through that is no address", () => {
    fc.assert(fc.property(Arbitraries.hostileAddress, Arbitraries.hostileAddress, (from, to) => {
      const result = Envelope.make({ from, to })
      if (Result.isSuccess(result)) assert.notMatch(shown({ from, to }).join(""), /[\r\n\0]/)
    }))
  })
})
