/**
 * Keeps what a client said in AUTH out of what the server says back: a reply may echo
 * it, and replies go into errors, logs and transcripts.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import { textOf } from "../sasl/Mechanism.ts"
import type * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"

/** Shorter pieces would hide half of every reply, and hide nothing worth guessing. */
const shortest = 4

/** The secrets of one connection's authentication. */
export class Secrets {
  readonly pieces: Set<string> = new Set()

  /** Takes note of what a command gives away. */
  learn(command: Command.Command): void {
    const secret = command._tag === "Auth" ? command.initialResponse : command._tag === "AuthResponse" ? command.response : undefined
    if (secret === undefined) return
    const bytes = Redacted.value(secret)
    for (const piece of [Base64.encode(bytes), ...textOf(bytes).split("\0")]) {
      if (piece.length >= shortest) this.pieces.add(piece)
    }
  }

  /** The reply without them, where it answers a step of authentication. */
  hide(step: Expect.Step, reply: Reply): Reply {
    if (this.pieces.size === 0 || (step !== "Auth" && step !== "AuthResponse" && step !== "AuthCancel")) return reply
    const [first, ...rest] = reply.lines
    return { ...reply, lines: [this.without(first), ...rest.map((line) => this.without(line))] }
  }

  without(line: string): string {
    let out = line
    for (const piece of this.pieces) out = out.replaceAll(piece, "<redacted>")
    return out
  }
}
