/**
 * TCP and TLS for `@postern/core` on Node.
 */
export * as NodeGss from "./NodeGss.ts"
export * as NodeSmtp from "./NodeSmtp.ts"
export * as NodeTransport from "./NodeTransport.ts"
