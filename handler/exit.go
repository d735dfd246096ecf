package handler

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

const (
	// exitTime is how long answers may go on when the process exits.
	exitTime = 30 * time.Second
	// lastWord is how long it may take to tell clients that their answers have
	// been ended.
	lastWord = time.Second
)

// errExiting is the cause of a context whose attempt the process no longer waits
// for.
var errExiting = errors.New("the gateway is shutting down")

// exit ends the answers that are still under way some time after the process has
// begun to exit. Its methods may be called at the same time. The zero value is
// ready.
type exit struct {
	done atomic.Bool // nothing is waited for any more

	mu      sync.Mutex
	ends    time.Time // when waiting is over; zero if the process does not exit
	running map[*attempt]struct{}
	idle    chan struct{} // closed when nothing runs; nil unless somebody waits
}

// processExit is that of the process, for all configs: streams outlive a reload.
var processExit exit

// exiting is the exit that the handler's answers end with.
func (h *Handler) exiting() *exit {
	if h.exit != nil {
		return h.exit
	}
	return &processExit
}

// watchExit notices when a server stops because the process exits. A reload stops
// servers, too, and leaves their answers alone.
func watchExit(ctx caddy.Context, server *caddyhttp.Server) {
	server.RegisterOnShutdown(func() {
		if caddy.Exiting() {
			processExit.begin(exitLimit(gracePeriod(ctx)))
		}
	})
}

// gracePeriod is the time after which Caddy cuts what is left of its requests; 0 is
// never.
func gracePeriod(ctx caddy.Context) time.Duration {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return 0 // the handler stands in no server of the app
	}
	server, ok := app.(*caddyhttp.App)
	if !ok {
		return 0
	}
	return time.Duration(server.GracePeriod)
}

// exitLimit is how long answers may go on: so that their last words are said before
// the grace period has passed.
func exitLimit(grace time.Duration) time.Duration {
	if grace <= 0 {
		return exitTime
	}
	return min(exitTime, grace-min(grace/4, lastWord))
}

// AwaitExit waits until no answer is under way, or until those that are have been
// ended and told so. It is for the end of the process, when no server takes requests
// any more: Caddy does not wait for streams whose config was replaced longer ago
// than its grace period.
func AwaitExit() {
	processExit.begin(exitTime)
	processExit.wait()
}

// begin lets what runs go on for some time at most. Of several limits the earliest
// counts.
func (e *exit) begin(limit time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ends := time.Now().Add(limit); e.ends.IsZero() || ends.Before(e.ends) {
		e.ends = ends
		time.AfterFunc(limit, e.finish)
	}
}

// finish ends what still runs.
func (e *exit) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done.Store(true)
	for a := range e.running {
		a.cancel(errExiting)
	}
}

// over says that nothing is waited for any more.
func (e *exit) over() bool { return e.done.Load() }

// enter notes that an attempt runs. Once all is over it is ended at once.
func (e *exit) enter(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		e.running = make(map[*attempt]struct{})
	}
	e.running[a] = struct{}{}
	if e.over() {
		a.cancel(errExiting)
	}
}

// leave notes that an attempt has ended.
func (e *exit) leave(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, a)
	if len(e.running) == 0 && e.idle != nil {
		close(e.idle)
		e.idle = nil
	}
}

// wait returns when nothing runs any more, or soon after what runs was ended. The
// exit must have begun.
func (e *exit) wait() {
	e.mu.Lock()
	if len(e.running) == 0 {
		e.mu.Unlock()
		return
	}
	if e.idle == nil {
		e.idle = make(chan struct{})
	}
	idle := e.idle
	limit := time.NewTimer(time.Until(e.ends) + lastWord)
	defer limit.Stop()
	e.mu.Unlock()
	select {
	case <-idle:
		// The server still has to send the ends of the last answers, which nobody
		// can see from here.
		time.Sleep(lastWord / 10)
	case <-limit.C:
	}
}

// ended is the outcome of an attempt that the process no longer waits for. It is no
// fault of the upstream, and no other source is asked.
func ended() outcome {
	return outcome{class: routing.ClassAbandoned, detail: errExiting, err: exitError()}
}

// exitError tells a client that another gateway, or this one in a moment, may serve
// it.
func exitError() *chat.Error {
	return &chat.Error{
		Kind: chat.ErrUnavailable, Code: "shutting_down", RetryAfter: time.Second,
		Message: "the gateway is shutting down; send the request again",
	}
}
