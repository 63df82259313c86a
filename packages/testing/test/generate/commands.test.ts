import { assert, describe, it } from "@effect/vitest"
import { Address, CommandLine } from "@postern/core"
import { Arbitraries, ServerMachine } from "@postern/testing"
import { Result } from "effect"
import * as fc from "fast-check"

/** What a server answers to a line: `taken`, or the code of its refusal. */
const verdict = (line: string): "taken" | 500 | 501 => {
  const decoded = CommandLine.decode(line)
  return Result.isSuccess(decoded) ? "taken" : decoded.failure.code
}

const verdicts: { readonly [F in keyof typeof Arbitraries.commandFaults]: "taken" | 500 | 501 } = {
  "unknown verb": 500,
  "blank before the verb": 500,
  "no blank behind the verb": 500,
  "argument missing": 501,
  "argument too much": 501,
  "no colon": 501,
  "no angle brackets": 501,
  "angle bracket not closed": 501,
  "nothing behind the colon": 501,
  "blank behind the colon": "taken",
  "blanks behind the line": "taken",
  "null path as recipient": 501,
  "postmaster as sender": 501,
  "address without a domain": 501,
  "address with an empty local part": 501,
  "no blank before a parameter": 501,
  "parameter without a keyword": 501,
  "parameter with an empty value": 501,
  "initial response that is no base64": 501,
  "two initial responses": 501,
  "mechanism name too long": 501,
  "size that is no number": 501,
  "word behind LAST": 501,
  "URL that is not absolute": 501,
  "CR within": 500,
  "LF within": 500,
  "NUL within": 500
}

describe("commands", () => {
  it("lines are read by a server, in any case of letters", () => {
    fc.assert(fc.property(Arbitraries.commandLine, (line) => assert.strictEqual(verdict(line), "taken")))
  })

  it.each(Object.entries(verdicts))("%s: %s", (fault, expected) => {
    fc.assert(fc.property(Arbitraries.commandFaults[fault as keyof typeof verdicts], (line) => {
      assert.strictEqual(verdict(line), expected)
    }))
  })

  it("every fault has its verdict here", () => {
    assert.sameMembers(Object.keys(Arbitraries.commandFaults), Object.keys(verdicts))
  })

  it("a server outlives whatever a client says", () => {
    const start = () => ServerMachine.start({ authBeforeTls: true })[0]
    fc.assert(fc.property(Arbitraries.hostileCommandBytes, Arbitraries.chunking, (bytes, chunking) => {
      let state = start()
      for (const chunk of chunking(bytes)) [state] = ServerMachine.receive(state, chunk)
    }))
  })
})

describe("addresses", () => {
  it.each(Object.keys(Arbitraries.addressFaults))("%s: is refused", (fault) => {
    fc.assert(
      fc.property(Arbitraries.addressFaults[fault as keyof typeof Arbitraries.addressFaults], (text) => {
        assert.isTrue(Result.isFailure(Address.parse(text)), text)
      })
    )
  })
})
