import { assert, describe, it } from "@effect/vitest"
import { SmtpClient, type Transport } from "@postern/core"
import { Departure, ScriptedServer, VirtualTime } from "@postern/testing"
import { Cause, Clock, Effect, Exit, Result } from "effect"

const { ends, handshake, hears, resets, says, saysOctets, stalls, waits } = ScriptedServer

const client = SmtpClient.layer({ endpoint: "mx.example:25", security: "plain", domain: "client.example" })
const probe = Effect.scoped(Effect.flatMap(SmtpClient.SmtpClient, ({ open }) => open)).pipe(Effect.provide(client))

const greeting: ScriptedServer.Script = [
  says("220 mx.example ESMTP"),
  hears("EHLO client.example"),
  says("250 mx.example")
]
const quits: ScriptedServer.Script = [hears("QUIT"), says("221 bye"), ends]

const run = <A, E>(
  script: ScriptedServer.Script,
  program: Effect.Effect<A, E, Transport.Transport>
) => Effect.runPromiseExit(Effect.provide(ScriptedServer.run(script, program), VirtualTime.layer()))

const messageOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.isFailure(exit) ? Result.getOrUndefined(Cause.findError(exit.cause)) : undefined
  return error instanceof Departure.Departure ? error.message : `no departure: ${String(exit)}`
}

describe("ScriptedServer.run", () => {
  it("lets a client pass that follows it", async () => {
    assert.isTrue(Exit.isSuccess(await run([...greeting, ...quits], probe)))
  })

  it("shows a client that says something else, with a pointer to where", async () => {
    const script = [says("220 mx.example ESMTP"), hears("EHLO client.example.org"), says("250 mx.example"), ...quits]
    assert.strictEqual(
      messageOf(await run(script, probe)),
      [
        "the client departs from the script at event 2 of connection 0: it says something else",
        "    S: 220 mx.example ESMTP\\r\\n",
        "  - EHLO client.example.org\\r\\n",
        "  + EHLO client.example\\r\\n",
        "                       ^"
      ].join("\n")
    )
  })

  it.each<[string, ScriptedServer.Script, string]>([
    ["says more", [...greeting], "it says more"],
    ["stops early", [...greeting, ...quits.slice(0, 2), hears("NOOP")], "it stops here"],
    ["waits where it should speak", [...greeting, hears("NOOP")], "it says something else"],
    [
      "speaks too early",
      [says("220 a"), hears("EHLO client.example"), says("250 a"), says("250 b"), ...quits],
      "it speaks"
    ],
    ["begins no TLS", [...greeting, handshake(), ...quits], "it speaks out of turn"]
  ])("tells a client that %s", async (_, script, how) => {
    assert.include(messageOf(await run(script, probe)), how)
  })

  it("tells it though the program catches everything", async () => {
    const swallowing = Effect.catchCause(probe, () => Effect.void)
    assert.include(messageOf(await run([...greeting, hears("NOOP")], swallowing)), "- NOOP")
  })

  it("has its delays in virtual time, and its silence ended by limits", async () => {
    const at = Effect.andThen(probe, Clock.currentTimeMillis)
    assert.deepStrictEqual(await run([waits("200 seconds"), ...greeting, ...quits], at), Exit.succeed(200_000))
    const silent = Effect.andThen(Effect.flip(probe), Clock.currentTimeMillis)
    assert.deepStrictEqual(await run([stalls], silent), Exit.succeed(300_000))
  })

  it("breaks off as it says", async () => {
    for (const [end, detail] of [[ends, "closed"], [resets, "reset"]] as const) {
      const exit = await run([says("220 mx.example ESMTP"), hears("EHLO client.example"), end], Effect.flip(probe))
      assert.include(Exit.isSuccess(exit) ? exit.value.message : "", detail)
    }
  })

  it("says octets as they are, cut as it is told", async () => {
    const script = [saysOctets(Uint8Array.of(0x32, 0x32, 0x30, 0x20, 0xff, 13, 10)), ...greeting.slice(1), ...quits]
    const chunk = (bytes: Uint8Array) => Array.from(bytes, (octet) => Uint8Array.of(octet))
    const exit = await Effect.runPromiseExit(ScriptedServer.run(script, probe, { chunk }))
    assert.isTrue(Exit.isSuccess(exit))
  })

  it("has a script for each connection, and tells of one too many", async () => {
    const both = Effect.andThen(probe, probe)
    const one: ScriptedServer.Script = [...greeting, ...quits]
    assert.isTrue(Exit.isSuccess(await Effect.runPromiseExit(ScriptedServer.run([one, one], both))))
    assert.include(messageOf(await run(one, both)), "another connection")
  })
})

describe("ScriptedServer.parse", () => {
  it("reads what people write", async () => {
    const script = Result.getOrThrow(ScriptedServer.parse(`
      # a server that is slow to greet
      -- wait 30 seconds
      S: 220 mx.example ESMTP
      C: EHLO client.example
      S: 250-mx.example
      S: 250 SIZE 1000

      C: QUIT
      S: 221 bye
      -- close
    `))
    assert.deepStrictEqual(script.map(({ _tag }) => _tag), ["Waits", "Says", "Hears", "Says", "Hears", "Says", "Ends"])
    assert.deepStrictEqual(await run(script, Effect.andThen(probe, Clock.currentTimeMillis)), Exit.succeed(30_000))
  })

  it.each([["S 220 hi", 1], ["S: 220 hi\n-- nap", 2], ["\n\n-- wait soon", 3], ["-- constructor", 1]])(
    "says which line of %j it does not understand",
    (text, line) => {
      const parsed = ScriptedServer.parse(text)
      assert.strictEqual(Result.isFailure(parsed) ? parsed.failure.line : undefined, line)
    }
  )
})
