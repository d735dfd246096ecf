package upstream

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A service that switches to another protocol, which nobody has asked for, owns the
// connection from then on: its silence must not hold up a check, nor the end of the
// configuration that waits for it.
func TestCheckOfAServiceThatSwitchesProtocols(t *testing.T) {
	s := quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the gateway closes it
		_ = conn.Close()
	})))
	t.Cleanup(s.Close)
	u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`","health":{"path":"/","unhealthy":1,"interval":"1s","timeout":"100ms"}}`)
	c, ok := u.Checker()
	if !ok {
		t.Fatal("there is nothing to check")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.check(t.Context())
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		s.CloseClientConnections()
		t.Fatal("the check does not end")
	}
	if v := u.HealthView(); !v.Unhealthy {
		t.Errorf("got %+v", v)
	}
}

// The first check comes soon, however long the interval is: until then an upstream
// that is down counts as healthy.
func TestFirstCheckComesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			began := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			c := checkerOf(t, `{"health":{"interval":"24h"}}`, answering(func() int {
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the first check came after %s", took)
				}
				cancel()
				return 200
			}))
			c.Run(ctx)
			cancel()
		}
	})
}
