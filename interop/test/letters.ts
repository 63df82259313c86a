/**
 * Messages that can be found again in a mailbox.
 */
import type { SmtpClient } from "@postern/core"
import type { Arrived } from "../servers/Server.ts"

const latin1 = new TextDecoder("latin1")

/** Octets as text of one character each. */
export const text = (octets: Uint8Array): string => latin1.decode(octets)

let letters = 0

/** A line of the header that no other message has. */
export const mark = (): string => `X-Case: ${++letters}.`

/** A message with a mark, and what its sender says instead. */
export const letter = (
  to: SmtpClient.Message["to"],
  more: Partial<SmtpClient.Message> = {}
): { readonly mark: string; readonly message: SmtpClient.Message } => {
  const own = mark()
  const content = `From: ann@example.test\r\n${own}\r\nSubject: hello\r\n\r\nHello.\r\n`
  return { mark: own, message: { from: "ann@example.test", to, content, ...more } }
}

/** The messages with a mark, as text. */
export const having = (mark: string, all: ReadonlyArray<Arrived>): ReadonlyArray<string> =>
  all.map(({ octets }) => text(octets)).filter((text) => text.includes(mark))
