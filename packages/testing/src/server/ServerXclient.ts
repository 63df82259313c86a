/**
 * Postfix's XCLIENT: a client that is trusted says whom it speaks for. What it says is taken
 * for true, where a value is one that Postfix takes.
 */
import { Address, type Command } from "@postern/core"
import * as Result from "effect/Result"
import * as Networks from "./Networks.ts"
import * as Offer from "./ServerOffer.ts"
import type { Verdict } from "./ServerPolicy.ts"
import type { State } from "./ServerSession.ts"

const isUnavailable = (value: string): boolean => /^\[(?:UNAVAILABLE|TEMPUNAVAIL)\]$/i.test(value)

const isHost = (value: string): boolean => {
  const domain = Address.parseDomain(value)
  return Result.isSuccess(domain) && !Address.isLiteral(domain.success)
}

// An address of IPv6 has a prefix that says so.
const isAddress = (value: string): boolean => {
  const address = addressOf(value)
  return !address.includes("/") && Result.isSuccess(Networks.parse(address))
    && address.includes(":") === value.length > address.length
}

const addressOf = (value: string): string => value.replace(/^IPV6:/i, "")

const isPort = (value: string): boolean => /^\d{1,5}$/.test(value) && Number(value) < 65_536

const isText = (value: string): boolean => value !== "" && !/[\u0000-\u001f\u007f]/.test(value)

const attributes: Readonly<Record<string, (value: string) => boolean>> = {
  NAME: isHost,
  ADDR: isAddress,
  PORT: isPort,
  PROTO: (value) => /^E?SMTP$/i.test(value),
  HELO: isText,
  LOGIN: isText,
  DESTADDR: isAddress,
  DESTPORT: isPort
}

/** The names of all attributes. */
export const names: ReadonlyArray<string> = Object.keys(attributes)

/** What is wrong with an attribute: it was not offered, or has no such value. */
export const judge = (state: State, command: Command.Xclient): Verdict | undefined => {
  const offered = new Set(Offer.valuesOf(state, "XCLIENT").map((name) => name.toUpperCase()))
  for (const { keyword, value = "" } of command.attributes) {
    const is = Object.hasOwn(attributes, keyword) && offered.has(keyword) ? attributes[keyword] : undefined
    if (is === undefined) return [501, "5.5.4", `Bad XCLIENT attribute: ${keyword}`]
    if (!is(value) && !isUnavailable(value)) return [501, "5.5.4", `Bad value of XCLIENT attribute ${keyword}`]
  }
  return undefined
}

/** Whom the server takes the client for, from what all XCLIENTs said. */
export const take = (
  { client, xclient }: State,
  command: Command.Xclient
): Pick<State, "client" | "identity" | "xclient"> => {
  const said = { ...xclient }
  for (const { keyword, value = "" } of command.attributes) said[keyword] = value
  const { ADDR, LOGIN } = said
  return {
    xclient: said,
    client: ADDR === undefined ? client : isUnavailable(ADDR) ? "unknown" : addressOf(ADDR),
    identity: LOGIN === undefined || isUnavailable(LOGIN) ? undefined : LOGIN
  }
}
