package caddytest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// asCaddy makes the tests' binary behave as caddy.
const asCaddy = "CADDYTEST_AS_CADDY"

// process is a gateway in a process of its own.
type process struct {
	url, admin string
	dir        string
	command    *exec.Cmd
	log        *logBuffer
	exited     chan error // gets one value
}

// startProcess starts a gateway with the given grace period, whose model "m" has the
// provider as its source, and waits until it serves.
func startProcess(t *testing.T, grace time.Duration, p *provider.Provider) *process {
	t.Helper()
	r := &process{
		url: "http://" + freeAddress(t), admin: freeAddress(t), dir: t.TempDir(),
		log: new(logBuffer), exited: make(chan error, 1),
	}
	r.write(t, grace, p.URL(), "")
	r.command = r.run("run", "--config", r.config(), "--adapter", "caddyfile")
	r.command.Stdout, r.command.Stderr = r.log, r.log
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.exited <- r.command.Wait() }()
	t.Cleanup(func() {
		r.command.Process.Kill() // it has ended, unless the test has failed
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", r.log)
		}
	})
	eventually(t, "that the gateway serves", func() bool {
		resp, err := http.Get(r.url + "/v1/models")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return r
}

func (r *process) config() string { return filepath.Join(r.dir, "Caddyfile") }

// write writes the config.
func (r *process) write(t *testing.T, grace time.Duration, upstream, more string) {
	t.Helper()
	text := fmt.Sprintf("{\n admin %s\n persist_config off\n grace_period %s\n ai_gateway {\n data_dir %s\n }\n}\n%s {\n ai_gateway {\n upstream first %s\n model m {\n source first x\n }\n %s\n }\n}\n",
		r.admin, grace, filepath.Join(r.dir, "data"), r.url, upstream, more)
	if err := os.WriteFile(r.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run is a call of caddy.
func (r *process) run(arguments ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), asCaddy+"=1")
	return command
}

// terminate asks the process to exit, as service managers do. Windows has no signals.
func (r *process) terminate(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		r.call(t, "stop")
		return
	}
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// call calls caddy with the config's admin endpoint.
func (r *process) call(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := r.run(append(arguments, "--address", r.admin)...).CombinedOutput(); err != nil {
		t.Fatalf("caddy %s: %v\n%s", arguments[0], err, out)
	}
}

// ends fails the test unless the process exits with 0.
func (r *process) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.exited:
		if err != nil {
			t.Errorf("the process ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the process did not end")
	}
}

// answered is what a client got in the end.
type answered struct {
	asker
	status int
	again  string // Retry-After
	body   string
	err    error
}

// open has everyone ask for the model, and returns a function that collects what they
// got. It returns when all streams have begun, and all other requests are at the
// provider.
func (r *process) open(t *testing.T, p *provider.Provider, askers []asker) (collect func() []answered) {
	t.Helper()
	all := make([]answered, len(askers))
	var running, begun sync.WaitGroup
	for i, a := range askers {
		begun.Add(1)
		running.Go(func() {
			var once sync.Once
			defer once.Do(begun.Done)
			if !a.stream {
				once.Do(begun.Done) // nothing comes before the whole answer
			}
			got := answered{asker: a}
			resp, err := http.DefaultTransport.RoundTrip(a.request(t, r.url, "m"))
			if err != nil {
				got.err = err
				all[i] = got
				return
			}
			defer resp.Body.Close()
			once.Do(begun.Done)
			body, err := io.ReadAll(resp.Body)
			all[i] = answered{a, resp.StatusCode, resp.Header.Get("Retry-After"), string(body), err}
		})
	}
	begun.Wait()
	p.Wait(len(askers))
	return func() []answered { running.Wait(); return all }
}

// interrupted fails the test unless the client was told, in its own format, that the
// gateway shuts down.
func (a *answered) interrupted(t *testing.T) {
	t.Helper()
	if a.err != nil {
		t.Errorf("%s: the answer broke off: %v\n%s", a.name(), a.err, a.body)
		return
	}
	if strings.Count(a.body, "the gateway is shutting down") == 0 {
		t.Errorf("%s: the client was not told: %s", a.name(), a.body)
	}
	if !a.stream {
		if told, err := a.refused(a.body); a.status != http.StatusServiceUnavailable || err != nil || told.message == "" || a.again != "1" {
			t.Errorf("%s: want an error with status 503, got %d (%v), Retry-After %q: %s", a.name(), a.status, err, a.again, a.body)
		}
		return
	}
	got, err := a.listen(a.body)
	if a.status != http.StatusOK || err != nil || got.ended || got.failure == "" || !strings.HasPrefix("some words and more", got.text) || got.text == "" {
		t.Errorf("%s: want a stream that ends with an error, got %d (%v): %s", a.name(), a.status, err, a.body)
	}
}

// stalled is a provider whose streams stop in the middle, and whose other answers do
// not come.
func stalled(t *testing.T) *provider.Provider {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if bytes.Contains(r.Body, []byte(`"stream":true`)) {
			return someWords.StallAt(2)
		}
		return provider.Silent()
	})
	return p
}

// TestFault83Exit: the process is told to exit while requests are under way. Shortly
// before the grace period has passed each client is told so in its own format, and the
// process exits with 0.
func TestFault83Exit(t *testing.T) {
	for name, stop := range map[string]func(*testing.T, *process){
		"signal":  func(t *testing.T, r *process) { r.terminate(t) },
		"command": func(t *testing.T, r *process) { r.call(t, "stop") },
	} {
		t.Run(name, func(t *testing.T) {
			p := stalled(t)
			r := startProcess(t, 2*time.Second, p)
			collect := r.open(t, p, everyone())
			told := time.Now()
			stop(t, r)
			all := collect()
			if took := time.Since(told); took < time.Second {
				t.Errorf("they were ended after %s", took)
			}
			for i := range all {
				all[i].interrupted(t)
			}
			r.ends(t)
		})
	}
}

// TestFault83ExitInTime: answers that end within the grace period are whole.
func TestFault83ExitInTime(t *testing.T) {
	goOn := make(chan struct{})
	p := provider.New(t)
	p.Script(someWords.WaitAt(2, goOn))
	r := startProcess(t, 20*time.Second, p)
	collect := r.open(t, p, inStreams())
	r.terminate(t)
	eventually(t, "that the process shuts down", func() bool { return strings.Contains(r.log.String(), "servers shutting down") })
	close(goOn)
	for _, a := range collect() {
		if a.err != nil {
			t.Errorf("%s: %v", a.name(), a.err)
		}
		a.expects(t, &http.Response{StatusCode: a.status}, a.body, "some words and more")
	}
	r.ends(t)
}

// TestFault83ExitAfterReload: streams that began before a reload are older than its
// grace period, so that Caddy waits for them no longer. They are ended as all others.
func TestFault83ExitAfterReload(t *testing.T) {
	p := stalled(t)
	r := startProcess(t, time.Second, p)
	collect := r.open(t, p, inStreams())
	r.write(t, time.Second, p.URL(), "max_attempts 2")
	r.call(t, "reload", "--config", r.config(), "--adapter", "caddyfile")
	eventually(t, "that the grace period of the reload passes", func() bool {
		return strings.Contains(r.log.String(), "graceful shutdown 1s timeout")
	})
	r.terminate(t)
	for _, a := range collect() {
		a.interrupted(t)
	}
	r.ends(t)
}
