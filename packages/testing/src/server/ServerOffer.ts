/**
 * What the simulated server says it can do, in its answer to EHLO: as its config lists it,
 * and as TLS and AUTH have come about. What it does not say it does not do.
 */
import type { Mechanism } from "@postern/core"
import type { State } from "./ServerSession.ts"

/** The lines of the reply to EHLO or LHLO behind the first. */
export const lines = (state: State): ReadonlyArray<string> => {
  const { settings, tls } = state
  const names = usable(state).map((mechanism) => mechanism.name).join(" ")
  return [
    ...settings.extensions.flatMap((line) => asItHolds(state, line)),
    ...settings.startTls && !tls ? ["STARTTLS"] : [],
    ...names !== "" && (tls || settings.authBeforeTls) ? [`AUTH${settings.legacyAuth ? "=" : " "}${names}`] : []
  ]
}

const asItHolds = ({ identity, settings: { mechanisms }, tls }: State, line: string): ReadonlyArray<string> => {
  switch (keywordOf(line)) {
    // RFC 8689 §2: over TLS only.
    case "REQUIRETLS":
      return tls ? [line] : []
    // RFC 4468 §3.1: without arguments it says that AUTH comes first.
    case "BURL":
      return identity === undefined && mechanisms.length > 0 ? ["BURL"] : [line]
    default:
      return [line]
  }
}

/** Mechanisms, other than those that lack the channel they are bound to. */
export const usable = ({ channel, settings: { mechanisms } }: State): ReadonlyArray<Mechanism.Mechanism<unknown>> =>
  mechanisms.filter(({ traits }) => traits.kind !== "channel-bound" || channel.channelBindings.length > 0)

/** The keyword of a line, in upper case; also of `AUTH=PLAIN`. */
export const keywordOf = (line: string): string => (line.split(/[ =]/, 1)[0] ?? "").toUpperCase()

/** The extension may be used: it is offered, and the client has read so. */
export const offers = (state: State, keyword: string): boolean =>
  state.hello?.extended === true && lines(state).some((line) => keywordOf(line) === keyword)

/** What stands behind the keyword of an extension. */
export const valuesOf = (state: State, keyword: string): ReadonlyArray<string> =>
  lines(state).find((line) => keywordOf(line) === keyword)?.split(" ").slice(1) ?? []
