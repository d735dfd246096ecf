package sdk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaFile holds the schemas of OpenAI's API; its README says where they come
// from.
const schemaFile = "testdata/schemas/openai-subset.schema.json"

// rules returns the schema of an entry point, such as responses_stream_event.
func rules(t *testing.T, root string) *jsonschema.Schema {
	t.Helper()
	content, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	name, ok := document.(map[string]any)["x-roots"].(map[string]any)[root].(string)
	if !ok {
		t.Fatalf("the schemas have no entry point %s", root)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaFile, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(schemaFile + "#/$defs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validate checks a document.
func validate(s *jsonschema.Schema, document []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// eventData are the documents of the events of a stream, without its end mark.
// Golden streams have one line of data an event.
func eventData(stream []byte) (documents [][]byte) {
	for line := range bytes.Lines(stream) {
		data, isData := bytes.CutPrefix(line, []byte("data: "))
		if data = bytes.TrimSpace(data); isData && string(data) != "[DONE]" {
			documents = append(documents, data)
		}
	}
	return documents
}

// goldenRules are the golden files below format/openai/testdata that are checked,
// by their folder and name, with the entry point of their schema. Requests to
// Responses upstreams are not among them: the API takes an earlier answer without
// an id, which its schema does not say.
var goldenRules = []struct{ files, root string }{
	{"answer_*/client_response.golden.json", "chat_completion_response"},
	{"*/chat_client.golden.json", "chat_completion_response"},
	{"stream_*/client_stream.golden.sse", "chat_completion_chunk"},
	{"*/chat_client.golden.sse", "chat_completion_chunk"},
	{"*/responses_client.golden.json", "responses_response"},
	{"*/responses_client.golden.sse", "responses_stream_event"},
	{"completions_*/client_response.golden.json", "completion_response"},
	{"embeddings_*/client_floats.golden.json", "embeddings_response"},
	{"request_*/upstream_request.golden.json", "chat_completion_request"},
	{"responses_request_*/chat_upstream_request.golden.json", "chat_completion_request"},
	{"embeddings_*/upstream_request.golden.json", "embeddings_request"},
}

// withoutSchema are the golden answers of which OpenAI documents no schema: streams
// of the older completions, whose finish_reason is null up to the last one, and
// embeddings in base64.
var withoutSchema = []string{"completions_*/client_stream.golden.sse", "embeddings_*/client_base64.golden.json"}

// goldenOpenAI is where the golden files of OpenAI's formats are.
var goldenOpenAI = filepath.Join("..", "..", "format", "openai", "testdata")

// TestGoldenFilesFitTheSchemas shows that what our codecs say in OpenAI's formats,
// to clients and to upstreams, is what OpenAI documents.
func TestGoldenFilesFitTheSchemas(t *testing.T) {
	failure := rules(t, "error")
	for _, rule := range goldenRules {
		paths, err := filepath.Glob(filepath.Join(goldenOpenAI, filepath.FromSlash(rule.files)))
		if err != nil || len(paths) == 0 {
			t.Errorf("no golden files %s: %v", rule.files, err)
			continue
		}
		schema := rules(t, rule.root)
		for _, path := range paths {
			t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
				checkGolden(t, path, schema, failure)
			})
		}
	}
}

// checkGolden validates the documents in a golden file. One that is an error, as
// the last event of a broken stream, follows the schema failure.
func checkGolden(t *testing.T, path string, schema, failure *jsonschema.Schema) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	documents := [][]byte{content}
	if filepath.Ext(path) == ".sse" {
		documents = eventData(content)
	}
	if len(documents) == 0 {
		t.Fatal("the file holds no document")
	}
	for i, document := range documents {
		rule := schema
		if bytes.HasPrefix(document, []byte(`{"error":`)) {
			rule = failure
		}
		if err := validate(rule, document); err != nil {
			t.Errorf("document %d: %s\n%s", i, brief(err), document)
		}
	}
}

// TestEveryGoldenAnswerIsChecked shows that no golden file with what a client gets
// is without a schema.
func TestEveryGoldenAnswerIsChecked(t *testing.T) {
	patterns := slices.Clone(withoutSchema)
	for _, rule := range goldenRules {
		patterns = append(patterns, rule.files)
	}
	known := map[string]bool{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(goldenOpenAI, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			known[path] = true
		}
	}
	answers, err := filepath.Glob(filepath.Join(goldenOpenAI, "*", "*client*.golden.*"))
	if err != nil || len(answers) == 0 {
		t.Fatalf("no golden answers: %v", err)
	}
	for _, path := range answers {
		if !known[path] {
			t.Errorf("%s has no rule", path)
		}
	}
}

// brief is the beginning of what a schema says to a document.
func brief(err error) string {
	const most = 40
	lines := strings.Split(fmt.Sprintf("%#v", err), "\n")
	return strings.Join(lines[:min(len(lines), most)], "\n")
}

// TestSchemasRefuse shows that the schemas notice what must not be: they would be
// of no use if they took everything.
func TestSchemasRefuse(t *testing.T) {
	for _, tc := range []struct{ name, root, document string }{
		{"an answer without choices", "chat_completion_response", `{"id":"x","object":"chat.completion","created":1,"model":"m"}`},
		{"a message without a refusal", "chat_completion_response", `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":"stop"}]}`},
		{"a finish_reason of another format", "chat_completion_chunk", `{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"end_turn"}]}`},
		{"a text event without a number", "responses_stream_event", `{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"a","logprobs":[]}`},
		{"an unknown event", "responses_stream_event", `{"type":"response.unheard","sequence_number":0}`},
		{"a response without tools", "responses_response", `{"id":"x","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"model":"m","output":[],"parallel_tool_calls":true,"metadata":{},"temperature":1,"tool_choice":"auto","top_p":1}`},
		{"an error without a message", "error", `{"error":{"type":"x","param":null,"code":null}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := validate(rules(t, tc.root), []byte(tc.document)); err == nil {
				t.Error("it is accepted")
			}
		})
	}
}
