package caddytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestFault59ClientLeaves: a client leaves before the answer, before its first
// content, or in the middle. The upstream is released within a second, and no
// circuit counts it.
func TestFault59ClientLeaves(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"before the header":  provider.Silent(),
		"before the content": someWords.StallAt(provider.Start),
		"in the middle":      someWords.StallAt(2),
	} {
		for _, a := range everyone() {
			t.Run(name+"/"+a.name(), func(t *testing.T) {
				first := startProvider(t, step)
				o := startOutage(t, first.URL())
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				go func() {
					first.Wait(1)
					leave()
				}()
				if resp, err := http.DefaultClient.Do(a.request(t, o.url, "backed").WithContext(ctx)); err == nil {
					io.Copy(io.Discard, resp.Body) // ends with the client's leaving
					resp.Body.Close()
				}
				left := time.Now()
				select {
				case <-first.Requests()[0].Left():
				case <-time.After(10 * time.Second):
					t.Fatal("the upstream was not released")
				}
				if took := time.Since(left); took > time.Second {
					t.Errorf("the upstream was released after %s", took)
				}
				checkCounted(t, row{})
				if n := len(o.second.Requests()); n != 0 {
					t.Error("another source was asked for a client that has left")
				}
			})
		}
	}
}

// TestFault60ManyClientsLeave: a thousand clients leave their streams. Nothing of
// them stays.
func TestFault60ManyClientsLeave(t *testing.T) {
	first := startProvider(t, someWords.StallAt(2))
	o := startOutage(t, first.URL())
	leave := func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(inStreams()[0].request(t, o.url, "alone").WithContext(ctx))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
			t.Error(err)
		}
	}
	leave()
	before := runtime.NumGoroutine()
	for range 20 {
		var all sync.WaitGroup
		for range 50 {
			all.Go(leave)
		}
		all.Wait()
	}
	eventually(t, "that their goroutines end", func() bool { return runtime.NumGoroutine() <= before+10 })
}

// TestFault61ClientDoesNotRead: a client takes no bytes. The upstream is held back
// instead of being read into memory.
func TestFault61ClientDoesNotRead(t *testing.T) {
	var sent atomic.Int64
	event := "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + strings.Repeat("x", 8<<10) + "\"}}]}\n\n"
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(released)
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			n, err := io.WriteString(w, event)
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	}))
	t.Cleanup(server.Close)
	o := startOutage(t, server.URL)
	conn := o.dial(t)
	body := clients[1].body("alone")
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", conn.RemoteAddr(), len(body), body)
	last, same := int64(0), 0
	eventually(t, "that the upstream is held back", func() bool {
		now := sent.Load()
		if now > 0 && now == last {
			same++
		} else {
			last, same = now, 0
		}
		return same >= 20 // 100 ms without a byte
	})
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken for a client that reads none", n)
	}
	conn.Close()
	select {
	case <-released:
	case <-time.After(10 * time.Second):
		t.Error("the upstream was not released")
	}
}

// dial opens a connection to the gateway.
func (g *gateway) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestFault62SlowClient: a client sends its body so slowly that the server's limit
// ends it; others are served meanwhile.
func TestFault62SlowClient(t *testing.T) {
	p := startProvider(t, provider.Say("quick"))
	g := startGateway(t, "upstream first "+p.URL()+"\nmodel m {\n source first x\n}", "servers {\n timeouts {\n read_body 500ms\n read_header 500ms\n }\n}")
	var slow []net.Conn
	for range 50 {
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{", conn.RemoteAddr())
		slow = append(slow, conn)
	}
	for _, a := range everyone() {
		resp, body := a.ask(t, g.url, "m")
		a.expects(t, resp, body, "quick")
	}
	for _, conn := range slow {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("the slow client got %v (%v), want 408", resp, err)
		}
	}
	silent := g.dial(t)
	io.WriteString(silent, "POST /v1/chat/completions HTTP/1.1\r\n") // shows in what follows
	if answer, err := io.ReadAll(silent); err != nil || strings.Contains(string(answer), " 200 ") {
		t.Errorf("a header without end: %q (%v)", answer, err)
	}
}

// TestFault63ChunkedWithoutEnd: a body without a declared length that does not end
// is refused at the limit.
func TestFault63ChunkedWithoutEnd(t *testing.T) {
	g := startGateway(t, "upstream demo\nmodel m {\n source demo echo\n}\nmax_body 1MiB")
	conn := g.dial(t)
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n", conn.RemoteAddr())
	go func() {
		chunk := fmt.Sprintf("8000\r\n%s\r\n", strings.Repeat(" ", 0x8000))
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v (%v), want 413", resp, err)
	}
}

// TestFault65BrokenHTTP: requests whose end cannot be told, or that are no HTTP, get
// one answer and nothing of them is sent on.
func TestFault65BrokenHTTP(t *testing.T) {
	p := startProvider(t, provider.Say("never"))
	g := startGateway(t, "upstream first "+p.URL()+"\nmodel m {\n source first x\n}")
	body := clients[0].body("m")
	for name, head := range map[string]string{
		"two lengths":        fmt.Sprintf("Content-Length: %d\r\nContent-Length: 5\r\n\r\n%s", len(body), body),
		"bad chunk":          "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
		"NUL":                "X-Odd: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"huge header":        "X-Huge: " + strings.Repeat("x", 4<<20) + "\r\n\r\n",
		"unknown coding":     "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"length of no digit": "Content-Length: many\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := g.dial(t)
			go fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n%s", conn.RemoteAddr(), head)
			answer, err := io.ReadAll(conn)
			status, _, _ := strings.Cut(strings.TrimPrefix(string(answer), "HTTP/1.1 "), " ")
			if n := strings.Count(string(answer), "HTTP/1.1 "); n != 1 || !strings.Contains("400 431 501", status) {
				t.Errorf("%d answers, the first with status %s (%v)", n, status, err)
			}
		})
	}
	if n := len(p.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestFault65LengthAndChunks: a request has a length and comes in chunks, and what the
// length spans looks like another request behind the chunks. Only the first is answered
// and sent on, by the chunks alone, and the connection ends.
func TestFault65LengthAndChunks(t *testing.T) {
	p := startProvider(t, provider.Say("once"))
	g := startGateway(t, "upstream first "+p.URL()+"\nmodel m {\n source first x\n}")
	for i, a := range everyone() {
		t.Run(a.name(), func(t *testing.T) {
			conn := g.dial(t)
			path := a.request(t, g.url, "m").URL.RequestURI()
			body := a.say(talk{model: "m", stream: a.stream, limit: 100, turns: []turn{says("hi")}})
			chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
			hidden := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", path, conn.RemoteAddr(), len(body), body)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s%s",
				path, conn.RemoteAddr(), len(chunks)+len(hidden), chunks, hidden)
			answers := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Errorf("reading the answer: %v", err)
			}
			a.expects(t, resp, string(answer), "once")
			// The connection may be reset, since something of it is left unread.
			if rest, _ := io.ReadAll(answers); len(rest) > 0 {
				t.Errorf("a second answer: %s", rest)
			}
			if n := len(p.Requests()); n != i+1 {
				t.Errorf("the upstream was asked %d times, want %d", n, i+1)
			}
		})
	}
}

// TestFault66Smuggling: fields of a body that would choose an address, a key or
// headers choose nothing, and nobody fetches an address that a client names.
func TestFault66Smuggling(t *testing.T) {
	t.Setenv("TEST_FAULT_KEY", "sk-test-0123456789")
	trap, first := startProvider(t, provider.Say("trapped")), startProvider(t, provider.Say("safe"))
	o := startOutage(t, first.URL(), withKey)
	o.gateway.t = t
	fields := fmt.Sprintf(`"api_base":%[1]q,"base_url":%[1]q,"api_key":"client-canary","extra_headers":{"X-Evil":"1"},"headers":{"X-Evil":"1"},"proxy":%[1]q`, trap.URL())
	image := fmt.Sprintf(`{"type":"image_url","image_url":{"url":"%s/x.png"}}`, trap.URL())
	for _, model := range []string{"alone", "backed"} {
		resp, body := o.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q,%s,"messages":[{"role":"user","content":[{"type":"text","text":"hi"},%s]}]}`, model, fields, image))
		if resp.StatusCode != 200 || !strings.Contains(body, "safe") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	for _, name := range []string{"../alone", "alone?x=1", "alone#x", "%61lone", "alone/../backed"} {
		if resp, body := o.post("/v1/chat/completions", clients[0].body(name)); resp.StatusCode != 404 {
			t.Errorf("model %q: %d %s", name, resp.StatusCode, body)
		}
	}
	for _, r := range first.Requests() {
		if r.Header.Get("X-Evil") != "" || r.Header.Get("Authorization") != "Bearer sk-test-0123456789" {
			t.Errorf("the upstream got the headers %v", r.Header)
		}
	}
	if n := trap.Connections(); n != 0 {
		t.Errorf("%d connections to the address of the client", n)
	}
}
