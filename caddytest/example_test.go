package caddytest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestExample starts Caddyfile.example as it is, but for its ports: no key, no
// network, answers over HTTP and TLS, weights and failover, and the upstreams
// that have no key reported and skipped.
func TestExample(t *testing.T) {
	for _, name := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY"} {
		t.Setenv(name, "")
	}
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := freeAddress(t), freeAddress(t)
	data := t.TempDir()
	text := strings.NewReplacer(
		"localhost:8080", strings.Replace(plain, "127.0.0.1", "localhost", 1),
		"localhost:8443", strings.Replace(secure, "127.0.0.1", "localhost", 1),
		"	skip_install_trust\n", "	skip_install_trust\n	admin off\n	persist_config off\n	storage file_system "+data+"\n	log {\n		output caddytest\n	}\n",
		"	log {\n		format filter", "	log redacted {\n		output caddytest\n		format filter",
	).Replace(string(example))
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(config), `"disable_redirects":true`) {
		t.Error("the example listens on port 80, which an ordinary user may not")
	}
	currentLog.reset()
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { caddy.Stop() })
	g := &gateway{t: t, url: "http://" + strings.Replace(plain, "127.0.0.1", "localhost", 1), log: currentLog}

	for _, model := range []string{"echo", "story", "shared", "steady", "smart"} {
		for _, c := range clients {
			if model == "story" || model == "smart" {
				if c.stream {
					continue // they stream at a person's pace
				}
			}
			resp, answer := g.post(c.path, c.body(model))
			if resp.StatusCode != 200 || c.text(t, answer) == "" {
				t.Errorf("%s, %s: %d %s", model, c.name, resp.StatusCode, answer)
			}
			want := "1"
			if model == "steady" {
				want = "2"
			}
			if got := resp.Header.Get("X-Gateway-Attempts"); got != want {
				t.Errorf("%s: %s attempts, want %s", model, got, want)
			}
			if got := resp.Header.Get("X-Selected-Provider"); !strings.HasPrefix(got, "demo") {
				t.Errorf("%s: answered by %s", model, got)
			}
		}
	}
	for _, key := range []string{"{env.OPENAI_API_KEY}", "{env.ANTHROPIC_API_KEY}"} {
		if !strings.Contains(g.log.String(), "not configured: credential "+key+" is empty") {
			t.Errorf("the log does not say that %s is missing:\n%s", key, g.log)
		}
	}
	checkTLS(t, data, "https://"+strings.Replace(secure, "127.0.0.1", "localhost", 1))
}

// checkTLS asks over TLS, with Caddy's internal CA as the only trusted one.
func checkTLS(t *testing.T, data, url string) {
	t.Helper()
	root := filepath.Join(data, "pki/authorities/local/root.crt")
	var pem []byte
	eventually(t, "the internal CA", func() (ok bool) {
		var err error
		pem, err = os.ReadFile(root)
		return err == nil
	})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the internal CA's root is no certificate")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	eventually(t, "an answer over TLS", func() bool {
		resp, err := client.Get(url + "/v1/models")
		if err != nil {
			return false // the certificate is being made
		}
		resp.Body.Close()
		return resp.StatusCode == 200 && resp.ProtoMajor == 2
	})
}
