/** The lines of an answer to EHLO: whatever they are, they become capabilities that make sense. */
import { Capabilities, Reply } from "@postern/core"
import * as Assert from "node:assert"

export const fuzz = (input: Uint8Array): void => {
  const [first = "", ...rest] = new TextDecoder().decode(input).replace(/[\0\r]/g, "").split("\n")
  const capabilities = Capabilities.fromEhlo({ ...Reply.make(250, "x"), lines: [first, ...rest] })
  for (const name of capabilities.auth) Assert.match(name, /^[A-Z0-9_-]{1,20}$/)
  for (const keyword of Object.keys(capabilities.keywords)) Assert.match(keyword, /^[A-Z0-9][A-Z0-9-]*$/)
  Assert.ok(capabilities.size === undefined || (Number.isSafeInteger(capabilities.size) && capabilities.size >= 0))
  const { mailMax, rcptDomainMax, rcptMax } = capabilities.limits ?? {}
  for (const limit of [mailMax, rcptMax, rcptDomainMax]) Assert.ok(limit === undefined || limit > 0)
}
