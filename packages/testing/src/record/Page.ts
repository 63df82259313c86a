/**
 * A recording as one page of HTML, to look at in a browser and to send to someone: it needs
 * nothing from anywhere, and nothing in it comes to life.
 */
import { EnhancedStatus } from "@postern/core"
import type { Answer, Connection, Entry, Exchange, Failed, Line, Phase, SaslStep, Trouble } from "./PageEvents.ts"
import { linesOf, phases, read } from "./PageEvents.ts"
import { count, document, duration, long, type Markup, markup, search, shortened, subjects } from "./PageShell.ts"
import type { Event, Header, Hidden, Recording } from "./Recording.ts"

/**
 * The page of a recording: what came of it, the time that each phase took, TLS and AUTH message
 * by message, and everything that was said, each event with a link of its own (`#e12`). It
 * shows what the recording has and no more: what is hidden or sealed stays so.
 *
 * @example
 * ```ts
 * import { Page, type Recording } from "@postern/testing"
 * import { Effect, FileSystem } from "effect"
 *
 * export const save = (recording: Recording.Recording) =>
 *   Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString("session.html", Page.html(recording)))
 * ```
 */
export const html = (recording: Recording): string => {
  const { header } = recording
  const connections = read(recording)
  const title = header.endpoint === undefined
    ? "SMTP session"
    : `SMTP session with ${header.endpoint.host}:${header.endpoint.port}`
  return document(
    `${title} – recording`,
    markup`<header>
<h1>${title}</h1>
${outcome(connections)}
${facts(header, recording.events.length, connections)}
</header>
<main id="sequence">
${search}
${connections.map((connection) => section(connection, connections.length))}
</main>`
  )
}

const modes = {
  plain: "plain: not protected",
  startTls: "STARTTLS: protected after the greeting",
  tls: "TLS from the first octet"
} as const

const facts = (
  { by, endpoint, mode, note, policy, startedAt }: Header,
  events: number,
  connections: ReadonlyArray<Connection>
): Markup => {
  const kept = [
    `addresses ${policy.addresses}`,
    `content ${policy.content === "whole" ? "kept whole" : "as length and hash"}`,
    policy.key === undefined ? "no key" : `secrets comparable with the key ${policy.key}`
  ]
  return markup`<dl>
<dt>Endpoint</dt><dd>${endpoint === undefined ? "not told" : `${endpoint.host}, port ${endpoint.port}`}</dd>
<dt>Mode</dt><dd>${mode === undefined ? "not told" : modes[mode]}</dd>
<dt>Began</dt><dd>${
    startedAt === undefined ? "not told" : markup`<time datetime="${startedAt}">${startedAt}</time>`
  }</dd>
<dt>Recorded by</dt><dd>${by}</dd>
<dt>Policy</dt><dd>${kept.join("; ")}</dd>
${note === undefined ? undefined : markup`<dt>Note</dt><dd>${note}</dd>`}
<dt>Size</dt><dd>${count(events, "event")} on ${count(connections.length, "connection")}${
    connections.length === 1
      ? undefined
      : connections.map(({ connection }) => markup` <a href="#c${connection}">${connection + 1}</a>`)
  }</dd>
</dl>`
}

const mostTroubles = 25

const outcome = (connections: ReadonlyArray<Connection>): Markup => {
  const troubles = connections.flatMap((connection) => connection.troubles)
  const accepted = connections.reduce((sum, connection) => sum + connection.accepted, 0)
  const of = (kind: Trouble["kind"]) => troubles.filter((trouble) => trouble.kind === kind).length
  const parts = [
    ...accepted === 0 && of("doubt") > 0
      ? []
      : [accepted === 0 ? "No message was accepted" : `${count(accepted, "message")} accepted`],
    ...of("doubt") === 0 ? [] : [`${count(of("doubt"), "message")} in doubt`],
    ...of("refusal") === 0 ? [] : [count(of("refusal"), "refusal")],
    ...of("failure") === 0 ? [] : [count(of("failure"), "failure")],
    ...of("gap") === 0 ? [] : ["the recording has gaps"]
  ]
  const tone = troubles.length === 0 ? accepted === 0 ? "none" : "good" : accepted + of("doubt") === 0 ? "bad" : "warn"
  const rest = troubles.length - mostTroubles
  return markup`<section class="outcome ${tone}" aria-label="Outcome">
<p>${parts.join(", ")}.</p>
${
    troubles.length === 0 ? undefined : markup`<ul>
${
      troubles.slice(0, mostTroubles).map((trouble) =>
        markup`<li><a href="#e${trouble.number}">#${trouble.number}</a><div>${told(trouble)}</div></li>`
      )
    }
${rest > 0 ? markup`<li>and ${rest.toLocaleString("en")} more</li>` : undefined}
</ul>`
  }
</section>`
}

const told = (trouble: Trouble): Markup => {
  switch (trouble.kind) {
    case "refusal":
      return markup`${long(trouble.text)} ${shortened(trouble.to ?? "")}`
    case "failure":
      return failure(trouble.event)
    case "doubt":
      return markup`the content was sent, and no reply to it came: the server may have taken it`
    case "gap":
      return markup`the recorder kept no more of this connection`
  }
}

const section = (found: Connection, connections: number): Markup => {
  const { connection, entries, exchanges } = found
  const [first] = entries
  const to = first?.event._tag === "Connecting" ? ` to ${first.event.host}:${first.event.port}` : ""
  const longest = entries.reduce<Entry | undefined>(
    (most, next) => next.delta > (most?.delta ?? 0) ? next : most,
    undefined
  )
  return markup`<section aria-labelledby="c${connection}">
<h2 id="c${connection}">${connections === 1 ? "Connection" : `Connection ${connection + 1}`}${to}</h2>
<div class="about">
${times(found)}
${entries.flatMap(({ event }) => event._tag === "TlsEstablished" ? [tls(event)] : [])}
${exchanges.map(exchange)}
</div>
<h3>What was said</h3>
<ol>
${entries.map((entry) => event(entry, first, longest))}
</ol>
</section>`
}

const label = (phase: Phase): string => phase === "tls" ? "TLS" : phase

const times = ({ connection, spent }: Connection): Markup => {
  const taken = phases.flatMap((phase) => {
    const time = spent.get(phase)
    return time === undefined ? [] : [{ phase, ...time }]
  })
  const whole = taken.reduce((sum, { total }) => sum + total, 0)
  if (whole === 0) return markup`<p class="muted">The recording does not tell how long anything took.</p>`
  // Nobody is slow who is asked for nothing.
  const slowest = taken.reduce((most, next) => next.phase !== "idle" && next.total > most.total ? next : most)
  const share = (part: number) => part > 0 && part < whole / 200 ? "< 1 %" : `${Math.round(part / whole * 100)} %`
  return markup`<figure aria-labelledby="t${connection}">
<figcaption id="t${connection}">${duration(whole)} in all; the slowest phase is ${label(slowest.phase)} (${
    duration(slowest.total)
  }, ${share(slowest.total)})</figcaption>
<div class="bar" aria-hidden="true">${
    taken.map(({ phase, total }) =>
      markup`<span class="p-${phase}" style="flex-grow:${(total / whole).toFixed(5)}"></span>`
    )
  }</div>
<table class="phases">
<thead><tr><th scope="col">Phase</th><th scope="col" class="n">Time</th><th scope="col" class="n">Share</th><th scope="col" class="n">Waited for the server</th></tr></thead>
<tbody>
${
    taken.map(({ phase, total, waited }) =>
      markup`<tr${
        phase === slowest.phase ? markup` class="slowest"` : undefined
      }><th scope="row"><span class="key p-${phase}"></span>${label(phase)}${
        phase === slowest.phase ? markup` <span class="note">slowest</span>` : undefined
      }</th><td class="n">${duration(total)}</td><td class="n">${share(total)}</td><td class="n">${
        duration(waited)
      }</td></tr>`
    )
  }
</tbody>
</table>
</figure>`
}

const tls = (facts: Extract<Event, { readonly _tag: "TlsEstablished" }>): Markup => {
  const { certificate, channelBindings, cipher, serverName, verifiedBy, version } = facts
  const by = verifiedBy === "chain" ? "its chain of certificates" : "the fingerprint of its certificate"
  return markup`<h3>TLS</h3>
<dl>
<dt>Protocol</dt><dd>${version}, ${cipher}</dd>
<dt>Server</dt><dd>${serverName}, verified by ${by}</dd>
${
    certificate === undefined ? undefined : markup`<dt>Certificate</dt><dd>${long(certificate.subject)}</dd>
<dt>Issued by</dt><dd>${long(certificate.issuer)}</dd>
<dt>Valid</dt><dd>${certificate.validFrom} to ${certificate.validTo}</dd>
<dt>Fingerprint</dt><dd>${long(certificate.fingerprint)}</dd>`
  }
${
    channelBindings.length === 0
      ? undefined
      : markup`<dt>Channel bindings</dt><dd>${
        channelBindings.map(({ hidden, type }) => markup`<div>${type} ${hiddenIn(hidden)}</div>`)
      }</dd>`
  }
</dl>`
}

const exchange = ({ mechanism, outcome, steps }: Exchange): Markup =>
  markup`<h3>Authentication: ${mechanism}</h3>
<table class="sasl">
<thead><tr><th scope="col">Event</th><th scope="col">From</th><th scope="col">What it is</th><th scope="col">What it says</th></tr></thead>
<tbody>
${
    steps.map((step) =>
      markup`<tr><td><a href="#e${step.number}">#${step.number}</a></td><td>${step.from}, ${step.kind}</td><td>${
        nameOf(step)
      }</td><td>${says(step)}</td></tr>`
    )
  }
</tbody>
</table>
<p class="note">${
    outcome === undefined
      ? "It has no end in this recording."
      : markup`<a href="#e${outcome.number}">#${outcome.number}</a> ${outcome.code}: ${
        outcome.code === 235 ? "authenticated" : "not authenticated"
      }`
  }</p>`

const says = ({ hidden, kind, shown }: SaslStep): Markup =>
  hidden !== undefined
    ? hiddenIn(hidden)
    : shown === undefined
    ? markup`${kind === "cancellation" ? "*" : ""}`
    : typeof shown === "string"
    ? shown === "" ? markup`nothing` : long(shown)
    : markup`${count(shown.length, "octet")} that are no text`

/** What is known of something hidden. */
const hiddenIn = ({ hash, octets, sealed }: Hidden): Markup =>
  markup`<span class="mark">hidden</span> ${octets === undefined ? "length not told" : count(octets, "octet")}${
    hash === undefined ? "" : `, hash ${hash.slice(0, 12)}…`
  }${sealed === undefined ? undefined : markup` <span class="mark">sealed</span> can be read with the key`}`

const sides: { readonly [tag in Event["_tag"]]?: "client" | "server" } = {
  Received: "server",
  ReceivedHidden: "server",
  Sent: "client",
  SentHidden: "client",
  ContentSent: "client"
}

const event = (entry: Entry, first: Entry | undefined, longest: Entry | undefined): Markup => {
  const { broken, delta, event, number, steps } = entry
  const side = sides[event._tag] ?? "local"

  const since = entry === first
    ? undefined
    : entry === longest
    ? markup`<b>+${duration(delta)} <i>longest</i></b>`
    : markup`+${duration(delta)}`
  const when = longest === undefined ? undefined : markup`<span>${duration(event.at)}</span><span>${since}</span>`
  return markup`<li class="event ${side}${broken ? " broken" : ""}" id="e${number}">
<a class="number" href="#e${number}">#${number}</a><span class="at">${when}</span>
<div class="said">${side === "local" ? undefined : markup`<span class="who">${side}</span>`}${body(entry)}${
    steps.map((step) =>
      markup`<div class="note">${step.mechanism} ${nameOf(step)}${
        step.shown === undefined || step.shown === "" ? undefined : markup`: ${says(step)}`
      }</div>`
    )
  }</div></li>`
}

const mostLines = 40

const body = ({ broken, event, lines }: Entry): Markup => {
  switch (event._tag) {
    case "Connecting":
      return markup`Connecting to ${event.host}, port ${event.port}`
    case "Connected":
      return markup`Connected`
    case "HandshakeStarted":
      return markup`TLS handshake begins, for ${event.serverName}`
    case "TlsEstablished":
      return markup`TLS established: ${event.version}, ${event.cipher}`
    case "Random":
      return markup`Random octets for the program: ${hiddenIn(event.hidden)}`
    case "Closed":
      return markup`The client closed`
    case "Truncated":
      return markup`The recorder kept no more of this connection: ${count(event.events, "event")} until here`
    case "Failed":
      return broken ? failure(event) : markup`The server closed`
    case "ContentSent":
      return markup`Content${event.octets === undefined ? undefined : markup`, ${count(event.octets, "octet")}`}${
        event.sha256 === undefined
          ? markup`<p class="note">It was not in the log</p>`
          : markup`<p class="note">SHA-256 <code>${event.sha256}</code></p>`
      }${
        event.whole === undefined
          ? undefined
          : markup`<details><summary>As it was sent</summary><pre>${
            linesOf(event.whole).map((line) => markup`${line}`)
          }</pre></details>`
      }`
    case "SentHidden":
    case "ReceivedHidden":
      return markup`${lines.filter(({ text }) => text !== "").map(lineOf)}<p class="note">${hiddenIn(event.hidden)}</p>`
    default:
      return lines.length <= mostLines
        ? markup`${lines.map(lineOf)}`
        : markup`${lines.slice(0, mostLines).map(lineOf)}<details><summary>${
          count(lines.length - mostLines, "more line")
        }</summary>${lines.slice(mostLines).map(lineOf)}</details>`
  }
}

const lineOf = ({ answer, text }: Line): Markup => {
  if (answer === undefined) {
    return text === ""
      ? markup`<div class="text"> </div>`
      : markup`<div class="text">${long(text)}</div>`
  }
  const tone = answer.code >= 500 ? " bad" : answer.code >= 400 ? " warn" : ""
  return markup`<div class="text${tone}"><b class="mono">${text.slice(0, 3)}</b>${long(text.slice(3))}${
    answer.more ? undefined : markup`<p class="note">${explained(answer)}</p>`
  }</div>`
}

const kinds: Readonly<Record<number, string>> = { 2: "done", 3: "go on", 4: "refused for now", 5: "refused for good" }

const explained = ({ code, meaning, status, to }: Answer): string => {
  const kind = kinds[Math.floor(code / 100)] ?? "no code of SMTP"
  return [
    to === undefined ? "answers nothing that was asked" : shortened(to),
    meaning === undefined ? kind : code < 400 ? meaning : `${kind}: ${meaning}`,
    ...status === undefined || code < 400
      ? []
      : [`${EnhancedStatus.format(status)} is about ${subjects[status.subject] ?? "an unknown subject"}`]
  ].join(" · ")
}

/** What each side says, message by message: names of the mechanisms' specifications where they have some. */
const messages: ReadonlyArray<readonly [RegExp, client: ReadonlyArray<string>, server: ReadonlyArray<string>]> = [
  [
    /^SCRAM-/,
    ["client-first: user name and nonce", "client-final: nonce and proof", "empty: the server's signature is taken"],
    ["server-first: nonces, salt and iteration count", "server-final: the server's signature"]
  ],
  [/^PLAIN$/, ["user name and password"], []],
  [/^LOGIN$/, ["user name", "password"], ["asks for the user name", "asks for the password"]],
  [/^CRAM-MD5$/, ["digest: user name and HMAC-MD5 of the challenge"], ["challenge: what the digest is made of"]],
  [
    /^DIGEST-MD5$/,
    ["digest-response", "empty: the server's proof is taken"],
    ["digest-challenge: realm, nonce, qop", "response-auth: the server's proof"]
  ],
  [/^(?:NTLM|MSN)$/, ["negotiate (type 1)", "authenticate (type 3)"], ["challenge (type 2)"]],
  [/^XOAUTH2$|^OAUTHBEARER$/, ["user name and bearer token", "ends the exchange"], ["error, as JSON"]],
  [/^EXTERNAL$/, ["authorization identity"], []],
  [/^ANONYMOUS$/, ["trace"], []],
  [/^GSSAPI$|^GSS-SPNEGO$|^GS2-/, ["initial context token", "context token"], ["context token"]]
]

const nameOf = ({ from, index, kind, mechanism }: SaslStep): string => {
  if (index === undefined) return kind === "cancellation" ? "cancels the exchange" : "empty: the client begins"
  const [, client = [], server = []] = messages.find(([pattern]) => pattern.test(mechanism.toUpperCase())) ?? []
  return (from === "client" ? client : server)[index] ?? `message ${index + 1} of the ${from}`
}

const operations = { connect: "Connecting", read: "Reading", write: "Writing", handshake: "The TLS handshake" } as const

const failure = ({ operation, problem }: Failed): Markup =>
  markup`${operations[operation]} failed: ${long(problemOf(problem))}`

const problemOf = (problem: Failed["problem"]): string => {
  switch (problem._tag) {
    case "ConnectFailed":
      return `${problem.code}, ${problem.detail} (${problem.host}, port ${problem.port})`
    case "Closed":
      return "the server closed the connection"
    case "Broken":
      return `the connection broke: ${problem.code}, ${problem.detail}`
    case "NotTls":
      return "the server does not speak TLS"
    case "CertificateRefused":
      return `certificate refused (${problem.problem}): ${problem.detail}`
    case "HandshakeFailed":
      return `${problem.code}, ${problem.detail}`
    case "PlaintextBuffered":
      return `${problem.bytes.length} octets came unprotected after the reply to STARTTLS`
  }
}
