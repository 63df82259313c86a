/**
 * NTLM over SASL (MS-NLMP, MS-SMTPNTLM), and the same under the name MSN: NTLMv2, without
 * security layers. The client proves the password, the server proves nothing.
 *
 * NTLMv1 gives the password to whoever listens and has an hour. It is sent only by a
 * mechanism that was made with `version: 1`; no server can bring another one to it, and
 * one that knows nothing newer gets NTLMv2 all the same, and refuses it. LM and the
 * "NTLM2 session" response are not here at all.
 */
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Mechanism from "./Mechanism.ts"
import * as Crypto from "./NtlmCrypto.ts"
import * as Message from "./NtlmMessage.ts"
import * as Server from "./NtlmServer.ts"
import { randomBytes } from "./SaslCrypto.ts"

/** What can be chosen. */
export interface Options {
  /** The name it is offered under: `NTLM` unless given. */
  readonly name?: string | undefined
  /** The domain of user names that name none, as `DOMAIN\user` and `user@domain` do. */
  readonly domain?: string | undefined
  /** The name of this machine, for the server's log; not told unless given. */
  readonly workstation?: string | undefined
  /** The service principal name of the server, as `SMTPSVC/mail.example.org`, where it insists on one. */
  readonly targetName?: string | undefined
  /**
   * `1` sends NTLMv1 (MS-NLMP 3.3.1), for a server that takes nothing else: no channel
   * binding, no MIC, and single DES, which is broken by brute force. `2` unless given.
   */
  readonly version?: 1 | 2 | undefined
  /** Sends the first message with AUTH, which saves a round trip where the server takes it. */
  readonly initialResponse?: boolean | undefined
}

/**
 * The mechanism with options.
 *
 * Its client binds itself to the TLS channel where the context has the server's
 * certificate (`tls-server-end-point`). It fails as `checkPassword` does, with
 * `malformed-credentials` or `invalid-char-in-credentials` for names that do not fit, and
 * for a Type 2 message that breaks a rule of MS-NLMP 2.2.1.2 with `type2-truncated`,
 * `type2-bad-signature`, `type2-bad-type`, `type2-bad-offset`, `type2-bad-av`,
 * `bad-challenge` or `challenge-too-long`.
 *
 * @example
 * ```ts
 * import { Choose, Ntlm } from "@postern/core"
 *
 * const authenticator = Choose.inOrder(Ntlm.make({ domain: "CORP", workstation: "WS1" }))
 * ```
 */
export const make = (options: Options = {}): Mechanism.Mechanism => ({
  name: options.name ?? "NTLM",
  // The first challenge is text for people where there was no initial response (MS-SMTPNTLM 2.2.1.2).
  traits: { kind: "last-resort", withoutTls: false, anyChallenge: options.initialResponse !== true },
  accepts: (credentials) => credentials._tag === "Password" && credentials.authorizationId === undefined,
  client: (credentials, context) =>
    Effect.flatMap(Mechanism.checkPassword(credentials), (checked) => begin(options, checked, context)),
  server: Server.begin
})

/** The mechanism. */
export const ntlm: Mechanism.Mechanism = make()

/** The mechanism under the name that servers of msn.com gave it. */
export const msn: Mechanism.Mechanism = make({ name: "MSN" })

// What Windows asks for without signing or sealing: there is no security layer over SMTP.
const wanted = Message.Flag.unicode | Message.Flag.oem | Message.Flag.requestTarget | Message.Flag.ntlm
  | Message.Flag.alwaysSign | Message.Flag.extendedSessionSecurity | Message.Flag.version
  | Message.Flag.key128 | Message.Flag.key56

// With extended session security a server would expect another response than NTLMv1's.
const wantedOfOld = wanted & ~Message.Flag.extendedSessionSecurity

interface Exchange {
  readonly version: 1 | 2
  readonly user: string
  readonly domain: string
  readonly workstation: string
  readonly targetName: string
  readonly password: Redacted.Redacted<string>
  readonly channel: Uint8Array
  readonly clientChallenge: Uint8Array
  readonly now: Uint8Array
  readonly negotiate: Uint8Array
}

const begin = Effect.fnUntraced(function*(
  options: Options,
  { password, user: name }: Mechanism.Password,
  context: Mechanism.ClientContext
): Effect.fn.Return<Mechanism.ClientStep, Mechanism.SaslError> {
  const binding = context.channelBindings?.find(({ type }) => type === "tls-server-end-point")
  const exchange: Exchange = {
    version: options.version ?? 2,
    ...identify(name, options.domain ?? ""),
    workstation: options.workstation ?? "",
    targetName: options.targetName ?? "",
    password,
    channel: binding === undefined ? Crypto.noChannel : Crypto.channelHash(binding.data),
    clientChallenge: yield* randomBytes(8),
    now: Message.filetime(yield* Clock.currentTimeNanos),
    negotiate: Message.negotiate(options.version === 1 ? wantedOfOld : wanted)
  }
  const { domain, user, workstation } = exchange
  if ([domain, user, workstation].some((text) => 2 * text.length > Message.longestBuffer)) {
    return yield* Effect.fail(Mechanism.saslError("malformed-credentials", "a name is longer than NTLM can carry"))
  }
  const negotiated: Mechanism.ClientStep = {
    response: Redacted.make(exchange.negotiate),
    next: (challenge) => Effect.map(Effect.fromResult(respond(exchange, challenge)), last),
    verified: false
  }
  if (options.initialResponse === true) return negotiated
  return { response: undefined, next: () => Effect.succeed(negotiated), verified: false }
})

// A name of the form `user@domain` goes whole: the server knows which part of it is what.
const identify = (name: string, domain: string): { readonly user: string; readonly domain: string } => {
  const at = name.indexOf("\\")
  if (at > 0 && at < name.length - 1) return { domain: name.slice(0, at), user: name.slice(at + 1) }
  return { domain: name.includes("@") ? "" : domain, user: name }
}

const last = (response: Uint8Array): Mechanism.ClientStep => ({
  response: Redacted.make(response),
  next: undefined,
  verified: true
})

const respond = (it: Exchange, bytes: Uint8Array): Result.Result<Uint8Array, Mechanism.SaslError> => {
  const read = Message.readChallenge(bytes)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { flags, serverChallenge, targetInfo } = read.success
  const unicode = (flags & Message.Flag.unicode) !== 0
  const names = [it.domain, it.user, it.workstation]
  if (!unicode && !names.every((text) => /^[\0-\x7f]*$/.test(text))) {
    return Result.fail(Mechanism.saslError("invalid-char-in-credentials", "this server takes no names beyond ASCII"))
  }
  const encode = unicode ? Crypto.utf16 : utf8ToBytes
  const sender = { domain: encode(it.domain), user: encode(it.user), workstation: encode(it.workstation) }
  const agreed = flags & wanted & (unicode ? ~Message.Flag.oem : ~0)
  if (it.version === 1) {
    // In place of the LM response, which is weaker still (MS-NLMP 3.3.1, NoLMResponseNTLMv1).
    const response = Crypto.oldResponse(it.password, serverChallenge)
    const flags = agreed & wantedOfOld
    return Result.succeed(Message.authenticate({ flags, ...sender, lmResponse: response, ntResponse: response }))
  }
  // A server that tells its time wants no LM response, and a MIC (MS-NLMP 3.1.5.1.2).
  const timestamp = targetInfo?.find(({ id }) => id === Message.Av.timestamp)?.value
  const answered = targetInfo === undefined ? new Uint8Array(0) : Message.writePairs(answer(it, targetInfo))
  const key = Crypto.responseKey(it.user, it.domain, it.password)
  const part = Crypto.clientPart(timestamp ?? it.now, it.clientChallenge, answered)
  const proof = Crypto.proof(key, serverChallenge, part)
  const ntResponse = concatBytes(proof, part)
  if (ntResponse.length > Message.longestBuffer) {
    return Result.fail(
      Mechanism.saslError("challenge-too-long", "the NTLM challenge is longer than an answer can repeat")
    )
  }
  const message = Message.authenticate({
    flags: agreed | (flags & Message.Flag.targetInfo),
    ...sender,
    lmResponse: timestamp === undefined
      ? Crypto.lmResponse(key, serverChallenge, it.clientChallenge)
      : new Uint8Array(24),
    ntResponse
  })
  if (timestamp === undefined) return Result.succeed(message)
  return Result.succeed(
    Message.withMic(message, Crypto.mic(Crypto.sessionKey(key, proof), it.negotiate, bytes, message))
  )
}

// The server's pairs in their order, and what only the client knows (MS-NLMP 3.1.5.1.2).
const answer = (it: Exchange, pairs: ReadonlyArray<Message.AvPair>): ReadonlyArray<Message.AvPair> => {
  const timed = pairs.some(({ id }) => id === Message.Av.timestamp)
  const given = pairs.find(({ id }) => id === Message.Av.flags)?.value
  const flags = {
    id: Message.Av.flags,
    value: Message.uint32((given === undefined ? 0 : Message.readUint32(given)) | Message.micProvided)
  }
  const kept = pairs
    .filter(({ id }) => id !== Message.Av.channelBindings && id !== Message.Av.targetName)
    .map((pair) => timed && pair.id === Message.Av.flags ? flags : pair)
  return [
    ...kept,
    ...timed && given === undefined ? [flags] : [],
    { id: Message.Av.channelBindings, value: it.channel },
    { id: Message.Av.targetName, value: Crypto.utf16(it.targetName) }
  ]
}
