import { assert, describe, it } from "@effect/vitest"
import { dark, light, phaseColours, readable } from "../../src/record/PageShell.ts"

describe("PageShell", () => {
  const channel = (value: number) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => channel(Number.parseInt(colour.slice(at, at + 2), 16) / 255))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (a: string, b: string) => {
    const [low = 0, high = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y)
    return (high + 0.05) / (low + 0.05)
  }
  it.each([["light", light], ["dark", dark]] as const)("%s: text has 4.5:1, shapes 3:1", (_, scheme) => {
    for (const [text, surface] of readable) {
      assert.isAtLeast(contrast(scheme[text], scheme[surface]), 4.5, `${text} on ${surface}`)
    }
    for (const [phase, colour] of Object.entries(phaseColours)) {
      assert.isAtLeast(contrast(colour, scheme.page), 3, phase)
    }
  })
  it("has black on white at 21:1", () => assert.closeTo(contrast("#000000", "#ffffff"), 21, 0.01))
})
