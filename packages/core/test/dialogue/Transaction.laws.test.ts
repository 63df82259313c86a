/**
 * Every path of a message to two recipients, in each way it can go: what is said keeps to the rules,
 * and what is reported is what the replies say.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Capabilities,
  Command,
  CommandLine,
  Envelope,
  Expect,
  type Outcome,
  Program,
  Reason,
  Reply,
  type Said,
  Session,
  Source,
  Transaction
} from "@postern/core"
import { Explore } from "@postern/testing"
import { Effect, Result, Scope, Stream } from "effect"

const to = ["ben@b.example", "cat@b.example"]
const envelope = Result.getOrThrow(Envelope.make({ from: "ann@a.example", to }))
const names = to.map((each) => `<${each}>`)

const session = (extensions: ReadonlyArray<string>, lmtp = false): Session.Session<"ready"> =>
  new Session.Session("ready", {
    host: "mx.example",
    greeting: Reply.make(220, "mx.example"),
    capabilities: Capabilities.fromEhlo(Reply.make(250, ["mx.example", ...extensions])),
    tls: Explore.tlsFacts,
    authenticated: undefined,
    lmtp
  })

const utf8 = new TextEncoder()
const octets = (text: string) => Effect.runSync(Effect.scoped(Source.body(utf8.encode(text), false)))
/** Content that can be had again and again, as rehearsals do. */
const made = Effect.suspend(() => Source.body(Stream.make(utf8.encode("x\n"), utf8.encode("y\n")), false))

interface Kind {
  readonly session: Session.Session<"ready">
  readonly body: () => Transaction.Message["body"]
}

const small = octets("Subject: x\n\nx\n")
const large = octets("line\n".repeat(60_000))
const url = Effect.runSync(Effect.scoped(Source.body({ burl: "imap://imap.example/x;urlauth=anonymous" }, false)))

const kinds: Readonly<Record<string, Kind>> = {
  "DATA": { session: session([]), body: () => small },
  "DATA with the envelope": { session: session(["PIPELINING"]), body: () => small },
  "BDAT": { session: session(["CHUNKING"]), body: () => small },
  "BDAT with the envelope": { session: session(["CHUNKING", "PIPELINING"]), body: () => small },
  "BDAT behind the envelope": { session: session(["CHUNKING", "PIPELINING"]), body: () => large },
  "BURL": { session: session(["BURL imap"]), body: () => url },
  "BURL with the envelope": { session: session(["BURL imap", "PIPELINING"]), body: () => url },
  "LMTP with DATA": { session: session(["PIPELINING"], true), body: () => small },
  "LMTP with BDAT": { session: session(["PIPELINING", "CHUNKING"], true), body: () => small },
  "a transaction for each": { session: session(["PIPELINING", "LIMITS RCPTMAX=1"]), body: () => small },
  "a transaction for each, by BDAT": {
    session: session(["PIPELINING", "CHUNKING", "LIMITS RCPTMAX=1"]),
    body: () => small
  }
}

const ok = Reply.make(250, "yes")
const go = Reply.make(354, "go")
const no = Reply.make(550, "no")
const repliesTo = (step: Expect.Step): ReadonlyArray<Reply.Reply> => {
  switch (step) {
    case "Rcpt":
      return [ok, no, Reply.make(452, "too many recipients", "4.5.3")]
    case "Data":
      return [go, Reply.make(451, "not now")]
    case "Rset":
      return [ok]
    default:
      return [ok, no]
  }
}

const closed = Reason.make("ConnectionLost", { step: "Content", detail: "the server closed the connection" })

/** What was said and is not answered: once for each reply. */
const unanswered = (
  said: ReadonlyArray<Program.Rehearsed>,
  instruction: Program.Instruction
): ReadonlyArray<Said.Said> => {
  const asked = (each: Program.Instruction) =>
    each._tag === "Exchange"
      ? each.say.flatMap((said) =>
        Array<Said.Said>(said._tag === "Chunk" || said._tag === "Content" ? said.replies : 1).fill(said)
      )
      : []
  const answered = said.reduce((sum, { answer }) => sum + (answer._tag === "Replies" ? answer.replies.length : 0), 0)
  return [...said.flatMap(({ instruction }) => asked(instruction)), ...asked(instruction)].slice(answered)
}

/** The replies to the last MAIL and DATA. */
const lastOf = (said: ReadonlyArray<Program.Rehearsed>) => {
  let mail: number | undefined
  let data: number | undefined
  for (const { answer, instruction } of said) {
    if (instruction._tag !== "Exchange" || answer._tag !== "Replies") continue
    if (instruction.say.some(({ _tag }) => _tag === "Content")) data = undefined
    for (const [i, step] of instruction.hear.entries()) {
      if (step === "Mail") mail = answer.replies[i]?.code
      if (step === "Data") data = answer.replies[i]?.code
    }
  }
  return { mail, data }
}

/** Every reply to each step, and every way for the connection to end in between; after that nothing comes. */
const menu: Explore.Menu = (instruction, said) => {
  if (instruction._tag === "Perform") {
    return [{ _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }]
  }
  if (instruction._tag !== "Exchange") return []
  const { hear } = instruction
  const ended = said.find(({ answer }) => answer._tag === "Replies" && answer.lost !== undefined)?.answer
  if (ended?._tag === "Replies" && ended.lost !== undefined) return [Program.lost(ended.lost.reason)]
  const waiting = unanswered(said, instruction)
  // A line on which content is owed takes nothing else.
  const { data, mail } = lastOf(said)
  if (instruction.say[0]?._tag === "Mail" && data === 354 && mail !== 250) return [Program.lost(closed)]
  const lost: Array<Program.Answer> = []
  let heard: ReadonlyArray<ReadonlyArray<Reply.Reply>> = [[]]
  for (const [i, step] of hear.entries()) {
    // Nothing of the rest was written, all of it, or all but the last that was said.
    const first = waiting.findIndex((said) => said === waiting[hear.length - 1])
    for (const before of heard) {
      // What has one of its replies was written.
      for (const written of new Set(i > first ? [hear.length - i] : [0, first - i, hear.length - i])) {
        lost.push(Program.lost(closed, before, written))
      }
      const reply = Reply.make(421, "closing", "4.3.2")
      lost.push(Program.lost(Reason.make("ServiceClosing", { step, reply }), before))
    }
    heard = heard.flatMap((before) => repliesTo(step).map((reply) => [...before, reply]))
  }
  return [...heard.map((all) => Program.replies(...all)), ...lost]
}

/** What a path comes to, by the replies alone. */
interface Judged {
  readonly accepted: ReadonlyArray<string>
  readonly doubtful: ReadonlyArray<string>
  readonly problem: string | undefined
}

const isLast = (said: Said.Said): boolean =>
  said._tag === "Content" ? said.end : said._tag === "Chunk" ? said.last : said._tag === "Burl" && said.last

const isNothing = (said: Said.Said): boolean =>
  said._tag === "Content" && Array.from(said.blocks, (block) => new TextDecoder().decode(block)).join("") === ".\r\n"

const line = (said: Said.Said): string =>
  said._tag === "Chunk" || said._tag === "Content" ? said._tag : CommandLine.render(said)

// A server's view: what was said is answered in order.
const judge = (
  { said: steps }: Pick<Explore.Ended<unknown, unknown>, "said">,
  policy: Outcome.Policy,
  rides: boolean,
  lmtp: boolean
): Judged => {
  const accepted: Array<string> = []
  const doubtful: Array<string> = []
  let problem: string | undefined
  let mail: Reply.Reply | undefined
  let rcpts: Array<{ readonly name: string; readonly reply: Reply.Reply | undefined }> = []
  // The server waits for content; a transaction may be open; a chunk was refused; nothing more is said or heard.
  let [owed, dirty, spoiled, over, begun] = [false, false, false, false, false]
  const nothing = (said: Said.Said) => !begun && isNothing(said)
  const queue: Array<{ readonly said: Said.Said; readonly nth: number }> = []
  const mailed = () => mail === undefined || Expect.isYes("Mail", mail)
  const good = () => rcpts.filter(({ reply }) => reply === undefined || Expect.isYes("Rcpt", reply))
  const begin = (reply: Reply.Reply | undefined) => {
    mail = reply
    rcpts = []
    spoiled = false
    begun = false
    dirty = true
  }
  const name = (said: Said.Line) => CommandLine.render(said).replace("RCPT TO:", "")
  for (const { answer, instruction } of steps) {
    if (instruction._tag !== "Exchange" || answer._tag !== "Replies" || over) continue
    for (const said of instruction.say) {
      const early = queue.some(({ said }) => said._tag === "Mail" || said._tag === "Rcpt")
      if (owed && said._tag !== "Content") problem ??= `${line(said)} though content is owed`
      if (!owed && said._tag === "Content") problem ??= "content that nobody waits for"
      if (said._tag === "Mail" && dirty && !early) problem ??= "MAIL within a transaction that failed, without RSET"
      const content = said._tag === "Content" || said._tag === "Chunk" || said._tag === "Burl"
      if (said._tag === "Content" && !said.end) begun = true
      if (content && !nothing(said)) {
        const open = queue.filter(({ said }) => said._tag === "Rcpt").length
        if (early && !rides) problem ??= `${line(said)} before the replies to its envelope`
        if (early && policy === "all" && open > 1) problem ??= "content before it is known whether all are accepted"
        if (!early && (!mailed() || good().length === 0)) problem ??= "content for nobody"
        if (!early && policy === "all" && good().length < rcpts.length) {
          problem ??= "content though not all are accepted"
        }
      }
      if (said._tag === "Content" && said.end) owed = false
      const replies = said._tag === "Chunk" || said._tag === "Content" ? said.replies : 1
      for (let nth = 0; nth < replies; nth++) queue.push({ said, nth })
    }
    for (const reply of answer.replies) {
      const next = queue.shift()
      if (next === undefined) return { accepted, doubtful, problem: "a reply to nothing" }
      const { nth, said } = next
      const positive = Expect.isYes(said._tag === "Chunk" ? "Bdat" : said._tag, reply)
      if (said._tag === "Mail") begin(reply)
      else if (said._tag === "Rcpt") rcpts.push({ name: name(said), reply })
      else if (said._tag === "Data") owed = positive
      else if (said._tag === "Rset") dirty = false
      else if (!isLast(said)) spoiled ||= !positive
      else if (nothing(said)) dirty = false
      else {
        const those = lmtp ? good().slice(nth, nth + 1) : good()
        if (positive && mailed() && !spoiled) accepted.push(...those.map(({ name }) => name))
        // Somebody may have got what rode along with a refused envelope.
        if (positive && (those.length === 0 || !mailed())) doubtful.push(...rcpts.map(({ name }) => name))
        if (said._tag === "Content" || (positive && those.length > 0 && mailed())) dirty = false
      }
    }
    // A server that waits for content though it refused the sender: nothing more may be said to it.
    if (owed && !mailed() && good().length > 0) over = true
    if (answer.lost === undefined) continue
    over = true
    for (const { nth, said } of queue.splice(0, answer.lost.written)) {
      if (said._tag === "Mail") begin(undefined)
      if (said._tag === "Rcpt") rcpts.push({ name: name(said), reply: undefined })
      if (!isLast(said) || nothing(said) || !mailed() || spoiled) continue
      doubtful.push(...(lmtp ? good().slice(nth, nth + 1) : good()).map(({ name }) => name))
    }
  }
  if (!over && dirty) problem ??= "it leaves a transaction that failed, without RSET"
  return { accepted, doubtful, problem }
}

const policies = ["any", "all", "each"] as const

describe.each(Object.entries(kinds))("a message by %s", (name, { body, session }) => {
  it.each(policies)("says and reports what is right on every path: %s", (policy) => {
    const rides = session.facts.capabilities?.pipelining === true && session.facts.lmtp !== true && body() !== large
    const lmtp = session.facts.lmtp === true
    const program = Transaction.send(session, { envelope, body: body(), policy })
    const tally = new Map<string, number>()
    const count = Explore.assert(program, menu, ({ end, said }) => {
      const { accepted, doubtful, problem } = judge({ said }, policy, rides, lmtp)
      if (problem !== undefined) return problem
      if (Result.isSuccess(end)) {
        const { outcomes, reply } = end.success
        assert.deepStrictEqual(outcomes.map(({ recipient }) => recipient), names, "outcomes in order")
        const those = (tag: Outcome.Outcome["_tag"]) =>
          outcomes.flatMap(({ _tag, recipient }) => _tag === tag ? [recipient] : [])
        assert.deepStrictEqual(those("Accepted"), names.filter((name) => accepted.includes(name)), "accepted")
        assert.deepStrictEqual(those("InDoubt"), names.filter((name) => doubtful.includes(name)), "in doubt")
        assert.isNotEmpty(accepted)
        assert.strictEqual(reply.code, 250)
        tally.set("sent", (tally.get("sent") ?? 0) + 1)
        return undefined
      }
      const { failure } = end
      const tag = Program.isLost(failure) ? failure.reason._tag : failure._tag
      tally.set(tag, (tally.get(tag) ?? 0) + 1)
      assert.deepStrictEqual(accepted, [], `accepted, and it failed with ${tag}`)
      const reported = !Program.isLost(failure) && failure._tag === "InDoubt" ? failure.recipients : []
      assert.deepStrictEqual([...reported], names.filter((name) => doubtful.includes(name)), `in doubt, and ${tag}`)
      return undefined
    }, { mostPaths: 300_000 })
    // Where all or none is asked for and each has a transaction of its own, nothing is begun.
    if (policy === "all" && name.startsWith("a transaction for each")) return assert.strictEqual(count, 1)
    assert.isAbove(count, 50)
    assert.includeMembers([...tally.keys()], ["sent", "InDoubt", "ConnectionLost", "ServiceClosing", "SenderRefused"])
  })
})

/** For content made on the way a rehearsal has to be made anew: it can be had once. */
const streamed = (extensions: ReadonlyArray<string>, lmtp: boolean, answers: ReadonlyArray<Program.Answer>) => {
  const body = Effect.runSync(Effect.provideService(made, Scope.Scope, Effect.runSync(Scope.make())))
  let taken = 0
  const program = Transaction.send(session(extensions, lmtp), { envelope, body, policy: "any" })
  const rehearsal = Program.rehearse(program, (instruction) =>
    instruction._tag === "Perform"
      ? { _tag: "Value", value: Effect.runSync(instruction.effect as Effect.Effect<unknown>) }
      : answers[taken++])
  return { ...rehearsal, taken }
}

describe("content made on the way", () => {
  /** Follows every path: each ends with so many answers. */
  const every = (extensions: ReadonlyArray<string>, lmtp: boolean) => {
    const wrong: Array<string> = []
    const tags = new Set<string>()
    let paths = 0
    const open: Array<ReadonlyArray<Program.Answer>> = [[]]
    for (let answers = open.pop(); answers !== undefined; answers = open.pop()) {
      const { end, pending, said } = streamed(extensions, lmtp, answers)
      if (end === undefined) {
        if (pending === undefined) throw new Error("it neither ends nor asks")
        const taken = answers
        open.push(...menu(pending, said).map((answer) => [...taken, answer]))
        continue
      }
      paths++
      const { accepted, doubtful, problem } = judge({ said }, "any", false, lmtp)
      const outcomes = Result.isSuccess(end) ? end.success.outcomes : []
      const reported = outcomes.flatMap(({ _tag, recipient }) => _tag === "Accepted" ? [recipient] : [])
      const failure = Result.isFailure(end) ? end.failure : undefined
      const tag = failure === undefined ? "sent" : Program.isLost(failure) ? failure.reason._tag : failure._tag
      tags.add(tag)
      const inDoubt = failure !== undefined && !Program.isLost(failure) && failure._tag === "InDoubt"
        ? failure.recipients
        : outcomes.flatMap(({ _tag, recipient }) => _tag === "InDoubt" ? [recipient] : [])
      const saw = [
        problem,
        String(reported) === String(accepted) ? undefined : `accepted ${accepted}, and reported ${tag} ${reported}`,
        String(inDoubt) === String(doubtful) ? undefined : `in doubt ${doubtful}, and reported ${tag} ${inDoubt}`
      ].filter((each) => each !== undefined)
      if (saw.length > 0) wrong.push(`${saw.join("; ")}\n${Explore.render(said)}`)
    }
    return { paths, wrong, tags }
  }

  it.each(
    [
      ["DATA", [], false],
      ["DATA with the envelope", ["PIPELINING"], false],
      ["BDAT", ["CHUNKING"], false],
      ["BDAT, pipelined", ["CHUNKING", "PIPELINING"], false],
      ["LMTP with DATA", ["PIPELINING"], true],
      ["LMTP with BDAT", ["PIPELINING", "CHUNKING"], true]
    ] as const
  )("says and reports what is right on every path: %s", (_, extensions, lmtp) => {
    const { paths, tags, wrong } = every(extensions, lmtp)
    assert.deepStrictEqual(wrong.slice(0, 20), [], `${wrong.length} of ${paths}`)
    assert.isAbove(paths, 50)
    assert.includeMembers([...tags], ["sent", "InDoubt", "ConnectionLost"])
  })

  it("a refused chunk ends it: no more of it is said, and RSET clears what is left", () => {
    const { end, said } = streamed(["CHUNKING", "PIPELINING"], false, [
      Program.replies(ok, ok, ok),
      Program.replies(Reply.make(552, "no more", "5.3.4"), no),
      Program.replies(ok)
    ])
    const lines = Explore.linesSent(said)
    assert.strictEqual(lines.at(-1), "RSET")
    assert.isTrue(
      end !== undefined && Result.isFailure(end) && !Program.isLost(end.failure) && end.failure._tag === "TooLarge"
    )
  })

  it("goes with DATA after the 354, and its end last", () => {
    const { end, said } = streamed(["PIPELINING"], false, [Program.replies(ok, ok, ok, go), Program.replies(ok)])
    assert.isTrue(end !== undefined && Result.isSuccess(end))
    const parts = said.flatMap(({ instruction }) => instruction._tag === "Exchange" ? instruction.say : [])
      .flatMap((each) => each._tag === "Content" ? [each.end] : [])
    assert.strictEqual(parts.at(-1), true)
    assert.strictEqual(parts.filter((end) => end).length, 1)
  })
})

describe("commands of an envelope", () => {
  it("hold nothing but the message's own recipients", () => {
    const { said } = Program.rehearse(
      Transaction.send(session(["PIPELINING"]), { envelope, body: small, policy: "any" }),
      []
    )
    assert.deepStrictEqual(said, [])
    assert.strictEqual(CommandLine.render(Command.data), "DATA")
  })
})
