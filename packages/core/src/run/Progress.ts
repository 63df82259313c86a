/**
 * The sending of one message as a stream: what happens on the connection, how far the
 * content is, and the receipt at the end.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { SmtpError } from "../outcome/SmtpError.ts"
import type * as Transcript from "../outcome/Transcript.ts"
import * as Content from "../wire/Content.ts"
import type { Watch } from "./SessionLog.ts"
import type { Message, Receipt } from "./SmtpClient.ts"

export type { Watch } from "./SessionLog.ts"

/** One step of the way. */
export type Progress =
  | { readonly _tag: "Event"; readonly event: Transcript.Event }
  /**
   * So many octets of content are written, doubled dots and the end of data included; `size` is that of the content
   * without these, where it is known.
   */
  | { readonly _tag: "Content"; readonly octets: number; readonly size: number | undefined }
  | { readonly _tag: "Done"; readonly receipt: Receipt }

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

// As SIZE counts it: dots that are doubled and the end of data come on top.
const sizeOf = (content: Message["content"]): number | undefined => {
  if (typeof content === "string") return Content.measure(new TextEncoder().encode(content)).size
  if (content instanceof Uint8Array) return Content.measure(content).size
  return "size" in content ? content.size : undefined
}
