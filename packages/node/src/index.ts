/**
 * TCP and TLS for `@postern/core` on Node.
 */
export * as NodeContent from "./NodeContent.ts"
export * as NodeGss from "./NodeGss.ts"
export * as NodeMime from "./NodeMime.ts"
export * as NodeProxy from "./NodeProxy.ts"
export * as NodeSmtp from "./NodeSmtp.ts"
export * as NodeTransport from "./NodeTransport.ts"
export * as SmtpPool from "./SmtpPool.ts"
