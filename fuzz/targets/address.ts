/** Addresses as people and servers write them: what is read is written, and read again as the same. */
import { Address } from "@postern/core"
import { Result } from "effect"
import * as Assert from "node:assert"

export const fuzz = (input: Uint8Array): void => {
  const text = new TextDecoder().decode(input)
  const mailbox = Address.parse(text)
  if (Result.isSuccess(mailbox)) {
    const written = Address.format(mailbox.success)
    Assert.doesNotMatch(written, /[\r\n\0]/)
    Assert.deepStrictEqual(Address.parse(written), mailbox)
    Assert.deepStrictEqual(Address.parseReversePath(`<${written}>`), mailbox)
  }
  const path = Address.parseForwardPath(text)
  if (Result.isSuccess(path)) {
    Assert.deepStrictEqual(Address.parseForwardPath(Address.formatForwardPath(path.success)), path)
  }
  Address.parseUserList(text)
  const domain = Address.parseDomain(text)
  if (Result.isSuccess(domain)) Assert.deepStrictEqual(Address.parseDomain(domain.success), domain)
}
