/**
 * For tests of what speaks SMTP: a simulated server, in memory and on sockets, certificates
 * for it, and generators of addresses.
 */
export * as AddressArbitraries from "./generate/AddressArbitraries.ts"
export * as Certificates from "./server/Certificates.ts"
export * as Explore from "./explore/Explore.ts"
export * as InMemory from "./server/InMemory.ts"
export * as Octets from "./record/Octets.ts"
export * as Recording from "./record/Recording.ts"
export * as ServerMachine from "./server/ServerMachine.ts"
export * as TcpServer from "./server/TcpServer.ts"
export * as VirtualTime from "./time/VirtualTime.ts"
