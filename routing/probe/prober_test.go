package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

var chatFormats = []format.ID{format.OpenAIChat, format.OpenAIResponses, format.AnthropicMessages, format.Gemini}

func TestUsableInEachFormat(t *testing.T) {
	endpoints := map[format.ID]string{
		format.OpenAIChat:        "/v1/chat/completions",
		format.OpenAIResponses:   "/v1/responses",
		format.AnthropicMessages: "/v1/messages",
		format.Gemini:            "/v1beta/models/x:streamGenerateContent",
	}
	for _, f := range chatFormats {
		t.Run(string(f), func(t *testing.T) {
			p := scripted(t, provider.Say("OK").Drip())
			w := single(t, configOf(p.URL(), f))
			r := w.probe(&Prober{Timeout: ample})
			r.check(t, Usable, "", 200)
			if r.Model != "m" || r.Source != "u:x" || r.Upstream != "u" || r.UpstreamModel != "x" || r.Format != f || r.Credential != "1" {
				t.Errorf("got %+v", r)
			}
			if want := "POST " + p.URL() + endpoints[f]; r.Endpoint != want {
				t.Errorf("got endpoint %q, want %q", r.Endpoint, want)
			}
			if r.FirstTokenMS < 1 || r.LatencyMS < r.FirstTokenMS || r.At.IsZero() || r.Debug != nil {
				t.Errorf("got latency %d, first token %d, at %s, debug %v", r.LatencyMS, r.FirstTokenMS, r.At, r.Debug)
			}
			if r.Tokens == nil || *r.Tokens != (Tokens{Input: provider.InputTokens, Output: provider.OutputTokens}) {
				t.Errorf("got tokens %+v", r.Tokens)
			}
			requests := p.Requests()
			if len(requests) != 1 {
				t.Fatalf("got %d requests", len(requests))
			}
			if err := provider.Check(requests[0]); err != nil {
				t.Error(err)
			}
			body := string(requests[0].Body)
			if !strings.Contains(body, "Reply with OK.") || !strings.Contains(body, "16") || strings.Contains(body, "temperature") || strings.Contains(body, "tools") {
				t.Errorf("got body %s", body)
			}
			w.untouched()
		})
	}
}

// A model that reasons may have spent all its tokens on that.
func TestUsableWithoutText(t *testing.T) {
	for _, f := range chatFormats {
		for name, step := range map[string]provider.Step{"stream": provider.Think("Let me see", "").Stopping(provider.StopMaxTokens), "plain": provider.Think("Let me see", "").Stopping(provider.StopMaxTokens).Plain()} {
			t.Run(string(f)+" "+name, func(t *testing.T) {
				w := single(t, configOf(scripted(t, step).URL(), f))
				w.probe(&Prober{Timeout: ample}).check(t, Usable, "", 200)
			})
		}
	}
}

func TestStreamThatStaysOpenIsComplete(t *testing.T) {
	w := single(t, configOf(scripted(t, provider.Say("OK").NoEndMark().StallAt(provider.End)).URL(), format.OpenAIChat))
	w.probe(&Prober{Timeout: ample}).check(t, Usable, "", 200)
}

func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name    string
		step    provider.Step
		verdict Verdict
		code    Code
		status  int
	}{
		{"401", provider.Fail(401, "Incorrect API key"), Failed, CodeAuthFailed, 401},
		{"403", provider.Fail(403, "no"), Failed, CodeAuthFailed, 403},
		{"402", provider.Fail(402, "pay"), Failed, CodeQuotaExhausted, 402},
		{"404", provider.Fail(404, "no such model"), Failed, CodeModelNotFound, 404},
		{"429", provider.Fail(429, "slow down"), Failed, CodeRateLimited, 429},
		{"429 without money", provider.Status(429, `{"error":{"code":"insufficient_quota","message":"pay"}}`), Failed, CodeQuotaExhausted, 429},
		{"400", provider.Fail(400, "no"), Failed, CodeRequestInvalid, 400},
		{"422", provider.Fail(422, "no"), Failed, CodeRequestInvalid, 422},
		{"500", provider.Fail(500, "oops"), Failed, CodeUpstreamUnavailable, 500},
		{"503 HTML", provider.Status(503, "<html>"), Failed, CodeUpstreamUnavailable, 503},
		{"302", provider.Redirect(302, "http://127.0.0.1:1/"), Failed, CodeResponseIncompatible, 302},
		{"200 HTML", provider.HTML(), Failed, CodeResponseIncompatible, 200},
		{"200 empty", provider.Empty(), Failed, CodeResponseIncompatible, 200},
		{"200 of another shape", provider.WrongShape(), Failed, CodeResponseIncompatible, 200},
		{"200 not JSON", provider.NotJSON(), Failed, CodeResponseIncompatible, 200},
		{"200 with an error", provider.ErrorObject("invalid_api_key", "Incorrect API key"), Failed, CodeAuthFailed, 200},
		{"stream cut", provider.Say("OK").EndAt(1), Failed, CodeResponseIncompatible, 200},
		{"stream broken off", provider.Say("OK").CutAt(1), Failed, CodeResponseIncompatible, 200},
		{"stream reset", provider.Say("OK").ResetAt(1), Failed, CodeNetworkError, 200},
		{"stream with garbage", provider.Say("OK").GarbageAt(1), Failed, CodeResponseIncompatible, 200},
		{"stream with an error", provider.Say("OK").ErrorAt(1), Failed, CodeUpstreamUnavailable, 200},
		{"not HTTP", provider.NotHTTP(), Failed, CodeResponseIncompatible, 0},
		{"closed", provider.CloseAfterRequest(), Failed, CodeNetworkError, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := single(t, configOf(scripted(t, tc.step).URL(), format.OpenAIChat))
			r := w.probe(&Prober{Timeout: ample})
			r.check(t, tc.verdict, tc.code, tc.status)
			if r.Message == "" || len(r.Message) > maxMessage {
				t.Errorf("got message %q", r.Message)
			}
			w.untouched()
		})
	}
	for name, tc := range map[string]struct {
		config string
		code   Code
	}{
		"refused":           {configOf(provider.Refused(t), format.OpenAIChat), CodeNetworkError},
		"unresolved":        {unresolved, CodeNameNotResolved},
		"untrusted":         {configOf(tlsServer(t), format.OpenAIChat), CodeTLSError},
		"TLS on plain port": {configOf(strings.Replace(plainServer(t), "http", "https", 1), format.OpenAIChat), CodeTLSError},
	} {
		t.Run(name, func(t *testing.T) {
			w := single(t, tc.config)
			w.probe(&Prober{Timeout: ample}).check(t, Failed, tc.code, 0)
			w.untouched()
		})
	}
}

// What is the gateway's own fault is no business of the circuits.
func TestOwnFault(t *testing.T) {
	u := upstreamOf(t, "u", configOf("http://127.0.0.1:1", format.OpenAIChat))
	err := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%w: 169.254.169.254", upstream.ErrAddressRefused)}
	f := sendFailure(t.Context(), u, err)
	if f.code != CodeNetworkError || !f.own || !strings.Contains(f.message, "address refused") {
		t.Errorf("got %+v", f)
	}
	if f := sendFailure(t.Context(), u, errors.New("connection refused by "+key)); f.own || strings.Contains(f.message, "canary") {
		t.Errorf("got %+v", f)
	}
}

// tlsServer is the URL of a server whose certificate nobody trusts.
func tlsServer(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// plainServer is the URL of a server that speaks no TLS.
func plainServer(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

func TestTimeout(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"no answer":  provider.Silent(),
		"no content": provider.Say("OK").StallAt(provider.Start),
		"in between": provider.Say("OK").StallAt(1),
		"plain":      provider.Say("OK").Plain().StallAt(provider.Start),
	} {
		t.Run(name, func(t *testing.T) {
			p := scripted(t, step)
			w := single(t, configOf(p.URL(), format.OpenAIChat))
			r := w.probe(&Prober{Timeout: quick})
			if r.Result != TimedOut || r.Code != CodeTimeout || r.LatencyMS < 1 {
				t.Errorf("got %+v", r)
			}
			<-p.Wait(1)[0].Left() // the call was given up
			w.untouched()
		})
	}
}

func TestCancelled(t *testing.T) {
	p := scripted(t, provider.Silent())
	w := single(t, configOf(p.URL(), format.OpenAIChat))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { p.Wait(1); cancel() }()
	r := (&Prober{Timeout: ample, Record: true}).Source(ctx, w.snapshot, "m", "u:x")
	r.check(t, Failed, CodeCancelled, 0)
	w.untouched()
}

func TestEmbeddings(t *testing.T) {
	answers := map[format.ID]string{
		format.OpenAIEmbeddings: `{"object":"list","model":"x","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],"usage":{"prompt_tokens":1,"total_tokens":1}}`,
		format.GeminiEmbeddings: `{"embedding":{"values":[0.5,-1]}}`,
	}
	paths := map[format.ID]string{format.OpenAIEmbeddings: "/v1/embeddings", format.GeminiEmbeddings: "/v1beta/models/x:embedContent"}
	for f, answer := range answers {
		t.Run(string(f), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
				if r.URL.Path != paths[f] {
					t.Errorf("got path %s", r.URL.Path)
				}
				writeJSON(w, 200, answer)
			})
			w := single(t, configOf(s.URL, f))
			r := w.probe(&Prober{Timeout: ample, Debug: true})
			r.check(t, Usable, "", 200)
			if r.Format != f || r.FirstTokenMS != 0 || len(s.asked()) != 1 || !strings.Contains(r.Debug.RequestBody, `"OK"`) {
				t.Errorf("got %+v, %d calls", r, len(s.asked()))
			}
		})
	}
	t.Run("wrong answer", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
			writeJSON(w, 200, `{"object":"list","data":[]}`)
		})
		single(t, configOf(s.URL, format.OpenAIEmbeddings)).probe(&Prober{Timeout: ample}).check(t, Failed, CodeResponseIncompatible, 200)
	})
}

// What is asked follows from the source's format, else from what the model is for.
func TestOperation(t *testing.T) {
	upstreams := map[string]*upstream.Upstream{
		"u": upstreamOf(t, "u", `{"base_url":"http://h","formats":["openai_chat","openai_embeddings","openai_images","openai_audio","rerank"]}`),
		"i": upstreamOf(t, "i", `{"base_url":"http://h","formats":["openai_images"]}`),
		"c": upstreamOf(t, "c", `{"base_url":"http://h","formats":["openai_chat"]}`),
	}
	for _, tc := range []struct {
		name, upstream string
		spoken         format.ID
		wanted         []format.Operation
		format         format.ID
		op             format.Operation
		ok             bool
	}{
		{"unknown", "u", "", nil, format.OpenAIChat, format.OperationChat, true},
		{"embedding model", "u", "", []format.Operation{format.OperationEmbed}, format.OpenAIEmbeddings, format.OperationEmbed, true},
		{"image model", "u", "", []format.Operation{format.OperationImageGenerate}, format.OpenAIImages, format.OperationImageGenerate, false},
		{"image and chat", "u", "", []format.Operation{format.OperationImageGenerate, format.OperationChat}, format.OpenAIChat, format.OperationChat, true},
		{"format of the source", "u", format.OpenAIEmbeddings, nil, format.OpenAIEmbeddings, format.OperationEmbed, true},
		{"images by the source's format", "u", format.OpenAIImages, nil, format.OpenAIImages, "", false},
		{"audio", "u", format.OpenAIAudio, nil, format.OpenAIAudio, "", false},
		{"rerank", "u", format.Rerank, nil, format.Rerank, "", false},
		{"images only", "i", "", nil, format.OpenAIImages, "", false},
		{"embedding through chat", "c", "", []format.Operation{format.OperationEmbed}, format.OpenAIChat, format.OperationChat, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, op, ok := operationOf(upstreams[tc.upstream], tc.spoken, tc.wanted)
			if f != tc.format || op != tc.op || ok != tc.ok {
				t.Errorf("got %s %s %t", f, op, ok)
			}
		})
	}
}

// The four kinds of results. An image is not asked for: it would cost money.
func TestFourVerdicts(t *testing.T) {
	image := scripted(t, provider.Say("OK"))
	w := newWorld(t, map[string]string{
		"ok":    configOf(scripted(t, provider.Say("OK")).URL(), format.OpenAIChat),
		"wrong": configOf(scripted(t, provider.Fail(401, "no")).URL(), format.OpenAIChat),
		"hang":  configOf(scripted(t, provider.Silent()).URL(), format.OpenAIChat),
		"image": configOf(image.URL(), format.OpenAIImages),
	}, `{"m":{"sources":[{"upstream":"ok","model":"x"},{"upstream":"wrong","model":"x"},{"upstream":"hang","model":"x"},{"upstream":"image","model":"x"}]}}`)
	results := (&Prober{Timeout: time.Second}).Model(t.Context(), w.snapshot, "m", true)
	if len(results) != 4 {
		t.Fatalf("got %d results", len(results))
	}
	for i, want := range []Verdict{Usable, Failed, TimedOut, Unsupported} {
		if results[i].Result != want {
			t.Errorf("%s: got %s, want %s", results[i].Source, results[i].Result, want)
		}
	}
	if results[3].Code != CodeUnsupportedOperation || len(image.Requests()) != 0 {
		t.Errorf("image: got %+v, %d calls", results[3], len(image.Requests()))
	}
	w.untouched()
}

func TestSourcesThatAreOff(t *testing.T) {
	p := scripted(t, provider.Say("OK"))
	w := newWorld(t, map[string]string{
		"u":    configOf(p.URL(), format.OpenAIChat),
		"off":  strings.Replace(configOf(p.URL(), format.OpenAIChat), "{", `{"disabled":true,`, 1),
		"bare": `{"base_url":"{env.NO_SUCH_URL}"}`,
	}, `{
		"m":{"mode":"pinned","active":"u:y","sources":[{"upstream":"u","model":"x","disabled":true},{"upstream":"off","model":"x"},{"upstream":"bare","model":"x"},{"upstream":"u","model":"z"},{"upstream":"u","model":"y","priority":7}]},
		"gone":{"disabled":true,"sources":[{"upstream":"u","model":"x"}]}}`)
	prober := &Prober{Timeout: ample}
	first := prober.Model(t.Context(), w.snapshot, "m", false)
	if len(first) != 1 || first[0].Source != "u:y" || first[0].Result != Usable {
		t.Errorf("the first: got %+v", first)
	}
	var got []string
	for _, r := range prober.Model(t.Context(), w.snapshot, "m", true) {
		got = append(got, r.Source+" "+string(r.Result)+" "+string(r.Code))
	}
	if want := "u:x error disabled, off:x error disabled, bare:x error not_configured, u:z usable , u:y usable "; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	for _, tc := range []struct {
		model, source string
		verdict       Verdict
		code          Code
		status        int
	}{
		{"m", "u:x", Usable, "", 200}, // disabled, but named
		{"gone", "u:x", Usable, "", 200},
		{"m", "off:x", Failed, CodeDisabled, 0},
		{"m", "bare:x", Failed, CodeNotConfigured, 0},
		{"m", "u:nope", Failed, CodeSourceNotFound, 0},
		{"nope", "u:x", Failed, CodeSourceNotFound, 0},
	} {
		prober.Source(t.Context(), w.snapshot, tc.model, tc.source).check(t, tc.verdict, tc.code, tc.status)
	}
	if r := prober.Model(t.Context(), w.snapshot, "gone", false); len(r) != 1 || r[0].Code != CodeDisabled {
		t.Errorf("a disabled model: got %+v", r)
	}
	if r := prober.Model(t.Context(), w.snapshot, "nope", false); len(r) != 1 || r[0].Code != CodeSourceNotFound {
		t.Errorf("no model: got %+v", r)
	}
}
