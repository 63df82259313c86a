import { content } from "./curl.content.ts"
import { envelope } from "./curl.envelope.ts"
import type { Collection } from "./exchange.ts"
import { passwords } from "./curl.password.ts"
import { session } from "./curl.session.ts"
import { tokens } from "./curl.token.ts"

export const curl: Collection = {
  project: "curl",
  version: "8.22.0-DEV, commit 5c61e168698a of 2026-08-22",
  url: "https://github.com/curl/curl",
  exchanges: [...session, ...content, ...envelope, ...passwords, ...tokens],
  differences: [
    {
      from: "tests/data/test900",
      theirs: "sends a line of 65530 octets",
      ours: "fails with ExtensionMissing (BINARYMIME) before MAIL, or converts the content where it is told how",
      reason: "a line has 998 octets at most (RFC 5321 §4.5.3.1.6); what servers make of longer ones differs"
    },
    {
      from: "tests/data/test913",
      theirs: "says MAIL with a SIZE above the server's limit, and has it refused",
      ours: "fails with TooLarge, without a command",
      reason: "the server has said so already (RFC 1870 §5)"
    },
    {
      from: "tests/data/test914, test916, test918, test3002 to test3007",
      theirs: "says addresses without a domain, and has them refused by the server",
      ours: "fails with InvalidInput before it connects",
      reason: "only Postmaster has no domain in SMTP (RFC 5321 §4.1.1.3); whoever wrote the address learns it at once"
    },
    {
      from: "tests/data/test914, test916, test3006, test3007",
      theirs: "says QUIT behind a refused MAIL or RCPT",
      ours: "says RSET, then QUIT",
      reason: "a transaction that came to nothing is cleared, whatever follows on the connection"
    },
    {
      from: "tests/data/test918",
      theirs: "stops at the first recipient that is refused, and sends to nobody",
      ours: "says every recipient; sends to those accepted (policy `any`), or to nobody (policy `all`)",
      reason: "each recipient's reply is told, and a wrong address does not keep the message from the others"
    },
    {
      from: "tests/data/test939, test940",
      theirs: "sends without authentication where credentials are given and AUTH is not offered",
      ours: "fails with NoUsableMechanism",
      reason: "who gives credentials wants to be known; taking away the offer is easy for an attacker in between"
    },
    {
      from: "tests/data/test903, test904, test908, test919, test920, test922, test946 to test949, test953, test992",
      theirs: "sends passwords and tokens without TLS",
      ours: "fails with NoUsableMechanism, unless the mechanism is named with `Mechanism.allowWithoutTls`",
      reason: "whoever listens would have them"
    },
    {
      from: "tests/data/test942 to test945",
      theirs: "uses EXTERNAL without TLS, with a user name",
      ours: "uses it with `Certificate` credentials in TLS alone",
      reason: "without a certificate nothing was proved elsewhere (RFC 4422 appendix A)"
    },
    {
      from: "tests/data/test903, test908, test942, test943, test946, test953",
      theirs: "waits for a challenge before the first response, unless told otherwise (`--sasl-ir`)",
      ours: "says the first response with AUTH where the line has room for it",
      reason: "RFC 4954 §4 has every server take it, and it saves a round trip"
    },
    {
      from: "tests/data/test906, test921, test933, test936",
      theirs: "answers an NTLM challenge with NTLMv1 and an LM hash where the server has no target information",
      ours: "answers with NTLMv2; with NTLMv1 only by `Ntlm.make({ version: 1 })`, and never with an LM hash",
      reason: "NTLMv1 gives the password to whoever records it"
    },
    {
      from: "tests/data/test907",
      theirs: "believes a success of DIGEST-MD5 whatever the server's rspauth",
      ours: "cancels and fails with ServerNotVerified",
      reason: "the proof is what DIGEST-MD5 has for the client (RFC 2831 §2.1.3); that of the case is wrong"
    },
    {
      from: "tests/data/test935, test936, test937",
      theirs: "goes on to PLAIN after a challenge that it does not understand",
      ours: "cancels and fails with AuthenticationFailed (`exchange broken`)",
      reason: "rubbish in place of a challenge would bring any client to send its password"
    },
    {
      from: "tests/data/test935, test937",
      theirs: "uses CRAM-MD5 and DIGEST-MD5 before PLAIN",
      ours: "uses PLAIN before them in TLS, and not at all without",
      reason: "in verified TLS they protect nothing more, and many accounts have no secret stored for them"
    },
    {
      from: "tests/data/test955 to test961",
      theirs: "says addresses beyond ASCII to a server without SMTPUTF8, and domains as they are where it has no IDN",
      ours: "fails with ExtensionMissing before MAIL or VRFY; a domain is always said in A-labels",
      reason: "RFC 6531 §3.1 forbids it; every server takes A-labels"
    },
    {
      from: "tests/data/test3215",
      theirs: "takes parameters as text behind the address, whatever the server offers",
      ours: "has options for them, each held against what the server offers",
      reason: "text behind an address can be anything; a server without DSN refuses the recipient for it"
    },
    {
      from: "tests/data/test2110",
      theirs: "connects, then refuses an address with CRLF in it",
      ours: "refuses it before it connects",
      reason: "no server is needed to see it"
    },
    {
      from: "tests/data/test987",
      theirs: "takes any certificate when told to (`--insecure`)",
      ours: "takes one that is trusted, given as `tls.ca`, or pinned",
      reason: "there is no switch that skips verification"
    }
  ],
  leftOut: [
    "MIME parts made of files and fields: test646, test648, test652, test1187, test3227 (content is given whole; of test649 the failing content is here)",
    "proxies, which are below the session: test445, test1320",
    "what the command line prints: test1406 (its C code), test1462, test1705, test1706",
    "parsing of URLs for all protocols: test1560",
    "connections shared by transfers with other credentials: test938 (a client has one set of them)",
    "a verb in letters of the caller's choice: test950 (its reply is here)"
  ]
}
