package gemini

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// citations lists the citations of an answer's blocks.
func citations(r *chat.Response) string {
	var out strings.Builder
	for i := range r.Blocks {
		for _, c := range r.Blocks[i].Citations {
			fmt.Fprintf(&out, "%d %s%s %d-%d\n", i, c.URL.String(), c.Title.String(), c.Start, c.End)
		}
	}
	return strings.TrimSpace(out.String())
}

func TestDecodeGrounding(t *testing.T) {
	const chunks = `"groundingChunks":[{"web":{"uri":"u","title":"A"}},{"maps":{"uri":"m"}}]`
	for _, tc := range []struct{ name, parts, metadata, want string }{
		{"in the second part", `{"text":"abc"},{"text":"déf"}`, `{` + chunks + `,"groundingSupports":[{"segment":{"partIndex":1,"startIndex":1,"endIndex":4},"groundingChunkIndices":[0,1]}]}`, "1 uA 1-3\n1 m 1-3"},
		{"counted through all text", `{"text":"t","thought":true},{"text":"abc"},{"text":"déf"}`, `{` + chunks + `,"groundingSupports":[{"segment":{"startIndex":4,"endIndex":6},"groundingChunkIndices":[0,1]}]}`, "2 uA 1-2\n2 m 1-2"},
		{"snake case", `{"text":"abc"}`, `{"grounding_chunks":[{"web":{"uri":"u"}}],"grounding_supports":[{"segment":{"end_index":2},"grounding_chunk_indices":[0]}]}`, "0 u 0-2"},
		{"no supports", `{"text":"abc"}`, `{` + chunks + `}`, "0 uA 0-0\n0 m 0-0"},
		{"no text", `{"functionCall":{"name":"f"}}`, `{` + chunks + `}`, ""},
		{"place outside", `{"text":"abc"}`, `{` + chunks + `,"groundingSupports":[{"segment":{"startIndex":7,"endIndex":9},"groundingChunkIndices":[0,1]}]}`, ""},
		{"odd", `{"text":"abc"}`, `{"groundingChunks":[1,{"web":2},{}],"groundingSupports":[{"groundingChunkIndices":[0,-1,"x",99]},7]}`, ""},
		{"of another type", `{"text":"abc"}`, `[]`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, `{"candidates":[{"content":{"parts":[`+tc.parts+`]},"finishReason":"STOP","groundingMetadata":`+tc.metadata+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := citations(r); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Citations of other formats have no place, or are of documents.
func TestEncodeGrounding(t *testing.T) {
	r := &chat.Response{Blocks: []chat.Block{
		{Kind: chat.Text, Text: chat.Quote("né")},
		{Kind: chat.Text, Text: chat.Quote("né wahr"), Citations: []chat.Citation{
			{URL: chat.Quote("u"), Title: chat.Quote("U"), Quote: chat.Quote("cited"), Raw: chat.Raw(`{}`), Origin: "anthropic_messages"},
			{Title: chat.Quote("doc"), Quote: chat.Quote("cited"), Start: 1, End: 2},
			{URL: chat.Quote("u"), Title: chat.Quote("U"), Start: 3, End: 99},
			{Start: 1, End: 2},
		}},
	}}
	body, report := GenerateContent{}.EncodeResponse(nil, r, exchange())
	want := `"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"U"}},{"retrievedContext":{"title":"doc","text":"cited"}}],"groundingSupports":[` +
		`{"segment":{"partIndex":1,"startIndex":0,"endIndex":8},"groundingChunkIndices":[0]},` +
		`{"segment":{"partIndex":1,"startIndex":1,"endIndex":3},"groundingChunkIndices":[1]},` +
		`{"segment":{"partIndex":1,"startIndex":4,"endIndex":8},"groundingChunkIndices":[0]}]}`
	if !strings.Contains(string(body), want) || len(report) > 0 {
		t.Errorf("got %s, lost %v\nwant %s", body, report, want)
	}
	var stream []byte
	e := GenerateContent{}.NewStreamEncoder(exchange())
	for ev := range r.Replay {
		stream = e.Encode(stream, ev)
	}
	for _, want := range []string{
		`{"segment":{"startIndex":3,"endIndex":11},"groundingChunkIndices":[0]}`,
		`{"segment":{"startIndex":4,"endIndex":6},"groundingChunkIndices":[1]}`,
	} {
		if strings.Count(string(stream), want) != 1 {
			t.Errorf("want %s once in\n%s", want, stream)
		}
	}
	checkClient(t, stream)
}

func TestCitationsAreBounded(t *testing.T) {
	var chunks, supports strings.Builder
	for i := range 3 * maxCitations {
		fmt.Fprintf(&chunks, `,{"web":{"uri":"u%d"}}`, i)
		fmt.Fprintf(&supports, `,{"segment":{"endIndex":1},"groundingChunkIndices":[%d]}`, i)
	}
	doc := `{"candidates":[{"content":{"parts":[{"text":"abc"}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[` + chunks.String()[1:] + `],"groundingSupports":[` + supports.String()[1:] + `]}}]}`
	r, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Blocks[0].Citations); n != maxCitations {
		t.Errorf("%d citations", n)
	}
}
