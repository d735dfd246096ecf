package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// dialer makes the connections of Caddy's HTTP transport. That transport has a
// dialer of its own, but no way to look at the addresses that it dials; this one
// honours the same settings and refuses the addresses that are not for calling.
type dialer struct {
	net.Dialer
	// read and write are the longest waits for one read and one write. Zero means
	// no limit.
	read, write time.Duration
}

// newDialer makes the dialer for a provisioned transport. An error begins with
// the name of the transport's field.
func newDialer(t *reverseproxy.HTTPTransport, allowed allowList) (*dialer, error) {
	d := &dialer{read: time.Duration(t.ReadTimeout), write: time.Duration(t.WriteTimeout)}
	d.Timeout = time.Duration(t.DialTimeout)
	d.FallbackDelay = time.Duration(t.FallbackDelay)
	d.ControlContext = allowed.control
	if t.KeepAlive != nil {
		interval := time.Duration(t.KeepAlive.ProbeInterval)
		d.KeepAlive = interval
		d.KeepAliveConfig = net.KeepAliveConfig{Enable: interval > 0, Interval: interval}
	}
	if t.LocalAddress != "" {
		local, err := localAddress(t.LocalAddress)
		if err != nil {
			return nil, fmt.Errorf("local_address: %w", err)
		}
		d.LocalAddr = local
	}
	if t.Resolver != nil {
		resolver, err := newResolver(t)
		if err != nil {
			return nil, fmt.Errorf("resolver.addresses%w", err)
		}
		d.Resolver = resolver
	}
	return d, nil
}

// dial connects within the dialer's limit. It is the DialContext of a transport.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.read > 0 || d.write > 0 {
		return &limitedConn{conn, d.read, d.write}, nil
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return bodyConn{tcp}, nil
	}
	return conn, nil
}

// bodyConn writes a request's body from where it lies. A TCP connection alone has it
// copied into a buffer of 32 KiB, piece by piece, each with a system call of its own.
// With TLS on top of it nothing changes.
type bodyConn struct{ *net.TCPConn }

// ReadFrom implements io.ReaderFrom. It is how a transport writes what is left of a body
// when its own buffer is full.
func (c bodyConn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	body, ok := limited.R.(interface {
		io.WriterTo
		Len() int
	})
	if !ok || int64(body.Len()) > limited.N {
		return c.TCPConn.ReadFrom(r)
	}
	n, err := body.WriteTo(c.TCPConn)
	limited.N -= n
	return n, err
}

// localAddress reads the address that connections come from.
func localAddress(text string) (net.Addr, error) {
	at, err := caddy.ParseNetworkAddressWithDefaults(text, "tcp", 0)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(at.Network, "tcp") || at.PortRangeSize() > 1 {
		return nil, fmt.Errorf("%s is not a single TCP address", at)
	}
	return net.ResolveTCPAddr(at.Network, at.JoinHostPort(0))
}

// newResolver makes a resolver that asks one of the configured servers for each
// look-up, at random. Their addresses are not checked: operators name them.
func newResolver(t *reverseproxy.HTTPTransport) (*net.Resolver, error) {
	servers := make([]caddy.NetworkAddress, 0, len(t.Resolver.Addresses))
	for i, text := range t.Resolver.Addresses {
		at, err := caddy.ParseNetworkAddressWithDefaults(text, "udp", 53)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if at.PortRangeSize() != 1 {
			return nil, fmt.Errorf("[%d]: %s is not a single address", i, at)
		}
		servers = append(servers, at)
	}
	if len(servers) == 0 {
		return nil, errors.New(": needs at least one address")
	}
	plain := &net.Dialer{Timeout: time.Duration(t.DialTimeout), FallbackDelay: time.Duration(t.FallbackDelay)}
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			at := servers[rand.IntN(len(servers))]
			return plain.DialContext(ctx, at.Network, at.JoinHostPort(0))
		},
	}, nil
}

// limitedConn bounds each read and each write.
type limitedConn struct {
	net.Conn
	read, write time.Duration
}

// Read implements net.Conn.
func (c *limitedConn) Read(b []byte) (int, error) {
	if c.read > 0 {
		if err := c.SetReadDeadline(time.Now().Add(c.read)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// Write implements net.Conn.
func (c *limitedConn) Write(b []byte) (int, error) {
	if c.write > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
