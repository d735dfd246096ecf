package caddytest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// TestFault79ManySlowStreams: five hundred streams wait at the same time. They cost
// little memory, and other requests are served.
func TestFault79ManySlowStreams(t *testing.T) {
	goOn := make(chan struct{})
	p := provider.New(t)
	var asked atomic.Int64
	const streams = 500
	p.Choose(func(*provider.Request) provider.Step {
		if asked.Add(1) <= streams {
			return someWords.WaitAt(2, goOn)
		}
		return provider.Say("quick")
	})
	o := startOutage(t, p.URL())
	before := heap()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}
	var bodies []*bufio.Reader
	for i := range streams {
		a := inStreams()[i%len(speakers)]
		resp, err := client.Do(a.request(t, o.url, "alone"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		body := bufio.NewReaderSize(resp.Body, 16)
		if _, err := body.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	if after := heap(); after > before+memoryGrowth {
		t.Errorf("%d streams took the heap from %d to %d bytes", streams, before, after)
	}
	resp, body := inPlain()[0].ask(t, o.url, "alone")
	inPlain()[0].expects(t, resp, body, "quick")
	close(goOn)
	for i, body := range bodies {
		rest, err := io.ReadAll(body)
		if err != nil || !strings.Contains(string(rest), "more") {
			t.Fatalf("stream %d ended with %v: %s", i, err, rest)
		}
	}
}

// startSecure runs a gateway whose site speaks TLS. The client is as providers' SDKs
// have one: it speaks HTTP/2, and does not repeat what a server may have taken.
func startSecure(t *testing.T, block string) (g *gateway, client *http.Client, global string) {
	t.Helper()
	dir := t.TempDir()
	global = "skip_install_trust\nauto_https disable_redirects\nlocal_certs\nstorage file_system " + dir
	g = startGatewayAt(t, "https://"+freeAddress(t), block, global)
	trusted := x509.NewCertPool()
	eventually(t, "that Caddy makes an authority", func() bool {
		root, err := os.ReadFile(filepath.Join(dir, "pki", "authorities", "local", "root.crt"))
		return err == nil && trusted.AppendCertsFromPEM(root)
	})
	trust := &tls.Config{RootCAs: trusted}
	eventually(t, "that the site has a certificate", func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.url, "https://"), trust)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	client = &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: trust}}
	t.Cleanup(client.CloseIdleConnections)
	return g, client, global
}

// TestFault80ReloadsUnderLoad: a hundred reloads while requests run, and streams that
// live through all of them. No request fails, though none is repeated, each config soon
// serves everyone, and circuits stay as they are.
func TestFault80ReloadsUnderLoad(t *testing.T) {
	goOn := make(chan struct{})
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if bytes.Contains(r.Body, []byte("patient")) || strings.Contains(r.Path, "patient") {
			return someWords.WaitAt(2, goOn)
		}
		return provider.Say("steady")
	})
	broken := startProvider(t, provider.Status(500, boom))
	// The answer tells its config by the upstream's name of the model.
	config := func(turn int) string {
		return fmt.Sprintf("upstream first %s {\n retries 0\n circuit {\n  open_for 1h up to 1h\n }\n}\nupstream second %s\nmodel m {\n source first x\n source second y%d priority 2\n}\nmodel long {\n source second patient\n}", broken.URL(), p.URL(), turn)
	}
	g, client, global := startSecure(t, config(0))
	for range 5 {
		inPlain()[0].askWith(t, client, g.url, "m")
	}
	before := circuit(t, routing.ScopeUpstreamModel)
	if before.State != routing.CircuitOpen {
		t.Fatalf("the circuit is %s before the reloads", before.State)
	}
	asked := len(broken.Requests())
	long := make([]io.ReadCloser, len(inStreams()))
	for i, a := range inStreams() {
		resp, err := client.Do(a.request(t, g.url, "long"))
		if err != nil {
			t.Fatal(err)
		}
		long[i] = resp.Body
		defer long[i].Close()
	}
	underLoad(t, client, g.url, func(serves func(model string) bool) {
		for turn := 1; turn <= 100; turn++ {
			if err := g.tryLoad(config(turn), global); err != nil {
				t.Errorf("reload %d: %v", turn, err)
			}
			// A reload that came before could meet a connection that is just being made,
			// which the kernel resets.
			eventually(t, "that the new config serves every client", func() bool {
				return serves(fmt.Sprint("y", turn)) || t.Failed()
			})
		}
	})
	close(goOn)
	for i, a := range inStreams() {
		body, err := io.ReadAll(long[i])
		if err != nil {
			t.Errorf("%s, over all reloads: %v", a.name(), err)
		}
		a.expects(t, &http.Response{StatusCode: http.StatusOK}, string(body), "some words and more")
	}
	if after := circuit(t, routing.ScopeUpstreamModel); after.Generation != before.Generation || after.Until.Sub(before.Until).Abs() > time.Second || len(broken.Requests()) != asked {
		t.Errorf("the circuit was %v and is %v, its upstream was asked %d times", before, after, len(broken.Requests())-asked)
	}
	if status := app(t).Status(); status.Store.State != "ok" {
		t.Errorf("the store is %v", status.Store)
	}
}

// TestFault80UnusedConnections: connections that clients keep in store, and on which they
// have asked nothing yet, are closed with the config that accepted them. A server alone
// leaves them open for five seconds, in which it drops the requests that come on them.
func TestFault80UnusedConnections(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	config := "upstream main " + p.URL() + "\nmodel m {\n source main x\n}"
	g, client, global := startSecure(t, config)
	trust := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.NextProtos = []string{"http/1.1"}
	stored := make([]*tls.Conn, 20)
	for i := range stored {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.url, "https://"), trust)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		stored[i] = conn
	}
	g.load(config+"\nheartbeat 30s", global)
	limit := time.Now().Add(4 * time.Second)
	for i, conn := range stored {
		if err := conn.SetReadDeadline(limit); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("connection %d gives %d bytes, %v; want its end", i, n, err)
		}
	}
}

// underLoad runs f while a client of each kind asks for the model m all the time. Their
// answers must all be right. What f gets says whether the last answer to each client is
// of an upstream's model of that name.
func underLoad(t *testing.T, client *http.Client, url string, f func(serves func(model string) bool)) {
	t.Helper()
	all := everyone()
	last := make([]atomic.Value, len(all))
	var over atomic.Bool
	var load sync.WaitGroup
	defer func() { over.Store(true); load.Wait() }()
	for i, a := range all {
		load.Go(func() {
			for !over.Load() && !t.Failed() {
				resp, body := a.askWith(t, client, url, "m")
				a.expects(t, resp, body, "steady")
				last[i].Store(resp.Header.Get("X-Selected-Model"))
			}
		})
	}
	f(func(model string) bool {
		for i := range last {
			if last[i].Load() != model {
				return false
			}
		}
		return true
	})
}

// askWith sends a request through a client once, and returns the whole answer, which is
// empty if there was none.
func (a asker) askWith(t *testing.T, client *http.Client, url, model string) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(a.request(t, url, model))
	if err != nil {
		t.Errorf("asking as %s: %v", a.name(), err)
		return new(http.Response), ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s: the answer broke off: %v", a.name(), err)
	}
	return resp, string(body)
}

// TestFault83Shutdown: the server is stopped while streams run. They end well within
// its grace period.
func TestFault83Shutdown(t *testing.T) {
	goOn := make(chan struct{})
	p := startProvider(t, someWords.WaitAt(2, goOn))
	g := startGateway(t, "upstream first "+p.URL()+"\nmodel m {\n source first x\n}")
	var bodies []io.ReadCloser
	for _, a := range inStreams() {
		resp, err := http.DefaultClient.Do(a.request(t, g.url, "m"))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, resp.Body)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- caddy.Stop() }()
	eventually(t, "that nothing new is accepted", func() bool {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(g.url)
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	close(goOn)
	for i, body := range bodies {
		answer, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			t.Errorf("%s: %v", inStreams()[i].name(), err)
		}
		inStreams()[i].expects(t, &http.Response{StatusCode: 200}, string(answer), "some words and more")
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
}
