package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// listServer answers GET requests by path and query, such as "/v1/models?after=b",
// and notes what it was asked for.
type listServer struct {
	*httptest.Server
	asked   []string
	headers []http.Header
}

// newListServer serves the answers. An answer may begin with a status, such as
// "404 ". What is not there is answered with 404.
func newListServer(t *testing.T, answers map[string]string) *listServer {
	t.Helper()
	s := new(listServer)
	s.Server = quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.URL.String())
		s.headers = append(s.headers, r.Header.Clone())
		answer, ok := answers[r.URL.String()]
		if !ok || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		if status, rest, ok := strings.Cut(answer, " "); ok && len(status) == 3 && status[0] >= '2' && status[0] <= '5' {
			var code int
			if _, err := fmt.Sscan(status, &code); err != nil {
				t.Errorf("status of %q: %v", answer, err)
			}
			w.WriteHeader(code)
			answer = rest
		}
		_, _ = io.WriteString(w, answer) // the client may be gone
	})))
	t.Cleanup(s.Close)
	return s
}

// ids are the names of the listed models.
func ids(l Listing) []string {
	names := []string{}
	for _, m := range l.Models {
		names = append(names, m.ID)
	}
	return names
}

func TestListModels(t *testing.T) {
	const three = `{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"c"}]}`
	for _, tc := range []struct {
		name, config string
		answers      map[string]string
		endpoint     string
		want         []string
		asked        []string
	}{
		{
			"OpenAI in one piece", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": three},
			"openai_models",
			[]string{"a", "b", "c"},
			[]string{"/v1/models"},
		},
		{
			"OpenAI in pages", `"formats":["openai_responses"]`,
			map[string]string{
				"/v1/models":         `{"data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":"b"}`,
				"/v1/models?after=b": `{"data":[{"id":"c"}],"has_more":true}`,
				"/v1/models?after=c": `{"data":[{"id":"d"}],"has_more":false,"last_id":"d"}`,
			},
			"openai_models",
			[]string{"a", "b", "c", "d"},
			[]string{"/v1/models", "/v1/models?after=b", "/v1/models?after=c"},
		},
		{
			"Anthropic in pages", `"formats":["anthropic_messages"]`,
			map[string]string{
				"/v1/models?limit=1000":              `{"data":[{"type":"model","id":"a"}],"has_more":true,"first_id":"a","last_id":"x y"}`,
				"/v1/models?after_id=x+y&limit=1000": `{"data":[{"type":"model","id":"b"}],"has_more":false,"last_id":"b"}`,
			},
			"anthropic_models",
			[]string{"a", "b"},
			[]string{"/v1/models?limit=1000", "/v1/models?after_id=x+y&limit=1000"},
		},
		{
			"Gemini in pages", `"formats":["gemini"]`,
			map[string]string{
				"/v1beta/models?pageSize=1000":                 `{"models":[{"name":"models/a"},{"name":"tunedModels/t"}],"nextPageToken":"p2"}`,
				"/v1beta/models?pageSize=1000&pageToken=p2":    `{"nextPageToken":"p3="}`,
				"/v1beta/models?pageSize=1000&pageToken=p3%3D": `{"models":[{"name":"models/b"}]}`,
			},
			"gemini_models",
			[]string{"a", "tunedModels/t", "b"},
			[]string{"/v1beta/models?pageSize=1000", "/v1beta/models?pageSize=1000&pageToken=p2", "/v1beta/models?pageSize=1000&pageToken=p3%3D"},
		},
		{
			"an empty list of Gemini", `"formats":["gemini"]`,
			map[string]string{"/v1beta/models?pageSize=1000": `{}`},
			"gemini_models",
			[]string{},
			[]string{"/v1beta/models?pageSize=1000"},
		},
		{
			"an array of names", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": `["a","b"]`},
			"openai_models",
			[]string{"a", "b"},
			[]string{"/v1/models"},
		},
		{
			"an array of objects", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": `[{"id":"a","name":"The A"},{"name":"b"}]`},
			"openai_models",
			[]string{"a", "b"},
			[]string{"/v1/models"},
		},
		{
			"a list that is null", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": `{"object":"list","data":null}`},
			"openai_models",
			[]string{},
			[]string{"/v1/models"},
		},
		{
			"no list of Anthropic, but one of the OpenAI format", `"formats":["anthropic_messages","openai_chat"],"format_paths":{"openai_chat":"/compatible/v2/chat/completions"}`,
			map[string]string{"/compatible/v2/models": three},
			"openai_models",
			[]string{"a", "b", "c"},
			[]string{"/v1/models?limit=1000", "/compatible/v2/models"},
		},
		{
			"no list of Anthropic, but a plain one", `"formats":["anthropic_messages"]`,
			map[string]string{"/v1/models?limit=1000": `400 {"error":"unknown parameter"}`, "/v1/models": three},
			"openai_models",
			[]string{"a", "b", "c"},
			[]string{"/v1/models?limit=1000", "/v1/models"},
		},
		{
			"no list of Gemini, but one of OpenAI", `"formats":["gemini"]`,
			map[string]string{"/v1beta/models?pageSize=1000": `<!doctype html><p>lost?`, "/models": three},
			"openai_models",
			[]string{"a", "b", "c"},
			[]string{"/v1beta/models?pageSize=1000", "/v1/models", "/models"},
		},
		{
			"Ollama of old", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": "405 ", "/api/tags": `{"models":[{"name":"llama3:8b","model":"llama3:8b"},{"name":"qwen3"}]}`},
			"ollama_tags",
			[]string{"llama3:8b", "qwen3"},
			[]string{"/v1/models", "/api/tags"},
		},
		{
			"the first format has no known list", `"formats":["openai_chat","openai_embeddings"],"format_paths":{"openai_chat":"/ask"}`,
			map[string]string{"/v1/models": three},
			"openai_models",
			[]string{"a", "b", "c"},
			[]string{"/v1/models"},
		},
		{
			"each name once", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": `{"data":[{"id":"a"},{"id":"b"},{"id":"a","owned_by":"x"},"b"]}`},
			"openai_models",
			[]string{"a", "b"},
			[]string{"/v1/models"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newListServer(t, tc.answers)
			u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`",`+tc.config+`}`)
			got, err := u.ListModels(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Endpoint != tc.endpoint || !slices.Equal(ids(got), tc.want) || got.Skipped != 0 {
				t.Errorf("got %s %q, %d skipped; want %s %q", got.Endpoint, ids(got), got.Skipped, tc.endpoint, tc.want)
			}
			if !slices.Equal(s.asked, tc.asked) {
				t.Errorf("asked for %q, want %q", s.asked, tc.asked)
			}
		})
	}
}

func TestListRequests(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		answers      map[string]string
		want         map[string]string
	}{
		{
			"Anthropic", `"formats":["anthropic_messages"],"headers":{"X-Team":["blue"]},"credentials":[{"type":"header","name":"x-api-key","value":"{env.NO_SUCH}"},{"type":"header","name":"x-api-key","value":"second"}]`,
			map[string]string{"/v1/models?limit=1000": `{"data":[]}`},
			map[string]string{"X-Api-Key": "second", "Anthropic-Version": "2023-06-01", "X-Team": "blue", "Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "", "User-Agent": "caddy-ai-gateway"},
		},
		{
			"in the style of OpenAI", `"formats":["anthropic_messages"],"credentials":[{"type":"bearer","token":"tok"}]`,
			map[string]string{"/v1/models": `{"data":[]}`},
			map[string]string{"Authorization": "Bearer tok", "Anthropic-Version": ""},
		},
		{
			"without a key", `"formats":["openai_chat"]`,
			map[string]string{"/v1/models": `{"data":[]}`},
			map[string]string{"Authorization": ""},
		},
		{
			"disabled", `"formats":["openai_chat"],"disabled":true`,
			map[string]string{"/v1/models": `{"data":[]}`},
			map[string]string{"Authorization": ""},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newListServer(t, tc.answers)
			u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`",`+tc.config+`}`)
			if _, err := u.ListModels(t.Context()); err != nil {
				t.Fatal(err)
			}
			last := s.headers[len(s.headers)-1]
			for name, want := range tc.want {
				if got := last.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestListedFacts(t *testing.T) {
	s := newListServer(t, map[string]string{
		"/v1/models": `{"data":[
			{"id":"gpt-4o","object":"model","owned_by":"openai"},
			{"id":"vendor/big","name":"Vendor: Big\u0007One","context_length":1000000,"top_provider":{"max_completion_tokens":64000}},
			{"id":"llama","owned_by":"meta","context_window":8192,"max_completion_tokens":4096,"display_name":"llama"},
			{"id":"odd","context_length":-5,"max_tokens":1e99,"owned_by":7},
			{"id":"bge-large","type":"embedding","organization":"BAAI"}]}`,
		"/v1beta/models?pageSize=1000": `{"models":[{"name":"models/gem","displayName":"Gem","inputTokenLimit":1048576,"outputTokenLimit":65536,
			"supportedGenerationMethods":["generateContent","countTokens","createCachedContent"]}]}`,
	})
	for _, tc := range []struct {
		formats string
		want    []ListedModel
	}{
		{"openai_chat", []ListedModel{
			{ID: "gpt-4o", OwnedBy: "openai", Operations: []format.Operation{format.OperationChat}},
			{ID: "vendor/big", DisplayName: "Vendor: Big One", ContextWindow: 1_000_000, MaxOutput: 64000},
			{ID: "llama", OwnedBy: "meta", ContextWindow: 8192, MaxOutput: 4096},
			{ID: "odd"},
			{ID: "bge-large", OwnedBy: "BAAI", Operations: []format.Operation{format.OperationEmbed}},
		}},
		{"gemini", []ListedModel{
			{ID: "gem", DisplayName: "Gem", ContextWindow: 1_048_576, MaxOutput: 65536, Operations: []format.Operation{format.OperationChat, format.OperationCountTokens}},
		}},
	} {
		t.Run(tc.formats, func(t *testing.T) {
			u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`","formats":["`+tc.formats+`"]}`)
			got, err := u.ListModels(t.Context())
			if err != nil || !reflect.DeepEqual(got.Models, tc.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got.Models, err, tc.want)
			}
		})
	}
}

func TestOperationsOfNames(t *testing.T) {
	for name, want := range map[string][]format.Operation{
		"claude-sonnet-4-5":         {format.OperationChat},
		"models/gemini-2.5-pro":     {format.OperationChat},
		"text-embedding-3-large":    {format.OperationEmbed},
		"gpt-4o-mini-transcribe":    {format.OperationAudioTranscribe},
		"whisper-1":                 {format.OperationAudioTranscribe},
		"gpt-4o-mini-tts":           {format.OperationAudioSpeech},
		"gpt-image-1":               {format.OperationImageGenerate, format.OperationImageEdit},
		"dall-e-3":                  {format.OperationImageGenerate},
		"gpt-3.5-turbo-instruct":    {format.OperationComplete},
		"jina-reranker-v2":          {format.OperationRerank},
		"gpt-4o-realtime-preview":   nil,
		"omni-moderation-latest":    nil,
		"something-nobody-heard-of": nil,
	} {
		if got := operationsOf(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestListErrors(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		problem      ListProblem
		status       int
		want         string
	}{
		{"wrong key", "401 plain-secret is wrong", ListUnauthorised, 401, "openai_models: status 401: the service does not take the credential"},
		{"forbidden", "403 ", ListUnauthorised, 403, "openai_models: status 403: the service does not take the credential"},
		{"no such list", "404 ", ListNotFound, 404, "openai_models: status 404: the service has no such list"},
		{"throttled", "429 ", ListThrottled, 429, "openai_models: status 429: the service wants to be asked later"},
		{"failed", "503 ", ListFailed, 503, "openai_models: status 503: the service failed"},
		{"a redirection", "302 ", ListNotAList, 302, "openai_models: status 302: the service redirects, which is not followed"},
		{"HTML", " \n<!DOCTYPE html><html>plain-secret", ListNotAList, 200, "openai_models: status 200: the answer is an HTML page; is base_url that of the API?"},
		{"text", "hello plain-secret", ListNotAList, 200, "openai_models: status 200: the answer is not JSON"},
		{"nothing", "", ListNotAList, 200, "openai_models: status 200: the answer is not JSON"},
		{"half a document", `{"data":[{"id":"a"}`, ListNotAList, 200, "openai_models: status 200: the answer is not JSON"},
		{"an error with status 200", `{"error":{"message":"plain-secret"}}`, ListNotAList, 200, "openai_models: status 200: the answer holds no list of models"},
		{"an object as list", `{"data":{"id":"a"}}`, ListNotAList, 200, "openai_models: status 200: the answer holds no list of models"},
		{"nested too deep", `{"data":[` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]}`, ListNotAList, 200, "openai_models: status 200: the answer is not JSON"},
		{"a circle", `{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}`, ListNotAList, 200, "openai_models: status 200: the pages of the list lead in a circle"},
		{"more, but nowhere", `{"data":[],"has_more":true}`, ListNotAList, 200, "openai_models: status 200: the list goes on, but does not say where"},
		{"a long way to the next page", `{"data":[],"has_more":true,"last_id":"` + strings.Repeat("x", 5000) + `"}`, ListTooLarge, 200, "openai_models: status 200: the list is too large: the way to the next page is longer than 4096 bytes"},
		{"too many entries", `[` + strings.Repeat(`"a",`, 100_000) + `"a"]`, ListTooLarge, 200, "openai_models: status 200: the list is too large: more than 100000 entries"},
		{"too many values", `[` + strings.Repeat(`0,`, 2_200_000) + `0]`, ListTooLarge, 200, "openai_models: status 200: the list is too large: an answer of too many values"},
		{"too long", `["` + strings.Repeat("x", 32<<20) + `"]`, ListTooLarge, 200, "openai_models: status 200: the list is too large: an answer of more than 32 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := map[string]string{"/v1/models": tc.answer, "/v1/models?after=a": tc.answer}
			s := newListServer(t, answers)
			u := mustProvision(t, "vllm", `{"base_url":"`+s.URL+`","credentials":[{"type":"bearer","token":"plain-secret"}]}`)
			got, err := u.ListModels(t.Context())
			problem, ok := errors.AsType[*ListError](err)
			if !ok || len(got.Models) != 0 {
				t.Fatalf("got %d models, %v", len(got.Models), err)
			}
			if problem.Problem != tc.problem || problem.Status != tc.status || err.Error() != tc.want {
				t.Errorf("got  %s %d %q\nwant %s %d %q", problem.Problem, problem.Status, err, tc.problem, tc.status, tc.want)
			}
		})
	}
}

// A list that has no end is an error, not the part of it that was read.
func TestListWithoutEnd(t *testing.T) {
	pages := 0
	u := mustProvision(t, "gemini", `{}`)
	u.transport = transportFunc(func(r *http.Request) (*http.Response, error) {
		pages++
		body := fmt.Sprintf(`{"models":[{"name":"models/m%d"}],"nextPageToken":"%d"}`, pages, pages)
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
	_, err := u.ListModels(t.Context())
	if problem, ok := errors.AsType[*ListError](err); !ok || problem.Problem != ListTooLarge || pages != 100 {
		t.Errorf("got %v after %d pages", err, pages)
	}
}

func TestListThatIsNotSent(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"no key", `{"provider":"openai","credentials":[{"type":"bearer","token":"{env.NO_SUCH}"}]}`, "the upstream is not configured: credential {env.NO_SUCH} is empty"},
		{"no address", `{"base_url":"{env.NO_SUCH}"}`, "the upstream is not configured: base_url {env.NO_SUCH} is empty"},
		{"no known list", `{"base_url":"http://h","formats":["openai_chat"],"format_paths":{"openai_chat":"/ask"}}`, "the address of the list does not follow from format_paths"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", tc.config)
			u.transport = transportFunc(func(*http.Request) (*http.Response, error) {
				t.Error("a request was sent")
				return nil, errFailing
			})
			_, err := u.ListModels(t.Context())
			if problem, ok := errors.AsType[*ListError](err); !ok || problem.Problem != ListUnavailable || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestListOfNobody(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`"}`)
	_, err := u.ListModels(t.Context())
	problem, ok := errors.AsType[*ListError](err)
	if !ok || problem.Problem != ListUnreachable || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

// Names that cannot be used cost nobody else theirs.
func TestListedNames(t *testing.T) {
	s := newListServer(t, map[string]string{"/v1/models": `{"data":[{"id":"good"},{"id":"a\u0000b"},{"id":"line\nbreak"},{"id":""},{"id":7},{},null,3,[],
		{"id":"` + strings.Repeat("x", 256) + `"},{"id":"` + strings.Repeat("x", 257) + `"},{"id":"bad` + "\xff\xfe" + `"},{"id":"half\ud800"},{"id":"turned\u202eround"},{"id":"模型 (β)"}]}`})
	u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`"}`)
	got, err := u.ListModels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"good", strings.Repeat("x", 256), "模型 (β)"}; !slices.Equal(ids(got), want) || got.Skipped != 12 {
		t.Errorf("got %q, %d skipped", ids(got), got.Skipped)
	}
}

func TestLargeList(t *testing.T) {
	var list strings.Builder
	list.WriteString(`{"data":[`)
	for i := range 100_000 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"id":"model-%d","object":"model","created":1,"owned_by":"x"}`, i)
	}
	list.WriteString(`]}`)
	s := newListServer(t, map[string]string{"/v1/models": list.String()})
	u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`"}`)
	got, err := u.ListModels(t.Context())
	if err != nil || len(got.Models) != 100_000 || got.Models[99_999].ID != "model-99999" {
		t.Errorf("got %d models, %v", len(got.Models), err)
	}
}

// Some services compress although they are asked not to.
func TestCompressedList(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, `{"data":[{"id":"a"}]}`); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var bomb bytes.Buffer
	w = gzip.NewWriter(&bomb)
	if _, err := w.Write(make([]byte, 33<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, encoding string
		body           []byte
		problem        ListProblem
	}{
		{"gzip", "gzip", packed.Bytes(), ""},
		{"small, but large when unpacked", "gzip", bomb.Bytes(), ListTooLarge},
		{"not what it says", "gzip", []byte(`{"data":[{"id":"a"}]}`), ListNotAList},
		{"unknown", "br", packed.Bytes(), ListNotAList},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "vllm", `{}`)
			u.transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {tc.encoding}}, Body: io.NopCloser(bytes.NewReader(tc.body)), Request: r}, nil
			})
			got, err := u.ListModels(t.Context())
			if tc.problem == "" {
				if err != nil || !slices.Equal(ids(got), []string{"a"}) {
					t.Errorf("got %q, %v", ids(got), err)
				}
				return
			}
			if problem, ok := errors.AsType[*ListError](err); !ok || problem.Problem != tc.problem {
				t.Errorf("got %v, want %s", err, tc.problem)
			}
		})
	}
}

// slowBody gives a byte every second until the request ends.
type slowBody struct{ ctx context.Context }

func (b slowBody) Read(p []byte) (int, error) {
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func (slowBody) Close() error { return nil }

func TestSlowList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := mustProvision(t, "mine", `{"base_url":"http://h"}`)
		calls := 0
		u.transport = transportFunc(func(r *http.Request) (*http.Response, error) {
			calls++
			return &http.Response{StatusCode: 200, Body: slowBody{r.Context()}, Request: r}, nil
		})
		began := time.Now()
		_, err := u.ListModels(t.Context())
		problem, ok := errors.AsType[*ListError](err)
		if !ok || problem.Problem != ListTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 15*time.Second || calls != 1 {
			t.Errorf("took %s and %d calls", took, calls)
		}

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		if _, err = u.ListModels(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
