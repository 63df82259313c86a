/**
 * The phases of a session: which commands each allows, where they lead, and that
 * types which were evaded are of no use.
 */
import { assert, describe, it } from "@effect/vitest"
import { Address, Capabilities, Command, Expect, Program, Reason, Reply, type Said, Session } from "@postern/core"
import { Explore } from "@postern/testing"
import { Redacted, Result } from "effect"

const get = <A, E>(result: Result.Result<A, E>): A => Result.getOrThrow(result)
const domain = get(Address.parseDomain("client.example"))
const mailbox = get(Address.parse("ann@a.example"))

const commands: { readonly [T in Command.Tag]: Extract<Command.Command, { readonly _tag: T }> } = {
  Ehlo: Command.ehlo(domain),
  Helo: Command.helo(domain),
  Lhlo: Command.lhlo(domain),
  StartTls: Command.startTls,
  Auth: get(Command.auth("PLAIN")),
  AuthResponse: Command.authResponse(Redacted.make(new Uint8Array(1))),
  AuthCancel: Command.authCancel,
  Mail: Command.mail(mailbox),
  Rcpt: Command.rcpt(mailbox),
  Data: Command.data,
  Burl: Result.getOrThrow(Command.burl("imap://a.example/", true)),
  Bdat: get(Command.bdat(1, true)),
  Rset: Command.rset,
  Noop: Command.noop,
  Vrfy: get(Command.vrfy("ann")),
  Expn: get(Command.expn("list")),
  Help: Command.help,
  Quit: Command.quit,
  Etrn: get(Command.etrn("a.example")),
  Xclient: get(Command.xclient({ NAME: "client.example" }))
}
const tags = Object.keys(commands) as ReadonlyArray<Command.Tag>

const anywhere: ReadonlyArray<Command.Tag> = ["Noop", "Help", "Vrfy", "Expn", "Rset", "Quit"]
const hello: ReadonlyArray<Command.Tag> = ["Ehlo", "Helo", "Lhlo"]

/** RFC 5321 §4.1.4, and each extension's own rule. BDAT goes with its octets, by a transaction. */
const allowed: Readonly<Record<Session.Phase, ReadonlyArray<Command.Tag>>> = {
  greeted: [...anywhere, ...hello],
  ready: [...anywhere, ...hello, "StartTls", "Auth", "AuthResponse", "AuthCancel", "Mail", "Etrn", "Xclient"],
  sender: [...anywhere, "Rcpt"],
  envelope: [...anywhere, "Rcpt", "Data", "Burl"],
  content: []
}
const phases = Object.keys(allowed) as ReadonlyArray<Session.Phase>

const leads: Readonly<Partial<Record<Command.Tag, Session.Phase>>> = {
  Ehlo: "ready",
  Helo: "ready",
  Lhlo: "ready",
  Mail: "sender",
  Rcpt: "envelope",
  Data: "content",
  Rset: "ready"
}

const facts: Session.Facts = {
  host: "mx.example",
  port: 587,
  greeting: Reply.make(220, "mx.example"),
  capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", "AUTH PLAIN", "STARTTLS"])),
  tls: Explore.tlsFacts,
  authenticated: { identity: "ann", mechanism: "PLAIN" }
}

/** A session whose types forbid nothing. */
interface Untyped {
  readonly phase: Session.Phase
  readonly facts: Session.Facts
  readonly send: (command: Command.Command) => Program.Program<unknown, unknown>
  readonly enter: (command: Command.Command) => Program.Program<Session.Session, unknown>
}
const untyped = (phase: Session.Phase): Untyped => new Session.Session(phase, facts) as unknown as Untyped

const yes = (tag: Command.Tag): Reply.Reply | undefined => {
  const [code] = Object.keys(Expect.table[tag].yes)
  return code === undefined ? undefined : Reply.make(Number(code), "yes")
}

describe("each command in each phase", () => {
  it("is known here", () => {
    assert.deepStrictEqual([...tags, "Greeting", "Content"].toSorted(), Object.keys(Expect.table).toSorted())
  })

  for (const phase of phases) {
    for (const tag of tags) {
      const command = commands[tag]
      const outOfSequence = Result.fail(Reason.make("OutOfSequence", { step: tag, phase }))
      const said: ReadonlyArray<Program.Instruction> = [{
        _tag: "Exchange",
        say: [command as Said.Line],
        hear: [tag]
      }]

      if (!allowed[phase].includes(tag)) {
        it(`${phase}: ${tag} is not sent`, () => {
          for (const program of [untyped(phase).send(command), untyped(phase).enter(command)]) {
            const rehearsal = Program.rehearse(program, () => Program.replies(Reply.make(250, "never")))
            assert.lengthOf(rehearsal.said, 0)
            assert.deepStrictEqual(rehearsal.end, outOfSequence)
          }
        })
        continue
      }

      it(`${phase}: ${tag} is sent, and its answer is its type's`, () => {
        const reply = yes(tag) ?? Reply.make(501, "cancelled")
        const { end, said: all } = Program.rehearse(untyped(phase).send(command), [Program.replies(reply)])
        assert.deepStrictEqual(all.map(({ instruction }) => instruction), said)
        assert.deepStrictEqual(end, Expect.read(command, reply))
        assert.strictEqual(end?._tag, tag === "AuthCancel" ? "Failure" : "Success")
      })

      it(`${phase}: a refused ${tag} leaves the session as it is`, () => {
        for (const no of [Reply.make(451, "not now"), Reply.make(550, "no"), Reply.make(421, "bye")]) {
          const session = untyped(phase)
          const refused = Result.fail(Expect.refused(tag, no))
          assert.deepStrictEqual(Program.rehearse(session.send(command), [Program.replies(no)]).end, refused)
          if (leads[tag] !== undefined) {
            assert.deepStrictEqual(Program.rehearse(session.enter(command), [Program.replies(no)]).end, refused)
          }
          assert.strictEqual(session.phase, phase)
          assert.strictEqual(session.facts, facts)
        }
      })

      const next = tag === "Rset" && phase === "greeted" ? "greeted" : leads[tag]
      if (next === undefined) {
        it(`${phase}: ${tag} leads nowhere`, () => {
          const { end, said: all } = Program.rehearse(
            untyped(phase).enter(command),
            () => Program.replies(Reply.make(250, "ok"))
          )
          assert.lengthOf(all, 0)
          assert.deepStrictEqual(end, outOfSequence)
        })
        continue
      }

      it(`${phase}: ${tag} leads to ${next}`, () => {
        const { end, said: all } = Program.rehearse(untyped(phase).enter(command), [
          Program.replies(yes(tag) ?? assert.fail())
        ])
        assert.deepStrictEqual(all.map(({ instruction }) => instruction), said)
        assert.isTrue(end !== undefined && Result.isSuccess(end))
        if (end === undefined || Result.isFailure(end)) return
        const entered = end.success
        assert.strictEqual(entered.phase, next)
        if (hello.includes(tag)) {
          // What the server says now is what counts; the peer, TLS and the identity stay.
          assert.deepStrictEqual(entered.facts, {
            ...facts,
            capabilities: entered.facts.capabilities,
            ...(tag === "Lhlo" ? { lmtp: true } : {})
          })
          assert.deepStrictEqual(entered.facts.capabilities?.auth, [])
          assert.strictEqual(entered.facts.capabilities?.extended, tag !== "Helo")
        } else {
          assert.deepStrictEqual(entered.facts, facts)
        }
      })
    }
  }
})

describe("a whole transaction by hand", () => {
  it("goes through every phase, by the types", () => {
    const program = Program.gen(function*() {
      const greeted = new Session.Session("greeted", { ...facts, capabilities: undefined })
      const ready = yield* greeted.enter(commands.Ehlo)
      const sender = yield* ready.enter(commands.Mail)
      const envelope = yield* sender.enter(commands.Rcpt)
      const more = yield* envelope.enter(commands.Rcpt)
      const content = yield* more.enter(commands.Data)
      return yield* Session.content(content, new TextEncoder().encode(".x\n"), ["<ann@a.example>"])
    })
    const ok = Reply.make(250, "ok")
    const { end, said } = Program.rehearse(
      program,
      [ok, ok, ok, ok, Reply.make(354, "go"), ok].map((reply) => Program.replies(reply))
    )
    assert.deepStrictEqual(end, Result.succeed(ok))
    const last = said.at(-1)?.instruction
    const [content] = last?._tag === "Exchange" ? last.say : []
    const written = content?._tag === "Content"
      ? Array.from(content.blocks, (block) => new TextDecoder().decode(block))
      : []
    assert.strictEqual(written.join(""), "..x\r\n.\r\n")
  })

  it("RSET goes back to where MAIL may be said, and before EHLO to where it may not", () => {
    const ok = [Program.replies(Reply.make(250, "ok"))]
    const back = Program.rehearse(new Session.Session("envelope", facts).enter(Command.rset), ok).end
    assert.deepStrictEqual(back, Result.succeed(new Session.Session("ready", facts)))
    const early = Program.rehearse(new Session.Session("greeted", facts).enter(Command.rset), ok).end
    const still: Result.Result<Session.Session<"greeted">, unknown> | undefined = early
    assert.deepStrictEqual(still, Result.succeed(new Session.Session("greeted", facts)))
  })
})

describe("what a session knows", () => {
  it("explains refusals", () => {
    assert.deepStrictEqual(new Session.Session("ready", facts).known, {
      encrypted: true,
      authOffered: ["PLAIN"],
      startTlsOffered: true,
      authenticated: true,
      identity: "ann"
    })
    const nothing = { ...facts, capabilities: undefined, tls: undefined, authenticated: undefined }
    assert.deepStrictEqual(new Session.Session("greeted", nothing).known, {
      encrypted: false,
      authOffered: [],
      startTlsOffered: false,
      authenticated: false,
      identity: undefined
    })
  })
})
