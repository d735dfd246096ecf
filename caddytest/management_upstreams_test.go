package caddytest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestUpstreamCRUD shows the life of a managed upstream: created, read, listed,
// patched, replaced as a whole, and gone, with requests that follow at once.
func TestUpstreamCRUD(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	made := g.create("upstreams", "u1", fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat"],"tags":["eu"]}`, p.URL()))
	if made.at("name").String() != "u1" || made.at("origin").String() != "managed" || !made.at("status.usable").Bool() || made.tag() == "" {
		t.Errorf("created: %s, tag %s", made.body, made.tag())
	}
	where, err := url.Parse("http://" + g.admin + "/ai_gateway/upstreams")
	if err != nil {
		t.Fatal(err)
	}
	if where, err = where.Parse(made.header.Get("Location")); err != nil || where.Path != "/ai_gateway/upstreams/u1" {
		t.Errorf("the location is %v, %v", where, err)
	}
	g.refused(409, "exists", "name", "POST", "/upstreams", named("u1", serviceAt(p.URL())))
	read := g.read("/upstreams/u1")
	if read.body != made.body || read.tag() != made.tag() {
		t.Errorf("read %s\nmade %s", read.body, made.body)
	}
	if list := g.read("/upstreams"); list.at("total").Int() != 1 || list.at("items.0.spec.tags.0").String() != "eu" {
		t.Errorf("list: %s", list.body)
	}

	g.create("models", "m", from("u1"))
	if text := g.asks(200, "m"); text != "hello" {
		t.Errorf("the answer is %q", text)
	}
	patched := g.patch("/upstreams/u1", `{"retries":0,"formats":null}`)
	sameJSON(t, patched.at("spec").Raw, fmt.Sprintf(`{"base_url":%q,"tags":["eu"],"retries":0}`, p.URL()))
	if patched.tag() == made.tag() || patched.at("created").String() != made.at("created").String() {
		t.Errorf("after the patch: tag %s, %s", patched.tag(), patched.body)
	}
	put := g.do("PUT", "/upstreams/u1", unnamed(serviceAt(p.URL()))).is(200)
	sameJSON(t, put.at("spec").Raw, serviceAt(p.URL()))
	g.asks(200, "m")

	g.do("DELETE", "/models/m", "").is(200)
	if gone := g.do("DELETE", "/upstreams/u1", "").is(200); !gone.at("deleted").Bool() {
		t.Errorf("deleted: %s", gone.body)
	}
	g.refused(404, "not_found", "name", "GET", "/upstreams/u1", "")
	g.refused(404, "not_found", "", "DELETE", "/upstreams/u1", "")
	g.refused(404, "not_found", "", "PATCH", "/upstreams/u1", `{"spec":{}}`)
	g.do("PUT", "/upstreams/u1", named("u1", serviceAt(p.URL()))).is(201)
	g.refused(400, "invalid_request", "name", "PUT", "/upstreams/u1", named("u2", serviceAt(p.URL())))
	g.refused(412, "exists", "name", "PUT", "/upstreams/u1", named("u1", serviceAt(p.URL())), "If-None-Match", "*")
}

// TestProviderKinds shows that a provider fills in what an upstream leaves out and is
// not needed, and that an unknown one is refused by its name.
func TestProviderKinds(t *testing.T) {
	g := startManaged(t, "", "")
	groq := g.create("upstreams", "fast", `{"provider":"groq"}`)
	if groq.at("status.formats.0").String() != "openai_chat" {
		t.Errorf("groq: %s", groq.body)
	}
	g.create("upstreams", "own", serviceAt("http://127.0.0.1:9"))
	got := g.refused(400, "invalid_request", "spec.provider", "POST", "/upstreams", named("bad", `{"provider":"gruq"}`))
	if !strings.Contains(got.at("error.message").String(), "gruq") {
		t.Errorf("the message does not name it: %s", got.body)
	}
	g.refused(400, "invalid_request", "spec.base_url", "POST", "/upstreams", named("bad", `{}`))
}

// TestFormatsOfOneUpstream shows that an upstream that speaks several formats is asked
// in the client's own, and that unknown formats are refused when they are written.
func TestFormatsOfOneUpstream(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat","anthropic_messages"]}`, p.URL()))
	g.create("models", "m", from("u"))
	for _, c := range clients {
		_, body := g.post(c.path, c.body("m"))
		if text := c.text(t, body); text != "hello" {
			t.Errorf("%s: %q", c.name, text)
		}
		if got := last(t, p); got.Path != c.path || !strings.Contains(string(got.Body), `"max_tokens":100`) {
			t.Errorf("%s arrived at %s: %s", c.name, got.Path, got.Body)
		}
	}
	g.refused(400, "invalid_request", "spec.formats[0]", "PATCH", "/upstreams/u", `{"spec":{"formats":["openai_video_generations"]}}`)
	g.refused(400, "invalid_request", "format", "POST", "/models/m/sources", `{"upstream":"u","model":"y","format":"openai_video_generations"}`)
	g.refused(400, "invalid_request", "spec.sources[0].format", "PATCH", "/models/m", `{"spec":{"sources":[{"upstream":"u","model":"y","format":"gemini"}]}}`)
}

// TestBaseURLSpellings shows that all spellings of a service's address reach the same
// path.
func TestBaseURLSpellings(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(p.URL()))
	g.create("models", "m", from("u"))
	for spelling, want := range map[string]string{
		"": "/v1/chat/completions", "/": "/v1/chat/completions", "/v1": "/v1/chat/completions", "/v1/": "/v1/chat/completions",
		"/v1/chat/completions": "/v1/chat/completions", "/v1/v1": "/v1/v1/chat/completions",
		"/api/openai/v1": "/api/openai/v1/chat/completions", "/v2preview3": "/v2preview3/chat/completions",
	} {
		g.patch("/upstreams/u", serviceAt(p.URL()+spelling))
		g.asks(200, "m")
		if got := last(t, p).Path; got != want {
			t.Errorf("base URL %q: path %s, want %s", spelling, got, want)
		}
	}
	for _, bad := range []string{"ftp://127.0.0.1", "http://user:secret@127.0.0.1", "//127.0.0.1", "http://", "127.0.0.1:80", "http://{env.HOST}/"} {
		g.refused(400, "invalid_request", "spec.base_url", "PATCH", "/upstreams/u", unnamed(serviceAt(bad)))
	}
}

// TestFormatAddresses shows that a format can have a base URL and a path of its own,
// and that neither leads to another host.
func TestFormatAddresses(t *testing.T) {
	chat, messages := startProvider(t, provider.Say("chat")), startProvider(t, provider.Say("messages"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat","anthropic_messages"],
		"format_urls":{"anthropic_messages":%q},"format_paths":{"openai_chat":"/deployments/one/chat"}}`, chat.URL(), messages.URL()+"/claude"))
	g.create("models", "m", from("u"))
	for i, want := range []string{"chat", "chat", "messages", "messages"} {
		_, body := g.post(clients[i].path, clients[i].body("m"))
		if text := clients[i].text(t, body); text != want {
			t.Errorf("%s was answered by %s", clients[i].name, text)
		}
	}
	if got := last(t, chat).Path; got != "/deployments/one/chat" {
		t.Errorf("chat arrived at %s", got)
	}
	if got := last(t, messages).Path; got != "/claude/v1/messages" {
		t.Errorf("messages arrived at %s", got)
	}
	g.refused(400, "invalid_request", "spec.format_urls.anthropic_messages", "PATCH", "/upstreams/u", `{"spec":{"format_urls":{"anthropic_messages":"file:///etc/passwd"}}}`)
	for _, path := range []string{"//evil", "http://evil/v1", "v1/chat", ""} {
		g.refused(400, "invalid_request", "spec.format_paths.openai_chat", "PATCH", "/upstreams/u", fmt.Sprintf(`{"spec":{"format_paths":{"openai_chat":%q}}}`, path))
	}
}

// TestTimeoutOfAnUpstream shows that a time limit is in force with the request after
// its change.
func TestTimeoutOfAnUpstream(t *testing.T) {
	p := startProvider(t, provider.Silent())
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"retries":0,"timeouts":{"first_content":"1m"}}`, p.URL()))
	g.create("models", "m", from("u"))
	g.patch("/upstreams/u", `{"timeouts":{"response_header":"200ms","first_content":"300ms"}}`)
	if body := g.asks(504, "m"); !strings.Contains(body, `"error"`) {
		t.Errorf("the answer: %s", body)
	}
	<-last(t, p).Left() // the call is not left to itself
	g.refused(400, "invalid_request", "spec.timeouts.idle", "PATCH", "/upstreams/u", `{"spec":{"timeouts":{"idle":"-1s"}}}`)
}

// TestHeadersOfAnUpstream shows that an upstream's headers are sent, that those of a
// source beat them, and that those that belong to the connection are refused.
func TestHeadersOfAnUpstream(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"headers":{"X-A":["1"]}}`, p.URL()))
	g.create("models", "m", from("u"))
	g.asks(200, "m")
	if got := last(t, p).Header.Get("X-A"); got != "1" {
		t.Errorf("X-A is %q", got)
	}
	g.patch("/upstreams/u", `{"headers":{"X-A":["2"],"X-B":["3"]}}`)
	g.asks(200, "m")
	if got := last(t, p).Header; got.Get("X-A") != "2" || got.Get("X-B") != "3" {
		t.Errorf("headers %v", got)
	}
	g.do("PATCH", "/models/m/sources/u:x", `{"headers":{"X-A":["4"],"X-C":["5"]}}`).is(200)
	g.asks(200, "m")
	if got := last(t, p).Header; strings.Join(got.Values("X-A"), ",") != "4" || got.Get("X-B") != "3" || got.Get("X-C") != "5" {
		t.Errorf("with headers of the source: %v", got)
	}
	g.do("PATCH", "/models/m/sources/u:x", `{"headers":{"X-A":null}}`).is(200)
	g.asks(200, "m")
	if got := last(t, p).Header; got.Get("X-A") != "2" || got.Get("X-C") != "5" {
		t.Errorf("with one header of the source: %v", got)
	}
	for _, name := range []string{"Connection", "Transfer-Encoding", "Host", "Content-Length", "Authorization"} {
		if got := g.do("PATCH", "/models/m/sources/u:x", fmt.Sprintf(`{"headers":{%q:["x"]}}`, name)).is(400); !strings.HasPrefix(got.at("error.field").String(), "headers") {
			t.Errorf("%s at a source: %s", name, got.body)
		}
		got := g.do("PATCH", "/upstreams/u", fmt.Sprintf(`{"spec":{"headers":{%q:["x"]}}}`, name)).is(400)
		if !strings.HasPrefix(got.at("error.field").String(), "spec.headers") {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}

// TestAddressesThatAreNotCalled shows that addresses behind which a cloud's own
// services are, are refused unless the upstream allows them.
func TestAddressesThatAreNotCalled(t *testing.T) {
	g := startManaged(t, "", "")
	for _, address := range []string{"http://169.254.169.254", "http://[fe80::1]", "http://0.0.0.0:1", "http://[::ffff:169.254.169.254]"} {
		g.refused(400, "invalid_request", "spec.base_url", "POST", "/upstreams", named("u", serviceAt(address)))
	}
	g.create("upstreams", "u", `{"base_url":"http://169.254.169.254","allow_addresses":["169.254.169.254"]}`)
	g.refused(400, "invalid_request", "spec.allow_addresses[0]", "PATCH", "/upstreams/u", `{"spec":{"allow_addresses":["anything"]}}`)
	g.refused(400, "invalid_request", "spec.base_url", "PATCH", "/upstreams/u", `{"spec":{"allow_addresses":null}}`)
}

// TestProxyAndTLS shows an upstream behind a proxy, and one whose certificate is
// trusted only when it says so.
func TestProxyAndTLS(t *testing.T) {
	proxied := answering(t, 200, "application/json", `{"id":"1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"by proxy"},"finish_reason":"stop"}]}`)
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":"http://service.invalid","transport":{"protocol":"http","network_proxy":{"from":"url","url":%q}}}`, proxied.url))
	g.create("models", "m", from("u"))
	if text := g.asks(200, "m"); text != "by proxy" {
		t.Errorf("the answer is %q", text)
	}

	authority := newAuthority(t)
	secure := authority.serve(t, "127.0.0.1", time.Now().AddDate(0, 0, 1))
	g.create("upstreams", "secure", fmt.Sprintf(`{"base_url":%q,"retries":0}`, secure.url))
	g.create("models", "s", from("secure"))
	g.asks(502, "s")
	if n := secure.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent to a service that is not trusted", n)
	}
	g.do("POST", "/upstreams/secure/circuit/reset", "{}").is(200)
	g.patch("/upstreams/secure", fmt.Sprintf(`{"transport":{"protocol":"http","tls":{"ca":{"provider":"file","pem_files":[%q]}}}}`, authority.file))
	g.asks(http.StatusTeapot, "s")
	if secure.requests.Load() == 0 {
		t.Error("the service was not asked although it is trusted")
	}
}

// TestDisabledUpstream shows an upstream that is taken out of use and back again: its
// models go from clients and stay in the lists of the management API.
func TestDisabledUpstream(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u1", serviceAt(p.URL()))
	g.create("upstreams", "u2", serviceAt(p.URL()))
	g.create("models", "alone", from("u1"))
	g.create("models", "both", from("u1", "u2"))
	g.create("aliases", "other", `{"model":"alone"}`)
	off := g.patch("/upstreams/u1", `{"disabled":true}`)
	if off.at("status.usable").Bool() || off.at("status.reason").String() != "disabled" {
		t.Errorf("disabled: %s", off.body)
	}
	if got := g.offered(); got != "both" {
		t.Errorf("clients see %s", got)
	}
	for _, name := range []string{"alone", "other"} {
		g.asks(404, name)
	}
	g.asks(200, "both")
	if got := g.read("/upstreams?status=disabled").names(); got != "u1" {
		t.Errorf("disabled are %s", got)
	}
	g.patch("/upstreams/u1", `{"disabled":false}`)
	if got := g.offered(); got != "alone both other" {
		t.Errorf("clients see %s", got)
	}
	g.asks(200, "other")
}

// TestFreshStartIsEmpty shows that nothing is there that nobody has defined.
func TestFreshStartIsEmpty(t *testing.T) {
	g := startManaged(t, "", "")
	for _, kind := range []string{"upstreams", "models", "aliases"} {
		sameJSON(t, g.read("/"+kind).body, `{"items":[],"total":0,"page":1,"page_size":100}`)
	}
	if got := g.offered(); got != "" {
		t.Errorf("clients see %s", got)
	}
	if resp, _ := g.get("/v1/models"); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}
