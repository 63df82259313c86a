/**
 * The simulated server against whatever a client may say: the same however it is cut, always in
 * replies, and never more of them than there were lines.
 */
import { Reply } from "@postern/core"
import { ServerMachine } from "@postern/testing"
import { Redacted, Result } from "effect"
import * as Assert from "node:assert"
import { pieces } from "../pieces.ts"

const maxSize = 500
const accounts = { tim: Redacted.make("tanstaaftanstaaf") }

/** Their places are part of the corpus: new ones come last. */
const configs: ReadonlyArray<ServerMachine.Config> = [
  { mechanisms: "all", accounts, authBeforeTls: true, maxSize },
  { accounts, requireAuth: true, ownSenderOnly: true, maxSize, maxRecipients: 2, maxMessages: 2 },
  { requireTls: true, accounts, maxSize },
  {
    localDomains: ["example.org"],
    unknownUsers: ["nobody@example.org"],
    mailboxes: { "ben@example.org": { quota: 100 } },
    greylist: true,
    rateLimit: { messages: 1, per: "1 hour" },
    tarpit: { delay: "1 second", patience: 2 },
    maxSize
  },
  { ehlo: false, legacyAuth: true, accounts, maxSize },
  { startTls: false, injectAfterStartTls: "x", maxSize }
]

interface Said {
  readonly text: string
  readonly delivered: number
}

const latin1 = new TextDecoder("latin1")

/** TLS begins between two pieces, where the server waits for it. */
const said = (config: ServerMachine.Config, all: ReadonlyArray<Uint8Array>, size: number): Said => {
  let [state, actions] = ServerMachine.start(config)
  let text = ""
  let delivered = 0
  const take = () => {
    for (const action of actions) {
      if (action._tag === "Send") text += latin1.decode(action.bytes)
      if (action._tag !== "Delivered") continue
      delivered++
      Assert.ok(action.message.content.length <= maxSize)
    }
  }
  take()
  for (const piece of all) {
    if (state.mode._tag === "Handshake") {
      ;[state, actions] = ServerMachine.tlsEstablished(state)
      take()
    }
    for (let at = 0; at < piece.length; at += size) {
      ;[state, actions] = ServerMachine.receive(state, piece.subarray(at, at + size))
      take()
    }
  }
  return { text, delivered }
}

/** The first octet chooses the server; the rest is what the client says. */
export const fuzz = (input: Uint8Array): void => {
  const config = configs[(input[0] ?? 0) % configs.length] ?? {}
  const all = pieces(input, 1)
  const whole = said(config, all, Infinity)
  Assert.deepStrictEqual(said(config, all, 1), whole)
  const decoder = Reply.decoder()
  decoder.push(new TextEncoder().encode(whole.text))
  let replies = 0
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
    Assert.ok(Result.isSuccess(next))
    replies++
  }
  Assert.strictEqual(decoder.held().length, 0)
  const lines = input.filter((octet) => octet === 0x0a).length
  Assert.ok(replies <= 1 + lines, `${replies} replies to ${lines} lines`)
}
