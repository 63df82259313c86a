import { assert, describe, it } from "@effect/vitest"
import { Address, Capabilities, Command, Expect, Program, Reason, Reply, Session } from "@postern/core"
import { Explore } from "@postern/testing"
import { Redacted, Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const facts: Session.Facts = {
  host: "mx.example",
  greeting: Reply.make(220, "mx.example"),
  capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", "STARTTLS", "AUTH PLAIN"])),
  tls: undefined,
  authenticated: undefined
}
const session = <P extends Session.Phase>(phase: P) => new Session.Session(phase, facts)

/** One command of each kind. */
const commands: { readonly [T in Command.Tag]: Command.Command } = {
  Ehlo: Command.ehlo(domain),
  Helo: Command.helo(domain),
  Lhlo: Command.lhlo(domain),
  StartTls: Command.startTls,
  Auth: Result.getOrThrow(Command.auth("PLAIN")),
  AuthResponse: Command.authResponse(Redacted.make(new Uint8Array(1))),
  AuthCancel: Command.authCancel,
  Mail: Command.mail(null),
  Rcpt: Command.rcpt("postmaster"),
  Data: Command.data,
  Bdat: Result.getOrThrow(Command.bdat(1, true)),
  Rset: Command.rset,
  Noop: Command.noop,
  Vrfy: Result.getOrThrow(Command.vrfy("ann")),
  Expn: Result.getOrThrow(Command.expn("list")),
  Help: Command.help,
  Quit: Command.quit,
  Etrn: Result.getOrThrow(Command.etrn("a.example")),
  Xclient: Result.getOrThrow(Command.xclient({ NAME: "x" }))
}

const anywhere = ["Noop", "Help", "Vrfy", "Expn", "Rset", "Quit"]
/** RFC 5321 §4.1.4: what may be said when. */
const allowed: Readonly<Record<Session.Phase, ReadonlyArray<string>>> = {
  greeted: [...anywhere, "Ehlo", "Helo", "Lhlo"],
  ready: [...anywhere, "Ehlo", "Helo", "Lhlo", "StartTls", "Auth", "AuthResponse", "AuthCancel", "Mail", "Etrn", "Xclient"],
  sender: [...anywhere, "Rcpt"],
  envelope: [...anywhere, "Rcpt", "Data", "Bdat"],
  content: []
}
const leads: Readonly<Record<string, Session.Phase>> = {
  Ehlo: "ready",
  Helo: "ready",
  Lhlo: "ready",
  Mail: "sender",
  Rcpt: "envelope",
  Data: "content",
  Rset: "ready"
}

// As a program outside of the types would call it.
type Loose = { readonly send: (command: Command.Command) => Program.Program<unknown, unknown>; readonly enter: Loose["send"] }
const loose = (phase: Session.Phase) => session(phase) as unknown as Loose

const yes = (command: Command.Command): Reply.Reply => {
  const [code] = Object.keys(Expect.table[command._tag].yes)
  return Reply.make(Number(code), "ok")
}

for (const phase of ["greeted", "ready", "sender", "envelope", "content"] as const) {
  describe(`in the phase "${phase}"`, () => {
    for (const command of Object.values(commands)) {
      const may = allowed[phase].includes(command._tag)
      const reason = Result.fail(Reason.make("OutOfSequence", { step: command._tag, phase }))

      it(`${command._tag} ${may ? "goes out" : "does not"}`, () => {
        const { end, said } = Program.rehearse(loose(phase).send(command), () => Program.replies(Reply.make(550, "no")))
        if (may) {
          assert.deepStrictEqual(said[0]?.instruction, { _tag: "Exchange", commands: [command] })
        } else {
          assert.deepStrictEqual(end, reason)
          assert.lengthOf(said, 0)
        }
      })

      if (leads[command._tag] === undefined) continue
      it(`${command._tag} ${may ? "leads on" : "leads nowhere"}`, () => {
        const { end, said } = Program.rehearse(loose(phase).enter(command), [Program.replies(yes(command))])
        if (!may) {
          assert.deepStrictEqual(end, reason)
          assert.lengthOf(said, 0)
          return
        }
        const after = end !== undefined && Result.isSuccess(end) ? end.success : undefined
        assert.isTrue(after instanceof Session.Session)
        if (after instanceof Session.Session) {
          // Before EHLO there is nothing that RSET could make ready.
          assert.strictEqual(after.phase, phase === "greeted" && command._tag === "Rset" ? "greeted" : leads[command._tag])
          assert.strictEqual(after.facts.greeting, facts.greeting)
        }
        const refusal = Reply.make(550, "no")
        assert.deepStrictEqual(
          Program.rehearse(loose(phase).enter(command), [Program.replies(refusal)]).end,
          Result.fail(Expect.refused(command._tag, refusal))
        )
      })
    }
  })
}

describe("a session", () => {
  it("is a value: entering a phase leaves the old session as it was", () => {
    const before = session("ready")
    Program.rehearse(before.enter(Command.mail(null)), [Program.replies(Reply.make(250, "ok"))])
    assert.strictEqual(before.phase, "ready")
  })

  it("EHLO again replaces what was offered", () => {
    const { end } = Program.rehearse(session("ready").enter(Command.ehlo(domain)), [Program.replies(Reply.make(250, ["mx.example", "SIZE 9"]))])
    const after = end === undefined ? undefined : Result.getOrUndefined(end)
    assert.deepInclude(after?.facts.capabilities ?? {}, { size: 9, startTls: false, auth: [] })
  })

  it("knows what explains a refusal", () => {
    assert.deepStrictEqual(session("ready").known, {
      encrypted: false,
      authOffered: ["PLAIN"],
      startTlsOffered: true,
      authenticated: false,
      identity: undefined
    })
    const secured = new Session.Session("ready", {
      ...facts,
      capabilities: undefined,
      tls: Explore.tlsFacts,
      authenticated: { identity: "ann", mechanism: "PLAIN" }
    })
    assert.deepStrictEqual(secured.known, {
      encrypted: true,
      authOffered: [],
      startTlsOffered: false,
      authenticated: true,
      identity: "ann"
    })
  })

  it("content goes out with its dots and line ends made safe", () => {
    const { said } = Program.rehearse(
      Session.content(session("content"), new TextEncoder().encode(".\n..x\r\nQUIT"), ["<ben@b.example>"]),
      [Program.replies(Reply.make(250, "ok"))]
    )
    const [{ instruction }] = said as readonly [Program.Rehearsed]
    assert.strictEqual(instruction._tag, "Payload")
    if (instruction._tag !== "Payload") return
    assert.strictEqual(new TextDecoder().decode(instruction.content), "..\r\n...x\r\nQUIT\r\n.\r\n")
    assert.deepStrictEqual(instruction.recipients, ["<ben@b.example>"])
  })
})
