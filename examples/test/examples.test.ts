/**
 * Every example runs, and says what its text promises.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Result } from "effect"
import { spawnSync } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import * as AutomaticAuthentication from "../automatic-authentication.ts"
import * as ConnectionModes from "../connection-modes.ts"
import * as OwnDialogue from "../own-dialogue.ts"
import * as OwnMechanism from "../own-mechanism.ts"
import * as RelayDenied from "../relay-denied.ts"
import * as Telemetry from "../telemetry.ts"

describe("examples", () => {
  it.live("automatic authentication with user and password", () =>
    Effect.map(AutomaticAuthentication.main, (result) => {
      assert.deepStrictEqual(result, {
        outcome: "Accepted",
        authenticated: { identity: "ann", mechanism: "PLAIN" },
        tls: "TLSv1.3"
      })
    }))

  it.live("each connection mode", () =>
    Effect.map(ConnectionModes.main, ({ mismatch, refused, ...worked }) => {
      const secured = "TLSv1.3, authenticated by PLAIN"
      assert.deepStrictEqual(worked, {
        startTls: secured,
        startTlsIfOffered: secured,
        tls: secured,
        plain: "plain text, authenticated by CRAM-MD5",
        autoMeetsTls: secured,
        autoMeetsStartTls: secured
      })
      assert.match(mismatch, /does not speak "tls".*Use security "startTls"/)
      assert.match(refused, /does not offer STARTTLS/)
    }))

  it.live("relay denied, explained, mended", () =>
    Effect.map(RelayDenied.main, (result) => {
      assert.deepStrictEqual(result, {
        met: {
          why: "not authenticated",
          advice: "The server offers AUTH and the session is not authenticated: give credentials.",
          reply: "5.7.1 <cat@elsewhere.example>: Relay access denied"
        },
        mended: "Accepted"
      })
    }))

  it.live("a dialogue of one's own, over a connection and rehearsed", () =>
    Effect.map(OwnDialogue.main, (result) => {
      assert.deepStrictEqual(result, { certain: false, helpful: true })
      assert.deepStrictEqual(OwnDialogue.rehearsed.end, Result.succeed({ certain: true, helpful: false }))
    }))

  it.live("a mechanism of one's own", () =>
    Effect.map(OwnMechanism.main, (result) => {
      assert.deepStrictEqual(result, { identity: "ann", mechanism: "X-BACKWARDS" })
    }))

  it.live("spans and metrics, exported and collected", () =>
    Effect.map(
      Effect.provide(Telemetry.main, ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))),
      (lines) => {
        const shown = lines.join("\n").replaceAll(/ \d+\.\d ms/g, "")
        assert.include(
          shown,
          ["  newsletter", "    SmtpClient.send smtp.recipients=1 smtp.content.size=70"].join("\n")
        )
        assert.match(shown, /\n {4}SmtpClient\.sendAll smtp\.messages\.accepted=2 smtp\.messages\.refused=1/)
        assert.match(shown, /\n {6}SmtpClient\.open tls\.protocol\.name=tls tls\.protocol\.version=1\.3/)
        assert.include(lines, "  smtp.client.messages smtp.outcome=accepted 3 {message}")
        assert.include(lines, "  smtp.client.messages smtp.outcome=refused error.type=RecipientsRefused 1 {message}")
        assert.include(lines, "  smtp.client.active_sessions 0 {session}")
      }
    ))

  it.live("spans and metrics, exported to a collector of one's own", () =>
    Effect.gen(function*() {
      const paths = new Set<string>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((request, response) => {
            paths.add(request.url ?? "")
            request.resume().on("end", () => response.end("{}"))
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const lines = yield* Effect.provide(
        Telemetry.main,
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({ OTEL_EXPORTER_OTLP_ENDPOINT: url }))
      )
      assert.deepStrictEqual(lines, [`Exported to ${url}`])
      assert.includeMembers([...paths], ["/v1/traces", "/v1/metrics"])
    }))
})

describe("npm start", () => {
  const send = fileURLToPath(new URL("../send.ts", import.meta.url))
  const run = (env: Readonly<Record<string, string>>, input = "") =>
    spawnSync(process.execPath, ["--conditions=@postern/source", send], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], NO_COLOR: "1", ...env },
      input,
      timeout: 60_000
    })

  it("sends through the embedded server, shows the session and the message, and no secret", { timeout: 70_000 }, () => {
    const { status, stderr, stdout } = run({})
    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, /C: STARTTLS[\s\S]*-- TLSv1\.3[\s\S]*C: AUTH PLAIN <redacted, 33 bytes>[\s\S]*S: 221/)
    assert.match(stdout, /authenticated as ann:\n {2}From: Ann/)
    assert.notMatch(stdout, /correct horse|Y29ycmVjdCBob3JzZ|AGFubgBjb3JyZWN0/)
  })

  it("exits non-zero with the advice when it fails", { timeout: 70_000 }, () => {
    const refused = run({
      SMTP_URL: "smtp://ann:hunter2hunter2@127.0.0.1:1",
      MAIL_FROM: "a@b.example",
      MAIL_TO: "c@d.example"
    }, "Subject: x\n")
    assert.strictEqual(refused.status, 1)
    assert.match(refused.stderr, /Not sent: cannot connect to 127\.0\.0\.1:1[\s\S]*Check host and port/)
    const unusable = run({ SMTP_URL: "smtp://ann:hunter2hunter2@127.0.0.1:1/path" })
    assert.strictEqual(unusable.status, 1)
    assert.notInclude(refused.stdout + refused.stderr + unusable.stdout + unusable.stderr, "hunter2")
  })
})
