package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answer is what the server behind the proxy says.
var answer = strings.Repeat("0123456789", 100)

// get asks the server through a proxy with faults, and gives up after a while.
func get(t *testing.T, f Faults, patience time.Duration) (body string, took time.Duration, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, answer)
	}))
	defer server.Close()
	p := New(t, server.URL)
	defer p.Close()
	p.Set(f)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	began := time.Now()
	resp, err := client.Get(p.URL())
	if err != nil {
		return "", time.Since(began), err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), time.Since(began), err
}

// TestPasses shows that a proxy without faults and one that only changes the pace
// keep every byte.
func TestPasses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults Faults
		atLeast,
		atMost time.Duration
	}{
		{"no faults", Faults{}, 0, 10 * time.Second},
		{"one byte at a time", Faults{Slice: 1}, 0, 10 * time.Second},
		{"latency", Faults{Latency: 50 * time.Millisecond}, 50 * time.Millisecond, 10 * time.Second},
		{"jitter", Faults{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}, 0, 10 * time.Second},
		{"bandwidth", Faults{BytesPerSecond: 10_000, Slice: 100}, 100 * time.Millisecond, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, took, err := get(t, tc.faults, 10*time.Second)
			if err != nil || body != answer {
				t.Errorf("got %d bytes (%v), want %d", len(body), err, len(answer))
			}
			if took < tc.atLeast || took > tc.atMost {
				t.Errorf("it took %s, want from %s to %s", took, tc.atLeast, tc.atMost)
			}
		})
	}
}

// TestReset shows that the client's connection is reset behind a number of bytes.
func TestReset(t *testing.T) {
	body, _, err := get(t, Faults{ResetAfter: 400}, 10*time.Second)
	if !errors.Is(err, syscall.ECONNRESET) || len(body) >= len(answer) {
		t.Errorf("got %d bytes and %v, want a reset", len(body), err)
	}
}

// TestSilence shows that a connection stays open and silent behind a number of
// bytes, and that the client can leave it.
func TestSilence(t *testing.T) {
	body, took, err := get(t, Faults{SilentAfter: 400}, 100*time.Millisecond)
	if err == nil || len(body) >= len(answer) || took < 100*time.Millisecond {
		t.Errorf("got %d bytes and %v in %s, want silence", len(body), err, took)
	}
}

// TestNobodyBehind shows that a proxy to a server that is gone closes its clients'
// connections.
func TestNobodyBehind(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	p := New(t, server.URL)
	if resp, err := http.Get(p.URL()); err == nil {
		resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
}
