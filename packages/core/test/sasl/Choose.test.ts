import { assert, describe, it } from "@effect/vitest"
import { Choose, CramMd5, Login, Mechanism, Plain } from "@postern/core"
import { Effect, Redacted } from "effect"
import * as fc from "fast-check"
import selection from "../vectors/SELECTION.json" with { type: "json" }

const credentials = Mechanism.password("ann", Redacted.make("pw"))

const context = (offered: ReadonlyArray<string>, secure = true): Mechanism.ClientContext => ({
  host: "mx.example",
  offered,
  secure,
  channelBindings: secure ? [{ type: "tls-exporter", data: new Uint8Array(32) }] : []
})

const names = (plan: Choose.Plan<unknown>) => plan.candidates.map(({ name }) => name)
const why = (plan: Choose.Plan<unknown>, name: string) =>
  plan.unusable.filter(({ mechanism }) => mechanism === name).map(({ why }) => why)

/** A mechanism that only stands in the order. */
const stub = (name: string, kind: Mechanism.Kind, accepts = true): Mechanism.Mechanism => ({
  name,
  traits: { kind, withoutTls: false, anyChallenge: false },
  accepts: () => accepts,
  client: () => Effect.fail(Mechanism.saslError("mechanism", "a stub")),
  server: () => ({ _tag: "Refused", problem: "a stub" })
})

const ntlm = stub("NTLM", "last-resort")

/** Mechanisms of every kind, those that exist and stubs of those that do not. */
const all = (ntlm: Mechanism.Mechanism): ReadonlyArray<Mechanism.Mechanism> => [
  ...["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"].map((name) => stub(name, "channel-bound")),
  ...["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"].map((name) => stub(name, "mutual")),
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  ntlm,
  stub("MSN", "last-resort"),
  stub("DIGEST-MD5", "last-resort"),
  // Of other credentials than a password.
  ...["OAUTHBEARER", "XOAUTH2", "EXTERNAL", "GSSAPI", "ANONYMOUS"].map((name) => stub(name, "mutual", false))
]

const everything = Choose.automatic(...all(ntlm))

describe("Choose.automatic", () => {
  const vectors = selection.vectors.filter(({ outcome, inputs }) =>
    outcome.result === "try-order" && inputs.credentials === "password"
  )

  for (const { id, inputs, outcome } of vectors) {
    it(id, () => {
      // Who enables NTLM wants it tried after the others, not only alone.
      const mechanisms = all(inputs.enableNtlm === true ? stub("NTLM", "challenge") : ntlm)
      const plan = Choose.automatic(...mechanisms)(credentials, context(inputs.advertised, inputs.certificateVerified))
      assert.deepStrictEqual(names(plan), outcome.order)
      // What is offered is tried or explained.
      for (const name of inputs.advertised) {
        assert.isTrue(names(plan).includes(name) || why(plan, name).length === 1, name)
      }
    })
  }

  // One is about tokens; four are about what follows a refusal, which Authenticate decides.
  it("the vectors were there", () => assert.lengthOf(vectors, selection.count - 5))

  const orders: ReadonlyArray<readonly [string, boolean, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["over TLS a plaintext mechanism stands before a challenge", true, ["CRAM-MD5", "LOGIN", "PLAIN"], [
      "PLAIN",
      "LOGIN",
      "CRAM-MD5"
    ]],
    ["without TLS no plaintext mechanism", false, ["CRAM-MD5", "LOGIN", "PLAIN"], ["CRAM-MD5"]],
    ["without TLS nothing", false, ["LOGIN", "PLAIN"], []],
    ["without TLS nothing to bind to", false, ["SCRAM-SHA-256-PLUS"], []],
    ["a last resort alone", true, ["NTLM", "DIGEST-MD5"], ["NTLM", "DIGEST-MD5"]],
    ["a last resort where the better one cannot be used", false, ["NTLM", "PLAIN"], ["NTLM"]],
    ["no last resort beside anything", true, ["NTLM", "CRAM-MD5"], ["CRAM-MD5"]],
    ["nothing offered", true, [], []],
    ["nothing known offered", true, ["X-FOO"], []]
  ]
  for (const [name, secure, offered, order] of orders) {
    it(name, () => assert.deepStrictEqual(names(everything(credentials, context(offered, secure))), order))
  }

  it("says why a mechanism is not tried", () => {
    const plan = everything(credentials, context(["PLAIN", "EXTERNAL", "SCRAM-SHA-1-PLUS", "X-FOO", "NTLM"], false))
    assert.deepStrictEqual(names(plan), ["NTLM"])
    assert.deepStrictEqual(why(plan, "PLAIN"), ["would send the password without verified TLS"])
    assert.deepStrictEqual(why(plan, "EXTERNAL"), ["takes other credentials than those given"])
    const token = Effect.succeed(Redacted.make("token"))
    const byToken = Choose.standard(
      { _tag: "Token", user: "ann", token, renew: undefined },
      context(["XOAUTH2"], false)
    )
    assert.deepStrictEqual(why(byToken, "XOAUTH2"), ["would send the token without verified TLS"])
    assert.deepStrictEqual(why(plan, "SCRAM-SHA-1-PLUS"), ["has no verified TLS channel to bind to"])
    assert.deepStrictEqual(why(plan, "X-FOO"), ["offered, but not among the mechanisms to use"])
    assert.deepStrictEqual(why(plan, "CRAM-MD5"), ["not offered by the server"])
    const better = everything(credentials, context(["PLAIN", "NTLM"]))
    assert.deepStrictEqual(why(better, "NTLM"), ["a stronger mechanism is usable"])
  })

  it("a certificate counts where it was shown: in TLS", () => {
    const certificate: Mechanism.Certificate = { _tag: "Certificate", authorizationId: undefined }
    assert.deepStrictEqual(names(Choose.standard(certificate, context(["EXTERNAL", "PLAIN"]))), ["EXTERNAL"])
    const plan = Choose.standard(certificate, context(["EXTERNAL", "PLAIN"], false))
    assert.deepStrictEqual(names(plan), [])
    assert.deepStrictEqual(why(plan, "EXTERNAL"), ["has no verified TLS that a certificate was shown in"])
  })

  it("an authorization identity leaves only mechanisms that carry one", () => {
    const acting = { ...credentials, authorizationId: "boss" }
    assert.deepStrictEqual(names(Choose.standard(acting, context(["CRAM-MD5", "PLAIN"]))), ["PLAIN"])
    assert.deepStrictEqual(names(Choose.standard(acting, context(["CRAM-MD5"]))), [])
  })

  it("law: every mechanism is tried or explained, none twice, no secret without TLS", () => {
    const offered = fc.subarray([...all(ntlm).map(({ name }) => name), "X-FOO"]).chain((some) =>
      fc.shuffledSubarray(some, { minLength: some.length })
    )
    fc.assert(fc.property(offered, fc.boolean(), (offered, secure) => {
      const plan = everything(credentials, context(offered, secure))
      assert.deepStrictEqual(
        [...names(plan), ...plan.unusable.map(({ mechanism }) => mechanism)].toSorted(),
        [...new Set([...all(ntlm).map(({ name }) => name), ...offered])].toSorted()
      )
      assert.isTrue(plan.candidates.every(({ name }) => offered.includes(name)))
      const kinds = new Set(plan.candidates.map(({ traits }) => traits.kind))
      if (!secure) assert.isFalse(kinds.has("plaintext") || kinds.has("channel-bound"))
      if (kinds.has("channel-bound") || kinds.has("last-resort")) assert.strictEqual(kinds.size, 1)
    }))
  })
})

describe("Choose's combinators", () => {
  const { inOrder, only, exclude, prefer, fallback, standard } = Choose
  const offers = context(["CRAM-MD5", "LOGIN", "PLAIN"])
  const mixed = inOrder(CramMd5.cramMd5, Login.login, Plain.plain)

  it("inOrder keeps the caller's order", () => {
    assert.deepStrictEqual(names(mixed(credentials, offers)), ["CRAM-MD5", "LOGIN", "PLAIN"])
    assert.deepStrictEqual(names(inOrder(Login.login, CramMd5.cramMd5)(credentials, offers)), ["LOGIN", "CRAM-MD5"])
    assert.deepStrictEqual(names(mixed(credentials, context(offers.offered, false))), ["CRAM-MD5"])
    assert.deepStrictEqual(inOrder()(credentials, context([])), { candidates: [], unusable: [] })
  })

  it("only", () => {
    const plan = only(standard, "login", "CRAM-MD5")(credentials, offers)
    assert.deepStrictEqual(names(plan), ["LOGIN", "CRAM-MD5"])
    assert.deepStrictEqual(why(plan, "PLAIN"), ["only LOGIN, CRAM-MD5 may be used"])
    assert.deepStrictEqual(names(only(standard)(credentials, offers)), [])
  })

  it("only and exclude: what may not be used keeps no weaker one from being used", () => {
    const all = { ...offers, offered: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "NTLM", "DIGEST-MD5"] }
    for (const name of ["PLAIN", "NTLM", "DIGEST-MD5"]) {
      assert.deepStrictEqual(names(only(standard, name)(credentials, all)), [name])
    }
    const plan = exclude(standard, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN")(credentials, all)
    assert.deepStrictEqual(names(plan), ["NTLM", "DIGEST-MD5"])
    assert.deepStrictEqual(why(plan, "PLAIN"), ["excluded by the caller"])
  })

  it("exclude", () => {
    const plan = exclude(standard, "Plain")(credentials, offers)
    assert.deepStrictEqual(names(plan), ["LOGIN", "CRAM-MD5"])
    assert.deepStrictEqual(why(plan, "PLAIN"), ["excluded by the caller"])
    assert.deepStrictEqual(names(exclude(standard)(credentials, offers)), names(standard(credentials, offers)))
  })

  it("prefer", () => {
    assert.deepStrictEqual(names(prefer(standard, "cram-md5")(credentials, offers)), ["CRAM-MD5", "PLAIN", "LOGIN"])
    assert.deepStrictEqual(names(prefer(standard, "LOGIN", "PLAIN")(credentials, offers)), [
      "LOGIN",
      "PLAIN",
      "CRAM-MD5"
    ])
    assert.deepStrictEqual(names(prefer(standard, "X-FOO")(credentials, offers)), ["PLAIN", "LOGIN", "CRAM-MD5"])
    // It cannot make an unusable one usable.
    assert.deepStrictEqual(names(prefer(standard, "PLAIN")(credentials, context(["CRAM-MD5", "PLAIN"], false))), [
      "CRAM-MD5"
    ])
  })

  it("fallback", () => {
    const plan = fallback(only(standard, "CRAM-MD5"), only(standard, "PLAIN"))
    assert.deepStrictEqual(names(plan(credentials, offers)), ["CRAM-MD5"])
    assert.deepStrictEqual(names(plan(credentials, context(["PLAIN"]))), ["PLAIN"])
    assert.deepStrictEqual(names(plan(credentials, context(["LOGIN"]))), [])
  })

  it("allowWithoutTls allows one mechanism, by name, and last", () => {
    const allowed = Choose.automatic(Mechanism.allowWithoutTls(Plain.plain), Login.login, CramMd5.cramMd5)
    assert.deepStrictEqual(names(allowed(credentials, context(offers.offered, false))), ["CRAM-MD5", "PLAIN"])
    assert.deepStrictEqual(names(allowed(credentials, offers)), ["PLAIN", "LOGIN", "CRAM-MD5"])
    assert.isFalse(Plain.plain.traits.withoutTls)
    assert.deepStrictEqual(names(allowed(credentials, context(["PLAIN", "LOGIN"], false))), ["PLAIN"])
  })

  it("followedBy tries a last resort behind the usual ones", () => {
    const plan = Choose.followedBy(standard, inOrder(ntlm))(credentials, context(["GSSAPI", "NTLM", "LOGIN"]))
    assert.deepStrictEqual(names(plan), ["LOGIN", "NTLM"])
    assert.deepStrictEqual(why(plan, "NTLM"), [])
  })

  it("a channel-bound mechanism needs something to be bound to", () => {
    const plus = stub("SCRAM-SHA-256-PLUS", "channel-bound")
    const plan = Choose.automatic(plus, Plain.plain)(credentials, {
      ...context(["PLAIN", plus.name]),
      channelBindings: []
    })
    assert.deepStrictEqual(names(plan), ["PLAIN"])
  })

  it("requireTls", () => {
    const open = context(["CRAM-MD5"], false)
    assert.deepStrictEqual(names(standard(credentials, open)), ["CRAM-MD5"])
    const plan = Choose.requireTls(standard)(credentials, open)
    assert.deepStrictEqual(names(plan), [])
    assert.include(why(plan, "CRAM-MD5"), "TLS is required by the caller")
    assert.deepStrictEqual(
      names(Choose.requireTls(standard)(credentials, offers)),
      names(standard(credentials, offers))
    )
  })

  it("mapCredentials and observe: other credentials, and every message told without what it says", () => {
    const told: Array<Choose.Observed> = []
    const changed = Choose.mapCredentials(
      only(standard, "LOGIN"),
      (given) => given._tag === "Password" ? { ...given, user: "ben" } : given
    )
    const watched = Choose.observe(changed, (observed) => Effect.sync(() => void told.push(observed)))
    const [mechanism] = watched(credentials, offers).candidates
    assert.isDefined(mechanism)
    const server = {
      host: "h",
      nonce: "n",
      passwordOf: (user: string) => user === "ben" ? Redacted.make("pw") : undefined
    }
    const duel = mechanism === undefined ? undefined : Effect.runSync(Mechanism.duel(mechanism, credentials, server))
    assert.isTrue(duel?.accepted)
    assert.deepStrictEqual(told, [
      { mechanism: "LOGIN", from: "server", octets: 9 },
      { mechanism: "LOGIN", from: "client", octets: 3 },
      { mechanism: "LOGIN", from: "server", octets: 9 },
      { mechanism: "LOGIN", from: "client", octets: 2 }
    ])
  })
})
