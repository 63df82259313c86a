import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import type { SmtpClient } from "@postern/core"
import { SmtpPool } from "@postern/node"
import { Effect, Exit, Fiber, Result, Schedule, Scope, Stream } from "effect"
import * as Ground from "../machine/Ground.ts"
import * as Postfix from "../servers/Postfix.ts"
import type { Arrived, Server } from "../servers/Server.ts"
import { text } from "./letters.ts"
import { accountOptions } from "./running.ts"

// So many messages; `npm run soak` has 100,000.
const messages = Number(process.env["SOAK_MESSAGES"] ?? 3000)
const restarts = Number(process.env["SOAK_RESTARTS"] ?? 4)

const letter = (number: number): SmtpClient.Message => ({
  from: "ann@example.test",
  to: "ben@example.test",
  content: `From: ann@example.test\r\nX-Soak: ${number}.\r\nSubject: soak\r\n\r\n${"x".repeat(200 + number % 800)}\r\n`
})

/** For each number that arrived, the queue ids under which it did. */
const arrivals = (all: ReadonlyArray<Arrived>): ReadonlyMap<number, ReadonlyArray<string>> => {
  const found = new Map<number, Array<string>>()
  for (const { octets } of all) {
    const whole = text(octets)
    const number = Number(/^X-Soak: (\d+)\.\r$/m.exec(whole)?.[1] ?? "-1")
    const id = /\sid ([0-9A-F]+)\s/.exec(whole)?.[1] ?? "?"
    const ids = found.get(number)
    if (ids === undefined) found.set(number, [id])
    else ids.push(id)
  }
  return found
}

type Fate = "sent" | "in doubt" | "not sent"

const fateOf = (result: SmtpClient.Sent["result"]): Fate =>
  Result.isSuccess(result) ? "sent" : result.failure.reason._tag === "InDoubt" ? "in doubt" : "not sent"

// Killed and started again, until the scope ends; then it runs for good.
const restarting = Effect.fnUntraced(function*(server: Server, progress: () => number) {
  let life = yield* Scope.make()
  let daemon = yield* Scope.provide(server.run, life)
  let done = 0
  const restart = Effect.gen(function*() {
    yield* daemon.kill
    yield* Scope.close(life, Exit.void)
    life = yield* Scope.make()
    daemon = yield* Scope.provide(server.run, life)
    done++
  })
  const due = () => done < restarts && progress() >= (done + 1) * messages / (restarts + 1)
  yield* Effect.addFinalizer(() => Scope.close(life, Exit.void))
  const fiber = yield* Effect.forkScoped(
    Effect.repeat(Effect.andThen(Effect.sleep("10 millis"), Effect.suspend(() => due() ? restart : Effect.void)), {
      until: () => done === restarts
    })
  )
  return { restarted: () => done, settled: Fiber.join(fiber) }
})

const soak = Effect.gen(function*() {
  const identities = yield* Ground.identities
  const server = yield* Postfix.withDovecot.setUp({ identities })
  const fates = new Map<number, Fate>()
  const { restarted, settled } = yield* restarting(server, () => fates.size)
  const memory: Array<number> = []
  const sampling = yield* Effect.forkScoped(
    Effect.forever(
      Effect.andThen(Effect.sync(() => memory.push(process.memoryUsage().heapUsed)), Effect.sleep("50 millis"))
    )
  )
  const pool = SmtpPool.layerTcp({
    ...accountOptions({ server, identities }),
    backOff: Schedule.spaced("100 millis"),
    retry: Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: 300 }), Schedule.setInputType<unknown>())
  })
  const started = performance.now()
  yield* Effect.gen(function*() {
    const { sendAll } = yield* SmtpPool.SmtpPool
    const all = Stream.map(Stream.range(1, messages), letter)
    yield* Stream.runForEach(sendAll(all), ({ message, result }) =>
      Effect.sync(() => {
        const number = Number(/X-Soak: (\d+)\./.exec(String(message.content))?.[1])
        assert.isFalse(fates.has(number), "each message has one fate")
        fates.set(number, fateOf(result))
      }))
  }).pipe(Effect.provide(pool), Effect.raceFirst(Effect.andThen(settled, Effect.never)))
  const seconds = (performance.now() - started) / 1000
  yield* Fiber.interrupt(sampling)
  yield* settled

  // What Postfix took is delivered, however long that takes.
  const count = (fate: Fate) => [...fates.values()].filter((each) => each === fate).length
  const missing = (there: ReadonlyMap<number, unknown>) =>
    [...fates].filter(([number, fate]) => fate === "sent" && !there.has(number)).map(([number]) => number)
  const there = yield* Effect.repeat(Effect.map(server.mailbox, arrivals), {
    schedule: Schedule.spaced("1 second"),
    until: (there) => missing(there).length === 0,
    times: 120
  })

  const twice = [...there].filter(([, ids]) => new Set(ids).size > 1)
  const inDoubtThere = [...fates].filter(([number, fate]) => fate === "in doubt" && there.has(number)).length
  // What is left when garbage has been collected: the least of a quarter.
  const held = [0, 1, 2, 3].map((quarter) => {
    const part = memory.slice(quarter * memory.length / 4, (quarter + 1) * memory.length / 4)
    return Math.round(Math.min(...part) / 2 ** 20)
  })
  const report = {
    messages,
    restarts: restarted(),
    seconds: Math.round(seconds),
    "messages a second": Math.round(messages / seconds),
    sent: count("sent"),
    "in doubt": count("in doubt"),
    "in doubt, and arrived": inDoubtThere,
    "not sent": count("not sent"),
    arrived: there.size,
    "delivered twice by Postfix itself": [...there.values()].filter((ids) => ids.length > new Set(ids).size).length,
    "MiB held, quarter by quarter": held
  }
  console.log(report)

  assert.strictEqual(fates.size, messages, "each message has a fate")
  assert.deepStrictEqual(missing(there), [], "what was called sent is there")
  assert.deepStrictEqual(twice, [], "nothing was handed over twice")
  const ghosts = [...fates].filter(([number, fate]) => fate === "not sent" && there.has(number))
  assert.deepStrictEqual(ghosts, [], "what was called not sent is not there")
  assert.strictEqual(report.restarts, restarts)
  // The fates of all messages are kept here, some hundred octets each; of the pool nothing may be left of a message.
  const [, second = 0, , last = 0] = held
  assert.isBelow(last - second, 16 + messages / 2000, "memory is flat")
  return report
})

describe("soak", () => {
  it.live(
    `${messages} messages, ${restarts} restarts`,
    () => Effect.scoped(soak).pipe(Effect.provide(NodeServices.layer)),
    600_000 + messages * 30
  )
})
