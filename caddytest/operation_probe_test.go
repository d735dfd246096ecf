package caddytest

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// operateProbed runs a gateway with a model for each thing that a probe can find.
func operateProbed(t *testing.T) *managed {
	t.Helper()
	good, locked, silent := startProvider(t, provider.Say("OK.")), startProvider(t, provider.Fail(401, "no such key")), startProvider(t, provider.Silent())
	return startManaged(t, "", fmt.Sprintf(`upstream good %s {
	formats openai_chat openai_images
}
upstream locked %s
upstream silent %s
model fine {
	source good m
	source locked m priority 2
}
model refused {
	source locked m
}
model hangs {
	source silent m
}
model pictures {
	operation image_generate
	source good dall-e-3
}`, good.URL(), locked.URL(), silent.URL()))
}

// TestProbeVerdicts: four services, four verdicts; what costs money is not called.
func TestProbeVerdicts(t *testing.T) {
	g := operateProbed(t)
	for model, want := range map[string][2]string{
		"fine": {`"usable"`, ""}, "refused": {`"error"`, `"auth_failed"`}, "hangs": {`"timeout"`, `"timeout"`},
		"pictures": {`"unsupported"`, `"unsupported_operation"`},
	} {
		r := g.do("POST", "/models/"+model+"/probe", `{"timeout":"300ms"}`).is(200)
		r.has("results.#", "1", "results.0.result", want[0], "results.0.code", want[1], "summary.total", "1")
		if r.at("results.0.source").String() == "" || model != "pictures" && r.at("results.0.latency_ms").Int() < 1 {
			t.Errorf("%s: no source or latency: %s", model, r.body)
		}
	}
	g.do("POST", "/models/fine/probe", `{"all":true}`).is(200).has("results.#.result", `["usable","error"]`, "summary.usable", "1", "summary.error", "1")
	g.do("POST", "/models/fine/probe", `{"source":"locked:m","debug":true}`).is(200).has("results.0.status", "401", "results.0.debug.request_content_type", `"application/json"`)
	g.do("POST", "/probes", `{"models":["fine","refused","hangs","pictures"],"timeout":"300ms"}`).is(200).
		has("summary", `{"total":4,"usable":1,"error":1,"timeout":1,"unsupported":1}`)
	g.do("POST", "/probes", `{"models":[]}`).is(200).has("results", "[]", "summary.total", "0")
	g.refused(404, "not_found", "name", "POST", "/models/none/probe", "")
	g.refused(404, "not_found", "source", "POST", "/models/fine/probe", `{"source":"x:y"}`)
	g.refused(404, "not_found", "models[1]", "POST", "/probes", `{"models":["fine","none"]}`)
	for _, timeout := range []string{`"1ms"`, `"1h"`, `-5`} {
		g.refused(400, "invalid_request", "timeout", "POST", "/probes", `{"timeout":`+timeout+`}`)
	}
}

// TestProbesAsEvents: with a stream each result comes as it is there, between how many
// models there are and the sums; the connection serves what follows.
func TestProbesAsEvents(t *testing.T) {
	g := operateProbed(t)
	r := g.do("POST", "/probes", `{"timeout":"300ms"}`, "Accept", "text/event-stream").is(200)
	var kinds []string
	results := map[string]string{}
	for block := range strings.SplitSeq(r.body, "\n\n") {
		kind, data := eventOf(block)
		if kind == "" {
			continue
		}
		kinds = append(kinds, kind)
		switch kind {
		case "start":
			if got := gjson.Get(data, "models").Int(); got != 4 {
				t.Errorf("it starts with %s", data)
			}
		case "result":
			results[gjson.Get(data, "model").String()] = gjson.Get(data, "result").String()
		case "summary":
			if data != `{"total":4,"usable":1,"error":1,"timeout":1,"unsupported":1}` {
				t.Errorf("the sums are %s", data)
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "start result result result result summary" {
		t.Errorf("the events are %s:\n%s", got, r.body)
	}
	if fmt.Sprint(results) != "map[fine:usable hangs:timeout pictures:unsupported refused:error]" {
		t.Errorf("the results are %v", results)
	}
}

// eventOf reads one server-sent event.
func eventOf(block string) (kind, data string) {
	for line := range strings.Lines(block) {
		line = strings.TrimRight(line, "\n")
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			kind = text
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			data = text
		}
	}
	return kind, data
}

// TestProbesMoveNoCircuit: 20 probes of a failing source change nothing; with record
// they count, and a success closes a circuit that was half open.
func TestProbesMoveNoCircuit(t *testing.T) {
	p := startProvider(t, provider.Status(500, `{}`))
	g := startManaged(t, "", "upstream u "+p.URL()+" {\nretries 0\ncircuit {\nfailures 3\nopen_for 100ms up to 100ms\nprobes 2\n}\n}\nmodel m {\nsource u x\n}")
	for range 20 {
		g.do("POST", "/models/m/probe", "").is(200).has("results.0.code", `"upstream_unavailable"`)
	}
	if states := g.read("/circuits").at("items.#.state").Raw; strings.Contains(states, "open") {
		t.Errorf("after 20 probes the circuits are %s", states)
	}
	for range 3 {
		g.do("POST", "/models/m/probe", `{"record":true}`).is(200)
	}
	const circuit = "/upstreams/u/circuit?upstream_model=x"
	if state := g.read(circuit).at("state").String(); state != "open" && state != "half_open" {
		t.Fatalf("after 3 recorded probes the circuit is %s", state)
	}
	eventually(t, "a half-open circuit", func() bool { return g.read(circuit).at("state").String() == "half_open" })
	p.Script(provider.Say("OK."))
	g.do("POST", "/models/m/probe", "").is(200).has("results.0.result", `"usable"`)
	g.read(circuit).has("state", `"half_open"`)
	g.do("POST", "/models/m/probe", `{"record":true}`).is(200).has("results.0.result", `"usable"`)
	g.read(circuit).has("state", `"closed"`)
}

// TestProbeAdaptsToReasoningModels: a service that knows no temperature and no
// max_tokens is usable all the same.
func TestProbeAdaptsToReasoningModels(t *testing.T) {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		for _, field := range []string{"temperature", "max_tokens"} {
			if gjson.GetBytes(r.Body, field).Exists() {
				return provider.Status(400, `{"error":{"message":"Unsupported parameter: '`+field+`' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"`+field+`","code":"unsupported_parameter"}}`)
			}
		}
		return provider.Say("OK.")
	})
	g := startManaged(t, "", "upstream u "+p.URL()+"\nmodel m {\nsource u x\n}")
	g.do("POST", "/models/m/probe", "").is(200).has("results.0.result", `"usable"`)
	if n := gjson.GetBytes(last(t, p).Body, "max_completion_tokens").Int(); n < 16 {
		t.Errorf("it was asked for %d tokens", n)
	}
}

// TestUnsavedUpstream: a definition is tested in stages and not stored.
func TestUnsavedUpstream(t *testing.T) {
	const right = "sk-0123456789-right"
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+right:
			return provider.Fail(401, "wrong key "+r.Header.Get("Authorization"))
		case r.Method == http.MethodGet:
			return provider.Status(200, listing("gpt-test"))
		default:
			return provider.Say("OK.")
		}
	})
	g := startManaged(t, "secret_key "+keyOne, "")
	spec := func(token string) string {
		return fmt.Sprintf(`{"spec":{"base_url":%q,"credentials":[{"type":"bearer","token":%q}]}}`, p.URL(), token)
	}
	g.do("POST", "/upstreams/test", spec(right)).is(200).has("stages.#.result", `["ok","ok","ok"]`, "models", "1")
	r := g.do("POST", "/upstreams/test", spec("sk-0123456789-wrong")).is(200)
	r.has("stages.#.result", `["ok","failed","skipped"]`, "stages.1.name", `"authentication"`, "stages.1.code", `"auth_failed"`)
	if strings.Contains(r.body, "0123456789") {
		t.Errorf("the answer holds the key: %s", r.body)
	}
	g.do("POST", "/upstreams/test", `{"spec":{"base_url":"`+provider.Refused(t)+`"}}`).is(200).has("stages.0.result", `"failed"`, "stages.0.code", `"network_error"`)
	g.refused(400, "invalid_request", "spec.base_url", "POST", "/upstreams/test", `{"spec":{"base_url":"ftp://x"}}`)
	g.refused(400, "invalid_request", "spec", "POST", "/upstreams/test", `{}`)
	g.refused(404, "not_found", "name", "POST", "/upstreams/test", `{"name":"none"}`)
	keyless := provider.New(t)
	keyless.Choose(lists(listing("local"), provider.Say("OK.")))
	g.do("POST", "/upstreams/test", `{"spec":{"base_url":"`+keyless.URL()+`"}}`).is(200).has("stages.#.result", `["ok","ok","ok"]`)
	g.read("/upstreams").has("total", "0")
}

// TestStoredSecretGoesToItsAddressOnly: a test of another address with a stored
// upstream's name does not get its key.
func TestStoredSecretGoesToItsAddressOnly(t *testing.T) {
	const secret = "sk-0123456789-stored"
	own, foreign := startProvider(t, provider.Say("OK.")), startProvider(t, provider.Say("OK."))
	own.Choose(lists(listing("gpt-test"), provider.Say("OK.")))
	g := startManaged(t, "secret_key "+keyOne, "upstream declared "+own.URL()+" {\ncredential bearer sk-0123456789-declared\n}")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"credentials":[{"id":"one","type":"bearer","token":%q}]}`, own.URL(), secret))
	g.do("POST", "/upstreams/test", `{"name":"u"}`).is(200).has("stages.1.result", `"ok"`)
	unsaved := func(name, address, credential string) string {
		return named(name, fmt.Sprintf(`{"base_url":%q,"credentials":[%s]}`, address, credential))
	}
	kept := `{"id":"one","type":"bearer"}`
	g.do("POST", "/upstreams/test", unsaved("u", own.URL(), kept)).is(200).has("stages.1.result", `"ok"`)
	for _, r := range own.Requests()[len(own.Requests())-2:] {
		if got := r.Header.Get("Authorization"); got != "Bearer "+secret {
			t.Errorf("the stored address was sent %q", got)
		}
	}
	for body, field := range map[string]string{
		unsaved("u", foreign.URL(), kept):                                                "spec.credentials[0].token",
		unsaved("u", foreign.URL(), `{"id":"one","type":"bearer","token":{"set":true}}`): "spec.credentials[0].token",
		unsaved("u", foreign.URL(), `{"id":"one","type":"header","name":"X-Key"}`):       "spec.credentials[0]",
		unsaved("declared", foreign.URL(), `{"id":"1","type":"bearer"}`):                 "spec.credentials[0]",
	} {
		g.refused(400, "invalid_request", field, "POST", "/upstreams/test", body)
	}
	for _, change := range []string{
		fmt.Sprintf(`{"base_url":%q}`, foreign.URL()), fmt.Sprintf(`{"format_urls":{"openai_chat":%q}}`, foreign.URL()),
		`{"transport":{"protocol":"http","forward_proxy_url":"` + foreign.URL() + `"}}`, `{"provider":"groq"}`,
	} {
		g.refused(400, "invalid_request", "spec.credentials[0].token", "PATCH", "/upstreams/u", unnamed(change))
	}
	if n := len(foreign.Requests()); n != 0 {
		t.Errorf("the foreign address was asked %d times", n)
	}
	g.patch("/upstreams/u", fmt.Sprintf(`{"base_url":%q,"credentials":[{"id":"one","type":"bearer","token":"sk-0123456789-other"}]}`, foreign.URL()))
}

// TestProbesEndWithTheirClient: whoever asks for probes and leaves ends them.
func TestProbesEndWithTheirClient(t *testing.T) {
	p := startProvider(t, provider.Silent())
	g := startManaged(t, "", "upstream u "+p.URL()+"\nmodel m {\nsource u x\n}")
	ctx, leave := context.WithCancel(t.Context())
	resp, err := g.begin(ctx, "POST", "/probes", "{}", "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != ":\n" {
		t.Fatalf("the stream begins with %q (%v)", line, err)
	}
	asked := p.Wait(1)[0]
	leave()
	<-asked.Left()
}
