/**
 * All servers that are tested against.
 */
import * as Dovecot from "./Dovecot.ts"
import * as Postfix from "./Postfix.ts"
import type { Kind } from "./Server.ts"

/** In the order of the matrix. */
export const kinds: ReadonlyArray<Kind> = [Postfix.withDovecot, Postfix.withCyrus, Dovecot.submission]
