/**
 * What ties an authentication to the TLS channel it runs over (RFC 5056), so that
 * nobody in between can pass it on.
 */

/** The types of channel bindings in use: RFC 9266, and RFC 5929 §4 and §3. */
export type Type = "tls-exporter" | "tls-server-end-point" | "tls-unique"

/** A binding: its type and data, without the type's prefix. The data is no secret to the server, and nobody else's business. */
export interface ChannelBinding {
  readonly type: Type
  readonly data: Uint8Array
}
