import { SimulatedServer } from "../src/index.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes)

/** What the server sent, one string an action. */
export const sent = (actions: ReadonlyArray<SimulatedServer.Action>): ReadonlyArray<string> =>
  actions.flatMap((action) => action._tag === "Send" ? [text(action.bytes).trimEnd().replaceAll("\r\n", "|")] : [])

export const delivered = (actions: ReadonlyArray<SimulatedServer.Action>): ReadonlyArray<SimulatedServer.Message> =>
  actions.flatMap((action) => action._tag === "Delivered" ? [action.message] : [])

/** A conversation in which the client says everything in one go, behind the greeting. */
export const talk = (config: SimulatedServer.Config, ...lines: ReadonlyArray<string>) => {
  const [greeted, greeting] = SimulatedServer.start(config)
  const [state, actions] = SimulatedServer.receive(greeted, bytes(lines.map((line) => `${line}\r\n`).join("")))
  return { state, actions: [...greeting, ...actions], greeting: sent(greeting), replies: sent(actions) }
}

/** As `talk`, over TLS. */
export const talkSecurely = (config: SimulatedServer.Config, ...lines: ReadonlyArray<string>) => {
  const [waiting] = SimulatedServer.start({ ...config, implicitTls: true })
  const [greeted] = SimulatedServer.tlsEstablished(waiting)
  const [state, actions] = SimulatedServer.receive(greeted, bytes(lines.map((line) => `${line}\r\n`).join("")))
  return { state, actions, replies: sent(actions) }
}

/** The bytes in pieces that end at the given places. */
export const cut = (whole: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const ends = [...places.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b), whole.length]
  return ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
}

/** All pieces, one after another. */
export const receiveAll = (state: SimulatedServer.State, pieces: ReadonlyArray<Uint8Array>): SimulatedServer.Step => {
  const actions: Array<SimulatedServer.Action> = []
  let current = state
  for (const piece of pieces) {
    const [next, some] = SimulatedServer.receive(current, piece)
    current = next
    actions.push(...some)
  }
  return [current, actions]
}

export const hello = "EHLO client.example"
export const from = "MAIL FROM:<ann@example.net>"
export const to = "RCPT TO:<ben@example.org>"

/** First words of replies: the code, and the enhanced status code where there is one. */
export const codes = (replies: ReadonlyArray<string>): ReadonlyArray<string | undefined> =>
  replies.map((reply) => /^\d{3}(?: \d\.\d\.\d{1,2})?/.exec(reply)?.[0])

export const codesOf = (config: SimulatedServer.Config, ...lines: ReadonlyArray<string>) =>
  codes(talk(config, ...lines).replies)
