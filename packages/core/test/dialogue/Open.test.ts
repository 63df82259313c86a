import { assert, describe, it } from "@effect/vitest"
import {
  Address,
  Body,
  Choose,
  type Command,
  CommandLine,
  CramMd5,
  Envelope,
  Login,
  Mechanism,
  Open,
  Plain,
  Program,
  Reason,
  Reply,
  Said,
  Transaction
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Redacted, Result } from "effect"

const domain = Result.getOrThrow(Address.parseDomain("client.example"))
const secret = "tanstaaftanstaaf"
const credentials = Mechanism.password("tim", Redacted.make(secret))

const options = (security: Open.Security, authenticator = Choose.standard): Open.Options => ({
  host: "mx.example",
  domain,
  security,
  tls: { serverName: "mx.example" },
  credentials,
  authenticator
})

const envelope = Result.getOrThrow(Envelope.make({ from: "ann@a.example", to: ["ben@b.example", "cat@c.example"] }))

const submit = Program.fn(function*(opening: Open.Options) {
  const session = yield* Open.open(opening)
  return yield* Transaction.deliver(session, envelope, new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n"))
})

const greeting = Program.replies(Reply.make(220, "mx.example ESMTP"))
const ehlo = (...extensions: ReadonlyArray<string>) => Program.replies(Reply.make(250, ["mx.example", ...extensions]))

/** Every octet a path would have written, as text. */
const written = (said: ReadonlyArray<Program.Rehearsed>): string =>
  said.flatMap(({ instruction }) =>
    instruction._tag === "Exchange"
      ? instruction.say.filter(Said.isLine).map((command) => new TextDecoder().decode(CommandLine.encode(command)))
      : []
  ).join("")

describe("opening a session", () => {
  it("says hello, starts TLS, says hello again and authenticates", () => {
    const { end, said } = Program.rehearse(Open.open(options("startTls")), (instruction, said) => {
      if (instruction._tag === "UpgradeTls") return Program.tls(Explore.tlsFacts)
      if (instruction._tag === "Perform") return Explore.everyClass()(instruction, said)[0]
      if (instruction._tag === "Exchange" && instruction.hear[0] === "Greeting") return greeting
      if (instruction._tag !== "Exchange") return undefined
      const [_tag] = instruction.hear
      const tls = said.some(({ instruction }) => instruction._tag === "UpgradeTls")
      return _tag === "Ehlo"
        ? tls ? ehlo("AUTH PLAIN LOGIN") : ehlo("STARTTLS")
        : _tag === "StartTls"
        ? Program.replies(Reply.make(220, "go ahead", "2.0.0"))
        : Program.replies(Reply.make(235, "welcome", "2.7.0"))
    })
    assert.isTrue(end !== undefined && Result.isSuccess(end))
    assert.deepStrictEqual(Explore.linesSent(said), [
      "EHLO client.example",
      "STARTTLS",
      "EHLO client.example",
      "AUTH PLAIN <redacted, 21 bytes>"
    ])
  })

  it("forgets what was offered before TLS", () => {
    const { end } = Program.rehearse(Open.open(options("startTls")), [
      greeting,
      ehlo("STARTTLS", "AUTH PLAIN LOGIN"),
      Program.replies(Reply.make(220, "go ahead")),
      Program.tls(Explore.tlsFacts),
      ehlo("SIZE 1000")
    ])
    assert.deepStrictEqual(
      end,
      Result.fail(Reason.make("NoUsableMechanism", {
        offered: [],
        unusable: [],
        startTlsOffered: false
      }))
    )
  })

  it("falls back to HELO when EHLO is not known, and only then", () => {
    const plain = { ...options("plain"), credentials: undefined }
    const old = Program.rehearse(Open.open(plain), [
      greeting,
      Program.replies(Reply.make(500, "what?")),
      Program.replies(Reply.make(250, "mx.example"))
    ])
    assert.isTrue(old.end !== undefined && Result.isSuccess(old.end) && !old.end.success.facts.capabilities?.extended)
    assert.deepStrictEqual(Explore.linesSent(old.said), ["EHLO client.example", "HELO client.example"])
    const refused = Program.rehearse(Open.open(plain), [greeting, Program.replies(Reply.make(554, "go away"))])
    assert.lengthOf(Explore.linesSent(refused.said), 1)
  })

  it("goes on in plain text only where that was asked for", () => {
    const answers = [greeting, ehlo("SIZE"), Program.replies(Reply.make(250, "ok"))]
    const anonymous = { credentials: undefined }
    const required = Program.rehearse(Open.open({ ...options("startTls"), ...anonymous }), answers)
    assert.deepStrictEqual(required.end, Result.fail(Reason.make("TlsUnavailable", { reply: undefined })))
    const offered = Program.rehearse(Open.open({ ...options("startTlsIfOffered"), ...anonymous }), answers)
    assert.isTrue(offered.end !== undefined && Result.isSuccess(offered.end))
    const unwilling = Reply.make(454, "TLS not available", "4.7.0")
    const declined = [greeting, ehlo("STARTTLS"), Program.replies(unwilling)]
    assert.isTrue(
      Program.rehearse(Open.open({ ...options("startTlsIfOffered"), ...anonymous }), declined).end?._tag === "Success"
    )
    assert.deepStrictEqual(
      Program.rehearse(Open.open({ ...options("startTls"), ...anonymous }), declined).end,
      Result.fail(Reason.make("TlsUnavailable", { reply: unwilling }))
    )
  })
})

describe("every path of a whole submission", () => {
  const mechanisms = { PLAIN: Plain.plain, LOGIN: Login.login, "CRAM-MD5": CramMd5.cramMd5 }
  for (const [name, mechanism] of Object.entries(mechanisms)) {
    for (const security of ["startTls", "startTlsIfOffered", "tls", "plain"] as const) {
      it(`${name}, ${security}: ends, keeps its secrets, and sends content only to accepted recipients`, () => {
        const { ended, truncated, unended } = Explore.paths(
          submit(options(security, Choose.inOrder(mechanism))),
          Explore.everyClass({
            capabilities: [["mx.example", "STARTTLS", `AUTH ${name}`, "PIPELINING", "SIZE 100000"]],
            challenges: name === "PLAIN" ? [""] : ["VXNlcm5hbWU6", "PDEyMzRAbXguZXhhbXBsZT4="]
          })
        )
        assert.isFalse(truncated)
        assert.lengthOf(unended, 0)
        assert.isAbove(ended.length, 10)
        for (const { end, said } of ended) {
          const upgrade = said.findIndex(({ instruction }) => instruction._tag === "UpgradeTls")
          const before = written(upgrade === -1 ? said : said.slice(0, upgrade))
          if (mechanism.traits.kind === "plaintext") assert.notInclude(before, "AUTH ")
          if (security === "startTls") assert.notMatch(before, /AUTH |MAIL |RCPT /)

          const content = said.findIndex(({ instruction }) =>
            instruction._tag === "Exchange"
            && instruction.say.some((it) => it._tag === "Content" && it !== Body.nothing)
          )
          if (content !== -1) {
            const accepted = said.slice(0, content).some(({ answer, instruction }) =>
              instruction._tag === "Exchange" && answer._tag === "Replies"
              && instruction.hear.some((step, i) =>
                step === "Rcpt" && Reply.isPositive(answer.replies[i] ?? Reply.make(599, ""))
              )
            )
            assert.isTrue(accepted, "content without an accepted recipient")
            const authenticated = said.some(({ answer }) =>
              answer._tag === "Replies" && answer.replies.some(({ code }) => code === 235)
            )
            assert.isTrue(authenticated, "content without authentication though credentials were given")
          }
          if (Result.isSuccess(end)) {
            assert.notStrictEqual(content, -1)
          } else {
            const { failure } = end
            const known = Reason.isReason(failure) || failure._tag === "Refused" || Program.isLost(failure)
            assert.isTrue(known, JSON.stringify(failure))
            assert.notInclude(JSON.stringify(failure), secret)
          }
          const auths = said.filter(({ instruction }) =>
            instruction._tag === "Exchange" && instruction.hear[0] === "Auth"
          )
          assert.isAtMost(auths.length, 1, "one mechanism, one attempt")
        }
      })
    }
  }

  it("a refused password is never tried again with another mechanism", () => {
    const { ended } = Explore.paths(Open.open(options("tls")), Explore.everyCode({ challenges: ["VXNlcm5hbWU6"] }))
    for (const { said } of ended) {
      const tried = said.flatMap(({ answer, instruction }) =>
        instruction._tag === "Exchange" && instruction.hear[0]?.startsWith("Auth") === true && answer._tag === "Replies"
          ? answer.replies.map(({ code }) => code)
          : []
      )
      const last = tried.findIndex((code) => code === 535)
      assert.isTrue(last === -1 || last === tried.length - 1, `went on after 535: ${tried.join(" ")}`)
    }
  })

  it("sends nothing of a session it did not open", () => {
    const commands = Explore.paths(Open.open(options("startTls")), Explore.everyClass()).ended.flatMap(({ said }) =>
      said.flatMap(({ instruction }) => instruction._tag === "Exchange" ? instruction.say.filter(Said.isLine) : [])
    )
    const tags: ReadonlySet<Command.Tag> = new Set(commands.map(({ _tag }) => _tag))
    assert.deepStrictEqual([...tags].toSorted(), ["Auth", "AuthCancel", "AuthResponse", "Ehlo", "Helo", "StartTls"])
  })
})
