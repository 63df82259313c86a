import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Redacted } from "effect"
import { ServerMachine } from "../../src/index.ts"
import { bytes, codes, codesOf, delivered, from, hello, sent, talk, talkSecurely, to } from "./support.ts"

const login = "AUTH PLAIN AGFubgBzZWNyZXQ="
const ann: ServerMachine.Config = { accounts: { ann: Redacted.make("secret") }, authBeforeTls: true }
const message = (content = "x") => [from, to, "DATA", content, "."]
const last = (config: ServerMachine.Config, ...lines: ReadonlyArray<string>) => talk(config, ...lines).replies.at(-1)

/** Further lines on the same connection, at a time. */
const more = (state: ServerMachine.State, now: number, ...lines: ReadonlyArray<string>) => {
  const later = { ...state, memory: { ...state.memory, now } }
  const [after, actions] = ServerMachine.receive(later, bytes(lines.map((line) => `${line}\r\n`).join("")))
  return { state: after, actions, replies: sent(actions) }
}

describe("relaying", () => {
  const out = "RCPT TO:<out@elsewhere.example>"
  const reply = (config: ServerMachine.Config, client: string) => {
    const [greeted] = ServerMachine.start({ localDomains: ["example.org"], ...config }, ServerMachine.noMemory, client)
    return sent(ServerMachine.receive(greeted, bytes(`${hello}\r\n${from}\r\n${out}\r\n`))[1]).at(-1)
  }

  it("is for networks that are named", () => {
    const relayNetworks = ["192.0.2.0/24", "2001:db8::/32", "203.0.113.7"]
    const denied = "554 5.7.1 <out@elsewhere.example>: Relay access denied"
    for (const client of ["192.0.2.1", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8::1", "203.0.113.7"]) {
      assert.strictEqual(reply({ relayNetworks }, client), "250 2.1.5 Ok", client)
    }
    for (const client of ["192.0.3.1", "2001:db9::1", "203.0.113.8", "", "no address"]) {
      assert.strictEqual(reply({ relayNetworks }, client), denied, client)
    }
    assert.strictEqual(reply({ relayNetworks: ["no network"] }, "192.0.2.1"), denied)
  })

  it("is for the authenticated", () => {
    const config = { ...ann, localDomains: ["example.org"] }
    assert.strictEqual(last(config, hello, from, out)?.slice(0, 9), "554 5.7.1")
    assert.strictEqual(last(config, hello, login, from, out), "250 2.1.5 Ok")
  })
})

describe("senders", () => {
  const config = { ...ann, ownSenderOnly: true }
  const denied = (address: string) => `553 5.7.1 <${address}>: Sender address rejected: not owned by user ann`

  it("who is authenticated sends in their own name", () => {
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<Ann@example.net>"), "250 2.1.0 Ok")
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<>"), "250 2.1.0 Ok")
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<eve@example.net>"), denied("eve@example.net"))
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<ann.x@example.net>"), denied("ann.x@example.net"))
    assert.strictEqual(last(ann, hello, login, "MAIL FROM:<eve@example.net>"), "250 2.1.0 Ok")
    assert.strictEqual(last(config, hello, "MAIL FROM:<eve@example.net>"), "250 2.1.0 Ok")
  })

  it("a user that is an address owns that one", () => {
    const config: ServerMachine.Config = {
      accounts: { "ann@example.org": Redacted.make("secret") },
      authBeforeTls: true,
      ownSenderOnly: true
    }
    const login = "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ="
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<ann@example.org>"), "250 2.1.0 Ok")
    assert.strictEqual(last(config, hello, login, "MAIL FROM:<ann@example.net>")?.slice(0, 9), "553 5.7.1")
  })
})

describe("the mechanisms offered", () => {
  const offered = (config: ServerMachine.Config) =>
    /AUTH (.*)$/.exec(talk({ authBeforeTls: true, ...config }, hello).replies[0] ?? "")?.[1]
  const passwords = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM MSN"
  const accounts = { ann: Redacted.make("secret") }

  it("are those that it can check", () => {
    assert.strictEqual(offered({}), undefined)
    assert.strictEqual(offered({ accounts }), passwords)
    assert.strictEqual(offered({ acceptsToken: () => true }), "OAUTHBEARER XOAUTH2")
    assert.strictEqual(offered({ accounts, acceptsToken: () => true }), `${passwords} OAUTHBEARER XOAUTH2`)
    assert.strictEqual(offered({ mechanisms: "all" }), `${passwords} OAUTHBEARER XOAUTH2 EXTERNAL ANONYMOUS`)
    assert.strictEqual(offered({ accounts, mechanisms: [] }), undefined)
  })

  it("are bound to a channel only where there is one", () => {
    const channel = {
      channelBindings: [{ type: "tls-exporter", data: new Uint8Array(32) } as const],
      certificateIdentity: undefined
    }
    const [waiting] = ServerMachine.start({ accounts, implicitTls: true })
    const [bound] = ServerMachine.tlsEstablished(waiting, channel)
    const [, actions] = ServerMachine.receive(bound, bytes(`${hello}\r\n`))
    assert.include(sent(actions)[0] ?? "", "AUTH SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 ")
    const unbound = talkSecurely({ accounts }, hello, "AUTH SCRAM-SHA-512-PLUS")
    assert.notInclude(unbound.replies[0] ?? "", "PLUS")
    assert.strictEqual(unbound.replies[1]?.slice(0, 9), "504 5.5.4")
  })
})

describe("replies to recipients", () => {
  const replies = {
    "ben@EXAMPLE.org": Reply.make(550, "No such user", "5.1.1"),
    "cat@example.org": Reply.make(251, "User not local; will forward", "2.1.5"),
    "dan@example.org": Reply.make(421, "Not now", "4.3.2"),
    "postmaster": Reply.make(452, "Out of office", "4.2.1")
  }

  it("are as the table says, before all rules on recipients", () => {
    const config = { replies, localDomains: ["example.net"], greylist: true }
    const rcpts = ["RCPT TO:<ben@example.org>", "RCPT TO:<cat@example.org>", "RCPT TO:<Postmaster>"]
    const { replies: answers, state } = talk(config, hello, from, ...rcpts)
    assert.deepStrictEqual(answers.slice(2), [
      "550 5.1.1 No such user",
      "251 2.1.5 User not local; will forward",
      "452 4.2.1 Out of office"
    ])
    assert.lengthOf(state.transaction?.recipients ?? [], 1)
  })

  it("a 421 is the last word", () => {
    assert.deepStrictEqual(codesOf({ replies }, hello, from, "RCPT TO:<dan@example.org>", "NOOP"), [
      "250",
      "250 2.1.0",
      "421 4.3.2"
    ])
  })
})

describe("greylisting with a delay", () => {
  const config: ServerMachine.Config = { greylist: { delay: "5 minutes" } }

  it("refuses until the time has passed, however often it is asked", () => {
    const first = talk(config, hello, from, to)
    assert.strictEqual(
      first.replies.at(-1),
      "450 4.7.1 <ben@example.org>: Recipient address rejected: Greylisted, try again in 300 seconds"
    )
    const early = more(first.state, 299_001, to)
    assert.match(early.replies.join(), /^450 .*, try again in 1 seconds$/)
    assert.deepStrictEqual(more(early.state, 300_000, to).replies, ["250 2.1.5 Ok"])
    assert.deepStrictEqual(codes(more(early.state, 300_000, "RCPT TO:<cat@example.org>").replies), ["450 4.7.1"])
  })

  it("the postmaster does not wait", () =>
    assert.strictEqual(last(config, hello, from, "RCPT TO:<postmaster>"), "250 2.1.5 Ok"))
})

describe("mailboxes", () => {
  const config: ServerMachine.Config = { mailboxes: { "ben@Example.org": { quota: 10, maxSize: 8 } } }
  const cat = "RCPT TO:<cat@example.org>"

  it("refuse what is too large for them where it is told", () => {
    const { replies } = talk(config, hello, `${from} SIZE=9`, to, cat, "RSET", `${from} SIZE=8`, to)
    assert.deepStrictEqual(replies.slice(2), [
      "552 5.2.3 <ben@example.org>: Message is too large for this mailbox",
      "250 2.1.5 Ok",
      "250 2.0.0 Ok",
      "250 2.1.0 Ok",
      "250 2.1.5 Ok"
    ])
  })

  it("refuse it behind the content, for all", () => {
    const { actions, replies } = talk(config, hello, from, to, cat, "DATA", "1234567", ".")
    assert.strictEqual(replies.at(-1), "552 5.2.3 <ben@example.org>: Message is too large for this mailbox")
    assert.lengthOf(delivered(actions), 0)
  })

  it("refuse what would never fit, and for now what does not fit", () => {
    const quota = { mailboxes: { "ben@example.org": { quota: 10 } } }
    assert.strictEqual(
      last(quota, hello, `${from} SIZE=11`, to),
      "552 5.2.2 <ben@example.org>: Message exceeds the quota of this mailbox"
    )
    const { actions, replies, state } = talk(quota, hello, ...message("1234"), ...message("12345"), ...message("12"))
    assert.deepStrictEqual(codes(replies.filter((reply) => !/^(?:250 2\.1|354|250-)/.test(reply))), [
      "250 2.0.0",
      "452 4.2.2",
      "250 2.0.0"
    ])
    assert.deepStrictEqual(delivered(actions).map(({ content }) => content.length), [6, 4])
    assert.strictEqual(state.memory.stored.get("ben@example.org"), 10)
    assert.strictEqual(more(state, 0, from, to).replies[1], "452 4.2.2 <ben@example.org>: Mailbox full")
    assert.strictEqual(more(state, 0, from, cat).replies[1], "250 2.1.5 Ok")
  })

  it("each have their own reply in LMTP", () => {
    const { actions, replies } = talk(
      { ...config, lmtp: true },
      "LHLO c.example",
      from,
      to,
      cat,
      "DATA",
      "1234567",
      "."
    )
    assert.deepStrictEqual(codes(replies.slice(-2)), ["552 5.2.3", "250 2.0.0"])
    assert.lengthOf(delivered(actions), 1)
  })
})

describe("rates", () => {
  it("of one connection", () => {
    const { actions, replies } = talk({ maxMessages: 1 }, hello, ...message(), from, "NOOP")
    assert.strictEqual(replies.at(-1), "421 4.7.0 Too many messages on this connection")
    assert.strictEqual(actions.at(-1)?._tag, "Close")
  })

  it("STARTTLS begins no new connection", () => {
    const { state } = talk({ maxMessages: 1 }, hello, ...message(), "STARTTLS")
    const [secure] = ServerMachine.tlsEstablished(state)
    assert.deepStrictEqual(codes(more(secure, 0, hello, from).replies), ["250", "421 4.7.0"])
  })

  const config: ServerMachine.Config = { ...ann, rateLimit: { messages: 2, per: "1 minute" } }

  it("of one client, in a time that goes on", () => {
    const first = talk(config, hello, ...message())
    const second = more(first.state, 30_000, ...message(), from)
    assert.strictEqual(second.replies.at(-1), "450 4.7.1 Too many messages from 127.0.0.1, try again later")
    assert.deepStrictEqual(codes(more(second.state, 59_999, from).replies), ["450 4.7.1"])
    const third = more(second.state, 60_000, ...message(), from)
    assert.deepStrictEqual(codes(third.replies), ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "450 4.7.1"])
    assert.lengthOf(third.state.memory.taken.get("127.0.0.1") ?? [], 2)
  })

  it("users and other addresses count for themselves, over connections too", () => {
    const { state } = talk(config, hello, ...message(), ...message())
    assert.deepStrictEqual(codes(more(state, 0, from, "RSET", login, from).replies), [
      "450 4.7.1",
      "250 2.0.0",
      "235 2.7.0",
      "250 2.1.0"
    ])
    const reply = (client: string) => {
      const [greeted] = ServerMachine.start(config, state.memory, client)
      return codes(sent(ServerMachine.receive(greeted, bytes(`${hello}\r\n${from}\r\n`))[1])).at(-1)
    }
    assert.deepStrictEqual([reply("127.0.0.1"), reply("127.0.0.2")], ["450 4.7.1", "250 2.1.0"])
  })
})

describe("connections", () => {
  it("no more than it may", () => {
    const greeting = (open: number, maxConnections?: number) =>
      sent(ServerMachine.start({ maxConnections }, { ...ServerMachine.noMemory, open })[1])
    assert.deepStrictEqual(greeting(1, 2), ["220 mx.example ESMTP"])
    assert.deepStrictEqual(greeting(2, 2), ["421 4.7.0 mx.example Too many connections, try again later"])
    assert.match(greeting(999).join(), /^220/)
    assert.match(greeting(1000).join(), /^421/)
  })

  it("none while it shuts down", () => {
    const [state, actions] = ServerMachine.start({}, { ...ServerMachine.noMemory, accepting: false })
    assert.deepStrictEqual(sent(actions), ["421 4.3.2 mx.example Service shutting down, closing transmission channel"])
    assert.strictEqual(state.mode._tag, "Closed")
  })
})
