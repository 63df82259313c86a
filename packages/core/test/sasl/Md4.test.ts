import { assert, describe, it } from "@effect/vitest"
import { md4 } from "../../src/sasl/Md4.ts"

const hex = (text: string) => Buffer.from(md4(Buffer.from(text))).toString("hex")

describe("MD4", () => {
  // RFC 1320 A.5.
  const published = [
    ["", "31d6cfe0d16ae931b73c59d7e0c089c0"],
    ["a", "bde52cb31de33e46245e05fbdbd6fb24"],
    ["abc", "a448017aaf21d8525fc10ae87aa6729d"],
    ["message digest", "d9130a8164549fe818874806e1c7014b"],
    ["abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"],
    ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"],
    [
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "e33b4ddc9c38f2199c3e7b164fcc0536"
    ]
  ] as const

  for (const [text, digest] of published) {
    it(`of "${text}"`, () => assert.strictEqual(hex(text), digest))
  }

  it("takes messages that end anywhere in a block", () => {
    const digests = Array.from({ length: 200 }, (_, length) => hex("a".repeat(length)))
    assert.strictEqual(new Set(digests).size, 200)
  })

  it("reads only the message, wherever it stands in its buffer", () => {
    const around = Buffer.from("xxabcyy")
    assert.deepStrictEqual(md4(around.subarray(2, 5)), md4(Buffer.from("abc")))
  })
})
