package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPayloads(t *testing.T) {
	cases := []struct {
		name     string
		payload  *payload
		min, max int
	}{
		{"small", smallPayload(), 900, 1200},
		{"stream", streamPayload(), 900, 1200},
		{"agent", agentPayload(), 98 << 10, 106 << 10},
		{"image", imagePayload(), 2 << 20, 2<<20 + 1<<10},
	}
	seen := make(map[uint32]string)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if n := len(tc.payload.body); n < tc.min || n > tc.max {
				t.Errorf("got %d bytes, want %d to %d", n, tc.min, tc.max)
			}
			if !json.Valid(tc.payload.body) {
				t.Error("not JSON")
			}
			if !bytes.Contains(tc.payload.body, []byte(tc.payload.last)) {
				t.Errorf("%q is missing", tc.payload.last)
			}
			if other, ok := seen[tc.payload.rest]; ok {
				t.Errorf("same checksum as %s", other)
			}
			seen[tc.payload.rest] = tc.name
		})
	}
}

func TestCheckAnswer(t *testing.T) {
	rename := func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(upstreamModel), []byte(clientModel))
	}
	// The same meaning in other bytes, as a translation would give.
	respell := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("chatcmpl-bench"), []byte("other")) }
	cut := func(b []byte) []byte { return b[:len(b)-20] }

	cases := []struct {
		name               string
		body               []byte
		stream, translated bool
		wrong              bool
	}{
		{"plain", openAIPlain, false, false, false},
		{"plain renamed", rename(openAIPlain), false, false, false},
		{"plain other bytes", respell(openAIPlain), false, false, true},
		{"plain translated", respell(openAIPlain), false, true, false},
		{"plain cut", cut(openAIPlain), false, true, true},
		{"plain other text", bytes.Replace(respell(openAIPlain), []byte("the"), []byte("teh"), 1), false, true, true},
		{"plain empty", nil, false, true, true},
		{"stream", openAIStreamBody, true, false, false},
		{"stream renamed", rename(openAIStreamBody), true, false, false},
		{"stream other bytes", respell(openAIStreamBody), true, false, true},
		{"stream translated", respell(openAIStreamBody), true, true, false},
		{"stream cut", cut(openAIStreamBody), true, true, true},
		{"stream without an event", bytes.Join(openAIStream[2:], nil), true, true, true},
		{"stream empty", nil, true, true, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if err := checkAnswer(tc.body, tc.stream, tc.translated); (err != nil) != tc.wrong {
				t.Errorf("got %v, want wrong: %v", err, tc.wrong)
			}
		})
	}
}

func TestMock(t *testing.T) {
	server := httptest.NewServer(newMock(clientModel, 0))
	defer server.Close()
	send := func(path string, body []byte) (int, []byte) {
		resp, err := http.Post(server.URL+path, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, answer
	}

	for _, p := range payloads() {
		status, answer := send("/v1/chat/completions", p.body)
		if err := checkAnswer(answer, p.stream, false); status != http.StatusOK || err != nil {
			t.Errorf("%s: status %d, %v", p.last, status, err)
		}
	}
	anthropic := []byte(`{"model":"bench","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"stream question"}]}`)
	if status, answer := send("/v1/messages", anthropic); status != http.StatusOK || !bytes.HasSuffix(answer, anthropicStream[len(anthropicStream)-1]) {
		t.Errorf("messages: status %d, %.100q", status, answer)
	}

	wrongModel := bytes.Replace(smallPayload().body, []byte(`"bench"`), []byte(`"other"`), 1)
	changed := bytes.Replace(smallPayload().body, []byte("question"), []byte("Question"), 1)
	for name, body := range map[string][]byte{"wrong model": wrongModel, "changed body": changed, "no body": nil} {
		if status, _ := send("/v1/chat/completions", body); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d, want 422", name, status)
		}
	}
	if status, _ := send("/v1/messages", []byte(`{"model":"bench","messages":[]}`)); status != http.StatusUnprocessableEntity {
		t.Errorf("messages without max_tokens: status %d, want 422", status)
	}
}

func TestChooseScenarios(t *testing.T) {
	chosen, err := chooseScenarios("failover, 1kb")
	if err != nil || len(chosen) != 2 || chosen[0].name != "failover" || chosen[1].name != "1kb" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := chooseScenarios("1kb,none"); err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("got %v, want an error that names the scenario", err)
	}
}

func TestCPUTime(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
		_ = words(1, 100)
	}
	after, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("CPU time went from %v to %v", before, after)
	}
	if rss, err := peakRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("got %d bytes, %v", rss, err)
	}
}

func TestStatistics(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("odd: got %v, want 2", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("even: got %v, want 2.5", got)
	}
	var sorted []time.Duration
	for i := range 100 {
		sorted = append(sorted, time.Duration(i)*time.Millisecond)
	}
	if got := percentile(sorted, 50); got != 50 {
		t.Errorf("p50: got %v, want 50", got)
	}
	if got := percentile(sorted, 99); got != 99 {
		t.Errorf("p99: got %v, want 99", got)
	}
}
