package handler

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// unused are the connections of a server on which no request has come yet. Clients
// that keep connections have some in store: a request that waited for a new one took
// another that was free sooner. When a server shuts down it closes idle connections,
// but leaves these open for seconds more, and drops the first request on each. A client
// would take its repeats from the same store and lose them, too. So they are closed at
// once, which clients notice before they use them. Its methods may be called at the
// same time. The zero value is ready.
type unused struct {
	conns sync.Map // of net.Conn
	over  atomic.Bool
	h2c   bool // requests may come in HTTP/2 without TLS
}

// watchUnused has a server close its unused connections when it shuts down.
func watchUnused(server *caddyhttp.Server) {
	u := &unused{h2c: speaksH2C(server)}
	server.RegisterConnState(u.note)
	server.RegisterOnShutdown(u.close)
}

// speaksH2C says that some address of a server takes HTTP/2 without TLS.
func speaksH2C(server *caddyhttp.Server) bool {
	all := append(slices.Concat(server.ListenProtocols...), server.Protocols...)
	return slices.Contains(all, "h2c")
}

// note follows a connection, as http.Server.ConnState.
func (u *unused) note(conn net.Conn, state http.ConnState) {
	if state != http.StateNew {
		u.conns.Delete(conn)
		return
	}
	u.conns.Store(conn, nil)
	if u.over.Load() { // it was accepted while the server began to shut down
		go u.drop(conn)
	}
}

// close closes what is unused, and from now on what is accepted late. The server must
// have begun to shut down: from then on it drops requests that come first, so that
// nothing is lost by it.
func (u *unused) close() {
	u.over.Store(true)
	u.conns.Range(func(conn, _ any) bool {
		go u.drop(conn.(net.Conn))
		return true
	})
}

// drop closes a connection on which no request can come any more that would be
// answered. HTTP/2 takes care of its own.
func (u *unused) drop(conn net.Conn) {
	switch conn := conn.(type) {
	case *tls.Conn:
		// The server shakes hands as well, within its limits; this waits for it.
		if conn.HandshakeContext(context.Background()) != nil || conn.ConnectionState().NegotiatedProtocol == "h2" {
			return
		}
	case *net.TCPConn, *net.UnixConn:
		if u.h2c {
			return
		}
	default:
		return // some wrapper's, which may have TLS inside
	}
	if _, still := u.conns.LoadAndDelete(conn); still {
		_ = conn.Close() // its server closes it, too
	}
}
