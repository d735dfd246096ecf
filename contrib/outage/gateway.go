package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// build builds the project's own Caddy, wherever in the module this program was
// started.
func (b *bench) build() error {
	out, err := exec.CommandContext(b.ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("finding the module: %w", err)
	}
	cmd := exec.CommandContext(b.ctx, "go", "build", "-buildvcs=false", "-o", b.binary, "./cmd/caddy")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(out)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building ./cmd/caddy: %w\n%s", err, out)
	}
	return nil
}

// A gateway is a Caddy process with its configuration and data.
type gateway struct {
	b           *bench
	dir         string
	config      string
	site, admin string // host:port
	client      *http.Client
	process     *exec.Cmd
	exited      chan struct{} // closed when the process has ended
}

// gateway prepares a process with the given block of the directive. Its data are
// kept in a folder of that name.
func (b *bench) gateway(name, block string) (*gateway, error) {
	g := &gateway{b: b, dir: filepath.Join(b.dir, name), client: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	for _, address := range []*string{&g.site, &g.admin} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		*address = listener.Addr().String()
		if err := listener.Close(); err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
	}
	g.config = fmt.Sprintf("{\n\tadmin %s\n\tpersist_config off\n\tlog {\n\t\toutput discard\n\t}\n\tai_gateway {\n\t\tdata_dir %s\n\t}\n}\nhttp://%s {\n\tai_gateway {\n%s\n\t}\n}\n",
		g.admin, filepath.Join(g.dir, "data"), g.site, block)
	return g, nil
}

// start runs the process and waits until it serves.
func (g *gateway) start() error {
	file := filepath.Join(g.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(g.config), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	var said bytes.Buffer
	g.process = exec.CommandContext(g.b.ctx, g.b.binary, "run", "--config", file, "--adapter", "caddyfile")
	g.process.Env = append(os.Environ(), "HOME="+g.dir, "XDG_DATA_HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir)
	g.process.Stderr = &said
	if err := g.process.Start(); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	g.exited = make(chan struct{})
	go func() {
		defer close(g.exited)
		_ = g.process.Wait() // An early end shows as refused connections.
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		// The configuration is in force when both the site and its management answer.
		if g.answers() {
			return nil
		}
		select {
		case <-g.exited:
			return fmt.Errorf("caddy ended at once\n%s", said.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	g.kill()
	return errors.New("caddy is not ready")
}

// answers says that the process serves.
func (g *gateway) answers() bool {
	conn, err := net.DialTimeout("tcp", g.site, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return g.call(http.MethodGet, "/ai_gateway/status", "", "application/json", nil) == nil
}

// kill ends the process with SIGKILL and returns when it has ended.
func (g *gateway) kill() {
	g.client.CloseIdleConnections()
	_ = g.process.Process.Kill() // it may have ended already
	<-g.exited
}

// An answer is what a client got.
type answer struct {
	status     int
	body       string
	attempts   int
	retryAfter string
	took       time.Duration
}

// ask sends a chat request and reads the whole answer.
func (g *gateway) ask(stream bool) (answer, error) {
	began := time.Now()
	resp, err := g.open(stream)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading an answer: %w", err)
	}
	attempts, err := strconv.Atoi(resp.Header.Get("X-Gateway-Attempts"))
	if err != nil {
		attempts = 0 // refused before any
	}
	return answer{resp.StatusCode, string(body), attempts, resp.Header.Get("Retry-After"), time.Since(began)}, nil
}

// whole says that the answer is a success with its end.
func (a *answer) whole(stream bool) bool {
	return a.status == http.StatusOK && strings.Contains(a.body, "steady") &&
		(!stream || strings.HasSuffix(a.body, "data: [DONE]\n\n"))
}

// open sends a chat request.
func (g *gateway) open(stream bool) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":"hi"}]}`, stream)
	req, err := http.NewRequestWithContext(g.b.ctx, http.MethodPost, "http://"+g.site+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	return g.client.Do(req)
}

// call calls the admin endpoint and decodes its answer into out, unless that is nil.
func (g *gateway) call(method, path, body, kind string, out any) error {
	req, err := http.NewRequestWithContext(g.b.ctx, method, "http://"+g.admin+path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := g.client.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("calling %s: %s\n%s", path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	return nil
}

var goroutineCount = regexp.MustCompile(`goroutine profile: total (\d+)`)

// goroutines is how many goroutines the process has.
func (g *gateway) goroutines() (int, error) {
	resp, err := g.client.Get("http://" + g.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return 0, fmt.Errorf("counting goroutines: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("counting goroutines: %w", err)
	}
	match := goroutineCount.FindSubmatch(data)
	if match == nil {
		return 0, fmt.Errorf("counting goroutines: %.100s", data)
	}
	return strconv.Atoi(string(match[1]))
}
