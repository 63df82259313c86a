/**
 * Any message to any server: what is sent is always allowed by what was offered, and what is not allowed is not
 * sent. Held against the octets that passed, which are read here by the RFCs alone.
 *
 * MODEL_RUNS=5000 runs more; MODEL_SEED and MODEL_PATH repeat what a failure reports.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ServerMachine } from "@postern/testing"
import { Result } from "effect"
import * as fc from "fast-check"
import { addressOf, asked, type Letter, normalized, octetsOf, textOf } from "./anyLetter.ts"
import { url } from "./anyServer.ts"
import { anyCase, type Case, play, type Seen, type Told } from "./offers.ts"
import { type Dialogue, type Exchange, fromXtext, isYes, nothing, type Offer, parametersOf, pathOf } from "./wire.ts"

const { MODEL_PATH: path, MODEL_RUNS: runs, MODEL_SEED: seed } = process.env

const parameters: fc.Parameters<[Case]> = {
  numRuns: runs === undefined ? 2500 : Number(runs),
  seed: seed === undefined ? 5321 : Number(seed),
  ...path === undefined ? {} : { path }
}

const limit = runs === undefined ? 120_000 : 3_600_000

/** What the client may use: what is offered, but for what it was told to leave. */
const usable = (offer: Offer, { server }: Case): Offer =>
  new Map([...offer].filter(([keyword]) => !server.without.includes(keyword)))

// ---------------------------------------------------------------------------
// Nothing is said that was not offered
// ---------------------------------------------------------------------------

const extensionOf: Readonly<Record<string, string>> = {
  SIZE: "SIZE",
  SMTPUTF8: "SMTPUTF8",
  RET: "DSN",
  ENVID: "DSN",
  NOTIFY: "DSN",
  ORCPT: "DSN",
  BY: "DELIVERBY",
  "MT-PRIORITY": "MT-PRIORITY",
  HOLDFOR: "FUTURERELEASE",
  HOLDUNTIL: "FUTURERELEASE",
  AUTH: "AUTH",
  REQUIRETLS: "REQUIRETLS",
  RRVS: "RRVS",
  // Verbs.
  BDAT: "CHUNKING",
  BURL: "BURL",
  STARTTLS: "STARTTLS",
  XCLIENT: "XCLIENT",
  ETRN: "ETRN"
}

const basic = new Set(["EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "VRFY", "QUIT"])

const offersValue = (offer: Offer, keyword: string, value: string | undefined): boolean => {
  if (keyword === "BODY") {
    return value === "BINARYMIME"
      ? offer.has("BINARYMIME") && offer.has("CHUNKING")
      : value === "8BITMIME" && offer.has("8BITMIME")
  }
  const extension = extensionOf[keyword]
  const values = extension === undefined ? undefined : offer.get(extension)
  if (values === undefined) return false
  const [first = "", second = ""] = values
  switch (keyword) {
    case "SIZE":
      return !(Number(first) > 0 && Number(value) > Number(first))
    case "BY":
      return value?.includes("R") !== true || Number.parseInt(value, 10) >= Math.max(1, Number(first))
    case "HOLDFOR":
      return Number(value) <= Number(first)
    case "HOLDUNTIL":
      return Date.parse(value ?? "") <= Date.parse(second)
    default:
      return true
  }
}

const checkOffered = (one: Case, { exchanges }: Dialogue): void => {
  for (const exchange of exchanges) {
    const { line, verb } = exchange
    const offer = usable(exchange.offer, one)
    if (verb === "AUTH") assert.include(offer.get("AUTH") ?? [], line.split(" ")[1] ?? "", line)
    else if (!basic.has(verb)) assert.isTrue(offersValue(offer, verb, undefined), line)
    if (verb === "XCLIENT") {
      for (const word of line.split(" ").slice(1)) {
        assert.include(offer.get("XCLIENT") ?? [], word.split("=")[0] ?? "", line)
      }
    }
    if (verb !== "MAIL" && verb !== "RCPT") continue
    for (const [keyword, value] of parametersOf(exchange)) assert.isTrue(offersValue(offer, keyword, value), line)
  }
}

// ---------------------------------------------------------------------------
// Nothing is said out of its order
// ---------------------------------------------------------------------------

// RFC 2920 §3.1, RFC 3030 §2, RFC 4468 §3.2.
const inGroups = new Set(["MAIL", "RCPT", "RSET", "BDAT", "XCLIENT"])

const checkOrder = (one: Case, { exchanges }: Dialogue): void => {
  exchanges.forEach((exchange, i) => {
    const before = exchanges[i - 1]
    const group = usable(exchange.offer, one).has("PIPELINING")
      && before !== undefined && (inGroups.has(before.verb) || before.content !== undefined)
    if (!group) assert.strictEqual(exchange.unread, 0, `${before?.line}, and before its answer ${exchange.line}`)
    assert.strictEqual(exchange.unreadAtContent, 0, "content before the answer to DATA")
  })
}

const isFault = ({ code, status }: { readonly code: number; readonly status: string }): boolean =>
  [500, 501, 502, 503, 504, 555].includes(code) || status.startsWith("5.5.")

// Of what was said before an answer could be read that made it moot.
const checkAnswers = ({ server }: Case, { exchanges, transactions }: Dialogue): void => {
  const excused = new Set<Exchange>()
  for (const { mail, parts, rcpts } of transactions) {
    const moot = !isYes(mail.answers[0])
    const nobody = moot || rcpts.every(({ answers: [answer] }) => !isYes(answer))
    for (const rcpt of rcpts) if (moot && rcpt.unread > 0) excused.add(rcpt)
    parts.forEach((part, i) => {
      const failed = parts.slice(0, i).some(({ answers: [answer] }) => !isYes(answer))
      if ((nobody || failed) && part.unread > 0) excused.add(part)
    })
  }
  for (const exchange of exchanges) {
    const known = server.protocol !== "HELO" || exchange.verb !== "EHLO"
    if (!known || excused.has(exchange)) continue
    for (const answer of exchange.answers) {
      assert.isFalse(isFault(answer), `${exchange.line.slice(0, 200)}: ${answer.code} ${answer.lines.join(" / ")}`)
    }
  }
}

// RFC 9422 §4.
const checkLimits = (one: Case, { offer, transactions }: Dialogue): void => {
  const said = (offer === undefined ? undefined : usable(offer, one).get("LIMITS"))?.map((word) => word.split("="))
  const most = (name: string) => Number(said?.find(([key]) => key === name)?.[1] ?? Number.POSITIVE_INFINITY)
  assert.isAtMost(transactions.length, most("MAILMAX"), "MAIL")
  for (const { rcpts } of transactions) assert.isAtMost(rcpts.length, most("RCPTMAX"), "RCPT")
  const domains = new Set(transactions.flatMap(({ rcpts }) => rcpts.map((rcpt) => pathOf(rcpt).split("@").at(-1))))
  assert.isAtMost(domains.size, most("RCPTDOMAINMAX"), "domains")
}

// ---------------------------------------------------------------------------
// What is told is so
// ---------------------------------------------------------------------------

const isEightBit = (bytes: Uint8Array): boolean => bytes.some((octet) => octet > 127)
const longest = (bytes: Uint8Array): number =>
  textOf(normalized(bytes)).split("\r\n").reduce((most, { length }) => Math.max(most, length), 0)
const hasUtf8Header = (bytes: Uint8Array): boolean =>
  isEightBit(octetsOf(`\r\n${textOf(normalized(bytes))}`.split("\r\n\r\n", 1)[0] ?? ""))
const isMade = ({ source }: Letter): boolean => source._tag === "stream" || source._tag === "sized"

interface Obstacles {
  /** Each of them may be told; nothing of the message is said. */
  readonly known: ReadonlyArray<string>
  /** What is found as the content is made; nothing of it is taken. */
  readonly late: ReadonlyArray<string>
}

const needs = (letter: Letter): ReadonlyArray<readonly [extension: string, optional: boolean]> => {
  const { deliverBy, dsn, hold, optional = [], priority, requireTls, submitter } = asked(letter)
  const may = (extension: string) => (optional as ReadonlyArray<string>).includes(extension)
  const all: Array<string> = []
  const reports = letter.to.some(({ notify, originalRecipient }) => (notify ?? originalRecipient) !== undefined)
  if ((dsn?.return ?? dsn?.envelopeId ?? dsn?.notify) !== undefined || reports) all.push("DSN")
  if (requireTls === true) all.push("REQUIRETLS")
  if (deliverBy !== undefined) all.push("DELIVERBY")
  if (priority !== undefined) all.push("MT-PRIORITY")
  if (hold !== undefined) all.push("FUTURERELEASE")
  if (submitter !== undefined) all.push("AUTH")
  if (letter.to.some(({ validSince }) => validSince !== undefined)) all.push("RRVS")
  return all.map((extension) => [extension, may(extension)])
}

const obstaclesOf = (letter: Letter, offer: Offer, one: Case): Obstacles => {
  const { binary, content, policy, source, to } = letter
  const { deliverBy, hold } = asked(letter)
  const known: Array<string> = []
  const late: Array<string> = []
  const lack = (extension: string, of = known) => {
    if (!offer.has(extension)) of.push(`ExtensionMissing ${extension}`)
  }
  if (letter.nonsense !== undefined) known.push("InvalidInput")
  for (const [extension, optional] of needs(letter)) if (!optional) lack(extension)
  const size = binary ? content.length : normalized(content).length
  const most = Number(offer.get("SIZE")?.[0] ?? 0)
  if (source._tag !== "stream" && source._tag !== "burl" && most > 0 && size > most) known.push("TooLarge")
  if (source._tag === "burl") {
    if (one.server.protocol === "LHLO") known.push("ExtensionMissing BURL")
    lack("BURL")
  } else if (binary) {
    lack("CHUNKING")
    lack("BINARYMIME")
  } else if (longest(content) > 998) {
    if (isMade(letter)) late.push("ExtensionMissing BINARYMIME")
    else if (!offer.has("CHUNKING") || !offer.has("BINARYMIME")) known.push("ExtensionMissing BINARYMIME")
  }
  const asBinary = binary || (longest(content) > 998 && !isMade(letter))
  if (source._tag !== "burl" && !asBinary && isEightBit(content)) lack("8BITMIME", isMade(letter) ? late : known)
  const utf8 = letter.from === "änne" || to.some(({ local }) => local === "ü")
  if (utf8 || (source._tag !== "burl" && hasUtf8Header(content))) lack("SMTPUTF8")
  const [least = "0"] = offer.get("DELIVERBY") ?? []
  if (deliverBy?.otherwise === "return" && deliverBy.seconds < Number(least)) known.push("InvalidInput")
  const [longestHold = "", latestHold = ""] = offer.get("FUTURERELEASE") ?? []
  if (hold !== undefined && ("for" in hold ? hold.for > Number(longestHold) : hold.until > new Date(latestHold))) {
    known.push("InvalidInput")
  }
  const rcptMax = Number(offer.get("LIMITS")?.find((word) => word.startsWith("RCPTMAX="))?.slice(8) ?? 1000)
  const domainMax = Number(offer.get("LIMITS")?.find((word) => word.startsWith("RCPTDOMAINMAX="))?.slice(14) ?? 1000)
  const several = to.length > (policy === "each" ? 1 : rcptMax)
    || new Set(to.map(({ domain }) => domain)).size > domainMax
  if (several && (policy === "all" || isMade(letter))) known.push("InvalidInput")
  return { known, late }
}

const nameOf = (told: Told): string =>
  Result.isSuccess(told)
    ? "sent"
    : told.failure._tag === "ExtensionMissing"
    ? `ExtensionMissing ${told.failure.extension}`
    : told.failure._tag === "TooLarge" && told.failure.reply !== undefined
    ? "TooLarge for the server"
    : told.failure._tag

const isLocal = (name: string): boolean => /^(?:ExtensionMissing .*|InvalidInput|TooLarge)$/.test(name)

/** The transactions of a message; its recipients have its number. */
const ofLetter = (i: number, dialogues: Seen["dialogues"]) =>
  dialogues.flatMap(({ transactions }) => transactions).filter(({ mail, rcpts }) =>
    new RegExp(`^(?:ann|änne|spammer)${i}@`).test(pathOf(mail))
    || rcpts.some((rcpt) => new RegExp(`[^0-9-]${i}-\\d+"?@`).test(pathOf(rcpt)))
  )

const checkTold = (one: Case, seen: Seen, letter: Letter, i: number, told: Told): string => {
  const name = nameOf(told)
  const offer = usable(seen.dialogues.findLast((dialogue) => dialogue.offer !== undefined)?.offer ?? nothing, one)
  const said = ofLetter(i, seen.dialogues)
  const { known, late } = obstaclesOf(letter, offer, one)
  const numbers = new RegExp(`[^0-9-]${i}-\\d+$`)
  const taken = seen.inbox.filter(({ forwardPaths }) =>
    forwardPaths.some((path) => path !== "postmaster" && numbers.test(path.localPart))
  )
  // Before the connection was opened nothing is known of its server.
  if (known.length > 0) {
    assert.include(known, name)
    assert.lengthOf(said, 0, `${name}, and yet something was said`)
  } else if (isLocal(name)) {
    assert.include(late, name)
  }
  if (Result.isFailure(told)) assert.lengthOf(taken, 0, name)
  const well = known.length === 0 && late.length === 0 && letter.from !== "spammer" && letter.source._tag !== "burl"
    && letter.to.some(({ local }) => local !== "ghost")
    && (letter.policy !== "all"
      || (letter.to.every(({ local }) => local !== "ghost") && one.server.maxRecipients === 100))
    && normalized(letter.content).length <= (one.server.extensions.includes("SIZE 0") ? 10_485_760 : one.server.maxSize)
  if (well) assert.include(one.route === "opened" ? ["sent", "LimitReached"] : ["sent"], name)
  if (Result.isSuccess(told)) {
    assert.strictEqual(told.success.outcomes.length, letter.to.length)
    const accepted = told.success.outcomes.flatMap(({ _tag }, j) => _tag === "Accepted" ? [j] : [])
    if (letter.policy === "all" && one.server.protocol !== "LHLO") assert.lengthOf(accepted, letter.to.length)
    const got = taken.flatMap(({ forwardPaths }) =>
      forwardPaths.map((path) => path === "postmaster" ? -1 : Number(path.localPart.split("-").at(-1)))
    )
    assert.deepStrictEqual(got.toSorted((a, b) => a - b), accepted)
  }
  for (const message of taken) checkTaken(letter, i, offer, message)
  return name
}

const checkTaken = (letter: Letter, i: number, offer: Offer, message: ServerMachine.Message): void => {
  const { binary, content, source, to } = letter
  const expected = source._tag === "burl" ? undefined : content
  const mail = new Map(message.parameters.map(({ keyword, value }) => [keyword, value]))
  const body = mail.get("BODY")
  if (expected !== undefined) {
    const octets = binary ? expected : body === "BINARYMIME" ? undefined : normalized(expected)
    // Text with long lines is sent as binary, and stays text.
    assert.isTrue(Buffer.from(message.content).equals(octets ?? normalized(expected)), "the content is another")
    if (isEightBit(expected)) assert.include(["8BITMIME", "BINARYMIME"], body, "octets above 127")
    if (binary || longest(message.content) > 998) assert.strictEqual(body, "BINARYMIME")
    if (hasUtf8Header(expected)) assert.isTrue(mail.has("SMTPUTF8"), "a header field in UTF-8")
    if (source._tag !== "stream" && offer.has("SIZE")) {
      assert.strictEqual(mail.get("SIZE"), String(message.content.length))
    }
  }
  if (letter.from === "änne") assert.isTrue(mail.has("SMTPUTF8"), "a sender in UTF-8")
  for (const name of ["SIZE", "BODY", "SMTPUTF8"]) mail.delete(name)
  assert.deepStrictEqual(sorted(mail), wantedOfMail(letter, offer))
  message.forwardPaths.forEach((path, k) => {
    const j = path === "postmaster" ? -1 : Number(path.localPart.split("-").at(-1))
    const party = to[j]
    if (party === undefined || path === "postmaster") return assert.fail("nobody asked for that recipient")
    assert.strictEqual(`${path.localPart}`, addressOf(party, i, j).split("@")[0]?.replaceAll("\"", ""))
    assert.deepStrictEqual(
      sorted(new Map(message.forwardParameters[k]?.map(({ keyword, value }) => [keyword, value]))),
      wantedOfRcpt(letter, j, offer)
    )
  })
}

type Shown = ReadonlyArray<readonly [string, string | undefined]>

/** As a person would read them. */
const sorted = (given: ReadonlyMap<string, string | undefined>): Shown =>
  [...given].map(([keyword, value]): Shown[number] => [keyword, value && read(keyword, value)]).toSorted(byKeyword)

const byKeyword = ([a]: Shown[number], [b]: Shown[number]): number => a < b ? -1 : 1

const read = (keyword: string, value: string): string => {
  switch (keyword) {
    case "ENVID":
    case "AUTH":
      return fromXtext(value)
    case "NOTIFY":
      return value.split(",").toSorted().join(",")
    case "ORCPT":
      return value.startsWith("utf-8;")
        ? value.replace(/\\x\{([0-9A-F]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
        : fromXtext(value)
    default:
      return value
  }
}

const present = (shown: ReadonlyArray<readonly [string, string, string | undefined]>, offer: Offer): Shown =>
  shown.flatMap(([extension, keyword, value]): Shown =>
    value !== undefined && offer.has(extension) ? [[keyword, value === "" ? undefined : value]] : []
  ).toSorted(byKeyword)

/** To the second, in UTC. */
const instant = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`

const wantedOfMail = (letter: Letter, offer: Offer): Shown => {
  const { deliverBy, dsn, hold, priority, requireTls, submitter } = asked(letter)
  const mode = deliverBy && `${deliverBy.otherwise === "return" ? "R" : "N"}${deliverBy.trace === true ? "T" : ""}`
  return present([
    ["DSN", "RET", dsn?.return && (dsn.return === "full" ? "FULL" : "HDRS")],
    ["DSN", "ENVID", dsn?.envelopeId],
    ["DELIVERBY", "BY", deliverBy && `${deliverBy.seconds};${mode}`],
    ["MT-PRIORITY", "MT-PRIORITY", priority === undefined ? undefined : String(priority)],
    ["FUTURERELEASE", "HOLDFOR", hold !== undefined && "for" in hold ? String(hold.for) : undefined],
    ["FUTURERELEASE", "HOLDUNTIL", hold !== undefined && "until" in hold ? instant(hold.until) : undefined],
    ["AUTH", "AUTH", submitter === null ? "<>" : submitter as string | undefined],
    ["REQUIRETLS", "REQUIRETLS", requireTls === true ? "" : undefined]
  ], offer)
}

const wantedOfRcpt = (letter: Letter, j: number, offer: Offer): Shown => {
  const { notify = asked(letter).dsn?.notify, originalRecipient: original, validSince } = letter.to[j] ?? {}
  const type = original !== undefined && isEightBit(new TextEncoder().encode(original)) ? "utf-8" : "rfc822"
  return present([
    ["DSN", "NOTIFY", notify && [notify].flat().map((name) => name.toUpperCase()).toSorted().join(",")],
    ["DSN", "ORCPT", original === undefined ? undefined : `${type};${original}`],
    ["RRVS", "RRVS", validSince && instant(validSince)]
  ], offer)
}

describe("what is sent", () => {
  it("is allowed by what was offered, and is what was asked for", async () => {
    const counts = new Map<string, number>()
    const count = (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
    await fc.assert(
      fc.asyncProperty(anyCase, async (one) => {
        const seen = await play(one)
        for (const dialogue of seen.dialogues) {
          checkOffered(one, dialogue)
          checkOrder(one, dialogue)
          checkAnswers(one, dialogue)
          checkLimits(one, dialogue)
          for (const { line, verb } of dialogue.exchanges) {
            count(verb)
            if (verb === "BURL") assert.include(line, url)
            if (/[^ -~]/.test(line)) assert.include(["MAIL", "RCPT"], verb)
          }
        }
        assert.lengthOf(seen.told, one.letters.length)
        one.letters.forEach((letter, i) => {
          const told = seen.told[i]
          if (told !== undefined) count(checkTold(one, seen, letter, i, told))
        })
      }),
      parameters
    )
    if (runs !== undefined || path !== undefined) return console.log(Object.fromEntries(counts))
    // So that laws are not kept by runs that never get far.
    const extensions = "8BITMIME BINARYMIME CHUNKING SMTPUTF8 BURL DSN REQUIRETLS DELIVERBY MT-PRIORITY".split(" ")
      .map((extension) => `ExtensionMissing ${extension}`)
    const verbs = "EHLO HELO LHLO STARTTLS AUTH DATA BDAT BURL RSET XCLIENT ETRN".split(" ")
    const ends = ["sent", "InvalidInput", "TooLarge", "SenderRefused"]
    assert.deepStrictEqual([...extensions, ...verbs, ...ends].filter((name) => !counts.has(name)), [])
  }, limit)
})
