package caddytest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// requirement is a row of the requirements.
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

// routingRequirements are the rows of the section "Routing, balancing, failover, retry" of the
// requirements, in their order.
var routingRequirements = []requirement{
	{name: "Priority groups", tests: []string{"caddytest.TestRoutingPriorities", "routing.TestOrder", "caddytest.TestFault54Heals"}},
	{name: "Weighted random in group", tests: []string{"caddytest.TestWeights", "routing.TestWeights", "routing.TestAdmitByWeight"}},
	{name: "Round robin", tests: []string{"routing.TestRoundRobin"}},
	{name: "Weighted round robin", tests: []string{"routing.TestWeightedRoundRobin", "routing.TestWeightedRoundRobinIsEven"}},
	{name: "Least connections", tests: []string{"routing.TestLeastConn", "caddytest.TestRoutingLeastConn"}},
	{name: "Random", tests: []string{"routing.TestRandom"}},
	{name: "IP hash / sticky", tests: []string{"routing.TestIPHash", "routing.TestHeaderHash", "routing.TestStickyHeader", "caddytest.TestRoutingSticky"}},
	{name: "Semantic routing", later: "the requirements mark it as a later milestone"},
	{name: "Complexity tiers", later: "the requirements mark it as optional and later"},
	{name: "In-request failover", tests: []string{"caddytest.TestFailover", "caddytest.TestAttemptsAreBounded", "routing.TestRetryBudget", "handler.TestTotalTimeSpansAllAttempts"}, later: "fallback to other models belongs to a later milestone"},
	{name: "Failure classes", tests: []string{"handler.TestOutcomeOfStatus", "routing.TestOutcomeTable", "caddytest.TestFault18ServerErrors", "caddytest.TestFault25Credential"}},
	{name: "Which status retried when streaming", tests: []string{"caddytest.TestFault46ErrorFirst", "caddytest.TestFault47ErrorInTheMiddle"}},
	{name: "Retry on empty answer", tests: []string{"caddytest.TestRoutingRetryOnEmpty"}},
	{name: "Exclude set", tests: []string{"routing.TestManySourcesNoneTwice", "caddytest.TestFault58EverythingDown"}},
	{name: "Key failover", tests: []string{"routing.TestCredentialPool", "caddytest.TestRoutingCredentialPool"}},
	{name: "Selected headers", tests: []string{"caddytest.TestFailover", "caddytest.TestExposeHeadersOff"}},
	{name: "No source available", tests: []string{"caddytest.TestFault58EverythingDown", "routing.TestNoSourceNow"}},
	{name: "Rules (transform pipeline)", later: "a later milestone"},
	{name: "Rule validation", later: "comes with the rules"},
	{name: "Consumers / client keys", later: "a later milestone"},
	{name: "Limits and policies", later: "a later milestone; the concurrency limit of an upstream is there: routing.TestConcurrencyLimit"},
}

// circuitRequirements are the rows of the section "Health and circuit breaker" of the
// requirements, in their order.
var circuitRequirements = []requirement{
	{name: "Two levels", tests: []string{"routing.TestEscalation"}},
	{name: "Defaults", tests: []string{"routing/upstream.TestCircuitPolicyDefaults", "routing/upstream.TestCircuitPolicyInherit"}},
	{name: "Window", tests: []string{"routing.TestWindowRolls", "routing.TestCircuitOpens"}},
	{name: "Half-open", tests: []string{"routing.TestFault56CrowdAtHalfOpen", "routing.TestFault57ProbeNeverReturns", "caddytest.TestFault54Heals"}},
	{name: "Manual open/reset", tests: []string{"routing.TestManualBeatsAutomatic", "routing.TestForce", "admin.TestOpenCircuit", "caddytest.TestRoutingManual"}},
	{name: "Rate-limit back-off", tests: []string{"caddytest.TestFault21Throttled", "caddytest.TestFault22ThrottledWithoutRetryAfter", "routing.TestThrottle"}},
	{name: "Error classification", tests: []string{"handler.TestOutcomeOfStatus"}, later: "classes are fixed, not a setting: each status means one thing"},
	{name: "Passive health", tests: []string{"routing.TestCircuitOpens"}},
	{name: "Fail open when all bad", tests: []string{"routing.TestLastResort", "routing.TestLastResortSparesCredentials"}},
	{name: "Active health", tests: []string{"routing/upstream.TestChecksOverTime", "routing/upstream.TestChecksOfAServer", "caddytest.TestRoutingHealth"}},
	{name: "Last error / last success", tests: []string{"admin.TestCircuitAsJSON", "routing/upstream.TestScrub"}, later: "the time of the last success is not kept"},
	{name: "Persistence", tests: []string{"routing.TestCircuitsSurviveRestart", "caddytest.TestRoutingRestart"}},
	{name: "Shared breaker scope in view", tests: []string{"admin.TestListCircuits", "routing.TestExplainNothingLeft"}},
}

// TestRequirements checks that every requirement has a test or says why not, and
// that the tests it names exist.
func TestRequirements(t *testing.T) {
	known := testsBelow(t, "..")
	for _, r := range slices.Concat(requirements, routingRequirements, circuitRequirements) {
		t.Run(r.name, func(t *testing.T) { r.check(t, known) })
	}
}

// check fails the test if the requirement has neither tests nor a reason, or names a
// test that is not known.
func (r *requirement) check(t *testing.T, known map[string]bool) {
	t.Helper()
	if len(r.tests) == 0 && r.later == "" {
		t.Error("it has neither a test nor a reason")
	}
	for _, name := range r.tests {
		if !known[name] {
			t.Errorf("there is no test %s", name)
		}
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
