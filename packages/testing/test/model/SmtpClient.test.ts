/**
 * The whole client against the simulated server: many servers, options, messages and
 * misfortunes, each judged by laws, and where the server keeps to its policy by a model.
 *
 * MODEL_RUNS=5000 runs more; MODEL_SEED and MODEL_PATH repeat what a failure reports
 * (with -t and the name of the test).
 */
import { assert, describe, it } from "@effect/vitest"
import type { Reason } from "@postern/core"
import * as fc from "fast-check"
import * as Laws from "./laws.ts"
import { type Observation, play } from "./play.ts"
import { predict } from "./predict.ts"
import { honest, hostile, type Scenario, silent } from "./scenario.ts"

const { MODEL_PATH: path, MODEL_RUNS: runs, MODEL_SEED: seed } = process.env

const parameters = (usual: number): fc.Parameters<[Scenario]> => ({
  numRuns: runs === undefined ? usual : Number(runs),
  seed: seed === undefined ? 5321 : Number(seed),
  ...path === undefined ? {} : { path },
  endOnFailure: false
})

/** More than enough, in milliseconds: the real limit is the number of runs. */
const limit = runs === undefined ? 120_000 : 3_600_000

const judge = (scenario: Scenario, seen: Observation): Laws.Outcome => {
  const outcome = Laws.ended(seen)
  Laws.reported(scenario, seen, outcome)
  Laws.protectedAsAsked(scenario, seen)
  Laws.authenticatedIfAsked(scenario, seen)
  Laws.noGuessing(seen, outcome)
  Laws.oneAtATime(scenario, seen)
  Laws.silentAfter421(seen)
  Laws.explained(scenario, outcome)
  return outcome
}

const byteByByte = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => Array.from(bytes, (byte) => new Uint8Array([byte]))

const sameHoweverCut = async (scenario: Scenario, whole: Laws.Outcome): Promise<void> => {
  for (const chunk of [byteByByte, scenario.chunking]) {
    const seen = await play(scenario, chunk)
    assert.deepStrictEqual(
      Laws.comparable(judge(scenario, seen)),
      Laws.comparable(whole),
      "another cut of the bytes, another outcome"
    )
  }
}

/** How often each kind of outcome came, so that laws are not kept by runs that never get far. */
class Tally {
  readonly counts: Map<string, number> = new Map()

  count(outcome: Laws.Outcome): void {
    const tag = outcome._tag === "Receipt" ? "Receipt" : outcome.error.reason._tag
    this.counts.set(tag, (this.counts.get(tag) ?? 0) + 1)
  }

  expect(...tags: ReadonlyArray<"Receipt" | Reason.Tag>): void {
    // Chosen runs show what they are chosen for.
    if (runs === undefined && path === undefined) assert.includeMembers([...this.counts.keys()], [...tags])
    else console.log(Object.fromEntries(this.counts))
  }
}

describe("SmtpClient.send", () => {
  it("does to an honest server what the model predicts", async () => {
    const tally = new Tally()
    await fc.assert(
      fc.asyncProperty(honest, async (scenario) => {
        const seen = await play(scenario, undefined)
        const outcome = judge(scenario, seen)
        tally.count(outcome)
        expectPredicted(scenario, seen, outcome)
        await sameHoweverCut(scenario, outcome)
      }),
      parameters(600)
    )
    tally.expect(
      ...["Receipt", "GreetingRefused", "ServiceClosing", "CommandRefused", "TimedOut", "TlsModeMismatch"] as const,
      ...["TlsUnavailable", "CertificateRefused", "HandshakeFailed", "PlaintextInjected", "NoUsableMechanism"] as const,
      ...["AuthenticationFailed", "InvalidInput", "AuthenticationRequired", "TooLarge", "ExtensionMissing"] as const,
      ...["RelayDenied", "RecipientsRefused", "TemporaryFailure"] as const
    )
  }, limit)

  it("keeps its laws whatever the server says and whatever happens", async () => {
    const tally = new Tally()
    await fc.assert(
      fc.asyncProperty(hostile, async (scenario) => {
        const seen = await play(scenario, undefined)
        const outcome = judge(scenario, seen)
        tally.count(outcome)
        Laws.nothingUnasked(seen, outcome)
        if (scenario.overruled.length === 0) expectNoMore(scenario, seen, outcome)
        const unasked = scenario.overruled.some(({ by }) => by._tag === "Extra")
        if (!unasked) await sameHoweverCut(scenario, outcome)
      }),
      parameters(1200)
    )
    tally.expect(
      ...["Receipt", "InDoubt", "ConnectionLost", "TimedOut", "ProtocolViolation", "ServiceClosing"] as const,
      ...["SenderRefused", "ContentRefused", "ServerNotVerified", "PlaintextInjected"] as const
    )
  }, limit)

  it("leaves no wire when it is interrupted", async () => {
    await fc.assert(
      fc.asyncProperty(silent, async (scenario) => {
        const { exit, held } = await play(scenario, undefined, "interrupted")
        assert.isDefined(exit)
        assert.strictEqual(held, 0)
      }),
      parameters(300)
    )
  }, limit)
})

const expectPredicted = (scenario: Scenario, seen: Observation, outcome: Laws.Outcome): void => {
  const predicted = predict(scenario)
  if (predicted.tag === "Receipt") {
    if (outcome._tag === "Error") assert.fail(`a receipt was predicted, not: ${outcome.error.message}`)
    assert.deepStrictEqual<ReadonlyArray<string>>(outcome.receipt.outcomes.map(({ _tag }) => _tag), predicted.fates)
    assert.isNotEmpty(seen.inbox)
    for (const { identity, tls } of seen.inbox) {
      assert.deepStrictEqual({ identity, tls }, { identity: predicted.identity, tls: predicted.tls })
    }
    return
  }
  if (outcome._tag === "Receipt") assert.fail(`a receipt, and this was predicted: ${JSON.stringify(predicted.is)}`)
  const reason: Record<string, unknown> = { ...outcome.error.reason }
  const { attempts } = predicted.is
  if (attempts !== undefined) assert.lengthOf(reason["attempts"] as ReadonlyArray<unknown>, attempts as number)
  for (const [key, value] of Object.entries(predicted.is)) {
    if (key !== "attempts") assert.deepStrictEqual(reason[key], value, `${key} of ${JSON.stringify(reason)}`)
  }
}

/** A connection that fails makes nothing better, and does not change who was accepted. */
const expectNoMore = (scenario: Scenario, seen: Observation, outcome: Laws.Outcome): void => {
  const predicted = predict(scenario.fault?._tag === "Tls" ? scenario : { ...scenario, fault: undefined })
  const envelope = Laws.envelopeOf(scenario)
  const those = (holds: (i: number) => boolean) =>
    predicted.tag === "Receipt" ? envelope.filter((_, i) => holds(i)) : []
  const accepted = those((i) => predicted.tag === "Receipt" && predicted.fates[i] === "Accepted")
  const first = those((i) => predicted.tag === "Receipt" && predicted.first[i] === true)
  if (outcome._tag === "Receipt") {
    const { outcomes } = outcome.receipt
    const got = outcomes.flatMap((it) => it._tag === "Accepted" ? [it.recipient] : [])
    // A connection that ends behind the first transaction leaves the others undecided.
    const undecided = outcomes.flatMap((it) =>
      it._tag === "InDoubt" || (it._tag === "Deferred" && it.reply === undefined) ? [it.recipient] : []
    )
    assert.includeMembers(got, first)
    assert.includeMembers(accepted, got)
    assert.includeMembers([...got, ...undecided], accepted)
  } else if (outcome.error.reason._tag === "InDoubt" && accepted.length > 0) {
    // Who went with the content and has no reply yet is in doubt as well.
    if (Laws.atOnce(seen)) assert.includeMembers([...outcome.error.reason.recipients], first)
    else assert.deepStrictEqual(outcome.error.reason.recipients, first)
  }
}
