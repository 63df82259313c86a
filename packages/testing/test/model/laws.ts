/**
 * What holds for every run, whatever the server says and whatever befalls the connection.
 */
import { assert } from "@effect/vitest"
import { Address, Advice, Reason, type Reply, type SmtpClient, SmtpError } from "@postern/core"
import { Cause, Exit, Option } from "effect"
import type { Observation, Passed } from "./play.ts"
import { normalized, type Scenario, textOf } from "./scenario.ts"

export type Outcome =
  | { readonly _tag: "Receipt"; readonly receipt: SmtpClient.Receipt }
  | { readonly _tag: "Error"; readonly error: SmtpError.SmtpError }

/** Exactly one of a receipt and an error, after finite time, and no wire is left. */
export const ended = ({ exit, held }: Observation): Outcome => {
  if (exit === undefined) return assert.fail("it does not end")
  assert.strictEqual(held, 0, "a wire stays open")
  if (Exit.isSuccess(exit)) return { _tag: "Receipt", receipt: exit.value }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return error instanceof SmtpError.SmtpError && exit.cause.reasons.length === 1
    ? { _tag: "Error", error }
    : assert.fail(`it ends with no error but ${Cause.pretty(exit.cause)}`)
}

/** The recipients as they are shown. */
export const envelopeOf = ({ letter }: Scenario): ReadonlyArray<string> =>
  letter.to.map(({ address }) => `<${address}>`)

/** The server was made to say yes, or to ask for more, where perhaps it would not have. */
const mayHaveLied = ({ turns }: Observation): boolean =>
  turns.some(({ overruled }) => overruled !== undefined && overruled.by._tag !== "Drop" && overruled.by.code < 400)

/** All of the content and its end were given to the wire. */
const handedOver = ({ letter }: Scenario, { wires }: Observation): boolean => {
  const lines = `\r\n${textOf(normalized(letter.content))}`
  const data = `DATA\r\n${lines.replaceAll("\r\n.", "\r\n..").slice(2)}.\r\n`
  const bdat = `BDAT ${lines.length - 2} LAST${lines}`
  return wires.some((wire) => {
    const written = writtenIn(wire)
    return written.includes(data) || written.includes(bdat)
  })
}

/** Everything that the client wrote, in one. */
const writtenIn = (wire: ReadonlyArray<Passed>): string =>
  textOf(Buffer.concat(wire.flatMap((passed) => passed._tag === "Wrote" ? [passed.bytes] : [])))

/** The content went with its envelope, before any reply to that. */
export const atOnce = ({ wires }: Observation): boolean => wires.some((wire) => /^BDAT /m.test(writtenIn(wire)))

/** The envelope of what went at once was refused, and that was read: the content is for nobody. */
const refusedAtOnce = ({ letter }: Scenario, { wires }: Observation): boolean =>
  wires.some((wire) => {
    const begun = wire.findLastIndex((passed) => passed._tag === "Wrote" && /^MAIL /m.test(textOf(passed.bytes)))
    if (begun === -1) return false
    const [mail = 0, ...rest] = Array.from(
      readIn(wire.slice(begun)).matchAll(/^(\d{3}) /gm),
      ([, code]) => Number(code)
    )
    const rcpts = rest.slice(0, letter.to.length)
    return mail >= 400 || (rcpts.length === letter.to.length && rcpts.every((code) => code >= 400))
  })

const lost: ReadonlySet<Reason.Tag> = new Set(["ConnectionLost", "TimedOut"])

/** What is reported of the delivery is what the server has. */
export const reported = (scenario: Scenario, seen: Observation, outcome: Outcome): void => {
  const { inbox } = seen
  const got = inbox.flatMap(({ forwardPaths }) => forwardPaths.map(Address.formatForwardPath))
  assert.lengthOf(new Set(got), got.length, "delivered twice")
  // Recipients that are too many for one transaction get another.
  if (!mayHaveLied(seen)) {
    assert.isAtMost(inbox.length, Math.ceil(scenario.letter.to.length / scenario.policy.maxRecipients))
  }
  for (const message of inbox) {
    assert.strictEqual(
      Buffer.compare(message.content, normalized(scenario.letter.content)),
      0,
      "the content was changed on its way"
    )
    assert.strictEqual(Address.formatReversePath(message.reversePath), `<${scenario.letter.from.address ?? ""}>`)
  }
  const sent = handedOver(scenario, seen)
  if (outcome._tag === "Receipt") {
    const { outcomes, reply } = outcome.receipt
    assert.deepStrictEqual(
      outcomes.map(({ recipient }) => recipient),
      envelopeOf(scenario),
      "outcomes in the envelope's order"
    )
    for (const it of outcomes) {
      // Without a reply the connection ended in a transaction behind the first.
      const code = it._tag === "InDoubt" ? undefined : it.reply?.code
      if (code === undefined) assert.include(["Deferred", "InDoubt"], it._tag)
      else assert.strictEqual(it._tag, code < 300 ? "Accepted" : code < 500 ? "Deferred" : "Refused")
    }
    const named = (tag: "Accepted" | "InDoubt") =>
      outcomes.filter(({ _tag }) => _tag === tag).map(({ recipient }) => recipient)
    const accepted = named("Accepted")
    const doubtful = named("InDoubt")
    assert.isTrue(accepted.length > 0 && reply.code < 300 && sent, "a receipt for nothing")
    for (const recipient of got) assert.include([...accepted, ...doubtful], recipient)
    if (!mayHaveLied(seen)) assert.includeMembers(got, accepted, "accepted is what the server has")
    return
  }
  const { reason } = outcome.error
  if (reason._tag !== "InDoubt") {
    assert.isEmpty(inbox, `delivered, and the error says ${reason._tag}`)
    const doubtful = sent && lost.has(reason._tag) && !(atOnce(seen) && refusedAtOnce(scenario, seen))
    assert.isFalse(doubtful, "lost with all of the content written, and not in doubt")
    return
  }
  assert.isTrue(sent, "in doubt though the content was not all sent")
  for (const recipient of got) assert.include(reason.recipients, recipient)
  for (const { turn } of seen.turns) {
    if (turn._tag === "Content" && !mayHaveLied(seen)) {
      assert.deepStrictEqual(reason.recipients, turn.message.forwardPaths.map(Address.formatForwardPath))
    }
  }
}

const encodings = (secret: string): ReadonlyArray<string> => [secret, Buffer.from(secret).toString("base64")]

/** Protection that was asked for is there, or nothing is sent. */
export const protectedAsAsked = (scenario: Scenario, seen: Observation): void => {
  const { client: { authenticator, credentials, security } } = scenario
  if (security !== "plain" && security !== "startTlsIfOffered") {
    for (const { turn, tls } of seen.turns) {
      if (!tls) {
        assert.include(["Greeting", "Ehlo", "Helo", "StartTls", "AuthResponse", "Quit"], turn._tag, "without TLS")
      }
    }
    assert.isTrue(seen.inbox.every(({ tls }) => tls))
  }
  if (credentials !== undefined && authenticator !== "PLAIN also without TLS") {
    for (const { turn, tls } of seen.turns) {
      if (turn._tag === "Auth" && !tls) assert.strictEqual(turn.mechanism, "CRAM-MD5")
    }
  }
  for (const wire of seen.wires) {
    const written = (tls: boolean) =>
      wire.map((passed) => passed._tag === "Wrote" && passed.tls === tls ? textOf(passed.bytes) : "").join("")
    if (security !== "plain" && security !== "startTlsIfOffered") {
      assert.notMatch(written(false), /^(?:AUTH|MAIL|RCPT|DATA)\b/m)
    }
    if (credentials === undefined || credentials.password === "" || authenticator === "PLAIN also without TLS") continue
    for (const secret of encodings(credentials.password)) assert.notInclude(written(false), secret)
  }
}

/** How many octet strings a client sends in each exchange. */
const responses: Readonly<Record<string, number>> = { "PLAIN": 1, "LOGIN": 2, "CRAM-MD5": 1 }

/** With credentials there is no mail before a whole exchange and its 235, and it is sent as who was asked for. */
export const authenticatedIfAsked = (scenario: Scenario, seen: Observation): void => {
  const { client: { credentials } } = scenario
  if (credentials === undefined) return
  for (const wire of seen.wires) {
    const mail = wire.findIndex((passed) => lineOf(passed).startsWith("MAIL "))
    if (mail === -1) continue
    const auth = wire.findIndex((passed) => lineOf(passed).startsWith("AUTH "))
    assert.isTrue(auth !== -1 && /^235/m.test(readIn(wire.slice(auth, mail))), "mail before authentication")
  }
  for (const [at, { connection, turn: { _tag } }] of seen.turns.entries()) {
    if (_tag !== "Mail") continue
    const same = seen.turns.slice(0, at).filter((other) => other.connection === connection).map(({ turn }) => turn)
    const exchange = same.slice(same.findLastIndex((turn) => turn._tag === "Auth"))
    const said = exchange.filter((turn) =>
      turn._tag === "AuthResponse" || (turn._tag === "Auth" && turn.initialResponse !== undefined)
    )
    const [first] = exchange
    const needed = first?._tag === "Auth" ? responses[first.mechanism] : undefined
    assert.strictEqual(said.length, needed, "the exchange is not complete")
  }
  for (const { identity } of seen.inbox) {
    if (!mayHaveLied(seen)) assert.strictEqual(identity, credentials.authorizationId ?? credentials.user)
  }
}

/** What the client wrote at once; empty for what it read. */
const lineOf = (passed: Passed): string => passed._tag === "Wrote" ? textOf(passed.bytes.subarray(0, 512)) : ""

/** Everything that the client read, in one. */
const readIn = (wire: ReadonlyArray<Passed>): string =>
  wire.map((passed) => passed._tag === "Read" ? textOf(passed.bytes) : "").join("")

/** Commands go together only where the server said it takes them so (RFC 2920 §3.1). */
export const oneAtATime = ({ client, policy }: Scenario, seen: Observation): void => {
  const lied = policy.liesBeforeTls && client.security === "startTlsIfOffered"
  if (lied || (policy.ehlo && policy.extensions.includes("PIPELINING"))) return
  for (const passed of seen.wires.flat()) {
    assert.notMatch(lineOf(passed), /^(?:MAIL|RCPT) .*\r\n./, "more than one command")
  }
}

/** Nothing is said to a server that has ended the session (RFC 5321 §3.8). */
export const silentAfter421 = (seen: Observation): void => {
  for (const wire of seen.wires) {
    const last = wire.findLastIndex((passed) => passed._tag === "Wrote")
    // In what is read before a write; not what is read behind it.
    assert.notMatch(readIn(wire.slice(0, Math.max(0, last))), /^421 .*\r\n/m, "written after 421")
  }
}

/** A refused password is given up at once: trying on locks accounts. Only another mechanism may be asked for. */
export const noGuessing = (seen: Observation, outcome: Outcome): void => {
  for (const wire of seen.wires) {
    const tries = wire.flatMap((passed, at) => lineOf(passed).startsWith("AUTH ") ? [at] : [])
    assert.isAtMost(tries.length, 3)
    for (const [i, next] of tries.slice(1).entries()) {
      assert.match(readIn(wire.slice(tries[i], next)), /(?:^|\n)(?:432|504|534|538) .*\r\n$/, "tried again")
    }
  }
  if (outcome._tag === "Receipt" || outcome.error.reason._tag !== "AuthenticationFailed") return
  const tried = seen.turns.filter(({ turn }) => turn._tag === "Auth").length
  assert.lengthOf(outcome.error.reason.attempts, tried)
}

const repliesIn = (reason: Reason.Reason): ReadonlyArray<Reply.Reply> => {
  if ("replies" in reason) return reason.replies
  // What decided is the last attempt.
  if ("attempts" in reason) return reason.attempts.slice(-1).flatMap(({ reply }) => reply ?? [])
  return "reply" in reason && reason.reply !== undefined ? [reason.reply] : []
}

/** What is said of an error is true, and gives nothing away. */
export const explained = (scenario: Scenario, outcome: Outcome): void => {
  const secret = scenario.client.credentials?.password ?? ""
  const said = JSON.stringify(outcome._tag === "Receipt" ? outcome.receipt : outcome.error)
  if (secret !== "") {
    for (const form of [...encodings(secret), JSON.stringify(secret).slice(1, -1)]) assert.notInclude(said, form)
  }
  if (outcome._tag === "Receipt") {
    for (const it of outcome.receipt.outcomes) if (it._tag === "Deferred") checkReason(it.reason)
    return
  }
  const { advice, message, problem, reason, retry, transcript } = outcome.error
  assert.isTrue(
    [advice, message, problem].every((text) => text.length > 10 && !/undefined|\[object/.test(text)),
    message
  )
  checkReason(reason)
  assert.notStrictEqual(reason._tag, "OutOfSequence", "nothing that can be given to a client is out of sequence")
  assert.strictEqual(retry === "in doubt", reason._tag === "InDoubt")
  if (reason._tag !== "InvalidInput") assert.isNotEmpty(transcript)
  if (secret !== "") {
    for (const form of encodings(secret)) assert.notInclude(`${message} ${String(outcome.error.stack)}`, form)
  }
}

const checkReason = (reason: Reason.Reason): void => {
  assert.isTrue(Reason.isReason(reason))
  if (repliesIn(reason).some(({ code }) => code >= 400 && code < 500)) {
    assert.notStrictEqual(Advice.retry(reason), "never", "4yz is not for ever")
  }
}

/** Bytes that nobody asked for are not taken for an answer. Seen only where they come with the reply before. */
export const nothingUnasked = (seen: Observation, outcome: Outcome): void => {
  // What came on a connection that was given up for another was not even read.
  const unasked = seen.turns.filter(({ connection, overruled }) =>
    overruled?.by._tag === "Extra" && connection === seen.wires.length
  )
  if (!unasked.some(({ turn: { _tag } }) => _tag !== "Content" && _tag !== "Bdat" && _tag !== "Quit")) return
  assert.strictEqual(outcome._tag, "Error", "an unasked reply was passed over")
  // The content that went with the envelope is there already.
  if (outcome._tag !== "Error" || outcome.error.reason._tag !== "InDoubt") assert.isEmpty(seen.inbox)
}

/** The outcome without times, and without the octets that had arrived, many or few, when an injection was noticed. */
export const comparable = (outcome: Outcome): unknown => {
  const { _tag } = outcome
  const shown = _tag === "Receipt"
    ? outcome.receipt
    : { ...outcome.error.reason, phase: outcome.error.phase, transcript: outcome.error.transcript }
  return JSON.parse(
    JSON.stringify({ _tag, shown }, (key, value: unknown) => key === "at" || key === "bytes" ? undefined : value)
  )
}
