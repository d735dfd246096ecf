package caddytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// flood is a server whose answers have no end.
type flood struct {
	url string
	// most is the most that was sent of one answer, in bytes; what lies in the
	// buffers of the system counts too.
	most atomic.Int64
}

// startFlood runs a server that answers with a beginning, and then repeats a piece
// until the client leaves.
func startFlood(t *testing.T, status int, beginning, piece string, header ...string) *flood {
	t.Helper()
	f := new(flood)
	block := strings.Repeat(piece, 1+32<<10/len(piece))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // an error shows as the client's leaving
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		sent, err := io.WriteString(w, beginning)
		for err == nil {
			var n int
			n, err = io.WriteString(w, block)
			sent += n
		}
		for before := f.most.Load(); before < int64(sent) && !f.most.CompareAndSwap(before, int64(sent)); {
			before = f.most.Load()
		}
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// heap is the memory in use, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
