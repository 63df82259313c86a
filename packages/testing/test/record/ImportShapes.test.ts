import { assert, describe, it } from "@effect/vitest"
import type { Import } from "@postern/testing"
import * as fc from "fast-check"
import { imported } from "./logs.ts"

const decoder = new TextDecoder()

describe("Import, of a known session in each shape", () => {
  type Line = readonly [from: "C" | "S" | "content", text: string]
  const render: Readonly<Record<Import.Shape, (lines: ReadonlyArray<Line>) => string>> = {
    swaks: (lines) =>
      `=== Trying mx.example:25...\n=== Connected to mx.example.\n${
        lines.map(([from, text]) => `${from === "S" ? "<- " : " ->"} ${text}\n`).join("")
      }`,
    curl: (lines) =>
      `* Connected to mx.example (127.0.0.1) port 25 (#0)\n${
        lines.map(([from, text]) => from === "content" ? "" : `${from === "S" ? "<" : ">"} ${text}\r\n`).join("")
      }`,
    nodemailer: (lines) => {
      const head = (level: string) => `[2026-11-24 09:52:19] ${level} [abc] `
      return `${head("DEBUG")}Resolved mx.example as 127.0.0.1 [cache miss]\n${
        head("INFO ")
      }Connection established to 127.0.0.1:25\n${
        lines.map(([from, text]) => `${head("DEBUG")}${from === "content" ? "" : `${from}: `}${text}\n`).join("")
      }`
    },
    mailkit: (lines) =>
      `Connected to smtp://mx.example:25/?starttls=never\r\n${
        lines.map(([from, text]) => `${from === "S" ? "S" : "C"}: ${text}\r\n`).join("")
      }`
  }
  const word = fc.string({
    unit: fc.constantFrom("a", "B", "7", " ", ";", "-", "ü", ":", "S", "C"),
    minLength: 1,
    maxLength: 12
  })
    .map((text) => `x${text.trim()}`)
  const session = fc.record({
    greeting: fc.array(word, { minLength: 1, maxLength: 3 }),
    pairs: fc.array(fc.tuple(word, fc.constantFrom(250, 452, 550), word), { maxLength: 5 }),
    content: fc.option(fc.array(word, { maxLength: 4 }), { nil: undefined })
  }).map(({ content, greeting, pairs }): ReadonlyArray<Line> => [
    ...greeting.map((text, i): Line => ["S", `220${i === greeting.length - 1 ? " " : "-"}${text}`]),
    ...pairs.flatMap(([text, code, reply]): ReadonlyArray<Line> => [["C", `NOOP ${text}`], ["S", `${code} ${reply}`]]),
    ...content === undefined ? [] : [
      ["C", "DATA"],
      ["S", "354 go"],
      ...content.map((text): Line => ["content", text]),
      ["content", "."],
      ["S", "250 done"]
    ] satisfies ReadonlyArray<Line>
  ])

  it.each(["swaks", "curl", "nodemailer", "mailkit"] as const)("%s", (shape) => {
    fc.assert(fc.property(session, (lines) => {
      const recording = imported(render[shape](lines), { content: "whole" })
      assert.deepStrictEqual(recording.header.endpoint, { host: "mx.example", port: 25 })
      const said = recording.events.flatMap((event) => {
        const octets = event._tag === "ContentSent" ? event.whole : "data" in event ? event.data : undefined
        const from = event._tag === "ContentSent" ? "content" : event._tag === "Sent" ? "C" : "S"
        return octets === undefined ? [] : decoder.decode(octets).split("\r\n").slice(0, -1).map((text) => [from, text])
      })
      assert.deepStrictEqual(
        said,
        lines.filter(([from]) => shape !== "curl" || from !== "content").map((line) => [...line])
      )
    }))
  })
})
