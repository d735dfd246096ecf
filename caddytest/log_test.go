package caddytest

import (
	"bytes"
	"io"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(logWriter{}) }

// currentLog is what the running Caddy has logged.
var currentLog = new(logBuffer)

// logBuffer keeps a log in memory.
type logBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *logBuffer) Close() error { return nil }

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data.Reset()
}

// logWriter is the log output "caddytest", which writes to currentLog.
type logWriter struct{}

func (logWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.writers.caddytest",
		New: func() caddy.Module { return new(logWriter) },
	}
}

func (logWriter) String() string                                 { return "caddytest" }
func (logWriter) WriterKey() string                              { return "caddytest" }
func (logWriter) OpenWriter() (io.WriteCloser, error)            { return currentLog, nil }
func (*logWriter) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }
