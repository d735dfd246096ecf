package anthropic

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// Short forms of events.
func begins(i int, kind chat.BlockKind) chat.Event {
	ev := chat.Event{Kind: chat.EventBlockStart, Index: i, Block: kind}
	if kind == chat.ToolUse {
		ev.ID, ev.Name = q(fmt.Sprint("id", i)), q(fmt.Sprint("f", i))
	}
	return ev
}

func ends(i int) chat.Event { return chat.Event{Kind: chat.EventBlockStop, Index: i} }

func deltaOf(i int, kind chat.DeltaKind, s string) chat.Event {
	return chat.Event{Kind: chat.EventDelta, Index: i, Delta: kind, Text: q(s)}
}

func says(i int, s string) chat.Event   { return deltaOf(i, chat.DeltaText, s) }
func thinks(i int, s string) chat.Event { return deltaOf(i, chat.DeltaThinking, s) }
func args(i int, s string) chat.Event   { return deltaOf(i, chat.DeltaArguments, s) }

// cites is a citation of a page; of a file if the URL is empty.
func cites(i int, url string) chat.Event {
	return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaCitation, Citation: &chat.Citation{URL: q(url), Quote: q("q")}}
}

var (
	starts   = chat.Event{Kind: chat.EventStart, ID: q("msg_1")}
	finishes = chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopEnd}}
	over     = chat.Event{Kind: chat.EventEnd}
	beats    = chat.Event{Kind: chat.EventHeartbeat}
)

// encodeEvents encodes a stream, whose views are overwritten after each event.
func encodeEvents(events ...chat.Event) []byte {
	e := Messages{}.NewStreamEncoder(exchange())
	var out []byte
	for _, ev := range events {
		for _, view := range []*chat.Literal{&ev.ID, &ev.Name, &ev.Text, &ev.Stop.Sequence} {
			*view = bytes.Clone(*view)
		}
		out = e.Encode(out, &ev)
		for _, view := range []chat.Literal{ev.ID, ev.Name, ev.Text, ev.Stop.Sequence} {
			for i := range view {
				view[i] = '#'
			}
		}
	}
	return out
}

// short writes a client's stream in short.
func short(t *testing.T, client []byte) string {
	t.Helper()
	var out []string
	for _, ev := range formattest.Split(t, client) {
		doc := formattest.Parse(t, string(ev.Data))
		word := ev.Name
		switch ev.Name {
		case "message_start":
			word = "start"
		case "content_block_start":
			b := doc.Get("content_block")
			word = "<" + string(doc.Get("index").Raw()) + " " + b.Get("type").Text()
			if b.Get("name").Exists() {
				word += " " + b.Get("id").Text() + " " + b.Get("name").Text()
			}
		case "content_block_delta":
			word = ""
			for key, value := range doc.Get("delta").Members {
				switch {
				case key.Is("citation"):
					word = "[" + value.Get("url").Text() + "]"
				case !key.Is("type"):
					word = string(value.Literal().Inner())
				}
			}
		case "content_block_stop":
			word = ">"
		case "message_delta":
			word = doc.Get("delta").Get("stop_reason").Text() + " " + string(doc.Get("usage").Get("input_tokens").Raw()) + "/" + string(doc.Get("usage").Get("output_tokens").Raw())
		case "message_stop":
			word = "end"
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func TestEncodeStreams(t *testing.T) {
	usage := chat.Event{Kind: chat.EventUsage, Usage: &chat.Usage{Known: true, InputUncached: 3, Output: 4}}
	signature := func(i int, from string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaSignature, Text: q("sig"), Origin: from}
	}
	redacted := func(i int, from string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaRedacted, Text: q("sealed"), Origin: from}
	}
	for _, tc := range []struct {
		name   string
		events []chat.Event
		want   string
	}{
		{"text", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), says(0, "b"), ends(0), finishes, over}, "start <0 text a b > end_turn 0/0 end"},
		{"nothing", []chat.Event{starts, finishes, over}, "start end_turn 0/0 end"},
		{"empty text", []chat.Event{starts, begins(0, chat.Text), says(0, ""), ends(0), finishes, over}, "start end_turn 0/0 end"},
		{"an empty text takes no number", []chat.Event{starts, begins(0, chat.Text), ends(0), begins(1, chat.ToolUse), ends(1), finishes, over}, "start <0 tool_use id1 f1 > tool_use 0/0 end"},
		{"start comes first", []chat.Event{begins(0, chat.ToolUse), starts, ends(0), finishes, over}, "start <0 tool_use id0 f0 > tool_use 0/0 end"},
		{"counts before all else", []chat.Event{usage, beats, starts, finishes, over}, "start end_turn 3/4 end"},
		{"counts after the finish", []chat.Event{starts, finishes, usage, over}, "start end_turn 3/4 end"},
		{"end without a finish", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), over}, "start <0 text a > end_turn 0/0 end"},
		{"heartbeats", []chat.Event{beats, starts, beats, finishes, beats, over, beats}, "start ping ping end_turn 0/0 end"},
		{"error", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), {Kind: chat.EventError, Err: &chat.Error{Kind: chat.ErrOverloaded}}, says(0, "b"), finishes, over, beats}, "start <0 text a error"},
		{"error alone", []chat.Event{{Kind: chat.EventError, Err: &chat.Error{}}}, "error"},
		{"error after the finish", []chat.Event{starts, finishes, {Kind: chat.EventError, Err: &chat.Error{}}, over}, "start error"},
		{"events after the end", []chat.Event{starts, over, says(0, "x"), finishes, over}, "start end_turn 0/0 end"},
		{"refusal", []chat.Event{starts, begins(0, chat.Refusal), deltaOf(0, chat.DeltaRefusal, "no"), finishes, over}, "start <0 text no > refusal 0/0 end"},
		{"a block of another kind", []chat.Event{starts, begins(0, chat.Opaque), says(0, "x"), ends(0), finishes, over}, "start end_turn 0/0 end"},
		{"a delta of another kind", []chat.Event{starts, begins(0, chat.Text), args(0, "{}"), says(0, "a"), finishes, over}, "start <0 text a > end_turn 0/0 end"},
		{"a number that cannot be", []chat.Event{starts, begins(-1, chat.Text), says(-1, "a"), ends(-1), begins(1<<30, chat.Text), says(1<<30, "b"), ends(1 << 30), finishes, over}, "start end_turn 0/0 end"},
		{"a delta behind the block", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), ends(0), says(0, "b"), ends(0), finishes, over}, "start <0 text a > end_turn 0/0 end"},

		{"thinking", []chat.Event{starts, begins(0, chat.Thinking), thinks(0, "hm"), signature(0, origin), ends(0), begins(1, chat.Text), says(1, "a"), ends(1), finishes, over}, "start <0 thinking hm sig > <1 text a > end_turn 0/0 end"},
		{"omitted thinking", []chat.Event{starts, begins(0, chat.Thinking), signature(0, origin), ends(0), finishes, over}, "start <0 thinking sig > end_turn 0/0 end"},
		{"foreign signature", []chat.Event{starts, begins(0, chat.Thinking), thinks(0, "hm"), signature(0, "gemini"), ends(0), finishes, over}, "start <0 thinking hm aigw1.gemini.sig > end_turn 0/0 end"},
		{"foreign signature alone", []chat.Event{starts, begins(0, chat.Thinking), signature(0, "gemini"), ends(0), finishes, over}, "start <0 thinking aigw1.gemini.sig > end_turn 0/0 end"},
		{"foreign signature in pieces, before the text", []chat.Event{starts, begins(0, chat.Thinking), signature(0, "gemini"), thinks(0, "hm"), signature(0, "gemini"), ends(0), finishes, over}, "start <0 thinking hm aigw1.gemini.sigsig > end_turn 0/0 end"},
		{"signature of no maker", []chat.Event{starts, begins(0, chat.Thinking), thinks(0, "hm"), signature(0, ""), ends(0), finishes, over}, "start <0 thinking hm > end_turn 0/0 end"},
		{
			"foreign signature that waits",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.Thinking), thinks(1, "h"), signature(1, "gemini"), ends(0), thinks(1, "m"), ends(1), finishes, over},
			"start <0 tool_use id0 f0 { > <1 thinking h m aigw1.gemini.sig > tool_use 0/0 end",
		},
		{
			"signature of a call",
			[]chat.Event{starts, begins(0, chat.ToolUse), signature(0, "gemini"), args(0, "{}"), ends(0), begins(1, chat.ToolUse), args(1, "{}"), ends(1), finishes, over},
			"start <0 thinking aigw1.gemini.sig > <1 tool_use id0 f0 {} > <2 tool_use id1 f1 {} > tool_use 0/0 end",
		},
		{
			"signature of a call that waits",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.ToolUse), signature(1, "gemini"), args(1, "{}"), ends(1), args(0, "}"), ends(0), finishes, over},
			"start <0 tool_use id0 f0 { } > <1 thinking aigw1.gemini.sig > <2 tool_use id1 f1 {} > tool_use 0/0 end",
		},
		{"signature of a call that comes late", []chat.Event{starts, begins(0, chat.ToolUse), args(0, "{}"), signature(0, "gemini"), ends(0), finishes, over}, "start <0 tool_use id0 f0 {} > tool_use 0/0 end"},
		{"signature of a call by another maker", []chat.Event{starts, begins(0, chat.ToolUse), signature(0, foreign), ends(0), finishes, over}, "start <0 tool_use id0 f0 > tool_use 0/0 end"},
		{"a call, counts and heartbeats", []chat.Event{starts, begins(0, chat.ToolUse), usage, beats, signature(0, "gemini"), args(0, "{}"), ends(0), finishes, over}, "start ping <0 thinking aigw1.gemini.sig > <1 tool_use id0 f0 {} > tool_use 3/4 end"},
		{"an error behind the start of a call", []chat.Event{starts, begins(0, chat.ToolUse), {Kind: chat.EventError, Err: &chat.Error{}}}, "start error"},
		{"calls begin in their order", []chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.Text), says(1, "a"), finishes, over}, "start <0 tool_use id0 f0 > <1 text a > tool_use 0/0 end"},

		{"citations", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), cites(0, "https://a"), cites(0, "https://b"), says(0, "b"), ends(0), finishes, over}, "start <0 text a [https://a] [https://b] b > end_turn 0/0 end"},
		{"citation without a page", []chat.Event{starts, begins(0, chat.Text), says(0, "a"), cites(0, ""), ends(0), finishes, over}, "start <0 text a > end_turn 0/0 end"},
		{"citation of a block of another kind", []chat.Event{starts, begins(0, chat.Thinking), thinks(0, "a"), cites(0, "https://a"), ends(0), finishes, over}, "start <0 thinking a > end_turn 0/0 end"},
		{
			"citations that wait",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.Text), says(1, "a"), cites(1, "https://a"), args(0, "}"), ends(0), cites(1, "https://b"), ends(1), finishes, over},
			"start <0 tool_use id0 f0 { } > <1 text a [https://a] [https://b] > tool_use 0/0 end",
		},
		{
			"too many citations that wait",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.Text), cites(1, "https://"+strings.Repeat("a", maxHeld)), ends(1), ends(0), finishes, over},
			"start <0 tool_use id0 f0 { error",
		},
		{"sealed thinking", []chat.Event{starts, begins(0, chat.RedactedThinking), redacted(0, origin), ends(0), finishes, over}, "start <0 redacted_thinking > end_turn 0/0 end"},
		{"foreign sealed thinking", []chat.Event{starts, begins(0, chat.RedactedThinking), redacted(0, "gemini"), ends(0), finishes, over}, "start <0 redacted_thinking > end_turn 0/0 end"},
		{"sealed thinking of no maker", []chat.Event{starts, begins(0, chat.RedactedThinking), redacted(0, ""), ends(0), finishes, over}, "start end_turn 0/0 end"},

		{
			"calls one after the other",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), args(0, "}"), ends(0), begins(1, chat.ToolUse), args(1, "{}"), ends(1), finishes, over},
			"start <0 tool_use id0 f0 { } > <1 tool_use id1 f1 {} > tool_use 0/0 end",
		},
		{
			"calls that end at the finish",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, `{\"a\":1}`), begins(1, chat.ToolUse), args(1, "{}"), ends(0), ends(1), finishes, over},
			`start <0 tool_use id0 f0 {\\\"a\\\":1} > <1 tool_use id1 f1 {} > tool_use 0/0 end`,
		},
		{"white space around arguments", []chat.Event{starts, begins(0, chat.ToolUse), args(0, " \n"), args(0, "{}"), args(0, " "), ends(0), finishes, over}, "start <0 tool_use id0 f0 {} > tool_use 0/0 end"},
		{"arguments of white space", []chat.Event{starts, begins(0, chat.ToolUse), args(0, " "), ends(0), finishes, over}, "start <0 tool_use id0 f0 > tool_use 0/0 end"},
		{
			"interleaved calls",
			[]chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.ToolUse), args(0, "{"), args(1, "[{"), args(0, "}"), args(1, "}]"), finishes, over},
			"start <0 tool_use id0 f0 { } > <1 tool_use id1 f1 [{}] > tool_use 0/0 end",
		},
		{
			"a waiting call goes on when its turn comes",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.ToolUse), args(1, "{"), ends(0), args(1, "}"), ends(1), finishes, over},
			"start <0 tool_use id0 f0 { > <1 tool_use id1 f1 { } > tool_use 0/0 end",
		},
		{"a waiting call that is complete makes room", []chat.Event{
			starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.ToolUse), args(1, "{}"), begins(2, chat.ToolUse), args(2, "{"), ends(0), args(2, "}"), finishes, over,
		}, "start <0 tool_use id0 f0 { > <1 tool_use id1 f1 {} > <2 tool_use id2 f2 { } > tool_use 0/0 end"},
		{
			"text within a call",
			[]chat.Event{starts, begins(0, chat.ToolUse), args(0, "{"), begins(1, chat.Text), says(1, "a"), args(0, "}"), says(1, "b"), finishes, over},
			"start <0 tool_use id0 f0 { } > <1 text ab > tool_use 0/0 end",
		},
		{
			"calls without arguments that wait",
			[]chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.ToolUse), begins(2, chat.ToolUse), finishes, over},
			"start <0 tool_use id0 f0 > <1 tool_use id1 f1 > <2 tool_use id2 f2 > tool_use 0/0 end",
		},
		{
			"thinking that waits",
			[]chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.Thinking), thinks(1, "h"), signature(1, origin), thinks(1, "m"), ends(1), ends(0), finishes, over},
			"start <0 tool_use id0 f0 > <1 thinking hm sig > tool_use 0/0 end",
		},
		{
			"sealed thinking that waits",
			[]chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.RedactedThinking), redacted(1, origin), ends(1), ends(0), finishes, over},
			"start <0 tool_use id0 f0 > <1 redacted_thinking > tool_use 0/0 end",
		},
		{
			"too much that waits",
			[]chat.Event{starts, begins(0, chat.ToolUse), begins(1, chat.ToolUse), args(1, "{"+strings.Repeat("x", maxHeld)), args(0, "{}"), finishes, over},
			"start <0 tool_use id0 f0 error",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := encodeEvents(tc.events...)
			if got := short(t, client); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			checkClient(t, client)
		})
	}
}

// Whatever the order in which the pieces of several calls come, each input
// arrives whole.
func TestInterleavedCallsStayWhole(t *testing.T) {
	inputs := []string{`{"a":"}{][\"\\"}`, `{}`, `{"b":{"c":[1,2,{"d":"\u007d"}]},"é":"\n"}`, `{"x":"` + strings.Repeat("y", 300) + `"}`}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		events := []chat.Event{starts}
		left := make([]string, len(inputs))
		begun := 0
		for pending := len(inputs); pending > 0; {
			if i := random.IntN(len(inputs) + 1); begun < len(inputs) && i == len(inputs) {
				events = append(events, begins(begun, chat.ToolUse))
				left[begun] = inputs[begun]
				begun++
			} else if i < begun && left[i] != "" {
				runes := []rune(left[i])
				n := 1 + random.IntN(len(runes))
				events = append(events, args(i, string(runes[:n])))
				if left[i] = string(runes[n:]); left[i] == "" {
					pending--
				}
			}
		}
		client := encodeEvents(append(events, finishes, over)...)
		if got := checkClient(t, client); fmt.Sprint(got) != fmt.Sprint(inputs) {
			t.Fatalf("seed %d: got inputs %q\n%s", seed, got, client)
		}
	}
}

func TestArgumentScanner(t *testing.T) {
	for _, tc := range []struct {
		pieces []chat.Literal
		want   bool
	}{
		{[]chat.Literal{chat.Literal(`"{}"`)}, true},
		{[]chat.Literal{chat.Literal(`"\u007b\u007D"`)}, true},
		{[]chat.Literal{chat.Literal(`"{\"a\":\"}"`)}, false},
		{[]chat.Literal{chat.Literal(`"{\"a\":\"\\\"}"`)}, false},
		{[]chat.Literal{chat.Literal(`"{\"a\":\"\\"`), chat.Literal(`"\"}"`)}, false},
		{[]chat.Literal{chat.Literal(`"{\"a\":\"\\\\"`), chat.Literal(`"\"}"`)}, true},
		{[]chat.Literal{chat.Literal(`"{\"a\":\u0022\u005c\u0022"`), chat.Literal(`"}\"}"`)}, true},
		{[]chat.Literal{chat.Literal(`"{[}"`)}, false},
		{[]chat.Literal{chat.Literal(`"\"{}\""`)}, false},
		{[]chat.Literal{chat.Literal(`"\u00"`), chat.Literal(`"\"`), chat.Literal(`"`), nil}, false},
	} {
		var s argumentScanner
		for _, p := range tc.pieces {
			s.scan(p)
		}
		if s.complete != tc.want {
			t.Errorf("%s: complete is %v", tc.pieces, s.complete)
		}
	}
}
