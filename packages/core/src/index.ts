/**
 * SMTP as a typed algebra: commands and replies as values, dialogues as Programs that
 * are Effects, SASL mechanisms that compose, and the bytes behind a Layer.
 */
export * as Address from "./wire/Address.ts"
export * as Capabilities from "./wire/Capabilities.ts"
export * as Command from "./wire/Command.ts"
export * as CommandLine from "./wire/CommandLine.ts"
export * as Content from "./wire/Content.ts"
export * as EnhancedStatus from "./wire/EnhancedStatus.ts"
export * as Envelope from "./wire/Envelope.ts"
export * as Expect from "./wire/Expect.ts"
export * as Reply from "./wire/Reply.ts"

export * as Advice from "./outcome/Advice.ts"
export * as Classify from "./outcome/Classify.ts"
export * as Reason from "./outcome/Reason.ts"
export * as SmtpError from "./outcome/SmtpError.ts"
export * as Transcript from "./outcome/Transcript.ts"

export * as Choose from "./sasl/Choose.ts"
export * as CramMd5 from "./sasl/CramMd5.ts"
export * as Login from "./sasl/Login.ts"
export * as Mechanism from "./sasl/Mechanism.ts"
export * as Plain from "./sasl/Plain.ts"

export * as Authenticate from "./dialogue/Authenticate.ts"
export * as Hello from "./dialogue/Hello.ts"
export * as Open from "./dialogue/Open.ts"
export * as Program from "./dialogue/Program.ts"
export * as Session from "./dialogue/Session.ts"
export * as StartTls from "./dialogue/StartTls.ts"
export * as Transaction from "./dialogue/Transaction.ts"

export * as Connection from "./run/Connection.ts"
export * as Endpoint from "./run/Endpoint.ts"
export * as SmtpClient from "./run/SmtpClient.ts"
export * as SmtpConfig from "./run/SmtpConfig.ts"
export * as TimeLimits from "./run/TimeLimits.ts"
export * as Transport from "./run/Transport.ts"
