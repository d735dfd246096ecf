package handler

import (
	"context"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// watchedServers are the servers of all configs in which a handler stands.
var watchedServers sync.Map // of *caddyhttp.Server

// watchServer has the server in which the handler stands tell of its connections and of
// its end, once for all handlers in it. It is for Provision: later the server is set.
func watchServer(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return // the handler stands in no server of the app http
	}
	if _, watched := watchedServers.LoadOrStore(server, nil); watched {
		return
	}
	context.AfterFunc(ctx, func() { watchedServers.Delete(server) })
	watchExit(ctx, server)
	watchUnused(server)
}
