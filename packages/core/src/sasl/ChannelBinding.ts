/**
 * What ties an authentication to the TLS channel it runs over (RFC 5056), so that
 * nobody in between can pass it on.
 */
import { sha224, sha256, sha384, sha512 } from "@noble/hashes/sha2.js"

/** The types of channel bindings in use: RFC 9266, and RFC 5929 §4 and §3. */
export type Type = "tls-exporter" | "tls-server-end-point" | "tls-unique"

/** A binding: its type and data, without the type's prefix. The data is no secret to the server, and nobody else's business. */
export interface ChannelBinding {
  readonly type: Type
  readonly data: Uint8Array
}

/** The label that a TLS exporter gives `tls-exporter` for, with a context of no octets, 32 octets long (RFC 9266 §2). */
export const exporterLabel = "EXPORTER-Channel-Binding"

/**
 * `tls-server-end-point` (RFC 5929 §4.1): the hash of the server's certificate, by the
 * hash it is signed with, SHA-256 in place of MD5 and SHA-1. Undefined where the
 * signature names no hash (Ed25519), or the octets are no certificate.
 */
export const serverEndPoint = (certificate: Uint8Array): ChannelBinding | undefined => {
  const hash = signatureHash(certificate)
  return hash === undefined ? undefined : { type: "tls-server-end-point", data: hash(certificate) }
}

type Hash = (bytes: Uint8Array) => Uint8Array

// Signature algorithms, and the hashes that RSASSA-PSS names in its parameters.
const hashes: Readonly<Record<string, Hash>> = {
  "1.2.840.113549.1.1.4": sha256,
  "1.2.840.113549.1.1.5": sha256,
  "1.2.840.113549.1.1.14": sha224,
  "1.2.840.113549.1.1.11": sha256,
  "1.2.840.113549.1.1.12": sha384,
  "1.2.840.113549.1.1.13": sha512,
  "1.2.840.10045.4.1": sha256,
  "1.2.840.10045.4.3.1": sha224,
  "1.2.840.10045.4.3.2": sha256,
  "1.2.840.10045.4.3.3": sha384,
  "1.2.840.10045.4.3.4": sha512,
  "1.3.14.3.2.26": sha256,
  "2.16.840.1.101.3.4.2.1": sha256,
  "2.16.840.1.101.3.4.2.2": sha384,
  "2.16.840.1.101.3.4.2.3": sha512,
  "2.16.840.1.101.3.4.2.4": sha224
}

const rsassaPss = "1.2.840.113549.1.1.10"

// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature }
const signatureHash = (der: Uint8Array): Hash | undefined => {
  const certificate = element(der)
  const algorithm = certificate && children(certificate)?.[1]
  const [oid, parameters] = algorithm === undefined ? [] : children(algorithm) ?? []
  const name = oid && oidOf(oid)
  if (name !== rsassaPss) return name === undefined ? undefined : hashes[name]
  // RSASSA-PSS-params: [0] holds the hash; without it SHA-1.
  const tagged = parameters && children(parameters)?.find(({ tag }) => tag === 0xa0)
  const inner = tagged && children(tagged)?.[0]
  const hash = inner && children(inner)?.[0]
  const hashName = hash && oidOf(hash)
  return hashName === undefined ? sha256 : hashes[hashName]
}

interface Element {
  readonly tag: number
  readonly body: Uint8Array
  readonly length: number
}

// One DER element at the front, or undefined where there is none whole.
const element = (der: Uint8Array): Element | undefined => {
  const [tag, first] = der
  if (tag === undefined || first === undefined) return undefined
  const octets = first < 0x80 ? 0 : first - 0x80
  if (octets > 3 || der.length < 2 + octets) return undefined
  const size = first < 0x80 ? first : der.subarray(2, 2 + octets).reduce((n, octet) => n * 256 + octet, 0)
  const length = 2 + octets + size
  return length > der.length ? undefined : { tag, body: der.subarray(2 + octets, length), length }
}

const children = ({ body }: Element): ReadonlyArray<Element> | undefined => {
  const found: Array<Element> = []
  for (let at = 0; at < body.length;) {
    const next = element(body.subarray(at))
    if (next === undefined) return undefined
    found.push(next)
    at += next.length
  }
  return found
}

const oidOf = ({ body, tag }: Element): string | undefined => {
  const [first] = body
  if (tag !== 6 || first === undefined) return undefined
  const arcs: Array<number> = []
  let arc = 0
  for (const octet of body) {
    arc = arc * 128 + (octet & 0x7f)
    if (octet < 0x80) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [head = 0, ...rest] = arcs
  const top = Math.min(2, Math.floor(head / 40))
  return [top, head - top * 40, ...rest].join(".")
}
