/**
 * A session in one of its phases, and what is known of it. A `Session` is an immutable
 * value that dialogues hand on; its phase says which commands may be sent, to the
 * compiler and at run time.
 *
 * `greeted` → EHLO → `ready` → MAIL → `sender` → RCPT → `envelope` → DATA → `content`
 */
import * as Result from "effect/Result"
import type { Known } from "../outcome/Classify.ts"
import * as Reason from "../outcome/Reason.ts"
import type { TlsFacts } from "../run/Transport.ts"
import type * as Capabilities from "../wire/Capabilities.ts"
import type * as Command from "../wire/Command.ts"
import * as Content from "../wire/Content.ts"
import * as Expect from "../wire/Expect.ts"
import type { Reply } from "../wire/Reply.ts"
import * as Said from "../wire/Said.ts"
import { doubt } from "./Outcome.ts"
import * as Program from "./Program.ts"

/** The phases of a session. */
export type Phase = "greeted" | "ready" | "sender" | "envelope" | "content"

/** What is known of a session. TLS makes a client forget all but the peer and the greeting (RFC 3207 §4.2). */
export interface Facts {
  /** The host that was asked for. */
  readonly host: string
  readonly port?: number | undefined
  readonly greeting: Reply
  /** True after LHLO: content gets a reply for each recipient (RFC 2033). */
  readonly lmtp?: boolean | undefined
  /** Undefined before EHLO. */
  readonly capabilities: Capabilities.Capabilities | undefined
  readonly tls: TlsFacts | undefined
  /** Whom the session is authenticated as, and by which mechanism. */
  readonly authenticated: { readonly identity: string; readonly mechanism: string } | undefined
}

type Anywhere = "Noop" | "Help" | "Vrfy" | "Expn" | "Rset" | "Quit"

/** The commands that a phase allows. */
export interface Allowed {
  readonly greeted: Anywhere | "Ehlo" | "Helo" | "Lhlo"
  readonly ready:
    | Anywhere
    | "Ehlo"
    | "Helo"
    | "Lhlo"
    | "StartTls"
    | "Auth"
    | "AuthResponse"
    | "AuthCancel"
    | "Mail"
    | "Etrn"
    | "Xclient"
  readonly sender: Anywhere | "Rcpt"
  readonly envelope: Anywhere | "Rcpt" | "Data" | "Burl"
  readonly content: never
}

/** The phase that the success of a command leads to. Other commands leave it as it is. */
export interface Leads {
  readonly Ehlo: "ready"
  readonly Helo: "ready"
  readonly Lhlo: "ready"
  readonly Mail: "sender"
  readonly Rcpt: "envelope"
  readonly Data: "content"
  readonly Rset: "ready"
}

/** The phase that a command leads to from `P`: RSET before EHLO leads nowhere. */
type Led<P extends Phase, T extends keyof Leads> = T extends "Rset" ? (P extends "greeted" ? "greeted" : "ready") :
  Leads[T]

const anywhere: ReadonlyArray<Command.Tag> = ["Noop", "Help", "Vrfy", "Expn", "Rset", "Quit"]
const hello: ReadonlyArray<Command.Tag> = ["Ehlo", "Helo", "Lhlo"]

const allowed: { readonly [P in Phase]: ReadonlyArray<Command.Tag> } = {
  greeted: [...anywhere, ...hello],
  ready: [...anywhere, ...hello, "StartTls", "Auth", "AuthResponse", "AuthCancel", "Mail", "Etrn", "Xclient"],
  sender: [...anywhere, "Rcpt"],
  envelope: [...anywhere, "Rcpt", "Data", "Burl"],
  content: []
}

const leads: { readonly [T in keyof Leads]: Leads[T] } = {
  Ehlo: "ready",
  Helo: "ready",
  Lhlo: "ready",
  Mail: "sender",
  Rcpt: "envelope",
  Data: "content",
  Rset: "ready"
}

type Of<T> = Extract<Said.Line, { readonly _tag: T }>

type Refusal = Expect.Refused | Reason.Of<"OutOfSequence">

/** A session in phase `P`. */
export class Session<out P extends Phase = Phase> {
  readonly phase: P
  readonly facts: Facts

  constructor(phase: P, facts: Facts) {
    this.phase = phase
    this.facts = facts
  }

  /**
   * Sends a command that the phase allows and gives its answer. Fails with the refusal,
   * or with `OutOfSequence` when types were evaded.
   */
  send<C extends Of<Allowed[P]>>(command: C): Program.Program<Command.Answer<C>, Refusal> {
    return allowed[this.phase].includes(command._tag)
      ? Program.send(command)
      : Program.fail(Reason.make("OutOfSequence", { step: command._tag, phase: this.phase }))
  }

  /** Sends a command that leads to another phase and gives the session in that phase. Fails as {@link send} does. */
  enter<C extends Of<Allowed[P] & keyof Leads>>(command: C): Program.Program<Session<Led<P, C["_tag"]>>, Refusal> {
    return advance(this, command) as Program.Program<Session<Led<P, C["_tag"]>>, Refusal>
  }

  /** What refusals are explained by. */
  get known(): Known {
    const { authenticated, capabilities, tls } = this.facts
    return {
      encrypted: tls !== undefined,
      authOffered: capabilities?.auth ?? [],
      startTlsOffered: capabilities?.startTls ?? false,
      authenticated: authenticated !== undefined,
      identity: authenticated?.identity
    }
  }
}

const advance = Program.fn(function*(session: Session, command: Of<keyof Leads>) {
  if (!allowed[session.phase].includes(command._tag) || !Object.hasOwn(leads, command._tag)) {
    return yield* Program.fail(Reason.make("OutOfSequence", { step: command._tag, phase: session.phase }))
  }
  switch (command._tag) {
    case "Ehlo":
    case "Helo":
    case "Lhlo": {
      const capabilities = yield* Program.send(command)
      return new Session<Phase>("ready", {
        ...session.facts,
        capabilities,
        ...(command._tag === "Lhlo" ? { lmtp: true } : {})
      })
    }
    case "Rset": {
      yield* Program.send(command)
      return new Session<Phase>(session.phase === "greeted" ? "greeted" : "ready", session.facts)
    }
    default: {
      yield* Program.send(command)
      return new Session<Phase>(leads[command._tag], session.facts)
    }
  }
})

/**
 * Sends content, after DATA was accepted, and gives the server's reply. Line ends and
 * dots are made safe on the way. Fails with the refusal; with `InDoubt`, which names
 * `recipients`, when the connection ends between the content and its reply.
 */
export const content = Program.fn(
  function*(_session: Session<"content">, bytes: Uint8Array, recipients: ReadonlyArray<string>) {
    const sent = yield* Program.settled(Program.converse([Said.content(Content.blocks(bytes, "DATA"))], ["Content"]))
    if (Result.isFailure(sent)) {
      const { reason, written } = sent.failure
      return yield* Program.fail(written > 0 ? doubt(recipients, reason) : sent.failure)
    }
    const [reply] = sent.success
    if (reply === undefined) throw new Error("content was answered by no reply")
    if (!Expect.isYes("Content", reply)) return yield* Program.fail(Expect.refused("Content", reply))
    return reply
  }
)
