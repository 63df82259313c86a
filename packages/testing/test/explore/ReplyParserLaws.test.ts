import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Laws } from "@postern/testing"
import { Bytes, Result } from "effect"
import { failing } from "./failing.ts"

const parse: Laws.ParseReplies = (chunks) => {
  const decoder = Reply.decoder()
  const found: Array<Laws.ParsedReply | "error"> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if (Result.isFailure(next)) return [...found, "error"]
      found.push(next.success)
    }
  }
  return found
}

describe("our decoder", () => {
  for (const law of Laws.replyParser("Reply.decoder", parse)) it(law.name, law.run)
})

describe("broken parsers", () => {
  const broken = (parser: Laws.ParseReplies) => failing(Laws.replyParser("it", parser, { patience: 300_000, runs: 50 }))
  const valid = "reads valid replies, in any chunks"
  const cuts = "reads the same however octets are cut, whatever they are"
  const never = "makes no reply of what cannot be one"

  it("that takes each chunk for itself", async () => {
    assert.includeMembers([...await broken((chunks) => chunks.flatMap((chunk) => parse([chunk])))], [valid, cuts])
  })

  it("that loses lines, or replies", async () => {
    const lossy: Laws.ParseReplies = (chunks) =>
      parse(chunks).map((found) => found === "error" ? found : { ...found, lines: found.lines.slice(-1) })
    assert.deepStrictEqual(await broken(lossy), [valid])
    assert.include(await broken((chunks) => parse(chunks).slice(0, 1)), valid)
  })

  // As many clients do: whatever is between line ends, by the code of the last line.
  const careless = (text: string): ReadonlyArray<Laws.ParsedReply> => {
    const found: Array<Laws.ParsedReply> = []
    let lines: Array<string> = []
    for (const line of text.split("\r\n").slice(0, -1)) {
      lines.push(line.slice(4))
      if (line[3] === "-") continue
      found.push({ code: Number(line.slice(0, 3)), lines })
      lines = []
    }
    return found
  }

  it("that looks at the last line alone", async () => {
    const found = await broken((chunks) => careless(new TextDecoder().decode(Bytes.concat(chunks))))
    assert.deepStrictEqual(found, [
      never,
      "gives up on a line without end",
      "gives up on a reply without end"
    ])
  })

  it("that throws", async () => {
    const strict = new TextDecoder("utf-8", { fatal: true })
    const throwing: Laws.ParseReplies = (chunks) => {
      strict.decode(Bytes.concat(chunks))
      return parse(chunks)
    }
    assert.includeMembers([...await broken(throwing)], ["never throws"])
  })

  it("that has no bounds for lines, or for replies", async () => {
    const unbounded = (limits: Partial<Reply.Limits>): Laws.ParseReplies => (chunks) => {
      const decoder = Reply.decoder({ ...Reply.defaultLimits, bytes: 2 ** 24, ...limits })
      for (const chunk of chunks) decoder.push(chunk)
      const found: Array<Laws.ParsedReply | "error"> = []
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        if (Result.isFailure(next)) return [...found, "error"]
        found.push(next.success)
      }
      return found
    }
    assert.deepStrictEqual(await broken(unbounded({ line: 2 ** 19 })), ["gives up on a line without end"])
    assert.deepStrictEqual(await broken(unbounded({ lines: 2 ** 19 })), ["gives up on a reply without end"])
  })
})
