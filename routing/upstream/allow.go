package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrAddressRefused is in the error of a call that led to an address which is
// refused. Nothing was sent, and no connection was made.
var ErrAddressRefused = errors.New("address refused")

// allowList lists the networks that may be called although their kind of address
// is refused. It is immutable.
type allowList []netip.Prefix

// parseAllowList reads addresses and networks in CIDR notation.
func parseAllowList(texts []string) (allowList, error) {
	var list allowList
	for i, text := range texts {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("allow_addresses[%d]: %w", i, err)
		}
		if first := slices.Index(list, network); first >= 0 {
			return nil, fmt.Errorf("allow_addresses[%d]: %s stands twice, first as allow_addresses[%d]", i, network, first)
		}
		list = append(list, network)
	}
	return list, nil
}

// parseNetwork reads an address, which stands for itself only, or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 169.254.10.0/24", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 169.254.10.0/24", text)
	}
	if masked := network.Masked(); masked != network {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind its length; write %s", text, masked)
	}
	return network, nil
}

// everything says whether the list allows every address.
func (l allowList) everything() bool {
	four := slices.Contains(l, netip.MustParsePrefix("0.0.0.0/0"))
	return four && slices.Contains(l, netip.MustParsePrefix("::/0"))
}

// check refuses an address that is not for calling, unless the list names it.
func (l allowList) check(a netip.Addr) error {
	outer := a.WithZone("").Unmap()
	inner := embedded(outer)
	kind := refusedKind(inner)
	if kind == "" {
		kind = refusedKind(outer)
	}
	if kind == "" {
		return nil
	}
	for _, network := range l {
		if network.Contains(outer) || network.Contains(inner) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is %s address; allow_addresses can name it", ErrAddressRefused, a, kind)
}

// checkHost refuses a host in a URL that can be told to be refused without a
// look-up: an address, or the name of a metadata service. With a list, names are
// left to the check of what is dialled.
func (l allowList) checkHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		return l.check(a)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if len(l) == 0 && slices.Contains(metadataNames, name) {
		return fmt.Errorf("%w: %s is a cloud's metadata service; allow_addresses can name its address", ErrAddressRefused, name)
	}
	return nil
}

// control is the ControlContext of a dialer: it sees each address that is
// dialled, after the look-up and before the connection is made, so that a name
// which changes what it leads to gains nothing.
func (l allowList) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil { // of a network that is not made of IP addresses
		return fmt.Errorf("%w: %s %s is no IP address", ErrAddressRefused, network, address)
	}
	return l.check(at.Addr())
}

// Addresses that carry an IPv4 address in them, which is the one that is reached.
var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// embedded is the IPv4 address that an IPv6 address leads to, or the address
// itself.
func embedded(a netip.Addr) netip.Addr {
	bytes := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(bytes[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	default:
		return a
	}
}

// thisNetwork are the addresses that name no host: some systems take them for
// the machine itself.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

// metadata are the addresses of the clouds' metadata services that are not
// link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

// metadataNames are the names of the clouds' metadata services.
var metadataNames = []string{
	"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal",
	"metadata.tencentyun.com", "metadata.platformequinix.com",
}

// refusedKind says what kind of refused address this is, with its article; "" if
// it may be called.
func refusedKind(a netip.Addr) string {
	switch {
	case slices.Contains(metadata, a):
		return "a cloud's metadata"
	case a.IsLinkLocalUnicast():
		return "a link-local"
	case a.IsUnspecified(), thisNetwork.Contains(a):
		return "an unspecified"
	case a.IsMulticast():
		return "a multicast"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a broadcast"
	default:
		return ""
	}
}
