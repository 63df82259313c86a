/**
 * Where in a session something happened.
 */
import * as Schema from "effect/Schema"
import type * as Command from "../wire/Command.ts"

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

const phases: Readonly<Partial<Record<Command.Tag, Phase>>> = {
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
  Quit: "quit"
}

/** The phase that a command belongs to. RSET cleans up after a step: what went wrong went wrong there. */
export const phaseOf = ({ _tag }: Command.Command, current: Phase): Phase =>
  _tag === "Rset" ? current : phases[_tag] ?? "idle"
