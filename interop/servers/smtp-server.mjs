/**
 * Runs npm's smtp-server by the settings in the file that is its argument.
 */
import { randomUUID } from "node:crypto"
import { appendFileSync, readFileSync } from "node:fs"
import { link, unlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { SMTPServer } from "smtp-server"

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"))
const { domain, hostname, idle, later, log, mail, password, ports, size, token, unknown, user } = settings

const refusal = (responseCode, message) => Object.assign(new Error(message), { responseCode })

const split = (address) => {
  const at = address.lastIndexOf("@")
  return { local: address.slice(0, at), place: address.slice(at + 1).toLowerCase() }
}

const isOurs = ({ address }) => split(address).place === domain

const proves = (auth) => {
  if (auth.username !== user) return false
  if (auth.method === "CRAM-MD5") return auth.validatePassword(password)
  if (auth.method === "XOAUTH2") return auth.accessToken === token
  return auth.password === password
}

const onAuth = (auth, _session, callback) => {
  if (proves(auth)) return callback(null, { user: auth.username })
  // Without a user it is refused; what XOAUTH2 says to that is JSON.
  return callback(null, { data: { status: "401", schemes: "bearer" } })
}

const recipientRefused = ({ address }, session) => {
  const { local, place } = split(address)
  if (place !== domain) return session.user ? undefined : refusal(554, "Relay access denied")
  if (local === unknown) return refusal(550, "No such mailbox here")
  if (local === later) return refusal(450, "The mailbox is busy, come back later")
  return undefined
}

const onRcptTo = (address, session, callback) => callback(recipientRefused(address, session))

// A message each. Links, so that nobody sees half of one.
const deliver = async (octets, recipients) => {
  const whole = join(mail, "tmp", randomUUID())
  await writeFile(whole, octets)
  await Promise.all(Array.from({ length: recipients }, () => link(whole, join(mail, "new", randomUUID()))))
  await unlink(whole)
}

const onData = async (stream, { envelope }, callback) => {
  try {
    const chunks = await Array.fromAsync(stream)
    if (!stream.sizeExceeded) await deliver(Buffer.concat(chunks), envelope.rcptTo.filter(isOurs).length)
    callback()
  } catch (error) {
    callback(error)
  }
}

const note = (_entry, text, ...values) => appendFileSync(log, `${[text, ...values].join(" ")}\n`)
const logger = { trace: note, debug: note, info: note, warn: note, error: note, fatal: note }

const common = {
  name: hostname,
  // It would ask DNS.
  disableReverseLookup: true,
  logger,
  size,
  rejectOversized: true,
  socketTimeout: idle * 1000,
  // Those that it has and keeps to itself unless told.
  hideENHANCEDSTATUSCODES: false,
  hideDSN: false,
  hideREQUIRETLS: false,
  authOptional: true,
  authMethods: ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"],
  onAuth,
  onRcptTo,
  onData
}

const tls = {
  key: readFileSync(settings.key),
  cert: readFileSync(settings.certificate),
  ca: readFileSync(settings.ca),
  // Any client may come without one.
  requestCert: true,
  rejectUnauthorized: false
}

// It has no such setting; with `authOptional: false` it would ask for AUTH instead, which is another 530.
const onMailFrom = (_address, session, callback) =>
  callback(session.secure ? undefined : refusal(530, "Must issue a STARTTLS command first"))

const servers = {
  startTls: { ...tls },
  tls: { ...tls, secure: true },
  plain: { disabledCommands: ["STARTTLS"], allowInsecureAuth: true },
  submission: { ...tls, onMailFrom },
  lmtp: { lmtp: true, disabledCommands: ["AUTH", "STARTTLS"] }
}

for (const [name, options] of Object.entries(servers)) {
  const server = new SMTPServer({ ...common, ...options })
  // Of single connections, such as a handshake that was refused; it serves on.
  server.on("error", (error) => note(undefined, name, error.message))
  server.listen(ports[name], "127.0.0.1")
}
