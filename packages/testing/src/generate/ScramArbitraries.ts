/**
 * Generators of SCRAM's messages (RFC 5802 §7). Their proofs and signatures are of the right
 * form and prove nothing.
 */
import * as Base64 from "effect/encoding/Base64"
import * as fc from "fast-check"
import { from, octets, visible } from "./Characters.ts"
import { type Messages, messages } from "./Messages.ts"

const nonce = from(visible.replace(",", ""), { minLength: 1, maxLength: 24 })
const base64 = (least: number, most: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: least, maxLength: most }).map((bytes) => Base64.encode(bytes))

const name = from(visible.replaceAll(/[,=]/g, ""), { minLength: 1, maxLength: 12 })
const escaped = fc.tuple(name, fc.constantFrom("", "=2C", "=3D")).map((parts) => parts.join(""))
const iterations = fc.oneof(fc.constant(4096), fc.integer({ min: 4096, max: 10_000 }))
/** An attribute that no RFC knows, and that a client must pass over. */
const extension = fc.oneof({ withCrossShrink: true }, fc.constant(""), name.map((value) => `,x=${value}`))

const serverErrors = fc.constantFrom(
  "unknown-user",
  "invalid-proof",
  "invalid-encoding",
  "extensions-not-supported",
  "channel-bindings-dont-match",
  "no-resources",
  "other-error",
  "x-unheard-of"
)

/** client-first-message. */
export const scramClientFirst: Messages = messages(
  fc.tuple(fc.constantFrom("n", "y", "p=tls-exporter"), fc.option(escaped), escaped, nonce, extension)
    .map(([flag, identity, user, nonce, extension]) =>
      octets(`${flag},${identity === null ? "" : `a=${identity}`},n=${user},r=${nonce}${extension}`)
    ),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "no GS2 header": fc.tuple(name, nonce).map(([user, nonce]) => octets(`n=${user},r=${nonce}`)),
    "flag of no meaning": fc.tuple(name, nonce).map(([user, nonce]) => octets(`x,,n=${user},r=${nonce}`)),
    "no user name": nonce.map((nonce) => octets(`n,,n=,r=${nonce}`)),
    "no nonce": name.map((user) => octets(`n,,n=${user},r=`)),
    "escape of no character": nonce.map((nonce) => octets(`n,,n==2D,r=${nonce}`)),
    "mandatory extension": fc.tuple(name, nonce).map(([user, nonce]) => octets(`n,,m=x,n=${user},r=${nonce}`)),
    "attributes out of order": fc.tuple(name, nonce).map(([user, nonce]) => octets(`n,,r=${nonce},n=${user}`))
  }
)

const parts = fc.tuple(nonce, base64(1, 32), iterations)

/** server-first-message in answer to a client's nonce. */
export const scramServerFirst = (clientNonce: string) => {
  const first = (
    write: (nonce: string, salt: string, iterations: number) => string
  ): fc.Arbitrary<Uint8Array> =>
    parts.map(([added, salt, iterations]) => octets(write(clientNonce + added, salt, iterations)))
  const valid = fc.tuple(parts, extension).map(([[added, salt, iterations], extension]) =>
    octets(`r=${clientNonce}${added},s=${salt},i=${iterations}${extension}`)
  )
  return messages(valid, {
    "empty": fc.constant(new Uint8Array(0)),
    "nonce of another exchange": first((nonce, salt, i) => `r=x${nonce},s=${salt},i=${i}`),
    "nonce not extended": first((_, salt, i) => `r=${clientNonce},s=${salt},i=${i}`),
    "nonce with a blank": first((nonce, salt, i) => `r=${nonce} ,s=${salt},i=${i}`),
    "no nonce": first((_, salt, i) => `s=${salt},i=${i}`),
    "empty salt": first((nonce, _, i) => `r=${nonce},s=,i=${i}`),
    "salt that is no base64": first((nonce, salt, i) => `r=${nonce},s=${salt}!,i=${i}`),
    "salt without padding": first((nonce, _, i) => `r=${nonce},s=QQ,i=${i}`),
    "no salt": first((nonce, _, i) => `r=${nonce},i=${i}`),
    "no iterations": first((nonce, salt) => `r=${nonce},s=${salt}`),
    "iterations zero": first((nonce, salt) => `r=${nonce},s=${salt},i=0`),
    "iterations below zero": first((nonce, salt, i) => `r=${nonce},s=${salt},i=-${i}`),
    "iterations with a zero first": first((nonce, salt, i) => `r=${nonce},s=${salt},i=0${i}`),
    "iterations with a letter": first((nonce, salt, i) => `r=${nonce},s=${salt},i=${i}x`),
    "iterations too few": first((nonce, salt, i) => `r=${nonce},s=${salt},i=${i % 4095 + 1}`),
    "iterations too many": first((nonce, salt, i) => `r=${nonce},s=${salt},i=${i}000000`),
    "attributes out of order": first((nonce, salt, i) => `s=${salt},r=${nonce},i=${i}`),
    "attribute twice": first((nonce, salt, i) => `r=${nonce},s=${salt},i=${i},i=${i}`),
    "blank behind a comma": first((nonce, salt, i) => `r=${nonce}, s=${salt},i=${i}`),
    "line end behind it": first((nonce, salt, i) => `r=${nonce},s=${salt},i=${i}\r\n`),
    "mandatory extension": first((nonce, salt, i) => `m=x,r=${nonce},s=${salt},i=${i}`),
    "error": serverErrors.map((error) => octets(`e=${error}`))
  })
}

/** client-final-message. */
export const scramClientFinal: Messages = messages(
  fc.tuple(fc.constantFrom("biws", "eSws"), nonce, base64(20, 20), extension)
    .map(([binding, nonce, proof, extension]) => octets(`c=${binding},r=${nonce}${extension},p=${proof}`)),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "no binding": fc.tuple(nonce, base64(20, 20)).map(([nonce, proof]) => octets(`r=${nonce},p=${proof}`)),
    "no proof": nonce.map((nonce) => octets(`c=biws,r=${nonce}`)),
    "proof before the nonce": fc.tuple(nonce, base64(20, 20)).map(([nonce, proof]) =>
      octets(`c=biws,p=${proof},r=${nonce}`)
    )
  }
)

/** server-final-message; no signature here is the right one. */
export const scramServerFinal = messages(
  fc.tuple(base64(20, 64), extension).map(([signature, extension]) => octets(`v=${signature}${extension}`)),
  {
    "empty": fc.constant(new Uint8Array(0)),
    "no attribute": base64(20, 20).map((signature) => octets(signature)),
    "error": serverErrors.map((error) => octets(`e=${error}`)),
    "error without a value": fc.constant(octets("e=")),
    "signature and error": base64(20, 20).map((signature) => octets(`v=${signature},e=other-error`)),
    "first message again": parts.map(([nonce, salt, i]) => octets(`r=${nonce},s=${salt},i=${i}`)),
    "line end before it": base64(20, 20).map((signature) => octets(`\r\nv=${signature}`))
  }
)
