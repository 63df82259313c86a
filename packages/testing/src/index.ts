/**
 * For tests of what speaks SMTP: a simulated server, in memory and on sockets, certificates
 * for it, and generators of addresses.
 */
export * as AddressArbitraries from "./generate/AddressArbitraries.ts"
export * as Certificates from "./server/Certificates.ts"
export * as Departure from "./script/Departure.ts"
export * as Deterministic from "./time/Deterministic.ts"
export * as Explore from "./explore/Explore.ts"
export * as FaultPlans from "./trouble/FaultPlans.ts"
export * as Faults from "./trouble/Faults.ts"
export * as InMemory from "./server/InMemory.ts"
export * as Inbox from "./server/Inbox.ts"
export * as Key from "./record/Key.ts"
export * as Octets from "./record/Octets.ts"
export * as Recorder from "./record/Recorder.ts"
export * as Recording from "./record/Recording.ts"
export * as Replay from "./record/Replay.ts"
export * as ScriptedServer from "./script/ScriptedServer.ts"
export * as ServerMachine from "./server/ServerMachine.ts"
export * as SimulatedServer from "./server/SimulatedServer.ts"
export * as TcpServer from "./server/TcpServer.ts"
export * as VirtualTime from "./time/VirtualTime.ts"
