/**
 * The parameters of MAIL and RCPT: which extension each belongs to, and what its value may be.
 */
import { Address, Command } from "@postern/core"
import * as Result from "effect/Result"
import * as Offer from "./ServerOffer.ts"
import type { Verdict } from "./ServerPolicy.ts"
import type { State } from "./ServerSession.ts"

/** A parameter. */
interface Rule {
  /** One of these must be offered. */
  readonly extensions: ReadonlyArray<string>
  /** What is wrong with the value; `mail` is the MAIL of the transaction. */
  readonly judge: (value: string | undefined, state: State, mail: Command.Mail) => Verdict | undefined
}

const bad = (problem: string): Verdict => [501, "5.5.4", problem]

const unsupported = (option: string): Verdict => [555, "5.5.4", `Unsupported option: ${option}`]

const demand = (holds: boolean, problem: string): Verdict | undefined => holds ? undefined : bad(problem)

/** A parameter whose value must be such a text. */
const such = (extension: string, is: (value: string) => boolean, problem: string): Rule => ({
  extensions: [extension],
  judge: (value) => demand(value !== undefined && is(value), problem)
})

const matching = (extension: string, pattern: RegExp, problem: string): Rule =>
  such(extension, (value) => pattern.test(value), problem)

const withoutValue = (extension: string): Rule => ({
  extensions: [extension],
  judge: (value) => demand(value === undefined, `${extension} has no value`)
})

// RFC 6152 §2, RFC 3030 §3: BINARYMIME is of no use where there is no BDAT.
const body: Rule = {
  extensions: ["8BITMIME", "BINARYMIME"],
  judge: (value, state) => {
    switch (value?.toUpperCase()) {
      case "7BIT":
        return undefined
      case "8BITMIME":
        return Offer.offers(state, "8BITMIME") ? undefined : unsupported("BODY=8BITMIME")
      case "BINARYMIME":
        return Offer.offers(state, "BINARYMIME") && Offer.offers(state, "CHUNKING")
          ? undefined
          : unsupported("BODY=BINARYMIME")
      default:
        return bad("BODY is 7BIT, 8BITMIME or BINARYMIME")
    }
  }
}

// RFC 2852 §4: not over when it begins, where the message is to be returned, and no shorter than the server can do.
const by: Rule = {
  extensions: ["DELIVERBY"],
  judge: (value = "", state) => {
    const [, seconds, mode] = /^([+-]?\d{1,9});([NR])T?$/i.exec(value) ?? []
    if (mode === undefined) return bad("BY is seconds;N or seconds;R, and T for a trace")
    if (mode.toUpperCase() === "N") return undefined
    const [least = "0"] = Offer.valuesOf(state, "DELIVERBY")
    if (Number(seconds) <= 0) return bad("BY with R is more than 0 seconds from now")
    return Number(seconds) < Number(least)
      ? [555, "5.5.4", `Delivery within less than ${least} seconds is not supported`]
      : undefined
  }
}

/** A date and time (RFC 3339), in milliseconds since the epoch. */
const instantOf = (text: string): number | undefined => {
  const [, date = "", day] = /^(\d{4}-\d\d-(\d\d))T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i.exec(text) ?? []
  const at = Date.parse(text.toUpperCase())
  // The 30th of February is parsed as a day of March.
  const exists = new Date(Date.parse(date)).getUTCDate() === Number(day)
  return exists && Number.isFinite(at) ? at : undefined
}

// RFC 4865 §4.
const holdFor: Rule = {
  extensions: ["FUTURERELEASE"],
  judge: (value = "", state, mail) => {
    if (!/^[1-9]\d{0,8}$/.test(value)) return bad("HOLDFOR is 1 to 999999999 seconds")
    const [most = ""] = Offer.valuesOf(state, "FUTURERELEASE")
    if (valueOf(mail, "HOLDUNTIL") !== undefined) return bad("HOLDFOR or HOLDUNTIL, not both")
    return demand(most === "" || Number(value) <= Number(most), `HOLDFOR is at most ${most} seconds`)
  }
}

const holdUntil: Rule = {
  extensions: ["FUTURERELEASE"],
  judge: (value = "", state) => {
    const at = instantOf(value)
    if (at === undefined) return bad("HOLDUNTIL is a date and time (RFC 3339)")
    const [, latest = ""] = Offer.valuesOf(state, "FUTURERELEASE")
    return demand(!(at > Date.parse(latest)), `HOLDUNTIL is no later than ${latest}`)
  }
}

// RFC 4954 §5: a mailbox as xtext, or `<>`.
const isSubmitter = (value: string): boolean => {
  const mailbox = Command.fromXtext(value)
  return value === "<>" || (mailbox !== undefined && Result.isSuccess(Address.parse(mailbox)))
}

// RFC 3461 §4.4: printable characters as xtext, which is no longer than 100.
const isEnvelopeId = (value: string): boolean => value.length <= 100 && /^[ -~]+$/.test(Command.fromXtext(value) ?? "")

// RFC 3461 §4.1.
const isNotify = (value: string): boolean =>
  /^(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*)$/i.test(value)

// RFC 3461 §4.2, and RFC 6533 §3 for `utf-8`, of which characters outside ASCII are SMTPUTF8's.
const originalRecipient: Rule = {
  extensions: ["DSN"],
  judge: (value = "", _, mail) => {
    const [, type = "", address = ""] = /^([\w!#$%&'*+/=?^`{|}~.-]+);(.+)$/.exec(value) ?? []
    const holds = type.toLowerCase() === "utf-8"
      ? (takesUtf8(mail) ? unitext : utf8Xtext).test(address)
      : /^[ -~]+$/.test(Command.fromXtext(address) ?? "")
    return demand(holds && value.length <= 500, "ORCPT is the type of an address, \";\" and the address as xtext")
  }
}

const utf8Xtext = /^(?:[!-*,-<>-[\]-~]|\\x\{[0-9A-F]{2,6}\})+$/
const unitext = /^(?:[!-*,-<>-[\]-~]|[^\u0000-\u007f]|\\x\{[0-9A-F]{2,6}\})+$/u

/** The time of RRVS, in milliseconds since the epoch. What is behind it is for servers that relay (RFC 7293 §5.2). */
export const validSince = (value: string): number | undefined => instantOf(value.replace(/;[CR]$/i, ""))

const rules: { readonly [T in "Mail" | "Rcpt"]: Readonly<Record<string, Rule>> } = {
  Mail: {
    AUTH: such("AUTH", isSubmitter, "AUTH is a mailbox as xtext, or <>"),
    BODY: body,
    BY: by,
    ENVID: such("DSN", isEnvelopeId, "ENVID is at most 100 characters of xtext"),
    HOLDFOR: holdFor,
    HOLDUNTIL: holdUntil,
    "MT-PRIORITY": matching("MT-PRIORITY", /^(?:0|-?[1-9])$/, "MT-PRIORITY is -9 to 9"),
    REQUIRETLS: withoutValue("REQUIRETLS"),
    RET: matching("DSN", /^(?:FULL|HDRS)$/i, "RET is FULL or HDRS"),
    SIZE: matching("SIZE", /^\d{1,20}$/, "Bad message size"),
    SMTPUTF8: withoutValue("SMTPUTF8")
  },
  Rcpt: {
    NOTIFY: such("DSN", isNotify, "NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY"),
    ORCPT: originalRecipient,
    RRVS: such("RRVS", (value) => validSince(value) !== undefined, "RRVS is a date and time (RFC 3339), and ;C or ;R")
  }
}

/** What is wrong with the parameters of a command: one that the server does not offer (555), or a value (501). */
export const judge = (state: State, command: Command.Mail | Command.Rcpt, mail: Command.Mail): Verdict | undefined => {
  const known = rules[command._tag]
  const seen = new Set<string>()
  for (const { keyword, value } of command.parameters) {
    const rule = Object.hasOwn(known, keyword) ? known[keyword] : undefined
    if (rule?.extensions.some((extension) => Offer.offers(state, extension)) !== true) return unsupported(keyword)
    if (seen.has(keyword)) return bad(`Duplicate option: ${keyword}`)
    seen.add(keyword)
    const refused = rule.judge(value, state, mail)
    if (refused !== undefined) return refused
  }
  return undefined
}

/** The value of a parameter; undefined where there is none. */
export const valueOf = (command: Command.Mail | Command.Rcpt, keyword: string): string | undefined =>
  command.parameters.find((parameter) => parameter.keyword === keyword)?.value

/** The message may have addresses and a header in UTF-8 (RFC 6531). */
export const takesUtf8 = (mail: Command.Mail): boolean => mail.parameters.some(({ keyword }) => keyword === "SMTPUTF8")
