import { assert, describe, it } from "@effect/vitest"
import type { Recording } from "@postern/testing"
import { Result } from "effect"
import { AddressNumbers } from "../../src/record/AddressNumbers.ts"
import { Key } from "../../src/record/Key.ts"
import { Redactor, type Said } from "../../src/record/Redactor.ts"
import { key } from "./support.ts"

const octets = (text: string) => new Uint8Array(Buffer.from(text, "latin1"))

/** A talk, `C` or `S` and what was said, as text: one line for each event. */
const redacted = (
  talk: ReadonlyArray<readonly ["C" | "S", string]>,
  policy: Recording.Policy = { addresses: "kept", content: "hashed" },
  withKey = false
): ReadonlyArray<string> => {
  const redactor = new Redactor({
    policy,
    key: withKey ? Result.getOrThrow(Key.make(key)) : undefined,
    numbers: new AddressNumbers()
  })
  const all = talk.flatMap(([side, text]) =>
    side === "C" ? redactor.sent(octets(text)) : redactor.received(octets(text))
  )
  return [...all, ...redactor.flush()].map(shown)
}

const shown = (said: Said): string => {
  switch (said._tag) {
    case "Sent":
    case "Received":
      return `${said._tag} ${Buffer.from(said.data).toString("latin1")}`
    case "ContentSent":
      return `Content ${said.octets}`
    default:
      return `${said._tag} ${said.line}<${said.hidden.octets}>${said.hidden.sealed === undefined ? "" : " sealed"}`
  }
}

describe("Redactor", () => {
  it("hides what a client says in AUTH, and shows that it cancels", () => {
    assert.deepStrictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"],
        ["S", "535 no\r\n"],
        ["C", "auth login\r\n"],
        ["S", "334 VXNlcm5hbWU6\r\n"],
        ["C", "dGltdGlt\r\n"],
        ["S", "334 UGFzc3dvcmQ6\r\n"],
        ["C", "*\r\n"],
        ["S", "501 cancelled\r\n"],
        ["C", "NOOP\r\n"]
      ]),
      [
        "Received 220 hi\r\n",
        "SentHidden AUTH PLAIN <20>",
        "Received 535 no\r\n",
        "Sent auth login\r\n",
        "Received 334 VXNlcm5hbWU6\r\n",
        "SentHidden <8>",
        "Received 334 UGFzc3dvcmQ6\r\n",
        "Sent *\r\n",
        "Received 501 cancelled\r\n",
        "Sent NOOP\r\n"
      ]
    )
  })

  it("hides challenges that passwords can be tried against, and seals them with a key", () => {
    const talk = [
      ["S", "220 hi\r\n"],
      ["C", "AUTH SCRAM-SHA-256 biwsbj10aW0scj1h\r\n"],
      ["S", "334 cj1hYixzPXgsaT00MDk2\r\n"]
    ] as const
    assert.strictEqual(redacted(talk).at(-1), "ReceivedHidden 334 <20>")
    assert.strictEqual(redacted(talk, undefined, true).at(-1), "ReceivedHidden 334 <20> sealed")
    assert.isFalse(redacted(talk, undefined, true).at(-2)?.endsWith("sealed"))
  })

  it("hides what is no reply within AUTH, however it is cut", () => {
    const talk = (rest: ReadonlyArray<string>) => [
      ["S", "220 hi\r\n"] as const,
      ["C", "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"] as const,
      ...rest.map((text) => ["S", text] as const)
    ]
    assert.deepStrictEqual(redacted(talk(["tanst", "aaf\r\n"])).slice(2), ["ReceivedHidden <8>"])
    assert.deepStrictEqual(redacted(talk(["tanst"])).slice(2), ["ReceivedHidden <5>"])
  })

  it("makes one event of content, wherever its writes end, and goes on behind it", () => {
    const before = [
      ["S", "220 hi\r\n"],
      ["C", "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"],
      ["S", "250 ok\r\n250 ok\r\n354 go\r\n"]
    ] as const
    const content = "Subject: x\r\n\r\nAUTH PLAIN x\r\n..\r\n.\r\n"
    for (let cut = 1; cut < content.length; cut++) {
      const events = redacted([
        ...before,
        ["C", content.slice(0, cut)],
        ["C", `${content.slice(cut)}QUIT\r\n`],
        ["S", "250 queued\r\n"]
      ])
      assert.deepStrictEqual(events.slice(3), [`Content ${content.length}`, "Sent QUIT\r\n", "Received 250 queued\r\n"])
    }
  })

  it("takes a refused DATA for no content, and the octets of a BDAT for content", () => {
    assert.deepStrictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", "DATA\r\n"],
        ["S", "503 no\r\n"],
        ["C", "BDAT 6 LAST\r\nab\r\ncdNOOP\r\n"]
      ]).slice(3),
      ["Sent BDAT 6 LAST\r\n", "Content 6", "Sent NOOP\r\n"]
    )
  })

  it("counts a reply for each recipient in LMTP: the challenge behind them is one", () => {
    assert.strictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", "LHLO x\r\n"],
        ["S", "250 hi\r\n"],
        ["C", "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"],
        ["S", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"],
        ["C", "x\r\n.\r\nAUTH SCRAM-SHA-1 biws\r\n"],
        ["S", "250 one\r\n250 two\r\n334 cj1hYixzPXgsaT00MDk2\r\n"]
      ]).at(-1),
      "ReceivedHidden 334 <20>"
    )
  })

  it("numbers addresses in the order in which they come, in replies too", () => {
    assert.deepStrictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", "MAIL FROM:<ann@a.example> SIZE=3\r\nRCPT TO:<ben@b.example>\r\nRCPT TO:<ann@a.example>\r\n"],
        ["S", "250 <ann@a.example> ok\r\n550 <ben@b.example> unknown\r\n"]
      ], { addresses: "numbered", content: "hashed" }).slice(1),
      [
        "Sent MAIL FROM:<address-1> SIZE=3\r\nRCPT TO:<address-2>\r\nRCPT TO:<address-1>\r\n",
        "Received 250 <address-1> ok\r\n550 <address-2> unknown\r\n"
      ]
    )
  })

  it("keeps octets as they are, text or not", () => {
    const odd = "220 \xff\xfe\r\n"
    assert.deepStrictEqual(redacted([["S", odd.slice(0, 5)], ["S", odd.slice(5)]]), [`Received ${odd}`])
  })
})
