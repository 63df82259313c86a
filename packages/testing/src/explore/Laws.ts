/**
 * Contracts for those who write a SASL mechanism, a transport or a reply parser of their own, as
 * data: any test runner takes them.
 *
 * @example
 * ```ts
 * import { CramMd5 } from "@postern/core"
 * import { Laws } from "@postern/testing"
 *
 * // In a test file: for (const law of laws) it(law.name, law.run)
 * const laws = Laws.mechanism(CramMd5.cramMd5)
 * console.log(laws.map(({ name }) => name))
 * ```
 */
export type { Law } from "./Law.ts"
export * from "./MechanismLaws.ts"
export * from "./ReplyParserLaws.ts"
export * from "./TransportLaws.ts"
