/**
 * Generators for property tests with fast-check, of all that goes over the wire: what is
 * valid, as values and as octets; what is nearly so, with one thing wrong and a label that
 * says what; and what is hostile, as a network would bring it. All shrink to small cases.
 *
 * @example
 * ```ts
 * import { Reply } from "@postern/core"
 * import { Arbitraries } from "@postern/testing"
 * import * as fc from "fast-check"
 *
 * fc.assert(fc.property(Arbitraries.hostileReplyBytes, Arbitraries.chunking, (bytes, chunking) => {
 *   const decoder = Reply.decoder()
 *   for (const chunk of chunking(bytes)) decoder.push(chunk)
 *   decoder.next() // never throws
 * }))
 * ```
 */
export * from "./AddressArbitraries.ts"
export * from "./BehaviourArbitraries.ts"
export * from "./Chunkings.ts"
export * from "./CommandArbitraries.ts"
export * from "./DigestArbitraries.ts"
export * from "./HostileReplies.ts"
export { any, type Messages } from "./Messages.ts"
export * from "./Nearly.ts"
export * from "./NtlmArbitraries.ts"
export * from "./ReplyArbitraries.ts"
export * from "./ReplyFaults.ts"
export * from "./SaslArbitraries.ts"
export * from "./SaslMessages.ts"
export * from "./ScramArbitraries.ts"
