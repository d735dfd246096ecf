package caddytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// impatient makes the server's limits for slow clients short, and lets it speak
// HTTP/2 without TLS.
const impatient = `servers {
	protocols h1 h2c
	timeouts {
		read_body_idle 500ms
		write_idle 500ms
	}
}`

// plainHTTP2 is a client that speaks HTTP/2 without TLS.
func plainHTTP2(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestFault61ClientIsCut: a client takes none of a stream, or none of a document. It is
// cut when the limit has passed, and the upstream is released; no circuit counts it.
func TestFault61ClientIsCut(t *testing.T) {
	words := strings.Repeat("x", 64<<10)
	event := "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + words + "\"}}]}\n\n"
	document := `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat(words, 256) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	var streamed atomic.Int64
	released := make(chan struct{}, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), `"stream":true`) {
			io.WriteString(w, document)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			n, err := io.WriteString(w, event)
			if err != nil {
				released <- struct{}{}
				return
			}
			streamed.Add(int64(n))
		}
	}))
	t.Cleanup(server.Close)
	g := startGateway(t, "upstream first "+server.URL+"\nmodel m {\n source first x\n}", impatient)
	for _, c := range clients[:2] {
		for name, send := range map[string]func(){
			"HTTP 1": func() {
				conn, body := g.dial(t), c.body("m")
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", c.path, conn.RemoteAddr(), len(body), body)
			},
			"HTTP 2": func() {
				resp, err := plainHTTP2(t).Post(g.url+c.path, "application/json", strings.NewReader(c.body("m")))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { resp.Body.Close() })
			},
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				g.log.reset()
				streamed.Store(0)
				send()
				if c.stream {
					select {
					case <-released:
					case <-time.After(10 * time.Second):
						t.Fatal("the upstream was not released")
					}
				}
				eventually(t, "that the request ends", func() bool { return strings.Contains(g.log.String(), "handled request") })
				if n := streamed.Load(); n > 64<<20 {
					t.Errorf("%d bytes were taken for a client that reads none", n)
				}
				checkCounted(t, row{})
			})
		}
	}
}

// TestFault61SilenceIsNoStall: streams that say nothing for longer than the limit for
// slow clients go on, over each protocol.
func TestFault61SilenceIsNoStall(t *testing.T) {
	goOn := make(chan struct{})
	g := startGateway(t, "upstream first "+startProvider(t, someWords.WaitAt(2, goOn)).URL()+"\nmodel m {\n source first x\n}", impatient)
	var answers []*http.Response
	for _, client := range []*http.Client{http.DefaultClient, plainHTTP2(t)} {
		for _, a := range inStreams() {
			resp, err := client.Do(a.request(t, g.url, "m"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answers = append(answers, resp)
		}
	}
	time.AfterFunc(1200*time.Millisecond, func() { close(goOn) }) // more than twice the limit
	for i, resp := range answers {
		a := inStreams()[i%len(speakers)]
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s over %s broke off: %v", a.name(), resp.Proto, err)
		}
		a.expects(t, resp, string(body), "some words and more")
	}
	if first, last := answers[0].Proto, answers[len(answers)-1].Proto; first != "HTTP/1.1" || last != "HTTP/2.0" {
		t.Errorf("asked over %s and %s", first, last)
	}
}

// TestFault62Trickle: clients send their bodies byte for byte, never silent for long.
// They are told that it is too slow, and others are served meanwhile.
func TestFault62Trickle(t *testing.T) {
	p := startProvider(t, provider.Say("quick"))
	g := startGateway(t, "upstream first "+p.URL()+"\nmodel m {\n source first x\n}", impatient)
	trickle := func(w io.Writer) {
		for {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // the client's pace
		}
	}
	var slow []net.Conn
	for _, a := range everyone() {
		conn := g.dial(t)
		req := a.request(t, g.url, "m")
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n{", req.URL.RequestURI(), conn.RemoteAddr())
		go trickle(conn)
		slow = append(slow, conn)
	}
	for _, a := range everyone() {
		resp, body := a.ask(t, g.url, "m")
		a.expects(t, resp, body, "quick")
	}
	for i, a := range everyone() {
		answers := bufio.NewReader(slow[i])
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: %v", a.name(), err)
		}
		body, err := io.ReadAll(resp.Body)
		if told, wrong := a.refused(string(body)); resp.StatusCode != http.StatusRequestTimeout || err != nil || wrong != nil || told.message == "" {
			t.Errorf("%s: want an error with status 408, got %d (%v, %v) %s", a.name(), resp.StatusCode, err, wrong, body)
		}
		if !resp.Close {
			t.Errorf("%s: the connection is not closed", a.name())
		}
	}
	body, feed := io.Pipe()
	go trickle(feed)
	resp, err := plainHTTP2(t).Post(g.url+clients[0].path, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("HTTP 2: status %d, want 408", resp.StatusCode)
	}
	feed.Close()
	if n := len(p.Requests()); n != len(everyone()) {
		t.Errorf("the upstream was asked %d times", n)
	}
}
