/**
 * Networks of clients: `192.0.2.0/24`, `2001:db8::/32`, or a single address. An address of
 * IPv4 written as one of IPv6 (`::ffff:192.0.2.1`) is the one of IPv4.
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

export type Network = IpNetwork.IpNetwork

/** Reads a network or an address; fails with what is wrong. */
export const parse = (text: string): Result.Result<Network, string> =>
  Result.mapError(
    text.includes("/")
      ? IpNetwork.fromString(text)
      : Result.map(
        NetAddress.ipFromString(text),
        (address) => IpNetwork.makeUnsafe(address, NetAddress.width(address))
      ),
    (error) => error.message
  )

/** The address is in one of the networks. */
export const include = (networks: ReadonlyArray<Network>, address: string): boolean => {
  const parsed = NetAddress.ipFromString(address)
  if (Result.isFailure(parsed)) return false
  const canonical = NetAddress.toCanonical(parsed.success)
  return networks.some((network) => IpNetwork.contains(network, canonical))
}
