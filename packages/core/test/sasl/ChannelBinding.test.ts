import { assert, describe, it } from "@effect/vitest"
import { ChannelBinding } from "@postern/core"
import * as fc from "fast-check"
import { X509Certificate } from "node:crypto"
import file from "../vectors/CHANNEL-BINDING.json" with { type: "json" }

interface Vector {
  readonly id: string
  readonly inputs: { readonly certificatePem?: string | undefined }
  readonly outcome: { readonly result: string; readonly dataHex?: string | undefined }
}

const vectors: ReadonlyArray<Vector> = file.vectors
const certificates = vectors.filter(({ inputs }) => inputs.certificatePem !== undefined)

describe("tls-server-end-point", () => {
  it("all certificates are here", () => assert.isAtLeast(certificates.length, 7))

  for (const { id, inputs, outcome } of certificates) {
    it(id, () => {
      const binding = ChannelBinding.serverEndPoint(
        new Uint8Array(new X509Certificate(inputs.certificatePem ?? "").raw)
      )
      assert.strictEqual(binding && Buffer.from(binding.data).toString("hex"), outcome.dataHex)
      assert.strictEqual(binding === undefined, outcome.result === "undefined")
    })
  }

  it("of anything else there is none, or it is harmless, and nothing throws", () => {
    const der = new Uint8Array(new X509Certificate(certificates[0]?.inputs.certificatePem ?? "").raw)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void ChannelBinding.serverEndPoint(bytes)))
    fc.assert(fc.property(fc.nat(der.length - 1), fc.nat(255), fc.nat(der.length), (at, octet, length) => {
      const altered = der.slice(0, length)
      altered[at] = octet
      ChannelBinding.serverEndPoint(altered)
    }))
  })
})
