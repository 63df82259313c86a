/** Of curl's cases: passwords and certificates. */
import { assert } from "@effect/vitest"
import { Choose, CramMd5, DigestMd5, Login, Mechanism, Ntlm, Plain, type Reason } from "@postern/core"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { Effect } from "effect"
import type { Exchange, Outcome } from "./exchange.ts"
import {
  base64,
  begins,
  beginsInTls,
  delivered,
  delivers,
  fails,
  gives,
  inTls,
  isTaken,
  login,
  message,
  password,
  quits,
  reason,
  sends
} from "./parts.ts"

const plainInTheClear = Choose.inOrder(Mechanism.allowWithoutTls(Plain.plain))
const credentials = password("user", "secret")
const plain = base64("\0user\0secret")

/** Nothing is left to chance: every random octet is 0. */
const unvaried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, SecureRandom.SecureRandom, SecureRandom.make((size) => new Uint8Array(size)))

const isTakenUnvaried: Pick<Exchange, "asks" | "finds"> = {
  asks: (client) => unvaried(sends(message)(client)),
  finds: gives(delivered)
}

const attempts = (outcome: Outcome): ReadonlyArray<Reason.Attempt> => reason(outcome, "AuthenticationFailed").attempts

// A challenge that no mechanism understands, what a client says to it, and the end.
const cancels = `
  S: 334 Nonsens
  C: *
  S: 501 as you like
  ${quits}
`

const givesUp = (mechanism: string) => (outcome: Outcome): void => {
  fails("AuthenticationFailed", { why: "exchange broken" }, "never")(outcome)
  assert.deepStrictEqual(attempts(outcome).map(({ mechanism, outcome }) => [mechanism, outcome]), [
    [mechanism, "cancelled"]
  ])
}

// Kurt acts for Ursel.
const kurt = password("kurt", "xipj3plmq", "ursel")
const actsForUrsel = `${beginsInTls("AUTH PLAIN")}
  C: AUTH PLAIN ${base64("ursel\0kurt\0xipj3plmq")}
`

const long = "secret".repeat(80)

const digest = {
  challenge: "realm=\"cu\\\"rl\",nonce=\"5300d17a1d695bd411e4cdf96f9548c23ced6175\",algorithm=md5-sess,qop=\"auth\"",
  response: "username=\"us\\\"er\",realm=\"cu\\\"rl\",nonce=\"5300d17a1d695bd411e4cdf96f9548c23ced6175\","
    + "cnonce=\"AAAAAAAAAAAAAAAAAAAAAAAA\",nc=00000001,qop=auth,digest-uri=\"smtp/127.0.0.1\","
    + "response=c9c0c48884698ecb9091a8bfccc60b7a",
  options: { endpoint: "127.0.0.1:25", credentials: password("us\"er", "secret") }
}

// As far as the server's proof.
const digested = `${begins("AUTH DIGEST-MD5")}
  C: AUTH DIGEST-MD5
  S: 334 ${base64(digest.challenge)}
  C: ${base64(digest.response)}
`

const ofHex = (...hex: ReadonlyArray<string>) => Buffer.from(hex.join(""), "hex").toString("base64")

const type1 = "TlRMTVNTUAABAAAAB4IIogAAAAAoAAAAAAAAACgAAAAKAGNFAAAADw=="

// From a server that offers no target information: its challenge is 739d406150e0c8d7.
const type2 =
  "TlRMTVNTUAACAAAAAgACADAAAACGggEAc51AYVDgyNcAAAAAAAAAAG4AbgAyAAAAQ0MCAAQAQwBDAAEAEgBFAEwASQBTAEEAQgBFAFQASAAEABgAYwBjAC4AaQBjAGUAZABlAHYALgBuAHUAAwAsAGUAbABpAHMAYQBiAGUAdABoAC4AYwBjAC4AaQBjAGUAZABlAHYALgBuAHUAAAAAAA=="

const type3 = (flags: string, nt: string, lm: string) => {
  const length = (nt.length / 2).toString(16)
  return ofHex(
    // Signature and type; then length, room and offset of both responses, domain, user, workstation and session key.
    "4e544c4d5353500003000000",
    "180018006b000000",
    `${length}00${length}0083000000`,
    "0000000058000000",
    "0800080058000000",
    "0b000b0060000000",
    `00000000${(0x83 + nt.length / 2).toString(16)}000000`,
    flags,
    // No version, no MIC.
    "0000000000000000",
    "00000000000000000000000000000000",
    Buffer.from("testuserWORKSTATION").toString("hex"),
    lm,
    nt
  )
}

const ntlm = {
  credentials: password("testuser", "testpass"),
  // The NT response that curl's case has, in place of the LM response, too.
  old: "a98572178cbaff2ffb17aaa6110ee55e35c5177b47d75e39",
  response: "5250e33d0ec2ce007197097df133d8fb010100000000000000803ed5deb19d0100000000000000000000000000000000",
  lmResponse: "fbb336ad3773acde780302157ec81e5c0000000000000000"
}

export const passwords: ReadonlyArray<Exchange> = [
  {
    name: "authenticates by PLAIN with an initial response",
    from: "tests/data/test919, and in place of test903",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH PLAIN")}
      C: AUTH PLAIN ${plain}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "authenticates by PLAIN with a response that AUTH has no room for, after a challenge that is no base64",
    from: "tests/data/test903",
    options: { credentials: password("user", long), authenticator: plainInTheClear },
    script: `${begins("AUTH PLAIN")}
      C: AUTH PLAIN
      S: 334 go on, please
      C: ${base64(`\0user\0${long}`)}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "sends no password in the clear",
    from: "tests/data/test903, test904, test919, test920 (a difference)",
    options: { credentials },
    script: `${begins("AUTH PLAIN LOGIN")}${quits}`,
    asks: sends(message),
    finds: (outcome) => {
      fails("NoUsableMechanism", { offered: ["PLAIN", "LOGIN"] }, "never")(outcome)
      for (const { why } of reason(outcome, "NoUsableMechanism").unusable) assert.include(why, "without verified TLS")
    }
  },
  {
    name: "authenticates by LOGIN",
    from: "tests/data/test904",
    options: { credentials, authenticator: Choose.inOrder(Mechanism.allowWithoutTls(Login.login)) },
    script: `${begins("AUTH LOGIN")}
      ${login("user", "secret")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "authenticates by LOGIN with the user as initial response",
    from: "tests/data/test920",
    options: { ...inTls, credentials, authenticator: Choose.inOrder(Login.loginWithInitialResponse) },
    script: `${beginsInTls("AUTH LOGIN")}
      C: AUTH LOGIN ${base64("user")}
      S: 334 ${base64("Password:")}
      C: ${base64("secret")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "authenticates by CRAM-MD5",
    from: "tests/data/test905",
    options: { credentials },
    script: `${begins("AUTH CRAM-MD5")}
      C: AUTH CRAM-MD5
      S: 334 ${base64("<1972.987654321@curl>")}
      C: ${base64("user 7031725599fdbb5d412689aa323e3e0b")}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "authenticates by DIGEST-MD5, with quotes in user and realm",
    from: "tests/data/test907",
    options: digest.options,
    script: `${digested}
      S: 334 ${base64("rspauth=dd9c61f90940e5d0a695947caaef7650")}
      C: 
      S: 235 welcome
      ${delivers}
    `,
    ...isTakenUnvaried
  },
  {
    name: "does not go on by DIGEST-MD5 with a server that does not prove the password",
    from: "tests/data/test907 (a difference)",
    options: digest.options,
    script: `${digested}
      S: 334 ${base64("rspauth=9ea859cb9d90c37ca30d49d35378630c")}
      C: *
      S: 501 cancelled
      ${quits}
    `,
    asks: (client) => unvaried(client.send(message)),
    finds: fails("ServerNotVerified", { mechanism: "DIGEST-MD5" }, "never")
  },
  {
    name: "authenticates by NTLMv1 where it is named, with the response to this challenge",
    from: "tests/data/test906",
    options: {
      credentials: ntlm.credentials,
      authenticator: Choose.inOrder(Ntlm.make({ version: 1, workstation: "WORKSTATION" }))
    },
    script: `${begins("AUTH NTLM")}
      C: AUTH NTLM
      S: 334 go on, please
      C: TlRMTVNTUAABAAAAB4IAogAAAAAoAAAAAAAAACgAAAAKAGNFAAAADw==
      S: 334 ${type2}
      C: ${type3("06820000", ntlm.old, ntlm.old)}
      S: 235 welcome
      ${delivers}
    `,
    ...isTakenUnvaried
  },
  {
    name: "authenticates by NTLMv2 with an initial response",
    from: "tests/data/test921 (a difference)",
    options: {
      credentials: ntlm.credentials,
      authenticator: Choose.inOrder(Ntlm.make({ workstation: "WORKSTATION", initialResponse: true }))
    },
    script: `${begins("AUTH NTLM")}
      C: AUTH NTLM ${type1}
      S: 334 ${type2}
      C: ${type3("06820000", ntlm.response, ntlm.lmResponse)}
      S: 235 welcome
      ${delivers}
    `,
    ...isTakenUnvaried
  },
  {
    name: "cancels CRAM-MD5 when the challenge is none",
    from: "tests/data/test932",
    options: { credentials, authenticator: Choose.inOrder(CramMd5.cramMd5) },
    script: `${begins("AUTH CRAM-MD5")}
      C: AUTH CRAM-MD5
      ${cancels}
    `,
    asks: sends(message),
    finds: givesUp("CRAM-MD5")
  },
  {
    name: "cancels NTLM when the challenge is none",
    from: "tests/data/test933",
    options: { credentials: ntlm.credentials },
    script: `${begins("AUTH NTLM")}
      C: AUTH NTLM
      S: 334 go on, please
      C: ${type1}
      ${cancels}
    `,
    asks: sends(message),
    finds: givesUp("NTLM")
  },
  {
    name: "cancels DIGEST-MD5 when the challenge is none",
    from: "tests/data/test934",
    options: { credentials, authenticator: Choose.inOrder(DigestMd5.digestMd5) },
    script: `${begins("AUTH DIGEST-MD5")}
      C: AUTH DIGEST-MD5
      ${cancels}
    `,
    asks: sends(message),
    finds: givesUp("DIGEST-MD5")
  },
  ...[
    { mechanism: CramMd5.cramMd5, test: "test935" },
    { mechanism: DigestMd5.digestMd5, test: "test937" }
  ].map(({ mechanism, test }): Exchange => ({
    name: `sends no password by PLAIN after a broken exchange of ${mechanism.name}`,
    from: `tests/data/${test} (a difference)`,
    options: { ...inTls, credentials, authenticator: Choose.inOrder(mechanism, Plain.plain) },
    script: `${beginsInTls(`AUTH ${mechanism.name} PLAIN`)}
      C: AUTH ${mechanism.name}
      ${cancels}
    `,
    asks: sends(message),
    finds: givesUp(mechanism.name)
  })),
  {
    name: "sends no password by PLAIN after a broken exchange of NTLM",
    from: "tests/data/test936 (a difference)",
    options: { ...inTls, credentials, authenticator: Choose.inOrder(Ntlm.ntlm, Plain.plain) },
    script: `${beginsInTls("AUTH NTLM PLAIN")}
      C: AUTH NTLM
      S: 334 go on, please
      C: ${type1}
      ${cancels}
    `,
    asks: sends(message),
    finds: givesUp("NTLM")
  },
  {
    name: "uses PLAIN before CRAM-MD5 and DIGEST-MD5 in TLS",
    from: "tests/data/test935, test937 (a difference)",
    options: { ...inTls, credentials },
    script: `${beginsInTls("AUTH CRAM-MD5 DIGEST-MD5 PLAIN")}
      C: AUTH PLAIN ${plain}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "goes on to PLAIN when the server does not do CRAM-MD5",
    from: "tests/data/test935, with a refusal in place of rubbish",
    options: { ...inTls, credentials, authenticator: Choose.inOrder(CramMd5.cramMd5, Plain.plain) },
    script: `${beginsInTls("AUTH CRAM-MD5 PLAIN")}
      C: AUTH CRAM-MD5
      S: 504 not this mechanism
      C: AUTH PLAIN ${plain}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "acts for somebody else by PLAIN",
    from: "tests/data/test953",
    options: { ...inTls, credentials: kurt },
    script: `${actsForUrsel}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  },
  {
    name: "is told that it may not act for somebody else",
    from: "tests/data/test954",
    options: { ...inTls, credentials: kurt },
    script: `${actsForUrsel}
      S: 501 not for them
      ${quits}
    `,
    asks: sends(message),
    finds: (outcome) => {
      fails("AuthenticationFailed", { why: "response refused" }, "never")(outcome)
      assert.deepStrictEqual(attempts(outcome).map(({ outcome, reply }) => [outcome, reply?.code, reply?.lines[0]]), [
        ["refused", 501, "not for them"]
      ])
    }
  },
  {
    name: "does not use EXTERNAL without TLS",
    from: "tests/data/test942, test943, test944, test945 (a difference)",
    options: { credentials: { _tag: "Certificate", authorizationId: undefined } },
    script: `${begins("AUTH EXTERNAL")}${quits}`,
    asks: sends(message),
    finds: fails("NoUsableMechanism", { offered: ["EXTERNAL"] }, "never")
  },
  ...[
    { name: "acts for a user", from: "test944, and in place of test942", user: "user", said: base64("user") },
    {
      name: "says an empty initial response",
      from: "test945, and in place of test943",
      user: undefined,
      said: "="
    }
  ].map(({ from, name, said, user }): Exchange => ({
    name: `${name} by EXTERNAL`,
    from: `tests/data/${from}`,
    options: { ...inTls, credentials: { _tag: "Certificate", authorizationId: user } },
    script: `${beginsInTls("AUTH EXTERNAL")}
      C: AUTH EXTERNAL ${said}
      S: 235 welcome
      ${delivers}
    `,
    ...isTaken(message)
  }))
]
