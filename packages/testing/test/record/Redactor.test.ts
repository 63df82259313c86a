import { assert, describe, it } from "@effect/vitest"
import type { Recording } from "@postern/testing"
import { Result } from "effect"
import * as fc from "fast-check"
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
    key: withKey ? Result.getOrThrow(Key.make(key)) : undefined
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

  it("hides the token of a URLAUTH, with which anybody could read the message", () => {
    const url = "imap://joe@a.example/Sent;uid=20;urlauth=submit+ann:internal:"
    assert.deepStrictEqual(
      redacted([["S", "220 hi\r\n"], ["C", `BURL ${url}91354a473744909de610943775f92038 LAST\r\n`], [
        "S",
        "250 ok\r\n"
      ]]),
      ["Received 220 hi\r\n", `SentHidden BURL ${url}<37>`, "Received 250 ok\r\n"]
    )
    assert.deepStrictEqual(redacted([["C", "BURL imap://a.example/x LAST\r\n"]]), [
      "Sent BURL imap://a.example/x LAST\r\n"
    ])
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

  it("counts a reply for each recipient in LMTP: the one behind them is a challenge", () => {
    assert.deepStrictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", "LHLO x\r\n"],
        ["S", "250 hi\r\n"],
        ["C", "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"],
        ["S", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"],
        ["C", "x\r\n.\r\nAUTH LOGIN\r\n"],
        ["S", "250 one\r\n250 two\r\n334 VXNlcm5hbWU6\r\n"],
        ["C", "dGltdGlt\r\n"]
      ]).at(-1),
      "SentHidden <8>"
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

  it("keeps the octets of replies to AUTH, too", () => {
    const replies = "535-caf\xe9 \x01\r\n535 \ttim\n"
    assert.deepStrictEqual(
      redacted([["S", "220 hi\r\n"], ["C", "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"], ["S", replies]]).at(-1),
      `Received ${replies}`
    )
  })

  it("hides a challenge that passwords can be tried against, however it ends", () => {
    const challenge = "cj1hYixzPXgsaT00MDk2"
    const long = challenge.repeat(4000)
    const after = (said: string) =>
      redacted([["S", "220 hi\r\n"], ["C", "AUTH SCRAM-SHA-256 biwsbj10aW0scj1h\r\n"], ["S", said]], undefined, true)
        .slice(2)
    for (const end of ["\r\n", "\n", ""]) {
      assert.deepStrictEqual(after(`334 ${challenge}${end}`), ["ReceivedHidden 334 <20> sealed"])
      assert.deepStrictEqual(after(`334${challenge}${end}`), ["ReceivedHidden 334<20> sealed"])
      assert.notInclude(after(`334 ${long}${end}`).join(), "cj1h")
    }
  })

  it("seals nothing of what the client said", () => {
    const after = (said: string) =>
      redacted([["S", "220 hi\r\n"], ["C", "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"], ["S", said]], undefined, true).at(-1)
    assert.strictEqual(after("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"), "ReceivedHidden <31>")
    assert.strictEqual(after("334 AHRpbQB0YW5zdGFhZg==\r\n"), "ReceivedHidden 334 <20>")
    assert.strictEqual(after("535 AHRpbQB0YW"), "ReceivedHidden 535 <10>")
    assert.strictEqual(after("what?\r\n"), "ReceivedHidden <5> sealed")
  })

  it("hides responses that nobody asked for yet, but no command", () => {
    assert.deepStrictEqual(
      redacted([
        ["S", "220 hi\r\n"],
        ["C", " AUTH  LOGIN \r\ndGltdGlt\r\nc2VjcmV0\r\nQUIT\r\n"],
        ["S", "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 no\r\n221 bye\r\n"]
      ]),
      [
        "Received 220 hi\r\n",
        "Sent  AUTH  LOGIN \r\n",
        "SentHidden <8>",
        "SentHidden <8>",
        "Sent QUIT\r\n",
        "Received 334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 no\r\n221 bye\r\n"
      ]
    )
  })

  it("shows nothing of a secret that is longer than a line", () => {
    for (const text of ["AUTH XOAUTH2 ", "AUTH LOGIN\r\n"]) {
      const events = redacted([
        ["S", "220 hi\r\n"],
        ["C", text],
        ["S", text.endsWith("\n") ? "334 VXNlcm5hbWU6\r\n" : ""],
        ["C", "A".repeat(70_000)],
        ["C", "c2VjcmV0\r\nNOOP\r\n"]
      ])
      assert.notInclude(events.join(), "c2Vj")
      assert.strictEqual(events.at(-1), "Sent NOOP\r\n")
    }
  })

  it("hides an echo of what is no base64", () => {
    const talk = [["S", "220 hi\r\n"], ["C", "AUTH PLAIN tim:tanst&aaf\r\n"]] as const
    assert.deepStrictEqual(redacted([...talk, ["S", "501 tim:tanst&aaf is no base64\r\n"]]).slice(1), [
      "SentHidden AUTH PLAIN <13>",
      "Received 501 <redacted> is no base64\r\n"
    ])
  })

  it("stars what was not read, once it can be an echo", () => {
    const redactor = new Redactor({
      policy: { addresses: "kept", content: "hashed" },
      key: undefined
    })
    assert.deepStrictEqual(redactor.unread(octets("x")), octets("x"))
    redactor.sent(octets("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"))
    assert.deepStrictEqual(redactor.unread(octets("235 tanst")), octets("*********"))
  })

  it("forgets what was said before TLS, but not the secrets", () => {
    const redactor = new Redactor({
      policy: { addresses: "kept", content: "hashed" },
      key: undefined
    })
    redactor.received(octets("220 hi\r\n"))
    redactor.sent(octets("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nMAIL FR"))
    redactor.received(octets("235 o"))
    redactor.tlsEstablished()
    assert.strictEqual(redactor.pending, 0)
    assert.deepStrictEqual(redactor.sent(octets("NOOP\r\n")).map(shown), ["Sent NOOP\r\n"])
    assert.deepStrictEqual(redactor.received(octets("250 ok\r\nAHRpbQB0YW5zdGFhZg\r\n")).map(shown), [
      "Received 250 ok\r\n",
      "ReceivedHidden <18>"
    ])
  })
})

describe("Redactor, whatever a server says", () => {
  const password = "tanstaaf~tänstääf"
  const response = Buffer.from(`\0timothy\0${password}`)
  const talks: ReadonlyArray<
    { readonly mechanism: string; readonly says: ReadonlyArray<readonly ["C" | "S", string]> }
  > = [
    { mechanism: "PLAIN", says: [["C", `AUTH PLAIN ${response.toString("base64")}\r\n`]] },
    {
      mechanism: "LOGIN",
      says: [
        ["C", "AUTH LOGIN\r\n"],
        ["S", "334 VXNlcm5hbWU6\r\n"],
        ["C", "dGltb3RoeQ==\r\n"],
        ["S", "334 UGFzc3dvcmQ6\r\n"],
        ["C", `${Buffer.from(password).toString("base64")}\r\n`]
      ]
    },
    {
      mechanism: "XOAUTH2",
      says: [[
        "C",
        `AUTH XOAUTH2 ${Buffer.from(`user=t\u0001auth=Bearer ${password}\u0001\u0001`).toString("base64")}\r\n`
      ]]
    }
  ]
  const aligned = (before: number) =>
    Buffer.concat([Buffer.alloc(before, 1), Buffer.from(password)]).toString("base64")
      .slice(before === 0 ? 0 : before + 1, Math.floor((before + Buffer.byteLength(password)) * 4 / 3))
  const ways = [
    Buffer.from(password).toString("latin1"),
    Buffer.from(password, "latin1").toString("latin1"),
    aligned(0),
    aligned(1),
    aligned(2),
    Buffer.from(password).toString("hex"),
    Buffer.from(password).toString("hex").toUpperCase(),
    encodeURIComponent(password)
  ]
  const echo = fc.constantFrom(
    ...ways,
    response.toString("base64"),
    Buffer.concat([Buffer.from("AUTH "), response, Buffer.from("\r\n")]).toString("base64"),
    Buffer.concat([Buffer.from("<"), Buffer.from(password), Buffer.from(">")]).toString("base64")
  )
  const piece = fc.oneof(
    echo,
    fc.constantFrom("535 ", "334 ", "235-", "250 ", "\r\n", "\r\n", "\n", " ", "\xff", "AUTH PLAIN ", "9"),
    fc.string({ maxLength: 4 }).map((text) => Buffer.from(text).toString("latin1"))
  )
  const said = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""))

  it("hides a secret that begins with the last digit of the reply's code", () => {
    const said = "AUTH PLAIN AHRpbW90aHkAdGFuc3RhYWZ+dMOkbnN0w6TDpGY=\r\n"
    assert.deepStrictEqual(
      redacted([["S", "220 hi\r\n"], ["C", said], ["S", "200YW5zdGFhZn50w6Ruc3TDpMOkZ\r\n"]]).at(-1),
      "Received 200<redacted>\r\n"
    )
  })

  it("shows no secret in any encoding, the same however it comes", () => {
    fc.assert(
      fc.property(fc.constantFrom(...talks), said, fc.array(fc.nat(200), { maxLength: 4 }), (talk, text, cuts) => {
        const before = [["S", "220 hi\r\n"] as const, ...talk.says]
        const whole = redacted([...before, ["S", text]])
        for (const way of ways) assert.notInclude(whole.join("\n"), way, talk.mechanism)
        const places = [0, ...cuts.toSorted((a, b) => a - b), text.length]
        const chunks = places.slice(1).map((to, i) => ["S", text.slice(places[i], to)] as const)
        assert.strictEqual(joined(redacted([...before, ...chunks])), joined(whole))
      }),
      { numRuns: 2000 }
    )
  })

  it("keeps every octet where nothing was said in AUTH", () => {
    const line = fc.oneof(
      fc.constantFrom("250 ok\r\n", "334 x\r\n", "354 go\n", "x", "\r"),
      fc.string({ maxLength: 5 })
    )
    fc.assert(
      fc.property(
        fc.array(fc.oneof(line, fc.uint8Array({ maxLength: 5 }).map(latin1)), { maxLength: 12 }),
        (chunks) => {
          const texts = chunks.map((chunk) => Buffer.from(chunk, "latin1").toString("latin1"))
          assert.strictEqual(
            joined(redacted(texts.map((text) => ["S", text] as const))),
            texts.join("") === "" ? "" : `Received ${texts.join("")}`
          )
        }
      ),
      { numRuns: 1000 }
    )
  })
})

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

/** Octets that follow one another as one event. */
const joined = (events: ReadonlyArray<string>): string => events.join("\u2028").replaceAll("\u2028Received ", "")
