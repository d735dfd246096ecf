package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// stateEstimate says that the gateway has answered for the upstream.
const stateEstimate cellState = "estimate"

// endpoints are the upstream of the other endpoints and their results.
type endpoints struct {
	service            *service
	embeddings, counts []endpointRow
}

// endpointRow is a row of a table: what became of a request at each upstream.
type endpointRow struct {
	title  string
	states []cellState
}

// The formats of the upstreams of these tables.
var (
	embedders = []string{"openai_embeddings", "gemini_embeddings"}
	counters  = []string{chatID, responsesID, messagesID, geminiID}
)

// serveEndpoint plays an upstream of embeddings and of token counts. Of the texts
// a, b and so on it makes the vectors [1,0.5], [2,0.5] and so on.
func serveEndpoint(w http.ResponseWriter, r servedRequest) {
	w.Header().Set("Content-Type", "application/json")
	switch path, _, _ := strings.Cut(r.path, "?"); {
	case strings.HasSuffix(path, "/embeddings"):
		io.WriteString(w, embedOpenAI(gjson.Parse(r.body)))
	case strings.HasSuffix(path, ":embedContent"):
		io.WriteString(w, `{"embedding":{"values":`+vector(gjson.Get(r.body, "content.parts.0.text"))+`}}`)
	case strings.HasSuffix(path, ":batchEmbedContents"):
		var all []string
		for _, request := range gjson.Get(r.body, "requests").Array() {
			all = append(all, `{"values":`+vector(request.Get("content.parts.0.text"))+`}`)
		}
		io.WriteString(w, `{"embeddings":[`+strings.Join(all, ",")+`]}`)
	case strings.HasSuffix(path, "/messages/count_tokens"):
		io.WriteString(w, `{"input_tokens":42}`)
	case strings.HasSuffix(path, "/responses/input_tokens"):
		io.WriteString(w, `{"object":"response.input_tokens","input_tokens":42}`)
	case strings.HasSuffix(path, ":countTokens"):
		io.WriteString(w, `{"totalTokens":42}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"message":"no such path"}}`)
	}
}

// vector is the embedding of a text, or of a token number.
func vector(text gjson.Result) string { return fmt.Sprintf("[%d,0.5]", int(text.String()[0])-'a'+1) }

// embedOpenAI is the answer to a request for embeddings in OpenAI's format.
func embedOpenAI(request gjson.Result) string {
	texts := request.Get("input").Array()
	var all []string
	for i, text := range texts {
		embedding := vector(text)
		if request.Get("encoding_format").String() == "base64" {
			embedding = `"` + encodedFloats(float32(text.String()[0]-'a'+1), 0.5) + `"`
		}
		all = append(all, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, embedding))
	}
	return `{"object":"list","data":[` + strings.Join(all, ",") + `],"model":"real","usage":{"prompt_tokens":0,"total_tokens":0}}`
}

// endpointConfig is a model for each upstream of these tables, which has the name
// of its format.
func (m *matrix) endpointConfig() string {
	var b strings.Builder
	for kind, formats := range map[string][]string{"embed": embedders, "count": counters} {
		for _, id := range formats {
			fmt.Fprintf(&b, "upstream %[1]s-%[2]s %[3]s {\n formats %[2]s\n}\nmodel %[1]s-%[2]s {\n source %[1]s-%[2]s real\n}\n", kind, id, m.endpoints.service.url)
		}
	}
	return b.String()
}

// endpointRequest is a request to one of the other endpoints.
type endpointRequest struct {
	title string
	// path and body hold %s where the model stands.
	path, body string
	// answer is what the client gets, with %s for its name of the model; empty for
	// requests that mean nothing to an upstream of the other vendor.
	answer string
}

// embeddings are the requests for vectors.
var embeddings = []endpointRequest{
	{"one text, OpenAI", "/v1/embeddings", `{"model":"%s","input":"a"}`, openAIVectors(`[1,0.5]`)},
	{"several texts, OpenAI", "/v1/embeddings", `{"model":"%s","input":["b","a"]}`, openAIVectors(`[2,0.5]`, `[1,0.5]`)},
	{"vectors as base64, OpenAI", "/v1/embeddings", `{"model":"%s","input":["a","b"],"encoding_format":"base64"}`, openAIVectors(`"`+encodedFloats(1, 0.5)+`"`, `"`+encodedFloats(2, 0.5)+`"`)},
	{"size of the vectors, OpenAI", "/v1/embeddings", `{"model":"%s","input":"a","dimensions":2}`, openAIVectors(`[1,0.5]`)},
	{"token numbers, OpenAI", "/v1/embeddings", `{"model":"%s","input":[7]}`, ""},
	{"one text, Gemini", "/v1beta/models/%s:embedContent", `{"content":{"parts":[{"text":"a"}]}}`, `{"embedding":{"values":[1,0.5]}}`},
	{"several texts, Gemini", "/v1beta/models/%s:batchEmbedContents", `{"requests":[{"model":"models/%[1]s","content":{"parts":[{"text":"b"}]}},{"model":"models/%[1]s","content":{"parts":[{"text":"a"}]}}]}`, `{"embeddings":[{"values":[2,0.5]},{"values":[1,0.5]}]}`},
	{"size of the vectors, Gemini", "/v1beta/models/%s:embedContent", `{"content":{"parts":[{"text":"a"}]},"outputDimensionality":2}`, `{"embedding":{"values":[1,0.5]}}`},
	{"kind of task, Gemini", "/v1beta/models/%s:embedContent", `{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY"}`, `{"embedding":{"values":[1,0.5]}}`},
}

// openAIVectors is an answer in OpenAI's format.
func openAIVectors(vectors ...string) string {
	var all []string
	for i, v := range vectors {
		all = append(all, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, v))
	}
	return `{"object":"list","data":[` + strings.Join(all, ",") + `],"model":"%s","usage":{"prompt_tokens":0,"total_tokens":0}}`
}

// counted are the requests for counts.
var counted = []endpointRequest{
	{"Responses", "/v1/responses/input_tokens", `{"model":"%s","instructions":"Be brief.","input":"hi"}`, `{"object":"response.input_tokens","input_tokens":42}`},
	{"Messages", "/v1/messages/count_tokens", `{"model":"%s","system":"Be brief.","messages":[{"role":"user","content":"hi"}]}`, `{"input_tokens":42}`},
	{"Gemini", "/v1beta/models/%s:countTokens", `{"generateContentRequest":{"model":"models/%s","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}`, `{"totalTokens":42}`},
}

// estimate is what the gateway says of the text of these requests.
const estimate = "7"

// runEndpoints sends the requests of these tables to every upstream.
func (m *matrix) runEndpoints(t *testing.T) {
	m.gateway.t = t
	for i := range embeddings {
		row := endpointRow{title: embeddings[i].title}
		for _, id := range embedders {
			row.states = append(row.states, m.embed(t, &embeddings[i], id))
		}
		m.endpoints.embeddings = append(m.endpoints.embeddings, row)
	}
	for i := range counted {
		row := endpointRow{title: counted[i].title}
		for _, id := range counters {
			row.states = append(row.states, m.count(t, &counted[i], id))
		}
		m.endpoints.counts = append(m.endpoints.counts, row)
	}
}

// request sends a request for an upstream of a format. The name of the model stands in
// the path, in the body, or in both.
func (m *matrix) request(r *endpointRequest, model string) (*http.Response, string) {
	fill := func(s string) string {
		if strings.Contains(s, "%") {
			return fmt.Sprintf(s, model)
		}
		return s
	}
	return m.gateway.post(fill(r.path), fill(r.body))
}

// embed asks for vectors.
func (m *matrix) embed(t *testing.T, r *endpointRequest, id string) cellState {
	t.Helper()
	model := "embed-" + id
	own := strings.HasSuffix(r.title, ", OpenAI") == (id == embedders[0])
	resp, body := m.request(r, model)
	if r.answer == "" && !own {
		status(t, resp, body, http.StatusBadRequest)
		return stateRefused
	}
	status(t, resp, body, http.StatusOK)
	got, _ := m.endpoints.service.last(t)
	if r.answer == "" {
		equalText(t, got.body, fmt.Sprintf(r.body, "real"))
		return statePassed
	}
	named := model
	if own {
		named = "real" // the answer goes through as it is
	}
	sameJSON(t, body, strings.Replace(r.answer, "%s", named, 1))
	if size := gjson.Get(r.body, "dimensions").Raw + gjson.Get(r.body, "outputDimensionality").Raw; size != "" &&
		gjson.Get(got.body, "dimensions").Raw+gjson.Get(got.body, "outputDimensionality").Raw != size {
		t.Errorf("%s on %s: the upstream is asked %s", r.title, id, got.body)
	}
	if resp.Header.Get("X-Gateway-Warning") != "" {
		return stateLossy
	}
	return statePassed
}

// equalText fails the test if a text is another one.
func equalText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// count asks for a count.
func (m *matrix) count(t *testing.T, r *endpointRequest, id string) cellState {
	t.Helper()
	resp, body := m.request(r, "count-"+id)
	status(t, resp, body, http.StatusOK)
	if resp.Header.Get("X-Gateway-Token-Count") == "estimated" {
		sameJSON(t, body, strings.Replace(r.answer, "42", estimate, 1))
		return stateEstimate
	}
	sameJSON(t, body, r.answer)
	return statePassed
}

// writeEndpoints writes the tables.
func (m *matrix) writeEndpoints(b *strings.Builder) {
	b.WriteString(endpointsHead)
	writeEndpointRows(b, m.endpoints.embeddings)
	b.WriteString(countsHead)
	writeEndpointRows(b, m.endpoints.counts)
}

// writeEndpointRows writes the rows of a table.
func writeEndpointRows(b *strings.Builder, rows []endpointRow) {
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |", row.title)
		for _, state := range row.states {
			fmt.Fprintf(b, " %s |", state)
		}
		b.WriteString("\n")
	}
}

// endpointsHead and countsHead stand above the tables.
const (
	endpointsHead = `
## Other endpoints

What [the other endpoints](endpoints.md) do. Those that are not here are passed through to
upstreams of their own format only.

| Embeddings of a client | on OpenAI | on Gemini |
|---|---|---|
`
	countsHead = `
An upstream that cannot count tokens gets no request: the gateway estimates, and says so
in the header ` + "`X-Gateway-Token-Count`" + `.

| Token count for a client of | on Chat | on Responses | on Messages | on Gemini |
|---|---|---|---|---|
`
)
