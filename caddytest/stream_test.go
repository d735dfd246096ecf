package caddytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestBrokenStreamEndsWithAnError shows that a stream that fails after its first
// content ends with the client format's error event, never with a mark of
// success, and is not continued by another source.
func TestBrokenStreamEndsWithAnError(t *testing.T) {
	words := provider.Say("some words and some more")
	for _, b := range []struct {
		name string
		step provider.Step
	}{
		{"clean end", words.EndAt(2)},
		{"cut", words.CutAt(2)},
		{"reset", words.ResetAt(2)},
		{"silence", words.StallAt(2)},
		{"not JSON", words.GarbageAt(2)},
		{"error event", words.ErrorAt(2)},
		{"error event and the usual end", words.InsertAt(2, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"boom\"}}\n\n")},
	} {
		first, second := startProvider(t, b.step), startProvider(t, provider.Say("from the second"))
		for _, id := range []string{"openai_chat", "anthropic_messages"} {
			g := startGateway(t, fmt.Sprintf("upstream first %s {\n formats %s\n timeout idle 300ms\n}\nupstream second %s\nmodel m {\n source first x\n source second y priority 2\n}", first.URL(), id, second.URL()))
			for _, c := range clients {
				if !c.stream {
					continue
				}
				t.Run(strings.Join([]string{b.name, id, c.name}, "/"), func(t *testing.T) {
					g.t = t
					resp, answer := g.post(c.path, c.body("m"))
					if resp.StatusCode != 200 || !strings.Contains(answer, "some") {
						t.Fatalf("%d %s", resp.StatusCode, answer)
					}
					checkBrokenEnd(t, c, answer)
				})
			}
		}
		if n := len(second.Requests()); n != 0 {
			t.Errorf("%s: the second source was asked %d times after the commit", b.name, n)
		}
	}
}

// checkBrokenEnd holds the end of a broken stream against the client's format.
func checkBrokenEnd(t *testing.T, c client, answer string) {
	t.Helper()
	events := strings.Split(strings.TrimSuffix(answer, "\n\n"), "\n\n")
	last := events[len(events)-1]
	want, never := `data: {"error":{`, []string{"[DONE]", `"finish_reason":"stop"`}
	if c.messages {
		want, never = "event: error\ndata: {\"type\":\"error\",\"error\":{", []string{"message_stop", `"stop_reason":"end_turn"`}
	}
	if !strings.HasPrefix(last, want) {
		t.Errorf("the stream ends with %q", last)
	}
	for _, mark := range never {
		if strings.Contains(answer, mark) {
			t.Errorf("a broken stream holds %s:\n%s", mark, answer)
		}
	}
	if n := strings.Count(answer, `"error":{`); n != 1 {
		t.Errorf("%d error events, want 1:\n%s", n, answer)
	}
}

// TestLegalOddities shows that streams that are odd but legal come through in
// full, with their bytes intact where they are not translated.
func TestLegalOddities(t *testing.T) {
	for _, odd := range []struct {
		name   string
		change func(stream string) string
		size   int // of each write; 0 is all at once
	}{
		{"CRLF", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }, 0},
		{"CR", func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }, 0},
		{"byte order mark", func(s string) string { return "\ufeff" + s }, 0},
		{"comments", func(s string) string {
			return ": hi\n\n" + strings.TrimSuffix(strings.ReplaceAll(s, "\n\n", "\n\n: keep-alive\n\n"), ": keep-alive\n\n")
		}, 0},
		{"no space", func(s string) string { return strings.ReplaceAll(s, "data: ", "data:") }, 0},
		{"one byte at a time", func(s string) string { return s }, 1},
		{"split characters", func(s string) string { return strings.ReplaceAll(s, "words", "wörter😀") }, 1},
		{"ids and retry", func(s string) string { return "retry: 10\n\n" + strings.ReplaceAll(s, "data:", "id: 1\ndata:") }, 0},
		{"no blank line at the end", func(s string) string { return strings.TrimRight(s, "\n") }, 0},
	} {
		for _, id := range []string{"openai_chat", "anthropic_messages"} {
			stream := odd.change(strings.Join(streamOf(id == "anthropic_messages", "some words"), ""))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				rest := stream
				for len(rest) > 0 {
					n := len(rest)
					if odd.size > 0 {
						n = odd.size
					}
					io.WriteString(w, rest[:n])
					http.NewResponseController(w).Flush()
					rest = rest[n:]
				}
			}))
			t.Cleanup(server.Close)
			g := startGateway(t, fmt.Sprintf("upstream u %s {\n formats %s\n}\nmodel m {\n source u x\n}", server.URL, id))
			for _, c := range clients {
				t.Run(strings.Join([]string{odd.name, id, c.name}, "/"), func(t *testing.T) {
					g.t = t
					_, answer := g.post(c.path, c.body("m"))
					same := c.messages == (id == "anthropic_messages")
					if c.stream && same {
						if !strings.HasPrefix(answer, stream) {
							t.Errorf("bytes have changed:\n%q\nwant\n%q", answer, stream)
						}
						return
					}
					if got := c.text(t, answer); !strings.HasPrefix(got, "some w") {
						t.Errorf("text is %q", got)
					}
				})
			}
		}
	}
}

// streamOf returns the events of a stream that says text, word by word.
func streamOf(messages bool, text string) []string {
	words := strings.SplitAfter(text, " ")
	if messages {
		events := []string{
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"real\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
		}
		for _, word := range words {
			events = append(events, fmt.Sprintf("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":%q}}\n\n", word))
		}
		return append(events,
			"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	}
	const chunk = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n"
	events := []string{fmt.Sprintf(chunk, `{"role":"assistant","content":""}`, "null")}
	for _, word := range words {
		events = append(events, fmt.Sprintf(chunk, fmt.Sprintf(`{"content":%q}`, word), "null"))
	}
	return append(events, fmt.Sprintf(chunk, "{}", `"stop"`), "data: [DONE]\n\n")
}

// TestReloadWhileStreamsRun shows that streams outlive reloads, also those that
// take their upstream away, and a load that fails.
func TestReloadWhileStreamsRun(t *testing.T) {
	goOn := make(chan struct{})
	p := startProvider(t, provider.Say("one two three four five six").WaitAt(2, goOn))
	config := fmt.Sprintf("upstream u %s\nmodel m {\n source u x\n}", p.URL())
	g := startGateway(t, config)
	type running struct {
		client client
		body   io.ReadCloser
	}
	var streams []running
	for i := range 20 {
		c := clients[1+2*(i%2)]
		streams = append(streams, running{c, g.open(t.Context(), c.path, c.body("m")).Body})
	}
	for i := range 10 {
		switch i {
		case 3:
			if err := g.tryLoad("model m {\n source nobody x\n}"); err == nil {
				t.Error("a config with a dangling source was loaded")
			}
		case 6:
			g.load("upstream other http://127.0.0.1:1\nmodel other {\n source other x\n}")
		default:
			g.load(config)
		}
	}
	close(goOn)
	for _, s := range streams {
		answer, err := io.ReadAll(s.body)
		s.body.Close()
		if err != nil || s.client.text(t, string(answer)) != "one two three four five six" {
			t.Errorf("a stream broke: %v\n%s", err, answer)
		}
	}
	if resp, answer := g.post(clients[0].path, clients[0].body("nobody")); resp.StatusCode != 404 {
		t.Errorf("after the reloads: %d %s", resp.StatusCode, answer)
	}
}

// TestEventsAreNotHeldBack shows that each word reaches the client before the
// upstream sends the next one.
func TestEventsAreNotHeldBack(t *testing.T) {
	words := strings.SplitAfter("a b c d e f g", " ")
	for _, id := range []string{"openai_chat", "anthropic_messages"} {
		for _, c := range clients {
			if !c.stream {
				continue
			}
			t.Run(id+"/"+c.name, func(t *testing.T) {
				step := provider.Say(strings.Join(words, ""))
				next := make([]chan struct{}, len(words))
				for i := range words {
					next[i] = make(chan struct{})
					step = step.WaitAt(i+1, next[i])
				}
				p := startProvider(t, step)
				g := startGateway(t, fmt.Sprintf("upstream u %s {\n formats %s\n}\nmodel m {\n source u x\n}", p.URL(), id))
				resp := g.open(t.Context(), c.path, c.body("m"))
				defer resp.Body.Close()
				lines := bufio.NewScanner(resp.Body)
				for i, word := range words {
					for lines.Scan() && !strings.Contains(lines.Text(), `"`+word+`"`) {
					}
					close(next[i]) // the upstream goes on only when the word has come
				}
				for lines.Scan() {
				}
				if err := lines.Err(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestClientLeavesUpstreamIsReleased shows that the upstream's request ends when
// the client goes: before an answer and in the middle of a stream.
func TestClientLeavesUpstreamIsReleased(t *testing.T) {
	for _, id := range []string{"openai_chat", "anthropic_messages"} {
		for _, c := range clients {
			t.Run(id+"/"+c.name, func(t *testing.T) {
				step := provider.Silent()
				if c.stream {
					step = provider.Say("some words and more").StallAt(2)
				}
				p := startProvider(t, step)
				g := startGateway(t, fmt.Sprintf("upstream u %s {\n formats %s\n}\nmodel m {\n source u x\n}", p.URL(), id))
				ctx, leave := context.WithCancel(t.Context())
				go func() {
					p.Wait(1)
					leave()
				}()
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+c.path, strings.NewReader(c.body("m")))
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := http.DefaultClient.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				<-p.Requests()[0].Left()
			})
		}
	}
}
