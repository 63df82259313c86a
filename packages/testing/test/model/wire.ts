/**
 * What was said on one connection, read back from its octets by the rules of the RFCs alone: nothing here
 * rests on what the library, or the simulated server, makes of them.
 */

/** Octets that went one way, in the order in which they did. */
export interface Passed {
  readonly way: "wrote" | "read"
  readonly bytes: Uint8Array
}

export interface Answer {
  readonly code: number
  /** The enhanced status code; empty where there is none. */
  readonly status: string
  readonly lines: ReadonlyArray<string>
}

/** What an answer to EHLO offers: the values by keywords in upper case. */
export type Offer = ReadonlyMap<string, ReadonlyArray<string>>

/** A command and what came of it. */
export interface Exchange {
  readonly line: string
  /** The first word, in upper case. */
  readonly verb: string
  /** What was offered when it was said. */
  readonly offer: Offer
  /** Answers that the client had not read as it said this. */
  readonly unread: number
  /** As it said the content of DATA, likewise. */
  readonly unreadAtContent: number
  /** None where the connection ended before; behind the 354 of DATA that to the content; with LMTP more. */
  readonly answers: ReadonlyArray<Answer>
  /** Of DATA with its dots undone, or of BDAT. */
  readonly content: Uint8Array | undefined
}

/** From MAIL on: a mail transaction (RFC 5321 §3.3). */
export interface Transaction {
  readonly mail: Exchange
  readonly rcpts: ReadonlyArray<Exchange>
  /** DATA, or each BDAT and BURL. */
  readonly parts: ReadonlyArray<Exchange>
}

export interface Dialogue {
  readonly exchanges: ReadonlyArray<Exchange>
  readonly transactions: ReadonlyArray<Transaction>
  /** The last offer; undefined where there was no hello. */
  readonly offer: Offer | undefined
}

export const nothing: Offer = new Map()

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
const utf8 = (text: string): string => Buffer.from(text, "latin1").toString("utf8")

const answersIn = (text: string): ReadonlyArray<Answer & { readonly end: number }> =>
  Array.from(text.matchAll(/(?:(\d{3})-[^\r\n]*\r\n)*(\d{3})(?: [^\r\n]*)?\r\n/g), (found) => {
    const lines = found[0].trimEnd().split("\r\n").map((line) => line.slice(4))
    const status = /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(lines[0] ?? "")?.[0] ?? ""
    return { code: Number(found[2]), status, lines, end: found.index + found[0].length }
  })

const offerOf = ({ lines }: Answer): Offer =>
  new Map(
    lines.slice(1).map((line) => {
      const [keyword = "", ...values] = line.split(/[ =]/)
      return [keyword.toUpperCase(), keyword.toUpperCase() === "LIMITS" ? line.split(" ").slice(1) : values]
    })
  )

export const isYes = (answer: Answer | undefined): boolean => answer !== undefined && answer.code < 300

/** Reads it. */
export const dialogueOf = (passed: ReadonlyArray<Passed>, lmtp: boolean): Dialogue => {
  const client = latin1(Buffer.concat(passed.flatMap(({ bytes, way }) => way === "wrote" ? [bytes] : [])))
  const answers = answersIn(latin1(Buffer.concat(passed.flatMap(({ bytes, way }) => way === "read" ? [bytes] : []))))
  const exchanges: Array<Exchange> = []
  const transactions: Array<{ mail: Exchange; rcpts: Array<Exchange>; parts: Array<Exchange> }> = []
  let open: (typeof transactions)[number] | undefined
  let offer: Offer | undefined
  let at = 0
  // The greeting is the first.
  let due = 1
  const unread = (): number => {
    let wrote = 0
    let read = 0
    for (const { bytes, way } of passed) {
      if (way === "read") read += bytes.length
      else if ((wrote += bytes.length) > at) break
    }
    return due - answers.filter(({ end }) => end <= read).length
  }
  const line = (): string | undefined => {
    const end = client.indexOf("\r\n", at)
    if (end === -1) return undefined
    const text = client.slice(at, end)
    at = end + 2
    return text
  }
  const next = (count = 1): ReadonlyArray<Answer> => answers.slice(due, due += count)
  /** As many as there are recipients, with LMTP (RFC 2033 §4.2). */
  const toContent = (): ReadonlyArray<Answer> =>
    next(lmtp ? Math.max(1, open?.rcpts.filter(({ answers: [answer] }) => isYes(answer)).length ?? 0) : 1)

  while (at < client.length) {
    const before = unread()
    const said = line()
    if (said === undefined) break
    const [verb = "", size = "", last = ""] = said.toUpperCase().split(" ")
    let content: string | undefined
    let unreadAtContent = 0
    let given: ReadonlyArray<Answer>
    if (verb === "BDAT") {
      content = client.slice(at, at + Number(size))
      at += Number(size)
      given = last === "LAST" ? toContent() : next()
    } else {
      given = next()
    }
    if (verb === "DATA" && given[0]?.code === 354 && at < client.length) {
      unreadAtContent = unread()
      const end = `\r\n${client.slice(at)}`.indexOf("\r\n.\r\n")
      if (end === -1) break
      content = client.slice(at, at + end).replace(
        /^\./gm,
        (dot, place: number, whole: string) => place === 0 || whole[place - 1] === "\n" ? "" : dot
      )
      at += end + 3
      given = [...given, ...toContent()]
    }
    while (given.at(-1)?.code === 334 && line() !== undefined) given = [...given, ...next()]
    const exchange: Exchange = {
      line: utf8(said),
      verb,
      offer: offer ?? nothing,
      unread: before,
      unreadAtContent,
      answers: given,
      content: content === undefined ? undefined : octets(content)
    }
    exchanges.push(exchange)
    const [answer] = given
    switch (verb) {
      case "EHLO":
      case "LHLO":
      case "HELO":
        open = undefined
        if (answer?.code === 250) offer = verb === "HELO" ? nothing : offerOf(answer)
        break
      case "STARTTLS":
      case "XCLIENT":
        // RFC 3207 §4.2: forgotten.
        if (answer?.code === 220) offer = undefined
        break
      case "MAIL":
        open = { mail: exchange, rcpts: [], parts: [] }
        transactions.push(open)
        break
      case "RCPT":
        open?.rcpts.push(exchange)
        break
      case "DATA":
      case "BDAT":
      case "BURL":
        open?.parts.push(exchange)
        // What is refused stays until RSET.
        if (isYes(given.at(-1)) && (verb === "DATA" || said.toUpperCase().endsWith(" LAST"))) open = undefined
        break
      case "RSET":
        open = undefined
        break
    }
  }
  return { exchanges, transactions, offer }
}

/** The parameters of MAIL or RCPT, by keyword, and how many there are. */
export const parametersOf = ({ line }: Exchange): ReadonlyMap<string, string | undefined> =>
  new Map(
    line.replace(/^[^:]*:<(?:"(?:\\.|[^"\\])*"|[^">])*>/, "").split(" ").filter((word) => word !== "").map((word) => {
      const [keyword = "", value] = word.split(/=(.*)/)
      return [keyword.toUpperCase(), value]
    })
  )

/** The path of MAIL or RCPT, without its brackets. */
export const pathOf = ({ line }: Exchange): string => /^[^:]*:<((?:"(?:\\.|[^"\\])*"|[^">])*)>/.exec(line)?.[1] ?? "?"

/** What xtext says (RFC 3461 §4). */
export const fromXtext = (text: string): string =>
  utf8(text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
