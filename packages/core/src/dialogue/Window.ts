/**
 * Many messages on one session, without waiting for one before the next is said: with
 * CHUNKING whole messages follow one another (RFC 3030), otherwise the next envelope
 * rides with the end of the content (RFC 2920 §3.1).
 */
import { inChunks } from "./ChunkWindow.ts"
import { inTurn } from "./DataWindow.ts"
import { chunksRide } from "./OneTransaction.ts"
import type * as Program from "./Program.ts"
import type { Session } from "./Session.ts"
import * as Transaction from "./Transaction.ts"
import { type Ended, type Feed, type Pending, WindowState } from "./WindowState.ts"

export { abandoned, type Done, type Ended, type Feed, type Pending } from "./WindowState.ts"

/**
 * Delivers messages within a session until there are no more, the server takes no more
 * (MAILMAX, RFC 9422), or the connection ends. `begun` are those left by another
 * connection. On a connection that was idle be `cautious`: the first message finds out
 * whether it still is there before its content goes out. `budget` is what the session still
 * takes by the server's limits.
 */
export const deliverAll = <M>(
  session: Session<"ready">,
  feed: Feed<M>,
  begun: ReadonlyArray<Pending<M>>,
  cautious = false,
  budget: Transaction.Budget = Transaction.budget(session)
): Program.Program<Ended<M>> => {
  const { capabilities, lmtp } = session.facts
  const chunks = capabilities?.pipelining === true && capabilities.chunking && lmtp !== true
  // Where the first message shows that the server takes mail, the others need not wait.
  const careful = cautious || (chunks && !chunksRide(session.facts))
  return (chunks ? inChunks<M> : inTurn<M>)(new WindowState(session, feed, begun, careful, budget))
}
