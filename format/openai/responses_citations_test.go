package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// cited is an answer with citations of several formats.
func cited() *chat.Response {
	return &chat.Response{Blocks: []chat.Block{{
		Kind: chat.Text, Text: q("Ö \"x\"\n😀"), Logprobs: chat.Raw("[{\"token\":\"Ö\",\"logprob\":-1},\n{\"token\":\"x\",\"logprob\":0}]"),
		Citations: []chat.Citation{
			{URL: q("https://a.example/?a=1&b=2"), Title: q("A"), Start: 2, End: 5, Origin: "gemini"},
			{URL: q("https://b.example"), Quote: q("cited"), Raw: chat.Raw(`{"type":"x"}`), Origin: foreign},
			{Raw: chat.Raw("{\"type\":\"file_citation\",\n\"index\":1,\"file_id\":\"f\",\"filename\":\"n\"}"), Origin: originResponses},
			{Quote: q("a place without an address"), Raw: chat.Raw(`{}`), Origin: foreign},
		},
	}}}
}

// annotations are those of the only text of an answer.
const annotations = `[{"type":"url_citation","start_index":2,"end_index":5,"url":"https://a.example/?a=1&b=2","title":"A"},` +
	`{"type":"url_citation","start_index":0,"end_index":7,"url":"https://b.example","title":""},` +
	`{"type":"file_citation","index":1,"file_id":"f","filename":"n"}]`

func TestResponsesCitations(t *testing.T) {
	body, report := Responses{}.EncodeResponse(nil, cited(), exchange())
	if got := lostPaths(report); got != "content.citations" {
		t.Errorf("lost %q", got)
	}
	if !strings.Contains(string(body), `"annotations":`+annotations+`,"logprobs":[{"token":"Ö","logprob":-1},{"token":"x","logprob":0}]`) {
		t.Errorf("got %s", body)
	}
	e := Responses{}.NewStreamEncoder(exchange())
	var out []byte
	for ev := range cited().Replay {
		out = e.Encode(out, ev)
	}
	checkResponseEvents(t, out)
	if got, want := finalOutput(t, out), string(sameIDs(formattest.Parse(t, string(body)).Get("output").Raw())); got != want {
		t.Errorf("\nstreamed %s\nwhole    %s", got, want)
	}
	if n := strings.Count(string(out), "event: response.output_text.annotation.added"); n != 3 {
		t.Errorf("%d annotations are told: %s", n, out)
	}

	// Back again.
	r, err := Responses{}.DecodeResponse(formattest.Parse(t, string(body)))
	if err != nil || len(r.Blocks) != 1 || len(r.Blocks[0].Citations) != 3 || string(r.Blocks[0].Logprobs) == "" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if c := r.Blocks[0].Citations[0]; !c.URL.Is("https://a.example/?a=1&b=2") || !c.Title.Is("A") || c.Start != 2 || c.End != 5 || c.Origin != originResponses || c.Raw == nil {
		t.Errorf("citation %+v", c)
	}
	if c := r.Blocks[0].Citations[2]; c.URL != nil || c.Raw == nil {
		t.Errorf("citation of a file %+v", c)
	}
}

// TestResponsesCitationsInOrder shows where a citation goes that comes before the
// text, between texts, or too late.
func TestResponsesCitationsInOrder(t *testing.T) {
	start := chat.Event{Kind: chat.EventStart}
	begin := func(i int, kind chat.BlockKind) chat.Event {
		return chat.Event{Kind: chat.EventBlockStart, Index: i, Block: kind, ID: q("c"), Name: q("f")}
	}
	text := func(i int) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaText, Text: q("a")}
	}
	cite := func(i int) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaCitation, Citation: &chat.Citation{URL: q("https://a.example")}}
	}
	nowhere := chat.Event{Kind: chat.EventDelta, Delta: chat.DeltaCitation, Citation: &chat.Citation{Quote: q("x")}}
	stop := func(i int) chat.Event { return chat.Event{Kind: chat.EventBlockStop, Index: i} }
	finish, end := chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopEnd}}, chat.Event{Kind: chat.EventEnd}
	const opened, done = "created in_progress output_item.added:0 content_part.added:0/0 ", "output_text.done:0/0 content_part.done:0/0 output_item.done:0 completed"
	for _, tc := range []struct {
		name   string
		events []chat.Event
		want   string
	}{
		{"before the text", []chat.Event{start, begin(0, chat.Text), cite(0), text(0), stop(0), finish, end}, opened + "output_text.annotation.added:0/0 output_text.delta:0/0 " + done},
		{"behind the text", []chat.Event{start, begin(0, chat.Text), text(0), cite(0), stop(0), finish, end}, opened + "output_text.delta:0/0 output_text.annotation.added:0/0 " + done},
		{"too late", []chat.Event{start, begin(0, chat.Text), text(0), stop(0), cite(0), finish, end}, opened + "output_text.delta:0/0 " + done},
		{"of no address", []chat.Event{start, begin(0, chat.Text), nowhere, stop(0), finish, end}, "created in_progress completed"},
		{
			"of a second text",
			[]chat.Event{start, begin(0, chat.Text), text(0), stop(0), begin(1, chat.Text), text(1), cite(1), stop(1), finish, end},
			opened + "output_text.delta:0/0 output_text.done:0/0 content_part.done:0/0 content_part.added:0/1 output_text.delta:0/1 output_text.annotation.added:0/1 " +
				"output_text.done:0/1 content_part.done:0/1 output_item.done:0 completed",
		},
		{
			"of a call",
			[]chat.Event{start, begin(0, chat.ToolUse), cite(0), stop(0), finish, end},
			"created in_progress output_item.added:0 function_call_arguments.delta:0 function_call_arguments.done:0 output_item.done:0 completed",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Responses{}.NewStreamEncoder(exchange())
			var out []byte
			for i := range tc.events {
				out = e.Encode(out, &tc.events[i])
			}
			if got := steps(t, out); got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			checkResponseEvents(t, out)
		})
	}
}

func TestCharacters(t *testing.T) {
	for literal, want := range map[string]int{``: 0, `abc`: 3, `Ö`: 1, `😀`: 1, `\n\"`: 2, `\ud83d\ude00x`: 2} {
		if got := characters([]byte(literal)); got != want {
			t.Errorf("%s: %d, want %d", literal, got, want)
		}
	}
}
