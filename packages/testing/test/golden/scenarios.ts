/**
 * What was recorded with real servers, and is replayed: the same programs in both cases.
 */
import { Mechanism, SmtpClient, type Transport } from "@postern/core"
import { Effect, Redacted, Result, Stream } from "effect"

/** The key of the recordings: secret of nothing, it has them replay proofs as they were. */
export const key = Redacted.make("the key of the golden recordings, which is no secret")

/** Where the server is, and who may log in there. */
export interface Site {
  readonly options: SmtpClient.Options
  readonly user: string
  readonly password: string
}

/** A dialogue, and in a line what came of it. */
export interface Scenario {
  readonly name: string
  readonly run: (site: Site) => Effect.Effect<string, never, Transport.Transport>
}

const from = "ann@example.test"
const content = "From: ann@example.test\nSubject: golden\n\nHello.\n.\n..dots\n"

const told = <R>(
  { options }: Site,
  credentials: Mechanism.Credentials | undefined,
  asks: (
    client: SmtpClient.SmtpClient["Service"]
  ) => Effect.Effect<string, { readonly reason: { readonly _tag: string } }, R>
) =>
  Effect.flatMap(
    SmtpClient.make({ ...options, domain: "client.example.test", ...(credentials && { credentials }) }),
    asks
  )
    .pipe(Effect.catch(({ reason }) => Effect.succeed(reason._tag)))

const password = ({ password, user }: Site) => Mechanism.password(user, Redacted.make(password))

const tags = ({ outcomes }: SmtpClient.Receipt) => outcomes.map(({ _tag }) => _tag).join(" ")

const one = (to: ReadonlyArray<string>) => (client: SmtpClient.SmtpClient["Service"]) =>
  Effect.map(client.send({ from, to: to.map((name) => `${name}@example.test`), content }), tags)

/** All of them. */
export const scenarios: ReadonlyArray<Scenario> = [
  { name: "a message", run: (site) => told(site, password(site), one(["ben"])) },
  {
    name: "each recipient its own",
    run: (site) => told(site, password(site), one(["ben", "unknown", "cat", "later"]))
  },
  {
    name: "a wrong password",
    run: (site) => told(site, password({ ...site, password: "battery-staple" }), one(["ben"]))
  },
  {
    name: "relaying without a login",
    run: (site) =>
      told(site, undefined, (client) => Effect.map(client.send({ from, to: "out@elsewhere.test", content }), tags))
  },
  {
    name: "many messages",
    run: (site) =>
      told(site, password(site), ({ sendAll }) => {
        const messages = Stream.map(Stream.range(1, 5), (number) => ({
          from,
          to: number === 3 ? "unknown@example.test" : "ben@example.test",
          content: `${content}${number}\n`
        }))
        return Effect.map(
          Stream.runCollect(sendAll(messages)),
          (all) => all.map(({ result }) => Result.isSuccess(result) ? "sent" : result.failure.reason._tag).join(" ")
        )
      })
  }
]
