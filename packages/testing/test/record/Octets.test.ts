import { assert, describe, it } from "@effect/vitest"
import { Octets } from "@postern/testing"
import { Result } from "effect"
import * as fc from "fast-check"
import { octets } from "./generated.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("Octets", () => {
  it.each([
    ["", { lines: [] }],
    ["250-one\r\n250 two\r\n", { lines: ["250-one", "250 two"] }],
    ["\r\n", { lines: [""] }],
    ["250 on", { text: "250 on" }],
    ["250 bare\n", { text: "250 bare\n" }],
    ["a\rb\r\n", { text: "a\rb\r\n" }],
    ["\ufeff250 mark\r\n", { lines: ["\ufeff250 mark"] }],
    ["grüße\r\n", { lines: ["grüße"] }]
  ])("of %j can be read by a person", (text, written) => assert.deepStrictEqual(Octets.write(bytes(text)), written))

  it("that are no text are base64", () => {
    assert.deepStrictEqual(Octets.write(new Uint8Array([0xff, 0x0d, 0x0a])), { base64: "/w0K" })
  })

  it("are read as they were written", () => {
    fc.assert(
      fc.property(octets, (bytes) => {
        const written: Octets.Written = JSON.parse(JSON.stringify(Octets.write(bytes)))
        assert.deepStrictEqual(Octets.read(written), Result.succeed(bytes))
      }),
      { numRuns: 1000 }
    )
  })

  it("are not read of what is no base64", () => assert.isTrue(Result.isFailure(Octets.read({ base64: "*" }))))
})
