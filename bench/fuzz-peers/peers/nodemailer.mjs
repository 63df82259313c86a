import SMTPConnection from "nodemailer/lib/smtp-connection/index.js"
import manifest from "../../package.json" with { type: "json" }

export const peer = {
  name: "nodemailer",
  version: manifest.dependencies.nodemailer,
  send: (port) =>
    new Promise((resolve) => {
      const connection = new (SMTPConnection.default ?? SMTPConnection)({ host: "127.0.0.1", port, ignoreTLS: true })
      connection.once("error", resolve)
      connection.once("end", resolve)
      connection.connect((error) =>
        error ? resolve(error) : connection.send({ from: "a@b.example", to: ["c@d.example"] }, "x\r\n", (error) => {
          connection.close()
          resolve(error)
        })
      )
    })
}
