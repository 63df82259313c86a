/**
 * The mechanisms that a simulated server offers without being told: those that can check
 * what it knows of its users, in the order that core's clients prefer.
 */
import {
  Anonymous,
  CramMd5,
  DigestMd5,
  External,
  Login,
  type Mechanism,
  Ntlm,
  OAuthBearer,
  Plain,
  Scram,
  XOAuth2
} from "@postern/core"

type Mechanisms = ReadonlyArray<Mechanism.Mechanism<unknown>>

/** Those that check a password. */
export const ofPasswords: Mechanisms = [
  Scram.scramSha512Plus,
  Scram.scramSha256Plus,
  Scram.scramSha1Plus,
  Scram.scramSha512,
  Scram.scramSha256,
  Scram.scramSha1,
  Plain.plain,
  Login.login,
  CramMd5.cramMd5,
  DigestMd5.digestMd5,
  Ntlm.ntlm,
  Ntlm.msn
]

/** Those that check a bearer token. */
export const ofTokens: Mechanisms = [OAuthBearer.oauthBearer, XOAuth2.xoauth2]

/** Every mechanism that needs nothing from outside, which GSSAPI does. */
export const all: Mechanisms = [...ofPasswords, ...ofTokens, External.external, Anonymous.anonymous]
