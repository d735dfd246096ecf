package caddytest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// requirement is a row of the requirements on translation and streaming.
type requirement struct {
	name string
	// tests are the names of the tests that show it, each with its folder.
	tests []string
	// later says why there is no test yet, or what of the row has none.
	later string
}

// requirements are the rows of the section "Translation and streaming" of the
// requirements, in their order.
var requirements = []requirement{
	{name: "Auto translation", tests: []string{"caddytest.TestMatrix"}},
	{name: "Canonical hub", tests: []string{"caddytest.TestSameFormatKeepsBytes", "caddytest.TestMatrix", "caddytest.TestFailover"}},
	{name: "Path / body aliases", tests: []string{"format.TestMatch", "caddytest.TestSameFormatKeepsBytes"}},
	{name: "Format detection by body", later: "the path decides; other paths belong to Caddy's next handler"},
	{name: "Model rewrite", tests: []string{"caddytest.TestSameFormatKeepsBytes", "caddytest.TestLargeBodiesKeepBytes", "caddytest.TestCase29LongNumbersKeepTheirDigits"}},
	{name: "Gemini", tests: []string{"caddytest.TestMatrix", "caddytest.TestGeminiArray", "format.TestMatch"}},
	{name: "count_tokens", tests: []string{"caddytest.TestCountTokens", "caddytest.TestCountTokensEstimated", "caddytest.TestCountTokensErrors", "caddytest.TestCountTokensOff", "caddytest.TestMatrix"}},
	{name: "Embeddings / rerank / images / audio", tests: []string{"caddytest.TestEmbeddingsPassThrough", "caddytest.TestEmbeddingsOfOpenAIByGemini", "caddytest.TestEmbeddingsOfGeminiByOpenAI", "caddytest.TestEmbeddingsFailover", "caddytest.TestImages", "caddytest.TestForms", "caddytest.TestSpeech", "caddytest.TestRerank", "handler.TestReadForm", "handler.TestRawAnswersThatBreakOff"}},
	{name: "Streaming pass-through", tests: []string{"caddytest.TestLegalOddities", "caddytest.TestEventsAreNotHeldBack", "caddytest.TestLongEventPasses", "format.TestCase36LineEndsAndComments"}},
	{name: "Stream end marker", tests: []string{"caddytest.TestOneEndMark", "format.TestCase35EndWithoutDone"}},
	{name: "Force streaming", tests: []string{"handler.TestForceStream"}},
	{name: "include_usage", tests: []string{"caddytest.TestCase10UsageNobodyAskedFor"}},
	{name: "previous_response_id", tests: []string{"caddytest.TestCase40OddRequests", "handler.TestPreviousResponse"}},
	{name: "Plugins", tests: []string{"routing/upstream.TestRequestHeaders", "caddytest.TestHeadersThatGoUpstream"}, later: "headers of an upstream's own are shown; translation needs no named transforms, and to list them belongs to the management API"},
	{name: "CORS", tests: []string{"handler.TestPreflight", "handler.TestCrossOriginAnswers", "handler.TestOriginsAreChecked"}},
	{name: "Reasoning pass-back", tests: []string{"format/openai.TestEncodeSendsReasoningBack"}},
}

// TestRequirements checks that every requirement has a test or says why not, and
// that the tests it names exist.
func TestRequirements(t *testing.T) {
	known := testsBelow(t, "..")
	for _, r := range requirements {
		t.Run(r.name, func(t *testing.T) {
			if len(r.tests) == 0 && r.later == "" {
				t.Error("it has neither a test nor a reason")
			}
			for _, name := range r.tests {
				if !known[name] {
					t.Errorf("there is no test %s", name)
				}
			}
		})
	}
}

// testsBelow are the tests of all packages of this module below a folder, as
// "folder.TestName".
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				found[filepath.ToSlash(folder)+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
