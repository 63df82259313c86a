import { assert, describe, it } from "@effect/vitest"
import { Mechanism, type Reason, SmtpClient, SmtpConfig } from "@postern/core"
import { InMemory } from "@postern/testing"
import { Cause, ConfigProvider, Effect, Exit, Layer, Redacted, Result } from "effect"
import { inspect } from "node:util"

const settings = (env: Record<string, string>) =>
  Effect.provide(
    Effect.flatMap(SmtpConfig.config, (settings) => Effect.succeed(SmtpConfig.toOptions(settings))),
    ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))
  )

const options = (env: Record<string, string>) => Effect.map(settings(env), Result.getOrThrow)
const problem = (env: Record<string, string>) =>
  Effect.map(
    settings(env),
    (result): Reason.Of<"InvalidInput"> | undefined => Result.getOrUndefined(Result.flip(result))
  )

const endpointOf = ({ endpoint }: SmtpClient.Options) =>
  typeof endpoint === "string" ? endpoint : `${endpoint.host} ${endpoint.port} ${endpoint.mode}`

describe("options from the environment", () => {
  it.effect("a host alone is enough", () =>
    Effect.gen(function*() {
      const found = yield* options({ SMTP_HOST: "mail.example" })
      assert.strictEqual(endpointOf(found), "mail.example 587 auto")
      assert.deepStrictEqual([found.credentials, found.security, found.authenticator, found.domain], [
        undefined,
        undefined,
        undefined,
        undefined
      ])
    }))

  it.effect("host, port, security; a URL; a URL before a host; security before a URL's scheme", () =>
    Effect.gen(function*() {
      const at = (env: Record<string, string>) => Effect.map(options(env), endpointOf)
      assert.strictEqual(
        yield* at({ SMTP_HOST: "mail.example", SMTP_PORT: "2525", SMTP_SECURITY: "starttls" }),
        "mail.example 2525 startTls"
      )
      assert.strictEqual(yield* at({ SMTP_HOST: "mail.example", SMTP_SECURITY: "ssl" }), "mail.example 465 tls")
      assert.strictEqual(yield* at({ SMTP_URL: "smtps://mail.example" }), "mail.example 465 tls")
      assert.strictEqual(yield* at({ SMTP_URL: "smtps://a.example", SMTP_HOST: "b.example" }), "a.example 465 tls")
      assert.strictEqual(
        yield* at({ SMTP_URL: "smtps://a.example:2525", SMTP_SECURITY: "plain" }),
        "a.example 2525 plain"
      )
    }))

  it.effect("a variable that is set to nothing is not set", () =>
    Effect.gen(function*() {
      const env = Object.fromEntries(
        ["URL", "PORT", "USER", "PASSWORD", "SECURITY", "AUTH", "DOMAIN", "CA", "FINGERPRINT"].map((
          name
        ) => [`SMTP_${name}`, ""])
      )
      const found = yield* options({ ...env, SMTP_HOST: "mail.example" })
      assert.strictEqual(endpointOf(found), "mail.example 587 auto")
      assert.deepStrictEqual([found.credentials, found.tls?.ca, found.tls?.fingerprint, found.domain], [
        undefined,
        undefined,
        undefined,
        undefined
      ])
    }))

  it.effect("credentials, trust, name", () =>
    Effect.gen(function*() {
      const env = {
        SMTP_USER: "ann",
        SMTP_PASSWORD: " tanstaaf ",
        SMTP_CA: "-----BEGIN",
        SMTP_FINGERPRINT: "ab:cd",
        SMTP_DOMAIN: "client.example"
      }
      const { credentials, domain, tls } = yield* options({ SMTP_HOST: "mail.example", ...env })
      assert.strictEqual(credentials?._tag, "Password")
      if (credentials?._tag === "Password") {
        assert.deepStrictEqual([credentials.user, Redacted.value(credentials.password)], ["ann", " tanstaaf "])
      }
      assert.deepStrictEqual([domain, tls?.ca, tls?.fingerprint], ["client.example", ["-----BEGIN"], "ab:cd"])
    }))

  it.effect("mechanisms in the order that is given, and no others", () =>
    Effect.gen(function*() {
      const tried = (list: string) =>
        Effect.map(options({ SMTP_HOST: "h", SMTP_AUTH: list }), ({ authenticator }) => {
          const context = { host: "h", offered: ["PLAIN", "LOGIN", "CRAM-MD5"], secure: true }
          return authenticator?.(Mechanism.password("ann", Redacted.make("x")), context).candidates.map(({ name }) =>
            name
          )
        })
      assert.deepStrictEqual(yield* tried("CRAM-MD5,PLAIN"), ["CRAM-MD5", "PLAIN"])
      assert.deepStrictEqual(yield* tried("login plain"), ["LOGIN", "PLAIN"])
      assert.deepStrictEqual(yield* tried(" plain , "), ["PLAIN"])
      assert.deepStrictEqual(yield* tried("nothing"), [])
      assert.isUndefined(yield* tried("auto"))
      assert.isUndefined(yield* tried(" AUTO "))
    }))

  it.effect("what makes no sense is told by name", () =>
    Effect.gen(function*() {
      assert.include((yield* problem({}))?.problem, "SMTP_HOST")
      assert.include((yield* problem({ SMTP_HOST: "h", SMTP_USER: "ann" }))?.problem, "SMTP_PASSWORD")
      assert.include((yield* problem({ SMTP_HOST: "h", SMTP_PASSWORD: "tanstaaf" }))?.problem, "SMTP_USER")
      assert.strictEqual((yield* problem({ SMTP_HOST: "h", SMTP_SECURITY: "yes" }))?.what, "the security")
      assert.strictEqual((yield* problem({ SMTP_HOST: "mail.example:25" }))?.what, "the host")
      assert.strictEqual((yield* problem({ SMTP_URL: "http://h" }))?.what, "the URL")
      const port = yield* Effect.exit(settings({ SMTP_HOST: "h", SMTP_PORT: "smtp" }))
      assert.isTrue(Exit.isFailure(port))
      assert.include(Exit.isFailure(port) ? Cause.pretty(port.cause) : "", "SMTP_PORT")
    }))

  it.effect("secrets are in no error and no print", () =>
    Effect.gen(function*() {
      const secret = "tanstaaftanstaaf"
      for (
        const env of [
          { SMTP_URL: `http://ann:${secret}@h` },
          { SMTP_URL: `smtp://ann:${secret}@` },
          { SMTP_URL: `ann:${secret}@h:25` },
          { SMTP_URL: `smtp://ann:${secret}@h` },
          { SMTP_HOST: "h", SMTP_PASSWORD: secret },
          { SMTP_HOST: "h", SMTP_USER: "ann", SMTP_PASSWORD: secret },
          { SMTP_HOST: "h", SMTP_USER: "ann", SMTP_PASSWORD: secret, SMTP_PORT: "x" }
        ]
      ) {
        const exit = yield* Effect.exit(settings(env))
        assert.notInclude(inspect(exit, { depth: 20, showHidden: true }) + JSON.stringify(exit) + String(exit), secret)
      }
    }))
})

describe("the client as configured", () => {
  const send = SmtpClient.SmtpClient.pipe(
    Effect.flatMap((client) => client.send({ from: "ann@a.example", to: "ben@b.example", content: "x" }))
  )
  const run = (env: Record<string, string>, overrides: Partial<SmtpClient.Options> = {}) =>
    Effect.gen(function*() {
      const { inbox, layer, sessions } = yield* InMemory.make({})
      const exit = yield* send.pipe(
        Effect.provide(
          SmtpClient.layerConfig(overrides).pipe(
            Layer.provide(layer),
            Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
          )
        ),
        Effect.exit
      )
      return { exit, inbox: yield* inbox, sessions: yield* sessions }
    })

  it.effect("sends", () =>
    Effect.gen(function*() {
      const { exit, inbox, sessions } = yield* run({ SMTP_URL: "smtp://mx.example:25" })
      assert.isTrue(Exit.isSuccess(exit))
      assert.lengthOf(inbox, 1)
      assert.isTrue(sessions[0]?.tls)
    }))

  it.effect("what is given in code overrides the environment", () =>
    Effect.gen(function*() {
      const { sessions } = yield* run({ SMTP_HOST: "mx.example", SMTP_DOMAIN: "env.example" }, {
        security: "plain",
        domain: "code.example"
      })
      assert.deepInclude(sessions[0]?.commands[0] ?? {}, { _tag: "Ehlo", domain: "code.example" })
      assert.isFalse(sessions[0]?.tls)
    }))

  it.effect("does not come about without a host", () =>
    Effect.gen(function*() {
      const { exit, sessions } = yield* run({})
      assert.include(String(exit), "neither SMTP_URL nor SMTP_HOST is set")
      assert.lengthOf(sessions, 0)
    }))
})
