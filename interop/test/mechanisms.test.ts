import { assert, describe } from "@effect/vitest"
import { Choose } from "@postern/core"
import { Effect } from "effect"
import { kinds } from "../servers/all.ts"
import * as Kerberos from "../servers/Kerberos.ts"
import type { Kind } from "../servers/Server.ts"
import { credentialsFor, loggedIn, only, opens, row, Running } from "./running.ts"

// The columns; a server has those that it names, and fails where it does not keep to that.
const mechanisms = [
  "PLAIN",
  "LOGIN",
  "CRAM-MD5",
  "DIGEST-MD5",
  "SCRAM-SHA-1",
  "SCRAM-SHA-256",
  "SCRAM-SHA-512",
  "SCRAM-SHA-1-PLUS",
  "SCRAM-SHA-256-PLUS",
  "NTLM",
  "MSN",
  "XOAUTH2",
  "OAUTHBEARER",
  "EXTERNAL",
  "ANONYMOUS",
  "GSSAPI",
  "GSS-SPNEGO"
]

const tries = ({ has }: Kind, mechanism: string, right: boolean) =>
  Effect.flatMap(Running, (running) => {
    const { realm } = running.server
    const ticket = realm === undefined ? {} : right ? realm.client : realm.outdated
    const how = { authenticator: only(mechanism, has), ...credentialsFor(mechanism, running, right) }
    return Effect.provide(opens, loggedIn(running, how)).pipe(Kerberos.inside(ticket))
  })

describe("mechanisms", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      for (const mechanism of mechanisms) {
        if (!kind.has.mechanisms.includes(mechanism)) continue
        it.effect(`${mechanism}: accepted`, () =>
          Effect.map(tries(kind, mechanism, true), ({ session }) => {
            assert.strictEqual(session.facts.authenticated?.mechanism, mechanism)
          }))
        // Nobody can be the wrong anonymous.
        if (mechanism === "ANONYMOUS") continue
        it.effect(`${mechanism}: refused with a wrong secret`, () =>
          Effect.map(Effect.flip(tries(kind, mechanism, false)), ({ reason }) => {
            // Without a certificate EXTERNAL may not even be offered.
            assert.include(
              mechanism === "EXTERNAL" ? ["AuthenticationFailed", "NoUsableMechanism"] : ["AuthenticationFailed"],
              reason._tag
            )
          }))
      }

      it.effect("automatic", ({ task }) =>
        Effect.gen(function*() {
          const running = yield* Running
          const used = new Set<string>()
          const authenticator = Choose.observe(
            Choose.standard,
            ({ mechanism }) => Effect.sync(() => used.add(mechanism))
          )
          const { session } = yield* Effect.provide(opens, loggedIn(running, { authenticator }))
          const { mechanism = "" } = session.facts.authenticated ?? {}
          assert.deepStrictEqual([...used], [mechanism], "one attempt is enough")
          task.meta.cell = mechanism
        }))
    })
  }
})
