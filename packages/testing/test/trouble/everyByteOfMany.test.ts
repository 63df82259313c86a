/**
 * A handful of messages, broken everywhere: at every octet of both directions and at every turn of
 * the server. Each message is settled once and in order, nothing is lost and nothing comes twice.
 */
import { assert, describe, it } from "@effect/vitest"
import { Reply } from "@postern/core"
import { Faults } from "@postern/testing"
import { attempt, type Framing, framings, measure, type Overrule, recovered, type Seen, sound } from "./many.ts"

/** For a machine that does much else. */
const time = 120_000

/** 0 to this, in steps. */
const range = (to: number, step = 1): ReadonlyArray<number> =>
  Array.from({ length: Math.floor(to / step) + 1 }, (_, i) => i * step)

/** What has most on its way is gone through octet by octet. */
const steps: Readonly<Record<Framing, number>> = { DATA: 2, BDAT: 1, "one by one": 5, LMTP: 5 }

/** Runs all cases and tells of every one that goes wrong, not the first alone. */
const run = async (cases: Iterable<readonly [string, () => Promise<void>]>): Promise<void> => {
  const wrong: Array<string> = []
  let count = 0
  for (const [what, one] of cases) {
    count++
    await one().catch((error: unknown) =>
      wrong.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
    )
  }
  assert.isAbove(count, 30)
  assert.deepStrictEqual(wrong.slice(0, 8), [], `${wrong.length} of ${count}`)
}

/** At the turn of this number this is said; the first connection only. */
const atTurn = (number: number, say: Reply.Reply | "drop"): Overrule => {
  let turns = 0
  return (turn) => turn._tag === "Quit" ? undefined : turns++ === number ? say : undefined
}

/** Without a session to begin with there is nothing to go on with. */
const judge = (seen: Seen, what: string): void => {
  if (!/^MAIL /m.test(seen.written.join("")) && seen.failure !== undefined) return sound(seen, what)
  recovered(seen, what)
}

describe.each(framings)("messages by %s, broken by a cut of the first connection", (framing) => {
  it.each(["reset", "close"] as const)("at every octet that is sent: %s", async (how) => {
    const { sent } = await measure(framing)
    await run(
      range(sent, how === "reset" ? steps[framing] : 3 * steps[framing]).map((
        n
      ) => [`${how} after ${n} octets sent`, async () => {
        const seen = await attempt(framing, { plan: [Faults.cut("sent", n, how, { connection: 0 })] })
        judge(seen, `sent ${n}`)
      }])
    )
  }, time)

  it.each(["reset", "close"] as const)("at every octet that is received: %s", async (how) => {
    const { received } = await measure(framing)
    await run(
      range(received, how === "reset" ? steps[framing] : 3 * steps[framing]).map((
        n
      ) => [`${how} after ${n} octets received`, async () => {
        const seen = await attempt(framing, { plan: [Faults.cut("received", n, how, { connection: 0 })] })
        judge(seen, `received ${n}`)
      }])
    )
  }, time)
})

describe.each(framings)("messages by %s, broken for good", (framing) => {
  it("every connection is cut at every octet", async () => {
    const { received, sent } = await measure(framing)
    await run([
      ...range(sent, 2 + steps[framing]).map((n) =>
        [`${n} sent`, async () => {
          sound(await attempt(framing, { plan: [Faults.cut("sent", n)] }), `sent ${n}`)
        }] as const
      ),
      ...range(received, 2 + steps[framing]).map((n) =>
        [`${n} received`, async () => {
          sound(await attempt(framing, { plan: [Faults.cut("received", n)] }), `received ${n}`)
        }] as const
      )
    ])
  }, time)

  it("silence at every octet", async () => {
    const { received, sent } = await measure(framing)
    await run([
      ...range(sent, 2 + steps[framing]).map((n) =>
        [`${n} sent`, async () => {
          sound(await attempt(framing, { plan: [Faults.stall("sent", n, { connection: 0 })] }), `sent ${n}`)
        }] as const
      ),
      ...range(received, 2 + steps[framing]).map((n) =>
        [`${n} received`, async () => {
          sound(await attempt(framing, { plan: [Faults.stall("received", n, { connection: 0 })] }), `received ${n}`)
        }] as const
      )
    ])
  }, time)
})

const malformed: Reply.Reply = { code: 250, status: undefined, lines: ["\u0001 is no text"] }

describe.each(framings)("messages by %s, and a server that says something else at one turn", (framing) => {
  it.each<readonly [string, Reply.Reply | "drop"]>([
    ["421", Reply.make(421, "closing", "4.3.2")],
    ["nothing, and closes", "drop"],
    ["450", Reply.make(450, "later", "4.2.0")],
    ["550", Reply.make(550, "no", "5.0.0")],
    ["503", Reply.make(503, "bad sequence", "5.5.1")],
    ["garbage", malformed]
  ])("%s", async (_, say) => {
    // Every command and every content, and more than that.
    await run(
      range(60).map((n) => [`at turn ${n}`, async () => {
        const seen = await attempt(framing, { overrule: atTurn(n, say) })
        sound(seen, `at turn ${n}`)
      }])
    )
  }, time)
})
