/**
 * Spans and metrics of a client, exported with Effect's OTLP modules: messages go to an embedded
 * server, what is told of them to a collector. `OTEL_EXPORTER_OTLP_ENDPOINT` names one that speaks
 * OTLP/HTTP; without it a small one is embedded, too, that prints what it receives.
 */
import { Mechanism, Plain, SmtpClient } from "@postern/core"
import { NodeTransport } from "@postern/node"
import { Certificates, TcpServer } from "@postern/testing"
import { Config, Console, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp } from "effect/observability"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"

const letter = (to: string): SmtpClient.Message => ({
  from: "ann@example.org",
  to,
  content: `From: ann@example.org\nTo: ${to}\nSubject: hello\n\nHello.\n`
})

/** One message on a connection of its own, three on another. The server knows no dan. */
const program = Effect.gen(function*() {
  const authority = yield* Certificates.authority("postern example authority")
  const tls = yield* authority.issue({ name: "localhost", dns: ["localhost"] })
  const password = Redacted.make("correct horse battery staple")
  const server = yield* TcpServer.make({
    mechanisms: [Plain.plain],
    accounts: { ann: password },
    unknownUsers: ["dan@example.org"]
  }, { tls })
  const client = yield* SmtpClient.make({
    endpoint: `localhost:${server.port}`,
    security: "startTls",
    credentials: Mechanism.password("ann", password),
    tls: { ca: [authority.certificate] }
  })
  yield* client.send(letter("ben@example.org"))
  const rest = ["cat@example.org", "dan@example.org", "eve@example.org"].map(letter)
  yield* Stream.runDrain(client.sendAll(Stream.fromIterable(rest)))
}).pipe(Effect.scoped, Effect.withSpan("newsletter"), Effect.provide(NodeTransport.layer))

const exporting = (baseUrl: string) =>
  Effect.provide(
    program,
    Otlp.layerJson({ baseUrl, resource: { serviceName: "postern-example" } }).pipe(
      Layer.provide(FetchHttpClient.layer)
    )
  )

/** What OTLP says, as far as it is shown here. */
const Attributes = Schema.Array(
  Schema.Struct({ key: Schema.String, value: Schema.Record(Schema.String, Schema.Unknown) })
)
const Span = Schema.Struct({
  name: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.NullOr(Schema.String)),
  startTimeUnixNano: Schema.String,
  endTimeUnixNano: Schema.String,
  attributes: Attributes
})
const Point = Schema.Struct({
  attributes: Attributes,
  asDouble: Schema.optional(Schema.Number),
  count: Schema.optional(Schema.Number),
  sum: Schema.optional(Schema.Number)
})
const Points = Schema.optional(Schema.Struct({ dataPoints: Schema.Array(Point) }))
const Measured = Schema.Struct({ name: Schema.String, unit: Schema.String, sum: Points, histogram: Points })

const decodeTraces = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({
  resourceSpans: Schema.Array(Schema.Struct({
    scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) }))
  }))
})))
const decodeMetrics = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({
  resourceMetrics: Schema.Array(Schema.Struct({
    scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(Measured) }))
  }))
})))

const shown = (attributes: typeof Attributes.Type): string =>
  attributes
    .filter(({ key }) => !["unit", "server.address", "server.port", "network.protocol.name"].includes(key))
    .map(({ key, value }) => `${key}=${Object.values(value)[0]}`)
    .join(" ")

const tree = (spans: ReadonlyArray<typeof Span.Type>, parent: string | undefined, depth = 1): ReadonlyArray<string> =>
  spans
    .filter(({ parentSpanId }) => (parentSpanId ?? undefined) === parent)
    .toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
    .flatMap((span) => [line(span, depth)].concat(tree(spans, span.spanId, depth + 1)))

const line = ({ attributes, endTimeUnixNano, name, startTimeUnixNano }: typeof Span.Type, depth: number): string => {
  const milliseconds = Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6
  return `${"  ".repeat(depth)}${name} ${milliseconds.toFixed(1)} ms ${shown(attributes)}`.trimEnd()
}

interface Collector {
  readonly url: string
  /** What came: its path, and its body. */
  readonly received: ReadonlyArray<readonly [string, string]>
  readonly close: () => void
}

/** A collector on loopback. */
const collector = Effect.acquireRelease(
  Effect.callback<Collector>((resume) => {
    const received: Array<readonly [string, string]> = []
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        received.push([request.url ?? "", body])
        return response.setHeader("content-type", "application/json").end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, received, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

/** Everything the embedded collector received, in words. */
const collected = Effect.gen(function*() {
  const { received, url } = yield* collector
  yield* exporting(url)
  const of = (path: string) => received.flatMap(([to, body]) => to === path ? [body] : [])
  const traces = yield* Effect.forEach(of("/v1/traces"), (body) => decodeTraces(body))
  const spans = traces.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  )
  // Each export has the sums until then: the last has all.
  const last = yield* Effect.forEach(of("/v1/metrics").slice(-1), (body) => decodeMetrics(body))
  const measured = last.flatMap(({ resourceMetrics }) =>
    resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  )
  const points = measured.flatMap(({ histogram, name, sum, unit }) =>
    [...sum?.dataPoints ?? [], ...histogram?.dataPoints ?? []].map(({ asDouble, attributes, count, sum }) => {
      const value = count === undefined ? `${asDouble} ${unit}` : `${count} in ${(sum ?? 0).toFixed(4)} ${unit}`
      return `  ${[name, shown(attributes), value].filter((part) => part !== "").join(" ")}`
    })
  )
  return ["Spans", ...tree(spans, undefined), "Metrics", ...points.toSorted()]
}).pipe(Effect.scoped)

export const main = Effect.gen(function*() {
  const endpoint = yield* Config.option(Config.String("OTEL_EXPORTER_OTLP_ENDPOINT"))
  if (Option.isNone(endpoint)) return yield* collected
  yield* exporting(endpoint.value)
  return [`Exported to ${endpoint.value}`]
})

if (import.meta.main) {
  await Effect.runPromise(Effect.flatMap(main, (lines) => Console.log(lines.join("\n"))))
}
