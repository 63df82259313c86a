import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { AddressNumbers } from "../../src/record/AddressNumbers.ts"

/** What becomes of a talk: lines of the client, those of the server with `S: ` before them. */
const numbered = (...lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const numbers = new AddressNumbers()
  return lines.map((line) => line.startsWith("S: ") ? numbers.ofServer(line.slice(3)) : numbers.ofClient(line))
}

describe("AddressNumbers", () => {
  it("are the same for the same address, in either case of letters", () => {
    assert.deepStrictEqual(
      numbered("MAIL FROM:<Ann@a.example>", "rcpt to: <ann@A.EXAMPLE>", "S: <ANN@a.example>... ok (ann@a.example.)"),
      ["MAIL FROM:<address-1>", "rcpt to: <address-1>", "<address-1>... ok (address-1.)"]
    )
  })

  it("leave what only contains an address", () => {
    assert.deepStrictEqual(
      numbered("MAIL FROM:<n@a.example>", "RCPT TO:<ann@a.example>", "S: x+n@a.example n@a.example.org n@a.example"),
      ["MAIL FROM:<address-1>", "RCPT TO:<address-2>", "x+n@a.example n@a.example.org address-1"]
    )
    assert.deepStrictEqual(
      numbered("VRFY a", "S: maybe an alias of a", "VRFY vrfy"),
      ["VRFY address-1", "maybe an alias of address-1", "VRFY address-2"]
    )
  })

  it("know quoted local parts, literals, source routes, and paths that are none", () => {
    assert.deepStrictEqual(
      numbered(
        "RCPT TO:<\"a > b\"@c.example>",
        "RCPT TO:<a@[IPv6:::1]>",
        "RCPT TO:<@r.example,@s.example:b@d.example>",
        "RCPT TO:bare@d.example",
        "EXPN List <staff@d.example>"
      ),
      [
        "RCPT TO:<address-1>",
        "RCPT TO:<address-2>",
        "RCPT TO:<@r.example,@s.example:address-3>",
        "RCPT TO:address-4",
        "EXPN List <address-5>"
      ]
    )
  })

  it("know the addresses in parameters, in xtext and without", () => {
    assert.deepStrictEqual(
      numbered(
        "MAIL FROM:<a@b.example> AUTH=x+2By@z.example SIZE=3",
        "RCPT TO:<c@d.example> ORCPT=rfc822;q@z.example",
        "MAIL FROM:<> AUTH=<>",
        "S: x+y@z.example"
      ),
      [
        "MAIL FROM:<address-1> AUTH=address-2 SIZE=3",
        "RCPT TO:<address-3> ORCPT=rfc822;address-4",
        "MAIL FROM:<> AUTH=<>",
        "address-2"
      ]
    )
  })

  it("are not given to nobody and the postmaster", () => {
    const same = ["MAIL FROM:<>", "RCPT TO:<Postmaster>", "S: no such postmaster", "NOOP"]
    assert.deepStrictEqual(numbered(...same), same.map((line) => line.replace("S: ", "")))
  })

  it("end, whatever is asked about", () => {
    const odd = fc.string({ unit: fc.constantFrom("VRFY ", "a", "@", "<", ">", "address-1", " ", "\\", "\"", ".") })
    fc.assert(fc.property(fc.array(odd, { maxLength: 5 }), (lines) => {
      numbered(...lines, ...lines.map((line) => `S: ${line}`), `VRFY ${" ".repeat(60_000)}x`, "VRFY a")
    }))
  })

  it("know those of one word and others side by side", () => {
    assert.deepStrictEqual(
      numbered("RCPT TO:<a=b@c.example>", "RCPT TO:<d@c.example>", "S: <a=b@c.example>, d@c.example; a=b@c.example."),
      ["RCPT TO:<address-1>", "RCPT TO:<address-2>", "<address-1>, address-2; address-1."]
    )
  })

  it("take no longer for an address when there are many", () => {
    const numbers = new AddressNumbers()
    for (let i = 0; i < 20_000; i++) numbers.ofClient(`RCPT TO:<user${i}@many.example>`)
    // Had each line been searched for each address, this would be 400 million searches.
    for (let i = 0; i < 20_000; i++) {
      assert.strictEqual(numbers.ofServer(`<user${i}@many.example>`), `<address-${i + 1}>`)
    }
  })
})
