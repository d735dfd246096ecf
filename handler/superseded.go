package handler

import (
	"context"
	"net/http"
	"time"
)

// settling is the time in which Caddy's servers, when a config is no longer in force,
// stop listening and tell their clients by themselves. Who made a new connection
// earlier could meet a listener that is about to close.
const settling = time.Second

// watchOver closes h.over when the config has not been in force for a while.
func (h *Handler) watchOver(ctx context.Context) {
	over := make(chan struct{})
	h.over = over
	context.AfterFunc(ctx, func() {
		time.AfterFunc(settling, func() { close(over) })
	})
}

// superseded tells a client that is still with a config that is no longer in force to
// make its next request on a new connection, which leads to the one that is. Caddy's
// servers miss HTTP/2 connections that were in their handshake when they shut down:
// such a client would stay with the old config as long as it has a request under way at
// any time. In HTTP/2 the field becomes a GOAWAY.
func (h *Handler) superseded(header http.Header) {
	select {
	case <-h.over:
		header.Set("Connection", "close")
	default:
	}
}
