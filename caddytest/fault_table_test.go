package caddytest

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// faultRow is a row of docs/faults.md.
type faultRow struct {
	number int
	fault  string
	// alone is what clients see if there is no other source, backed if there is one.
	alone, backed string
	// counts is the circuit that counts the fault.
	counts string
	// more are tests that show the row besides those that have its number in their
	// names.
	more []string
	// later says why there is no test.
	later string
}

// faultRows is the fault matrix.
var faultRows = []faultRow{
	{number: 1, fault: "connection refused", alone: "502 within a second", backed: "answer of the backup", counts: "upstream"},
	{number: 2, fault: "accepted, closed at once", alone: "502", backed: "answer of the backup", counts: "upstream"},
	{number: 3, fault: "accepted, reset", alone: "502", backed: "answer of the backup", counts: "upstream"},
	{number: 4, fault: "accepted, silent", alone: "504 at the limit", backed: "answer of the backup", counts: "upstream model"},
	{number: 5, fault: "request read, closed without an answer", alone: "502", backed: "answer of the backup; not for requests that leave a trace", counts: "upstream"},
	{number: 6, fault: "stale kept connection closed", alone: "answer, after one repeat", backed: "answer", counts: "nothing", more: []string{"routing/upstream.TestStaleConnection"}},
	{number: 7, fault: "black-holed packets", alone: "502 at the connect limit", backed: "answer of the backup", counts: "upstream"},
	{number: 8, fault: "name does not resolve, resolver silent", alone: "502", backed: "answer of the backup", counts: "upstream"},
	{number: 9, fault: "name resolves to refused addresses", alone: "502, refused before dialling", backed: "answer of the backup", counts: "nothing: the configuration is at fault", more: []string{"routing/upstream.TestNamesThatLeadToRefusedAddresses", "routing/upstream.TestAddressKinds"}},
	{number: 10, fault: "untrusted, expired or wrong-name certificate", alone: "502, no request sent", backed: "answer of the backup", counts: "upstream"},
	{number: 11, fault: "plain HTTP on a TLS port; TLS on a plain port", alone: "502; 400 where the server says so in HTTP", backed: "answer of the backup", counts: "upstream"},
	{number: 12, fault: "TLS handshake hangs", alone: "502 at the limit", backed: "answer of the backup", counts: "upstream"},
	{number: 13, fault: "bytes that are not HTTP", alone: "502", backed: "answer of the backup", counts: "upstream model"},
	{number: 14, fault: "header dripped without end", alone: "504 at the limit", backed: "answer of the backup", counts: "upstream model"},
	{number: 15, fault: "header of megabytes", alone: "502, memory bounded", backed: "answer of the backup", counts: "upstream model"},
	{number: 16, fault: "103 before the answer", alone: "answer", backed: "answer", counts: "nothing"},
	{number: 17, fault: "1xx without end", alone: "502", backed: "answer of the backup", counts: "upstream model"},
	{number: 18, fault: "500, 502 (HTML), 504", alone: "the same status, JSON error", backed: "answer of the backup", counts: "upstream model"},
	{number: 19, fault: "503 with and without Retry-After", alone: "503 and its Retry-After", backed: "answer of the backup", counts: "upstream model"},
	{number: 20, fault: "529", alone: "529 for Anthropic's clients, else 503", backed: "answer of the backup", counts: "upstream model"},
	{number: 21, fault: "429 with Retry-After", alone: "429 and Retry-After; left alone meanwhile", backed: "answer of the backup", counts: "throttled"},
	{number: 22, fault: "429 with reset headers only, or none", alone: "429; 5 s, doubling", backed: "answer of the backup", counts: "throttled", more: []string{"routing.TestThrottle"}},
	{number: 23, fault: "Retry-After: a date, negative, a day, text", alone: "1 s to 15 min", backed: "answer of the backup", counts: "throttled", more: []string{"format.TestRetryAfter"}},
	{number: 24, fault: "429 quota, 402", alone: "503", backed: "answer of the backup", counts: "credential"},
	{number: 25, fault: "401, 403 key", alone: "502, never 401", backed: "answer of the backup", counts: "credential, at the second"},
	{number: 26, fault: "404 model, 403 model", alone: "404", backed: "answer of the backup", counts: "upstream model, at the second"},
	{number: 27, fault: "400, 422, content refused", alone: "the same status", backed: "not asked", counts: "nothing", more: []string{"caddytest.TestNoFailoverForClientFaults"}},
	{number: 28, fault: "context too long, 413", alone: "400, 413", backed: "not asked: sources declare no windows yet", counts: "nothing"},
	{number: 29, fault: "408, 409", alone: "one repeat; 502, 409", backed: "answer of the backup", counts: "408 only: upstream model"},
	{number: 30, fault: "418, 999", alone: "418, 500", backed: "not asked for 418; answer of the backup", counts: "upstream model from 500 up"},
	{number: 31, fault: "302, 307 elsewhere", alone: "502, not followed", backed: "answer of the backup", counts: "upstream model", more: []string{"routing/upstream.TestRedirectsAreNotFollowed"}},
	{number: 32, fault: "error body without end", alone: "the status, little read", backed: "answer of the backup", counts: "upstream model"},
	{number: 33, fault: "error body repeats our key", alone: "masked", backed: "answer of the backup", counts: "by status", more: []string{"caddytest.TestSecretsStaySecret", "routing/upstream.TestScrub"}},
	{number: 34, fault: "200 HTML, empty, 204, null, wrong shape", alone: "502", backed: "answer of the backup", counts: "upstream model"},
	{number: 35, fault: "200 whose body is an error", alone: "502, 503 by its code", backed: "answer of the backup", counts: "by its code", more: []string{"handler.TestOutcomeOfErrorInSuccess"}},
	{number: 36, fault: "body not JSON; cut by length; cut in a chunk", alone: "502", backed: "answer of the backup", counts: "upstream model"},
	{number: 37, fault: "a million nested arrays; a body without end", alone: "502, memory bounded", backed: "answer of the backup", counts: "upstream model"},
	{number: 38, fault: "gzip bomb; gzip that is not; gzip nobody asked for", alone: "502; the last is read", backed: "answer of the backup", counts: "upstream model"},
	{number: 39, fault: "stream where none was asked, and the reverse", alone: "converted", backed: "converted", counts: "nothing", more: []string{"handler.TestForceStream"}},
	{number: 40, fault: "header of success, then silence", alone: "504", backed: "answer of the backup", counts: "upstream model"},
	{number: 41, fault: "comments only, for ever", alone: "504 at the first-content limit", backed: "answer of the backup", counts: "upstream model"},
	{number: 42, fault: "cut after the preamble", alone: "502", backed: "answer of the backup", counts: "upstream model"},
	{number: 43, fault: "clean end in the middle", alone: "error event", backed: "error event, never spliced", counts: "upstream model", more: []string{"caddytest.TestBrokenStreamEndsWithAnError"}},
	{number: 44, fault: "reset in the middle", alone: "error event", backed: "error event", counts: "upstream model", more: []string{"caddytest.TestBrokenStreamEndsWithAnError"}},
	{number: 45, fault: "silence in the middle", alone: "error event at the idle limit", backed: "error event", counts: "upstream model", more: []string{"caddytest.TestBrokenStreamEndsWithAnError"}},
	{number: 46, fault: "first event an error", alone: "its status", backed: "answer of the backup", counts: "by its code"},
	{number: 47, fault: "error event in the middle, also followed by the usual end", alone: "one error event, no success mark", backed: "the same", counts: "upstream model"},
	{number: 48, fault: "one event not JSON", alone: "error event", backed: "error event; before the first content, answer of the backup", counts: "upstream model", more: []string{"caddytest.TestFailover"}},
	{number: 49, fault: "legal oddities: CRLF, BOM, comments, split characters, packets of a byte", alone: "answer, bytes intact", backed: "the same", counts: "nothing", more: []string{"caddytest.TestLegalOddities"}},
	{number: 50, fault: "no end mark after the finish reason; events or silence after the end", alone: "answer, prompt end", backed: "the same", counts: "nothing", more: []string{"caddytest.TestOneEndMark"}},
	{number: 51, fault: "huge event; event without end", alone: "whole, or 502, memory bounded", backed: "answer of the backup", counts: "upstream model", more: []string{"caddytest.TestLongEventPasses"}},
	{number: 52, fault: "latency with jitter; little bandwidth", alone: "answer within limits", backed: "the same", counts: "slow, if a limit is set: upstream model"},
	{number: 53, fault: "half of all attempts fail", alone: "circuit opens within 20 attempts", backed: "no client notices", counts: "upstream model"},
	{number: 54, fault: "fails, then heals", alone: "served again after the open time and 2 probes", backed: "no client notices", counts: "nothing", more: []string{"routing.TestHalfOpenClosesAfterProbes"}},
	{number: 55, fault: "flapping every 5 s for 5 min", alone: "open time grows, at most 20 openings", backed: "no client notices", counts: "nothing"},
	{number: 56, fault: "crowd at half-open", alone: "1 probe in flight", backed: "the rest from the backup", counts: "nothing", more: []string{"routing.TestCrowdAtHalfOpen"}},
	{number: 57, fault: "probe never returns", alone: "its lease ends, next probe", backed: "the same", counts: "upstream model"},
	{number: 58, fault: "everything down", alone: "503 at once, Retry-After, at most 1.2 calls a request", backed: "the same", counts: "nothing"},
	{number: 59, fault: "client leaves: before the header, before the content, in the middle", alone: "upstream released within 1 s", backed: "the same", counts: "nothing", more: []string{"caddytest.TestClientLeavesUpstreamIsReleased"}},
	{number: 60, fault: "1,000 clients leave", alone: "no goroutine kept", backed: "the same", counts: "nothing"},
	{number: 61, fault: "client does not read", alone: "upstream held back, little memory", backed: "the same", counts: "nothing"},
	{number: 62, fault: "client sends one byte a second", alone: "408 at the server's limit, others unaffected", backed: "the same", counts: "nothing"},
	{number: 63, fault: "10 GB declared; over the limit in chunks; packed", alone: "413, 415 at once", backed: "the same", counts: "nothing", more: []string{"caddytest.TestHugeDeclaredBody", "caddytest.TestRefusedRequests"}},
	{number: 64, fault: "deep, broken, double, duplicate-key, non-UTF-8 JSON", alone: "400", backed: "the same", counts: "nothing", more: []string{"caddytest.TestRefusedRequests"}},
	{number: 65, fault: "two lengths, bad chunk, NUL, header of 4 MB", alone: "400, 431, one answer", backed: "the same", counts: "nothing"},
	{number: 66, fault: "address, key or header fields in the body; address of an image; path-like model names", alone: "ignored or 404; nothing called", backed: "the same", counts: "nothing", more: []string{"caddytest.TestHeadersThatGoUpstream"}},
	{number: 67, fault: "page posts to the admin API", later: "handled by the console milestone; the API refuses foreign origins already: admin.TestRefusals"},
	{number: 68, fault: "kill -9 under writes", alone: "starts, no acknowledged write lost"},
	{number: 69, fault: "kill -9 around a manual open", alone: "either state, never half", more: []string{"storage.TestCommitIsAllOrNothing", "storage.TestFault68And69KilledUnderWrites"}},
	{number: 70, fault: "disk full while running and at start", alone: "proxy unharmed"},
	{number: 71, fault: "file size limit hit", alone: "the same"},
	{number: 72, fault: "directory read-only, not ours, missing, a file", alone: "proxy up, store degraded"},
	{number: 73, fault: "each store file flipped, halved, emptied, removed", alone: "starts; loss reported"},
	{number: 74, fault: "wrong or missing secret key", later: "secrets are not stored yet; the sealing is tested: storage.TestFault74WrongOrMissingSecretKey"},
	{number: 75, fault: "second process on the same directory", alone: "second degraded, first unharmed"},
	{number: 76, fault: "slow disk", alone: "requests unaffected"},
	{number: 77, fault: "clock set by a day during an open time", alone: "the time neither vanishes nor exceeds its limit"},
	{number: 78, fault: "no file descriptors left", alone: "5xx, recovers by itself", backed: "the same", counts: "nothing"},
	{number: 79, fault: "500 slow streams", alone: "little memory, others served"},
	{number: 80, fault: "100 reloads under load", alone: "no request that was taken fails, circuits unchanged"},
	{number: 81, fault: "bad configuration loaded", alone: "refused, the old one serves", more: []string{"caddytest.TestReloadWhileStreamsRun"}},
	{number: 82, fault: "upstream changed or deleted during a stream", alone: "the stream ends normally", more: []string{"caddytest.TestReloadWhileStreamsRun"}},
	{number: 83, fault: "shutdown with open streams", alone: "they end within the grace period"},
	{number: 84, fault: "panic while serving", alone: "500 in the client's format, next request fine", counts: "nothing", more: []string{"handler.TestPanicStaysInItsRequest"}},
	{number: 85, fault: "two admins edit at once", later: "definitions cannot be edited at run time yet; circuits can: admin.TestOnlyOneOfTwoAdminsWins"},
	{number: 86, fault: "hostile model list", later: "model lists are not fetched yet"},
	{number: 87, fault: "shared store away, slow or stale", later: "there is no shared store yet"},
	{number: 88, fault: "two nodes, clocks an hour apart", later: "there is no shared store yet"},
	{number: 89, fault: "one node without network", later: "there is no shared store yet"},
	{number: 90, fault: "log or metrics sink blocked", later: "belongs to the metrics milestone"},
}

// faultName is how tests of rows are called.
var faultName = regexp.MustCompile(`\.TestFault([0-9]{2})[A-Z]`)

// TestFaultTable checks that each row of the fault matrix has a test, and each test
// a row, and that docs/faults.md tells of them; -update writes it.
func TestFaultTable(t *testing.T) {
	known := testsBelow(t, "..")
	shown := make(map[int][]string)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		match := faultName.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		number, err := strconv.Atoi(match[1])
		if err != nil || number < 1 || number > len(faultRows) {
			t.Errorf("the test %s is of no row", name)
			continue
		}
		shown[number] = append(shown[number], name)
	}
	var page strings.Builder
	page.WriteString(faultPage)
	for i, r := range faultRows {
		if r.number != i+1 {
			t.Fatalf("the row %d stands at the place of %d", r.number, i+1)
		}
		for _, name := range r.more {
			if !known[name] {
				t.Errorf("row %d: there is no test %s", r.number, name)
			}
		}
		tests := append(shown[r.number], r.more...)
		if len(tests) == 0 && r.later == "" {
			t.Errorf("row %d (%s) has neither a test nor a reason", r.number, r.fault)
		}
		r.write(&page, tests)
	}
	comparePage(t, "../docs/faults.md", page.String())
}

// faultPage is how the page begins.
const faultPage = `# Faults

What clients see when something breaks, and which circuit counts it. Every row is
shown by the tests beside it, against a real Caddy with scripted upstreams on the
loopback; this page is made by ` + "`go test ./caddytest -run TestFaultTable -update`" + `, which
fails when a row has no test.

"Alone" is a model with one source, "with a backup" one with a second source of lower
priority. A status stands for an error in the format of the client, an error event for
the end of a stream that has begun: see [routing](routing.md). Rows that speak of the
formats' clients run for Chat, Responses, Messages and Gemini, with streams and
without.

| # | Fault | Alone | With a backup | Counts in | Tests |
|---|---|---|---|---|---|
`

// comparePage holds a page against what it should be, or writes it when the tests run
// with -update.
func comparePage(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date; run this test with -update", path)
	}
}

// write writes the row's line.
func (r *faultRow) write(page *strings.Builder, tests []string) {
	if r.later != "" {
		fmt.Fprintf(page, "| %d | %s | later: %s | | | |\n", r.number, r.fault, r.later)
		return
	}
	for i, name := range tests {
		tests[i] = "`" + name + "`"
	}
	fmt.Fprintf(page, "| %d | %s | %s | %s | %s | %s |\n", r.number, r.fault, r.alone, r.backed, r.counts, strings.Join(tests, " "))
}
