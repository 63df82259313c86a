import { ServerMachine } from "../../src/index.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes)

/** What the server sent, one string an action. */
export const sent = (actions: ReadonlyArray<ServerMachine.Action>): ReadonlyArray<string> =>
  actions.flatMap((action) => action._tag === "Send" ? [text(action.bytes).trimEnd().replaceAll("\r\n", "|")] : [])

export const delivered = (actions: ReadonlyArray<ServerMachine.Action>): ReadonlyArray<ServerMachine.Message> =>
  actions.flatMap((action) => action._tag === "Delivered" ? [action.message] : [])

/** A conversation in which the client says everything in one go, behind the greeting. */
export const talk = (config: ServerMachine.Config, ...lines: ReadonlyArray<string>) => {
  const [greeted, greeting] = ServerMachine.start(config)
  const [state, actions] = ServerMachine.receive(greeted, bytes(lines.map((line) => `${line}\r\n`).join("")))
  return { state, actions: [...greeting, ...actions], greeting: sent(greeting), replies: sent(actions) }
}

/** As `talk`, over TLS. */
export const talkSecurely = (config: ServerMachine.Config, ...lines: ReadonlyArray<string>) => {
  const [waiting] = ServerMachine.start({ ...config, implicitTls: true })
  const [greeted] = ServerMachine.tlsEstablished(waiting)
  const [state, actions] = ServerMachine.receive(greeted, bytes(lines.map((line) => `${line}\r\n`).join("")))
  return { state, actions, replies: sent(actions) }
}

/** The bytes in pieces that end at the given places. */
export const cut = (whole: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const ends = [...places.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b), whole.length]
  return ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
}

/** All pieces, one after another. */
export const receiveAll = (state: ServerMachine.State, pieces: ReadonlyArray<Uint8Array>): ServerMachine.Step => {
  const actions: Array<ServerMachine.Action> = []
  let current = state
  for (const piece of pieces) {
    const [next, some] = ServerMachine.receive(current, piece)
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

export const codesOf = (config: ServerMachine.Config, ...lines: ReadonlyArray<string>) =>
  codes(talk(config, ...lines).replies)
