/** The simulated server against whatever a client may say: the same in any chunks, and always with replies. */
import { CramMd5, Login, Plain, Reply } from "@postern/core"
import { ServerMachine } from "@postern/testing"
import { Redacted, Result } from "effect"
import * as Assert from "node:assert"

const config: ServerMachine.Config = {
  mechanisms: [Plain.plain, Login.login, CramMd5.cramMd5],
  accounts: { tim: Redacted.make("tanstaaftanstaaf") },
  authBeforeTls: true,
  maxSize: 500
}

const said = (input: Uint8Array, size: number): string => {
  let [state, actions] = ServerMachine.start(config)
  let out = ""
  const take = (all: typeof actions) => {
    for (const action of all) if (action._tag === "Send") out += new TextDecoder("latin1").decode(action.bytes)
  }
  take(actions)
  for (let at = 0; at < input.length; at += size) {
    ;[state, actions] = ServerMachine.receive(state, input.subarray(at, at + size))
    take(actions)
  }
  return out
}

export const fuzz = (input: Uint8Array): void => {
  const whole = said(input, input.length + 1)
  Assert.strictEqual(said(input, 1), whole)
  const decoder = Reply.decoder()
  decoder.push(new TextEncoder().encode(whole))
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) Assert.ok(Result.isSuccess(next))
}
