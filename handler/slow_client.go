package handler

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// clientPatience is how long a client may make no progress, where Caddy's
	// server has no limit of its own: its read_body_idle and write_idle go before.
	clientPatience = time.Minute
	// slowestBody is the slowest pace of a request's body, in bytes a second.
	slowestBody = 1 << 10
)

// boundWrites makes writes to the client fail when it takes nothing for too long.
// Caddy's servers do so themselves unless they are told not to; but answers must
// not be kept for ever for those who do not fetch them.
func (x *exchange) boundWrites() {
	if _, server := caddyhttp.IdleTimeoutsFromContext(x.r.Context()); server != nil {
		return
	}
	x.bounded = &caddyhttp.IdleTimeoutWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: x.w},
		Ctrl:                  http.NewResponseController(x.w),
		Deadline:              caddyhttp.IdleDeadline{Timeout: clientPatience},
		Logger:                x.h.logger,
		// Over HTTP/2 a deadline that stays would end a stream in its silence, and
		// over HTTP/1 the next answer of the connection.
		ClearBetweenWrites: true,
	}
	x.w = x.bounded
}

// flushBounded sends what the server still holds of the answer: it would do so
// itself, but without a limit.
func (x *exchange) flushBounded() {
	if x.bounded == nil || !x.committed || x.cut {
		return
	}
	// A client that has left, or takes nothing, is no failure of ours.
	_ = x.bounded.FlushError()
}

// pacedBody is a client's body that must come at a pace: in each window of time
// as many bytes as slowestBody asks for. So the time for a whole body grows with
// its size, and a silence is never longer than a window.
type pacedBody struct {
	body io.Reader
	w    http.ResponseWriter
	exit *exit
	// window is the length of a window. The server's own limit for a silence
	// guards the first read, if it has one.
	window  time.Duration
	guarded bool
	enough  int64     // bytes that a window has to bring
	began   time.Time // of the current window
	came    int64     // bytes in it
	armed   bool      // a deadline of the current window is set
	limited bool      // a deadline has been set at all
}

// paced returns the request's body with the pace it must keep. The caller must
// release it when it has been read.
func (x *exchange) paced() *pacedBody {
	b := &x.body
	*b = pacedBody{body: x.r.Body, w: x.w, exit: x.h.exiting(), window: clientPatience, began: time.Now()}
	if reader, _ := caddyhttp.IdleTimeoutsFromContext(x.r.Context()); reader != nil {
		b.guarded, b.window = true, reader.Deadline.Timeout
		if reader.Deadline.MinRate > 0 {
			b.window = 0 // the operator has set a pace
		}
	}
	b.enough = int64(slowestBody * b.window.Seconds())
	return b
}

// Read implements io.Reader. It fails with os.ErrDeadlineExceeded when the body
// comes too slowly, and with errExiting when the process waits for it no longer.
func (b *pacedBody) Read(p []byte) (int, error) {
	if b.exit.over() {
		return 0, errExiting
	}
	if !b.guarded && !b.armed && b.window > 0 {
		// Not every connection has deadlines; that of a server has.
		err := http.NewResponseController(b.w).SetReadDeadline(b.began.Add(b.window))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
		b.armed, b.limited = true, true
	}
	b.guarded = false
	n, err := b.body.Read(p)
	b.came += int64(n)
	if b.came >= b.enough {
		b.began, b.came, b.armed = time.Now(), 0, false
	}
	return n, err
}

// release takes the deadline away, unless it has passed: then it bounds what the
// server reads of the rest.
func (b *pacedBody) release(err error) {
	if b.limited && !isLate(err) {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{}) // fails only where it was never set
	}
}
