import { assert, describe, it } from "@effect/vitest"
import {
  Anonymous,
  CramMd5,
  DigestMd5,
  External,
  Gssapi,
  Login,
  Mechanism,
  Ntlm,
  OAuthBearer,
  Plain,
  Scram,
  XOAuth2
} from "@postern/core"
import { Laws } from "@postern/testing"
import { Context, Effect, Redacted } from "effect"
import * as fc from "fast-check"
import { failing, namesOf } from "./failing.ts"

const runs = 15

describe("our mechanisms", () => {
  const mechanisms = [
    Plain.plain,
    Login.login,
    Login.loginWithInitialResponse,
    CramMd5.cramMd5,
    DigestMd5.digestMd5,
    Ntlm.ntlm,
    Ntlm.make({ name: "MSN", initialResponse: true }),
    Scram.scramSha1,
    Scram.scramSha256Plus,
    Scram.scramSha512,
    XOAuth2.xoauth2,
    OAuthBearer.oauthBearer,
    External.external,
    Anonymous.anonymous
  ]
  for (const [index, mechanism] of mechanisms.entries()) {
    for (const law of Laws.mechanism(mechanism, { runs })) it(`${index + 1} ${law.name}`, law.run)
  }
})

describe("a mechanism that needs something of the environment", () => {
  // The other side of a security context that wraps by adding an octet.
  const gss: Context.Context<Gssapi.GssContext> = Context.make(Gssapi.GssContext, {
    begin: () =>
      Effect.succeed({
        step: () => Effect.succeed({ token: Uint8Array.of(1), complete: true }),
        wrap: (bytes) => Effect.succeed(Uint8Array.from([9, ...bytes])),
        unwrap: (bytes) =>
          bytes[0] === 9
            ? Effect.succeed(bytes.slice(1))
            : Effect.fail(Mechanism.saslError("mechanism", "this was not wrapped"))
      })
  })
  const server: Mechanism.Mechanism<Gssapi.GssContext> = {
    ...Gssapi.gssapi,
    server: () => ({
      _tag: "Challenge",
      challenge: Uint8Array.of(9, 1, 0, 0, 0),
      next: (response) =>
        response.join() === "9,1,0,0,0"
          ? { _tag: "Accepted", identity: "ann@EXAMPLE.ORG" }
          : { _tag: "Refused", problem: "no" }
    })
  }
  const laws = Laws.mechanism(server, {
    runs,
    services: gss,
    credentials: fc.constant({ _tag: "Kerberos", authorizationId: undefined })
  })
  const altered = "ends in a typed way when an octet is altered, and is not accepted where both sides prove themselves"
  // This server's first token proves nothing, and wrapping adds no checksum.
  const hold = laws.filter(({ name }) => !name.endsWith(altered) && !name.includes("another secret"))
  for (const law of hold) it(law.name, law.run)
})

describe("broken mechanisms", () => {
  const { client, server } = Plain.plain
  const broken = async (change: Partial<Mechanism.Mechanism>, of: Mechanism.Mechanism = Plain.plain) =>
    failing(Laws.mechanism({ ...of, ...change }, { runs: 10 }))
  const succeed = (step: Partial<Mechanism.ClientStep>): Mechanism.Mechanism["client"] => () =>
    Effect.succeed({ response: undefined, next: undefined, verified: false, ...step })

  it("a name in lower case, or too long", async () => {
    const law = ["has a name as RFC 4422 §3.1 allows it"]
    assert.deepStrictEqual(await broken({ name: "plain" }), law)
    assert.deepStrictEqual(await broken({ name: "A-NAME-OF-21-CHARACTERS".slice(0, 21) }), law)
    assert.deepStrictEqual(await broken({ name: "" }), law)
  })

  it("a server that accepts anyone", async () => {
    assert.deepStrictEqual(await broken({ server: () => ({ _tag: "Accepted", identity: "tim" }) }), [
      "is accepted where both sides have the same secret",
      "is refused where the server knows another secret, or nobody",
      "has a server that takes any octets, and none of them for a proof"
    ])
  })

  it("a server that throws at octets that are no text", async () => {
    const strict = new TextDecoder("utf-8", { fatal: true })
    const throwing: Mechanism.Mechanism["server"] = (context, initial) => {
      strict.decode(initial)
      return server(context, initial)
    }
    assert.include(
      await failing(Laws.mechanism({ ...Plain.plain, server: throwing }, { runs: 50 })),
      "has a server that takes any octets, and none of them for a proof"
    )
  })

  it("a client that throws, or dies", async () => {
    const begins = "takes its credentials, and refuses others by a typed error"
    const throwing = await broken({
      client: () => {
        throw new Error("oh")
      }
    })
    assert.include(throwing, begins)
    assert.include(await broken({ client: () => Effect.die(new Error("oh")) }), begins)
    const throwsLater = succeed({
      next: () => {
        throw new Error("oh")
      }
    })
    assert.include(await broken({ client: throwsLater }), "ends without throwing, whatever it is challenged with")
  })

  it("a client that fails with something else than a SaslError", async () => {
    const failing = () => Effect.fail(new Error("oh") as unknown as Mechanism.SaslError)
    assert.include(
      await broken({ client: failing }),
      "takes its credentials, and refuses others by a typed error"
    )
  })

  it("a client that takes credentials it does not accept", async () => {
    const any: Mechanism.Mechanism["client"] = (credentials, context) =>
      client(credentials._tag === "Password" ? credentials : Mechanism.password("x", Redacted.make("x")), context)
    assert.deepStrictEqual(await broken({ client: any }), [
      "takes its credentials, and refuses others by a typed error"
    ])
  })

  it("a client that answers for ever", async () => {
    const endless: Mechanism.ClientStep = {
      response: Mechanism.secret("x"),
      next: () => Effect.succeed(endless),
      verified: false
    }
    assert.include(
      await broken({ client: () => Effect.succeed(endless) }),
      "ends without throwing, whatever it is challenged with"
    )
  })

  it("a client that tells the secret in an error, or in a step", async () => {
    const telling: Mechanism.Mechanism["client"] = (credentials) =>
      Effect.fail(
        Mechanism.saslError(
          "mechanism",
          credentials._tag === "Password" ? btoa(Redacted.value(credentials.password).replace(/[^ -~]/g, "")) : ""
        )
      )
    const law = "tells no secret, in errors or in steps"
    assert.include(await broken({ client: telling }), law)
    const bare: Mechanism.Mechanism["client"] = (credentials, context) =>
      Effect.map(client(credentials, context), (step) => ({
        ...step,
        refusal: credentials._tag === "Password" ? Redacted.value(credentials.password) : ""
      }))
    assert.include(await broken({ client: bare }), law)
  })

  it("a step that remembers", async () => {
    let taken = 0
    const counting: Mechanism.Mechanism["client"] = (credentials, context) =>
      Effect.map(client(credentials, context), (step) => ({ ...step, response: Mechanism.secret(`${taken++}`) }))
    assert.include(await broken({ client: counting }), "does the same when a step is taken twice")
  })

  it("mutual authentication that is verified too early, or by anything", async () => {
    const early: Mechanism.Mechanism["client"] = (credentials, context) =>
      Effect.map(Scram.scramSha1.client(credentials, context), (step) => ({ ...step, verified: true }))
    assert.include(
      await broken({ client: early }, Scram.scramSha1),
      "believes no server that has not proved itself"
    )
    // Only who knows the password gets it that far: its own proof is not the server's.
    const hasty: Mechanism.Mechanism["client"] = (credentials, context) =>
      Effect.map(Scram.scramSha1.client(credentials, context), (first) => ({
        ...first,
        next: first.next
          && ((challenge) =>
            Effect.map(first.next?.(challenge) ?? Effect.succeed(first), (step) => ({ ...step, verified: true })))
      }))
    assert.include(await broken({ client: hasty }, Scram.scramSha1), "believes no server that has not proved itself")
    // It sends its proof, and looks at no answer.
    const trusting: Mechanism.Mechanism["client"] = (credentials, context) =>
      Effect.map(Scram.scramSha1.client(credentials, context), (first) => ({
        ...first,
        next: first.next && ((challenge) =>
          Effect.map(first.next?.(challenge) ?? Effect.succeed(first), (step) => ({
            ...step,
            next: () => Effect.succeed({ response: Mechanism.secret(""), next: undefined, verified: true })
          })))
      }))
    assert.deepStrictEqual(await failing(Laws.mechanism({ ...Scram.scramSha1, client: trusting }, { runs: 60 })), [
      "ends in a typed way when an octet is altered, and is not accepted where both sides prove themselves"
    ])
  })

  it("a mechanism of no kind says what it wants", async () => {
    const [first] = Laws.mechanism({ ...Plain.plain, accepts: () => false }, { runs: 1 }).slice(1)
    const problem = await first?.run().then(() => "", (error: Error) => `${error.message} ${String(error.cause)}`)
    assert.include(problem, "give it `credentials`")
  })

  it("every law is broken here, by something", () => {
    assert.sameMembers([...namesOf(Laws.mechanism(Plain.plain))], [
      "has a name as RFC 4422 §3.1 allows it",
      "takes its credentials, and refuses others by a typed error",
      "is accepted where both sides have the same secret",
      "believes no server that has not proved itself",
      "ends in a typed way when an octet is altered, and is not accepted where both sides prove themselves",
      "ends without throwing, whatever it is challenged with",
      "tells no secret, in errors or in steps",
      "does the same when a step is taken twice",
      "is refused where the server knows another secret, or nobody",
      "has a server that takes any octets, and none of them for a proof"
    ])
  })
})
