/**
 * The messages of every mechanism, by its name.
 */
import * as fc from "fast-check"
import { digestChallenge, digestProof, digestResponse } from "./DigestArbitraries.ts"
import { any, type Messages } from "./Messages.ts"
import { ntlmAuthenticate, ntlmChallenge, ntlmNegotiate } from "./NtlmArbitraries.ts"
import * as Sasl from "./SaslArbitraries.ts"
import { scramClientFinal, scramClientFirst, scramServerFinal, scramServerFirst } from "./ScramArbitraries.ts"

/** What each side says, in order. SCRAM's server repeats the nonce of a client, which is to be known. */
export interface Exchange {
  readonly challenges: (clientNonce: string) => ReadonlyArray<Messages>
  readonly responses: ReadonlyArray<Messages>
}

const scram: Exchange = {
  challenges: (clientNonce) => [scramServerFirst(clientNonce), scramServerFinal],
  responses: [scramClientFirst, scramClientFinal]
}

const ntlm: Exchange = { challenges: () => [ntlmChallenge], responses: [ntlmNegotiate, ntlmAuthenticate] }

/** By the name of the mechanism. EXTERNAL and ANONYMOUS have one message of any text, and are not here. */
export const saslMessages = {
  "PLAIN": { challenges: () => [], responses: [Sasl.plainResponse] },
  "LOGIN": { challenges: () => [Sasl.loginUserPrompt, Sasl.loginPasswordPrompt], responses: [] },
  "CRAM-MD5": { challenges: () => [Sasl.cramChallenge], responses: [Sasl.cramResponse] },
  "DIGEST-MD5": { challenges: () => [digestChallenge, digestProof], responses: [digestResponse] },
  "SCRAM-SHA-1": scram,
  "SCRAM-SHA-256": scram,
  "SCRAM-SHA-512": scram,
  "NTLM": ntlm,
  "MSN": ntlm,
  "XOAUTH2": { challenges: () => [Sasl.oauthRefusal], responses: [Sasl.xoauth2Response] },
  "OAUTHBEARER": { challenges: () => [Sasl.oauthRefusal], responses: [Sasl.oauthBearerResponse] },
  "GSSAPI": { challenges: () => [Sasl.gssapiOffer], responses: [] }
} satisfies Readonly<Record<string, Exchange>>

/** Any message of any mechanism, of either side: valid, nearly so, or hostile. */
export const saslMessage: fc.Arbitrary<Uint8Array> = fc.oneof(
  { withCrossShrink: true },
  fc.constant(new Uint8Array(0)),
  ...Object.values<Exchange>(saslMessages).flatMap(({ challenges, responses }) =>
    [...challenges("nonce"), ...responses].map(any)
  )
)
