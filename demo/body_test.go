package demo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/demo"
)

// provisioned is a transport with its pauses.
func provisioned(t *testing.T) *demo.Transport {
	t.Helper()
	d := new(demo.Transport)
	if err := errors.Join(d.Provision(caddy.Context{}), d.Validate()); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPace(t *testing.T) {
	for _, f := range formats {
		for _, tc := range []struct {
			model       string
			stream      bool
			least, most time.Duration
		}{
			{"story", true, 2 * time.Second, 4 * time.Second},
			{"story", false, 0, 0},
			{"slow", true, 5 * time.Second, 5 * time.Second},
			{"slow", false, 5 * time.Second, 5 * time.Second},
		} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				response, err := send(t, t.Context(), provisioned(t), f.path, tc.model, userSays("hi"), "", tc.stream)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadAll(response.Body); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < tc.least || took > tc.most {
					t.Errorf("%s %s, stream %t: took %s", f.id, tc.model, tc.stream, took)
				}
			})
		}
	}
}

// TestEnd checks that each wait ends with the request and with Close. A bubble
// fails if a goroutine is left in it.
func TestEnd(t *testing.T) {
	for _, f := range formats {
		for _, tc := range []struct {
			model  string
			stream bool
			during bool // the wait is in RoundTrip
		}{
			{"slow", true, false},
			{"slow", false, true},
			{"story", true, false},
			{"error-stall", true, false},
			{"error-stall", false, false},
		} {
			for _, end := range []string{"context", "close"} {
				if tc.during && end == "close" {
					continue
				}
				name := string(f.id) + "/" + tc.model + "/plain/" + end
				if tc.stream {
					name = string(f.id) + "/" + tc.model + "/stream/" + end
				}
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						start := time.Now()
						time.AfterFunc(time.Second, func() {
							if end == "context" {
								cancel()
							}
						})
						response, err := send(t, ctx, provisioned(t), f.path, tc.model, userSays("hi"), "", tc.stream)
						if tc.during {
							if !errors.Is(err, context.Canceled) {
								t.Errorf("got %v", err)
							}
							return
						}
						if err != nil {
							t.Fatal(err)
						}
						if end == "close" {
							time.AfterFunc(time.Second, func() { response.Body.Close() })
						}
						got, err := io.ReadAll(response.Body)
						want := context.Canceled
						if end == "close" {
							want = http.ErrBodyReadAfterClose
						}
						if !errors.Is(err, want) || len(got) == 0 {
							t.Errorf("got %d bytes, %v; want some, and %v", len(got), err, want)
						}
						if took := time.Since(start); took != time.Second {
							t.Errorf("took %s, want 1s", took)
						}
					})
				})
			}
		}
	}
}
