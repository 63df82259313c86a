/**
 * What every page has: the one way for text to get into it, how it looks in light and dark, and
 * the little that it does by itself.
 */
import type { Phase } from "./PageEvents.ts"

/** What is markup already; everything else is escaped on its way in. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | undefined | ReadonlyArray<Markup>

/** Markup with parts in it: text and numbers are escaped. */
export const markup = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Markup =>
  new Markup(strings.map((text, index) => text + written(parts[index])).join(""))

const written = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Markup) return part.text
  return typeof part === "object" ? part.map(({ text }) => text).join("\n") : escape(visible(String(part)))
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;",
  "`": "&#96;"
}
const escape = (text: string): string => text.replace(/[&<>"'`]/g, (character) => entities[character] ?? "")

/** Text in which nothing hides: controls, what turns the direction, what has no width, halves of characters. */
const visible = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu,
    (character) => `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`
  )

/** How many there are. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`

/** Three digits of a time, in the unit that suits it. */
export const duration = (milliseconds: number): string => {
  if (milliseconds < 1000) return `${Number(milliseconds.toPrecision(3))} ms`
  if (milliseconds < 60_000) return `${Number((milliseconds / 1000).toPrecision(3))} s`
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60).toLocaleString("en")} min ${seconds % 60} s`
}

/** A line of text; the whole of a long one on demand. */
export const long = (text: string): Markup => {
  if (text.length <= 240) return markup`<code>${text}</code>`
  const start = text.slice(0, 160).replace(/[\uD800-\uDBFF]$/, "")
  return markup`<details><summary><code>${start}…</code> <span>(${
    count(text.length, "character")
  })</span></summary><code>${text}</code></details>`
}

/** At most 80 characters of a text. */
export const shortened = (text: string): string =>
  text.length <= 80 ? text : `${text.slice(0, 80).replace(/[\uD800-\uDBFF]$/, "")}…`

/** Shown by the script that makes it work. */
export const search = markup`<form role="search" hidden>
<label class="away" for="search">Search the events</label>
<input type="search" id="search" placeholder="Search the events" autocomplete="off" spellcheck="false" aria-keyshortcuts="/">
<kbd aria-hidden="true">/</kbd>
<output id="count" for="search" role="status"></output>
</form>`

/** What the second number of an enhanced status code says that it is about (RFC 3463 §3). */
export const subjects = [
  "something else",
  "the address",
  "the mailbox",
  "the mail system",
  "network or routing",
  "the mail protocol",
  "the content",
  "security or policy"
]

const footer = markup`<footer>
<h2>How to read the codes</h2>
<dl>
<dt>2yz</dt><dd>done</dd>
<dt>3yz</dt><dd>go on: the server waits for more</dd>
<dt>4yz</dt><dd>refused for now: the same may succeed later</dd>
<dt>5yz</dt><dd>refused for good: the same will fail again</dd>
<dt>x.y.z</dt><dd>enhanced status (RFC 3463): x is 2, 4 or 5 as above; y is what it is about, ${
  subjects.map((subject, index) => `${index} ${subject}`).join(", ")
}</dd>
</dl>
</footer>`

const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
  + "form-action 'none'"

/** A whole page. It loads nothing and sends nothing. */
export const document = (title: string, body: Markup): string =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<a class="skip" href="#sequence">To what was said</a>
${body}
${footer}
<script>${new Markup(script)}</script>
</body>
</html>
`.text

/** The colours of one scheme. */
export interface Scheme {
  readonly page: string
  readonly surface: string
  readonly ink: string
  readonly muted: string
  readonly line: string
  readonly accent: string
  readonly client: string
  readonly server: string
  readonly target: string
  readonly good: string
  readonly goodSurface: string
  readonly warn: string
  readonly warnSurface: string
  readonly bad: string
  readonly badSurface: string
}

export const light: Scheme = {
  page: "#f7f7f4",
  surface: "#ffffff",
  ink: "#1c2227",
  muted: "#57616a",
  line: "#dcdfdd",
  accent: "#185a9d",
  client: "#e9f1fa",
  server: "#ffffff",
  target: "#fff3c9",
  good: "#17643a",
  goodSurface: "#e6f3ea",
  warn: "#7a4d00",
  warnSurface: "#fcf1d8",
  bad: "#a11d18",
  badSurface: "#fceae8"
}

export const dark: Scheme = {
  page: "#121517",
  surface: "#1a1e21",
  ink: "#e3e6e8",
  muted: "#a2acb4",
  line: "#333a3f",
  accent: "#8dbcf2",
  client: "#17283a",
  server: "#1f2427",
  target: "#3a3213",
  good: "#7ed39b",
  goodSurface: "#13281b",
  warn: "#e9ba60",
  warnSurface: "#2d2311",
  bad: "#ff9d95",
  badSurface: "#381a18"
}

/** What is written on what. */
export const readable: ReadonlyArray<readonly [text: keyof Scheme, surface: keyof Scheme]> = [
  ...(["page", "surface", "client", "server", "target", "goodSurface", "warnSurface", "badSurface"] as const).flatMap((
    surface
  ) => [["ink", surface] as const, ["muted", surface] as const, ["accent", surface] as const]),
  ["good", "goodSurface"],
  ["warn", "warnSurface"],
  ["bad", "badSurface"],
  ["bad", "server"]
]

/** Stand apart from the surface of either scheme. */
export const phaseColours: Readonly<Record<Phase, string>> = {
  connect: "#6d7f8f",
  greeting: "#a5792f",
  hello: "#2f8aa8",
  tls: "#8467bd",
  authentication: "#c2603a",
  envelope: "#3a9068",
  content: "#3b78c4",
  idle: "#868d93",
  quit: "#a85f86"
}

const variables = (scheme: Scheme): string =>
  Object.entries(scheme).map(([name, value]) => `--${name}:${value}`).join(";")

const style = `
:root{color-scheme:light dark;${variables(light)}}
@media(prefers-color-scheme:dark){:root{${variables(dark)}}}
*{box-sizing:border-box}
[hidden],.searching .about{display:none!important}
html{scroll-padding-top:4.5rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1.75rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:0 0 .25rem}
h2{font-size:1.25rem;line-height:1.3;font-weight:650;margin:2.75rem 0 .75rem}
h3{font-size:.9375rem;font-weight:650;margin:1.75rem 0 .5rem}
p{margin:.25rem 0 .75rem}
a{color:var(--accent);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875rem}
code{unicode-bidi:isolate;direction:ltr;white-space:pre-wrap}
.muted,dt,th,figcaption{color:var(--muted)}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;z-index:2;background:var(--surface);padding:.5rem}
.away{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.outcome{margin:1.25rem 0;padding:.875rem 1.125rem;border-radius:.5rem;border-left:.25rem solid}
.outcome p:first-child{font-size:1.125rem;font-weight:650;margin:0}
.outcome ul{list-style:none;margin:.625rem 0 0;padding:0}
.outcome li{margin:.25rem 0;display:grid;grid-template-columns:3rem 1fr}
.outcome code{color:var(--ink)}
.good{color:var(--good);background:var(--goodSurface);border-color:var(--good)}
.warn{color:var(--warn);background:var(--warnSurface);border-color:var(--warn)}
.bad{color:var(--bad);background:var(--badSurface);border-color:var(--bad)}
.none{color:var(--ink);background:var(--surface);border-color:var(--muted)}
.outcome a{color:inherit}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem;margin:1rem 0;font-size:.9375rem}
dd{margin:0}
form{position:sticky;top:0;z-index:1;background:var(--page);padding:.75rem 0;display:flex;gap:.875rem;align-items:center;
  border-bottom:1px solid var(--line)}
input{flex:1 1 auto;min-width:0;max-width:30rem;font:inherit;color:inherit;background:var(--surface);
  border:1px solid var(--muted);border-radius:.375rem;padding:.4375rem .75rem}
::placeholder{color:var(--muted);opacity:1}
output{color:var(--muted);font-size:.875rem;white-space:nowrap}
kbd{font:.8125rem ui-monospace,monospace;color:var(--muted);border:1px solid var(--line);border-radius:.25rem;
  padding:.0625rem .375rem}
figure{margin:0}
.bar{display:flex;gap:2px;height:1.25rem;border-radius:.375rem;overflow:hidden;margin:.25rem 0 .75rem}
.bar span{flex-basis:0;min-width:3px}
.key{display:inline-block;width:.75rem;height:.75rem;border-radius:.1875rem;margin-right:.625rem}
${Object.entries(phaseColours).map(([phase, colour]) => `.p-${phase}{background:${colour}}`).join("\n")}
table{border-collapse:collapse;font-size:.9375rem;width:100%}
.phases{max-width:38rem}
.sasl{table-layout:fixed;margin-bottom:.5rem}
.sasl th:nth-child(1){width:4rem}
.sasl th:nth-child(2){width:20%}
.sasl th:nth-child(3){width:32%}
.phases th{white-space:nowrap}
.phases .note{font-weight:400;margin-left:.25rem}
th,td{text-align:left;padding:.3125rem 1rem .3125rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{font-weight:500;font-size:.8125rem;white-space:nowrap}
tbody th{font-weight:400;color:var(--ink)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.slowest th,.slowest td{font-weight:650}
ol{list-style:none;margin:0;padding:0}
.event{display:grid;grid-template-columns:3rem 9.5rem 1fr;gap:0 .75rem;align-items:baseline;padding:.25rem .375rem;
  border-radius:.375rem;content-visibility:auto;contain-intrinsic-size:auto 2.75rem}
.event:target{background:var(--target)}
.at{font-size:.8125rem;color:var(--muted);font-variant-numeric:tabular-nums;white-space:nowrap;display:flex;
  justify-content:space-between;gap:.75rem}
.at b{color:var(--ink);font-weight:650}
.at i{display:block;font-style:normal;font-weight:400;text-align:right}
.number{font-size:.8125rem;color:var(--muted);text-decoration:none;font-variant-numeric:tabular-nums}
.number:hover{text-decoration:underline}
.said{min-width:0;border:1px solid var(--line);border-radius:.5rem;padding:.4375rem .75rem}
.client .said{background:var(--client);margin-right:14%;border-color:transparent}
.server .said{background:var(--server);margin-left:14%}
.local .said{border-color:transparent;padding-left:0;padding-right:0;color:var(--muted);font-size:.9375rem}
.broken .said{border-color:var(--bad)!important;background:var(--badSurface);color:var(--ink)!important;padding:.4375rem .75rem!important}
.who{float:right;font-size:.75rem;color:var(--muted);padding-left:.75rem}
.text{margin:0}
.text b{font-weight:700}
.text.bad,.text.warn{display:flow-root;margin:.125rem 0;padding:.1875rem .5rem;border-left:.1875rem solid;border-radius:.25rem}
.text.bad code,.text.warn code{color:var(--ink)}
.text.bad .note,.text.warn .note{color:inherit}
.mark{font-size:.75rem;border:1px dashed var(--muted);border-radius:.25rem;padding:0 .3125rem;white-space:nowrap}
.note{font-size:.8125rem;color:var(--muted);margin:0 0 .25rem}
.note:last-child{margin-bottom:0}
details{margin:.125rem 0}
summary{cursor:pointer}
summary span{font-size:.8125rem;color:var(--muted)}
pre{margin:.375rem 0;max-height:30rem;overflow:auto;white-space:pre-wrap;unicode-bidi:isolate;direction:ltr}
footer{margin-top:3rem;padding-top:1rem;padding-bottom:3rem;font-size:.875rem;color:var(--muted)}
footer dl{font-size:inherit}
footer h2{font-size:1rem}
@media(max-width:44rem){
header{padding-top:1.5rem}
header,main,footer{padding-left:1rem;padding-right:1rem}
h1{font-size:1.375rem}
dl{gap:.25rem .875rem;font-size:.875rem}
kbd{display:none}
.event{grid-template-columns:auto 1fr;padding:.375rem 0}
.at{justify-content:flex-start}
.at i{display:inline}
.said{grid-column:1/-1}
.client .said{margin-right:1.5rem}
.server .said{margin-left:1.5rem}
.sasl thead{display:none}
.sasl tr{display:block;padding:.375rem 0;border-bottom:1px solid var(--line)}
.sasl td{display:block;border:0;padding:0}
.phases{font-size:.8125rem}
.phases th,.phases td{padding-right:.5rem}
.phases thead .n:last-child{white-space:normal}
.phases .note{display:block;margin-left:1.375rem}
}
@media print{
:root{${variables(light)};color-scheme:light}
body{background:#fff;font-size:10pt}
header,main,footer{max-width:none;padding:0}
form,.skip{display:none}
.event{break-inside:avoid;content-visibility:visible}
details::details-content{content-visibility:visible;block-size:auto}
pre{max-height:none}
.bar,.key,.said,.outcome{print-color-adjust:exact;-webkit-print-color-adjust:exact}
a{color:inherit;text-decoration:none}
}
`

/** Search: the page is whole without it. */
const script = `
(() => {
  const box = document.getElementById("search")
  const count = document.getElementById("count")
  const events = [...document.querySelectorAll(".event")]
  const sections = document.querySelectorAll("main section")
  let texts
  const plain = (text) => text.toLowerCase().replace(/\\s+/g, " ")
  const filter = () => {
    const wanted = plain(box.value).trim()
    texts ??= events.map((event) => plain(event.textContent))
    let hits = 0
    events.forEach((event, index) => {
      const hit = texts[index].includes(wanted)
      event.hidden = !hit
      if (!hit || wanted === "") return void (hits += hit)
      hits++
      for (const part of event.querySelectorAll("details")) part.open = plain(part.textContent).includes(wanted)
    })
    for (const section of sections) section.hidden = section.querySelector(".event:not([hidden])") === null
    document.body.classList.toggle("searching", wanted !== "")
    count.textContent = wanted === "" ? "" : hits + " of " + events.length + " events"
  }
  const clear = () => {
    box.value = ""
    filter()
  }
  box.form.hidden = false
  box.form.addEventListener("submit", (event) => event.preventDefault())
  box.addEventListener("input", filter)
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1))
    if (target?.getClientRects().length === 0) {
      clear()
      target.scrollIntoView()
    }
  }
  addEventListener("hashchange", reveal)
  addEventListener("click", (event) => {
    // To where one is already: the hash does not change.
    if (event.target.closest("a")?.hash === location.hash) reveal()
  })
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement === box) clear()
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.activeElement === box) return
    event.preventDefault()
    box.focus()
    box.select()
  })
})()
`
