/**
 * Many messages at once: any messages, servers of every kind, and any misfortune. Whatever happens
 * each is settled once and in order, and what is reported is what the server has.
 *
 * MODEL_RUNS=5000 runs more; MODEL_SEED and MODEL_PATH repeat what a failure reports
 * (with -t and the name of the test).
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply, type SmtpClient } from "@postern/core"
import { Faults } from "@postern/testing"
import { Stream } from "effect"
import * as fc from "fast-check"
import { chunking } from "../../src/generate/Arbitraries.ts"
import { attempt, framings, type Overrule, sound, tag, type Trouble } from "../trouble/many.ts"

const { MODEL_PATH: path, MODEL_RUNS: runs, MODEL_SEED: seed } = process.env

const parameters = (usual: number): fc.Parameters<[Case]> => ({
  numRuns: runs === undefined ? usual : Number(runs),
  seed: seed === undefined ? 2920 : Number(seed),
  ...path === undefined ? {} : { path }
})

const limit = runs === undefined ? 120_000 : 3_600_000

/** A message before it has its number. */
interface Draft {
  readonly from: "ann" | "amy" | "spammer" | "eve" | null
  readonly to: ReadonlyArray<string>
  readonly policy: "any" | "all" | "each"
  /** Octets of its content. */
  readonly size: number
  /** It is made while it is sent, and may fail at its end. */
  readonly made: "fails" | "ends" | undefined
}

const draft: fc.Arbitrary<Draft> = fc.record({
  from: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("ann" as const, "amy" as const) },
    fc.constantFrom("spammer" as const, "eve" as const, null)
  ),
  to: fc.uniqueArray(fc.constantFrom("ben", "cat", "dan", "ghost", "fay@c.example", "none"), {
    minLength: 1,
    maxLength: 4
  }),
  policy: fc.oneof(
    { weight: 4, arbitrary: fc.constant("any" as const) },
    fc.constantFrom("all" as const, "each" as const)
  ),
  size: fc.oneof({ weight: 6, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.constantFrom(70_000, 300_000) }),
  made: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, fc.constantFrom("ends" as const, "fails" as const))
})

const drafted = ({ from, made, policy, size, to }: Draft, i: number): SmtpClient.Message => {
  const text = `Subject: ${i}\n\n${`.body of ${i}\n`.repeat(Math.ceil(size / 12))}`
  const pieces = Stream.encodeText(Stream.fromIterable(text.match(/[^]{1,50000}/g) ?? [], { chunkSize: 1 }))
  const stream = made === "fails" ? Stream.concat(pieces, Stream.fail(new Error("gone"))) : pieces
  return {
    from: from === null ? null : `${from}@a.example`,
    to: to.map((each) => each.includes("@") || each === "none" ? each : `${each}@b.example`),
    policy,
    // A stream is told by its text.
    content: made === undefined ? text : Object.assign(stream, { toString: () => text })
  }
}

/** What the server says at the turn of this number, in place of its own. */
interface Said {
  readonly turn: number
  readonly by: Reply.Reply | "drop"
}

const refusal = fc.constantFrom(
  Reply.make(421, "closing", "4.3.2"),
  Reply.make(450, "later", "4.2.0"),
  Reply.make(452, "too many recipients", "4.5.3"),
  Reply.make(503, "bad sequence", "5.5.1"),
  Reply.make(550, ["no", "and", "again no"], "5.0.0"),
  "drop" as const
)

const garbage: fc.Arbitrary<Reply.Reply> = fc.constantFrom(
  { code: 250, status: undefined, lines: ["\u0001 is no text"] },
  { code: 550, status: undefined, lines: ["\u0001 is no text"] }
)

const said = fc.record({ turn: fc.nat(80), by: fc.oneof({ weight: 5, arbitrary: refusal }, garbage) })

// Most of what passes is the first of it.
const place = fc.oneof({ weight: 4, arbitrary: fc.noBias(fc.nat(1500)) }, fc.nat(6000), fc.nat(400_000))
const side = fc.constantFrom<Faults.Side>("sent", "received")
const connection = fc.constantFrom({}, { connection: 0 }, { connection: 0 }, { connection: 1 })
const fault: fc.Arbitrary<Faults.Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(side, place, fc.constantFrom("reset" as const, "close" as const), connection)
      .map((given) => Faults.cut(...given))
  },
  { weight: 3, arbitrary: fc.tuple(side, place, connection).map((given) => Faults.stall(...given)) },
  fc.tuple(place, connection).map((given) => Faults.halfClose(...given)),
  fc.tuple(side, place, fc.constantFrom(1, 60_000, 600_000), connection).map((given) => Faults.delay(...given))
)

const slow: fc.Arbitrary<Faults.Fault> = fc.oneof(
  fc.tuple(side, fc.integer({ min: 1, max: 50 })).map((given) => Faults.split(...given)),
  fc.constantFrom(1, 1000).map((millis) => Faults.merge(millis)),
  fc.tuple(side, fc.constant(1)).map((given) => Faults.lag(...given))
)

interface Case {
  readonly framing: typeof framings[number]
  readonly drafts: ReadonlyArray<Draft>
  readonly said: ReadonlyArray<Said>
  readonly plan: Faults.Plan
  readonly server: NonNullable<Trouble["server"]>
  readonly chunk: NonNullable<Trouble["chunk"]>
}

const server = fc.record({
  maxMessages: fc.integer({ min: 1, max: 6 }),
  maxRecipients: fc.integer({ min: 1, max: 4 }),
  maxSize: fc.constantFrom(100_000, 10_000_000),
  limits: fc.record({
    rcptMax: fc.integer({ min: 1, max: 3 }),
    mailMax: fc.integer({ min: 1, max: 4 }),
    rcptDomainMax: fc.integer({ min: 1, max: 2 })
  }, { requiredKeys: [] }),
  greylist: fc.boolean()
}, { requiredKeys: [] })

const kind = (said: fc.Arbitrary<ReadonlyArray<Said>>, plan: fc.Arbitrary<Faults.Plan>): fc.Arbitrary<Case> =>
  fc.record({
    framing: fc.constantFrom("BDAT" as const, "DATA" as const, ...framings),
    drafts: fc.array(draft, { minLength: 1, maxLength: 12 }),
    said,
    plan,
    server,
    chunk: chunking
  })

const troubled = kind(fc.array(said, { maxLength: 3 }), fc.array(fault, { maxLength: 2 }))
const untroubled = kind(fc.constant([]), fc.array(slow, { maxLength: 2 }))

const overrule = (said: Case["said"]): Overrule => {
  let turns = 0
  return (turn) => {
    const now = turns++
    const by = said.find((each) => each.turn === now)?.by
    // RSET is refused by no server (RFC 5321 §4.1.1.5): with that, nothing more can be known.
    const refusesReset = turn._tag === "Rset" && by !== "drop" && by?.code !== 421
    return turn._tag === "Quit" || refusesReset ? undefined : by
  }
}

const play = ({ chunk, drafts, framing, plan, said, server }: Case) =>
  attempt(framing, { plan, server, chunk, messages: drafts.map(drafted), overrule: overrule(said) })

/** How often each kind of result came, so that laws are not kept by runs that never get far. */
class Tally {
  readonly counts: Map<string, number> = new Map()
  count(tag: string): void {
    this.counts.set(tag, (this.counts.get(tag) ?? 0) + 1)
  }
  expect(...tags: ReadonlyArray<string>): void {
    if (runs === undefined && path === undefined) assert.includeMembers([...this.counts.keys()], [...tags])
    else console.log(Object.fromEntries(this.counts))
  }
}

describe("sendAll", () => {
  it("keeps its laws whatever the server says and whatever happens", async () => {
    const tally = new Tally()
    await fc.assert(
      fc.asyncProperty(troubled, async (one) => {
        const seen = await play(one)
        sound(seen, "it")
        for (const sent of seen.results) tally.count(tag(sent))
        if (seen.failure !== undefined) tally.count(`failed: ${seen.failure.reason._tag}`)
      }),
      parameters(500)
    )
    tally.expect(
      "sent",
      "InDoubt",
      "ConnectionLost",
      "SenderRefused",
      "ContentRefused",
      "RecipientsRefused",
      "InvalidInput"
    )
  }, limit)

  it("does the same however slowly octets come, and however they are cut", async () => {
    const tally = new Tally()
    await fc.assert(
      fc.asyncProperty(untroubled, async (one) => {
        const seen = await play(one)
        sound(seen, "it")
        const plain = await play({ ...one, plan: [], chunk: (bytes) => [bytes] })
        const outcomes = ({ results }: typeof seen) =>
          JSON.parse(
            JSON.stringify(
              results.map(({ result }) =>
                result._tag === "Success" ? result.success.outcomes.map(({ _tag }) => _tag) : result.failure.reason
              ),
              // Replies may have the number of a message in them, and greylisting its time.
              (key, value: unknown) => key === "lines" ? undefined : value
            )
          ) as unknown
        assert.deepStrictEqual(outcomes(seen), outcomes(plain))
        assert.isUndefined(seen.failure)
        for (const sent of seen.results) {
          tally.count(tag(sent))
          assert.notInclude(["InDoubt", "ConnectionLost", "TimedOut", "OutOfSequence"], tag(sent))
          // One that takes more transactions than a connection has room for ends with that.
          if (one.server.limits === undefined) assert.notStrictEqual(tag(sent), "ServiceClosing")
        }
      }),
      parameters(120)
    )
    tally.expect("sent", "SenderRefused", "ContentRefused", "RecipientsRefused", "InvalidInput")
  }, limit)
})
