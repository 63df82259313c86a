/**
 * Generators of octets where a reply should be, from those who mean no good.
 */
import { Reply } from "@postern/core"
import * as Bytes from "effect/Bytes"
import * as fc from "fast-check"
import { octets, readable } from "./Characters.ts"
import { reply } from "./ReplyArbitraries.ts"
import { nearlyReply } from "./ReplyFaults.ts"

const replies = fc.array(reply, { minLength: 1, maxLength: 4 }).map((all) => Bytes.concat(all.map(Reply.encode)))

const piece: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constantFrom(
    "",
    "\r",
    "\n",
    "\r\n",
    "\r\r\n",
    "\n\r",
    "\0",
    "\t",
    " ",
    "-",
    "2",
    "25",
    "250",
    "250 ",
    "250-",
    "250 ok\r\n",
    "250-a\r\n",
    "251-a\r\n",
    "550 no\n",
    "2500 x\r\n",
    "150 x\r\n",
    "650 x\r\n",
    "2a0 x\r\n",
    "250_x\r\n",
    "220smtp\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "* OK IMAP4rev1\r\n",
    "+OK\r\n",
    "SSH-2.0-x\r\n",
    "\u00e9",
    "\u2028",
    "\ufeff250 x\r\n"
  ).map(octets),
  // A TLS alert, half a character, Latin-1, and a record's head.
  fc.constantFrom([21, 3, 1, 0, 2, 2, 70], [0xe2, 0x82], [0x32, 0x35, 0x30, 0x20, 0xe9, 13, 10], [22, 3, 3], [0xff], [
    0x7f
  ])
    .map((bytes) => Uint8Array.from(bytes)),
  fc.tuple(fc.constantFrom("x", "250-x\r\n", "250-\n", "\0", "é", "2", " ", "\r"), fc.integer({ min: 1, max: 600 }))
    .map(([unit, times]) => octets(unit.repeat(times))),
  nearlyReply.map(({ value }) => value),
  fc.uint8Array({ maxLength: 20 })
)

const damaged = fc.tuple(replies, fc.nat(), piece, fc.nat(3)).map(([bytes, seed, inserted, dropped]) => {
  const at = seed % (bytes.length + 1)
  return Bytes.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + dropped)])
})

/** Bytes that are nearly replies, other protocols, endless lines and replies, and noise. Some happen to be valid. */
export const hostileReplyBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  damaged,
  fc.array(piece, { maxLength: 8 }).map(Bytes.concat),
  fc.tuple(replies, fc.array(piece, { maxLength: 3 }).map(Bytes.concat)).map(Bytes.concat),
  replies.map((bytes) => bytes.filter((byte) => byte !== 13)),
  fc.uint8Array({ maxLength: 60 })
).map(readable)
