package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	buildLimit = 10 * time.Minute
	startLimit = time.Minute
	stopLimit  = 15 * time.Second
	testLimit  = time.Minute // of one test's requests together
	pollEvery  = 50 * time.Millisecond
)

// gateway is the process that all tests share.
var gateway *process

// upstreams are the upstreams' names without "demo_" or "recorded_": each speaks
// one format, so that every client meets an upstream of its own and one of each
// other format.
var upstreams = []string{"chat", "responses", "messages", "gemini"}

// formatOf is the format of an upstream.
var formatOf = map[string]string{
	"chat":      "openai_chat",
	"responses": "openai_responses",
	"messages":  "anthropic_messages",
	"gemini":    "gemini",
}

// demoModels are the demo's models that every upstream has, and recordedModels the
// answers in testdata. The gateway's models are named model-upstream.
var (
	demoModels     = []string{"echo", "story", "tools", "error-429", "error-cut"}
	recordedModels = []string{"reasoning", "structured"}
)

// countModels is how many models the gateway has.
func countModels() int { return (len(demoModels) + len(recordedModels)) * len(upstreams) }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run runs the tests against a gateway that it starts and stops.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ai-gateway-sdk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the gateway:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	recorded = startRecorded()
	defer recorded.Close()
	gateway, err = start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the gateway:", err)
		return 1
	}
	code := m.Run()
	if err := gateway.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the gateway:", err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "log of the gateway:\n%s\n", gateway.log())
	}
	return code
}

// process is a running gateway.
type process struct {
	dir     string
	url     string
	command *exec.Cmd
	exited  chan error // gets one value when the process has ended
	client  *http.Client
}

// start builds and starts the gateway with its files below dir, and waits until
// it answers.
func start(dir string) (*process, error) {
	binary, err := build(dir)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	p := &process{dir: dir, url: "https://localhost:" + port, exited: make(chan error, 1)}
	if err := os.WriteFile(p.path("Caddyfile"), []byte(caddyfile(p.url)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(p.path("log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own handle
	p.command = exec.Command(binary, "run", "--config", p.path("Caddyfile"))
	p.command.Dir = dir
	p.command.Stdout, p.command.Stderr = log, log
	p.command.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + p.path("home"),
		"XDG_DATA_HOME=" + p.path("data"),
		"XDG_CONFIG_HOME=" + p.path("config"),
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- p.command.Wait() }()
	if err := p.wait(); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w\nlog of the gateway:\n%s", err, p.log())
	}
	return p, nil
}

// build builds the product, in its own module, into dir.
func build(dir string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	binary := filepath.Join(dir, "caddy")
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/caddy")
	command.Dir = filepath.Join("..", "..")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cmd/caddy: %w\n%s", err, out)
	}
	return binary, nil
}

// freeAddress is an address of the loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// caddyfile is the gateway's configuration: for each format an upstream that is the
// demo and one that is recorded, with their models under names such as echo-chat.
func caddyfile(url string) string {
	var out strings.Builder
	out.WriteString(`{
	admin off
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	default_bind 127.0.0.1
	grace_period 1s
	servers {
		protocols h1 h2
	}
	ai_gateway {
		circuit off
`)
	for _, upstream := range upstreams {
		fmt.Fprintf(&out, `		upstream demo_%[1]s {
			provider demo
			formats %[2]s
			transport ai_gateway_demo {
				tokens_per_second 1000
			}
		}
		upstream recorded_%[1]s %[3]s {
			formats %[2]s
		}
`, upstream, formatOf[upstream], recorded.URL())
		for _, model := range demoModels {
			fmt.Fprintf(&out, "\t\tmodel %[1]s-%[2]s {\n\t\t\tsource demo_%[2]s %[1]s\n\t\t}\n", model, upstream)
		}
		for _, model := range recordedModels {
			fmt.Fprintf(&out, "\t\tmodel %[1]s-%[2]s {\n\t\t\tsource recorded_%[2]s %[1]s\n\t\t}\n", model, upstream)
		}
	}
	return out.String() + "\t}\n}\n\n" + url + " {\n\ttls internal\n\tai_gateway\n}\n"
}

// wait polls the gateway until it answers through TLS.
func (p *process) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("nothing tried")
	for {
		select {
		case err := <-p.exited:
			p.exited <- err
			return fmt.Errorf("the gateway ended by itself: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not answer after %s: %w", startLimit, last)
		case <-tick.C:
		}
		if last = p.probe(ctx); last == nil {
			return nil
		}
	}
}

// rootCA is the certificate of the gateway's internal CA.
func (p *process) rootCA() string {
	return p.path("data", "caddy", "pki", "authorities", "local", "root.crt")
}

// probe asks for the models once. When that works, the client is set.
func (p *process) probe(ctx context.Context) error {
	pem, err := os.ReadFile(p.rootCA())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("the internal CA's certificate is incomplete")
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/models", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /v1/models: %s", response.Status)
	}
	p.client = client
	return nil
}

// stop ends the process, kindly first.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("the gateway ignored SIGTERM for %s", stopLimit), p.command.Process.Kill())
	}
}

// path is a path below the process's directory.
func (p *process) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

// log is what the process has written.
func (p *process) log() []byte {
	out, _ := os.ReadFile(p.path("log"))
	return out
}

// eachUpstream runs a test against an upstream of each format. The models are
// named model-upstream.
func eachUpstream(t *testing.T, test func(ctx context.Context, t *testing.T, upstream string)) {
	t.Helper()
	for _, upstream := range upstreams {
		t.Run(upstream, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testLimit)
			defer cancel()
			test(ctx, t, upstream)
		})
	}
}

// checkHeaders checks the headers that say which way a request went.
func checkHeaders(t *testing.T, response *http.Response, upstream, model string) {
	t.Helper()
	if response == nil {
		t.Fatal("got no response")
	}
	for name, want := range map[string]string{
		"X-Selected-Provider": "demo_" + upstream,
		"X-Selected-Model":    model,
		"X-Gateway-Attempts":  "1",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if response.Header.Get("X-Request-Id") == "" {
		t.Error("got no X-Request-Id")
	}
}

// wholeStory checks that a text is the demo's story.
func wholeStory(t *testing.T, text string) {
	t.Helper()
	const start, end = "Once a gateway stood", "in the middle of their sentences."
	if len(text) < 500 || text[:len(start)] != start || text[len(text)-len(end):] != end {
		t.Errorf("got story %q", text)
	}
}

// key is a dummy: the gateway takes any and forwards none.
const key = "dummy-key"
