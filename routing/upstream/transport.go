package upstream

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// What the gateway sets where a transport leaves it out.
const (
	maxIdleConnsPerHost   = 256
	idleConnTimeout       = 90 * time.Second
	maxResponseHeaderSize = 256 << 10
	ioBufferSize          = 8 << 10
	pingAfter             = 30 * time.Second
	pingTimeout           = 15 * time.Second
)

// loadTransport loads the transport module and tunes Caddy's own.
func (u *Upstream) loadTransport(ctx caddy.Context, known *preset) error {
	if len(u.TransportRaw) == 0 && known != nil && known.protocol != "" {
		u.TransportRaw = json.RawMessage(`{"protocol":"` + known.protocol + `"}`)
	}
	protocol, err := protocolOf(u.TransportRaw)
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	if protocol == "http" {
		if u.TransportRaw, err = u.httpTransport(); err != nil {
			return fmt.Errorf("transport%w", err)
		}
	} else if err := u.checkForeign(protocol); err != nil {
		return err
	}
	module, err := ctx.LoadModule(u, "TransportRaw")
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	transport, ok := module.(http.RoundTripper)
	if !ok {
		return fmt.Errorf("transport: %s cannot be used here: it is no HTTP round tripper", protocol)
	}
	if t, ok := transport.(*reverseproxy.HTTPTransport); ok {
		if err := u.tune(t); err != nil {
			return fmt.Errorf("transport%w", err)
		}
	}
	u.transport = transport
	return nil
}

// checkForeign refuses what only Caddy's HTTP transport can keep.
func (u *Upstream) checkForeign(protocol string) error {
	if field := u.Timeouts.connection(); field != "" {
		return fmt.Errorf("timeouts.%s: the transport %s has no such limit", field, protocol)
	}
	if len(u.AllowAddresses) > 0 {
		return fmt.Errorf("allow_addresses: the transport %s makes its own connections, which are not checked", protocol)
	}
	return nil
}

// httpTransport returns the configuration of Caddy's HTTP transport with our
// defaults in what it leaves out. Errors start with the field's path.
func (u *Upstream) httpTransport() (json.RawMessage, error) {
	t := new(reverseproxy.HTTPTransport)
	if len(u.TransportRaw) > 0 {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(u.TransportRaw, &fields); err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
		delete(fields, "protocol")
		bare, err := json.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
		if err := caddy.StrictUnmarshalJSON(bare, t); err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
	}
	if t.ProxyProtocol != "" {
		return nil, errors.New(".proxy_protocol: works in reverse_proxy only")
	}
	if t.TLS != nil {
		t.TLS.ServerName = caddy.NewReplacer().ReplaceKnown(t.TLS.ServerName, "")
		if strings.Contains(t.TLS.ServerName, "{") {
			return nil, errors.New(".tls.server_name: only global placeholders such as {env.NAME} work here")
		}
	}
	if t.DialTimeout != 0 && u.Timeouts.Connect != 0 {
		return nil, errors.New(".dial_timeout: is the same as timeouts.connect; set one of them")
	}
	if t.TLS != nil && t.TLS.HandshakeTimeout != 0 && u.Timeouts.TLSHandshake != 0 {
		return nil, errors.New(".tls.handshake_timeout: is the same as timeouts.tls_handshake; set one of them")
	}
	u.fill(t)
	return caddyconfig.JSONModuleObject(t, "protocol", "http", nil), nil
}

// fill sets what was left out.
func (u *Upstream) fill(t *reverseproxy.HTTPTransport) {
	setDefault(&t.DialTimeout, caddy.Duration(replaced(defaultConnect, u.Timeouts.Connect)))
	setDefault(&t.MaxResponseHeaderSize, maxResponseHeaderSize)
	setDefault(&t.ReadBufferSize, ioBufferSize)
	setDefault(&t.WriteBufferSize, ioBufferSize)
	if t.Compression == nil {
		t.Compression = new(bool) // answers are relayed as they are
	}
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	setDefault(&t.KeepAlive.MaxIdleConnsPerHost, maxIdleConnsPerHost)
	setDefault(&t.KeepAlive.IdleConnTimeout, caddy.Duration(idleConnTimeout))
}

// tune sets what Caddy's configuration has no word for, before first use. An
// error starts with the field's path.
func (u *Upstream) tune(module *reverseproxy.HTTPTransport) error {
	if slices.Contains(module.Versions, "3") && !u.allowed.everything() {
		return errors.New(".versions: the addresses of HTTP/3 connections cannot be checked; " +
			"use 1.1 and 2, or give up the check with allow_addresses 0.0.0.0/0 ::/0")
	}
	d, err := newDialer(module, u.allowed)
	if err != nil {
		return fmt.Errorf(".%w", err)
	}
	t := module.Transport
	t.DialContext = d.dial
	setDefault(&t.TLSHandshakeTimeout, replaced(defaultTLSHandshake, u.Timeouts.TLSHandshake))
	u.connect, u.handshake = d.Timeout, t.TLSHandshakeTimeout
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	setDefault(&t.TLSClientConfig.MinVersion, tls.VersionTLS12)
	if t.HTTP2 == nil {
		// A connection that died without a word would otherwise hold every stream
		// on it until its limit.
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	}
	return nil
}

// connection names a set limit that only the HTTP transport can keep.
func (t *Timeouts) connection() string {
	switch {
	case t.Connect != 0:
		return "connect"
	case t.TLSHandshake != 0:
		return "tls_handshake"
	default:
		return ""
	}
}

// closeIdle closes the idle connections of a transport that has any.
func closeIdle(transport http.RoundTripper) {
	switch t := transport.(type) {
	case *reverseproxy.HTTPTransport:
		if t.Transport != nil {
			t.Transport.CloseIdleConnections()
		}
	case interface{ CloseIdleConnections() }:
		t.CloseIdleConnections()
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
