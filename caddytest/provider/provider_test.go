package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

const (
	chatPath     = "/v1/chat/completions"
	messagesPath = "/v1/messages"
)

// bodies of requests.
const (
	plain  = `{"model":"m"}`
	stream = `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`
)

// newClient returns a client with connections of its own.
func newClient(t *testing.T) *http.Client {
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send sends a request that is not tried again.
func send(ctx context.Context, client *http.Client, url, body string) (*http.Response, error) {
	// A body of unknown length keeps net/http from repeating the request.
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		return nil, err
	}
	return client.Do(r)
}

// ask sends a request and reads the answer.
func ask(t *testing.T, p *provider.Provider, path, body string) (*http.Response, string, error) {
	t.Helper()
	response, err := send(t.Context(), newClient(t), p.URL()+path, body)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return response, string(got), err
}

// datas are the data fields of a stream.
func datas(t *testing.T, body string) []string {
	t.Helper()
	var out []string
	for _, line := range strings.Split(strings.ReplaceAll(body, "\r\n", "\n"), "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if data != "[DONE]" && !json.Valid([]byte(data)) {
				t.Errorf("not JSON: %s", data)
			}
			out = append(out, data)
		}
	}
	return out
}

func TestAnswers(t *testing.T) {
	text := provider.Say("Hi there.")
	calls := provider.Call("call_1", "weather", `{"city": "Rome"}`).AndCall("call_2", "clock", `{}`)
	for _, tc := range []struct {
		name, path, body string
		step             provider.Step
		events           int // 0: plain
		want             []string
	}{
		{"chat", chatPath, plain, text, 0, []string{`"content":"Hi there."`, `"finish_reason":"stop"`, `"total_tokens":18`, `"model":"m"`}},
		{"chat stream", chatPath, stream, text, 6, []string{`"content":"Hi "`, `"content":"there."`, `"finish_reason":"stop"`, `"total_tokens":18`, "data: [DONE]\n\n"}},
		{"chat stream without usage", chatPath, `{"stream":true}`, text, 5, nil},
		{"chat calls", chatPath, plain, calls, 0, []string{`"content":null,"tool_calls":[{"id":"call_1"`, `"arguments":"{\"city\": \"Rome\"}"`, `"finish_reason":"tool_calls"`}},
		{"chat calls stream", chatPath, stream, calls, 9, []string{`"index":1,"id":"call_2"`, `"arguments":"\"Rome\"}"`}},
		{"messages", messagesPath + "?beta=true", plain, text, 0, []string{`{"type":"text","text":"Hi there."}`, `"stop_reason":"end_turn"`, `"input_tokens":11,"output_tokens":7`}},
		{"messages stream", messagesPath, stream, text, 8, []string{`"text":"Hi "`, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}},
		{"messages calls", messagesPath, plain, calls, 0, []string{`"name":"weather","input":{"city": "Rome"}`, `"stop_reason":"tool_use"`}},
		{"messages calls stream", messagesPath, stream, calls, 11, []string{`"partial_json":"\"Rome\"}"`, `"index":1,"content_block":{"type":"tool_use","id":"call_2"`}},
		{"plain though a stream was asked", chatPath, stream, text.Plain(), 0, []string{`"chat.completion"`}},
		{"stream though none was asked", chatPath, plain, text.Stream(), 5, []string{"[DONE]"}},
		{"CRLF", chatPath, stream, text.CRLF(), 6, []string{"\r\n\r\ndata: [DONE]\r\n\r\n"}},
		{"byte by byte", messagesPath, stream, text.Drip(), 8, []string{`"text":"Hi "`}},
		{"no [DONE]", chatPath, stream, text.NoEndMark(), 5, nil},
		{"no message_stop", messagesPath, stream, text.NoEndMark(), 7, nil},
		{"comments", chatPath, stream, text.InsertAt(provider.Start, ": a\n\n").InsertAt(1, ": b\n\n").InsertAt(provider.End, ": c\n\n"), 6, []string{": a\n\ndata: ", "\n\n: b\n\n", "[DONE]\n\n: c\n\n"}},
		{"error event first", chatPath, stream, text.ErrorAt(provider.Start), 1, []string{`data: {"error":{"message":"scripted error"`}},
		{"error event behind the preamble", messagesPath, stream, text.ErrorAt(provider.Preamble), 4, []string{`{"type":"error","error":{"type":"overloaded_error"`}},
		{"error event in the middle", messagesPath, stream, text.ErrorAt(1), 5, []string{"event: error\n"}},
		{"clean end in the middle", chatPath, stream, text.EndAt(1), 2, []string{`"content":"Hi "`}},
		{"early hints", chatPath, plain, text.Early(2), 0, []string{"Hi there."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := provider.New(t)
			p.Script(tc.step)
			response, got, err := ask(t, p, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			kind := "application/json"
			if tc.events > 0 {
				kind = "text/event-stream"
				if events := datas(t, got); len(events) != tc.events {
					t.Errorf("got %d events, want %d:\n%s", len(events), tc.events, got)
				}
			} else if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
			if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != kind {
				t.Errorf("got %d %v", response.StatusCode, response.Header)
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		name   string
		path   string
		step   provider.Step
		status int
		header string // name: value
		body   string // how it begins
		size   int    // at least
	}{
		{"status", chatPath, provider.Status(503, `{"a":1}`).Header("Retry-After", "2"), 503, "Retry-After: 2", `{"a":1}`, 7},
		{"unknown status", chatPath, provider.Status(999, ""), 999, "Content-Length: 0", "", 0},
		{"own content type", chatPath, provider.Status(500, "oops").Header("Content-Type", "text/plain"), 500, "Content-Type: text/plain", "oops", 4},
		{"fail", chatPath, provider.Fail(429, "slow").Header("Retry-After", "2"), 429, "Retry-After: 2", `{"error":{"message":"slow"`, 0},
		{"fail in messages", messagesPath, provider.Fail(429, "slow"), 429, "", `{"type":"error","error":{`, 0},
		{"redirect", chatPath, provider.Redirect(307, "http://other.example/"), 307, "Location: http://other.example/", "", 0},
		{"HTML", chatPath, provider.HTML(), 200, "Content-Type: text/html; charset=utf-8", "<!doctype html>", 0},
		{"empty", chatPath, provider.Empty(), 200, "Content-Length: 0", "", 0},
		{"no content", chatPath, provider.NoContent(), 204, "", "", 0},
		{"wrong shape", chatPath, provider.WrongShape(), 200, "", `{"result"`, 0},
		{"not JSON", chatPath, provider.NotJSON(), 200, "Content-Type: application/json", `{"choices": [ {{`, 0},
		{"error object", chatPath, provider.ErrorObject("server_error", "no"), 200, "", `{"error":{"message":"no"`, 0},
		{"huge error", chatPath, provider.HugeError(500, 1<<20), 500, "", `{"error"`, 1 << 20},
		{"half a body", chatPath, provider.Say("Hi").EndAt(1), 200, "", `{"id"`, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := provider.New(t)
			p.Script(tc.step)
			response, got, err := ask(t, p, tc.path, plain)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.status || !strings.HasPrefix(got, tc.body) || len(got) < tc.size {
				t.Errorf("got %d and %d bytes: %.80s", response.StatusCode, len(got), got)
			}
			if name, value, ok := strings.Cut(tc.header, ": "); ok && response.Header.Get(name) != value {
				t.Errorf("got %v, want %s", response.Header, tc.header)
			}
		})
	}
}

// TestFaults checks that the client sees the faults for what they are.
func TestFaults(t *testing.T) {
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) }
	// A connection that breaks while the client still writes: its reader may
	// notice first and close it under the writer.
	broken := func(err error) bool { return reset(err) || errors.Is(err, net.ErrClosed) }
	closed := func(err error) bool {
		return errors.Is(err, io.EOF) || broken(err) || strings.Contains(err.Error(), "server closed idle connection")
	}
	unexpected := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	malformed := func(err error) bool { return strings.Contains(err.Error(), "malformed HTTP") }
	long := provider.Say(strings.Repeat("word ", 10))
	for _, tc := range []struct {
		name, body string
		step       provider.Step
		inBody     bool // the header arrives
		is         func(error) bool
		events     int
	}{
		{"close at once", plain, provider.CloseAtOnce(), false, closed, 0},
		{"reset at once", plain, provider.ResetAtOnce(), false, broken, 0},
		{"close behind the request", plain, provider.CloseAfterRequest(), false, func(err error) bool { return errors.Is(err, io.EOF) }, 0},
		{"reset behind the request", plain, provider.ResetAfterRequest(), false, reset, 0},
		{"not HTTP", plain, provider.NotHTTP(), false, malformed, 0},
		{"cut header", plain, provider.Raw("HTTP/1.1 200 OK\r\n"), false, unexpected, 0},
		{"cut plain", plain, long.CutAt(1), true, unexpected, 0},
		{"cut plain before the body", plain, long.CutAt(provider.Start), true, unexpected, 0},
		{"reset plain", plain, long.ResetAt(1), true, reset, 0},
		{"cut before any event", stream, long.CutAt(provider.Start), true, unexpected, 0},
		{"cut behind the preamble", stream, long.CutAt(provider.Preamble), true, unexpected, 1},
		{"cut in the middle", stream, long.CutAt(3), true, unexpected, 4},
		{"cut behind the end", stream, long.CutAt(provider.End), true, unexpected, 15},
		{"reset in the middle", stream, long.ResetAt(3), true, reset, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := provider.New(t)
			p.Script(tc.step)
			response, got, err := ask(t, p, chatPath, tc.body)
			if err == nil || !tc.is(err) {
				t.Errorf("got error %v", err)
			}
			if (response != nil) != tc.inBody {
				t.Errorf("got response %v", response)
			}
			if n := strings.Count(got, "data: "); tc.events >= 0 && n != tc.events {
				t.Errorf("got %d events, want %d:\n%s", n, tc.events, got)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		if _, err := send(t.Context(), newClient(t), provider.Refused(t), plain); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
	})
}

// TestSilence checks that silent steps answer nothing and see the client leave.
func TestSilence(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		step       provider.Step
		header     bool
		seen       bool // the request is read
		want       string
	}{
		{"at once", plain, provider.SilentAtOnce(), false, false, ""},
		{"behind the request", plain, provider.Silent(), false, true, ""},
		{"endless header", plain, provider.EndlessHeader(time.Millisecond), false, true, ""},
		{"long delay", plain, provider.Say("x").Delay(time.Hour), false, true, ""},
		{"behind the header", plain, provider.Say("x").StallAt(provider.Start), true, true, ""},
		{"in the middle", plain, provider.Say("x").StallAt(1), true, true, `{"id"`},
		{"in a stream", stream, provider.Say("x y z").StallAt(2), true, true, `"content":"y "`},
		{"behind a stream", stream, provider.Say("x").StallAt(provider.End), true, true, "[DONE]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := provider.New(t)
			p.Script(tc.step)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			response, err := send(ctx, newClient(t), p.URL()+chatPath, tc.body)
			if (err == nil) != tc.header {
				t.Fatalf("got %v, %v", response, err)
			}
			var got []byte
			if err == nil {
				got, err = io.ReadAll(response.Body)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(string(got), tc.want) {
				t.Errorf("got %q, %v", got, err)
			}
			if !tc.seen {
				if len(p.Requests()) != 0 {
					t.Error("the request was read")
				}
				return
			}
			select {
			case <-p.Wait(1)[0].Left():
			case <-time.After(10 * time.Second):
				t.Error("the provider does not see that the client has gone")
			}
		})
	}
}

func TestWaitAt(t *testing.T) {
	p := provider.New(t)
	first, second := make(chan struct{}), make(chan struct{})
	p.Script(provider.Say("a b c").WaitAt(1, first).WaitAt(2, second))
	response, err := send(t.Context(), newClient(t), p.URL()+chatPath, stream)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read := func(until string) {
		t.Helper()
		got, buffer := "", make([]byte, 4096)
		for !strings.Contains(got, until) {
			n, err := response.Body.Read(buffer)
			got += string(buffer[:n])
			if err != nil && !strings.Contains(got, until) {
				t.Fatalf("got %q, %v", got, err)
			}
		}
	}
	read(`"a "`)
	close(first)
	read(`"b "`)
	close(second)
	read("[DONE]")
	select {
	case <-p.Requests()[0].Left():
		t.Error("the client is said to have gone")
	default:
	}
}

func TestScript(t *testing.T) {
	p := provider.New(t)
	p.Script(provider.Status(500, ""), provider.CloseAfterRequest(), provider.Status(201, ""))
	client := newClient(t)
	var got []int
	for range 4 {
		status := 0
		if response, err := send(t.Context(), client, p.URL(), plain); err == nil {
			status = response.StatusCode
			response.Body.Close()
		}
		got = append(got, status)
	}
	if got[0] != 500 || got[1] != 0 || got[2] != 201 || got[3] != 201 {
		t.Errorf("got %v, want 500 0 201 201", got)
	}
	if n := p.Connections(); n != 2 {
		t.Errorf("got %d connections, want 2: one kept and closed, one kept", n)
	}
	p.Choose(func(r *provider.Request) provider.Step {
		if strings.Contains(string(r.Body), `"bad"`) {
			return provider.Status(400, "")
		}
		return provider.Say("fine")
	})
	for body, want := range map[string]int{`{"model":"bad"}`: 400, plain: 200} {
		response, err := send(t.Context(), client, p.URL(), body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: got %d, want %d", body, response.StatusCode, want)
		}
	}
}

func TestRequests(t *testing.T) {
	p := provider.New(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.URL()+"/a%2Fb?c=d", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Test", "1")
	response, err := newClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	got := p.Wait(1)
	if len(got) != 1 || got[0].Method != "PUT" || got[0].Path != "/a%2Fb?c=d" || string(got[0].Body) != "body" ||
		got[0].Header.Get("X-Test") != "1" || got[0].Connection != 1 || "http://"+got[0].Host != p.URL() {
		t.Errorf("got %+v", got[0])
	}
}

// TestVariants checks that a step is not changed by its variants.
func TestVariants(t *testing.T) {
	step := provider.Say("x").Header("A", "1")
	first, second := step.Header("A", "2").CutAt(1), step.Header("B", "3")
	p := provider.New(t)
	p.Script(first, second, step)
	if response, _, err := ask(t, p, chatPath, plain); err == nil || len(response.Header["A"]) != 2 {
		t.Errorf("first: got %v, %v", response, err)
	}
	if response, _, err := ask(t, p, chatPath, plain); err != nil || response.Header.Get("B") != "3" || len(response.Header["A"]) != 1 {
		t.Errorf("second: got %v, %v", response, err)
	}
	if response, _, err := ask(t, p, chatPath, plain); err != nil || response.Header.Get("B") != "" {
		t.Errorf("original: got %v, %v", response, err)
	}
}
