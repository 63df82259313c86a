/**
 * The key of a recorder. With it a recording tells whether a replay says the same secrets
 * (HMAC-SHA-256), and keeps what a server said under seal (AES-256-GCM).
 */
import * as Data from "effect/Data"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Crypto from "node:crypto"

/** A key cannot be used. */
export class KeyError extends Data.TaggedError("KeyError")<{
  readonly problem: "too short" | "another key" | "damaged"
}> {
  override get message() {
    switch (this.problem) {
      case "too short":
        return `a key has at least ${shortest} characters: take those of \`openssl rand -hex 32\``
      case "another key":
        return "the recording was made with another key"
      case "damaged":
        return "what is sealed in the recording is damaged"
    }
  }
}

/** Characters of a key, at least. */
const shortest = 32

const [nonceLength, tagLength] = [12, 16]

/** Hashes, seals and unseals. Printing it shows nothing. */
export class Key {
  readonly #mac: Uint8Array
  readonly #cipher: Uint8Array

  private constructor(secret: string) {
    const derive = (purpose: string) =>
      new Uint8Array(Crypto.hkdfSync("sha256", secret, "", `postern recording ${purpose}`, 32))
    this.#mac = derive("mac")
    this.#cipher = derive("cipher")
  }

  /** Makes a key of a secret of at least 32 characters, which should be random. Fails with `too short`. */
  static make(secret: Redacted.Redacted<string>): Result.Result<Key, KeyError> {
    const text = Redacted.value(secret)
    return text.length < shortest ? Result.fail(new KeyError({ problem: "too short" })) : Result.succeed(new Key(text))
  }

  /** HMAC-SHA-256, hex. */
  hash(octets: Uint8Array): string {
    return Crypto.createHmac("sha256", this.#mac).update(octets).digest("hex")
  }

  /** Tells keys apart, and nothing else. */
  get check(): string {
    return this.hash(new TextEncoder().encode("postern")).slice(0, 16)
  }

  /** Nonce, ciphertext and tag, base64; another text each time. */
  seal(octets: Uint8Array): string {
    const nonce = Crypto.randomBytes(nonceLength)
    const cipher = Crypto.createCipheriv("aes-256-gcm", this.#cipher, nonce)
    return Buffer.concat([nonce, cipher.update(octets), cipher.final(), cipher.getAuthTag()]).toString("base64")
  }

  /** What {@link seal} made a text of. Fails with `damaged`. */
  unseal(text: string): Result.Result<Uint8Array, KeyError> {
    const sealed = Buffer.from(text, "base64")
    try {
      const decipher = Crypto.createDecipheriv("aes-256-gcm", this.#cipher, sealed.subarray(0, nonceLength), {
        authTagLength: tagLength
      })
      decipher.setAuthTag(sealed.subarray(-tagLength))
      const body = sealed.subarray(nonceLength, -tagLength)
      return Result.succeed(new Uint8Array(Buffer.concat([decipher.update(body), decipher.final()])))
    } catch {
      return Result.fail(new KeyError({ problem: "damaged" }))
    }
  }
}
