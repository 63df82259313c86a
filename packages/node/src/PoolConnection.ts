/** TODO: delete this file: core's own `Opened` has `send` and `usable`. */
import type { SmtpClient } from "@postern/core"

export type Opened = SmtpClient.Opened

/** Opens a connection of the client. */
export const open = (client: SmtpClient.SmtpClient["Service"]) => client.open
