/** Every mechanism, both sides, against whatever the other may say: never throws, and verifies nothing by accident. */
import { CramMd5, DigestMd5, External, Login, Mechanism, Ntlm, OAuthBearer, Plain, Scram, XOAuth2 } from "@postern/core"
import { Deterministic } from "@postern/testing"
import { Effect, Exit, ManagedRuntime, Redacted } from "effect"
import * as Assert from "node:assert"

const token = { _tag: "Token", user: "tim", token: Effect.succeed(Redacted.make("t")), renew: undefined } as const
const password = Mechanism.password("tim", Redacted.make("tanstaaftanstaaf"))
const certificate = { _tag: "Certificate", authorizationId: undefined } as const

const mechanisms = [
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  DigestMd5.digestMd5,
  Ntlm.ntlm,
  Scram.scramSha1,
  Scram.scramSha256,
  Scram.scramSha512,
  XOAuth2.xoauth2,
  OAuthBearer.oauthBearer,
  External.external
]

const credentials = (mechanism: Mechanism.Mechanism): Mechanism.Credentials =>
  mechanism.name === "EXTERNAL" ? certificate : /OAUTH/.test(mechanism.name) ? token : password

const runtime = ManagedRuntime.make(Deterministic.layer())

const server: Mechanism.ServerContext = {
  host: "mx.example",
  nonce: "postern.1",
  passwordOf: (user) => user === "tim" ? Redacted.make("tanstaaftanstaaf") : undefined,
  acceptsToken: () => false,
  now: 0,
  channelBindings: [],
  certificateIdentity: undefined
}

const context: Mechanism.ClientContext = {
  host: "mx.example",
  secure: true,
  offered: mechanisms.map(({ name }) => name)
}

/** The first octet chooses the mechanism, the second the side; the rest is messages, parted by 0xff. */
export const fuzz = (input: Uint8Array): void => {
  const mechanism = mechanisms[(input[0] ?? 0) % mechanisms.length] ?? Plain.plain
  const messages: Array<Uint8Array> = []
  for (let at = 2; at <= input.length && messages.length < 5;) {
    const end = input.indexOf(0xff, at)
    messages.push(input.subarray(at, end === -1 ? input.length : end))
    at = end === -1 ? input.length + 1 : end + 1
  }
  if (((input[1] ?? 0) & 1) === 1) {
    let step = mechanism.server(server, messages[0])
    for (const message of messages.slice(1)) {
      if (step._tag !== "Challenge") break
      step = step.next(message)
    }
    return
  }
  const exit = runtime.runSyncExit(Effect.gen(function*() {
    let step = yield* mechanism.client(credentials(mechanism), context)
    for (const message of messages) {
      if (step.next === undefined) break
      step = yield* step.next(message)
    }
    return step
  }))
  if (Exit.isFailure(exit)) Assert.ok(!Exit.hasDies(exit), String(exit))
}
