package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func page(url string, start, end int) chat.Citation {
	return chat.Citation{URL: q(url), Title: q("t"), Start: start, End: end}
}

// TestAnnotations shows that places are those of the whole message, in complete
// answers and in streams.
func TestAnnotations(t *testing.T) {
	first := textBlock("Grüße \"😀\"\n") // ten characters
	first.Citations = []chat.Citation{page("https://a", 0, 5), {Quote: q("of a document")}}
	second := textBlock("Ende.")
	second.Citations = []chat.Citation{page("https://b", 0, 0), page("https://c", 1, 3)}
	blocks := []chat.Block{first, {Kind: chat.Thinking, Text: q("hm"), Origin: foreign}, textBlock("|"), second}
	want := `"annotations":[` +
		`{"type":"url_citation","url_citation":{"start_index":0,"end_index":5,"url":"https://a","title":"t"}},` +
		`{"type":"url_citation","url_citation":{"start_index":11,"end_index":16,"url":"https://b","title":"t"}},` +
		`{"type":"url_citation","url_citation":{"start_index":12,"end_index":14,"url":"https://c","title":"t"}}]`

	choice, report := encodeAnswer(t, exchange(), chat.StopEnd, blocks...)
	if !strings.Contains(choice, want) || paths(report) != "citations unsupported" {
		t.Errorf("got %s, lost %s", choice, paths(report))
	}
	encoder := Chat{}.NewStreamEncoder(exchange())
	var stream []byte
	for ev := range (&chat.Response{ID: q("x"), Blocks: blocks}).Replay {
		stream = encoder.Encode(stream, ev)
	}
	if !strings.Contains(string(stream), want) {
		t.Errorf("got %s", stream)
	}
}

func TestDecodeAnnotations(t *testing.T) {
	doc := `{"choices":[{"message":{"content":"ab","annotations":[` +
		`{"type":"url_citation","url_citation":{"url":"https://a","title":"A","start_index":0,"end_index":2,"content":"quoted"}},` +
		`{"type":"url_citation","url_citation":{"url":"https://b","start_index":5,"end_index":2}},` +
		`{"type":"url_citation"},{"type":"file"},7]},"finish_reason":"stop"}]}`
	r, err := Chat{}.DecodeResponse(formattest.Parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	got := r.Blocks[0].Citations
	if len(got) != 2 || !got[0].URL.Is("https://a") || !got[0].Title.Is("A") || !got[0].Quote.Is("quoted") || got[0].End != 2 {
		t.Fatalf("got %+v", got)
	}
	if !got[1].URL.Is("https://b") || got[1].Start != 0 || got[1].End != 0 {
		t.Errorf("got %+v", got[1])
	}
}

func TestCharactersOf(t *testing.T) {
	for _, s := range []string{"", "abc", "Grüße", "a\nb\t\"\\", "😀", "\u0001", "日本\n語"} {
		if got, want := charactersOf(q(s).Inner()), len([]rune(s)); got != want {
			t.Errorf("%q has %d characters, not %d", s, want, got)
		}
	}
	for literal, want := range map[string]int{`\ud83d\ude00`: 1, `\ud83dx`: 2, `\u00e9\u00e9`: 2, `a\`: 2, `\u12`: 1, `\ud83d\u`: 2} {
		if got := charactersOf([]byte(literal)); got != want {
			t.Errorf("%s: %d characters, want %d", literal, got, want)
		}
	}
}

// TestLogprobsOfSeveralTexts shows that the probabilities of all texts are told as
// one list.
func TestLogprobsOfSeveralTexts(t *testing.T) {
	a, b := textBlock("a"), textBlock("b")
	a.Logprobs, b.Logprobs = chat.Raw(`[{"token":"a"}]`), chat.Raw(" [\n{\"token\":\"b\"}]")
	refusal := chat.Block{Kind: chat.Refusal, Text: q("no"), Logprobs: chat.Raw(`[{"token":"no"}]`)}
	choice, _ := encodeAnswer(t, exchange(), chat.StopEnd, a, b, refusal)
	if want := `"logprobs":{"content":[{"token":"a"},{"token":"b"}],"refusal":[{"token":"no"}]}`; !strings.Contains(choice, want) {
		t.Errorf("got %s", choice)
	}
	encoder := Chat{}.NewStreamEncoder(exchange())
	var stream []byte
	for ev := range (&chat.Response{ID: q("x"), Blocks: []chat.Block{b, refusal}}).Replay {
		stream = encoder.Encode(stream, ev)
	}
	for _, want := range []string{
		`"delta":{"content":"b"},"logprobs":{"content": [{"token":"b"}],"refusal":null},`,
		`"delta":{"refusal":"no"},"logprobs":{"content":null,"refusal":[{"token":"no"}]},`,
	} {
		if !strings.Contains(string(stream), want) {
			t.Errorf("%s is not in %s", want, stream)
		}
	}
}

// TestSecondChoicesAndSoundAreReported shows that what is left out of an answer is
// known.
func TestSecondChoicesAndSoundAreReported(t *testing.T) {
	r, err := Chat{}.DecodeResponse(formattest.Parse(t, `{"choices":[{"index":0,"message":{"content":null,"audio":{"id":"a","data":"QQ==","transcript":"hello"}},"finish_reason":"stop"},{"index":1,"message":{"content":"b"}}]}`))
	if err != nil || len(r.Blocks) != 1 || !r.Blocks[0].Text.Is("hello") || paths(r.Lost) != "audio unsupported!, choices unsupported!" {
		t.Errorf("got %+v, %v", r, err)
	}
}
