import { assert, describe, it } from "@effect/vitest"
import { Address, Choose, Command, Connection, Content, Open, Program, Said, Scram } from "@postern/core"
import { Recording, Replay } from "@postern/testing"
import { Effect, Exit, Result } from "effect"
import * as fc from "fast-check"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { recordings } from "./generated.ts"
import { credentials, key, message } from "./support.ts"

const header = { format: "postern-recording", version: 1, by: "x", policy: { addresses: "kept", content: "hashed" } }
const connected = { _tag: "Connected", at: 0, connection: 0 }

const problemOf = (...lines: ReadonlyArray<unknown>) => {
  const read = Recording.decode(lines.map((line) => typeof line === "string" ? line : JSON.stringify(line)).join("\n"))
  return Result.isFailure(read) ? read.failure.message : ""
}

describe("Recording", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(recordings, (recording) => {
        const text = Recording.encode(recording)
        const read = Result.getOrThrow(Recording.decode(text))
        assert.deepStrictEqual(read, recording)
        assert.strictEqual(Recording.encode(read), text)
        assert.lengthOf(text.split("\n"), recording.events.length + 2)
      }),
      { numRuns: 500 }
    )
  })

  it("is never read with a defect, whatever the text", () => {
    const line = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom(JSON.stringify(header), JSON.stringify(connected), "null", "[]", "{\"__proto__\":1}"),
      fc.object().map((extra) => JSON.stringify({ ...connected, ...extra }))
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        const read = Recording.decode(lines.join("\n"))
        if (Result.isFailure(read)) assert.match(read.failure.message, /^line \d+ of the recording: ./)
      }),
      { numRuns: 1000 }
    )
  })

  it("is never read with a defect where a written one was changed", () => {
    fc.assert(
      fc.property(recordings, fc.nat(), fc.string({ maxLength: 3 }), fc.nat(3), (recording, where, by, length) => {
        const text = Recording.encode(recording)
        const at = where % text.length
        const read = Recording.decode(text.slice(0, at) + by + text.slice(at + length))
        if (Result.isFailure(read)) assert.isAbove(read.failure.line, 0)
        else Recording.encode(read.success)
      }),
      { numRuns: 500 }
    )
  })

  it("says which line is wrong, and how", () => {
    assert.include(problemOf(""), "it is empty")
    assert.include(problemOf("{"), "line 1 of the recording: no JSON")
    assert.include(problemOf({ format: "other" }), "it should be the header")
    assert.include(problemOf({ ...header, version: 2 }), "reads up to 1")
    assert.include(problemOf(header, "", { ...connected, _tag: "Other" }), "line 3 of the recording")
    assert.include(
      problemOf(header, { ...connected, _tag: "Sent", data: { base64: "*" } }),
      "line 2 of the recording"
    )
    assert.strictEqual(problemOf(header, connected), "")
  })
})

describe("The oldest format", () => {
  const text = Fs.readFileSync(Path.join(import.meta.dirname, "fixtures", "recording-v1.ndjson"), "utf8")
  const read = Result.getOrThrow(Recording.decode(text))
  const octets = (...lines: ReadonlyArray<string>) =>
    new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""))

  it("is read", () => {
    assert.deepStrictEqual(read.header, {
      format: "postern-recording",
      version: 1,
      by: "@postern/testing",
      startedAt: "2026-11-24T10:34:49.538Z",
      endpoint: { host: "mx.example", port: 587 },
      mode: "startTls",
      policy: { addresses: "kept", content: "hashed", key: "977674bcc14eac16" }
    })
    assert.lengthOf(read.events, 27)
    assert.deepStrictEqual(read.events[2], {
      _tag: "Received",
      at: 8.399458,
      connection: 0,
      data: octets("220 mx.example ESMTP")
    })
    assert.deepStrictEqual(read.events[7], {
      _tag: "HandshakeStarted",
      at: 65.14543,
      connection: 0,
      serverName: "mx.example"
    })
    assert.deepStrictEqual(read.events[12], {
      _tag: "SentHidden",
      at: 69.809638,
      connection: 0,
      line: "AUTH SCRAM-SHA-256 ",
      hidden: { octets: 48, hash: "4e98975dc6a320a190d9ac01f5a2d86267280b6e2a6873fa1a88e358688fa5af" }
    })
    assert.deepStrictEqual(read.events.find(({ _tag }) => _tag === "ContentSent"), {
      _tag: "ContentSent",
      at: 192.776656,
      connection: 0,
      octets: 37,
      sha256: "1d2d139fcb25be1d72c002087b818cd0910d99b5ddf5271d4f5c20422b9b672a"
    })
    assert.deepStrictEqual(read.events.at(-1), { _tag: "Closed", at: 196.609901, connection: 0 })
  })

  it("is written as it was", () => assert.strictEqual(Recording.encode(read), text))

  it("replays", async () => {
    // Said by hand, as a client did then: DATA behind the replies to the envelope, and never a BDAT.
    const dialogue = Program.gen(function*() {
      yield* Open.open({
        host: "mx.example",
        domain: Result.getOrThrow(Address.parseDomain("client.example")),
        security: "startTls",
        tls: { serverName: "mx.example" },
        credentials,
        authenticator: Choose.inOrder(Scram.scramSha256)
      })
      const [ann, ben, nobody] = [message.from, ...message.to].map((text) => Result.getOrThrow(Address.parse(text)))
      if (ann === undefined || ben === undefined || nobody === undefined) return assert.fail()
      yield* Program.exchange(
        Command.mail(ann, [{ keyword: "SIZE", value: "33" }]),
        Command.rcpt(ben),
        Command.rcpt(nobody)
      )
      yield* Program.send(Command.data)
      const content = Content.blocks(new TextEncoder().encode(message.content), "DATA")
      return (yield* Program.converse([Said.content(content)], ["Content"]))[0]?.code
    })
    const talk = Effect.scoped(Effect.flatMap(
      Connection.open({ peer: { host: "mx.example", port: 587 }, security: "startTls" }),
      (connection) => connection.run(dialogue)
    ))
    assert.deepStrictEqual(await Effect.runPromiseExit(Replay.run(read, talk, { key })), Exit.succeed(250))
  })
})
