package handler

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// link follows how an attempt comes by its connection. The transport tells it from
// goroutines of its own.
type link struct {
	state atomic.Int32
	// sent says that the request has begun to go out. It is known of requests that
	// leave a trace only.
	sent atomic.Bool
}

// The states of a link.
const (
	// linkUnknown: nothing was heard yet, or the request waits until one of the
	// connections that there are is free.
	linkUnknown int32 = iota
	// linkDialling: the address is looked up, or a connection or TLS is being set up.
	linkDialling
	// linkReady: the request has its connection.
	linkReady
)

// dialling says that a connection is being made and not ready.
func (l *link) dialling() bool { return l.state.Load() == linkDialling }

// ask begins anew: the transport wants a connection, for the first time or because
// one that was kept turned out to be closed.
func (l *link) ask(string) { l.state.Store(linkUnknown) }

// dial notes that a connection is being made. One that is still being made when the
// request has got another says nothing.
func (l *link) dial() { l.state.CompareAndSwap(linkUnknown, linkDialling) }

// ready notes that the request has its connection.
func (l *link) ready(httptrace.GotConnInfo) { l.state.Store(linkReady) }

// watch returns the attempt's context, with what the transport has to tell of the
// attempt: that it begins to send a request that leaves a trace, which another
// upstream may get only if this one has certainly not got it; and whether it is
// still connecting, if another limit may end that before its own does. Most attempts
// need neither and pay nothing.
func (a *attempt) watch() context.Context {
	connects, traces := a.cutsConnecting(), a.x.envelope.trace
	if !connects && !traces {
		return a.ctx
	}
	l, told := &a.link, new(httptrace.ClientTrace)
	if traces {
		told.WroteHeaders = func() { l.sent.Store(true) }
	}
	if connects {
		told.GetConn, told.GotConn = l.ask, l.ready
		told.DNSStart = func(httptrace.DNSStartInfo) { l.dial() }
		told.ConnectStart = func(string, string) { l.dial() }
		told.TLSHandshakeStart = l.dial
	}
	return httptrace.WithClientTrace(a.ctx, told)
}

// cutsConnecting says that the limit for an answer, or what is left of that for the
// whole request, may pass before those for connecting.
func (a *attempt) cutsConnecting() bool {
	connecting := a.source.Upstream.ConnectLimit() + a.source.Upstream.HandshakeLimit()
	if a.header.limit > 0 && a.header.limit <= connecting {
		return true
	}
	return a.total > 0 && a.total-time.Since(a.x.began) <= connecting
}

// sendFailure makes an outcome of an error from which no answer came. A limit that
// passes while the attempt is still connecting is about the connection, whichever it
// was.
func (a *attempt) sendFailure(err error) outcome {
	out := sendFailure(a.ctx, a.name(), err)
	if out.class == routing.ClassTimeout && a.link.dialling() {
		out = unreachable(a.name(), fmt.Errorf("still connecting: %w", out.detail))
	}
	out.sent = a.link.sent.Load()
	return out
}
