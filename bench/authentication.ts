/**
 * Authentications per second by mechanism: client and server of a mechanism against each
 * other, with no SMTP and no socket, and SCRAM's client with and without the key cache.
 *
 * node --conditions=@postern/source bench/authentication.ts
 */
import { CramMd5, DigestMd5, Login, Mechanism, Ntlm, Plain, Scram, ScramKeys } from "@postern/core"
import { Effect, Redacted } from "effect"
import { performance } from "node:perf_hooks"

const credentials = Mechanism.password("ann", Redacted.make("correct horse"))
const server = { host: "mx.example", nonce: "1896.697170952", passwordOf: () => Redacted.make("correct horse") }

/** Median of five rounds, each as long as `milliseconds`. */
const perSecond = async (run: () => Promise<unknown>, milliseconds = 300): Promise<number> => {
  const rates: Array<number> = []
  for (let round = 0; round < 5; round++) {
    const start = performance.now()
    let runs = 0
    while (performance.now() - start < milliseconds) {
      await run()
      runs++
    }
    rates.push(runs / (performance.now() - start) * 1000)
  }
  return rates.toSorted((a, b) => a - b)[2] ?? 0
}

const duel = (mechanism: Mechanism.Mechanism) => () => Effect.runPromise(Mechanism.duel(mechanism, credentials, server))

const mechanisms = [
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  DigestMd5.digestMd5,
  Ntlm.ntlm,
  Scram.scramSha1,
  Scram.scramSha256,
  Scram.scramSha512
]
for (const mechanism of mechanisms) {
  console.log(
    `${mechanism.name.padEnd(16)} both sides            ${
      (await perSecond(duel(mechanism))).toFixed(0).padStart(8)
    } per second`
  )
}

/** The client's side alone, against a server's recorded first message. */
const client = (mechanism: Mechanism.Mechanism, derive?: ScramKeys.Derive) => () => {
  const context = { host: "mx.example", offered: [mechanism.name], secure: false }
  const run = Effect.gen(function*() {
    const first = yield* mechanism.client(credentials, context)
    const sent = new TextDecoder().decode(Redacted.value(first.response ?? Redacted.make(new Uint8Array(0))))
    const nonce = sent.slice(sent.indexOf(",r=") + 3)
    return yield* first.next?.(new TextEncoder().encode(`r=${nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`))
      ?? Effect.void
  })
  return Effect.runPromise(derive === undefined ? run : Effect.provideService(run, ScramKeys.Keys, derive))
}

const cache = await Effect.runPromise(ScramKeys.cached(100))
for (const mechanism of [Scram.scramSha1, Scram.scramSha256, Scram.scramSha512]) {
  const plain = await perSecond(client(mechanism))
  const cached = await perSecond(client(mechanism, cache))
  console.log(`${mechanism.name.padEnd(16)} client                ${plain.toFixed(0).padStart(8)} per second`)
  console.log(
    `${mechanism.name.padEnd(16)} client, keys cached   ${cached.toFixed(0).padStart(8)} per second (${
      (cached / plain).toFixed(1)
    } times)`
  )
}
