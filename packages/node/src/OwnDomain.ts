/**
 * What a client calls itself in EHLO.
 */
import { Address } from "@postern/core"
import * as Result from "effect/Result"
import { hostname } from "node:os"

/**
 * The client's own domain name, where this machine has one (RFC 5321 §4.1.4): a name
 * without a dot would be refused by some servers, an address literal never is.
 */
export const options = (): { readonly domain?: string } => {
  const name = hostname()
  return name.includes(".") && Result.isSuccess(Address.parseDomain(name)) ? { domain: name } : {}
}
