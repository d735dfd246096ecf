package caddytest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
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

// askThrough asks until a connection takes the request. A reload resets connections
// that wait in the old listener's queue, and closes kept ones that are idle: what
// every client must expect of every server, and no answer of the gateway's.
func (a asker) askThrough(t *testing.T, url, model string) (*http.Response, string) {
	t.Helper()
	for range 1000 {
		resp, err := http.DefaultClient.Do(a.request(t, url, model))
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s: the answer broke off: %v", a.name(), err)
		}
		return resp, string(body)
	}
	t.Errorf("%s: no connection", a.name())
	return new(http.Response), ""
}

// TestFault80ReloadsUnderLoad: a hundred reloads while requests and streams run. No
// request that was taken fails, and circuits stay as they are.
func TestFault80ReloadsUnderLoad(t *testing.T) {
	p := startProvider(t, provider.Say("steady"))
	broken := startProvider(t, provider.Status(500, boom))
	config := fmt.Sprintf("upstream first %s {\n retries 0\n}\nupstream second %s\nmodel m {\n source first x\n source second y priority 2\n}", broken.URL(), p.URL())
	g := startGateway(t, config)
	for range 5 {
		inPlain()[0].ask(t, g.url, "m")
	}
	before := circuit(t, routing.ScopeUpstreamModel)
	if before.State != routing.CircuitOpen {
		t.Fatalf("the circuit is %s before the reloads", before.State)
	}
	asked := len(broken.Requests())
	stop := make(chan struct{})
	var load sync.WaitGroup
	var served atomic.Int64
	for i := range 8 {
		a := everyone()[i]
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, body := a.askThrough(t, g.url, "m")
				a.expects(t, resp, body, "steady")
				served.Add(1)
			}
		})
	}
	for i := range 100 {
		if err := g.tryLoad(config + fmt.Sprintf("\nmax_body %dMiB", 1+i)); err != nil {
			t.Errorf("reload %d: %v", i, err)
		}
		before := served.Load()
		eventually(t, "that the load goes on", func() bool { return served.Load() > before || t.Failed() })
	}
	close(stop)
	load.Wait()
	if after := circuit(t, routing.ScopeUpstreamModel); after.Generation != before.Generation || after.Until.Sub(before.Until).Abs() > time.Second || len(broken.Requests()) != asked {
		t.Errorf("the circuit was %v and is %v, its upstream was asked %d times", before, after, len(broken.Requests())-asked)
	}
	if status := app(t).Status(); status.Store.State != "ok" {
		t.Errorf("the store is %v", status.Store)
	}
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
