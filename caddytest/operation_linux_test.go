package caddytest

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestFullDiskRefusesWrites: on a disk with too little room the gateway serves what the
// config declares, and says 507 to whoever wants to change something; when there is
// room again, so it does not.
func TestFullDiskRefusesWrites(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=400m"); err != nil {
		t.Logf("this system mounts no disk (%v): the guard of the store is tested with told free space only", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	g := startManaged(t, "", "upstream d "+p.URL()+"\nmodel declared {\nsource d x\n}")
	g.stop()
	g.data = dir
	g.reload()
	const model = `{"sources":[{"upstream":"d","model":"x"}]}`
	g.create("models", "before", model)
	ballast := dir + "/ballast"
	if out, err := exec.Command("fallocate", "-l", "250M", ballast).CombinedOutput(); err != nil {
		t.Fatalf("filling the disk: %v: %s", err, out)
	}
	g.refused(507, "no_space", "", "POST", "/models", named("m", model))
	g.refused(507, "no_space", "", "POST", "/backups", "")
	g.refused(507, "no_space", "", "POST", "/restore", strings.Repeat("x", 1000), "Content-Type", "application/octet-stream")
	g.refused(507, "no_space", "", "POST", "/upstreams/d/catalogue/models", `{"name":"hand"}`)
	if got := g.read("/models").names(); got != "before declared" {
		t.Errorf("the models are %s", got)
	}
	for _, name := range []string{"declared", "before"} {
		if status, body := g.chat(name); status != 200 {
			t.Errorf("%s answers %d: %s", name, status, body)
		}
	}
	if err := syscall.Unlink(ballast); err != nil {
		t.Fatal(err)
	}
	g.create("models", "m", model)
	g.read("/status").has("store.state", `"ok"`)
}
