package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An address without a port, or one of a browser, is a mistake and no server that does
// not run.
func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"localhost", "http://127.0.0.1:2019", "https://localhost", "/run/caddy.sock", "tcp/localhost"} {
		if _, notes, code := run(t, "status", "--address", address); code != 2 || !strings.Contains(notes, "is no address of an admin endpoint") {
			t.Errorf("%s: exit code %d: %s", address, code, notes)
		}
	}
}

// A request goes to the admin endpoint, and to nobody whom it names.
func TestRedirectsAreRefused(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusPermanentRedirect))
	t.Cleanup(server.Close)
	if _, notes, code := run(t, "upstream", "rm", "x", "--address", server.Listener.Addr().String()); code != 1 || !strings.Contains(notes, "the server answered with HTTP 308") {
		t.Errorf("exit code %d: %s", code, notes)
	}
}
