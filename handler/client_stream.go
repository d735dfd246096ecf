package handler

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
)

// clientStream writes a stream to the client. When the upstream is silent it
// sends heartbeats, so that nobody on the way takes the connection for dead.
type clientStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	heartbeat  []byte
	every      time.Duration
	// array takes the place of events for clients that want one.
	array  *gemini.ArrayStream
	framed []byte

	// mu lets the heartbeat's timer and the relay take turns.
	mu    sync.Mutex
	timer *time.Timer
	wrote time.Time
	err   error // the first failed write, or errStreamClosed
}

// errStreamClosed is what a write after the end of a stream answers.
var errStreamClosed = errors.New("the client's stream is closed")

// newClientStream returns a stream on w, of events or as one JSON array. An
// interval of 0 or less means no heartbeats.
func newClientStream(w http.ResponseWriter, heartbeat []byte, every time.Duration, array bool) *clientStream {
	s := &clientStream{w: w, controller: http.NewResponseController(w), heartbeat: heartbeat, every: every}
	if array {
		s.array = new(gemini.ArrayStream)
	}
	if every > 0 {
		s.mu.Lock() // the timer may fire before it is known
		s.timer = time.AfterFunc(every, s.beat)
		s.mu.Unlock()
	}
	return s
}

// write sends whole events and flushes them. It fails once the client is gone.
func (s *clientStream) write(events []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(events)
}

// finish sends the last events.
func (s *clientStream) finish(events []byte) error {
	err := s.write(events)
	if s.array == nil || err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flush(s.array.Close(s.framed[:0]))
}

// beat sends a heartbeat if nothing else was sent for long enough. The timer is
// not set anew for each write, which would cost more than the write.
func (s *clientStream) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.every - time.Since(s.wrote)
	if left <= 0 {
		s.send(s.heartbeat)
		left = s.every
	}
	if s.err == nil {
		s.timer.Reset(left)
	}
}

// send writes whole events with mu held.
func (s *clientStream) send(events []byte) error {
	if s.array == nil {
		return s.flush(events)
	}
	s.framed = s.array.Append(s.framed[:0], events)
	return s.flush(s.framed)
}

// flush writes and flushes with mu held.
func (s *clientStream) flush(events []byte) error {
	if s.err != nil || len(events) == 0 {
		return s.err
	}
	if _, s.err = s.w.Write(events); s.err != nil {
		return s.err
	}
	if err := s.controller.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.err = err
	}
	s.wrote = time.Now()
	return s.err
}

// close ends the heartbeats; no write happens after it.
func (s *clientStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errStreamClosed
	if s.timer != nil {
		s.timer.Stop()
	}
}
