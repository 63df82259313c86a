/**
 * Where in a session something happened.
 */
import * as Schema from "effect/Schema"
import type * as Expect from "../wire/Expect.ts"
import type { Reason } from "./Reason.ts"

/** Where in a session something happened. */
export const Phase = Schema.Literals([
  "input",
  "connect",
  "greeting",
  "hello",
  "tls",
  "authentication",
  "envelope",
  "content",
  "idle",
  "quit"
])
/** Where in a session something happened. */
export type Phase = typeof Phase.Type

const phases: Readonly<Partial<Record<Expect.Step, Phase>>> = {
  Greeting: "greeting",
  Ehlo: "hello",
  Helo: "hello",
  Lhlo: "hello",
  StartTls: "tls",
  Auth: "authentication",
  AuthResponse: "authentication",
  AuthCancel: "authentication",
  Mail: "envelope",
  Rcpt: "envelope",
  Data: "envelope",
  Bdat: "content",
  Burl: "content",
  Content: "content",
  Quit: "quit"
}

/** The phase that a reason belongs to. */
export const phaseOfReason = (reason: Reason, current: Phase): Phase => {
  switch (reason._tag) {
    case "SenderRefused":
    case "RecipientsRefused":
      return "envelope"
    case "ContentRefused":
    case "InDoubt":
      return "content"
    default: {
      const step = "step" in reason ? reason.step : undefined
      return step === undefined || !Object.hasOwn(phases, step) ? current : phases[step as Expect.Step] ?? current
    }
  }
}

/** The phase that a step belongs to. RSET cleans up after a step: what went wrong went wrong there. */
export const phaseOf = (step: Expect.Step, current: Phase): Phase => step === "Rset" ? current : phases[step] ?? "idle"
