/**
 * How a session begins: the greeting, then EHLO, and HELO for servers that know no
 * EHLO (RFC 5321 §3.2).
 */
import type { TlsFacts } from "../run/Transport.ts"
import type * as Address from "../wire/Address.ts"
import * as Command from "../wire/Command.ts"
import type * as Expect from "../wire/Expect.ts"
import * as Result from "effect/Result"
import * as Program from "./Program.ts"
import { type Facts, Session } from "./Session.ts"

/** Waits for the greeting. `tls` is what a handshake before it agreed on. Fails with the refusal. */
export const greet = Program.fn(function*(host: string, tls: TlsFacts | undefined, port?: number, lmtp?: boolean) {
  const greeting = yield* Program.greeting
  const facts = { host, port, greeting, capabilities: undefined, tls, authenticated: undefined }
  return new Session("greeted", lmtp === true ? { ...facts, lmtp } : facts)
})

/**
 * Says EHLO (LHLO in LMTP, RFC 2033), and HELO when that is refused for good by a server that may not know it.
 * When both are refused it fails with the refusal of EHLO, or of HELO when that is not
 * for good.
 */
export const hello = Program.fn(function*(session: Session<"greeted">, domain: Address.Domain) {
  if (session.facts.lmtp === true) return ready(session, { capabilities: yield* Program.send(Command.lhlo(domain)) })
  const [extended] = yield* Program.exchange(Command.ehlo(domain))
  if (Result.isSuccess(extended)) return ready(session, { capabilities: extended.success })
  if (!mayNotKnowEhlo(extended.failure)) return yield* Program.fail(extended.failure)
  const [plain] = yield* Program.exchange(Command.helo(domain))
  if (Result.isFailure(plain)) {
    return yield* Program.fail(plain.failure.reply.code < 500 ? plain.failure : extended.failure)
  }
  return ready(session, { capabilities: plain.success })
})

const ready = (session: Session, facts: Pick<Facts, "capabilities">): Session<"ready"> =>
  new Session("ready", { ...session.facts, ...facts })

// A 554 or 530 is about this client, not about the command.
const mayNotKnowEhlo = ({ reply }: Expect.Refused): boolean =>
  reply.code >= 500 && reply.code !== 554 && reply.code !== 530
