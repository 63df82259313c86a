import { assert, describe, it } from "@effect/vitest"
import { Content } from "@postern/core"
import * as fc from "fast-check"

// Written anew, octet by octet, as RFC 5321 §2.3.8 and §4.5.2 have it.
const reference = (content: Uint8Array): ReadonlyArray<number> => {
  const text = new TextDecoder("latin1").decode(content)
  const lines = text === "" ? [] : text.replace(/\r\n|\r|\n/g, "\n").replace(/\n$/, "").split("\n")
  const stuffed = lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("")
  return Array.from(`${stuffed}.\r\n`, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? code : windows1252.indexOf(character) + 0x80
  })
}

// What "latin1" of the web decodes 0x80 to 0x9f as.
const windows1252 = new TextDecoder("latin1").decode(Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i))

describe("Content, octet by octet", () => {
  it("finds an octet above 127 wherever it is, however the content lies in memory", () => {
    const memory = new Uint8Array(32)
    for (let from = 0; from < 8; from++) {
      for (let length = 0; length <= 20; length++) {
        const content = memory.subarray(from, from + length)
        assert.isFalse(Content.measure(content).eightBit)
        for (let at = 0; at < length; at++) {
          content[at] = 0x80
          assert.isTrue(Content.measure(content).eightBit, `${at} of ${length} from ${from}`)
          content[at] = 0
        }
        // The neighbours are none of its business.
        memory.fill(0xff)
        content.fill(0x7f)
        assert.isFalse(Content.measure(content).eightBit)
        memory.fill(0)
      }
    }
  })

  it("is what the reference says, for octets that matter and others, short and long", () => {
    const octet = fc.constantFrom(13, 10, 46, 97, 0, 0x80, 0xff)
    const lines = fc.array(fc.constantFrom("\n", ".\n", "..\r\n", "a\r", ".", "word\r\n", "\r\n"), { maxLength: 600 })
      .map((parts) => new TextEncoder().encode(parts.join("")))
    fc.assert(
      fc.property(fc.oneof(fc.array(octet, { maxLength: 40 }).map((all) => Uint8Array.from(all)), lines), (content) => {
        const encoded = Content.encodeData(content)
        assert.deepStrictEqual(Array.from(encoded), reference(content))
        assert.strictEqual(Content.measure(content).size, Content.normalize(content).length)
      }),
      { numRuns: 2000 }
    )
  })
})
