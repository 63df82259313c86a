/**
 * Keeps what a client said in AUTH out of what the server says back: a reply may echo
 * it, and replies go into errors, logs and transcripts.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"
import { textOf } from "../sasl/Mechanism.ts"
import type * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"

/** Shorter pieces would hide half of every reply, and hide nothing worth guessing. */
const shortest = 4

const tokens = /[\w+/.~-]{16,}=*/g

/** What parts the messages of PLAIN, of XOAUTH2 and OAUTHBEARER, and a token from what announces it. */
const separators = /[\0\u0001]|Bearer /

// Its parts are no secrets, and the server's challenge begins with one of them.
const ntlm = "NTLMSSP\0"

const hidden = "<redacted>"

const utf8 = new TextEncoder()
const windows1252 = new TextDecoder("latin1")

/** The secrets of one connection's authentication. Private in fact: whoever prints a connection prints its fields. */
export class Secrets {
  /** Longest first: a user name may be part of the password, and must not cut it in two. */
  #pieces: ReadonlyArray<string> = []

  /** Takes note of what a command gives away: the whole, its parts, and how a server may write them. */
  learn(command: Command.Command): void {
    const secret = command._tag === "Auth"
      ? command.initialResponse
      : command._tag === "AuthResponse"
      ? command.response
      : undefined
    if (secret === undefined) return
    const whole = Redacted.value(secret)
    const text = textOf(whole)
    // Other mechanisms than PLAIN have digests, proofs and tokens somewhere in their text, against which passwords
    // can be tried, or which are as good as one.
    const parts = text.startsWith(ntlm) ? [] : [...text.split(separators), ...text.match(tokens) ?? []]
    const found = [whole, ...parts.map((part) => utf8.encode(part))].flatMap(forms)
    this.#pieces = [...new Set([...this.#pieces, ...found.filter(({ length }) => length >= shortest)])]
      .toSorted((a, b) => b.length - a.length)
  }

  /** The reply without them, where it answers a step of authentication. */
  hide(step: Expect.Step, reply: Reply): Reply {
    if (!this.echoedAt(step)) return reply
    const [first, ...rest] = reply.lines
    const shown = (line: string): string => this.behind(String(reply.code), line)
    return { ...reply, lines: [shown(first), ...rest.map(shown)] }
  }

  /** Octets that are no reply, for an error. They may be cut within a secret: where they can hold one, nothing is shown. */
  hideAll(step: Expect.Step, octets: string): string {
    return this.echoedAt(step) ? hidden : octets
  }

  echoedAt(step: Expect.Step): boolean {
    return this.#pieces.length > 0 && (step === "Auth" || step === "AuthResponse" || step === "AuthCancel")
  }

  /** What follows a code, without them. One may begin with its last digits: nothing has to stand between. */
  behind(code: string, text: string): string {
    const shown = this.without(text)
    return shown !== text || this.without(code + text) === code + text ? shown : hidden
  }

  without(line: string): string {
    return this.#pieces.reduce((text, piece) => text.replaceAll(piece, hidden), line)
  }
}

/** How octets may stand in a line: as text, however that is read, in base64, in hex, percent-encoded. */
const forms = (bytes: Uint8Array): ReadonlyArray<string> => {
  const text = textOf(bytes)
  const hex = Hex.encode(bytes)
  return [
    text,
    // A line with octets that are no UTF-8 is read octet by octet.
    windows1252.decode(bytes),
    Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""),
    ...[0, 1, 2].flatMap((before) => inBase64(bytes, before)),
    hex,
    hex.toUpperCase(),
    encodeURIComponent(text)
  ]
}

/** Base64 where so many octets stand before: with its last character, and without it, as what follows may change it. */
const inBase64 = (bytes: Uint8Array, before: number): ReadonlyArray<string> => {
  const shifted = new Uint8Array(before + bytes.length)
  shifted.set(bytes, before)
  const encoded = Base64.encode(shifted).replace(/=+$/, "")
  const first = before === 0 ? 0 : before + 1
  return [encoded.slice(first), encoded.slice(first, Math.floor(shifted.length * 4 / 3))]
}
