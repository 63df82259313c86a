/** The messages of SCRAM (RFC 5802 §7): read strictly, each attribute in its place. */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import * as Mechanism from "./Mechanism.ts"

/** Writes a saslname: what would end it is escaped. */
export const escapeName = (name: string): string => name.replaceAll("=", "=3D").replaceAll(",", "=2C")

/** Reads a saslname; undefined where `=` begins no escape. */
export const unescapeName = (name: string): string | undefined =>
  /=(?!2C|3D)/.test(name) ? undefined : name.replaceAll("=2C", ",").replaceAll("=3D", "=")

/** The octets of base64; undefined where it is not exactly that, or nothing. */
const base64 = (text: string): Uint8Array | undefined =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text) && text !== ""
    ? Result.getOrUndefined(Base64.decode(text))
    : undefined

const printable = /^[\x21-\x2b\x2d-\x7e]+$/

// No attribute that this RFC defines may come again as an extension.
const extensions = "(?:,(?![acemnprsiv]=)[A-Za-z]=[^,\\0]+)*"

/** What the server chose. */
export interface ServerFirst {
  readonly nonce: string
  readonly salt: Uint8Array
  readonly iterations: number
}

/** The iteration counts that a client will work with. */
export interface IterationLimits {
  readonly minIterations: number
  readonly maxIterations: number
}

const fail = (reason: Mechanism.Trouble, detail: string) => Result.fail(Mechanism.saslError(reason, detail))

/** An `e=` of the server, undefined when it is none. A value that no RFC could name is `other-error`. */
const serverError = (message: string): Result.Result<never, Mechanism.SaslError> | undefined => {
  const value = new RegExp(`^e=([^,]+)${extensions}$`).exec(message)?.[1]
  if (value === undefined) return undefined
  if (value === "unsupported-channel-binding-type") {
    return fail(value, "the server cannot bind to the channel this way; another type may do")
  }
  return fail("server-error", `the server refuses: ${/^[a-z-]{1,60}$/.test(value) ? value : "other-error"}`)
}

const serverFirst = new RegExp(`^r=([^,]*),s=([^,]*),i=([^,]*)${extensions}$`)

/** Reads server-first-message in answer to a client's nonce. */
export const readServerFirst = (
  octets: Uint8Array,
  clientNonce: string,
  limits: IterationLimits
): Result.Result<ServerFirst, Mechanism.SaslError> => {
  const message = Mechanism.strictTextOf(octets) ?? ""
  const error = serverError(message)
  if (error !== undefined) return error
  if (message.startsWith("m=")) return fail("unsupported-extension", "the server requires an unknown extension")
  const [, nonce, salt64, count] = serverFirst.exec(message) ?? []
  if (nonce === undefined || salt64 === undefined || count === undefined || !printable.test(nonce)) {
    return fail("bad-server-first", "the first message of the server is not r=nonce,s=salt,i=iterations")
  }
  if (!nonce.startsWith(clientNonce)) return fail("nonce-mismatch", "the server answers another nonce than was sent")
  if (nonce === clientNonce) return fail("nonce-not-extended", "the server added nothing to the nonce")
  const salt = base64(salt64)
  if (salt === undefined) return fail("bad-salt", "the salt is empty or no base64")
  if (!/^[1-9][0-9]*$/.test(count)) return fail("bad-iteration-count", "the iteration count is no positive number")
  const iterations = Number(count)
  const { minIterations, maxIterations } = limits
  if (iterations < minIterations) {
    return fail("iteration-count-too-low", `${count} iterations protect too little; ${minIterations} are required`)
  }
  if (iterations > maxIterations) {
    return fail("iteration-count-too-high", `the server asks for more than ${maxIterations} iterations`)
  }
  return Result.succeed({ nonce, salt, iterations })
}

const serverFinal = new RegExp(`^v=([^,]*)${extensions}$`)

/** Reads server-final-message: its signature, still as base64. */
export const readServerFinal = (octets: Uint8Array): Result.Result<string, Mechanism.SaslError> => {
  const message = Mechanism.strictTextOf(octets) ?? ""
  const signature = serverFinal.exec(message)?.[1]
  if (signature !== undefined) return Result.succeed(signature)
  return serverError(message) ?? fail("bad-server-final", "the last message of the server is not v=signature")
}

/** What a client begins with. */
export interface ClientFirst {
  /** The GS2 header as it came, with both commas. */
  readonly header: string
  /** `n`, `y`, or the type of channel binding. */
  readonly binding: { readonly flag: "n" | "y" } | { readonly flag: "p"; readonly type: string }
  readonly authorizationId: string | undefined
  readonly user: string
  readonly nonce: string
  /** client-first-message-bare. */
  readonly bare: string
}

const gs2Header = "(?:(n|y)|p=([A-Za-z0-9.-]+)),(?:a=([^,\\0]+))?,"
const clientFirst = new RegExp(`^(${gs2Header})(n=([^,\\0]+),r=([^,]+)${extensions})$`)

/** Reads client-first-message. */
export const readClientFirst = (octets: Uint8Array): ClientFirst | undefined => {
  const match = clientFirst.exec(Mechanism.strictTextOf(octets) ?? "")
  const [, header, flag, type = "", escapedId, bare, escapedUser, nonce] = match ?? []
  const user = escapedUser === undefined ? undefined : unescapeName(escapedUser)
  const authorizationId = escapedId === undefined ? undefined : unescapeName(escapedId)
  const unreadable = escapedId !== undefined && authorizationId === undefined
  if (header === undefined || bare === undefined || user === undefined || nonce === undefined || unreadable) {
    return undefined
  }
  if (!printable.test(nonce)) return undefined
  const binding: ClientFirst["binding"] = flag === "n" || flag === "y" ? { flag } : { flag: "p", type }
  return { header, binding, authorizationId, user, nonce, bare }
}

/** What a client ends with; `binding` and `proof` still as base64. */
export interface ClientFinal {
  readonly binding: string
  readonly nonce: string
  readonly proof: string
  readonly withoutProof: string
}

const clientFinal = new RegExp(`^(c=([^,]+),r=([^,]+)${extensions}),p=([^,]+)$`)

/** Reads client-final-message. */
export const readClientFinal = (octets: Uint8Array): ClientFinal | undefined => {
  const [, withoutProof, binding, nonce, proof] = clientFinal.exec(Mechanism.strictTextOf(octets) ?? "") ?? []
  return withoutProof === undefined || binding === undefined || nonce === undefined || proof === undefined
    ? undefined
    : { binding, nonce, proof, withoutProof }
}
