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

const hidden = "<redacted>"

const utf8 = new TextEncoder()

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
    // NUL parts what PLAIN says; other mechanisms have digests, proofs and tokens somewhere in their text, against
    // which passwords can be tried, or which are as good as one.
    const parts = [...text.split("\0"), ...text.match(tokens) ?? []].map((part) => utf8.encode(part))
    const found = [whole, ...parts].flatMap((
      bytes
    ) => [textOf(bytes), Base64.encode(bytes).replace(/=+$/, ""), Hex.encode(bytes)])
    this.#pieces = [...new Set([...this.#pieces, ...found.filter(({ length }) => length >= shortest)])]
      .toSorted((a, b) => b.length - a.length)
  }

  /** The reply without them, where it answers a step of authentication. */
  hide(step: Expect.Step, reply: Reply): Reply {
    if (!this.echoedAt(step)) return reply
    const [first, ...rest] = reply.lines
    return { ...reply, lines: [this.without(first), ...rest.map((line) => this.without(line))] }
  }

  /** Octets that are no reply, for an error. They may be cut within a secret: where they can hold one, nothing is shown. */
  hideAll(step: Expect.Step, octets: string): string {
    return this.echoedAt(step) ? hidden : octets
  }

  echoedAt(step: Expect.Step): boolean {
    return this.#pieces.length > 0 && (step === "Auth" || step === "AuthResponse" || step === "AuthCancel")
  }

  without(line: string): string {
    return this.#pieces.reduce((text, piece) => text.replaceAll(piece, hidden), line)
  }
}
