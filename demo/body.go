package demo

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// forever is a wait that only the end of the request ends.
const forever time.Duration = -1

// step is one piece of a body: bytes, or the error that breaks it, after a wait.
type step struct {
	wait time.Duration
	data []byte
	err  error
}

// body is a response body that a clock drives. The reader's own goroutine does
// the waiting, so that nothing is left behind when it stops reading.
type body struct {
	ctx   context.Context // of the request; a Read has no other way to hear of it
	steps []step
	left  []byte // of the step that is being read

	closed chan struct{}
	once   sync.Once
}

// newBody returns a body of these steps that ends with ctx.
func newBody(ctx context.Context, steps []step) *body {
	return &body{ctx: ctx, steps: steps, closed: make(chan struct{})}
}

// Read implements io.Reader. It returns the bytes of at most one step.
func (b *body) Read(p []byte) (int, error) {
	if err := b.ended(); err != nil {
		return 0, err
	}
	for len(b.left) == 0 {
		if len(b.steps) == 0 {
			return 0, io.EOF
		}
		next := b.steps[0]
		if err := pause(b.ctx, b.closed, next.wait); err != nil {
			return 0, err
		}
		if next.err != nil {
			return 0, next.err
		}
		b.left, b.steps = next.data, b.steps[1:]
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// ended says whether the reader or the request has given up.
func (b *body) ended() error {
	select {
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	default:
		return b.ctx.Err()
	}
}

// Close implements io.Closer. It ends a Read that waits.
func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
