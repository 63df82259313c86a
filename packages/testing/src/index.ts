/**
 * For tests of what speaks SMTP: a simulated server, in memory and on sockets, certificates
 * for it, and generators of addresses.
 */
export * as AddressArbitraries from "./AddressArbitraries.ts"
export * as Certificates from "./Certificates.ts"
export * as Explore from "./Explore.ts"
export * as InMemory from "./InMemory.ts"
export * as SimulatedServer from "./SimulatedServer.ts"
export * as TcpServer from "./TcpServer.ts"
