import { assert, describe, it } from "@effect/vitest"
import { Address } from "@postern/core"
import { Result } from "effect"

const show = (user: Address.User) => [user.displayName, Address.format(user.mailbox)] as const

const user = (text: string) =>
  show(Result.getOrThrowWith(Address.parseUser(text), (error) => new Error(`${error.input}: ${error.problem}`)))

const list = (text: string) =>
  Result.getOrThrowWith(Address.parseUserList(text), (error) => new Error(`${error.input}: ${error.problem}`)).map(show)

const failure = <A>(result: Result.Result<A, Address.AddressError>): Address.AddressError => {
  if (Result.isSuccess(result)) throw new Error(`should have been refused: ${JSON.stringify(result.success)}`)
  return result.failure
}

describe("Address.parseUser", () => {
  it.each<readonly [string, string | undefined, string]>([
    ["a@b", undefined, "a@b"],
    ["  a@b\t", undefined, "a@b"],
    ["<a@b>", undefined, "a@b"],
    [" < a@b > ", undefined, "a@b"],
    ["\u00a0a@b\u00a0", undefined, "a@b"],
    ["<\u2003a@b>", undefined, "\u2003a@b"],
    ["Ann <a@b>", "Ann", "a@b"],
    ["Ann<a@b>", "Ann", "a@b"],
    ["Ann \t Other  <a@b>", "Ann Other", "a@b"],
    ["Dr. A. N. Other <a@b>", "Dr. A. N. Other", "a@b"],
    ["Zoë Ünal <a@b>", "Zoë Ünal", "a@b"],
    ["O'Brien <a@b>", "O'Brien", "a@b"],
    ["[External; really] Ann <a@b>", "[External; really] Ann", "a@b"],
    ["\"Other, Ann\" <a@b>", "Other, Ann", "a@b"],
    ["\"Ann \\\"The\\\" \\\\ Other\" <a@b>", "Ann \"The\" \\ Other", "a@b"],
    ["\"Ann\" \"Other\" <a@b>", "Ann Other", "a@b"],
    ["Ann \"Q.\" Other <a@b>", "Ann Q. Other", "a@b"],
    ["\"a@b\" <c@d>", "a@b", "c@d"],
    ["\"a\tb\" <c@d>", "a b", "c@d"],
    ["\"\" <a@b>", undefined, "a@b"],
    ["\" \" <a@b>", undefined, "a@b"],
    ["\"<x@y>\" <a@b>", "<x@y>", "a@b"],
    ["=?utf-8?Q?Zo=C3=AB?= <a@b>", "=?utf-8?Q?Zo=C3=AB?=", "a@b"],
    ["Jo\"hn\"(x)Other <a@b>", "John Other", "a@b"],
    ["a@b (Ann)", undefined, "a@b"],
    ["(Ann) a@b", undefined, "a@b"],
    ["a@b (Ann (the (other) one) \\) <c@d>)", undefined, "a@b"],
    ["Ann (not Bob) Other <a@b> (work)", "Ann Other", "a@b"],
    ["\"a b\"@c", undefined, "\"a b\"@c"],
    ["Ann <\"a>b\"@c>", "Ann", "\"a>b\"@c"],
    ["Ann <a@[tag:>]>", "Ann", "a@[tag:>]"],
    ["a@[IPv6:::1]", undefined, "a@[IPv6:::1]"],
    ["Jörg <jörg@bücher.example>", "Jörg", "jörg@xn--bcher-kva.example"]
  ])("reads %j", (text, displayName, mailbox) => assert.deepStrictEqual(user(text), [displayName, mailbox]))

  const bad: ReadonlyArray<readonly [string, Address.AddressErrorKind, number?]> = [
    ["", "Empty", 0],
    ["  ", "Empty", 2],
    ["(nobody)", "Empty"],
    ["<>", "Empty", 1],
    ["Ann <>", "Empty", 5],
    ["Ann", "NoAtSign", 3],
    ["Ann a@b", "LocalPart", 3],
    ["a@b Ann", "Domain", 3],
    ["a@b, c@d", "Domain", 3],
    ["Other, Ann <a@b>", "DisplayName", 5],
    ["a@b <c@d>", "DisplayName", 1],
    ["Team: Ann <a@b>", "DisplayName", 4],
    ["a\\b <a@b>", "DisplayName", 1],
    ["a) <a@b>", "DisplayName", 1],
    ["a] <a@b>", "DisplayName", 1],
    ["> <a@b>", "DisplayName", 0],
    ["<a@b> Ann", "DisplayName", 6],
    ["<a@b> <c@d>", "DisplayName", 6],
    ["<a@b>, ", "DisplayName", 5],
    ["Ann <a@b", "DisplayName", 4],
    ["\"Ann <a@b>", "DisplayName", 0],
    ["O\"Brien <a@b>", "DisplayName", 1],
    ["Ann (<a@b>", "DisplayName", 4],
    ["[Ann <a@b>", "DisplayName", 0],
    ["a(b)c@d", "LocalPart", 1],
    ["\"a\tb\"@c", "ForbiddenCharacter", 2],
    ["<a\t@b>", "ForbiddenCharacter", 2],
    ["Ann <<a@b>>", "DisplayName", 10],
    ["Ann <a@b>\r\nBcc: c@d", "ForbiddenCharacter", 9],
    ["\"Ann\r\nBcc: c@d\" <a@b>", "ForbiddenCharacter", 4],
    ["(\r\n) a@b", "ForbiddenCharacter", 1],
    ["Ann\0 <a@b>", "ForbiddenCharacter", 3],
    ["Ann\ud800 <a@b>", "ForbiddenCharacter", 3],
    ["a@b\n", "ForbiddenCharacter", 3]
  ]
  for (const [text, kind, offset] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = failure(Address.parseUser(text))
      assert.strictEqual(error.kind, kind)
      if (offset !== undefined) assert.strictEqual(error.offset, offset)
    })
  }

  it("looks at 10,000 characters at most", () => {
    assert.strictEqual(user(`${"x".repeat(9_994)} <a@b>`)[1], "a@b")
    assert.strictEqual(failure(Address.parseUser(`${"x".repeat(9_995)} <a@b>`)).kind, "TooLong")
  })
})

describe("Address.parseUserList", () => {
  it("separates at commas and semicolons", () => {
    assert.deepStrictEqual(list("a@b, \"X, Y\" <c@d>; e@f"), [
      [undefined, "a@b"],
      ["X, Y", "c@d"],
      [undefined, "e@f"]
    ])
  })

  it("never separates inside quotes, comments or brackets", () => {
    assert.deepStrictEqual(list("\"a,b\"@c;(x, y) d@e,<\"f;,>\"@g>,h@[tag:i,j;k]"), [
      [undefined, "\"a,b\"@c"],
      [undefined, "d@e"],
      [undefined, "\"f;,>\"@g"],
      [undefined, "h@[tag:i,j;k]"]
    ])
  })

  it("skips empty items", () => {
    assert.deepStrictEqual(list(""), [])
    assert.deepStrictEqual(list(" \t"), [])
    assert.deepStrictEqual(list(";, ,"), [])
    assert.deepStrictEqual(list(",a@b,;\tc@d ; "), [[undefined, "a@b"], [undefined, "c@d"]])
  })

  it.each<readonly [string, string, Address.AddressErrorKind, number]>([
    ["a@b, c d@e, f@g", "c d@e", "LocalPart", 1],
    ["Other, Ann <a@b>", "Other", "NoAtSign", 5],
    ["a@b c@d", "a@b c@d", "Domain", 3],
    ["a@b, \"c <c@d>", " \"c <c@d>", "DisplayName", 1],
    ["a@b\r\nc@d", "a@b\\u{d}\\u{a}c@d", "ForbiddenCharacter", 3]
  ])("refuses %j for its first bad item", (text, input, kind, offset) => {
    assert.deepInclude(failure(Address.parseUserList(text)), { input, kind, offset })
  })

  it("is bounded, and takes many", () => {
    assert.strictEqual(
      list(Array.from({ length: 5000 }, (_, i) => `User ${i} <user${i}@example.com>`).join(",")).length,
      5000
    )
    assert.deepStrictEqual(list(",".repeat(1_000_000)), [])
    assert.strictEqual(failure(Address.parseUserList(",".repeat(1_000_001))).kind, "TooLong")
  })
})
