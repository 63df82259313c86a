/**
 * ANONYMOUS (RFC 4505): nobody in particular, with a trace for the server's log.
 */
import * as Effect from "effect/Effect"
import * as Mechanism from "./Mechanism.ts"

/** Characters of a trace (RFC 4505 §2). */
const longest = 255

// The "trace" profile (RFC 4505 §3) prohibits controls, private use, non-characters,
// surrogates, what is unfit for plain text, and tags; here by Unicode's properties.
const prohibited =
  /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\ufff9-\ufffd\u{e0001}\u{e0020}-\u{e007f}\u200e\u200f\u202a-\u202e\u206a-\u206f]|\u0340|\u0341/u

/** The mechanism; used only with `Anonymous` credentials. */
export const anonymous: Mechanism.Mechanism = {
  name: "ANONYMOUS",
  traits: { kind: "last-resort", withoutTls: true, anyChallenge: false },
  accepts: (credentials) => credentials._tag === "Anonymous",
  client: (credentials) => {
    if (credentials._tag !== "Anonymous") {
      return Effect.fail(Mechanism.saslError("wrong-credentials", "ANONYMOUS takes no credentials but a trace"))
    }
    const trace = credentials.trace ?? ""
    if ([...trace].length > longest) {
      return Effect.fail(Mechanism.saslError("trace-too-long", `a trace has at most ${longest} characters`))
    }
    return prohibited.test(trace) || !trace.isWellFormed()
      ? Effect.fail(Mechanism.saslError("prep-failed", "the trace has characters that RFC 4505 prohibits"))
      : Effect.succeed({ response: Mechanism.secret(trace), next: undefined, verified: true })
  },
  server: (_context, initialResponse) =>
    initialResponse === undefined
      ? { _tag: "Challenge", challenge: new Uint8Array(0), next: accepted }
      : accepted()
}

const accepted = (): Mechanism.ServerStep => ({ _tag: "Accepted", identity: "anonymous" })
