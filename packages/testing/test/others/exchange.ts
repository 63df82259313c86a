/**
 * Exchanges that other people's tests describe, as cases of ours: what the server says and what
 * a right client says are facts; the words of the scripts are ours.
 */
import { assert, describe, it } from "@effect/vitest"
import { SmtpClient, type SmtpError, type Transport } from "@postern/core"
import { ScriptedServer, VirtualTime } from "@postern/testing"
import { Effect, type Scope } from "effect"

/** What an exchange is asked of. */
export type Client = SmtpClient.SmtpClient["Service"]

/** One exchange. */
export interface Exchange {
  /** What happens, as the end of a sentence that begins with the name of the project. */
  readonly name: string
  /** Where it is from: the file and the test in it, of the version that the collection names. */
  readonly from: string
  /** A script for `ScriptedServer.parse`, or one for each connection. */
  readonly script: string | ReadonlyArray<string> | ScriptedServer.Script | ReadonlyArray<ScriptedServer.Script>
  readonly options?: Partial<SmtpClient.Options> | undefined
  /** What the client is asked to do. */
  readonly asks: (client: Client) => Effect.Effect<unknown, SmtpError.SmtpError, Scope.Scope>
  /** Looks at what came of it. Called with what `asks` gives, or its error. */
  readonly finds: (outcome: Outcome) => void
}

/** What came of it. */
export type Outcome =
  | { readonly _tag: "Succeeds"; readonly value: unknown }
  | { readonly _tag: "Fails"; readonly error: SmtpError.SmtpError }

/** A test of theirs that asks for something else than we do. */
export interface Difference {
  readonly from: string
  /** What their client does, in a clause. */
  readonly theirs: string
  /** What ours does. */
  readonly ours: string
  /** Why. */
  readonly reason: string
}

/** All that was taken from one project. */
export interface Collection {
  readonly project: string
  /** Which version was read: a tag or a commit, and its date. */
  readonly version: string
  readonly url: string
  readonly exchanges: ReadonlyArray<Exchange>
  readonly differences: ReadonlyArray<Difference>
  /** Tests of theirs that are about something we do not have, or that say nothing about the wire: a line each kind. */
  readonly leftOut: ReadonlyArray<string>
}

const parsed = (script: Exchange["script"]) =>
  Effect.forEach(
    typeof script === "string" ? [script] : isOne(script) ? [script] : script,
    (one: string | ScriptedServer.Script) =>
      typeof one === "string" ? Effect.fromResult(ScriptedServer.parse(one)) : Effect.succeed(one)
  )

const isOne = (
  script: Exclude<Exchange["script"], string>
): script is ScriptedServer.Script => script.every((step) => typeof step !== "string" && "_tag" in step)

const play = (exchange: Exchange): Effect.Effect<Outcome, unknown, Transport.Transport> =>
  SmtpClient.make({ endpoint: "mail.example:25", security: "plain", domain: "client.example", ...exchange.options })
    .pipe(
      Effect.flatMap((client) => Effect.scoped(exchange.asks(client))),
      // Options that no client can be made with are an outcome, too.
      Effect.match({
        onSuccess: (value): Outcome => ({ _tag: "Succeeds", value }),
        onFailure: (error): Outcome => ({ _tag: "Fails", error })
      })
    )

/** A test of each exchange: the script is followed to its end, and the outcome is what it should be. */
export const replayed = (collection: Collection): void => {
  describe(`${collection.project} ${collection.version}`, () => {
    it.live.each(collection.exchanges.map((exchange) => [exchange.name, exchange] as const))(
      "%s",
      ([, exchange]) =>
        Effect.gen(function*() {
          const scripts = yield* parsed(exchange.script)
          exchange.finds(yield* ScriptedServer.run(scripts, play(exchange)))
        }).pipe(Effect.provide(VirtualTime.layer()))
    )

    it("names each case once, and where it is from", () => {
      const names = collection.exchanges.map(({ name }) => name)
      assert.strictEqual(new Set(names).size, names.length)
      for (const { from } of [...collection.exchanges, ...collection.differences]) assert.isNotEmpty(from)
    })
  })
}
