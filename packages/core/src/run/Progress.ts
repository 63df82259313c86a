/**
 * The sending of one message as a stream: what happens on the connection, how far the
 * content is, and the receipt at the end.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { SmtpError } from "../outcome/SmtpError.ts"
import type * as Transcript from "../outcome/Transcript.ts"
import type { Message, Receipt } from "./SmtpClient.ts"

/** One step of the way. */
export type Progress =
  | { readonly _tag: "Event"; readonly event: Transcript.Event }
  /** So many octets of content are written, framing included; `size` is that of the content where it is known. */
  | { readonly _tag: "Content"; readonly octets: number; readonly size: number | undefined }
  | { readonly _tag: "Done"; readonly receipt: Receipt }

/** Told of events and of content that is written. */
export interface Watch {
  readonly observe: (event: Transcript.Event) => Effect.Effect<void>
  readonly content: (octets: number) => void
}

/**
 * Sends while the stream is read. Where its reader is slow, steps in between are left
 * out, the receipt never is. Interrupting the reader interrupts the sending.
 */
export const progress = (
  send: (message: Message, watch: Watch) => Effect.Effect<Receipt, SmtpError>,
  message: Message
): Stream.Stream<Progress, SmtpError> =>
  Stream.callback<Progress, SmtpError>((queue) => {
    let octets = 0
    const size = sizeOf(message.content)
    const watch: Watch = {
      observe: (event) => Effect.sync(() => void Queue.offerUnsafe(queue, { _tag: "Event", event })),
      content: (written) => {
        octets += written
        Queue.offerUnsafe(queue, { _tag: "Content", octets, size })
      }
    }
    return Effect.flatMap(send(message, watch), (receipt) => {
      Queue.offerUnsafe(queue, { _tag: "Done", receipt })
      return Queue.end(queue)
    })
  }, { bufferSize: kept, strategy: "sliding" })

/** Steps that wait for the reader. */
const kept = 64

const sizeOf = (content: Message["content"]): number | undefined =>
  content instanceof Uint8Array
    ? content.length
    : typeof content === "object" && "size" in content
    ? content.size
    : undefined
