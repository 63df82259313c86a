/**
 * Plays a scenario: a client, a server in memory, no time but the test's. What is observed
 * is observed from outside: at the wire, and at each turn of the server.
 */
import { Choose, CramMd5, Login, Mechanism, Plain, Reply, SmtpClient, type SmtpError, Transport } from "@postern/core"
import { Effect, type Exit, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Chunking } from "../../src/generate/Arbitraries.ts"
import { Faults, InMemory, type ServerMachine } from "../../src/index.ts"
import type * as Site from "../../src/server/Site.ts"
import { type AuthenticatorName, localDomain, type MechanismName, recipients, type Scenario } from "./scenario.ts"
import type { Fault, Overruled, Place } from "./trouble.ts"

/** What went over one wire, in order. */
export type Passed =
  | { readonly _tag: "Wrote"; readonly bytes: Uint8Array; readonly tls: boolean }
  | { readonly _tag: "Read"; readonly bytes: Uint8Array; readonly tls: boolean }

export interface Observation {
  /** Undefined when the client did not come to an end. */
  readonly exit: Exit.Exit<SmtpClient.Receipt, SmtpError.SmtpError> | undefined
  readonly inbox: ReadonlyArray<ServerMachine.Message>
  readonly sessions: ReadonlyArray<Site.Session>
  /** Each turn of the server, and what it was made to say. */
  readonly turns: ReadonlyArray<
    {
      readonly turn: ServerMachine.Turn
      readonly connection: number
      readonly tls: boolean
      readonly overruled: Overruled | undefined
    }
  >
  readonly wires: ReadonlyArray<ReadonlyArray<Passed>>
  /** Wires that the client has not let go of, and connections that the server still has. */
  readonly held: number
  /** Octets that either side sent in all. */
  readonly sent: number
  readonly received: number
}

const mechanisms: Readonly<Record<MechanismName, Mechanism.Mechanism>> = {
  "PLAIN": Plain.plain,
  "LOGIN": Login.login,
  "CRAM-MD5": CramMd5.cramMd5
}

const authenticators: Readonly<Record<AuthenticatorName, Choose.Authenticator>> = {
  "standard": Choose.standard,
  "only PLAIN": Choose.only(Choose.standard, "PLAIN"),
  "CRAM-MD5 then LOGIN": Choose.inOrder(CramMd5.cramMd5, Login.login),
  "LOGIN at once": Choose.inOrder(Login.loginWithInitialResponse),
  "PLAIN also without TLS": Choose.automatic(Mechanism.allowWithoutTls(Plain.plain), CramMd5.cramMd5)
}

/** The words of a client that upgrades wherever it can, to an attacker's list: after the handshake none of it may count. */
const lie = (offersStartTls: boolean): Reply.Reply =>
  Reply.make(250, [
    "mx.example",
    "SIZE 1",
    "AUTH X-LIE",
    "8BITMIME",
    "SMTPUTF8",
    "PIPELINING",
    ...offersStartTls ? ["STARTTLS"] : []
  ])

const isLiedTo = ({ client, policy }: Scenario): boolean =>
  policy.liesBeforeTls && !policy.tlsNotNow && policy.ehlo && policy.tls === "startTls" && client.security !== "plain"
  && client.security !== "tls"

type Turns = Array<Observation["turns"][number]>

const serverConfig = (scenario: Scenario, turns: Turns): ServerMachine.Config => {
  const { client: { credentials }, policy } = scenario
  const { account, extensions, mechanisms: names, relays } = policy
  const password = account === "known" ? credentials?.password ?? "" : "something else"
  const user = account === "unknown" ? "somebody else" : credentials?.user ?? "nobody"
  return {
    ehlo: policy.ehlo,
    extensions,
    startTls: policy.tls === "startTls",
    implicitTls: policy.tls === "implicit",
    requireTls: policy.requireTls,
    injectAfterStartTls: policy.inject ? "250 injected\r\n" : undefined,
    mechanisms: names.map((name) => mechanisms[name]),
    accounts: { [user]: Redacted.make(password) },
    authBeforeTls: policy.authBeforeTls,
    legacyAuth: policy.legacyAuth,
    requireAuth: policy.requireAuth,
    localDomains: relays ? [localDomain] : undefined,
    unknownUsers: recipients.filter(({ unknown }) => unknown === true).map(({ address }) => address),
    greylist: policy.greylist,
    maxSize: policy.maxSize,
    maxRecipients: policy.maxRecipients,
    greeting: policy.greeting === 220 ? undefined : Reply.make(policy.greeting, "not now"),
    reply: (turn, { memory: { connections: connection }, tls }) => {
      const before = turns.filter((other) => other.turn._tag === turn._tag).length
      const overruled = scenario.overruled.find((it) => it.turn === turn._tag && it.nth === before)
      turns.push({ turn, connection, tls, overruled })
      if (overruled !== undefined) return insteadOf(turn, overruled.by)
      if (turn._tag === "StartTls" && policy.tlsNotNow) return Reply.make(454, "TLS not available now", "4.7.0")
      if (turn._tag === "Auth" && policy.account === "in transition" && (tls || !policy.requireTls)) {
        return Reply.make(432, "A password transition is needed", "4.7.12")
      }
      return turn._tag === "Ehlo" && !tls && isLiedTo(scenario) ? lie(policy.tls === "startTls") : undefined
    }
  }
}

const insteadOf = (turn: ServerMachine.Turn, by: Overruled["by"]): Reply.Reply | "drop" => {
  switch (by._tag) {
    case "Drop":
      return "drop"
    case "Reply": {
      const digit = Math.floor(by.code / 100)
      return Reply.make(by.code, by.lines, by.status === undefined || digit === 3 ? undefined : `${digit}.${by.status}`)
    }
    case "Echo":
      return Reply.make(by.code, said(turn))
    // Made by force: a server's words are not bound by types.
    case "Extra":
      return { code: by.code, status: undefined, lines: [`first\r\n${by.second} second`] }
    case "Malformed":
      return { code: by.code, status: undefined, lines: ["\u0001 is no text"] }
  }
}

/** Everything that a server learns from AUTH. */
const said = (turn: ServerMachine.Turn): string => {
  const secret = turn._tag === "Auth" ? turn.initialResponse : turn._tag === "AuthResponse" ? turn.response : undefined
  if (secret === undefined) return "you said nothing"
  const bytes = Redacted.value(secret)
  return `you said ${Buffer.from(bytes).toString("base64")}, that is ${
    Buffer.from(bytes).toString().replaceAll("\0", " ")
  }`
}

const tlsProblems: Readonly<
  Record<Extract<Fault, { _tag: "Tls" }>["problem"], Transport.TransportProblem | undefined>
> = {
  expired: { _tag: "CertificateRefused", problem: "expired", detail: "it expired" },
  HandshakeFailed: { _tag: "HandshakeFailed", code: "ERR_SSL_NO_SHARED_CIPHER", detail: "no shared cipher" },
  NotTls: { _tag: "NotTls", firstBytes: new Uint8Array([72, 84, 84, 80]) },
  PlaintextBuffered: { _tag: "PlaintextBuffered", bytes: new Uint8Array([50, 53, 48]) },
  Closed: { _tag: "Closed" },
  "no answer": undefined,
  Broken: { _tag: "Broken", code: "ECONNRESET", detail: "reset" }
}

// Sides are the server's there, and the client's here.
const plan = (fault: Fault | undefined, undisturbed: Observation | undefined): Faults.Plan => {
  const where = ({ from, octets }: Place, total: number): number =>
    from === "start" ? octets : Math.max(0, total - octets)
  switch (fault?._tag) {
    case "Cut": {
      const { how, side } = fault
      return [
        Faults.cut(
          side === "sent" ? "received" : "sent",
          where(fault.at, undisturbed?.[side] ?? 0),
          how === "Closed" ? "close" : "reset"
        )
      ]
    }
    case "Silence":
      return [Faults.stall("received", where(fault.at, undisturbed?.sent ?? 0))]
    default:
      return []
  }
}

/** Notes what passes over each wire and who still holds one. */
class Tap {
  readonly wires: Array<Array<Passed>> = []
  /** What handshakes come to. */
  readonly handshakes: "end" | "never end" | Transport.TransportProblem
  held = 0

  constructor(handshakes: Tap["handshakes"]) {
    this.handshakes = handshakes
  }

  over(transport: Transport.Transport["Service"]): Transport.Transport["Service"] {
    return { open: (peer) => Effect.flatMap(transport.open(peer), (wire) => this.attach(wire)) }
  }

  attach(wire: Transport.Wire): Effect.Effect<Transport.Wire, never, Scope.Scope> {
    const passed: Array<Passed> = []
    let tls = false
    const attached: Transport.Wire = {
      read: Effect.tap(wire.read, (bytes) =>
        Effect.sync(() => {
          passed.push({ _tag: "Read", bytes, tls })
        })),
      write: (bytes) =>
        Effect.suspend(() => {
          passed.push({ _tag: "Wrote", bytes, tls })
          return wire.write(bytes)
        }),
      // One that never ends, or fails, fails otherwise where it cannot begin.
      upgradeTls: (options) =>
        Effect.tap(wire.upgradeTls(options), () => {
          if (this.handshakes === "never end") return Effect.never
          if (this.handshakes !== "end") {
            return Effect.fail(new Transport.TransportError({ reason: this.handshakes }))
          }
          return Effect.sync(() => {
            tls = true
          })
        })
    }
    return Effect.acquireRelease(
      Effect.sync(() => {
        this.held++
        this.wires.push(passed)
        return attached
      }),
      () =>
        Effect.sync(() => {
          this.held--
        })
    )
  }
}

/** Longer than all time limits of a session together. */
const mostHours = 48

/** How the client comes to its end: by itself, or interrupted as soon as it waits. */
export type Ending = "by itself" | "interrupted"

const playOnce = Effect.fnUntraced(function*(
  scenario: Scenario,
  chunk: Chunking | undefined,
  ending: Ending,
  undisturbed: Observation | undefined
) {
  const turns: Turns = []
  const { fault } = scenario
  const server = yield* InMemory.make(serverConfig(scenario, turns), { chunk })
  const tap = new Tap(fault?._tag === "Tls" ? tlsProblems[fault.problem] ?? "never end" : "end")
  const { client: { authenticator, credentials, port, security }, letter: { content, from, to } } = scenario
  const client = yield* SmtpClient.make({
    endpoint: `mx.example:${port}`,
    security,
    authenticator: authenticators[authenticator],
    credentials: credentials
      && Mechanism.password(credentials.user, Redacted.make(credentials.password), credentials.authorizationId)
  }).pipe(Effect.provideService(Transport.Transport, tap.over(Faults.wrap(server.transport, plan(fault, undisturbed)))))
  const sending = client.send({ from: from.address, to: to.map(({ address }) => address), content })
  const fiber = yield* Effect.forkChild(sending, { startImmediately: true })
  if (ending === "interrupted") fiber.interruptUnsafe()
  for (let hours = 0; fiber.pollUnsafe() === undefined && hours < mostHours; hours++) yield* TestClock.adjust("1 hour")
  const exit = fiber.pollUnsafe()
  const held = tap.held + (yield* server.open)
  fiber.interruptUnsafe()
  const count = (tag: Passed["_tag"]) =>
    tap.wires.flat().reduce((sum, it) => it._tag === tag ? sum + it.bytes.length : sum, 0)
  const observation: Observation = {
    exit,
    inbox: yield* server.inbox,
    sessions: yield* server.sessions,
    turns,
    wires: tap.wires,
    held,
    sent: count("Read"),
    received: count("Wrote")
  }
  return observation
})

/** Plays it; faults counted from the end of an undisturbed run have that played before. */
export const play = (
  scenario: Scenario,
  chunk: Chunking | undefined,
  ending: Ending = "by itself"
): Promise<Observation> =>
  Effect.gen(function*() {
    const { fault } = scenario
    const relative = fault !== undefined && fault._tag !== "Tls" && fault.at.from === "end"
    const undisturbed = relative
      ? yield* Effect.provide(
        playOnce({ ...scenario, fault: undefined }, undefined, "by itself", undefined),
        TestClock.layer()
      )
      : undefined
    return yield* Effect.provide(playOnce(scenario, chunk, ending, undisturbed), TestClock.layer())
  }).pipe(Effect.runPromise)
