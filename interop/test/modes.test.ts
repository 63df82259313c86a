import { assert, describe } from "@effect/vitest"
import { Choose, Mechanism, type SmtpClient } from "@postern/core"
import { Certificates } from "@postern/testing"
import { Effect, Redacted } from "effect"
import * as Ground from "../machine/Ground.ts"
import { kinds } from "../servers/all.ts"
import { account, type Kind } from "../servers/Server.ts"
import { client, opens, row, Running, running, sends } from "./running.ts"

type Port = "startTls" | "tls" | "plain" | "submission"

const trusting = (fingerprint: string) => ({ security: "startTls" as const, tls: { fingerprint } })

const tries = (port: Port, options: Partial<SmtpClient.Options>) =>
  Effect.flatMap(Running, (running) => Effect.provide(opens, client(running, running.server.ports[port], options)))

const problemOf = (port: Port, options: Partial<SmtpClient.Options>) =>
  Effect.map(
    Effect.flip(tries(port, options)),
    ({ reason }) => reason._tag === "CertificateRefused" ? reason.problem : reason._tag
  )

// A server that shows a certificate a client must refuse: on STARTTLS, and from the first octet.
const refused = (kind: Kind, identity: "expired" | "wrongName" | "unknownAuthority") =>
  Effect.scoped(Effect.gen(function*() {
    const { identities } = yield* Running
    const other = yield* running(kind, { identities, identity: identities[identity] })
    const ports: ReadonlyArray<Port> = ["startTls", ...(kind.has.ports.includes("tls") ? ["tls" as const] : [])]
    return yield* Effect.forEach(
      ports,
      (port) =>
        Effect.provideService(problemOf(port, { security: port === "tls" ? "tls" : "startTls" }), Running, other)
    )
  }))

const password = Mechanism.password(account.user, Redacted.make(account.password))

describe("connection modes", () => {
  for (const kind of kinds) {
    row(kind, (it) => {
      const { ports } = kind.has

      it.effect("plain", () =>
        Effect.map(tries(ports.includes("plain") ? "plain" : "startTls", { security: "plain" }), ({ session }) => {
          assert.isUndefined(session.facts.tls)
        }))

      it.effect("plain: no password in the clear", () =>
        Effect.gen(function*() {
          const tried = yield* Effect.flip(tries(ports.includes("plain") ? "plain" : "startTls", {
            security: "plain",
            credentials: password,
            authenticator: Choose.only(Choose.standard, "PLAIN", "LOGIN")
          }))
          assert.strictEqual(tried.reason._tag, "NoUsableMechanism")
        }))

      it.effect("STARTTLS required", () =>
        Effect.map(tries("startTls", { security: "startTls" }), ({ session }) => {
          assert.strictEqual(session.facts.tls?.verifiedBy, "chain")
        }))

      if (ports.includes("plain")) {
        it.effect("STARTTLS required: not offered", () =>
          Effect.map(Effect.flip(tries("plain", { security: "startTls" })), ({ reason }) => {
            assert.strictEqual(reason._tag, "TlsUnavailable")
          }))

        it.effect("STARTTLS if offered: not offered", () =>
          Effect.map(tries("plain", { security: "startTlsIfOffered" }), ({ session }) => {
            assert.isUndefined(session.facts.tls)
          }))
      }

      it.effect("STARTTLS if offered", () =>
        Effect.map(tries("startTls", { security: "startTlsIfOffered" }), ({ session }) => {
          assert.isDefined(session.facts.tls)
        }))

      if (ports.includes("submission")) {
        it.effect("TLS demanded by the server", () =>
          Effect.gen(function*() {
            const { session } = yield* tries("submission", { security: "startTls", credentials: password })
            assert.isDefined(session.facts.authenticated)
            const message = { from: "ann@example.test", to: "bob@example.test", content: "Subject: no TLS\n\nNo.\n" }
            const running = yield* Running
            const error = yield* Effect.flip(
              Effect.provide(sends(message), client(running, running.server.ports.submission, { security: "plain" }))
            )
            assert.strictEqual(error.reason._tag, "AuthenticationRequired")
          }))
      }

      if (ports.includes("tls")) {
        it.effect("implicit TLS", () =>
          Effect.map(tries("tls", { security: "tls" }), ({ session }) => {
            assert.strictEqual(session.facts.tls?.verifiedBy, "chain")
          }))

        it.effect("implicit TLS: to a port of STARTTLS", () =>
          Effect.map(Effect.flip(tries("startTls", { security: "tls" })), ({ reason }) => {
            assert.strictEqual(reason._tag, "TlsModeMismatch")
          }))

        it.effect("automatic: finds TLS from the first octet", () =>
          Effect.map(tries("tls", { security: "auto" }), ({ session }) => {
            assert.isDefined(session.facts.tls)
          }))
      }

      it.effect("automatic: finds STARTTLS", () =>
        Effect.map(tries("startTls", { security: "auto" }), ({ session }) => {
          assert.isDefined(session.facts.tls)
        }))

      it.effect("by fingerprint", () =>
        Effect.gen(function*() {
          const { fingerprint } = yield* Certificates.selfSigned({ name: "nobody" })
          const known = yield* tries("startTls", { security: "startTls" })
          const own = known.session.facts.tls?.certificate?.fingerprint ?? ""
          const { session } = yield* tries("startTls", trusting(own))
          assert.strictEqual(session.facts.tls?.verifiedBy, "fingerprint")
          assert.strictEqual(yield* problemOf("startTls", trusting(fingerprint)), "wrong-fingerprint")
        }))

      for (
        const [identity, problem] of [
          ["expired", "expired"],
          ["wrongName", "wrong-name"],
          ["unknownAuthority", "unknown-ca"]
        ] as const
      ) {
        it.effect(`certificate refused: ${problem}`, () =>
          Effect.map(refused(kind, identity), (problems) => {
            assert.deepStrictEqual([...new Set(problems)], [problem])
          }))
      }

      it.effect("certificate refused: another name asked for", () =>
        Effect.map(
          problemOf("startTls", { security: "startTls", tls: { serverName: `not.${Ground.hostname}` } }),
          (problem) => {
            assert.strictEqual(problem, "wrong-name")
          }
        ))
    })
  }
})
