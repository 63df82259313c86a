/**
 * All servers that are tested against.
 */
import { aiosmtpd } from "./Aiosmtpd.ts"
import * as Dovecot from "./Dovecot.ts"
import * as Dovecot24 from "./Dovecot24.ts"
import { exim } from "./Exim.ts"
import { openSmtpd } from "./OpenSmtpd.ts"
import * as Postfix from "./Postfix.ts"
import type { Kind } from "./Server.ts"
import { smtpServer } from "./SmtpServer.ts"

/** In the order of the matrix. */
export const kinds: ReadonlyArray<Kind> = [
  Postfix.withDovecot,
  Postfix.withCyrus,
  Dovecot.submission,
  Dovecot24.dovecot,
  exim,
  openSmtpd,
  smtpServer,
  aiosmtpd
]
