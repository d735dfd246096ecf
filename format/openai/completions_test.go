package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

func TestCompletionsGoldenRequests(t *testing.T) {
	formattest.Cases(t, "completions_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Completions{}.DecodeRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		report, err := Chat{}.EncodeRequest(&b, r, chat.Target{Model: "gpt-x"})
		if err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "chat_upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		for _, loss := range report {
			if loss.Meaning {
				t.Errorf("lost %s", loss.Path)
			}
		}
	})
}

func TestCompletionsGoldenAnswers(t *testing.T) {
	formattest.Cases(t, "completions_answer.json", func(t *testing.T, dir string, content []byte) {
		doc := formattest.Parse(t, string(content))
		r, err := Completions{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := Completions{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		formattest.Golden(t, dir, "client_response.golden.json", formattest.Pretty(t, got))
		usage, err := Completions{}.InspectResponse(doc)
		if err != nil || usage != r.Usage {
			t.Errorf("inspected usage %+v, %v; decoded %+v", usage, err, r.Usage)
		}
	})
}

// completed decodes and encodes a stream of completions.
func completed(r io.Reader) *formattest.Transcript {
	return formattest.Run(r, Completions{}.NewStreamDecoder(), Completions{}.NewStreamEncoder(exchange()), describe)
}

func TestCompletionsGoldenStreams(t *testing.T) {
	formattest.Cases(t, "completions_stream.sse", func(t *testing.T, dir string, content []byte) {
		out := completed(bytes.NewReader(content))
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		formattest.Golden(t, dir, "events.golden.txt", out.Events.Bytes())
		formattest.Golden(t, dir, "client_stream.golden.sse", out.Client)
		formattest.CheckEvents(t, out.Events.String())
		if again := completed(iotest.OneByteReader(bytes.NewReader(content))); !bytes.Equal(again.Client, out.Client) {
			t.Errorf("byte by byte:\n%s\nwant:\n%s", again.Client, out.Client)
		}
	})
}

// A stream of completions that is cut is no success, wherever it is cut, and the
// watcher says the same as the decoder.
func TestCompletionsStreamsTruncated(t *testing.T) {
	formattest.Cases(t, "completions_stream.sse", func(t *testing.T, _ string, content []byte) {
		events := formattest.Raws(t, content)
		for n := range len(events) + 1 {
			part := bytes.Join(events[:n], nil)
			failed := bytes.Contains(part, []byte(`"error"`))
			out := completed(bytes.NewReader(part))
			complete := hasFinish(part) && !failed
			if ended := out.Err == nil && out.Ended; ended != complete {
				t.Errorf("after %d events the decoder ends with %v, complete: %t", n, out.Err, complete)
			}
			if bytes.Contains(out.Client, []byte("[DONE]")) != complete {
				t.Errorf("after %d events the client gets %s", n, out.Client)
			}

			w := Completions{}.NewStreamWatcher()
			furthest := format.MarkNothing
			for _, raw := range events[:n] {
				mark, err := w.Watch(sse.Event{Data: []byte(strings.TrimPrefix(strings.TrimSpace(string(raw)), "data: ")), Raw: raw})
				if bytes.HasPrefix(raw, []byte(":")) {
					continue
				}
				if err != nil {
					t.Fatalf("event %d: %v", n, err)
				}
				furthest = max(furthest, mark)
			}
			rest, err := w.Close(nil)
			switch {
			case failed && (furthest != format.MarkError || w.Err() == nil || err == nil):
				t.Errorf("after %d events with an error: mark %d, close %v", n, furthest, err)
			case !failed && (err == nil) != complete:
				t.Errorf("after %d events: close %v %q", n, err, rest)
			case complete && furthest < format.MarkComplete, n > 0 && furthest < format.MarkContent:
				t.Errorf("after %d events the furthest mark is %d", n, furthest)
			}
			if n == len(events) && !failed {
				if u := w.Usage(); !u.Known || u.Prompt() != 3 || u.Output != 4 {
					t.Errorf("usage %+v", u)
				}
			}
		}
	})
}

func TestCompletionsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ fields, param string }{
		"no prompt":              {`"n":1`, "prompt"},
		"empty prompt":           {`"prompt":""`, "prompt"},
		"a number":               {`"prompt":7`, "prompt"},
		"no prompts":             {`"prompt":[]`, "prompt"},
		"several prompts":        {`"prompt":["a","b"]`, "prompt"},
		"tokens":                 {`"prompt":[1,2]`, "prompt"},
		"a list of tokens":       {`"prompt":[[1,2]]`, "prompt"},
		"a list of a number":     {`"prompt":[{}]`, "prompt"},
		"suffix":                 {`"prompt":"a","suffix":"b"`, "suffix"},
		"echo":                   {`"prompt":"a","echo":true`, "echo"},
		"best of two":            {`"prompt":"a","best_of":2`, "best_of"},
		"probabilities":          {`"prompt":"a","logprobs":0`, "logprobs"},
		"a prompt that repeats":  {`"prompt":"a","prompt":"b"`, "prompt"},
		"a setting that repeats": {`"prompt":"a","n":1,"n":1`, "n"},
		"no tokens at all":       {`"prompt":"a","max_tokens":0`, "max_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Completions{}.DecodeRequest(formattest.Parse(t, `{"model":"m",`+tc.fields+`}`))
			e, ok := errors.AsType[*chat.Error](err)
			if !ok || e.Kind != chat.ErrInvalidRequest || e.Param != tc.param {
				t.Errorf("error is %+v, want one about %s", err, tc.param)
			}
		})
	}
	for _, doc := range []string{`[]`, `"x"`, `null`} {
		if _, err := (Completions{}).DecodeRequest(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is taken for a request", doc)
		}
	}
}

func TestCompletionsEncodeNoConversation(t *testing.T) {
	var b format.Body
	_, err := Completions{}.EncodeRequest(&b, &chat.Request{}, chat.Target{Model: "m"})
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || e.Kind != chat.ErrInvalidRequest || b.Len() > 0 {
		t.Errorf("error %v, body %s", err, b.Bytes())
	}
}

// Answers of chat formats become text, whatever they consist of.
func TestCompletionsOfChats(t *testing.T) {
	r := &chat.Response{
		Blocks: []chat.Block{
			{Kind: chat.Thinking, Text: chat.Literal(`"hm"`)},
			{Kind: chat.Text, Text: chat.Literal(`"a"`)},
			{Kind: chat.ToolUse, Name: chat.Literal(`"f"`)},
			{Kind: chat.Text, Text: chat.Literal(`"b"`)},
		},
		Stop: chat.Stop{Reason: chat.StopToolUse},
	}
	got, report := Completions{}.EncodeResponse(nil, r, exchange())
	choice := only(formattest.Parse(t, string(got)).Get("choices"))
	if !choice.Get("text").Is("ab") || fmt.Sprint(report) == "[]" {
		t.Errorf("got %s, report %v", got, report)
	}

	encoder := Completions{}.NewStreamEncoder(&chat.Exchange{Model: "m", RequestID: "req"})
	var stream []byte
	for ev := range r.Replay {
		stream = encoder.Encode(stream, ev)
	}
	var text strings.Builder
	events := formattest.Raws(t, stream)
	for _, raw := range events[:len(events)-1] {
		doc := formattest.Parse(t, strings.TrimPrefix(strings.TrimSpace(string(raw)), "data: "))
		if !doc.Get("object").Is("text_completion") || doc.Get("usage").Exists() {
			t.Errorf("chunk is %s", raw)
		}
		text.WriteString(only(doc.Get("choices")).Get("text").Text())
	}
	if text.String() != "ab" || string(events[len(events)-1]) != done {
		t.Errorf("the stream is\n%s", stream)
	}
}

func TestCompletionsAnswersThatAreNone(t *testing.T) {
	for name, doc := range map[string]string{
		"an error":          `{"error":{"message":"no","code":"rate_limit_exceeded"}}`,
		"no choices":        `{"choices":[]}`,
		"no text":           `{"choices":[{"index":0}]}`,
		"a chat completion": `{"choices":[{"index":0,"message":{"content":"x"}}]}`,
		"a list":            `[]`,
	} {
		if _, err := (Completions{}).DecodeResponse(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is taken for an answer", name)
		}
	}
}
