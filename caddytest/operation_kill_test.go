package caddytest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// killable is a gateway in a process of its own.
type killable struct {
	*managed
	command *exec.Cmd
}

// startKillable starts a Caddy with the options, and waits until it serves.
func startKillable(t *testing.T, options, block string) *killable {
	t.Helper()
	c := &killable{managed: newManaged(t, options, block)}
	c.start()
	t.Cleanup(c.kill)
	return c
}

func (c *killable) start() {
	c.t.Helper()
	dir := c.t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	text := c.caddyfile("discard", c.block, c.global())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.command = exec.Command(os.Args[0], "run", "--config", file, "--adapter", "caddyfile")
	c.command.Env = append(os.Environ(), asCaddy+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if err := c.command.Start(); err != nil {
		c.t.Fatal(err)
	}
	succeeds := func(resp *http.Response, err error) bool {
		if err != nil {
			return false // nobody listens yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	eventually(c.t, "the start of the process", func() bool {
		return succeeds(c.begin(c.t.Context(), http.MethodGet, "/status", "")) && succeeds(http.Get(c.url+"/v1/models"))
	})
}

// kill ends the process as kill -9 does.
func (c *killable) kill() {
	http.DefaultClient.CloseIdleConnections()
	_ = c.command.Process.Kill() // it may have ended already
	_ = c.command.Wait()         // the signal is its error
}

// TestKilledProcessKeepsWhatItAcknowledged: what was answered just before kill -9 is
// there: an upstream with its secret, models, aliases, the catalogue and the order.
func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	c := startKillable(t, "secret_key "+keyOne, "")
	c.furnish(p)
	for i := range 5 {
		c.create("models", fmt.Sprintf("k%d", i), `{"sources":[{"upstream":"u","model":"b"}]}`)
		c.do("PATCH", "/upstreams/u/catalogue/models/b", fmt.Sprintf(`{"context_window":%d}`, 1000+i)).is(200)
		c.patch("/upstreams/u", fmt.Sprintf(`{"tags":["t%d"]}`, i))
		before := c.everything()
		c.kill()
		findCanary(t, c.data)
		c.start()
		if after := c.everything(); after != before {
			t.Fatalf("kill %d: before:\n%s\nafter:\n%s", i, before, after)
		}
	}
	if got := c.sent(p, "fast"); got != "Bearer "+canary {
		t.Errorf("after all the upstream is sent %q", got)
	}
}
