package caddytest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// measured is a gateway in a process of its own, whose memory is that of nobody else.
type measured struct {
	url     string
	command *exec.Cmd
}

// startMeasured runs a gateway whose model "alone" has the upstream as its source,
// with variables of the environment. It must end well with the test.
func startMeasured(t *testing.T, upstream string, environment ...string) *measured {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	path := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf("{\nadmin off\npersist_config off\ngrace_period 1s\nai_gateway {\n data_dir %s\n}\n}\nhttp://%s {\nai_gateway {\n upstream first %s {\n  retries 0\n  circuit off\n }\n model alone {\n  source first x\n }\n}\n}\n",
		filepath.Join(dir, "data"), address, upstream)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &measured{url: "http://" + address, command: exec.Command(os.Args[0], "run", "--config", path, "--adapter", "caddyfile")}
	m.command.Env = append(append(os.Environ(), asCaddy+"=1"), environment...)
	log := new(logBuffer)
	m.command.Stdout, m.command.Stderr = log, log
	if err := m.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := m.command.Wait(); err != nil {
			t.Errorf("the process did not end well: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", log)
		}
	})
	eventually(t, "that the gateway serves", func() bool {
		resp, err := http.Get(m.url + "/v1/models")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return m
}

// peak is the most memory that the process ever had, in bytes.
func (m *measured) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the system does not tell the peak")
	return 0
}

// TestFault79MemoryLimit: five hundred slow streams with long prompts under a limit
// of 128 MiB. Some are served, the rest is refused as clients understand it, and
// when the streams are over everybody is served again.
func TestFault79MemoryLimit(t *testing.T) {
	const streams, limit = 500, 128 << 20
	goOn := make(chan struct{})
	source := provider.New(t)
	var slow atomic.Bool
	slow.Store(true)
	source.Choose(func(*provider.Request) provider.Step {
		if slow.Load() {
			return someWords.WaitAt(provider.Start, goOn)
		}
		return provider.Say("quick")
	})
	p := startMeasured(t, source.URL(), fmt.Sprintf("GOMEMLIMIT=%d", limit))
	prompt := strings.Repeat("a long prompt ", 40_000)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}
	var refused, served atomic.Int64
	var wg sync.WaitGroup
	for i := range streams {
		a := inStreams()[i%len(speakers)]
		req := a.request(t, p.url, "alone")
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Replace(string(body), `"hi"`, strconv.Quote(prompt), 1)
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(long)), int64(len(long))
		req.GetBody = nil
		wg.Go(func() {
			resp, err := client.Do(req)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(bufio.NewReader(resp.Body))
			switch {
			case err != nil:
				t.Errorf("stream %d broke: %v", i, err)
			case resp.StatusCode == http.StatusOK && strings.Contains(string(text), "more"):
				served.Add(1)
			case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
				if _, err := a.refused(string(text)); err != nil {
					t.Errorf("stream %d: %v: %s", i, err, text)
				}
				refused.Add(1)
			default:
				t.Errorf("stream %d: %d %s", i, resp.StatusCode, text)
			}
		})
		// The next goes when this one waits at the upstream or was refused.
		eventually(t, "that a stream waits or is refused", func() bool {
			return len(source.Requests())+int(refused.Load()) > i
		})
	}
	slow.Store(false)
	close(goOn)
	wg.Wait()
	peak := p.peak(t)
	t.Logf("%d streams were served and %d refused; the peak is %d MiB", served.Load(), refused.Load(), peak>>20)
	if served.Load() == 0 || refused.Load() == 0 || served.Load()+refused.Load() != streams {
		t.Errorf("%d streams were served and %d refused of %d", served.Load(), refused.Load(), streams)
	}
	eventually(t, "that the gateway serves again", func() bool {
		resp, body := inPlain()[0].ask(t, p.url, "alone")
		return resp.StatusCode == http.StatusOK && strings.Contains(body, "quick")
	})
}
