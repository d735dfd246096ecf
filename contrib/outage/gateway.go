package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
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
	scheme      string // of the site; with https the certificate is of Caddy's own authority
	site, admin string // host:port
	client      *http.Client
	process     *exec.Cmd
	exited      chan struct{} // closed when the process has ended
}

// gateway prepares a process with the given block of the directive. Its data are
// kept in a folder of that name.
func (b *bench) gateway(name, block string) (*gateway, error) {
	return b.caddy(name, "http", "ai_gateway {\n"+block+"\n}")
}

// caddy prepares a process with a site of the given scheme and directives.
func (b *bench) caddy(name, scheme, directives string) (*gateway, error) {
	g := &gateway{b: b, dir: filepath.Join(b.dir, name), scheme: scheme, client: &http.Client{
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
	if scheme == "https" {
		directives += "\ntls internal"
	}
	g.config = fmt.Sprintf("{\nadmin %s\npersist_config off\nskip_install_trust\nauto_https disable_redirects\nlog {\noutput discard\n}\nai_gateway {\ndata_dir %s\n}\n}\n%s://%s {\n%s\n}\n",
		g.admin, filepath.Join(g.dir, "data"), scheme, g.site, directives)
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
		// The configuration is in force when both the site and its admin endpoint answer.
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
	defer conn.Close()
	if g.scheme == "https" {
		// The first certificate is made after the site listens.
		trust, err := g.trust()
		if err != nil || tls.Client(conn, trust).HandshakeContext(g.b.ctx) != nil {
			return false
		}
	}
	return g.call(http.MethodGet, "/ai_gateway/status", "", "application/json", nil) == nil
}

// trust is what clients of the site need to know of its certificate.
func (g *gateway) trust() (*tls.Config, error) {
	root, err := os.ReadFile(filepath.Join(g.dir, "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of Caddy's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		return nil, errors.New("the certificate of Caddy's authority cannot be read")
	}
	host, _, err := net.SplitHostPort(g.site)
	if err != nil {
		return nil, fmt.Errorf("reading the site's address: %w", err)
	}
	return &tls.Config{RootCAs: pool, ServerName: host}, nil
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
	turn       string // the configuration that answered, if it tells
	took       time.Duration
}

// ask sends a chat request and reads the whole answer.
func (g *gateway) ask(stream bool) (answer, error) {
	began := time.Now()
	resp, err := g.open(stream)
	if err != nil {
		return answer{}, err
	}
	return read(resp, began)
}

// read reads the whole answer to a request that was sent at the given time. It has
// a status also if it breaks off.
func read(resp *http.Response, began time.Time) (answer, error) {
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), turn: resp.Header.Get(turnField)}
	if n, err := strconv.Atoi(resp.Header.Get("X-Gateway-Attempts")); err == nil {
		a.attempts = n // else it was refused before any
	}
	body, err := io.ReadAll(resp.Body)
	a.body, a.took = string(body), time.Since(began)
	if err != nil {
		return a, fmt.Errorf("reading an answer: %w", err)
	}
	return a, nil
}

// whole says that the answer is a success with its end.
func (a *answer) whole(stream bool) bool {
	return a.status == http.StatusOK && strings.Contains(a.body, "steady") &&
		(!stream || strings.HasSuffix(a.body, "data: [DONE]\n\n"))
}

// open sends a chat request.
func (g *gateway) open(stream bool) (*http.Response, error) {
	return g.post(g.client, "hi", stream)
}

// post sends a chat request with the given text through a client.
func (g *gateway) post(client *http.Client, text string, stream bool) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, text)
	req, err := http.NewRequestWithContext(g.b.ctx, http.MethodPost, g.scheme+"://"+g.site+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	return client.Do(req)
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
